//! What the page of 10,000 cells costs to write, and a browser to draw.
//!
//! ```sh
//! cargo bench -p reports --bench page
//! ```
//!
//! The cells are those of a real run with a real handshake's transcript, under a hundred clients' and a
//! hundred brokers' names. Two comparisons, each with a line that begins with `ratio `:
//!
//! * **written**: the page made of the record. Beside it the least that must be done for it: the same
//!   record read. Ratio = written / read.
//! * **drawn**: a browser that is started, draws the page, takes a picture of it and ends. Beside it the
//!   same with a page of one line. Ratio = drawn / that. Without a browser it is left out.
//!
//! Both sides take turns, so that a busy machine slows both, and the figures are medians. Nothing is
//! asserted about time.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark says what it measured")]

use reports::record::read_run;
use reports::writers::Recorded;
use reports::{RunFolder, Transcript, html};
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const CLIENTS: usize = 100;
const BROKERS: usize = 100;
const TURNS: usize = 5;
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("figures come from `cargo bench -p reports --bench page`");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    record(folder.path());
    let (mut read, mut written, mut page) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let began = Instant::now();
        let recorded = Recorded::read(folder.path()).unwrap();
        read.push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        page = black_box(html::page(&recorded).unwrap());
        written.push(began.elapsed().as_secs_f64());
    }
    let (read, written) = (median(read), median(written));
    let megabytes = page.len() as f64 / 1e6;
    println!(
        "page of 10,000 cells, {megabytes:.1} MB: {written:.2} s; its record read: {read:.2} s"
    );
    println!("ratio {:.1}", written / read);

    let (full, bare) = (folder.path().join("report.html"), folder.path().join("bare.html"));
    std::fs::write(&full, page).unwrap();
    std::fs::write(&bare, "<!doctype html><title>bare</title><p>bare</p>").unwrap();
    let Some(browser) = BROWSERS.into_iter().find(|name| draw(name, &bare).is_some()) else {
        println!("drawn: left out: there is none of {}", BROWSERS.join(", "));
        return;
    };
    let (mut drawn, mut started) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        drawn.push(draw(browser, &full).unwrap());
        started.push(draw(browser, &bare).unwrap());
    }
    let (drawn, started) = (median(drawn), median(started));
    println!("drawn by {browser}: {drawn:.2} s; a page of one line: {started:.2} s");
    println!("ratio {:.1}", drawn / started);
}

/// A run's folder with 10,000 cells.
fn record(folder: &Path) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let real = Recorded::read(&tests.join("runs/forum-qemu")).unwrap();
    let transcripts = ["the_fix", "the_thread", "tls13_alone", "suiteb_refuses_the_certificate"];
    let transcripts = transcripts.map(|name| {
        let text =
            std::fs::read_to_string(tests.join(format!("transcripts/{name}.jsonl"))).unwrap();
        Transcript::from_jsonl(&text).unwrap()
    });
    let mut run = read_run(&tests.join("runs/forum-qemu")).unwrap();
    let mut cells = Vec::new();
    for client in 0..CLIENTS {
        for broker in 0..BROKERS {
            let number = client * BROKERS + broker;
            let mut cell =
                real.cells.iter().cycle().nth(number % real.cells.len()).unwrap().clone();
            cell.client.profile = format!("profile-{client}");
            cell.broker = format!("broker-{broker}");
            cell.cell.client.clone_from(&cell.client);
            cell.cell.broker.clone_from(&cell.broker);
            // No two take the same time: equal figures pack better than real ones.
            if let Some(latency) = &mut cell.latency {
                latency.total += number as u64 * 7919 % 1_000_003;
            }
            cells.push(cell);
        }
    }
    run.plan = cells.iter().map(|cell| cell.cell.clone()).collect();
    let mut open = RunFolder::open(folder, &run).unwrap();
    for (cell, transcript) in cells.iter().zip(transcripts.iter().cycle()) {
        open.append(cell, transcript).unwrap();
    }
}

/// Seconds from a browser's start to its end; none if it cannot be started or draws nothing.
fn draw(browser: &str, page: &Path) -> Option<f64> {
    let folder = page.parent()?;
    let picture = folder.join("picture.png");
    let _ = std::fs::remove_file(&picture);
    let began = Instant::now();
    let status = Command::new(browser)
        .args(["--headless", "--disable-gpu", "--no-sandbox", "--window-size=1280,2000"])
        .arg(format!("--user-data-dir={}", folder.join("browser").display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok()?;
    let took = began.elapsed().as_secs_f64();
    (status.success() && picture.exists()).then_some(took)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
