//! What the tests of reports share: runs that were recorded by the real rig, and what may happen to
//! them.

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "this is test code, helpers included"
)]

use reports::record::{BoardName, ImageRecord, Recovery, RecoveryStep};
use reports::writers::Recorded;
use reports::{CellRecord, Verdict};
use std::path::Path;
use suites::OutcomeKind;
use suites::known::Deviation;
use suites::outcome::Outcome;
use suites::snapshot::Change;

/// A run of the suite `forum` as the rig recorded it on this kind of board, without its cells' files.
pub fn recorded(kind: &str) -> Recorded {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs").join(format!("forum-{kind}"));
    // A path that is the same on every machine.
    Recorded { folder: "runs/forum".into(), ..Recorded::read(&folder).unwrap() }
}

/// Text as it comes from a device that wants to do harm.
pub const HOSTILE: &str = "<script>alert(1)</script> ]]> &amp; \"'`|` @octocat #1 https://evil.example \u{1b}[31m\0\u{202e}\u{ffff}\r\n| x |";

/// That run with one cell of every verdict and kind of trouble, and with one that was not run.
pub fn troubled() -> Recorded {
    let mut recorded = recorded("qemu");
    let change = |field: &str, expected: &str, seen: &str| Change {
        field: field.to_owned(),
        expected: expected.to_owned(),
        seen: seen.to_owned(),
    };
    let cells = &mut recorded.cells;
    cells[0].verdict = Verdict::Changed;
    cells[0].changes = vec![change("error", "-0x7780", "-0x7280"), change("close", "none", "fin")];
    cells[1].verdict = Verdict::Surprise;
    cells[1].surprises = vec![change("result", "connected", "failed")];
    fault(&mut cells[2], "board qemu went away after phase client_hello");
    cells[3].verdict = Verdict::New;
    cells[4].verdict = Verdict::Skipped;
    cells[4].outcome = Outcome::bare(OutcomeKind::Unsupported);
    cells[4].diagnosis = None;
    cells[4].latency = None;
    cells[4].note = Some("the broker's program is not on this machine".to_owned());
    cells[5].verdict = Verdict::Unsupported;
    cells[5].outcome = Outcome::bare(OutcomeKind::Unsupported);
    cells[5].diagnosis = None;
    cells[5].note = Some("this build cannot do what the profile asks: a host name".to_owned());
    for cell in &mut cells[6..8] {
        cell.tries = 2;
        cell.recovery = Some(Recovery {
            why: "it hung while the rig waited for the result".to_owned(),
            steps: vec![
                RecoveryStep {
                    step: "abort".to_owned(),
                    took_ms: 500,
                    failed: Some("no answer within 500 ms".to_owned()),
                },
                RecoveryStep { step: "restart".to_owned(), took_ms: 71, failed: None },
            ],
        });
    }
    cells[7].verdict = Verdict::Changed;
    cells[7].outcome = Outcome::bare(OutcomeKind::TimedOut);
    cells[7].diagnosis = None;
    cells[8].verdict = Verdict::Surprise;
    cells[8].surprises = vec![change("error", "-0x7780", "-0x7280")];
    cells[8].known = Some(Deviation {
        cell: "mbedtls-2.4.0/*".to_owned(),
        board: None,
        reason: "the broker's makers have been told".to_owned(),
        link: "https://example.org/issues/7".to_owned(),
    });
    cells.pop();
    recorded
}

/// Makes a cell one in which something of the rig's broke.
pub fn fault(cell: &mut CellRecord, note: &str) {
    cell.verdict = Verdict::Fault;
    cell.outcome = Outcome::bare(OutcomeKind::RigFault);
    cell.diagnosis = None;
    cell.predicted = None;
    cell.latency = None;
    cell.note = Some(note.to_owned());
}

/// That run with hostile text wherever a record holds text from outside, 10 MB of it in one place.
pub fn hostile() -> Recorded {
    let mut recorded = recorded("qemu");
    let text = || HOSTILE.to_owned();
    let run = &mut recorded.run;
    run.id = text();
    run.board = BoardName { name: text(), kind: text() };
    run.suites = vec![text()];
    let kinds =
        [Verdict::Changed, Verdict::Surprise, Verdict::Fault, Verdict::New, Verdict::Skipped];
    for (cell, verdict) in recorded.cells.iter_mut().zip(kinds.into_iter().cycle()) {
        cell.verdict = verdict;
        cell.board = BoardName { name: text(), kind: text() };
        cell.note = Some(text());
        cell.outcome.error = Some(text());
        cell.image = Some(ImageRecord { id: text(), compilers: Some(text()), code_bytes: Some(1) });
        let change = Change { field: text(), expected: text(), seen: text() };
        cell.changes = vec![change.clone()];
        cell.surprises = vec![change];
        cell.tries = 2;
        cell.recovery = Some(Recovery { why: text(), steps: Vec::new() });
        if let Some(diagnosis) = &mut cell.diagnosis {
            diagnosis.summary = text();
            diagnosis.evidence = vec![text(), HOSTILE.repeat((10 << 20) / HOSTILE.len())];
            diagnosis.fix = vec![text()];
        }
    }
    recorded
}

/// Compares text with the snapshot `name` in `tests/snapshots`.
pub fn compare(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("../snapshots");
    settings.bind(|| insta::assert_snapshot!(name, text));
}
