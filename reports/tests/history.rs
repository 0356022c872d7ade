//! Runs over time: what passes, what is flaky, what a page of many runs holds.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use common::{compare, fault, hostile, recorded, troubled};
use reports::history::{History, page, percent};
use reports::record::ProfilesRecord;
use reports::writers::Recorded;
use reports::{CellRecord, RunFolder, Transcript, Verdict};
use suites::OutcomeKind;
use suites::outcome::Outcome;

/// The same real run, again and again, each with something of its own.
fn runs(count: usize, change: impl Fn(usize, &mut Recorded)) -> Vec<Recorded> {
    let run = |number: usize| {
        let mut recorded = recorded("qemu");
        recorded.run.id = format!("run-{number}");
        recorded.run.started = format!("2026-01-{:02}T00:00:00Z", number + 1);
        change(number, &mut recorded);
        recorded
    };
    (0..count).map(run).collect()
}

fn time_out(cell: &mut CellRecord) {
    cell.outcome = Outcome::bare(OutcomeKind::TimedOut);
    cell.diagnosis = None;
    cell.verdict = Verdict::Changed;
}

#[test]
fn another_outcome_of_the_same_image_is_a_flake() {
    let history = History::of(runs(5, |number, run| {
        if number == 3 {
            time_out(&mut run.cells[0]);
        }
    }));
    let flaky: Vec<_> = history.cells.iter().filter(|cell| cell.tally.flaky > 0).collect();
    assert_eq!(flaky.len(), 1);
    assert_eq!((flaky[0].tally.flaky, flaky[0].tally.repeated), (1, 5));
    let flakes: Vec<_> = flaky[0].points.iter().map(|point| point.flake).collect();
    assert_eq!(flakes, [false, false, false, true, false]);
    let board = &history.boards[0].tally;
    assert_eq!((board.flaky, board.repeated, board.results, board.as_expected), (1, 100, 100, 99));
    assert_eq!((history.runs[3].tally.flaky, history.runs[2].tally.flaky), (1, 0));
}

#[test]
fn another_image_another_kind_of_board_or_a_fault_is_no_flake() {
    let image = History::of(runs(2, |number, run| {
        if number == 1 {
            time_out(&mut run.cells[0]);
            run.cells[0].image.as_mut().unwrap().id = "another".to_owned();
        }
    }));
    assert_eq!(image.boards[0].tally.flaky, 0);
    assert_eq!(image.boards[0].tally.repeated, 38, "neither of the two has one to compare with");
    let faulty = History::of(runs(2, |number, run| {
        if number == 1 {
            fault(&mut run.cells[0], "no board");
        }
    }));
    let tally = faulty.boards[0].tally;
    assert_eq!((tally.flaky, tally.faults, tally.results), (0, 1, 39));
    let mut other = recorded("native");
    for cell in &mut other.cells {
        time_out(cell);
    }
    let kinds = History::of([recorded("qemu"), other]);
    assert_eq!((kinds.boards.len(), kinds.cells.len()), (2, 40));
    assert!(kinds.boards.iter().all(|board| board.tally.flaky == 0));
}

fn note_profiles(run: &mut Recorded, broker: &str, client: &str) {
    for cell in &mut run.cells {
        let (broker, client) = (broker.to_owned(), client.to_owned());
        cell.profiles = Some(ProfilesRecord { client, broker });
    }
}

#[test]
fn another_outcome_after_an_edit_is_no_flake_and_the_edit_is_told() {
    let history = History::of(runs(4, |number, run| {
        let edited = number >= 2;
        note_profiles(run, if edited { "new" } else { "old" }, "same");
        if edited {
            time_out(&mut run.cells[0]);
        }
    }));
    assert_eq!(history.boards[0].tally.flaky, 0);
    assert_eq!(history.boards[0].tally.repeated, 80, "two with the old content, two with the new");
    let told: Vec<_> = history
        .edits
        .iter()
        .map(|edit| (edit.run, edit.of.as_str(), edit.profile.as_str(), edit.cells, edit.changed))
        .collect();
    assert_eq!(told.len(), 4, "each broker of the run once: {told:?}");
    let first = recorded("qemu").cells[0].broker.clone();
    for (run, of, profile, cells, changed) in told {
        assert_eq!((run, of, cells), (2, "broker", 5), "{profile}");
        assert_eq!(changed, usize::from(profile == first), "{profile}");
    }
    // The same content on both sides: then it is a flake.
    let flaky = History::of(runs(3, |number, run| {
        note_profiles(run, "same", "same");
        if number == 1 {
            time_out(&mut run.cells[0]);
        }
    }));
    assert_eq!((flaky.boards[0].tally.flaky, flaky.edits.len()), (1, 0));
    // An edited profile of the client is told as one.
    let client = History::of(runs(2, |number, run| {
        note_profiles(run, "same", if number == 0 { "old" } else { "new" });
    }));
    assert!(client.edits.iter().all(|edit| edit.of == "client" && edit.changed == 0));
    assert_eq!(client.edits.iter().map(|edit| edit.cells).sum::<usize>(), 20);
}

/// Records of an older rig do not say what their profiles were, and are read all the same.
#[test]
fn records_without_profiles_are_compared_among_each_other() {
    let history = History::of(runs(4, |number, run| {
        if number >= 2 {
            note_profiles(run, "new", "new");
        }
        if number == 1 || number == 2 {
            time_out(&mut run.cells[0]);
        }
    }));
    let tally = history.boards[0].tally;
    assert_eq!((tally.repeated, tally.flaky), (80, 2), "one of the old pair, one of the new one");
    assert_eq!(history.edits, [], "of what was not noted nothing can be said");
}

#[test]
fn of_two_outcomes_as_frequent_the_first_is_the_usual_one() {
    let history = History::of(runs(2, |number, run| {
        if number == 1 {
            time_out(&mut run.cells[0]);
        }
    }));
    let cell = history.cells.iter().find(|cell| cell.tally.flaky > 0).unwrap();
    assert_eq!((cell.tally.flaky, cell.tally.repeated), (1, 2));
    assert!(!cell.points[0].flake && cell.points[1].flake);
}

#[test]
fn a_page_of_some_runs() {
    let history = History::of(runs(4, |number, run| {
        let slower = u64::try_from(number).unwrap() * 50_000;
        run.cells[5].latency.as_mut().unwrap().total += slower;
        if number == 2 {
            time_out(&mut run.cells[0]);
        }
        note_profiles(run, if number == 0 { "old" } else { "new" }, "same");
        // Few cells make a snapshot that a person reads.
        run.cells.truncate(6);
        run.run.plan.truncate(7);
    }));
    assert_eq!(history.runs[0].unfinished, 1);
    compare("history_html", &page(&history).unwrap());
}

#[test]
fn many_cells_and_runs_make_a_page_of_bearable_size_that_says_what_is_missing() {
    let history = History::of(runs(60, |number, run| {
        let cells = run.cells.clone();
        for copy in 0..50 {
            for cell in &cells {
                let mut cell = cell.clone();
                cell.cell.broker = format!("{}-{copy}", cell.broker);
                if (number, copy) == (7, 13) {
                    time_out(&mut cell);
                }
                run.cells.push(cell);
            }
        }
    }));
    let text = page(&history).unwrap();
    assert!(text.len() < 2 << 20, "{}", text.len());
    assert!(text.contains("520 more cells are left out here"), "20 and 1000, less 500");
    let first = text.split("<h2>Cells</h2>").nth(1).unwrap();
    assert!(first.split("</tr>").nth(1).unwrap().contains("1.7 % (1 of 60)"), "flaky ones first");
}

#[test]
fn hostile_runs_do_no_harm() {
    let history = History::of([hostile(), troubled(), hostile()]);
    let text = page(&history).unwrap();
    assert!(!text.contains("<script"));
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
    let read: History = serde_json::from_str(&serde_json::to_string(&history).unwrap()).unwrap();
    assert_eq!(read, history);
}

#[test]
fn a_folder_is_read_in_the_order_of_time_and_a_broken_run_costs_itself_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, run) in ["z", "a"].into_iter().zip(runs(2, |_, _| {})) {
        let mut open = RunFolder::open(&path(name), &run.run).unwrap();
        for cell in &run.cells {
            open.append(cell, &Transcript::default()).unwrap();
        }
    }
    std::fs::create_dir_all(path("broken")).unwrap();
    std::fs::write(path("broken/run.json"), "{").unwrap();
    std::fs::create_dir_all(path("something-else")).unwrap();
    std::fs::write(path("history.html"), "").unwrap();
    let history = History::read(folder.path()).unwrap();
    let ids: Vec<_> = history.runs.iter().map(|run| &*run.id).collect();
    assert_eq!(ids, ["run-0", "run-1"]);
    assert_eq!(history.unreadable.len(), 1);
    assert!(history.unreadable[0].contains("broken/run.json"), "{:?}", history.unreadable);
    assert!(History::read(&path("nowhere")).is_err());
}

#[test]
fn a_part_of_nothing_is_no_number() {
    assert_eq!((&*percent(1, 3), &*percent(0, 0)), ("33.3 %", "-"));
}
