//! `known.toml` through the built binary: a deviation that is accepted fails no run, and an entry that
//! has outlived its deviation does.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use common::Checkout;
use reports::record::{CellRecord, Verdict};
use std::fs;

const SNAPSHOT: &str = "suites/snapshots/smoke/mbedtls-2.4.0__rsa-16384+suiteb.snap";
const RUN: &str = "run smoke --board native --jobs 1";

/// A checkout whose snapshot of one cell expects another error than the client reports, with an
/// entry that accepts this.
fn deviating() -> Checkout {
    let checkout = Checkout::accepted();
    let right = fs::read_to_string(checkout.path(SNAPSHOT)).unwrap();
    assert!(right.contains("-0x7780"), "{right}");
    fs::write(checkout.path(SNAPSHOT), right.replace("-0x7780", "-0x7280")).unwrap();
    let entry = "[[known]]\ncell = \"*/rsa-16384+suiteb/tls12-rsa-plain\"\n\
                 reason = \"the broker says more than its profile has it\"\n\
                 link = \"https://issues.example/12\"\n";
    fs::write(checkout.path("suites/known.toml"), entry).unwrap();
    checkout
}

#[test]
fn a_known_deviation_is_shown_with_its_reason_and_fails_nothing() {
    let checkout = deviating();
    let before = fs::read_to_string(checkout.path(SNAPSHOT)).unwrap();
    let seen = checkout.rig(RUN);
    assert_eq!(seen.code, Some(0), "{seen}");
    checkout.compare("known_deviation", seen);
    let seen = checkout.rig(&format!("{RUN} --format json --accept"));
    assert_eq!(seen.code, Some(0), "{seen}");
    let cells: Vec<CellRecord> =
        seen.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (known, others): (Vec<_>, Vec<_>) = cells.iter().partition(|cell| cell.known.is_some());
    assert_eq!((known.len(), others.len()), (1, 1));
    assert_eq!(known[0].verdict, Verdict::Changed, "it stays what it is");
    assert_eq!(known[0].known.as_ref().unwrap().link, "https://issues.example/12");
    let after = fs::read_to_string(checkout.path(SNAPSHOT)).unwrap();
    assert_eq!(after, before, "what is accepted as a deviation is no new expectation");
}

#[test]
fn an_entry_without_a_deviation_fails_the_run_that_can_tell() {
    let checkout = deviating();
    let wrong = fs::read_to_string(checkout.path(SNAPSHOT)).unwrap();
    fs::write(checkout.path(SNAPSHOT), wrong.replace("-0x7280", "-0x7780")).unwrap();
    let seen = checkout.rig(RUN);
    assert_eq!(seen.code, Some(1), "{seen}");
    checkout.compare("known_but_stale", seen);
    let seen = checkout.rig(&format!("{RUN} --filter +default/"));
    assert_eq!(seen.code, Some(0), "the entry's cell was not run: {seen}");
    assert!(!seen.stderr.contains("stale"), "{seen}");
}

#[test]
fn an_entry_must_say_where_it_is_dealt_with() {
    let checkout = deviating();
    let path = checkout.path("suites/known.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("https://issues.example/12", "ask Bob")).unwrap();
    let seen = checkout.rig(RUN);
    assert_eq!(seen.code, Some(2), "{seen}");
    checkout.compare("known_without_a_link", seen);
}
