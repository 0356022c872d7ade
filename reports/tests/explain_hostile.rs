//! Whatever bytes come in the name of a log: no panic, nothing unsafe to show, and of a real log that
//! was damaged no other cause than the real one.
//!
//! A fuzz target for cargo-fuzz would need a nightly compiler, which this workspace does without;
//! these are the same properties under proptest.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

use proptest::prelude::*;
use reports::Cause;
use reports::explain::{Beside, explain};
use std::path::Path;

const LOGS: [(&str, Cause); 8] = [
    ("the_thread", Cause::NoCiphersuiteOffered),
    ("http", Cause::NotTls),
    ("fragmented", Cause::HandshakeMessageFragmented),
    ("newer_version", Cause::ServerRequiresNewerVersion),
    ("no_host_name", Cause::HostnameNotSet),
    ("reset", Cause::ConnectionReset),
    ("sni", Cause::SniRequired),
    ("closed", Cause::InsufficientEvidence),
];

fn log(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs");
    std::fs::read(folder.join(format!("{name}.log"))).unwrap()
}

/// Explains it, and looks at every word that would be shown.
fn checked(log: &[u8]) -> Cause {
    let explanation = explain(log, &Beside::default());
    let text = serde_json::to_string_pretty(&explanation).unwrap();
    // JSON escapes some of them by itself, so the sentences are looked at as well.
    let said = [&explanation.diagnosis.evidence, &explanation.next, &explanation.errors];
    let said = said.into_iter().flatten().chain([&explanation.diagnosis.summary]);
    for words in said {
        assert!(!words.chars().any(char::is_control), "{words:?}");
    }
    assert!(text.len() < 100_000);
    explanation.diagnosis.cause
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        checked(&bytes);
    }

    /// Text that looks more like a log reaches further.
    #[test]
    fn no_text_makes_it_panic(lines in proptest::collection::vec(
        "(ssl_(cli|tls|msg)\\.c:[0-9]{1,6}: )?(\\|[1-4]\\| )?(=> |<= |dumping '|client state: |client hello, |input record: msgtype = |in_left: |peer certificate #|got an alert message, type: )?[ -~é]{0,40}",
        0..60,
    )) {
        checked(lines.join("\n").as_bytes());
    }

    #[test]
    fn damage_leads_to_no_other_cause(
        which in 0..LOGS.len(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_u8), 1..6),
        byte in any::<u8>(),
    ) {
        let (name, cause) = LOGS[which];
        let mut lines: Vec<Vec<u8>> = log(name).split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        for (at, how) in damage {
            let at = at.index(lines.len());
            match how {
                0 => { lines.remove(at); }
                1 => lines.insert(at, b"[app] heap 40312 free, rssi -71, state 3".to_vec()),
                2 => { let half = lines[at].len() / 2; lines[at].truncate(half); }
                _ => lines[at].insert(0, byte),
            }
            if lines.is_empty() {
                break;
            }
        }
        let seen = checked(&lines.join(&b'\n'));
        prop_assert!(seen == cause || seen == Cause::InsufficientEvidence, "{name}: {seen} for {cause}");
    }

    /// Bytes may be wrong in any number; then only this is asked: no panic.
    #[test]
    fn flipped_bytes_are_read_to_the_end(
        which in 0..LOGS.len(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let mut bytes = log(LOGS[which].0);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        checked(&bytes);
    }
}

/// Ten megabytes, of each kind of noise: one endless line, nothing but line feeds, dumps without an
/// end, connections without an end. How fast is a matter for `benches/explain.rs`.
#[test]
fn ten_megabytes_are_read_to_the_end() {
    const LENGTH: usize = 10 << 20;
    let thread = log("the_thread");
    for unit in [
        &b"x"[..],
        b"\n",
        b"dumping 'input record from network' (999999999 bytes)\n0000:  16 03 03 ff ff\n",
        b"client state: 0\n-0x7280\n",
        b"peer certificate #1:\nsubject alt name  : a, b, c\n",
        b"mbedtls_ssl_handshake returned -",
        &thread,
    ] {
        let noise: Vec<u8> = unit.iter().copied().cycle().take(LENGTH).collect();
        checked(&noise);
    }
}
