//! What changed between two runs: each kind of change from one and the same real run, and what two
//! real runs on two kinds of board have to say to each other.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are test code"
)]

mod common;

use common::{HOSTILE, compare, fault, hostile, recorded};
use pulldown_cmark::{Event, Options, Parser};
use reports::diff::{Book, Diff, Kind, markdown, page};
use reports::writers::Recorded;
use reports::{Cause, CellRecord, Verdict};
use suites::OutcomeKind;
use suites::outcome::{Close, Outcome};

fn between(before: &Recorded, after: &Recorded) -> Diff {
    Diff::between(&Book::of_run(before), &Book::of_run(after))
}

/// The first cell of this result, and every figure of it known.
fn place(recorded: &Recorded, result: OutcomeKind) -> usize {
    let is = |cell: &CellRecord| cell.outcome.result == result && cell.measured().is_some();
    recorded.cells.iter().position(is).unwrap()
}

/// What one change of one cell of the qemu run becomes.
fn kind(result: OutcomeKind, change: impl FnOnce(&mut CellRecord)) -> Option<Kind> {
    let (before, mut after) = (recorded("qemu"), recorded("qemu"));
    let place = place(&after, result);
    change(&mut after.cells[place]);
    let diff = between(&before, &after);
    assert_eq!(diff.cells.len() + diff.unchanged, 20);
    assert!(diff.cells.len() < 2);
    diff.cells.first().map(|cell| cell.kind)
}

fn scale(cell: &mut CellRecord, permille: u64) {
    let latency = cell.latency.as_mut().unwrap();
    latency.total = latency.total * permille / 1000;
}

#[test]
fn a_run_beside_itself_has_not_changed() {
    for board in ["native", "qemu"] {
        let diff = between(&recorded(board), &recorded(board));
        assert_eq!((diff.cells.len(), diff.unchanged), (0, 20));
        assert!(!diff.is_worse() && !diff.is_undecided());
    }
}

#[test]
fn outcomes_are_the_same_on_two_kinds_of_board_and_figures_are_not_compared() {
    let diff = between(&recorded("native"), &recorded("qemu"));
    assert_eq!((diff.cells.len(), diff.unchanged), (0, 20));
    assert!(
        diff.notes.iter().any(|note| note.starts_with(
            "the boards are of different kinds, native and qemu: outcomes are compared"
        )),
        "{:?}",
        diff.notes
    );
    let native = between(&recorded("native"), &recorded("native"));
    assert!(native.notes[0].starts_with("time and memory are not compared: "), "{native:?}");
    let qemu = between(&recorded("qemu"), &recorded("qemu"));
    assert!(qemu.notes.iter().all(|note| !note.contains("not compared")), "{qemu:?}");
}

#[test]
fn a_connection_that_is_lost_is_broken_and_one_that_is_won_is_fixed() {
    let lost = kind(OutcomeKind::Connected, |cell| {
        cell.outcome = Outcome::bare(OutcomeKind::TimedOut);
    });
    assert_eq!(lost, Some(Kind::Broken));
    // A build that declares that it cannot do any more what it could.
    let declared = kind(OutcomeKind::Connected, |cell| {
        cell.outcome = Outcome::bare(OutcomeKind::Unsupported);
        cell.verdict = Verdict::Unsupported;
    });
    assert_eq!(declared, Some(Kind::Broken));
    let win = |cell: &mut CellRecord| {
        cell.outcome = recorded("qemu").cells[place(&recorded("qemu"), OutcomeKind::Connected)]
            .outcome
            .clone();
        cell.diagnosis.as_mut().unwrap().cause = Cause::NoFailure;
    };
    assert_eq!(kind(OutcomeKind::Failed, win), Some(Kind::Fixed));
}

#[test]
fn a_connection_that_a_check_should_have_stopped_is_changed_and_not_fixed() {
    let before = recorded("qemu");
    let connected = before.cells[place(&before, OutcomeKind::Connected)].outcome.clone();
    let refused = before
        .cells
        .iter()
        .position(|cell| cell.outcome.verify_flags.is_some())
        .expect("the forum suite has a client that refuses a certificate");
    let mut after = before.clone();
    after.cells[refused].outcome = connected.clone();
    let diff = between(&before, &after);
    assert_eq!(diff.cells[0].kind, Kind::Changed);
    let ignored = kind(OutcomeKind::Failed, |cell| {
        cell.outcome = connected.clone();
        cell.diagnosis.as_mut().unwrap().cause = Cause::VerifyFailureIgnored;
    });
    assert_eq!(ignored, Some(Kind::Changed));
    let surprising = kind(OutcomeKind::Failed, |cell| {
        cell.surprises = cell.outcome.changes(&connected);
        cell.outcome = connected.clone();
    });
    assert_eq!(surprising, Some(Kind::Changed));
}

#[test]
fn a_field_or_the_cause_alone_is_a_change() {
    let field = kind(OutcomeKind::Failed, |cell| cell.outcome.close = Close::Rst);
    assert_eq!(field, Some(Kind::Changed));
    let cause = kind(OutcomeKind::Failed, |cell| {
        cell.diagnosis.as_mut().unwrap().cause = Cause::InsufficientEvidence;
    });
    assert_eq!(cause, Some(Kind::Changed));
    let words = kind(OutcomeKind::Failed, |cell| {
        cell.diagnosis.as_mut().unwrap().summary = "the same in other words".to_owned();
    });
    assert_eq!(words, None);
}

#[test]
fn figures_count_beyond_their_tolerance_and_in_their_direction() {
    let connected = OutcomeKind::Connected;
    assert_eq!(kind(connected, |cell| scale(cell, 1030)), Some(Kind::Slower));
    assert_eq!(kind(connected, |cell| scale(cell, 970)), Some(Kind::Faster));
    // Static RSA may be off by one thousandth.
    assert_eq!(kind(connected, |cell| scale(cell, 1000)), None);
    let within = |cell: &mut CellRecord| {
        let latency = cell.latency.as_mut().unwrap();
        latency.total += latency.total / 1000;
    };
    assert_eq!(kind(connected, within), None);
    let heap = |bytes: i64| {
        move |cell: &mut CellRecord| {
            let heap = cell.heap_peak_bytes.as_mut().unwrap();
            *heap = heap.checked_add_signed(bytes).unwrap();
        }
    };
    assert_eq!(kind(connected, heap(4096)), Some(Kind::Heavier));
    assert_eq!(kind(connected, heap(-4096)), Some(Kind::Lighter));
    assert_eq!(kind(connected, heap(8)), None);
    let both = |cell: &mut CellRecord| {
        scale(cell, 970);
        heap(4096)(cell);
    };
    assert_eq!(kind(connected, both), Some(Kind::Heavier), "what is worse decides");
    let phase = |cell: &mut CellRecord| {
        cell.latency.as_mut().unwrap().phases[0].compute += 100_000;
    };
    assert_eq!(kind(connected, phase), Some(Kind::Slower), "one phase of a whole that stays");
}

#[test]
fn figures_of_other_compilers_are_not_compared_and_the_page_says_so() {
    let (before, mut after) = (recorded("qemu"), recorded("qemu"));
    for cell in &mut after.cells {
        cell.image.as_mut().unwrap().compilers = Some("rustc 9.9.9".to_owned());
        scale(cell, 2000);
    }
    let diff = between(&before, &after);
    assert_eq!(diff.cells, []);
    let note = "figures of 20 cells are not compared: their images come from other compilers";
    assert!(diff.notes.contains(&note.to_owned()), "{:?}", diff.notes);
}

#[test]
fn what_the_rig_broke_is_no_difference_of_the_client_and_what_is_not_planned_is_gone() {
    let before = recorded("qemu");
    let broken = kind(OutcomeKind::Connected, |cell| fault(cell, "the probe is gone"));
    assert_eq!(broken, Some(Kind::NoResult));
    let skipped = kind(OutcomeKind::Connected, |cell| {
        cell.verdict = Verdict::Skipped;
        cell.outcome = Outcome::bare(OutcomeKind::Unsupported);
    });
    assert_eq!(skipped, Some(Kind::NoResult));
    let mut killed = before.clone();
    killed.cells.truncate(15);
    let diff = between(&before, &killed);
    assert!(diff.is_undecided() && !diff.is_worse());
    assert_eq!((diff.of(Kind::NoResult).count(), diff.unchanged), (5, 15));
    assert_eq!(diff.cells[0].after, "planned, and not run");
    let mut smaller = killed.clone();
    smaller.run.plan.truncate(15);
    let diff = between(&before, &smaller);
    assert_eq!((diff.of(Kind::Gone).count(), diff.is_worse()), (5, true));
    let diff = between(&smaller, &before);
    assert_eq!((diff.of(Kind::New).count(), diff.is_worse()), (5, false));
    // Two faults are nothing to compare.
    let mut faults = before.clone();
    faults.cells.iter_mut().for_each(|cell| fault(cell, "no board"));
    assert_eq!(between(&faults, &faults).cells, []);
    assert_eq!(between(&faults, &before).of(Kind::New).count(), 20);
}

/// One of each kind, in one pair of runs.
fn everything() -> Diff {
    let (mut before, mut after) = (recorded("qemu"), recorded("qemu"));
    let connected: Vec<_> = (0..20)
        .filter(|place| before.cells[*place].outcome.result == OutcomeKind::Connected)
        .collect();
    let failed: Vec<_> = (0..20)
        .filter(|place| before.cells[*place].outcome.result == OutcomeKind::Failed)
        .collect();
    let won = after.cells[connected[0]].outcome.clone();
    after.run.id = "after".to_owned();
    after.cells[connected[0]].outcome = after.cells[failed[0]].outcome.clone();
    after.cells[connected[0]].diagnosis = after.cells[failed[0]].diagnosis.clone();
    scale(&mut after.cells[connected[1]], 1500);
    after.cells[connected[2]].heap_peak_bytes = Some(99_999);
    scale(&mut after.cells[connected[3]], 500);
    after.cells[connected[4]].heap_peak_bytes = Some(1_000);
    fault(&mut after.cells[connected[5]], "board qemu went away after phase client_hello");
    after.cells[failed[1]].outcome.error = Some("-0x6600".to_owned());
    after.cells[failed[2]].outcome = won;
    after.cells[failed[2]].diagnosis.as_mut().unwrap().cause = Cause::NoFailure;
    let image = after.cells[0].image.as_mut().unwrap();
    image.id = "0123456789abcdef".to_owned();
    // The last of the plan is gone, the one before it is new.
    after.cells.remove(19);
    after.run.plan.retain(|cell| after.cells.iter().any(|record| record.cell == *cell));
    before.cells.remove(18);
    before.run.plan.retain(|cell| before.cells.iter().any(|record| record.cell == *cell));
    between(&before, &after)
}

#[test]
fn the_worst_comes_first_in_every_format() {
    let diff = everything();
    let kinds: Vec<_> = diff.cells.iter().map(|cell| cell.kind).collect();
    assert_eq!(kinds, Kind::ALL, "one of each, in order");
    compare("diff_json", &serde_json::to_string_pretty(&diff).unwrap());
    compare("diff_markdown", &markdown(&diff));
    compare("diff_html", &page(&diff).unwrap());
}

#[test]
fn hostile_text_does_no_harm_in_any_format() {
    let mut after = hostile();
    after.run.board.kind = "qemu".to_owned();
    for cell in &mut after.cells {
        cell.board.kind = "qemu".to_owned();
        cell.changes.clear();
        if cell.verdict == Verdict::Fault {
            cell.note = Some(HOSTILE.repeat((10 << 20) / HOSTILE.len()));
        }
    }
    let diff = between(&recorded("qemu"), &after);
    assert!(diff.cells.len() > 10);
    let text = markdown(&diff);
    assert!(text.len() < 65_536, "{}", text.len());
    for event in Parser::new_ext(&text, Options::all()) {
        match event {
            // The one tag that this page writes itself.
            Event::InlineHtml(tag) => assert_eq!(&*tag, "<br>"),
            Event::Html(_) => panic!("{event:?}"),
            Event::Start(tag) => {
                assert!(!matches!(tag, pulldown_cmark::Tag::Link { .. }), "{tag:?}");
            }
            _ => {}
        }
    }
    let html = page(&diff).unwrap();
    assert!(html.len() < 1 << 20, "{}", html.len());
    assert!(!html.contains("<script") && html.contains("&#60;script"), "escaped");
    assert!(!html.contains(|c: char| c.is_control() && c != '\n'));
    let read: Diff = serde_json::from_str(&serde_json::to_string(&diff).unwrap()).unwrap();
    assert_eq!(read, diff);
}
