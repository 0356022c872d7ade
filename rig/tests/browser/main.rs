//! The report in a real browser: as a person uses it, and as somebody would abuse it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]
#![allow(clippy::panic, clippy::print_stderr, reason = "this is test code, helpers included")]

mod chromium;
#[path = "../common/mod.rs"]
mod common;

use chromium::Chromium;
use common::Checkout;
use reports::record::SCHEMA;
use reports::transcript::Seen;
use reports::{CellRecord, Run, RunFolder, Transcript, writers};
use serde_json::json;
use std::fs;
use std::path::Path;

const THE_THREAD: &str = "mbedtls-2.4.0/rsa-16384+suiteb/tls12-rsa-plain";

/// The page did nothing but show itself.
fn is_quiet(browser: &Chromium, page: &Path) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let page = format!("file://{}", page.canonicalize().unwrap().display());
    let foreign: Vec<_> = browser
        .requests()
        .into_iter()
        .filter(|url| !url.starts_with(&page) && !url.starts_with("data:") && url != "about:blank")
        .collect();
    assert_eq!(foreign, Vec::<String>::new(), "the page loads nothing");
}

#[test]
fn a_person_finds_out_why_and_what_to_change() {
    if !chromium::is_here() {
        return;
    }
    let checkout = Checkout::accepted();
    let seen = checkout.rig("run smoke --board native --out made");
    assert_eq!(seen.code, Some(0), "{seen}");
    let page = checkout.path("made/report.html");
    let mut browser = Chromium::start();

    browser.open(&page, "");
    assert!(browser.text("document.title").starts_with("1 of 2 cells connect; 1 do"));
    assert!(browser.text("document.querySelector('p.emulated').innerText").contains("native"));
    let reasons = browser.text("document.querySelector('#reasons').innerText");
    assert!(reasons.contains("use MBEDTLS_SSL_PRESET_DEFAULT"), "{reasons}");

    // Filters: by what is typed, by a link from the words, and off again.
    browser.value("document.querySelector('input[name=client]').focus()");
    browser.enter("+suiteb !default");
    let shown = "document.querySelector('#shown').value";
    browser.until(&format!("{shown} === '1 of 2 cells'"));
    let rows =
        "[...document.querySelectorAll('#matrix tbody tr')].filter((r) => r.offsetParent).length";
    assert_eq!(browser.value(rows), json!(1));
    assert_eq!(browser.text("location.hash"), "#client=+suiteb%20!default");
    browser.value("document.querySelector('#filters button').click()");
    browser.until(&format!("{shown} === '2 cells'"));
    browser.value("document.querySelector('.reason h3 a').click()");
    browser.until(&format!("{shown} === '1 of 2 cells'"));
    assert_eq!(browser.text("location.hash"), "#cause=no_ciphersuite_offered");

    // A cell by its permanent link, in a page that was not open before.
    browser.open(&page, &format!("#cell={THE_THREAD}"));
    browser.until("document.querySelector('#panel').open");
    let panel = browser.text("document.querySelector('#panel').innerText");
    for part in [
        "mbedtls-2.4.0/rsa-16384+suiteb with tls12-rsa-plain",
        "did not connect",
        "as expected",
        "emulated: native",
        "-0x7780 in server_hello",
        "no_ciphersuite_offered",
        "he ClientHello offers no cipher suite: MBEDTLS_SSL_PRESET_SUITEB allows two",
        "use MBEDTLS_SSL_PRESET_DEFAULT in mbedtls_ssl_config_defaults",
        "Because the ClientHello offers no cipher suite",
        "fatal alert 40 handshake_failure",
        "server hello",
        "0x00ff",
        "client hello, got 1 ciphersuites",
    ] {
        assert!(panel.contains(part), "{part} is not in the panel:\n{panel}");
    }
    // What a screen reader is told of the diagram is more than its arrows.
    let flow = browser.text("document.querySelector('.flow').textContent");
    assert!(flow.contains("client: ClientHello"), "{flow}");
    let files = browser
        .value("[...document.querySelectorAll('.files a')].map((a) => a.getAttribute('href'))");
    let files: Vec<String> = serde_json::from_value(files).unwrap();
    assert!(files.len() >= 2, "{files:?}");
    for file in files {
        assert!(checkout.path("made").join(&file).is_file(), "{file} is not beside the report");
    }
    is_quiet(&browser, &page);
}

#[test]
fn the_matrix_is_walked_by_keyboard() {
    if !chromium::is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clients = ["a/b+one", "a/b+two", "a/b+three"];
    let cells: Vec<_> = clients
        .iter()
        .flat_map(|client| ["left", "middle", "right"].map(|broker| record(client, broker, "x")))
        // A hole in the middle.
        .filter(|cell| cell.cell.to_string() != "a/b+two/middle")
        .collect();
    write(folder.path(), &cells);
    let page = folder.path().join("report.html");
    let mut browser = Chromium::start();
    browser.open(&page, "");

    browser.press("Tab");
    assert_eq!(browser.text("document.activeElement.className"), "skip");
    let mut stops = 0;
    while browser.value("!!document.activeElement.closest('#matrix')") != json!(true) {
        browser.press("Tab");
        stops += 1;
        assert!(stops < 100, "no tab stop in the matrix");
    }
    let at = "document.activeElement.getAttribute('href')";
    assert_eq!(browser.text(at), "#cell=a/b+one/left");
    for (key, cell) in [
        ("ArrowRight", "a/b+one/middle"),
        ("ArrowDown", "a/b+three/middle"),
        ("ArrowDown", "a/b+three/middle"),
        ("End", "a/b+three/right"),
        ("ArrowUp", "a/b+two/right"),
        ("ArrowLeft", "a/b+two/left"),
    ] {
        browser.press(key);
        assert_eq!(browser.text(at), format!("#cell={cell}"), "after {key}");
    }
    // One tab stop: the next is beyond the matrix.
    assert_eq!(
        browser.value("document.querySelectorAll('#matrix a[tabindex=\"0\"]').length"),
        json!(1)
    );

    browser.press("Enter");
    browser.until("document.querySelector('#panel').open");
    assert_eq!(browser.text("location.hash"), "#cell=a/b+two/left");
    assert_eq!(browser.text("document.activeElement.id"), "panel-title");
    browser.value("document.querySelector('#after').click()");
    browser.until("document.querySelector('#panel-title').innerText === 'a/b+two with right'");
    browser.press("Escape");
    // The page hears of the closing a moment after the panel has gone: the focus is then on the cell
    // that was read.
    browser.until(&format!("{at} === '#cell=a/b+two/right'"));
    assert_eq!(browser.text("location.hash"), "");
    is_quiet(&browser, &page);
}

const HOSTILE: &str = "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=1'>\
    \"><svg onload=window.hacked=1> \u{1b}[2J\u{0}\u{202e}turned";

#[test]
fn what_a_device_says_does_no_harm() {
    if !chromium::is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cells = [record("a/b+one", "left", HOSTILE), record("a/b+one", "right", HOSTILE)];
    write(folder.path(), &cells);
    let files = folder.path().join("cells/a/b+one/left");
    let mut log =
        b"<script>window.hacked=1</script>\x1b[2J\0\x07\n\xff\xfe\xc3\x28 not text\n".to_vec();
    log.resize(10 * 1024 * 1024, b'<');
    fs::write(files.join("device.log"), &log).unwrap();
    let transcript = fs::read(files.join("transcript.jsonl")).unwrap();
    fs::write(files.join("transcript.jsonl"), [b"\xff{]\n".as_slice(), &transcript].concat())
        .unwrap();
    fs::write(folder.path().join("cells/a/b+one/right/device.log"), &log[..100]).unwrap();
    writers::write_reports(folder.path()).unwrap();

    let page = folder.path().join("report.html");
    assert!(fs::metadata(&page).unwrap().len() < 200_000, "the long line is not in it");
    let mut browser = Chromium::start();
    for broker in ["left", "right"] {
        browser.open(&page, &format!("#cell=a/b+one/{broker}"));
        browser.until("document.querySelector('#panel').open");
        let panel = browser.text("document.querySelector('#panel').innerText");
        assert!(panel.contains("</script><script>window.hacked=1</script><img"), "{panel}");
        assert!(panel.contains("\\u{1b}[2J\\u{0}\\u{202e}turned"), "{panel}");
        assert_eq!(browser.value("'hacked' in window"), json!(false));
        let foreign = "document.querySelectorAll('img, iframe, [onerror], [onload]').length";
        assert_eq!(browser.value(foreign), json!(0));
        let controls =
            r"/[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]/.test(document.documentElement.outerHTML)";
        assert_eq!(browser.value(controls), json!(false));
    }
    let right = browser.text("document.querySelector('#panel').innerText");
    assert!(right.contains("\\xff\\xfe\\xc3( not text"), "{right}");
    is_quiet(&browser, &page);

    // Were something to get in after all, the policy would still stop it.
    browser.value(
        "(() => { const script = document.createElement('script'); \
         script.textContent = 'window.hacked = 1'; document.body.append(script); \
         document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked=1\">'); })()",
    );
    browser.value("new Promise((done) => setTimeout(done, 0))");
    assert_eq!(browser.value("'hacked' in window"), json!(false));
    assert!(!browser.complaints().is_empty(), "the policy says what it stopped");
}

/// A cell in which everything that is free text says `text`.
fn record(client: &str, broker: &str, text: &str) -> CellRecord {
    let cell = json!({
        "cell": format!("{client}/{broker}"),
        "board": {"name": text, "kind": "qemu"},
        "build": "a/b",
        "client": client,
        "broker": broker,
        "verdict": "surprise",
        "outcome": {"result": "failed", "error": text, "close": "fin"},
        "predicted": {"result": "failed", "error": text, "close": "fin", "why": text,
            "trace": [{"suite": text, "why": text}], "steps": [{"step": text, "passes": false, "why": text}]},
        "surprises": [{"field": text, "expected": text, "seen": text}],
        "changes": [{"field": text, "expected": text, "seen": text}],
        "diagnosis": {"cause": "peer_closed", "summary": text, "evidence": [text], "fix": [text]},
        "recovery": {"why": text, "steps": [{"step": text, "took_ms": 1, "failed": text}]},
        "note": text,
        "client_hello": {"record_hex": "1603", "versions": [text], "suites": [text],
            "extensions": [text], "sni": text},
        "latency": {"unit": "instructions", "total": 1, "wall_ns": 1,
            "phases": [{"name": text, "compute": 1, "wait": 1}]},
        "heap_peak_bytes": 1,
    });
    serde_json::from_value(cell).unwrap()
}

/// Writes a run of these cells and its reports.
fn write(folder: &Path, cells: &[CellRecord]) {
    let text = &cells[0].board.name;
    let run = Run {
        schema: SCHEMA,
        id: text.clone(),
        started: text.clone(),
        finished: Some(text.clone()),
        interrupted: true,
        rig: text.clone(),
        suites: vec![text.clone()],
        board: cells[0].board.clone(),
        seed: 1,
        own_builds: Vec::new(),
        plan: cells.iter().map(|cell| cell.cell.clone()).collect(),
    };
    let mut transcript = Transcript::default();
    transcript.push(1, Seen::Fault { what: text.clone() });
    let mut open = RunFolder::open(folder, &run).unwrap();
    for cell in cells {
        open.append(cell, &transcript).unwrap();
    }
    writers::write_reports(folder).unwrap();
}
