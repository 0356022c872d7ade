//! Whatever bytes come in the name of a log: no panic, nothing unsafe to show, and of a real log that
//! was damaged no other cause than the real one.
//!
//! `reports/fuzz` looks further, led by coverage, and is run by hand; these are the same properties
//! under proptest.

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
    let diagnosis = &explanation.diagnosis;
    let said = diagnosis.evidence.iter().chain([&diagnosis.summary]);
    let said = said.chain(explanation.next.iter().map(|next| &next.text));
    let said = said.chain(explanation.errors.iter().map(|error| &error.text));
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

/// How a log suffers on its way into a forum; `seed` says which lines.
#[derive(Debug, Clone, Copy)]
enum Harm {
    /// Three lines in ten are missing.
    Thinned,
    /// It begins late.
    Beheaded,
    /// It ends early.
    CutOff,
    /// Each line twice.
    Doubled,
    /// Two lines in one, without a line feed between them.
    Joined,
    /// A time before each line.
    Stamped,
    /// Line ends of Windows.
    Windows,
    /// Another program's lines between.
    Mixed,
    /// Cut at a terminal's width; this and the next come last.
    Narrow,
    /// Wrapped at a terminal's width.
    Wrapped,
}

const HARMS: [Harm; 10] = [
    Harm::Thinned,
    Harm::Beheaded,
    Harm::CutOff,
    Harm::Doubled,
    Harm::Joined,
    Harm::Stamped,
    Harm::Windows,
    Harm::Mixed,
    Harm::Narrow,
    Harm::Wrapped,
];

/// A number from a seed and a place: as good as random, and the same each time.
fn drawn(seed: u64, at: usize, of: u64) -> u64 {
    let mixed = (seed ^ at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 33) % of
}

fn suffer(lines: &[String], harm: Harm, seed: u64) -> Vec<String> {
    let place = usize::try_from(drawn(seed, 0, lines.len().max(1) as u64)).unwrap();
    let width = 40 + usize::try_from(drawn(seed, 1, 60)).unwrap();
    let each = |change: &dyn Fn(usize, &String) -> Vec<String>| {
        lines.iter().enumerate().flat_map(|(at, line)| change(at, line)).collect()
    };
    let pieces = |line: &String| -> Vec<String> {
        let letters: Vec<char> = line.chars().collect();
        letters.chunks(width).map(|piece| piece.iter().collect()).collect()
    };
    match harm {
        Harm::Thinned => each(&|at, line| match drawn(seed, at, 10) {
            0..3 => Vec::new(),
            _ => vec![line.clone()],
        }),
        Harm::Beheaded => lines[place..].to_vec(),
        Harm::CutOff => lines[..place].to_vec(),
        Harm::Doubled => each(&|_, line| vec![line.clone(), line.clone()]),
        Harm::Joined => lines.chunks(2).map(|two| two.join(" ")).collect(),
        Harm::Narrow => each(&|_, line| pieces(line).into_iter().take(1).collect()),
        Harm::Wrapped => each(&|_, line| pieces(line)),
        Harm::Stamped => each(&|at, line| vec![format!("12:00:{:02}.{at:03} -> {line}", at % 60)]),
        Harm::Windows => each(&|_, line| vec![format!("{line}\r")]),
        Harm::Mixed => each(&|at, line| match drawn(seed, at, 4) {
            0 => vec![line.clone(), format!("[app] rssi -71, heap {at}, rc=-1, steps -32512")],
            _ => vec![line.clone()],
        }),
    }
}

/// Every log of the repository, with the cause that it proves whole.
fn every_log() -> &'static [(String, String, Cause)] {
    static LOGS: std::sync::OnceLock<Vec<(String, String, Cause)>> = std::sync::OnceLock::new();
    LOGS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs");
        let files = std::fs::read_dir(folder).unwrap();
        let mut logs: Vec<_> = files
            .map(|file| file.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                let text = String::from_utf8(std::fs::read(path).unwrap()).unwrap();
                let cause = explain(text.as_bytes(), &Beside::default()).diagnosis.cause;
                (name, text, cause)
            })
            .collect();
        logs.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        logs
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever becomes of a log on its way, what is left proves the same cause or none.
    #[test]
    fn a_log_that_suffered_proves_no_other_cause(
        which in any::<prop::sample::Index>(),
        harms in proptest::collection::vec((0..HARMS.len(), any::<u64>()), 1..4),
    ) {
        let (name, text, cause) = which.get(every_log());
        let mut harms = harms;
        // The terminal is the last that a log goes through.
        harms.sort_by_key(|(harm, _)| *harm >= HARMS.len() - 2);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (harm, seed) in &harms {
            lines = suffer(&lines, HARMS[*harm], *seed);
        }
        let left = lines.join("\n");
        let seen = checked(left.as_bytes());
        // Where the failed check is gone, what is left is a handshake in good order.
        let unseen = *cause == Cause::VerifyFailureIgnored && seen == Cause::NoFailure;
        prop_assert!(
            seen == *cause || seen == Cause::InsufficientEvidence || unseen,
            "{name}, {:?}: {seen} for {cause}",
            harms.iter().map(|(harm, _)| HARMS[*harm]).collect::<Vec<_>>()
        );
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
