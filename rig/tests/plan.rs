//! What is run, in which order, and how it ends for the shell.

#![allow(clippy::unwrap_used, reason = "helpers of tests are test code")]

use rig::exit::Exit;
use rig::firmware::{BuildInfo, Builder};
use rig::plan::{Shard, expand};
use rig::project::Project;
use rstest::rstest;
use std::collections::BTreeSet;
use std::process::ExitCode;
use suites::suite::SuiteFile;
use suites::{ClientProfile, Library, Unknown};

/// Two suites over the builds `s/a` and `s/b`; the second repeats a cell of the first.
fn library() -> Library {
    let broker = |name: &str| {
        let text = "summary = 'x'\nsource = 'x'\ncipher_suites = ['0x003d']\n";
        let parsed = suites::broker::BrokerProfile::parse(name, text, "x").unwrap();
        (name.to_owned(), parsed)
    };
    let profile =
        |name: &str| (name.to_owned(), ClientProfile::parse(name, "summary = 'x'\n", "x").unwrap());
    let suite = |name: &str, clients: &str, brokers: &str, rest: &str| {
        let text = format!(
            "summary = 'x'\n{rest}\n[[cells]]\nclients = [{clients}]\nbrokers = [{brokers}]\n"
        );
        let file = SuiteFile::parse(name, &text, "x").unwrap();
        let clients = file.clients().collect();
        (name.to_owned(), file.resolve(&clients, &BTreeSet::new()).unwrap())
    };
    Library {
        profiles: [profile("one"), profile("two")].into(),
        brokers: [broker("p"), broker("q")].into(),
        suites: [
            suite("first", "'s/a+one', 's/b+one', 's/a+two'", "'p', 'q'", "log_level = 4"),
            suite("second", "'s/b+one', 's/b+two'", "'q'", ""),
        ]
        .into(),
        ..Library::default()
    }
}

fn builds(names: &[&str]) -> Vec<BuildInfo> {
    let build = |name: &&str| BuildInfo {
        name: name.parse().unwrap(),
        content_length: 4096,
        header: "x.h".to_owned(),
        too_large_for_ameba1: None,
        macros: None,
        summary: "x".to_owned(),
    };
    names.iter().map(build).collect()
}

fn plan(
    suites: &[&str],
    filters: &[&str],
    shard: Option<&str>,
) -> Result<Vec<(String, String, u8)>, Unknown> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let shard = shard.map(|text| text.parse().unwrap());
    let builds = builds(&["s/a", "s/b"]);
    let jobs = expand(&library(), &builds, &owned(suites), &owned(filters), shard)?;
    Ok(jobs.into_iter().map(|job| (job.cell.to_string(), job.suite, job.log_level)).collect())
}

fn cells(suites: &[&str], filters: &[&str], shard: Option<&str>) -> Vec<String> {
    plan(suites, filters, shard).unwrap().into_iter().map(|(cell, ..)| cell).collect()
}

const ALL: [&str; 7] =
    ["s/a+one/p", "s/a+two/p", "s/a+one/q", "s/a+two/q", "s/b+one/p", "s/b+one/q", "s/b+two/q"];

#[test]
fn cells_are_grouped_by_build_then_by_broker_and_each_is_there_once() {
    assert_eq!(cells(&["first", "second"], &[], None), ALL);
    assert_eq!(cells(&["first", "first"], &[], None), ALL[..6]);
    let second = ["s/b+one/q", "s/b+two/q", "s/b+one/p", "s/a+one/q", "s/a+two/q", "s/a+one/p"];
    assert_eq!(cells(&["second", "first"], &[], None)[..6], second);
}

/// A cell of two suites belongs to the one that was named first.
#[test]
fn the_first_suite_counts() {
    let of = |suites: &[&str]| {
        let jobs = plan(suites, &["s/b+one/q"], None).unwrap();
        jobs.into_iter().map(|(_, suite, level)| (suite, level)).collect::<Vec<_>>()
    };
    assert_eq!(of(&["first", "second"]), [("first".to_owned(), 4)]);
    assert_eq!(of(&["second", "first"]), [("second".to_owned(), 3)]);
}

#[rstest]
#[case::a_broker(&["/p"], &[0, 1, 4])]
#[case::a_client(&["+two/"], &[1, 3, 6])]
#[case::a_whole_cell(&["s/b+one/q"], &[5])]
#[case::either_of_two(&["+two/p", "s/a+one/q"], &[1, 2])]
#[case::everything(&[""], &[0, 1, 2, 3, 4, 5, 6])]
#[case::all_words(&["s/a +one"], &[0, 2])]
#[case::words_that_must_not_fit(&["s/a !+one"], &[1, 3])]
#[case::no_pattern(&["s/.*"], &[])]
#[case::nothing(&["+three"], &[])]
fn a_filter_is_a_part_of_the_cells_id(#[case] filters: &[&str], #[case] wanted: &[usize]) {
    let wanted: Vec<_> = wanted.iter().filter_map(|index| ALL.get(*index)).collect();
    assert_eq!(cells(&["first", "second"], filters, None).iter().collect::<Vec<_>>(), wanted);
}

#[rstest]
fn shards_share_out_every_cell_once(#[values(1, 2, 3, 7, 9)] of: usize) {
    let shards: Vec<_> = (1..=of)
        .map(|index| cells(&["first", "second"], &[], Some(&format!("{index}/{of}"))))
        .collect();
    let sizes = shards.iter().map(Vec::len);
    assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1, "{shards:?}");
    // One after the other they are the plan: no build is on more machines than it must be.
    assert_eq!(shards.concat(), ALL);
}

#[rstest]
fn what_is_no_shard(#[values("", "1", "0/4", "5/4", "1/0", "-1/2", "1/2/3", "a/b")] text: &str) {
    assert_eq!(text.parse::<Shard>().unwrap_err(), "a shard looks like 1/4: part 1 of 4");
}

#[test]
fn a_name_that_nothing_has_gets_the_nearest() {
    let error = plan(&["frist"], &[], None).unwrap_err();
    assert_eq!((error.kind, error.nearest.as_deref()), ("suite", Some("first")));
    let suites = ["first".to_owned()];
    let error = expand(&library(), &builds(&["s/a"]), &suites, &[], None).unwrap_err();
    assert_eq!((error.kind, &*error.name), ("build", "s/b"));
}

/// Whatever is added to the project's suites: each can be planned.
#[test]
fn every_suite_of_the_project_can_be_planned() {
    let project = Project::find().unwrap();
    let library = Library::load(&project.suites()).unwrap();
    let builds = Builder::new(project.root(), &project.cache()).builds().unwrap();
    for (name, suite) in &library.suites {
        let jobs = expand(&library, &builds, std::slice::from_ref(name), &[], None).unwrap();
        assert_eq!(jobs.len(), suite.cells.len());
        assert!(!jobs.is_empty(), "{name} has cells");
    }
}

/// Scripts rely on these numbers.
#[test]
fn exit_codes() {
    let codes = [
        (Exit::AsExpected, 0),
        (Exit::Unexpected, 1),
        (Exit::Usage, 2),
        (Exit::RigFault, 3),
        (Exit::NothingSelected, 4),
        (Exit::Interrupted, 130),
    ];
    for (exit, code) in codes {
        assert_eq!(exit.code(), code);
        assert_eq!(ExitCode::from(exit), ExitCode::from(code));
    }
}
