//! The forum thread's case on each kind of board: the same bytes, the same error, the same log, and
//! the fix; on the emulated board figures that repeat.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are test code"
)]

mod common;

use common::{boards, brokers, can_run, compare, image, images, job, run, workshop};
use reports::Cause;
use reports::transcript::Seen;
use rig::board::{Kind, Slot};
use rig::deadline::Interrupt;
use rig::firmware::Image;
use rig::verdict::Cell;
use rstest::rstest;
use std::os::unix::fs::symlink;
use suites::OutcomeKind;
use suites::outcome::{Close, End};

const THREAD: &str = "mbedtls-2.4.0/rsa-16384+suiteb/hivemq-cloud-2021";
const FIX: &str = "mbedtls-2.4.0/rsa-16384+default/hivemq-cloud-2021";

/// Runs cells one after the other on a board of their own.
fn cells(kind: Kind, ids: &[&str]) -> Vec<Cell> {
    let jobs: Vec<_> = ids.iter().map(|id| job(id)).collect();
    let images = images(jobs.iter().map(|job| image(kind, job.cell.client.build.as_str())));
    let (brokers, interrupt) = (brokers(), Interrupt::default());
    let shop = workshop(kind.limits(), &images, &brokers, &interrupt);
    let cells = run(&shop, jobs, vec![Slot::started(kind).unwrap()], |_| {});
    assert_eq!(cells.len(), ids.len());
    cells
}

/// Where the client's random stands in the record.
const RANDOM: std::ops::Range<usize> = 11..43;

/// The thread's ClientHello, RFC 5246 7.4.1.2, with zeros for the random.
fn threads_hello() -> Vec<u8> {
    let random = "00".repeat(RANDOM.len());
    let parts = [
        "16 0303 0045",   // record: handshake, 69 bytes
        "01 000041 0303", // ClientHello of 65 bytes, highest version TLS 1.2
        &random,
        "00",                       // no session to resume
        "0002 00ff", // one entry in the list of suites, and that is a marker: RFC 5746 3.3
        "01 00",     // no compression
        "0016",      // 22 bytes of extensions
        "000d 0006 0004 0401 0501", // signature_algorithms: RSA with SHA-256 and SHA-384
        "0016 0000", // encrypt_then_mac
        "0017 0000", // extended_master_secret
        "0023 0000", // session_ticket
    ];
    let digits = parts.concat().replace(' ', "");
    data_encoding::HEXLOWER.decode(digits.as_bytes()).unwrap()
}

#[rstest]
fn the_thread_is_reproduced_to_the_byte(#[values(Kind::Native, Kind::Qemu)] kind: Kind) {
    if !can_run(kind) {
        return;
    }
    let [cell] = &cells(kind, &[THREAD])[..] else { panic!("one cell") };
    // All that the client sent: the alert, if it sent one, would follow.
    let mut sent = cell.transcript.bytes(End::Client);
    assert_eq!(sent.len(), 74);
    assert_ne!(sent[RANDOM], [0; 32]);
    let hello = cell.record.client_hello.as_ref().unwrap();
    assert_eq!(hello.record_hex, data_encoding::HEXLOWER.encode(&sent));
    sent[RANDOM].fill(0);
    assert_eq!(sent, threads_hello());
    let outcome = &cell.record.outcome;
    assert_eq!(outcome.result, OutcomeKind::Failed);
    assert_eq!(outcome.error.as_deref(), Some("-0x7280"));
    assert_eq!((outcome.close, &outcome.alert), (Close::Fin, &None));
    assert_eq!(cell.record.diagnosis.as_ref().unwrap().cause, Cause::NoCiphersuiteOffered);
}

/// One call of `mbedtls_ssl_handshake` would say two lines more, `=> handshake` and `<= handshake`:
/// the DUT goes step by step.
#[rstest]
fn the_device_log_is_the_threads(#[values(Kind::Native, Kind::Qemu)] kind: Kind) {
    if !can_run(kind) {
        return;
    }
    let [cell] = &cells(kind, &[THREAD])[..] else { panic!("one cell") };
    let lines = cell.transcript.seen().filter_map(|seen| match seen {
        // The library's lines; the last one is the DUT's own.
        Seen::Log(line) if line.file.starts_with("ssl_") => Some(line),
        _ => None,
    });
    let is_row = |text: &str| text.as_bytes().get(4..7) == Some(b":  ");
    let texts: Vec<_> =
        lines.map(|line| if is_row(&line.text) { "[row of bytes]" } else { &*line.text }).collect();
    assert_eq!(texts.len(), 49);
    // One snapshot for all boards: they must say the same.
    compare("device_log", texts.join("\n"), &[]);
}

#[rstest]
fn the_default_preset_connects_to_the_same_broker(#[values(Kind::Native, Kind::Qemu)] kind: Kind) {
    if !can_run(kind) {
        return;
    }
    // After the failure, on the same board.
    let seen = cells(kind, &[THREAD, FIX]);
    let outcome = &seen[1].record.outcome;
    assert_eq!(outcome.result, OutcomeKind::Connected);
    assert_eq!(outcome.version.unwrap().to_string(), "TLS1.2");
    assert_eq!(outcome.cipher_suite.unwrap().to_string(), "0x003d");
    assert_eq!(outcome.mqtt.as_deref(), Some("connack:0"));
    let broker = seen[1].transcript.broker().unwrap();
    assert_eq!(broker.cipher_suite.as_deref(), Some("0x003d"), "the broker says so, too");
}

/// Instructions of each of `times` cells on a board that has just started.
fn instructions(id: &str, times: usize) -> Vec<u64> {
    let cells = cells(Kind::Qemu, &vec![id; times]);
    let total = |cell: &Cell| {
        assert_eq!(cell.record.outcome.result, OutcomeKind::Connected, "{:?}", cell.record);
        cell.record.latency.as_ref().unwrap().total
    };
    cells.iter().map(total).collect()
}

#[test]
fn static_rsa_repeats_to_a_thousand_instructions() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (one, two) = (instructions(FIX, 1)[0], instructions(FIX, 1)[0]);
    assert!(one > 1_000_000, "an RSA handshake of {one} instructions?");
    assert!(one.abs_diff(two) < 1000, "{one} and {two} instructions");
}

/// The broker's ephemeral key is another each time, and the client's work with it depends on its
/// bits: one cell is off by a third of a percent as a rule, and by more than one now and then. The
/// middle one of five is what repeats.
#[test]
fn ecdhe_ecdsa_repeats_to_one_percent() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let [one, two] = [(); 2].map(|()| {
        let mut totals = instructions("mbedtls-2.4.0/all-16384+default/ec-certificate", 5);
        totals.sort_unstable();
        totals[2]
    });
    assert!(one.abs_diff(two) * 100 < one, "{one} and {two} instructions");
}

#[test]
fn two_emulated_boards_side_by_side_give_what_one_gives() {
    if !can_run(Kind::Qemu) {
        return;
    }
    // Under a name of its own, so that boards of other tests do not count.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let real = image(Kind::Qemu, "mbedtls-2.4.0/rsa-16384");
    symlink(&real.path, &path).unwrap();
    let images = images([Image { path: path.clone(), ..real }]);
    let (brokers, interrupt) = (brokers(), Interrupt::default());
    let shop = workshop(Kind::Qemu.limits(), &images, &brokers, &interrupt);
    let jobs: Vec<_> = ["hivemq-cloud-2021", "tls13-only-rustls", "alert-on-reject"]
        .iter()
        .flat_map(|broker| {
            ["suiteb", "default"]
                .map(|profile| format!("mbedtls-2.4.0/rsa-16384+{profile}/{broker}"))
        })
        .map(|id| job(&id))
        .collect();
    let outcomes = |workers| {
        let mut most = 0;
        let slots = vec![Slot::Qemu; workers];
        let cells = run(&shop, jobs.clone(), slots, |_| most = most.max(boards(&path).len()));
        assert_eq!(most, workers, "boards at one time");
        let mut outcomes: Vec<_> =
            cells.into_iter().map(|cell| (cell.record.cell, cell.record.outcome)).collect();
        outcomes.sort_by(|a, b| a.0.cmp(&b.0));
        outcomes
    };
    let (one, two) = (outcomes(1), outcomes(2));
    assert_eq!(one.len(), jobs.len());
    assert!(one.iter().any(|(_, outcome)| outcome.result == OutcomeKind::Connected));
    assert_eq!(one, two);
}
