//! A device log that wants to do harm, in the folder of a run: whatever report is made of it, now or
//! later, holds nothing that a browser, a terminal or a server would obey.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use common::{HOSTILE, hostile};
use reports::transcript::{LogLine, printable};
use reports::writers::write_reports;
use reports::{RunFolder, Seen, Transcript};
use std::fs;

/// What a device sent: lines as the link hands them on, and one of 10 MB.
fn log() -> Transcript {
    let invalid = [HOSTILE.as_bytes(), b"\xff\xfe\xc3\x28 <img src=x onerror=alert(1)>"].concat();
    let mut transcript = Transcript::default();
    for (at, text) in [
        // As the link makes it safe ...
        printable(&invalid),
        printable(&invalid.repeat((10 << 20) / invalid.len())),
        // ... and as a folder from elsewhere may hold it.
        HOSTILE.to_owned(),
        HOSTILE.repeat((10 << 20) / HOSTILE.len()),
    ]
    .into_iter()
    .enumerate()
    {
        let line = LogLine { level: 1, file: HOSTILE.to_owned(), line: 1, text: text.clone() };
        transcript.push(u64::try_from(at).unwrap(), Seen::Log(line));
        transcript.push(u64::try_from(at).unwrap(), Seen::Noise { why: text.clone(), text });
    }
    transcript
}

#[test]
fn no_report_of_a_hostile_log_does_harm() {
    let folder = tempfile::tempdir().unwrap();
    let (of, log) = (hostile(), log());
    let mut open = RunFolder::open(folder.path(), &of.run).unwrap();
    for cell in of.cells.iter().take(5) {
        let quiet = Transcript::default();
        open.append(cell, if cell.cell == of.cells[0].cell { &log } else { &quiet }).unwrap();
    }
    let files = write_reports(folder.path()).unwrap();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let text = String::from_utf8(fs::read(&file).unwrap()).unwrap();
        assert!(text.len() < 15 << 20, "{name}: {} bytes", text.len());
        // In Markdown code is written as it is; its own tests read it as a renderer does.
        if name != "report.md" {
            assert!(!text.contains("<script>alert"), "{name}");
            assert!(!text.contains("<img"), "{name}");
        }
        let control = |c: char| c.is_control() && c != '\n';
        assert_eq!(text.find(control), None, "{name}: a control character");
        assert!(!text.contains('\u{202e}'), "{name}: text that turns its direction");
    }
}
