//! What commands print for programs keeps to the shipped schemas.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are test code")]

mod common;

use common::{Checkout, Seen, check};
use rig::project::Project;
use rstest::rstest;
use serde_json::Value;
use std::fs;

fn json(seen: &Seen) -> Value {
    serde_json::from_str(&seen.stdout).unwrap_or_else(|error| panic!("{error}: {seen}"))
}

#[rstest]
fn lists(#[values("builds", "clients", "brokers", "suites", "cells")] what: &str) {
    let rows = json(&Checkout::new().rig(&format!("list {what} --format json")));
    assert!(!rows.as_array().unwrap().is_empty());
    check(if matches!(what, "builds" | "clients") { what } else { "list" }, &rows);
}

#[test]
fn boards_and_what_a_machine_lacks() {
    let checkout = Checkout::new();
    check("boards", &json(&checkout.rig("list boards --format json")));
    for seen in [
        checkout.rig("doctor --format json"),
        checkout.rig_on_a_bare_machine("doctor --format json"),
    ] {
        check("doctor", &json(&seen));
    }
}

#[test]
fn explanations_of_all_logs() {
    let (checkout, root) = (Checkout::new(), Project::find().unwrap());
    for entry in fs::read_dir(root.root().join("reports/tests/logs")).unwrap() {
        let log = entry.unwrap().path();
        if log.is_file() {
            let seen = checkout.rig(&format!("explain {} --format json", log.display()));
            check("explain", &json(&seen));
        }
    }
}

#[test]
fn an_advice_and_what_upgrades_bring() {
    // Of the real checkout: both are made from what is recorded there.
    let root = Project::find().unwrap();
    let run = |line: &str| {
        let mut command = Checkout::new().command(line);
        command.current_dir(root.root());
        json(&Seen::from(command.output().unwrap()))
    };
    let advice = run("advise ec-certificate --format json");
    assert!(!advice["connect"].as_array().unwrap().is_empty());
    check("advise", &advice);
    // Nobody connects as it is, so that a change is worked out.
    let line = "advise ec-certificate --from mbedtls-2.4.0/rsa-16384+suiteb --format json";
    let advice = run(line);
    assert!(advice["change"].is_object());
    check("advise", &advice);
    let upgrades = run("list upgrades reports/tests/upgrades --format json");
    assert!(!upgrades.as_array().unwrap().is_empty());
    check("upgrades", &upgrades);
}

#[test]
fn a_prediction() {
    // Of the real checkout: predictions need hellos.
    let mut command = Checkout::new().command(
        "predict --format json --client mbedtls-2.4.0/rsa-16384+default --broker ec-certificate",
    );
    command.current_dir(Project::find().unwrap().root());
    let answer = json(&Seen::from(command.output().unwrap()));
    assert!(!answer["predicted"]["trace"].as_array().unwrap().is_empty());
    check("predict", &answer);
}

#[test]
fn a_run_its_cells_a_difference_and_a_history() {
    let checkout = Checkout::accepted();
    let cells = checkout.rig("run smoke --board native --format json --out runs/made");
    assert_eq!((cells.code, cells.stdout.lines().count()), (Some(0), 2), "{cells}");
    for line in cells.stdout.lines() {
        check("cell", &serde_json::from_str(line).unwrap());
    }
    let run = fs::read(checkout.path("runs/made/run.json")).unwrap();
    check("run", &serde_json::from_slice(&run).unwrap());
    check("report", &json(&checkout.rig("report runs/made --format json")));
    check("diff", &json(&checkout.rig("diff runs/made --format json")));
    check("history", &json(&checkout.rig("history runs --format json")));
}
