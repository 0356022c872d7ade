//! Real cells, judged again: the transcripts were recorded on the native board, with errors alone in
//! the log. What is said of them must change only on purpose.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

use reports::diagnosis::Subject;
use reports::transcript::Entry;
use reports::{Diagnosis, Seen, Transcript, diagnose, judge};
use rstest::{Context, rstest};
use serde::Serialize;
use std::path::Path;
use suites::outcome::Outcome;
use suites::{CellId, Library, OutcomeKind};

fn transcript(name: &str) -> Transcript {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let text = std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).unwrap();
    Transcript::from_jsonl(&text).unwrap()
}

#[derive(Serialize)]
struct Judged {
    outcome: Outcome,
    diagnosis: Option<Diagnosis>,
}

fn judged(cell: &str, transcript: &Transcript) -> Judged {
    let cell: CellId = cell.parse().unwrap();
    let suites = Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites");
    let library = Library::load(&suites).unwrap();
    let subject = Subject {
        build: &cell.client.build,
        profile: library.profile(&cell.client.profile).unwrap(),
        broker: library.broker(&cell.broker).unwrap(),
    };
    let outcome = judge(transcript);
    let diagnosis = diagnose(&subject, transcript, &outcome);
    Judged { outcome, diagnosis }
}

#[rstest]
#[case::the_thread("rsa-16384+suiteb/hivemq-cloud-2021")]
#[case::the_thread_with_an_alert("rsa-16384+suiteb/alert-on-reject")]
#[case::the_fix("rsa-16384+default/hivemq-cloud-2021")]
#[case::rsa_client_ec_certificate("rsa-16384+default/ec-certificate")]
#[case::tls13_alone("rsa-16384+default/tls13-only-rustls")]
#[case::ecdsa_client_rsa_certificate("all-16384+suiteb/hivemq-cloud-2021")]
#[case::suiteb_refuses_the_certificate("all-16384+suiteb/ec-certificate")]
fn a_real_cell(#[context] context: Context, #[case] cell: &str) {
    let name = context.description.unwrap();
    let judged = judged(&format!("mbedtls-2.4.0/{cell}"), &transcript(name));
    let text = serde_json::to_string_pretty(&judged).unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

const THREAD: &str = "mbedtls-2.4.0/rsa-16384+suiteb/hivemq-cloud-2021";
const FIX: &str = "mbedtls-2.4.0/rsa-16384+default/hivemq-cloud-2021";

/// The end of what was seen, in the words of [`Seen`].
fn and_then(name: &str, seen: Seen) -> Transcript {
    let mut transcript = transcript(name);
    transcript.push(u64::MAX, seen);
    transcript
}

/// Even where the client says that it connected: what broke may have been the judge.
#[rstest]
#[case::of_a_failure(THREAD, "the_thread")]
#[case::of_a_success(FIX, "the_fix")]
fn a_fault_outweighs_whatever_else_was_seen(#[case] cell: &str, #[case] name: &str) {
    let fault = and_then(name, Seen::Fault { what: "the probe is gone".to_owned() });
    let judged = judged(cell, &fault);
    assert_eq!(judged.outcome, Outcome::bare(OutcomeKind::RigFault));
    assert_eq!(judged.diagnosis, None);
}

#[rstest]
#[case::of_a_failure(THREAD, "the_thread")]
#[case::of_a_success(FIX, "the_fix")]
fn a_timeout_is_neither_success_nor_failure(#[case] cell: &str, #[case] name: &str) {
    let late = Seen::TimedOut { waiting_for: "bytes from the broker".to_owned(), limit_ms: 20_000 };
    let judged = judged(cell, &and_then(name, late));
    assert_eq!(judged.outcome.result, OutcomeKind::TimedOut);
    assert_eq!(judged.diagnosis.unwrap().cause, reports::Cause::Timeout);
}

/// However early a transcript ends, there is a verdict, and without the client's own result it is
/// none about the client.
#[test]
fn a_transcript_without_a_result_is_a_fault() {
    for name in ["the_thread", "the_fix", "suiteb_refuses_the_certificate"] {
        let whole = transcript(name);
        let result = whole.seen().position(|seen| matches!(seen, Seen::Result(_))).unwrap();
        for end in 0..=result {
            let mut cut = Transcript::default();
            for Entry { at_ns, seen } in &whole.entries()[..end] {
                cut.push(*at_ns, seen.clone());
            }
            assert_eq!(judged(THREAD, &cut).outcome.result, OutcomeKind::RigFault, "{name} {end}");
        }
    }
}

#[test]
fn a_transcript_writes_what_it_reads() {
    let whole = transcript("the_fix");
    let text = String::from_utf8(whole.to_jsonl().unwrap()).unwrap();
    assert_eq!(Transcript::from_jsonl(&text).unwrap(), whole);
    assert!(whole.device_log().lines().all(|line| line.contains("|1| ")));
}
