//! What commands print for programs keeps to the shipped schemas.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are test code")]

mod common;

use common::{Checkout, Seen};
use jsonschema::Validator;
use rig::project::Project;
use rstest::rstest;
use serde_json::Value;
use std::fs;

fn schema(name: &str) -> Validator {
    let root = Project::find().unwrap();
    let file = root.root().join(format!("reports/schema/{name}.schema.json"));
    let schema: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn check(name: &str, document: &Value) {
    let schema = schema(name);
    let errors: Vec<_> = schema
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}");
}

fn json(seen: &Seen) -> Value {
    serde_json::from_str(&seen.stdout).unwrap_or_else(|error| panic!("{error}: {seen}"))
}

#[rstest]
fn lists(#[values("builds", "clients", "brokers", "suites", "cells")] what: &str) {
    let rows = json(&Checkout::new().rig(&format!("list {what} --format json")));
    assert!(!rows.as_array().unwrap().is_empty());
    check("list", &rows);
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
    check("diff", &json(&checkout.rig("diff runs/made --format json")));
    check("history", &json(&checkout.rig("history runs --format json")));
}
