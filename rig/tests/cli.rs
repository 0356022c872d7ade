//! Whole commands through the built binary: what they say, where they say it, and how they end.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use common::{Checkout, Seen, children, runs, signal, until};
use reports::record::{CellRecord, Run, read_cells, read_run};
use rig::board::Kind;
use rstest::{Context, rstest};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;

/// More cells than a run gets through while a test notices that it has begun.
const MANY: usize = 80;

#[rstest]
#[case::unknown_suite("run smoek", 2)]
#[case::unknown_board("run smoke --board nativ", 2)]
#[case::unknown_command("rnu", 2)]
#[case::shard_out_of_range("run smoke --shard 3/2", 2)]
#[case::nothing_selected("run smoke --filter +psk", 4)]
#[case::shard_without_cells("run smoke --shard 3/3", 4)]
#[case::no_run_to_show("list upgrades nowhere", 2)]
fn what_was_asked_for_does_not_exist(
    #[context] context: Context,
    #[case] line: &str,
    #[case] code: i32,
) {
    let checkout = Checkout::new();
    let seen = checkout.rig(line);
    assert_eq!(seen.code, Some(code), "{seen}");
    assert!(!checkout.path("target/rig/runs").exists(), "no run was made");
    checkout.compare(context.description.unwrap(), seen);
}

#[rstest]
#[case::broken_suite("suites/matrix/smoke.toml", "summary = 'x'\n[[cells]\n")]
#[case::suite_with_unknown_broker(
    "suites/matrix/smoke.toml",
    "summary = 'x'\n[[cells]]\nclients = ['mbedtls-2.4.0/rsa-16384+default']\nbrokers = ['tls12-rsa-plane']\n"
)]
#[case::suite_with_unknown_build(
    "suites/matrix/smoke.toml",
    "summary = 'x'\n[[cells]]\nclients = ['mbedtls-2.4.0/rsa-16385+default']\nbrokers = ['tls12-rsa-plain']\n"
)]
#[case::broken_broker("suites/brokers/tls12-rsa-plain.toml", "summary = \n")]
#[case::unknown_key_in_broker(
    "suites/brokers/tls12-rsa-plain.toml",
    "summary = 'x'\nsource = 'x'\ncipher_suite = ['0x003d']\n"
)]
#[case::broken_snapshot(
    "suites/snapshots/smoke/mbedtls-2.4.0__rsa-16384+default.snap",
    "---\nsource: x\n---\n\"tls12-rsa-plain\": nothing\n"
)]
fn a_file_is_wrong(#[context] context: Context, #[case] file: &str, #[case] text: &str) {
    let checkout = Checkout::new();
    let file = checkout.path(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    let seen = checkout.rig("run smoke --board native");
    assert_eq!(seen.code, Some(2), "{seen}");
    assert_eq!(seen.stdout, "");
    checkout.compare(context.description.unwrap(), seen);
}

#[rstest]
fn lists(#[values("clients", "brokers", "suites", "cells")] what: &str) {
    let checkout = Checkout::new();
    let human = checkout.rig(&format!("list {what}"));
    assert_eq!((human.code, &*human.stderr), (Some(0), ""));
    checkout.compare(&format!("list_{what}"), &human);
    let json = checkout.rig(&format!("list {what} --format json"));
    assert_eq!((json.code, &*json.stderr), (Some(0), ""));
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(rows.len(), human.stdout.lines().count());
    for (row, line) in rows.iter().zip(human.stdout.lines()) {
        assert!(line.starts_with(row["name"].as_str().unwrap()), "{line}");
        assert!(line.ends_with(row["about"].as_str().unwrap()), "{line}");
    }
}

/// What these two say depends on the machine and on the stacks there are.
#[test]
fn lists_of_boards_and_builds() {
    let checkout = Checkout::new();
    let json = |what: &str| -> serde_json::Value {
        let seen = checkout.rig(&format!("list {what} --format json"));
        serde_json::from_str(&seen.stdout).unwrap()
    };
    let names = |rows: &serde_json::Value| -> Vec<String> {
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&json("boards")["kinds"]), ["ameba1", "qemu", "native"]);
    let human = checkout.rig("list boards").stdout;
    assert!(human.lines().take(3).all(|line| line.contains("run here")), "{human}");
    let builds = names(&json("builds"));
    let human = checkout.rig("list builds").stdout;
    // What belongs to a row's board is indented below it.
    assert_eq!(human.lines().filter(|line| !line.starts_with(' ')).count(), builds.len());
    for build in ["mbedtls-2.4.0/all-16384", "mbedtls-2.4.0/rsa-16384", "mbedtls-2.4.0/rsa-4096"] {
        assert!(builds.iter().any(|name| name == build), "{build} is missing in {builds:?}");
    }
}

/// Where the system keeps libraries and compilers is no matter of the search path.
fn without_what_depends_on_the_system(text: &str) -> String {
    let depends = ["C library for Cortex-M (newlib)", "Rust for thumbv7m-none-eabi"];
    let lines = text
        .lines()
        .filter(|line| !depends.iter().any(|what| line.contains(&format!(" {what}: "))));
    let mut text: String = lines.map(|line| format!("{line}\n")).collect();
    for what in depends {
        text = text.replace(&format!(", {what}"), "");
    }
    text
}

#[test]
fn doctor_names_what_is_missing_and_the_command_that_mends_it() {
    let checkout = Checkout::new();
    let seen = checkout.rig_on_a_bare_machine("doctor");
    assert_eq!(seen.code, Some(3), "{seen}");
    checkout.compare("doctor", without_what_depends_on_the_system(&seen.to_string()));
    let json = checkout.rig_on_a_bare_machine("doctor --format json");
    let checkups: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    for checkup in checkups.as_array().unwrap() {
        assert_eq!(checkup["ready"], false);
        for need in checkup["needs"].as_array().unwrap() {
            assert_ne!(need["found"].is_null(), need["mend"].is_null(), "{need}");
        }
    }
}

#[rstest]
#[case::no_emulator("run smoke --board qemu")]
#[case::no_compiler("run smoke --board native")]
fn a_tool_is_missing(#[context] context: Context, #[case] line: &str) {
    let checkout = Checkout::new();
    let seen = checkout.rig_on_a_bare_machine(line);
    assert_eq!(seen.code, Some(3), "{seen}");
    assert_eq!(seen.stdout, "");
    checkout.compare(context.description.unwrap(), seen);
}

#[test]
fn a_run_for_people() {
    let checkout = Checkout::accepted();
    let seen = checkout.rig("run smoke --board native --jobs 1 --out made");
    assert_eq!(seen.code, Some(0), "{seen}");
    checkout.compare("run_for_people", seen);
    let run = read_run(&checkout.path("made")).unwrap();
    assert!(run.finished.is_some() && !run.interrupted);
    assert_eq!(ids(&run, &read_cells(&checkout.path("made")).unwrap()), (run.plan.len(), 2));
    let log = fs::read_to_string(
        checkout.path("made/cells/mbedtls-2.4.0/rsa-16384+suiteb/tls12-rsa-plain/device.log"),
    );
    assert!(log.unwrap().contains("|2| => write client hello\n"));
    let latest = fs::canonicalize(checkout.path("target/rig/latest")).unwrap();
    assert_eq!(latest, fs::canonicalize(checkout.path("made")).unwrap());
}

#[test]
fn a_run_for_programs_has_one_line_for_each_cell_and_nothing_else_on_stdout() {
    let checkout = Checkout::accepted();
    let seen = checkout.rig("run smoke --board native --format json --out made");
    assert_eq!(seen.code, Some(0), "{seen}");
    let lines: Vec<CellRecord> =
        seen.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines, read_cells(&checkout.path("made")).unwrap(), "the same as in cells.jsonl");
    assert!(seen.stderr.starts_with("board: native, "), "{seen}");
}

#[test]
fn a_cell_that_is_not_as_its_snapshot_says_is_exit_code_1_until_it_is_accepted() {
    let checkout = Checkout::accepted();
    let file = "suites/snapshots/smoke/mbedtls-2.4.0__rsa-16384+suiteb.snap";
    let right = fs::read_to_string(checkout.path(file)).unwrap();
    fs::write(checkout.path(file), right.replace("-0x7780", "-0x7280")).unwrap();
    let line = "run smoke --board native --jobs 1 --filter +suiteb/";
    let seen = checkout.rig(line);
    assert_eq!(seen.code, Some(1), "{seen}");
    checkout.compare("changed", seen);
    let seen = checkout.rig(&format!("{line} --accept"));
    assert_eq!(seen.code, Some(0), "{seen}");
    let accepted = fs::read_to_string(checkout.path(file)).unwrap();
    assert!(accepted.contains("-0x7780") && !accepted.contains("-0x7280"), "{accepted}");
    assert_eq!(checkout.rig(line).code, Some(0));
}

#[test]
fn a_folder_that_holds_a_run_is_not_written_to() {
    let checkout = Checkout::accepted();
    let line = "run smoke --board native --filter +suiteb/ --out made";
    assert_eq!(checkout.rig(line).code, Some(0));
    let before = fs::read(checkout.path("made/run.json")).unwrap();
    let seen = checkout.rig(line);
    assert_eq!(seen.code, Some(2), "{seen}");
    checkout.compare("folder_holds_a_run", seen);
    assert_eq!(fs::read(checkout.path("made/run.json")).unwrap(), before);
    let seen = checkout.rig("run smoke --board native --resume nowhere");
    assert_eq!(seen.code, Some(2), "{seen}");
    checkout.compare("nothing_to_resume", seen);
}

/// How many different cells of the plan there are, and how many cells.
fn ids(run: &Run, cells: &[CellRecord]) -> (usize, usize) {
    let ids: BTreeSet<_> = cells.iter().map(|cell| &cell.cell).collect();
    (run.plan.iter().filter(|planned| ids.contains(planned)).count(), cells.len())
}

/// Goes on with a run that was cut off and checks that in the end each cell is there once.
fn resume(checkout: &Checkout, kind: Kind) {
    let folder = checkout.path("made");
    let before = read_cells(&folder).unwrap();
    let seen = checkout.rig(&format!("run long --board {kind} --resume made --format json"));
    // There is no snapshot of these cells.
    assert_eq!(seen.code, Some(1), "{seen}");
    assert_eq!(seen.stdout.lines().count(), MANY - before.len(), "only the others were run");
    let (run, after) = (read_run(&folder).unwrap(), read_cells(&folder).unwrap());
    assert_eq!(ids(&run, &after), (MANY, MANY));
    assert_eq!(after[..before.len()], before, "what was finished has not changed");
    assert!(run.finished.is_some() && !run.interrupted);
}

#[test]
fn ctrl_c_leaves_a_readable_run_and_no_process_and_the_run_can_go_on() {
    let checkout = Checkout::long(MANY);
    let rig = checkout.under_way(Kind::Native, 2);
    let boards = children(rig.id());
    assert!(!boards.is_empty(), "boards are processes");
    signal(rig.id(), Signal::INT);
    let seen = Seen::from(rig.wait_with_output().unwrap());
    assert_eq!(seen.code, Some(130), "{seen}");
    assert!(seen.stderr.contains("go on with `cargo rig run --resume made`"), "{seen}");
    assert!(boards.iter().all(|board| !runs(*board)), "no board is left");
    let run = read_run(&checkout.path("made")).unwrap();
    let cells = read_cells(&checkout.path("made")).unwrap();
    assert!(run.interrupted && run.finished.is_some());
    assert!((2..MANY).contains(&cells.len()), "{} cells", cells.len());
    for cell in &cells {
        assert_eq!(cell.outcome.result, suites::OutcomeKind::Connected, "{cell:?}");
    }
    resume(&checkout, Kind::Native);
}

#[rstest]
fn kill_9_loses_no_finished_cell_and_leaves_no_board(
    #[values(Kind::Native, Kind::Qemu)] kind: Kind,
) {
    if !common::can_run(kind) {
        return;
    }
    let checkout = Checkout::long(MANY);
    let mut rig = checkout.under_way(kind, 2);
    let boards = children(rig.id());
    assert!(!boards.is_empty(), "boards are processes");
    signal(rig.id(), Signal::KILL);
    rig.wait().unwrap();
    until("the end of the boards", 30, || boards.iter().all(|board| !runs(*board)).then_some(()));
    let run = read_run(&checkout.path("made")).unwrap();
    assert!(run.finished.is_none() && !run.interrupted);
    let cells = checkout.path("made/cells.jsonl");
    let whole = read_cells(&checkout.path("made")).unwrap();
    assert!((2..MANY).contains(&whole.len()), "{} cells", whole.len());
    // As if the end had come in the middle of a line.
    let mut text = fs::read(&cells).unwrap();
    let torn = text.iter().take(300).copied().collect::<Vec<_>>();
    text.extend(torn);
    fs::write(&cells, text).unwrap();
    assert_eq!(read_cells(&checkout.path("made")).unwrap(), whole);
    if kind == Kind::Native {
        resume(&checkout, kind);
    }
}
