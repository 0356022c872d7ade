//! Snapshots: what counts as a change, and what is kept when something is accepted.

use std::collections::BTreeMap;
use suites::outcome::{AlertLevel, AlertSeen, Close, End, Outcome, OutcomeKind};
use suites::snapshot::{Expected, Measured, Snapshot};
use wire::message::{ClockUnit, Phase};
use wire::tls::{CipherSuite, ProtocolVersion};

fn connected(total: u64) -> Expected {
    let mut outcome = Outcome::bare(OutcomeKind::Connected);
    outcome.stage = Some(Phase::Over);
    outcome.version = Some(ProtocolVersion::TLS1_2);
    outcome.cipher_suite = Some(CipherSuite(0x003d));
    outcome.mqtt = Some("connack:0".to_owned());
    let measured = Measured {
        unit: ClockUnit::Instructions,
        compilers: "rustc 1.96.0, gcc 12.2.1".to_owned(),
        tolerance_permille: 1,
        total,
        heap_peak_bytes: 42_000,
        stack_peak_bytes: Some(3_500),
        phases: BTreeMap::from([("client_hello".to_owned(), 10_000), ("over".to_owned(), total)]),
    };
    Expected {
        outcome,
        cause: "no_failure".to_owned(),
        measured: BTreeMap::from([("qemu".to_owned(), measured)]),
    }
}

fn failed() -> Expected {
    let mut outcome = Outcome::bare(OutcomeKind::Failed);
    outcome.stage = Some(Phase::ServerHello);
    outcome.error = Some("-0x7780".to_owned());
    outcome.alert = Some(AlertSeen { from: End::Broker, level: AlertLevel::Fatal, code: 40 });
    outcome.close = Close::Fin;
    let cause = "no_shared_ciphersuite".to_owned();
    Expected { outcome, cause, measured: BTreeMap::new() }
}

#[test]
fn the_text_is_one_value_on_a_line_and_reads_back() {
    let mut snapshot = Snapshot::default();
    snapshot.accept("hivemq-cloud-2021", connected(5_500_000));
    snapshot.accept("alert-on-reject", failed());
    insta::assert_snapshot!(snapshot.text(false));
    assert_eq!(Snapshot::parse(&snapshot.text(false)).unwrap(), snapshot);
}

/// A survey's snapshot keeps no figures, so its text reads back without them.
#[test]
fn the_text_of_a_survey_is_one_broker_on_a_line_and_reads_back() {
    let mut snapshot = Snapshot::default();
    snapshot.accept("mosquitto-2.0-default", connected(5_500_000));
    snapshot.accept("alert-on-reject", failed());
    insta::assert_snapshot!(snapshot.text(true));
    let read = Snapshot::parse(&snapshot.text(true)).unwrap();
    assert_eq!(read.text(true), snapshot.text(true));
    assert!(read.0["mosquitto-2.0-default"].measured.is_empty());
    assert_eq!(read.0["alert-on-reject"], failed());
}

#[test]
fn exact_fields_must_be_equal() {
    let (expected, mut seen) = (failed(), failed());
    assert!(expected.changes(&seen).is_empty());
    seen.outcome.error = Some("-0x7280".to_owned());
    seen.outcome.alert = None;
    let fields: Vec<_> = expected.changes(&seen).into_iter().map(|change| change.field).collect();
    assert_eq!(fields, ["alert", "error"]);
}

#[test]
fn measurements_may_differ_by_their_tolerance() {
    let expected = connected(5_500_000);
    assert!(expected.changes(&connected(5_505_499)).is_empty());
    let changes = expected.changes(&connected(5_505_501));
    assert_eq!(changes[0].field, "qemu.total");
    assert_eq!(changes[0].expected, "5500000 +-5500");
}

#[test]
fn a_kind_of_board_that_was_never_measured_is_not_compared() {
    let mut expected = connected(5_500_000);
    let mut seen = connected(9);
    expected.measured.clear();
    assert!(expected.changes(&seen).is_empty());
    seen.measured.clear();
    assert!(connected(1).changes(&seen).is_empty());
}

#[test]
fn figures_of_another_compiler_are_neither_compared_nor_accepted() {
    let mut other = connected(9);
    for measured in other.measured.values_mut() {
        measured.compilers = "rustc 2.0.0, gcc 15.1.0".to_owned();
    }
    assert!(connected(5_500_000).changes(&other).is_empty());
    let mut snapshot = Snapshot::default();
    snapshot.accept("b", connected(5_500_000));
    snapshot.accept("b", other);
    assert_eq!(snapshot.0["b"].measured["qemu"].total, 5_500_000);
}

#[test]
fn accepting_keeps_other_kinds_and_figures_within_tolerance() {
    let mut snapshot = Snapshot::default();
    snapshot.accept("b", connected(5_500_000));
    let mut native = connected(0);
    native.measured.clear();
    snapshot.accept("b", native);
    snapshot.accept("b", connected(5_500_100));
    assert_eq!(snapshot.0["b"].measured["qemu"].total, 5_500_000);
    snapshot.accept("b", connected(6_000_000));
    assert_eq!(snapshot.0["b"].measured["qemu"].total, 6_000_000);
}

#[test]
fn a_snapshot_file_is_written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let client = "mbedtls-2.4.0/rsa-16384+suiteb".parse().unwrap();
    let path = Snapshot::path(folder.path(), "forum", &client);
    assert!(path.ends_with("snapshots/forum/mbedtls-2.4.0__rsa-16384+suiteb.snap"));
    assert_eq!(Snapshot::load(&path).unwrap(), None);
    let mut snapshot = Snapshot::default();
    snapshot.accept("alert-on-reject", failed());
    snapshot.save(&path, false).unwrap();
    assert_eq!(Snapshot::load(&path).unwrap(), Some(snapshot));
    std::fs::write(&path, "---\nsource: x\n---\n[a\n").unwrap();
    let error = Snapshot::load(&path).unwrap_err().to_string();
    assert!(error.contains("restore it or delete it and accept anew"), "{error}");
}
