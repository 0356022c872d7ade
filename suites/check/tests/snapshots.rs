//! Every client of every suite against its snapshot and its prediction, on each kind of board.

#![allow(clippy::unwrap_used, reason = "helpers of tests are test code")]

use check::{can_run, cells, laid_over, open, other_hellos, surprises};
use rig::board::Kind;
use rstest::rstest;
use std::collections::BTreeSet;
use suites::{ClientName, OutcomeKind, Snapshot};

fn check(suite: &str, client: &str, kind: Kind) {
    if !can_run(kind) {
        return;
    }
    let client: ClientName = client.parse().unwrap();
    let seen = cells(suite, &format!("{client}/"), kind).unwrap();
    assert!(!seen.is_empty(), "{client} is in no cell of {suite}");
    assert_eq!(surprises(&seen).unwrap(), "");
    assert_eq!(other_hellos(&seen).unwrap(), "");
    let text = laid_over(suite, &client, seen).unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(format!("../../snapshots/{suite}"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(Snapshot::stem(&client), text));
}

#[rstest]
#[case::the_thread("mbedtls-2.4.0/rsa-16384+suiteb")]
#[case::its_fix("mbedtls-2.4.0/rsa-16384+default")]
#[case::tls12_alone("mbedtls-2.4.0/rsa-16384+default-tls12")]
#[case::as_shipped("mbedtls-2.4.0/rsa-4096+default")]
#[case::suiteb_compiled_in("mbedtls-2.4.0/all-16384+suiteb")]
fn forum(#[case] client: &str, #[values(Kind::Native, Kind::Qemu)] kind: Kind) {
    check("forum", client, kind);
}

#[rstest]
#[case::connects("mbedtls-2.4.0/rsa-16384+default")]
#[case::cannot("mbedtls-2.4.0/rsa-16384+suiteb")]
fn smoke(#[case] client: &str, #[values(Kind::Native, Kind::Qemu)] kind: Kind) {
    check("smoke", client, kind);
}

/// The SDK's own calls on each stack, and with the one that newer versions ask for.
#[rstest]
#[case::rsa_on_2_4_0("mbedtls-2.4.0/rsa-16384+default")]
#[case::rsa_on_2_16_0("mbedtls-2.16.0/rsa-16384+default")]
#[case::rsa_on_2_28("mbedtls-2.28/rsa-16384+default")]
#[case::rsa_on_3_6("mbedtls-3.6/rsa-16384+default")]
#[case::all_on_2_4_0("mbedtls-2.4.0/all-16384+default")]
#[case::all_on_2_16_0("mbedtls-2.16.0/all-16384+default")]
#[case::all_on_2_28("mbedtls-2.28/all-16384+default")]
#[case::all_on_3_6("mbedtls-3.6/all-16384+default")]
#[case::rsa_with_a_call_on_2_28("mbedtls-2.28/rsa-16384+host-null")]
#[case::rsa_with_a_call_on_3_6("mbedtls-3.6/rsa-16384+host-null")]
#[case::all_with_a_call_on_2_28("mbedtls-2.28/all-16384+host-null")]
#[case::all_with_a_call_on_3_6("mbedtls-3.6/all-16384+host-null")]
fn versions(#[case] client: &str, #[values(Kind::Native, Kind::Qemu)] kind: Kind) {
    check("versions", client, kind);
}

/// Every client profile.
#[rstest]
#[case("mbedtls-2.4.0/all-16384+bare-hello")]
#[case("mbedtls-2.4.0/all-16384+client-ec")]
#[case("mbedtls-2.4.0/all-16384+client-rsa")]
#[case("mbedtls-2.4.0/all-16384+client-unknown")]
#[case("mbedtls-2.4.0/all-16384+client-wrong-key")]
#[case("mbedtls-2.4.0/all-16384+fragment-1024")]
#[case("mbedtls-2.4.0/all-16384+fragment-2048")]
#[case("mbedtls-2.4.0/all-16384+fragment-4096")]
#[case("mbedtls-2.4.0/all-16384+fragment-512")]
#[case("mbedtls-2.4.0/all-16384+fragment-off")]
#[case("mbedtls-2.4.0/all-16384+host-name")]
#[case("mbedtls-2.4.0/all-16384+host-null")]
#[case("mbedtls-2.4.0/all-16384+host-wrong")]
#[case("mbedtls-2.4.0/all-16384+missing-ca")]
#[case("mbedtls-2.4.0/all-16384+no-encrypt-then-mac")]
#[case("mbedtls-2.4.0/all-16384+no-extended-master-secret")]
#[case("mbedtls-2.4.0/all-16384+no-tickets")]
#[case("mbedtls-2.4.0/all-16384+one-ecdhe-ecdsa-gcm")]
#[case("mbedtls-2.4.0/all-16384+one-ecdhe-rsa-gcm")]
#[case("mbedtls-2.4.0/all-16384+one-rc4")]
#[case("mbedtls-2.4.0/all-16384+one-rsa-aes128-sha")]
#[case("mbedtls-2.4.0/all-16384+one-rsa-aes256-sha256")]
#[case("mbedtls-2.4.0/all-16384+psk")]
#[case("mbedtls-2.4.0/all-16384+psk-beside-certificates")]
#[case("mbedtls-2.4.0/all-16384+reduced-ecdhe")]
#[case("mbedtls-2.4.0/all-16384+reduced-rsa-cbc")]
#[case("mbedtls-2.4.0/all-16384+resume-session-id")]
#[case("mbedtls-2.4.0/all-16384+resume-ticket")]
#[case("mbedtls-2.4.0/all-16384+suiteb-host-name")]
#[case("mbedtls-2.4.0/all-16384+tls10-only")]
#[case("mbedtls-2.4.0/all-16384+tls11-cap")]
#[case("mbedtls-2.4.0/all-16384+tls11-floor")]
#[case("mbedtls-2.4.0/all-16384+tls12-only")]
#[case("mbedtls-2.4.0/all-16384+verify-none")]
#[case("mbedtls-2.4.0/all-16384+verify-optional")]
#[case("mbedtls-2.4.0/all-16384+verify-optional-wrong-ca")]
#[case("mbedtls-2.4.0/all-16384+wrong-ca")]
#[case("mbedtls-2.4.0/rsa-16384+one-rc4")]
#[case("mbedtls-2.4.0/rsa-16384+client-ec")]
#[case("mbedtls-2.4.0/rsa-16384+resume-session-id")]
#[case("mbedtls-2.4.0/rsa-4096+fragment-4096")]
#[case("mbedtls-2.4.0/rsa-4096+fragment-off")]
#[case("mbedtls-2.4.0/rsa-4096+fragment-512")]
#[case("mbedtls-2.4.0/arduino-16384+host-name")]
#[case("mbedtls-2.4.0/arduino-16384+psk")]
#[case("mbedtls-2.4.0/arduino-16384+client-ec")]
#[case("mbedtls-2.16.0/all-16384+host-name")]
#[case("mbedtls-2.16.0/all-16384+resume-ticket")]
#[case("mbedtls-2.28/all-16384+host-name")]
#[case("mbedtls-2.28/all-16384+host-null")]
#[case("mbedtls-2.28/all-16384+host-wrong")]
#[case("mbedtls-2.28/all-16384+verify-none")]
#[case("mbedtls-2.28/all-16384+verify-optional")]
#[case("mbedtls-2.28/all-16384+resume-ticket")]
#[case("mbedtls-2.28/all-16384+suiteb-host-name")]
#[case("mbedtls-3.6/rsa-16384+host-name")]
#[case("mbedtls-3.6/rsa-16384+host-null")]
#[case("mbedtls-3.6/all-16384+host-name")]
#[case("mbedtls-3.6/all-16384+host-null")]
#[case("mbedtls-3.6/all-16384+host-wrong")]
#[case("mbedtls-3.6/all-16384+verify-none")]
#[case("mbedtls-3.6/all-16384+verify-optional")]
#[case("mbedtls-3.6/all-16384+resume-ticket")]
#[case("mbedtls-3.6/all-16384+resume-session-id")]
#[case("mbedtls-3.6/all-16384+tls12-only")]
#[case("mbedtls-3.6/all-16384+tls13-only")]
#[case("mbedtls-3.6/all-16384+tls13-cap")]
#[case("mbedtls-3.6/all-16384+suiteb-host-name")]
#[case("mbedtls-3.6/all-16384+client-rsa")]
#[case("mbedtls-2.28/rsa-16384+host-name")]
#[case("mbedtls-2.28/rsa-16384+client-rsa-host-name")]
#[case("mbedtls-2.28/all-16384+client-rsa-host-name")]
#[case("mbedtls-2.28/all-16384+client-ec-host-name")]
#[case("mbedtls-3.6/rsa-16384+client-rsa-host-name")]
#[case("mbedtls-3.6/all-16384+client-rsa-host-name")]
#[case("mbedtls-3.6/all-16384+client-ec-host-name")]
#[case("mbedtls-2.4.0/all-16384+default")]
#[case("mbedtls-2.4.0/rsa-16384+default")]
#[case("mbedtls-2.4.0/rsa-16384+client-rsa")]
#[case("mbedtls-2.16.0/rsa-16384+client-rsa")]
#[case("mbedtls-2.16.0/all-16384+psk")]
#[case("mbedtls-2.28/all-16384+psk")]
#[case("mbedtls-3.6/all-16384+psk")]
fn clients(#[case] client: &str, #[values(Kind::Native, Kind::Qemu)] kind: Kind) {
    check("clients", client, kind);
}

/// What a build cannot express is no failure of anything: there is nothing to expect of it, and the
/// reason is told.
#[rstest]
#[case("a TLS version", "mbedtls-2.4.0/all-16384+tls13-cap")]
#[case("a TLS version", "mbedtls-2.4.0/all-16384+tls13-only")]
#[case("cipher suites", "mbedtls-2.4.0/rsa-16384+one-ecdhe-rsa-gcm")]
#[case("cipher suites", "mbedtls-2.4.0/rsa-16384+psk")]
#[case("a pre-shared key", "mbedtls-2.4.0/rsa-16384+psk-beside-certificates")]
#[case("a TLS version", "mbedtls-2.4.0/rsa-16384+tls13-only")]
#[case("a TLS version", "mbedtls-3.6/all-16384+tls10-only")]
#[case("a TLS version", "mbedtls-3.6/all-16384+tls11-cap")]
fn unsupported(#[case] reason: &str, #[case] client: &str) {
    let cells = cells("clients", &format!("{client}/"), Kind::Native).unwrap();
    assert!(!cells.is_empty(), "{client} is in no cell");
    for cell in cells {
        assert_eq!(cell.record.outcome.result, OutcomeKind::Unsupported, "{}", cell.record.cell);
        let note = cell.record.note.unwrap();
        assert!(note.contains(reason), "{}: {note}", cell.record.cell);
    }
}

#[rstest]
#[case::as_shipped("mbedtls-2.4.0/rsa-16384+default")]
#[case::all_compiled_in("mbedtls-2.4.0/all-16384+default")]
fn ciphers(#[case] client: &str, #[values(Kind::Native)] kind: Kind) {
    check("ciphers", client, kind);
}

#[rstest]
#[case::as_shipped("mbedtls-2.4.0/rsa-16384+default")]
#[case::short_records("mbedtls-2.4.0/rsa-4096+default")]
#[case::all_compiled_in("mbedtls-2.4.0/all-16384+default")]
fn certificates(#[case] client: &str, #[values(Kind::Native)] kind: Kind) {
    check("certificates", client, kind);
}

#[rstest]
#[case::as_shipped("mbedtls-2.4.0/rsa-16384+default")]
fn misbehaviour(#[case] client: &str, #[values(Kind::Native)] kind: Kind) {
    check("misbehaviour", client, kind);
}

#[rstest]
#[case::as_shipped("mbedtls-2.4.0/rsa-16384+default")]
#[case::short_records("mbedtls-2.4.0/rsa-4096+default")]
#[case::all_compiled_in("mbedtls-2.4.0/all-16384+default")]
#[case::suiteb_compiled_in("mbedtls-2.4.0/all-16384+suiteb")]
fn brokers(#[case] client: &str, #[values(Kind::Native)] kind: Kind) {
    check("brokers", client, kind);
}

/// A part of the pairwise plan on both boards, compared field by field with each other and with the
/// snapshots. CI runs the whole: `cargo rig run pairwise --board qemu`, and `--board native`.
#[rstest]
#[case::as_shipped("mbedtls-2.4.0/rsa-4096")]
#[case::with_tls13("mbedtls-3.6/all-4096")]
fn pairwise_on_both_boards(#[case] build: &str) {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (project, _) = open().unwrap();
    let run = |kind| {
        let seen = cells("pairwise", &format!("{build}+"), kind).unwrap();
        assert!(!seen.is_empty(), "no cell of pairwise has {build}");
        assert_eq!(surprises(&seen).unwrap(), "");
        seen
    };
    for (native, qemu) in run(Kind::Native).into_iter().zip(run(Kind::Qemu)) {
        let cell = &native.record.cell;
        assert_eq!(native.seen, qemu.seen, "{cell}: native, qemu");
        let path = Snapshot::path(&project.suites(), "pairwise", &native.record.client);
        let expected = Snapshot::load(&path).unwrap().unwrap_or_default();
        assert_eq!(expected.0.get(&native.record.broker), native.seen.as_ref(), "{cell}: snapshot");
    }
}

/// A client that is added to a suite must be added above as well. A survey is too large for this:
/// CI runs it as `cargo rig run`, which fails on what it does not expect.
#[test]
fn no_client_is_forgotten() {
    let source = include_str!("snapshots.rs");
    let (_, library) = open().unwrap();
    for suite in library.suites.values().filter(|suite| !suite.survey) {
        assert!(source.contains(&format!("check(\"{}\", client, kind)", suite.name)));
        let clients: BTreeSet<_> = suite.cells.iter().map(|cell| cell.client.to_string()).collect();
        for client in clients {
            assert!(source.contains(&format!("\"{client}\")]")), "{client} of {}", suite.name);
        }
    }
}
