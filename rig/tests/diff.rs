//! `rig diff` and `rig history` through the built binary, on real runs of the native board.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use common::{Checkout, Seen};
use reports::diff::{Diff, Kind};
use reports::history::History;
use rig::project::Project;
use rstest::{Context, rstest};
use std::fs;

const BROKER: &str = "suites/brokers/tls12-rsa-plain.toml";
const SNAPSHOT: &str = "suites/snapshots/smoke/mbedtls-2.4.0__rsa-16384+suiteb.snap";

/// Runs the suite of the checkout into the folder `out`.
fn run(checkout: &Checkout, out: &str) -> Seen {
    checkout.rig(&format!("run smoke --board native --jobs 1 --out {out}"))
}

/// The broker loses what the older client can do, as with an upgrade.
fn upgrade(checkout: &Checkout) {
    let newer = Project::find().unwrap().suites().join("brokers/tls13-only-rustls.toml");
    fs::copy(newer, checkout.path(BROKER)).unwrap();
}

fn text_without_times(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once(", begun ") {
        Some((start, rest)) => {
            let (_, rest) = rest.split_once(", ").unwrap_or_default();
            format!("{start}, begun [time], {rest}\n")
        }
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn two_runs_and_an_upgrade_of_the_broker_between_them() {
    let checkout = Checkout::accepted();
    assert_eq!(run(&checkout, "one").code, Some(0));
    assert_eq!(run(&checkout, "two").code, Some(0));
    let same = checkout.rig("diff one two");
    assert_eq!(same.code, Some(0), "{same}");
    assert!(same.stdout.ends_with("\n2 unchanged\n"), "{same}");
    upgrade(&checkout);
    let upgraded = run(&checkout, "three");
    assert_eq!(upgraded.code, Some(1), "{upgraded}");
    let worse = checkout.rig("diff two three");
    assert_eq!(worse.code, Some(1), "{worse}");
    checkout.compare("diff_worse", text_without_times(&worse.to_string()));
    let better = checkout.rig("diff three two --format json");
    assert_eq!((better.code, &*better.stderr), (Some(1), ""), "the other client has changed back");
    let diff: Diff = serde_json::from_str(&better.stdout).unwrap();
    assert_eq!((diff.of(Kind::Fixed).count(), diff.of(Kind::Changed).count()), (1, 1));
    let filed = checkout.rig("diff two three --out made/diff");
    assert_eq!(filed.code, Some(1), "{filed}");
    for (file, says) in [
        ("diff.html", "No longer connects (1)"),
        ("diff.md", "### No longer connects (1)"),
        ("diff.json", "\"kind\": \"broken\""),
    ] {
        let text = fs::read_to_string(checkout.path("made/diff").join(file)).unwrap();
        assert!(text.contains(says), "{file}: {text}");
    }
}

#[test]
fn a_run_alone_is_held_against_the_snapshots_of_today() {
    let checkout = Checkout::accepted();
    assert_eq!(run(&checkout, "made").code, Some(0));
    let same = checkout.rig("diff made");
    assert_eq!(same.code, Some(0), "{same}");
    let right = fs::read_to_string(checkout.path(SNAPSHOT)).unwrap();
    fs::write(checkout.path(SNAPSHOT), right.replace("-0x7780", "-0x7280")).unwrap();
    let changed = checkout.rig("diff made");
    assert_eq!(changed.code, Some(1), "{changed}");
    checkout.compare("diff_snapshots", text_without_times(&changed.to_string()));
    fs::remove_dir_all(checkout.path("suites/snapshots")).unwrap();
    let new = checkout.rig("diff made --format json");
    assert_eq!(new.code, Some(0), "{new}");
    let diff: Diff = serde_json::from_str(&new.stdout).unwrap();
    assert_eq!(diff.of(Kind::New).count(), 2);
}

#[test]
fn a_fault_of_the_rig_in_the_newer_run_leaves_it_undecided() {
    let checkout = Checkout::accepted();
    assert_eq!(run(&checkout, "one").code, Some(0));
    assert_eq!(run(&checkout, "two").code, Some(0));
    // As a run leaves it that was killed after its first cell.
    let cells = checkout.path("two/cells.jsonl");
    let first = fs::read_to_string(&cells).unwrap().lines().next().unwrap().to_owned() + "\n";
    fs::write(&cells, first).unwrap();
    let seen = checkout.rig("diff one two");
    assert_eq!(seen.code, Some(3), "{seen}");
    assert!(seen.stdout.contains("No result any more (1)"), "{seen}");
}

#[test]
fn runs_over_time() {
    let checkout = Checkout::accepted();
    for number in 0..3 {
        assert_eq!(run(&checkout, &format!("runs/{number}")).code, Some(0));
    }
    let steady = checkout.rig("history runs --format json");
    assert_eq!(steady.code, Some(0), "{steady}");
    let history: History = serde_json::from_str(&steady.stdout).unwrap();
    assert_eq!((history.runs.len(), history.cells.len()), (3, 2));
    let tally = history.boards[0].tally;
    assert_eq!((tally.results, tally.as_expected, tally.repeated, tally.flaky), (6, 6, 6, 0));
    let page = fs::read_to_string(checkout.path("runs/history.html")).unwrap();
    assert!(page.contains("<h1>History of 3 runs</h1>") && page.contains("<polyline"), "{page}");
    let filed: History =
        serde_json::from_slice(&fs::read(checkout.path("runs/history.json")).unwrap()).unwrap();
    assert_eq!(filed, history);
    // The same images against another broker are no flake: the record holds what the profiles were.
    upgrade(&checkout);
    assert_eq!(run(&checkout, "runs/3").code, Some(1));
    // An edited comment is no other profile.
    let text = fs::read_to_string(checkout.path(BROKER)).unwrap();
    fs::write(checkout.path(BROKER), format!("# a comment\n{text}")).unwrap();
    assert_eq!(run(&checkout, "runs/4").code, Some(1));
    let seen = checkout.rig("history runs --out www");
    assert_eq!(seen.code, Some(0), "{seen}");
    checkout.compare("history", seen);
    assert!(checkout.path("www/history.html").exists());
}

#[rstest]
#[case::diff_without_a_run("diff nowhere", 2)]
#[case::history_of_nothing("history empty", 4)]
#[case::history_nowhere("history nowhere", 2)]
#[case::history_of_one_run("history run", 2)]
fn what_was_asked_for_is_not_there(
    #[context] context: Context,
    #[case] line: &str,
    #[case] code: i32,
) {
    let checkout = Checkout::new();
    fs::create_dir_all(checkout.path("empty")).unwrap();
    fs::create_dir_all(checkout.path("run")).unwrap();
    fs::write(checkout.path("run/run.json"), "{}").unwrap();
    let seen = checkout.rig(line);
    assert_eq!((seen.code, &*seen.stdout), (Some(code), ""), "{seen}");
    checkout.compare(context.description.unwrap(), seen);
}

/// One broker's profile is edited, and every client that speaks to it changes: that is one thing to
/// say, on the console and in every report.
#[test]
fn cells_that_changed_in_the_same_way_are_told_as_one() {
    let checkout = Checkout::new();
    let builds = ["rsa-4096", "rsa-16384", "all-4096", "all-16384", "arduino-16384"];
    let mut clients = builds.map(|build| format!("mbedtls-2.4.0/{build}+default")).to_vec();
    clients.push("mbedtls-2.4.0/rsa-16384+suiteb".to_owned());
    fs::copy(checkout.path(BROKER), checkout.path("suites/brokers/other.toml")).unwrap();
    let suite = format!(
        "summary = 'many clients'\n[[cells]]\nclients = {clients:?}\n\
         brokers = ['tls12-rsa-plain', 'other']\n"
    );
    fs::write(checkout.path("suites/matrix/many.toml"), suite).unwrap();
    let run = |more: &str| checkout.rig(&format!("run many --board native --jobs 1 {more}"));
    assert_eq!(run("--accept --out before").code, Some(0));
    upgrade(&checkout);
    let seen = run("--out after");
    assert_eq!(seen.code, Some(1), "{seen}");
    checkout.compare("changed_in_the_same_way", &seen.stdout);
    let report = fs::read_to_string(checkout.path("after/report.md")).unwrap();
    let (_, report) = report.split_once("### Changed").unwrap();
    let (report, _) = report.split_once("### Counts").unwrap();
    checkout.compare("changed_in_the_same_way_in_markdown", report);
    let page = fs::read_to_string(checkout.path("after/report.html")).unwrap();
    let (_, page) = page.split_once("<section id=\"looks\"").unwrap();
    let (page, _) = page.split_once("</section>").unwrap();
    checkout.compare("changed_in_the_same_way_in_html", page);
    let diff = checkout.rig("diff before after --out made/diff");
    checkout.compare("diff_in_the_same_way", text_without_times(&diff.to_string()));
    let told = fs::read_to_string(checkout.path("made/diff/diff.md")).unwrap();
    let (_, told) = told.split_once("### ").unwrap();
    checkout.compare("diff_in_the_same_way_in_markdown", told);
    let page = fs::read_to_string(checkout.path("made/diff/diff.html")).unwrap();
    assert!(page.contains("<strong>5 clients with broker tls12-rsa-plain</strong>"), "{page}");
    let json = checkout.rig("diff before after --format json");
    let diff: Diff = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(diff.cells.len(), 6, "every cell stands in the JSON");
}
