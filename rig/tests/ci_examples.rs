//! The examples for CI: files that their servers can read, commands that the rig knows, and the
//! sharded flow as it stands in them, run for real.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are test code"
)]

mod common;

use clap::Parser;
use common::{Checkout, Seen, can_run};
use reports::record::{read_cells, read_run};
use rig::board::Kind;
use rig::cli::{Cli, Command as RigCommand};
use rig::project::Project;
use rstest::rstest;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use yaml_serde::Value;

fn example(name: &str) -> Value {
    let path = Project::find().unwrap().root().join("rig/ci").join(name);
    yaml_serde::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value:?} is no text"))
}

/// A job of either server: its scripts in order, and the variables that hold in them.
#[derive(Debug, Clone)]
struct Job {
    name: String,
    variables: BTreeMap<String, String>,
    scripts: Vec<String>,
}

fn variables(value: Option<&Value>) -> BTreeMap<String, String> {
    let fields = value.and_then(Value::as_mapping).into_iter().flatten();
    fields.map(|(name, value)| (text(name).to_owned(), text(value).to_owned())).collect()
}

fn github(name: &str) -> Vec<Job> {
    let file = example(name);
    let jobs = file["jobs"].as_mapping().unwrap();
    jobs.iter()
        .map(|(name, job)| Job {
            name: text(name).to_owned(),
            variables: variables(file.get("env")),
            scripts: job["steps"]
                .as_sequence()
                .unwrap()
                .iter()
                .filter_map(|step| step.get("run").map(|run| text(run).to_owned()))
                .collect(),
        })
        .collect()
}

fn gitlab() -> Vec<Job> {
    let file = example("gitlab.yml");
    let jobs = file.as_mapping().unwrap().iter();
    jobs.filter(|(_, job)| job.get("script").is_some())
        .map(|(name, job)| {
            let mut held = variables(file.get("variables"));
            held.extend(variables(job.get("variables")));
            let lines = ["script", "after_script"]
                .iter()
                .filter_map(|part| job.get(*part))
                .flat_map(|lines| lines.as_sequence().unwrap())
                .map(|line| text(line).to_owned());
            Job { name: text(name).to_owned(), variables: held, scripts: lines.collect() }
        })
        .collect()
}

/// A script as GitHub hands it to the shell for one shard of some.
fn of_shard(script: &str, shard: usize, of: usize) -> String {
    let script = script
        .replace("${{ matrix.shard }}", &shard.to_string())
        .replace("${{ strategy.job-total }}", &of.to_string());
    assert!(!script.contains("${{"), "the test does not know what stands in {script}");
    script
}

/// Runs a script as the servers do, with `cargo` in `programs`.
fn shell(
    script: &str,
    folder: &Path,
    programs: &Path,
    variables: &BTreeMap<String, String>,
) -> Seen {
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    Command::new("bash")
        .args(["-e", "-c", script])
        .current_dir(folder)
        .env("PATH", path)
        .env_remove("CARGO_TARGET_DIR")
        .envs(variables)
        .stdin(Stdio::null())
        .output()
        .unwrap()
        .into()
}

/// A folder with a `cargo` that does this.
fn cargo(folder: &Path, does: &str) {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join("cargo");
    fs::write(&path, format!("#!/bin/bash\n{does}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Every command of an example, as the shell hands it over, is one that the rig knows.
#[rstest]
#[case::github_emulated(github("github-emulated.yml"), &["run", "report"])]
#[case::github_board(github("github-board.yml"), &["doctor", "run", "history"])]
#[case::gitlab(gitlab(), &["run", "report", "doctor", "run", "history"])]
fn commands(#[case] jobs: Vec<Job>, #[case] expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("programs");
    let given = folder.path().join("given");
    cargo(&programs, &format!("printf '%s\\n' \"$@\" >> {0}; echo >> {0}", given.display()));
    for shard in ["shard-1", "shard-2"] {
        fs::create_dir(folder.path().join(shard)).unwrap();
    }
    let mut seen = Vec::new();
    for job in jobs {
        let mut held = job.variables.clone();
        for (name, value) in [
            ("CI_NODE_INDEX", "1"),
            ("CI_NODE_TOTAL", "4"),
            ("CI_JOB_ID", "7"),
            ("GITHUB_RUN_ID", "7"),
            ("GITHUB_RUN_ATTEMPT", "1"),
        ] {
            held.insert(name.to_owned(), value.to_owned());
        }
        for script in job.scripts.iter().filter(|script| script.contains("cargo rig")) {
            let _ = fs::remove_file(&given);
            let done = shell(&of_shard(script, 1, 4), folder.path(), &programs, &held);
            assert_eq!(done.code, Some(0), "{}: {script}: {done}", job.name);
            let given = fs::read_to_string(&given).unwrap();
            let words: Vec<_> = given.lines().take_while(|word| !word.is_empty()).collect();
            assert_eq!(words[0], "rig", "the alias of .cargo/config.toml: {words:?}");
            let cli =
                Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{script}: {error}"));
            match cli.command {
                RigCommand::Run(args) => {
                    assert!(args.suites[0].len() > 2 && args.board[0].len() > 2, "{args:?}");
                    assert!(args.out.is_some(), "a record that a later step finds: {args:?}");
                }
                RigCommand::Report(args) => {
                    assert_eq!(args.runs.len(), 2, "one for each shard: {args:?}");
                    assert!(args.out.is_some(), "{args:?}");
                }
                _ => {}
            }
            seen.push(words[1].to_owned());
        }
    }
    assert_eq!(seen, expected);
}

/// What else a server reads: actions of a version that there is, jobs that there are, artifacts that
/// somebody has left.
#[rstest]
fn github_files_hang_together(#[values("github-emulated.yml", "github-board.yml")] name: &str) {
    let file = example(name);
    let jobs = file["jobs"].as_mapping().unwrap();
    let (mut left, mut fetched) = (BTreeSet::new(), BTreeSet::new());
    for (_, job) in jobs {
        assert!(job.get("runs-on").is_some() && job.get("timeout-minutes").is_some());
        if let Some(needed) = job.get("needs") {
            assert!(jobs.iter().any(|(name, _)| name == needed), "{needed:?}");
        }
        for step in job["steps"].as_sequence().unwrap() {
            let Some(action) = step.get("uses") else {
                assert!(step.get("run").is_some() && step.get("name").is_some(), "{step:?}");
                continue;
            };
            match text(action) {
                "actions/upload-artifact@v4" => {
                    left.insert(text(&step["with"]["name"]).replace("${{ matrix.shard }}", ""));
                }
                "actions/download-artifact@v4" => {
                    fetched.insert(text(&step["with"]["pattern"]).replace('*', ""));
                }
                "actions/checkout@v4" | "actions/cache@v4" | "actions/cache/restore@v4" => {}
                other => panic!("{other} is no action that the examples should use"),
            }
        }
    }
    assert!(fetched.is_subset(&left), "{fetched:?} of {left:?}");
    // YAML 1.1 reads this key as a truth value, and so may the library.
    let on = file.get("on").or_else(|| file.get(Value::Bool(true))).unwrap();
    let strangers = on.get("pull_request").is_some();
    assert_eq!(strangers, name == "github-emulated.yml", "strangers' code stays off boards");
}

/// The flow of `github-emulated.yml`: its own scripts, one shard after the other, then the report.
fn flow(checkout: &Checkout, kind: Kind, shards: usize) -> (Vec<Option<i32>>, Seen) {
    let programs = checkout.path("programs");
    // Nothing is installed by a test.
    let rig = env!("CARGO_BIN_EXE_rig");
    cargo(
        &programs,
        &format!(
            "shift; for word do shift; [ \"$word\" = --setup ] || set -- \"$@\" \"$word\"; done; exec {rig} \"$@\""
        ),
    );
    let summary = checkout.path("summary.md");
    let variables: BTreeMap<_, _> = [
        ("SUITE", "smoke"),
        ("BOARD", kind.name()),
        ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let jobs = github("github-emulated.yml");
    let scripts = |name: &str| -> Vec<String> {
        let job = jobs.iter().find(|job| job.name == name).unwrap();
        let wanted = |script: &&String| !script.starts_with("rustup");
        job.scripts.iter().filter(wanted).cloned().collect()
    };
    let top = checkout.path("");
    let run = |script: &str| shell(script, &top, &programs, &variables);
    let codes = (1..=shards).flat_map(|shard| {
        let scripts = scripts("shard");
        assert_eq!(scripts.len(), 1);
        scripts.into_iter().map(move |script| of_shard(&script, shard, shards))
    });
    let codes = codes.map(|script| run(&script).code).collect();
    let report = run(&scripts("report").join("\n"));
    (codes, report)
}

#[rstest]
fn shards_run_and_are_put_together(#[values(Kind::Native, Kind::Qemu)] kind: Kind) {
    if !can_run(kind) {
        return;
    }
    let checkout = Checkout::accepted();
    let (codes, report) = flow(&checkout, kind, 2);
    assert_eq!((codes, report.code), (vec![Some(0), Some(0)], Some(0)), "{report}");
    let cells = |folder: &str| read_cells(&checkout.path(folder)).unwrap();
    assert_eq!((cells("shard-1").len(), cells("shard-2").len()), (1, 1));
    let (run, merged) = (read_run(&checkout.path("report")).unwrap(), cells("report"));
    assert_eq!((run.plan.len(), merged.len()), (2, 2), "each cell once");
    assert!(merged.iter().all(|cell| cell.board.kind == kind.name()));
    let junit = fs::read_to_string(checkout.path("report/junit.xml")).unwrap();
    assert!(junit.contains("tests=\"2\" failures=\"0\" errors=\"0\""), "{junit}");
    let summary = fs::read_to_string(checkout.path("summary.md")).unwrap();
    assert!(summary.starts_with("## rig: all of 2 cells are as expected"), "{summary}");
    for file in ["report.html", "badge.svg"] {
        assert!(checkout.path("report").join(file).exists(), "{file}");
    }
}

#[test]
fn a_shard_that_fails_is_in_the_report_all_the_same() {
    let checkout = Checkout::accepted();
    let file = checkout.path("suites/snapshots/smoke/mbedtls-2.4.0__rsa-16384+suiteb.snap");
    let right = fs::read_to_string(&file).unwrap();
    fs::write(&file, right.replace("-0x7780", "-0x7280")).unwrap();
    let (codes, report) = flow(&checkout, Kind::Native, 2);
    let failed: Vec<_> = codes.iter().filter(|code| **code == Some(1)).collect();
    assert_eq!((codes.len(), failed.len(), report.code), (2, 1, Some(0)), "{codes:?} {report}");
    let junit = fs::read_to_string(checkout.path("report/junit.xml")).unwrap();
    assert!(junit.contains("tests=\"2\" failures=\"1\" errors=\"0\""), "{junit}");
    assert!(junit.contains("<failure type=\"changed\""), "{junit}");
    let summary = fs::read_to_string(checkout.path("summary.md")).unwrap();
    assert!(summary.starts_with("## rig: 1 of 2 cells is not as expected"), "{summary}");
}
