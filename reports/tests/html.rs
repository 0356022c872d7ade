//! `report.html` as text: what stands in it, what it allows, how large it gets. How it behaves is
//! seen in a real browser, by the tests of `rig`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

use data_encoding::BASE64;
use flate2::read::ZlibDecoder;
use reports::record::{BoardName, SCHEMA};
use reports::writers::Recorded;
use reports::{CellRecord, Run, RunFolder, Transcript, html};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;

fn transcript(name: &str) -> Transcript {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let text = std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).unwrap();
    Transcript::from_jsonl(&text).unwrap()
}

fn cell(client: &str, broker: &str, more: Value) -> CellRecord {
    let (build, _) = client.split_once('+').unwrap();
    let mut cell = json!({
        "cell": format!("{client}/{broker}"),
        "board": {"name": "qemu", "kind": "qemu"},
        "build": build,
        "client": client,
        "broker": broker,
    });
    cell.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(cell).unwrap()
}

fn connected(verdict: &str) -> Value {
    json!({
        "verdict": verdict,
        "outcome": {"result": "connected", "stage": "over", "version": "TLS1.2", "cipher_suite": "0x003d",
            "close": "none", "mqtt": "connack:0"},
        "diagnosis": {"cause": "no_failure", "summary": "connected", "evidence": [], "fix": []},
        "latency": {"unit": "instructions", "total": 5_812_345, "wall_ns": 9_000_000, "phases": [
            {"name": "client_hello", "compute": 12_345, "wait": 0},
            {"name": "client_key_exchange", "compute": 5_800_000, "wait": 700},
        ]},
        "heap_peak_bytes": 46_754,
    })
}

fn failed(verdict: &str, summary: &str) -> Value {
    json!({
        "verdict": verdict,
        "outcome": {"result": "failed", "stage": "server_hello", "error": "-0x7280", "close": "fin"},
        "changes": [{"field": "outcome.error", "expected": "-0x7780", "seen": "-0x7280"}],
        "diagnosis": {"cause": "no_ciphersuite_offered", "summary": summary,
            "evidence": ["wire: the list is [0x00ff]"], "fix": ["use MBEDTLS_SSL_PRESET_DEFAULT"]},
    })
}

/// The page of these cells and one that the run did not come to.
fn page(folder: &Path, cells: &[(CellRecord, &Transcript)]) -> String {
    let mut plan: Vec<_> = cells.iter().map(|(cell, _)| cell.cell.clone()).collect();
    plan.push("mbedtls-2.4.0/rsa-4096+default/never".parse().unwrap());
    let run = Run {
        schema: SCHEMA,
        id: "test".to_owned(),
        started: "2026-01-01T00:00:00Z".to_owned(),
        finished: None,
        interrupted: true,
        rig: "0.1.0".to_owned(),
        suites: vec!["forum".to_owned()],
        board: BoardName { name: "qemu".to_owned(), kind: "qemu".to_owned() },
        seed: 0x7280,
        own_builds: Vec::new(),
        plan,
    };
    let mut open = RunFolder::open(folder, &run).unwrap();
    for (cell, transcript) in cells {
        open.append(cell, transcript).unwrap();
    }
    String::from_utf8(html::page(&Recorded::read(folder).unwrap()).unwrap()).unwrap()
}

fn small() -> String {
    let folder = tempfile::tempdir().unwrap();
    let (thread, fix) = (transcript("the_thread"), transcript("the_fix"));
    let suiteb = "mbedtls-2.4.0/rsa-16384+suiteb";
    page(
        folder.path(),
        &[
            (cell(suiteb, "hivemq-cloud-2021", failed("changed", "the list is <empty>")), &thread),
            (cell(suiteb, "other", failed("match", "the list is <empty>")), &thread),
            (
                cell("mbedtls-2.4.0/rsa-16384+default", "hivemq-cloud-2021", connected("match")),
                &fix,
            ),
        ],
    )
}

/// What stands between two marks, without them.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap();
    rest.split_once(to).unwrap().0
}

/// The panels of one row: the parts, and by broker which of them.
fn panels(page: &str, row: usize) -> Value {
    let packed = between(page, &format!("id=\"row-{row}\">"), "</script>");
    let packed = BASE64.decode(packed.as_bytes()).unwrap();
    let mut plain = Vec::new();
    ZlibDecoder::new(&*packed).read_to_end(&mut plain).unwrap();
    serde_json::from_slice(&plain).unwrap()
}

fn panel(page: &str, row: usize, broker: &str) -> String {
    let panels = panels(page, row);
    let of = panels["cells"][broker].as_array().unwrap().iter();
    of.map(|part| panels["parts"][part.as_u64().unwrap() as usize].as_str().unwrap()).collect()
}

#[test]
fn the_words_and_the_matrix() {
    let page = small();
    insta::assert_snapshot!("page", between(&page, "<body>", "<dialog"));
}

#[test]
fn a_panel_tells_all_of_a_cell() {
    insta::assert_snapshot!("panel_failed", panel(&small(), 0, "hivemq-cloud-2021"));
    insta::assert_snapshot!("panel_connected", panel(&small(), 1, "hivemq-cloud-2021"));
}

#[test]
fn cells_of_one_client_share_what_is_alike() {
    let panels = panels(&small(), 0);
    let (parts, cells) = (panels["parts"].as_array().unwrap(), &panels["cells"]);
    let used = |broker: &str| cells[broker].as_array().unwrap().clone();
    assert!(parts.len() < used("hivemq-cloud-2021").len() + used("other").len());
    let shared =
        used("other").iter().filter(|part| used("hivemq-cloud-2021").contains(part)).count();
    assert!(shared >= 2, "diagnosis and log are the same: {panels}");
}

#[test]
fn the_policy_names_what_stands_in_the_page() {
    let page = small();
    let policy =
        between(&page, "Content-Security-Policy\" content=\"", "\">").replace("&#39;", "'");
    let hash = |text: &str| format!("'sha256-{}'", BASE64.encode(&Sha256::digest(text)));
    let style = hash(between(&page, "<style>", "</style>"));
    let script = hash(between(&page, "\n<script>", "</script>"));
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; style-src {style}; script-src {script}; img-src data:; base-uri 'none'; form-action 'none'"
        )
    );
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        // The icon's namespace is a name, and no address that anything is loaded from.
        let page = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!page.contains(outside), "{outside} is in the page");
    }
}

/// A tenth of a run of 10,000 cells: ten of its hundred clients, with all of its hundred brokers.
/// A row is packed by itself, so ten times as many rows make a page ten times as large.
#[test]
fn ten_thousand_cells_are_less_than_15_megabytes() {
    let names = ["the_fix", "the_thread", "tls13_alone", "suiteb_refuses_the_certificate"];
    let real: Vec<Transcript> = names.into_iter().map(transcript).collect();
    let mut number = 7_u64;
    // No two cells take the same time: equal figures would pack better than real ones.
    let mut random = move |below: u64| {
        number =
            number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (number >> 33) % below
    };
    let mut made = Vec::new();
    for client in 0..10 {
        for broker in 0..100 {
            let mut more = match broker % 4 {
                0 | 2 => connected("match"),
                _ => failed("match", "the ClientHello offers no cipher suite"),
            };
            let phases: Vec<_> = (0..23)
                .map(|phase| json!({"name": format!("phase_{phase}"), "compute": random(9_999_999), "wait": random(9_999_999)}))
                .collect();
            more["latency"] = json!({"unit": "ns", "total": random(9_999_999), "wall_ns": random(9_999_999), "phases": phases});
            let record = cell(
                &format!("mbedtls-2.4.0/rsa+profile-{client}"),
                &format!("broker-{broker}"),
                more,
            );
            let mut later = Transcript::default();
            for entry in real[broker % real.len()].entries() {
                later.push(entry.at_ns + random(99_999_999), entry.seen.clone());
            }
            made.push((record, later));
        }
    }
    let cells: Vec<_> =
        made.iter().map(|(record, transcript)| (record.clone(), transcript)).collect();
    let folder = tempfile::tempdir().unwrap();
    let size = page(folder.path(), &cells).len();
    assert!(size < 1_500_000, "{size} bytes");
}

#[test]
fn a_run_of_several_stacks_has_upgrade_tables() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrades");
    let recorded = Recorded::read(&folder).unwrap();
    let page = String::from_utf8(html::page(&recorded).unwrap()).unwrap();
    let section = between(&page, "<section id=\"upgrades\"", "</section>");
    for part in
        ["<th scope=\"col\">mbedtls-2.4.0<small>code ", "emulated: qemu", " M, heap ", ">no: "]
    {
        assert!(section.contains(part), "{part} is not in {section}");
    }
    assert!(!small().contains("id=\"upgrades\""), "one stack alone is no upgrade");
}
