//! What the client makes of a broker that misbehaves: mbedTLS 2.4.0's error for each fault, at the
//! phase in which it struck.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use brokers::Brokers;
use common::{brokers, image, images, job, run, workshop};
use reports::record::Verdict;
use rig::board::{Kind, Limits, Slot};
use rig::deadline::Interrupt;
use rig::plan::Job;
use rig::verdict::Cell;
use std::time::{Duration, Instant};
use suites::OutcomeKind;
use suites::broker::{Fault, Misbehaviour, Stage};
use suites::outcome::{Close, phase_name};

const CLIENT: &str = "mbedtls-2.4.0/rsa-16384+default";

fn cells(limits: Limits, jobs: Vec<Job>) -> Vec<Cell> {
    cells_with(&brokers(), limits, jobs)
}

fn cells_with(brokers: &Brokers, limits: Limits, jobs: Vec<Job>) -> Vec<Cell> {
    let images = images([image(Kind::Native, "mbedtls-2.4.0/rsa-16384")]);
    let interrupt = Interrupt::default();
    let shop = workshop(limits, &images, brokers, &interrupt);
    run(&shop, jobs, vec![Slot::Native], |_| {})
}

/// Broker, phase, error of the library if it was TLS that failed, manner of the broker's end.
const EXPECTED: [(&str, &str, Option<&str>, Close); 24] = [
    ("close-accept", "server_hello", Some("-0x7280"), Close::Fin),
    ("close-client-hello", "server_hello", Some("-0x7280"), Close::Fin),
    ("close-certificate", "server_certificate", Some("-0x7280"), Close::Fin),
    ("close-finished", "new_session_ticket", Some("-0x7280"), Close::Fin),
    ("close-connect", "mqtt_connect", None, Close::Fin),
    // The RST may arrive while the client still writes its ClientHello: no phase is expected.
    ("reset-accept", "", Some("-0x0050"), Close::Rst),
    ("reset-client-hello", "server_hello", Some("-0x0050"), Close::Rst),
    ("reset-certificate", "server_certificate", Some("-0x0050"), Close::Rst),
    ("reset-finished", "new_session_ticket", Some("-0x0050"), Close::Rst),
    ("truncate-client-hello", "server_hello", Some("-0x7280"), Close::Fin),
    ("truncate-finished", "new_session_ticket", Some("-0x7280"), Close::Fin),
    ("truncate-connect", "mqtt_connect", None, Close::Fin),
    ("wrong-content-type-client-hello", "server_hello", Some("-0x7200"), Close::None),
    ("wrong-content-type-finished", "new_session_ticket", Some("-0x7200"), Close::None),
    ("wrong-version-client-hello", "server_hello", Some("-0x7200"), Close::None),
    ("wrong-version-finished", "new_session_ticket", Some("-0x7200"), Close::None),
    ("bad-mac-finished", "server_finished", Some("-0x7180"), Close::None),
    ("bad-mac-connect", "mqtt_connect", Some("-0x7180"), Close::None),
    ("http-answer", "server_hello", Some("-0x7200"), Close::None),
    ("plain-mqtt-answer", "server_hello", Some("-0x7280"), Close::Fin),
    ("alert-fatal-handshake-failure", "server_hello", Some("-0x7780"), Close::None),
    ("alert-fatal-insufficient-security", "server_hello", Some("-0x7780"), Close::None),
    ("alert-fatal-unrecognized-name", "server_hello", Some("-0x7780"), Close::None),
    ("stall-certificate", "server_certificate", Some("-0x7280"), Close::Fin),
];

#[test]
fn each_fault_gives_the_librarys_own_error_where_it_struck() {
    let jobs = EXPECTED.iter().map(|(broker, ..)| job(&format!("{CLIENT}/{broker}"))).collect();
    for (cell, (broker, phase, error, close)) in
        cells(Kind::Native.limits(), jobs).iter().zip(EXPECTED)
    {
        let outcome = &cell.record.outcome;
        assert_eq!(cell.record.cell.broker, broker);
        assert_eq!(outcome.result, OutcomeKind::Failed, "{broker}: {outcome:?}");
        assert_eq!(outcome.error.as_deref(), error, "{broker}: {outcome:?}");
        assert_eq!(outcome.close, close, "{broker}: {outcome:?}");
        let stage = outcome.stage.map(phase_name).unwrap_or_default();
        assert!(phase.is_empty() || stage == phase, "{broker}: {outcome:?}");
        let account = cell.transcript.broker().unwrap();
        let changed_bytes_only = broker.starts_with("wrong-") || broker.starts_with("bad-mac");
        let told = account.error.as_deref().is_some_and(|text| text.contains("as its profile has"));
        assert!(told || changed_bytes_only, "{broker}: {account:?}");
    }
}

#[test]
fn slow_and_warning_brokers_are_served_all_the_same() {
    let brokers = ["byte-by-byte", "slow-drip", "alert-warning-unrecognized-name"];
    let jobs = brokers.map(|broker| job(&format!("{CLIENT}/{broker}"))).to_vec();
    for cell in cells(Kind::Native.limits(), jobs) {
        let outcome = &cell.record.outcome;
        assert_eq!(outcome.result, OutcomeKind::Connected, "{}: {outcome:?}", cell.record.cell);
        assert_eq!(outcome.mqtt.as_deref(), Some("connack:0"));
    }
}

#[test]
fn every_refusing_connack_is_told_with_its_code() {
    let jobs = (1..=5).map(|code| job(&format!("{CLIENT}/connack-{code}"))).collect();
    let codes: Vec<_> = cells(Kind::Native.limits(), jobs)
        .into_iter()
        .map(|cell| (cell.record.outcome.result, cell.record.outcome.mqtt.unwrap()))
        .collect();
    let wanted = (1..=5).map(|code| (OutcomeKind::Failed, format!("connack:{code}")));
    assert_eq!(codes, wanted.collect::<Vec<_>>());
}

/// A broker that never says another word: the client's end is the cell's deadline, and that is a
/// time-out and nothing else, whatever was expected.
#[test]
fn endless_silence_is_a_time_out_and_the_next_cell_is_served() {
    let mut jobs: Vec<_> = [Stage::Accept, Stage::ClientHello, Stage::Certificate, Stage::Finished]
        .into_iter()
        .map(|at| {
            let mut job = job(&format!("{CLIENT}/tls12-rsa-plain"));
            job.broker.name = format!("silent-{at:?}");
            job.broker.misbehave = Some(Misbehaviour { at, does: Fault::Stall { ms: 600_000 } });
            job
        })
        .collect();
    jobs.push(job(&format!("{CLIENT}/tls12-rsa-plain")));
    let limits = Limits { cell: Duration::from_millis(800), ..Kind::Native.limits() };
    let began = Instant::now();
    let cells = cells(limits, jobs);
    assert!(began.elapsed() < Duration::from_secs(60), "the broker kept the rig waiting");
    let (last, silent) = cells.split_last().unwrap();
    for cell in silent {
        assert_eq!(cell.record.outcome.result, OutcomeKind::TimedOut, "{:?}", cell.record.outcome);
    }
    assert_eq!(last.record.outcome.result, OutcomeKind::Connected);
}

/// With a cache of its own, where nothing was installed, whatever else this machine has.
#[test]
fn a_product_that_is_not_installed_skips_its_cells_and_says_how_to_get_it() {
    let cache = tempfile::tempdir().unwrap();
    let brokers = Brokers::new(cache.path()).unwrap();
    let jobs = ["aedes-1-default", "tls12-rsa-plain"]
        .map(|broker| job(&format!("{CLIENT}/{broker}")))
        .to_vec();
    let cells = cells_with(&brokers, Kind::Native.limits(), jobs);
    let skipped = &cells[0].record;
    assert_eq!(skipped.verdict, Verdict::Skipped);
    let note = skipped.note.as_deref().unwrap();
    assert!(note.starts_with("aedes is not installed: `"), "{note}");
    assert!(note.contains("--setup") || note.contains("apt-get install"), "{note}");
    assert!(cells[0].seen.is_none() && skipped.diagnosis.is_none());
    assert_eq!(cells[1].record.outcome.result, OutcomeKind::Connected);
}
