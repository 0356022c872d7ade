//! What was measured before there was a rig, row by row: stated and seen must both be as it was.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are test code"
)]

mod common;
#[path = "common/predicting.rs"]
mod predicting;

use common::can_run;
use predicting::{ECDHE, ECDSA, MODERN, NEW, RSA, broker, job, predict_and_run, profile};
use rig::board::Kind;
use rstest::rstest;
use suites::outcome::{Outcome, OutcomeKind};

/// An outcome in the few words of the table below.
fn words(outcome: &Outcome) -> String {
    let flags = outcome.verify_flags.as_ref().map(|flags| format!(" {flags}"));
    let alert = outcome.alert.as_ref().map(|alert| format!(" alert {}", alert.code));
    let text = match outcome.result {
        OutcomeKind::Connected => {
            let suite = outcome.cipher_suite.unwrap();
            format!("{} {suite}", outcome.version.unwrap())
        }
        _ => outcome.error.clone().unwrap_or_else(|| outcome.result.to_string()),
    };
    format!("{text}{}{}", flags.unwrap_or_default(), alert.unwrap_or_default())
}

/// What mbedTLS 2.4.0 answers to which server, as measured before there was a rig: stated and seen
/// must both be what stands here.
#[rstest]
// config_rsa, preset default, against OpenSSL servers.
#[case::tls12("rsa-16384", "", RSA, "", "TLS1.2 0x003d")]
#[case::no_etm_no_tickets(
    "rsa-16384",
    "",
    RSA,
    "encrypt_then_mac = false\ntickets = false",
    "TLS1.2 0x003d"
)]
#[case::aes_128_sha256("rsa-16384", "", "'0x003c'", "", "TLS1.2 0x003c")]
#[case::aes_256_sha("rsa-16384", "", "'0x0035'", "", "TLS1.2 0x0035")]
#[case::aes_128_sha("rsa-16384", "", "'0x002f'", "", "TLS1.2 0x002f")]
#[case::tls10(
    "rsa-16384",
    "",
    RSA,
    "min_version = 'TLS1.0'\nmax_version = 'TLS1.0'\nencrypt_then_mac = false",
    "TLS1.0 0x0035"
)]
#[case::tls11(
    "rsa-16384",
    "",
    RSA,
    "min_version = 'TLS1.0'\nmax_version = 'TLS1.1'",
    "TLS1.1 0x0035"
)]
#[case::tls13_only(
    "rsa-16384",
    "",
    NEW,
    "min_version = 'TLS1.3'\nmax_version = 'TLS1.3'",
    "-0x7780 alert 70"
)]
#[case::capped_at_tls10("rsa-16384", "max_version = 'TLS1.0'", RSA, "", "-0x7780 alert 70")]
#[case::only_ecdhe("rsa-16384", "", ECDHE, "", "-0x7780 alert 40")]
#[case::only_dhe("rsa-16384", "", "'TLS_DHE_RSA_WITH_AES_256_CBC_SHA256'", "", "-0x7780 alert 40")]
#[case::only_gcm("rsa-16384", "", "'TLS_RSA_WITH_AES_256_GCM_SHA384'", "", "-0x7780 alert 40")]
#[case::only_ccm("rsa-16384", "", "'TLS_RSA_WITH_AES_128_CCM'", "", "-0x7780 alert 40")]
#[case::only_camellia(
    "rsa-16384",
    "",
    "'TLS_RSA_WITH_CAMELLIA_128_CBC_SHA'",
    "",
    "-0x7780 alert 40"
)]
#[case::ec_certificate(
    "rsa-16384",
    "",
    ECDSA,
    "[certificate]\nkey = 'ecdsa-p256'",
    "-0x7780 alert 40"
)]
#[case::split_at_1024("rsa-16384", "", RSA, "record_size = 1024", "TLS1.2 0x003d")]
#[case::split_within_the_certificate("rsa-4096", "", RSA, "record_size = 512", "-0x7080")]
#[case::fragment_512("rsa-16384", "max_fragment_length = '512'", RSA, "", "-0x7080")]
#[case::sha1("rsa-16384", "", RSA, "[certificate]\nhash = 'sha1'", "TLS1.2 0x003d")]
#[case::sha384("rsa-16384", "", RSA, "[certificate]\nhash = 'sha384'", "TLS1.2 0x003d")]
#[case::sha512("rsa-16384", "", RSA, "[certificate]\nhash = 'sha512'", "TLS1.2 0x003d")]
#[case::rsa_3072("rsa-16384", "", RSA, "[certificate]\nkey = 'rsa-3072'", "TLS1.2 0x003d")]
#[case::rsa_4096("rsa-16384", "", RSA, "[certificate]\nkey = 'rsa-4096'", "TLS1.2 0x003d")]
#[case::md5("rsa-16384", "", RSA, "[certificate]\nhash = 'md5'", "-0x2700 0x00004000")]
#[case::rsa_1024("rsa-16384", "", RSA, "[certificate]\nkey = 'rsa-1024'", "-0x2700 0x00010000")]
#[case::wrong_host("rsa-16384", "host_name = 'wrong'", RSA, "", "-0x2700 0x00000004")]
#[case::ca_with_an_ec_key(
    "rsa-16384",
    "",
    RSA,
    "[certificate]\nissuer_key = 'ecdsa-p256'",
    "-0x262E"
)]
#[case::client_certificate_required(
    "rsa-16384",
    "",
    RSA,
    "client_auth = 'required'",
    "-0x7780 alert 40"
)]
// config_all.
#[case::all_ecdhe_rsa("all-16384", "", ECDHE, "", "TLS1.2 0xc030")]
#[case::all_ecdhe_ecdsa(
    "all-16384",
    "",
    ECDSA,
    "[certificate]\nkey = 'ecdsa-p256'",
    "TLS1.2 0xc02c"
)]
#[case::all_dhe("all-16384", "", "'TLS_DHE_RSA_WITH_AES_256_CBC_SHA256'", "", "TLS1.2 0x006b")]
#[case::all_gcm("all-16384", "", "'TLS_RSA_WITH_AES_256_GCM_SHA384'", "", "TLS1.2 0x009d")]
#[case::all_camellia("all-16384", "", "'TLS_RSA_WITH_CAMELLIA_128_CBC_SHA'", "", "TLS1.2 0x0041")]
// The forum's case, and what would be left of it with Suite B compiled in.
#[case::the_thread("rsa-16384", "preset = 'suiteb'", RSA, "on_reject = 'close'", "-0x7280")]
#[case::the_thread_with_an_alert("rsa-16384", "preset = 'suiteb'", RSA, "", "-0x7780 alert 40")]
#[case::suite_b_never_verifies(
    "all-16384",
    "preset = 'suiteb'",
    ECDSA,
    "[certificate]\nkey = 'ecdsa-p256'",
    "-0x2700 0x00008000"
)]
// Quirks of servers.
#[case::rustls_packs_its_flight(
    "all-16384",
    "",
    MODERN,
    "front = 'rustls'\nrecord_size = 1100",
    "-0x7080"
)]
#[case::rustls_and_ed25519(
    "all-16384",
    "",
    ECDSA,
    "front = 'rustls'\n[certificate]\nkey = 'ed25519'",
    "-0x7280"
)]
#[case::rustls_and_a_tls11_hello(
    "all-16384",
    "max_version = 'TLS1.1'",
    MODERN,
    "front = 'rustls'",
    "-0x7200 alert 40"
)]
fn the_measured_table(
    #[case] build: &str,
    #[case] client: &str,
    #[case] suites: &str,
    #[case] server: &str,
    #[case] expected: &str,
) {
    if !can_run(Kind::Native) {
        return;
    }
    let build = format!("mbedtls-2.4.0/{build}");
    let job = job(&build, profile("client", client), broker("server", &[suites], server));
    let (predicted, cells) = predict_and_run(vec![job]);
    let (stated, seen) = (&predicted[&cells[0].record.cell], &cells[0].record.outcome);
    assert_eq!((words(&stated.outcome).as_str(), words(seen).as_str()), (expected, expected));
    assert_eq!(stated.differs(seen), []);
}
