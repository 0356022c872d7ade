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

fn build(name: &str) -> Build {
    let firmware = here().join("../firmware/mbedtls");
    let folders = [firmware.join("stacks/mbedtls-2.4.0"), firmware.join("sets")];
    let read = |file: &str| {
        folders.iter().find_map(|folder| std::fs::read_to_string(folder.join(file)).ok())
    };
    let (set, length) = name.split_once('-').unwrap();
    let text = read(&format!("rig_config_{set}.h")).unwrap();
    Build {
        name: format!("mbedtls-2.4.0/{name}").parse().unwrap(),
        content_length: length.parse().unwrap(),
        macros: Macros::parse(&text, &mut |file| read(file)),
    }
}

fn profile(name: &str) -> ClientProfile {
    let path = here().join(format!("profiles/{name}.toml"));
    ClientProfile::parse(name, &std::fs::read_to_string(path).unwrap(), name).unwrap()
}

fn hello(client: &str) -> Recorded {
    let client: ClientName = format!("mbedtls-2.4.0/{client}").parse().unwrap();
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
