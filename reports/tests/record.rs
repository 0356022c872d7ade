//! A run's folder survives what happens to runs: an end in mid-line, a second start, a second try.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

use reports::record::{BoardName, SCHEMA, read_cells, read_run};
use reports::{CellRecord, Run, RunFolder, Transcript, Verdict};
use rstest::rstest;
use std::fs;
use std::path::Path;

const CLIENT: &str = "mbedtls-2.4.0/rsa-16384+default";

fn cell(broker: &str, verdict: &str) -> CellRecord {
    let record = serde_json::json!({
        "cell": format!("{CLIENT}/{broker}"),
        "board": {"name": "native", "kind": "native"},
        "build": "mbedtls-2.4.0/rsa-16384",
        "client": CLIENT,
        "broker": broker,
        "verdict": verdict,
        "outcome": suites::outcome::Outcome::bare(suites::OutcomeKind::Connected),
    });
    serde_json::from_value(record).unwrap()
}

fn run() -> Run {
    Run {
        schema: SCHEMA,
        id: "test".to_owned(),
        started: "2026-01-01T00:00:00Z".to_owned(),
        finished: None,
        interrupted: false,
        rig: "0.1.0".to_owned(),
        suites: vec!["smoke".to_owned()],
        board: BoardName { name: "native".to_owned(), kind: "native".to_owned() },
        seed: 0x7280,
        plan: ["a", "b", "c"].map(|broker| cell(broker, "new").cell).to_vec(),
        own_builds: Vec::new(),
    }
}

/// Writes cells as one process does from its start to its end.
fn write(folder: &Path, cells: &[CellRecord]) {
    let mut open = RunFolder::open(folder, &run()).unwrap();
    for cell in cells {
        open.append(cell, &Transcript::default()).unwrap();
    }
}

#[test]
fn what_is_written_is_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/down");
    let mut open = RunFolder::open(&path, &run()).unwrap();
    assert_eq!(read_run(&path).unwrap(), run());
    for (index, broker) in ["b", "a"].iter().enumerate() {
        let record = cell(broker, "match");
        open.append(&record, &Transcript::default()).unwrap();
        let read = read_cells(&path).unwrap();
        assert_eq!(read.len(), index + 1, "in the order in which they finish");
        assert_eq!(read[index], record);
        let files = path.join("cells").join(CLIENT).join(broker);
        assert_eq!(open.cell_folder(&record.cell), files);
        assert!(files.join("device.log").is_file() && files.join("transcript.jsonl").is_file());
    }
    let ended = Run { finished: Some("2026-01-01T00:01:00Z".to_owned()), ..run() };
    open.write_run(&ended).unwrap();
    assert_eq!(read_run(&path).unwrap(), ended);
}

/// Wherever in its line the last cell was cut off: the others are read, and those that a later
/// process adds are, too.
#[rstest]
fn a_torn_line_costs_its_own_cell_alone(
    #[values("", "{", "{\"cell\": \"mbedt", "half of it", "all but the line feed", "\u{0}\u{0}")]
    rest: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[cell("a", "match")]);
    let file = folder.path().join("cells.jsonl");
    let mut text = fs::read(&file).unwrap();
    let line = serde_json::to_vec(&cell("b", "new")).unwrap();
    let torn = match rest {
        "half of it" => &line[..line.len() / 2],
        "all but the line feed" => &line[..],
        rest => rest.as_bytes(),
    };
    text.extend(torn);
    fs::write(&file, text).unwrap();
    // A line that lacks its line feed alone says all that it has to say.
    let before: &[_] = match rest {
        "all but the line feed" => &[cell("a", "match"), cell("b", "new")],
        _ => &[cell("a", "match")],
    };
    assert_eq!(read_cells(folder.path()).unwrap(), before);
    write(folder.path(), &[cell("c", "match")]);
    let after: Vec<_> = before.iter().cloned().chain([cell("c", "match")]).collect();
    assert_eq!(read_cells(folder.path()).unwrap(), after);
}

#[test]
fn the_second_try_of_a_cell_counts() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &[cell("a", "fault"), cell("b", "match")]);
    write(folder.path(), &[cell("a", "match")]);
    let read = read_cells(folder.path()).unwrap();
    assert_eq!(read, [cell("b", "match"), cell("a", "match")]);
    assert!(read.iter().all(|cell| cell.verdict == Verdict::Match));
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let none = read_run(&folder.path().join("none")).unwrap_err().to_string();
    assert!(none.contains("none/run.json"), "{none}");
    fs::write(folder.path().join("run.json"), "{").unwrap();
    let broken = read_run(folder.path()).unwrap_err().to_string();
    assert!(broken.starts_with("cannot read ") && broken.contains("run.json"), "{broken}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = RunFolder::open(&file, &run()).unwrap_err().to_string();
    assert!(error.starts_with("cannot create "), "{error}");
}
