//! The predictor alone: recorded hellos and macro sets of the project, brokers of the tests.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are test code"
)]

use rstest::rstest;
use std::collections::BTreeSet;
use std::path::Path;
use suites::predict::recorded::Recorded;
use suites::predict::stack::{Build, Macros};
use suites::predict::{Filter, NoPrediction, Predicted, Subject, predict};
use suites::{BrokerProfile, ClientName, ClientProfile, OutcomeKind};
use wire::tls::CipherSuite;

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A name without a stack is one of mbedTLS 2.4.0.
fn whole(name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { format!("mbedtls-2.4.0/{name}") }
}

fn build(name: &str) -> Build {
    let (whole, firmware) = (whole(name), here().join("../firmware/mbedtls"));
    let (stack, name) = whole.split_once('/').unwrap();
    let folders = [firmware.join("stacks").join(stack), firmware.join("sets")];
    let read = |file: &str| {
        folders.iter().find_map(|folder| std::fs::read_to_string(folder.join(file)).ok())
    };
    let (set, length) = name.split_once('-').unwrap();
    let text = read(&format!("rig_config_{set}.h")).unwrap();
    Build {
        name: whole.parse().unwrap(),
        content_length: length.parse().unwrap(),
        macros: Macros::parse(&text, &mut |file| read(file)),
    }
}

fn profile(name: &str) -> ClientProfile {
    let path = here().join(format!("profiles/{name}.toml"));
    ClientProfile::parse(name, &std::fs::read_to_string(path).unwrap(), name).unwrap()
}

fn hello(client: &str) -> Recorded {
    let client: ClientName = whole(client).parse().unwrap();
    Recorded::load(&Recorded::path(here(), &client)).unwrap().unwrap()
}

fn broker(suites: &str, more: &str) -> BrokerProfile {
    let text = format!("summary = 's'\nsource = 't'\ncipher_suites = [{suites}]\n{more}\n");
    BrokerProfile::parse("broker", &text, "broker").unwrap_or_else(|error| panic!("{error}"))
}

fn predicted(client: &str, broker: &BrokerProfile) -> Predicted {
    let (build_name, profile_name) = client.split_once('+').unwrap();
    let (build, profile, recorded) = (build(build_name), profile(profile_name), hello(client));
    let hello = Some(recorded.hello());
    predict(&Subject { build: &build, profile: &profile, hello, broker }).unwrap()
}

const RSA_GCM: &str = "'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'";
const TLS13: &str = "'TLS_AES_128_GCM_SHA256'";
const ONLY_13: &str = "min_version = 'TLS1.3'\nmax_version = 'TLS1.3'\n";

/// What newer stacks do otherwise than 2.4.0, and what TLS 1.3 adds: where it ends, with which error,
/// alert and flags, and a part of the reason.
#[rstest]
#[case::no_host_name(
    "2.28/all-16384+default",
    RSA_GCM,
    "",
    "server_certificate -0x5D80",
    "not even with NULL"
)]
#[case::no_host_name_asked("2.28/all-16384+host-null", RSA_GCM, "", "over", "settle on TLS1.2")]
#[case::told(
    "2.16.0/all-16384+default",
    RSA_GCM,
    "[certificate]\nhash = 'sha1'",
    "server_certificate -0x2700 46 0x00004000",
    "too weak a hash"
)]
#[case::told_not(
    "all-16384+default",
    RSA_GCM,
    "[certificate]\nhash = 'md5'",
    "server_certificate -0x2700 0x00004000",
    "too weak a hash"
)]
#[case::too_long(
    "2.28/all-16384+host-null",
    RSA_GCM,
    "[certificate]\nintermediates = 9",
    "server_certificate -0x3000 49",
    "follows 8"
)]
#[case::too_long_then(
    "all-16384+default",
    RSA_GCM,
    "[certificate]\nintermediates = 9",
    "server_certificate -0x2700",
    "follows 8"
)]
#[case::put_together("3.6/all-16384+host-null", RSA_GCM, "record_size = 512", "over", "settle on")]
#[case::torn(
    "2.28/all-16384+host-null",
    RSA_GCM,
    "record_size = 512",
    "server_certificate -0x7080",
    "does not put it together"
)]
#[case::no_room(
    "3.6/all-4096+host-null",
    RSA_GCM,
    "record_size = 1024\n[certificate]\nmessage_bytes = 4700",
    "server_certificate -0x7100",
    "put together"
)]
#[case::lost_sha384(
    "3.6/all-16384+host-null",
    RSA_GCM,
    "[certificate]\nhash = 'sha384'",
    "server_certificate -0x2700 43 0x0001c008",
    "is unknown here"
)]
#[case::lost_sha384_in_13(
    "3.6/all-16384+host-null",
    TLS13,
    "min_version = 'TLS1.3'\nmax_version = 'TLS1.3'\n[certificate]\nhash = 'sha384'",
    "server_certificate -0x262E",
    "is unknown here"
)]
#[case::signs_otherwise(
    "3.6/all-16384+host-null",
    RSA_GCM,
    "signature_algorithms = ['rsa_pkcs1_sha1']",
    "server_hello -0x7780 40",
    "none of the broker's signature algorithms"
)]
#[case::no_pss_yet(
    "2.28/all-16384+host-null",
    RSA_GCM,
    "signature_algorithms = ['rsa_pss_rsae_sha256']",
    "server_hello -0x7780 40",
    "none of the broker's signature algorithms"
)]
#[case::pss(
    "3.6/all-16384+host-null",
    RSA_GCM,
    "signature_algorithms = ['rsa_pss_rsae_sha256']",
    "over",
    "settle on"
)]
#[case::tls13("3.6/all-16384+host-null", TLS13, ONLY_13, "over", "settle on TLS1.3")]
#[case::pkcs1_is_gone(
    "3.6/all-16384+host-null",
    TLS13,
    "min_version = 'TLS1.3'\nmax_version = 'TLS1.3'\nsignature_algorithms = ['rsa_pkcs1_sha256']",
    "server_hello -0x7780 40",
    "rsa_pkcs1_sha256"
)]
#[case::wrong_name_in_13(
    "3.6/all-16384+host-wrong",
    TLS13,
    ONLY_13,
    "server_certificate -0x2700 42 0x00000004",
    "another host name"
)]
#[case::fragment_in_13(
    "3.6/all-4096+default",
    TLS13,
    ONLY_13,
    "encrypted_extensions -0x7500 110",
    "max_fragment_length"
)]
#[case::no_certificate_in_13(
    "3.6/all-16384+host-null",
    TLS13,
    "min_version = 'TLS1.3'\nmax_version = 'TLS1.3'\nclient_auth = 'required'",
    "mqtt_connect -0x7780",
    "requires a certificate"
)]
#[case::shown_and_taken(
    "2.16.0/rsa-16384+client-rsa",
    "'TLS_RSA_WITH_AES_128_CBC_SHA'",
    "client_auth = 'required'",
    "over",
    "settle on"
)]
fn newer_stacks_and_tls13(
    #[case] client: &str,
    #[case] suites: &str,
    #[case] more: &str,
    #[case] expected: &str,
    #[case] why: &str,
) {
    let client = match client.starts_with("all") {
        true => client.to_owned(),
        false => format!("mbedtls-{client}"),
    };
    let stated = predicted(&client, &broker(suites, more));
    let outcome = &stated.outcome;
    let words = [
        outcome.stage.map(suites::outcome::phase_name),
        outcome.error.clone(),
        outcome.alert.as_ref().map(|alert| alert.code.to_string()),
        outcome.verify_flags.clone(),
    ];
    let words: Vec<_> = words.into_iter().flatten().collect();
    assert_eq!(words.join(" "), expected, "{stated:?}");
    assert!(stated.why.contains(why), "{}", stated.why);
}

/// RFC 8446 4.1.4: OpenSSL takes a group whose key the hello brings before one that it wants more,
/// and asks for another hello only if there is none.
#[rstest]
#[case("['secp256r1', 'x25519']", "with the key for x25519")]
#[case(
    "['secp384r1', 'secp256r1']",
    "HelloRetryRequest: the first ClientHello brings no key for secp384r1"
)]
fn a_key_at_hand_comes_first(#[case] groups: &str, #[case] said: &str) {
    let broker = broker(TLS13, &format!("{ONLY_13}groups = {groups}"));
    let stated = predicted("mbedtls-3.6/all-16384+host-null", &broker);
    assert!(stated.steps[0].why.contains(said), "{:?}", stated.steps);
}

/// In TLS 1.3 it takes a ticket, before that a session ID does as well.
#[rstest]
#[case("resume-ticket", TLS13, "", Some(true))]
#[case("resume-ticket", TLS13, "tickets = false", Some(false))]
#[case("resume-session-id", TLS13, "", Some(false))]
#[case("resume-session-id", RSA_GCM, "", Some(true))]
#[case("resume-session-id", RSA_GCM, "session_cache = false", Some(false))]
#[case("resume-ticket", RSA_GCM, "session_cache = false", Some(true))]
#[case("host-null", RSA_GCM, "", None)]
fn resumption(
    #[case] profile: &str,
    #[case] suites: &str,
    #[case] more: &str,
    #[case] resumed: Option<bool>,
) {
    let versions = if suites == TLS13 { ONLY_13 } else { "" };
    let client = format!("mbedtls-3.6/all-16384+{profile}");
    let stated = predicted(&client, &broker(suites, &format!("{versions}{more}")));
    assert_eq!(stated.outcome.resumed, resumed, "{stated:?}");
}

/// Each filter, by a broker that differs in one thing from one that would take the suite.
#[rstest]
#[case::version(
    "rsa-16384+default",
    "'0x003d', '0x0035'",
    "min_version = 'TLS1.1'\nmax_version = 'TLS1.1'",
    0x003d,
    Some(Filter::Version)
)]
#[case::not_served("rsa-16384+default", "'0x003c'", "", 0x003d, Some(Filter::NotServed))]
#[case::key_exchange(
    "rsa-16384+default",
    "'0xc02f', '0x003c'",
    "",
    0xc02f,
    Some(Filter::KeyExchange)
)]
#[case::cipher("rsa-16384+default", "'0x009c', '0x003c'", "", 0x009c, Some(Filter::Cipher))]
#[case::not_offered(
    "all-16384+suiteb",
    "'0xc02b', '0x003c'",
    "[certificate]\nkey = 'ecdsa-p256'",
    0x003c,
    Some(Filter::NotOffered)
)]
#[case::certificate(
    "rsa-16384+default",
    "'0x003c'",
    "[certificate]\nkey = 'ecdsa-p256'",
    0x003c,
    Some(Filter::CertificateKeyType)
)]
#[case::group(
    "all-16384+suiteb",
    "'0xc02b'",
    "groups = ['x25519']\n[certificate]\nkey = 'ecdsa-p256'",
    0xc02b,
    Some(Filter::Group)
)]
#[case::own_group(
    "all-16384+suiteb",
    "'0xc02b'",
    "[suite_groups]\n0xc02b = 'secp521r1'\n[certificate]\nkey = 'ecdsa-p256'",
    0xc02b,
    Some(Filter::Group)
)]
#[case::signature(
    "all-16384+suiteb",
    "'0xc02b'",
    "[certificate]\nkey = 'ed25519'",
    0xc02b,
    Some(Filter::SignatureAlgorithm)
)]
#[case::security_level(
    "rsa-16384+default",
    "'0x003c'",
    "security_level = 3",
    0x003c,
    Some(Filter::SecurityLevel)
)]
#[case::server_order(
    "rsa-16384+default",
    "'0x003c', '0x003d'",
    "",
    0x003d,
    Some(Filter::ServerOrder)
)]
#[case::client_order(
    "rsa-16384+default",
    "'0x003c', '0x003d'",
    "server_order = false",
    0x003c,
    Some(Filter::ClientOrder)
)]
#[case::none("rsa-16384+default", "'0x003c', '0x003d'", "server_order = false", 0x003d, None)]
fn a_filter_takes_a_suite_out(
    #[case] client: &str,
    #[case] suites: &str,
    #[case] more: &str,
    #[case] suite: u16,
    #[case] out: Option<Filter>,
) {
    let predicted = predicted(client, &broker(suites, more));
    let name = CipherSuite(suite).to_string();
    let lines: Vec<_> = predicted.trace.iter().filter(|line| line.suite == name).collect();
    assert_eq!(lines.len(), 1, "each suite stands once: {:?}", predicted.trace);
    assert_eq!(lines[0].out, out, "{}", lines[0].why);
    let chosen: Vec<_> = predicted.trace.iter().filter(|line| line.out.is_none()).collect();
    let agreed = predicted.outcome.cipher_suite.map(|suite| suite.to_string());
    assert_eq!(chosen.first().map(|line| line.suite.clone()), agreed);
    assert!(chosen.len() <= 1);
}

/// Every suite that the client offers and every one that the broker serves is in the trace.
#[test]
fn the_trace_names_every_suite_of_both_ends() {
    let text = std::fs::read_to_string(here().join("brokers/hivemq-cloud-2021.toml")).unwrap();
    let hivemq = BrokerProfile::parse("hivemq-cloud-2021", &text, "x").unwrap();
    let predicted = predicted("rsa-16384+default", &hivemq);
    let named: BTreeSet<_> = predicted.trace.iter().map(|line| line.suite.clone()).collect();
    let recorded = hello("rsa-16384+default");
    let both = recorded.hello().usable_suites().chain(hivemq.cipher_suites.iter().copied());
    assert_eq!(named, both.map(|suite| suite.to_string()).collect());
    assert_eq!(named.len(), predicted.trace.len());
}

/// What the macros say is compiled in is what the default preset offers: all but RC4, which
/// `ssl_cli.c` leaves out of a list that nobody asked for.
#[rstest]
fn the_macros_say_which_suites_there_are(
    #[values("rsa-16384+default", "rsa-4096+default")] client: &str,
) {
    let build = build(client.split_once('+').unwrap().0);
    let compiled: BTreeSet<_> = (0..=u16::MAX)
        .map(CipherSuite)
        .filter(|suite| build.lacks_for(*suite).is_none())
        .filter(|suite| {
            suites::names::cipher_suite_name(*suite).is_some_and(|name| !name.contains("RC4"))
        })
        .collect();
    assert_eq!(compiled, hello(client).hello().usable_suites().collect());
}

#[test]
fn what_is_not_known_is_said_and_not_guessed() {
    let (mut build, profile, broker) =
        (build("rsa-16384"), profile("default"), broker("'0x003d'", ""));
    let subject = Subject { build: &build, profile: &profile, hello: None, broker: &broker };
    let error = predict(&subject).unwrap_err();
    assert_eq!(
        error,
        NoPrediction::NoHello { client: "mbedtls-2.4.0/rsa-16384+default".to_owned() }
    );
    build.name = "wolfssl-5/rsa-16384".parse().unwrap();
    let recorded = hello("rsa-16384+default");
    let hello = Some(recorded.hello());
    let subject = Subject { build: &build, profile: &profile, hello, broker: &broker };
    insta::assert_snapshot!(predict(&subject).unwrap_err(), @r#"nothing is known of stack "wolfssl-5": state its facts in suites/src/predict/stack.rs, with their source"#);
}

#[test]
fn a_client_that_sends_nothing_needs_no_hello() {
    let build = build("rsa-16384");
    let text = "summary = 's'\nmax_version = 'TLS1.3'";
    let profile = ClientProfile::parse("new", text, "new").unwrap();
    let broker = broker("'0x003d'", "");
    let subject = Subject { build: &build, profile: &profile, hello: None, broker: &broker };
    let predicted = predict(&subject).unwrap();
    assert_eq!(predicted.outcome.result, OutcomeKind::Unsupported);
    insta::assert_snapshot!(predicted.why, @"mbedtls-2.4.0 knows TLS1.0 to TLS1.2, and not TLS1.3");
}

#[test]
fn a_hello_is_the_same_with_another_random_and_no_other_with_another_suite() {
    let recorded = hello("rsa-16384+default");
    let folder = tempfile::tempdir().unwrap();
    let client: ClientName = "mbedtls-2.4.0/rsa-16384+default".parse().unwrap();
    let path = Recorded::path(folder.path(), &client);
    assert_eq!(Recorded::load(&path).unwrap(), None);
    recorded.save(&path, &client).unwrap();
    assert_eq!(Recorded::load(&path).unwrap().as_ref(), Some(&recorded));
    let text = std::fs::read_to_string(&path).unwrap();
    let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    let record = data_encoding::HEXLOWER.decode(digits.as_bytes()).unwrap();
    let (mut random, mut suite) = (record.clone(), record.clone());
    random[20] ^= 0xff;
    suite[47] ^= 0x01;
    assert!(recorded.same_offer(&Recorded::new(&random).unwrap()));
    assert!(!recorded.same_offer(&Recorded::new(&suite).unwrap()));
    assert_eq!(Recorded::new(&record[..record.len() - 1]), None, "not all of a hello");
}
