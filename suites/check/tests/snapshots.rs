//! Every client of every suite against its snapshot and its prediction, on each kind of board.

#![allow(clippy::unwrap_used, reason = "helpers of tests are test code")]

use check::{can_run, cells, laid_over, open, other_hellos, surprises};
use rig::board::Kind;
use rstest::rstest;
use std::collections::BTreeSet;
use suites::{ClientName, Snapshot};

fn check(suite: &str, client: &str, kind: Kind) {
    if !can_run(kind) {
        return;
    }
    let client: ClientName = client.parse().unwrap();
    let seen = cells(suite, &client, kind).unwrap();
    assert!(!seen.is_empty(), "{client} is in no cell of {suite}");
    assert_eq!(surprises(&seen), "");
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

/// A client that is added to a suite must be added above as well.
#[test]
fn no_client_is_forgotten() {
    let source = include_str!("snapshots.rs");
    let (_, library) = open().unwrap();
    for suite in library.suites.values() {
        assert!(source.contains(&format!("check(\"{}\", client, kind)", suite.name)));
        let clients: BTreeSet<_> = suite.cells.iter().map(|cell| cell.client.to_string()).collect();
        for client in clients {
            assert!(source.contains(&format!("\"{client}\")]")), "{client} of {}", suite.name);
        }
    }
}
