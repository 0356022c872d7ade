//! What is negotiated, and what a refused client sees on the wire.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use brokers::reference::{self, Offer};
use brokers::{BrokerError, Close, Side};
use common::{brokers, client_hello, connect, custom, port, profile, taken};
use rstest::rstest;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use suites::names::{cipher_suite, cipher_suite_name};
use suites::stream::Stream;
use wire::tls::{AlertDescription, CipherSuite, NamedGroup, ProtocolVersion};

/// A ClientHello that offers ECDHE-ECDSA alone, to a broker with an RSA certificate.
fn ecdsa_only() -> Vec<CipherSuite> {
    vec![cipher_suite("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256").unwrap()]
}

#[rstest]
fn every_suite_is_served_in_the_brokers_order_with_its_group(
    #[values(
        "hivemq-cloud-2021",
        "alert-on-reject",
        "ec-certificate",
        "tls10-legacy",
        "tls12-only-ecdhe",
        "tls12-rsa-plain",
        "tls13-only-rustls"
    )]
    name: &str,
) {
    let profile = profile(name);
    let broker = brokers().start(&profile).unwrap();
    reference::check(&broker, &profile).unwrap();
}

#[test]
fn the_twelve_suites_of_the_thread_in_order_each_with_its_curve() {
    let hivemq = profile("hivemq-cloud-2021");
    assert_eq!(hivemq.cipher_suites.len(), 12);
    let broker = brokers().start(&hivemq).unwrap();
    // Take away the broker's favourite again and again: what is left shows its order.
    let mut left: Vec<_> = hivemq.cipher_suites.iter().rev().copied().collect();
    for wanted in &hivemq.cipher_suites {
        let offer = Offer::everything(&broker, &hivemq).with_suites(&left);
        let agreed = connect(&broker, &offer).unwrap();
        assert_eq!(agreed.version, ProtocolVersion::TLS1_2);
        assert_eq!(agreed.suite, *wanted);
        assert_eq!(agreed.group, hivemq.suite_groups.get(wanted).copied());
        left.retain(|suite| suite != wanted);
        let port = port(agreed.stream.get_ref());
        drop(agreed);
        let seen = taken(&broker, port).tls.unwrap();
        assert_eq!((seen.suite, seen.group), (*wanted, hivemq.suite_groups.get(wanted).copied()));
        let dhe = cipher_suite_name(*wanted).unwrap().starts_with("TLS_DHE_");
        assert_eq!(seen.dh_bits, dhe.then_some(2048));
    }
    assert!(left.is_empty());
}

#[test]
fn the_forums_client_would_get_0x003d() {
    let hivemq = profile("hivemq-cloud-2021");
    let broker = brokers().start(&hivemq).unwrap();
    // As the default preset of a static RSA build orders them, here with the best one last.
    let offered = [0x002f, 0x003c, 0x0035, 0x003d].map(CipherSuite);
    let offer = Offer::everything(&broker, &hivemq).with_suites(&offered);
    assert_eq!(connect(&broker, &offer).unwrap().suite, CipherSuite(0x003d));
}

#[test]
fn a_suite_whose_own_group_the_client_lacks_is_passed_over() {
    let hivemq = profile("hivemq-cloud-2021");
    let broker = brokers().start(&hivemq).unwrap();
    let mut offer = Offer::everything(&broker, &hivemq).with_suites(&[
        CipherSuite(0xc028), // secp384r1 alone
        CipherSuite(0xc027), // secp256r1 alone
    ]);
    offer.groups = vec![NamedGroup(23)];
    let agreed = connect(&broker, &offer).unwrap();
    assert_eq!((agreed.suite, agreed.group), (CipherSuite(0xc027), Some(NamedGroup(23))));
}

#[test]
fn the_clients_order_decides_where_the_profile_says_so() {
    let profile = custom(
        "server_order = false\ncipher_suites = \
         ['TLS_RSA_WITH_AES_256_CBC_SHA256', 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256']\n\
         [suite_groups]\nTLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256 = 'x25519'",
    );
    let broker = brokers().start(&profile).unwrap();
    let offered = [CipherSuite(0xc027), CipherSuite(0x003d)];
    let agreed =
        connect(&broker, &Offer::everything(&broker, &profile).with_suites(&offered)).unwrap();
    assert_eq!((agreed.suite, agreed.group), (CipherSuite(0xc027), Some(NamedGroup(29))));
    reference::check(&broker, &profile).unwrap();
}

#[test]
fn tls13_only_on_rustls_refuses_tls12_and_serves_tls13() {
    let profile = profile("tls13-only-rustls");
    let broker = brokers().start(&profile).unwrap();
    let offer = Offer::everything(&broker, &profile);
    let agreed = connect(&broker, &offer).unwrap();
    assert_eq!(agreed.version, ProtocolVersion::TLS1_3);
    assert_eq!(agreed.suite, CipherSuite(0x1302));
    let port = port(agreed.stream.get_ref());
    drop(agreed);
    let seen = taken(&broker, port);
    let view = seen.tls.unwrap();
    assert_eq!((view.version, view.group), (ProtocolVersion::TLS1_3, Some(NamedGroup(29))));
    assert_eq!(view.sni.as_deref(), Some("broker.test"));
    assert!(seen.key_log.iter().any(|line| line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")));

    let refused = refused_by("tls13-only-rustls", &[CipherSuite(0x003d)], ProtocolVersion::TLS1_2);
    assert_eq!(refused.alert, Some(AlertDescription::PROTOCOL_VERSION));
}

/// What a refused client sees.
struct Refused {
    alert: Option<AlertDescription>,
    end: Close,
    error: String,
}

/// Offers `suites` through a plain socket with a relay's eyes: the ClientHello comes from OpenSSL,
/// the answer is read to its very end.
fn refused_by(broker: &str, suites: &[CipherSuite], version: ProtocolVersion) -> Refused {
    let profile = profile(broker);
    let broker = brokers().start(&profile).unwrap();
    let hello = client_hello(suites, version);
    let mut tcp = TcpStream::connect(broker.address()).unwrap();
    tcp.set_read_timeout(Some(common::LONG)).unwrap();
    tcp.write_all(&hello).unwrap();
    let mut answer = Vec::new();
    // Reading to the end succeeds after a FIN and fails after a RST.
    let end = match tcp.read_to_end(&mut answer) {
        Ok(_) => Close::Fin,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Close::Reset,
        Err(error) => panic!("{error}"),
    };
    let port = port(&tcp);
    drop(tcp);
    let seen = taken(&broker, port);
    assert_eq!(seen.bytes_from(Side::Broker), answer);
    assert_eq!(seen.bytes_from(Side::Client), hello);
    assert_eq!((seen.ended.by, seen.ended.how), (Side::Broker, Close::Fin));
    assert!(seen.tls.is_none());
    let stream = Stream::parse(&answer);
    assert!(stream.records.len() <= 1, "{stream:?}");
    Refused {
        alert: stream.alerts.first().map(|alert| alert.description),
        end,
        error: seen.error.unwrap(),
    }
}

#[test]
fn nothing_shared_closes_without_a_byte_where_the_profile_says_close() {
    let refused = refused_by("hivemq-cloud-2021", &ecdsa_only(), ProtocolVersion::TLS1_2);
    assert_eq!(refused.alert, None);
    assert_eq!(refused.end, Close::Fin);
    assert!(refused.error.contains("no shared cipher"), "{}", refused.error);
}

#[test]
fn nothing_shared_is_told_where_the_profile_says_alert() {
    let refused = refused_by("alert-on-reject", &ecdsa_only(), ProtocolVersion::TLS1_2);
    assert_eq!(refused.alert, Some(AlertDescription::HANDSHAKE_FAILURE));
    assert_eq!(refused.end, Close::Fin);
}

#[test]
fn an_rsa_client_finds_nothing_at_the_ec_certificate() {
    let rsa = [0x003d, 0x0035, 0x003c, 0x002f].map(CipherSuite);
    let refused = refused_by("ec-certificate", &rsa, ProtocolVersion::TLS1_2);
    assert_eq!(refused.alert, Some(AlertDescription::HANDSHAKE_FAILURE));
}

#[test]
fn versions_below_the_profiles_are_refused() {
    let rsa = [CipherSuite(0x0035)];
    let refused = refused_by("alert-on-reject", &rsa, ProtocolVersion::TLS1_1);
    assert_eq!(refused.alert, Some(AlertDescription::PROTOCOL_VERSION));
}

#[test]
fn a_broker_that_requires_a_server_name_says_so() {
    for front in ["openssl", "rustls"] {
        let profile = custom(&format!(
            "front = '{front}'\nsni = 'required'\n\
             cipher_suites = ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256']"
        ));
        let broker = brokers().start(&profile).unwrap();
        let mut offer = Offer::everything(&broker, &profile);
        connect(&broker, &offer).unwrap();
        offer.server_name = None;
        let error = connect(&broker, &offer).unwrap_err().to_string();
        assert!(error.contains("unrecognized name"), "{error}");
    }
}

#[test]
fn a_client_certificate_is_required_where_the_profile_says_so() {
    let suites = "cipher_suites = ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256']";
    for (front, wanted, served) in [
        ("openssl", "wanted", true),
        ("openssl", "required", false),
        ("rustls", "wanted", true),
        ("rustls", "required", false),
    ] {
        let profile = custom(&format!("front = '{front}'\nclient_auth = '{wanted}'\n{suites}"));
        let broker = brokers().start(&profile).unwrap();
        let mut offer = Offer::everything(&broker, &profile);
        assert_eq!(offer.client.is_some(), !served);
        connect(&broker, &offer).unwrap();
        offer.client = None;
        let agreed = connect(&broker, &offer);
        assert_eq!(agreed.is_ok(), served, "{front} {wanted}: {agreed:?}");
    }
}

#[rstest]
#[case::openssl("openssl", 512)]
#[case::rustls("rustls", 512)]
fn no_record_is_longer_than_the_profile_allows(#[case] front: &str, #[case] most: usize) {
    let profile = custom(&format!(
        "front = '{front}'\nrecord_size = {most}\n\
         cipher_suites = ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256']"
    ));
    let broker = brokers().start(&profile).unwrap();
    let mut client = common::Client::connect(&broker, &profile, "c");
    client.subscribe("t");
    let long = "x".repeat(3 * most);
    client.publish("t", &long);
    let mut got = 0;
    while got < 2 {
        match client.receive().unwrap() {
            mqttbytes::v4::Packet::Publish(publish) => {
                assert_eq!(publish.payload, long);
                got += 1;
            }
            mqttbytes::v4::Packet::PubAck(_) => got += 1,
            other => panic!("{other:?}"),
        }
    }
    let port = client.port();
    drop(client);
    let stream = Stream::parse(&taken(&broker, port).bytes_from(Side::Broker));
    let longest = stream.records.iter().map(|record| record.range.len()).max().unwrap();
    // Header, and what AES-GCM adds: 8 bytes of nonce and 16 of tag.
    assert!((most..=most + 5 + 24).contains(&longest), "{longest}");
}

#[test]
fn a_session_is_resumed_only_where_the_profile_allows_it() {
    for front in ["openssl", "rustls"] {
        for (tickets, cache) in [(true, false), (false, true), (false, false)] {
            let text = format!(
                "front = '{front}'\ntickets = {tickets}\nsession_cache = {cache}\n\
                 cipher_suites = ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256']"
            );
            let broker = brokers().start(&custom(&text)).unwrap();
            let resumed = second_connection_resumes(&broker);
            assert_eq!(resumed, tickets || cache, "{text}");
        }
    }
}

/// With rustls as the client, which keeps sessions by itself; the `openssl` crate has no safe way.
fn second_connection_resumes(broker: &brokers::Broker) -> bool {
    use rustls::pki_types::{CertificateDer, ServerName};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(broker.ca_der().to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let resumed = [(); 2].map(|()| {
        let name = ServerName::try_from(broker.host_name().to_owned()).unwrap();
        let mut tls = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
        let mut tcp = TcpStream::connect(broker.address()).unwrap();
        tcp.set_read_timeout(Some(common::LONG)).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp).unwrap();
        }
        let port = port(&tcp);
        let client = tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        drop(tcp);
        assert_eq!(taken(broker, port).tls.unwrap().resumed, client);
        client
    });
    assert!(!resumed[0]);
    resumed[1]
}

#[test]
fn what_a_front_cannot_serve_is_an_error_at_start() {
    let error = |text: &str| match brokers().start(&custom(text)) {
        Err(error @ BrokerError::Front { .. }) => error.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("started: {text}"),
    };
    let rsa = "cipher_suites = ['TLS_RSA_WITH_AES_256_CBC_SHA256']";
    let text = error(&format!("front = 'rustls'\n{rsa}"));
    assert!(text.contains("rustls cannot serve TLS_RSA_WITH_AES_256_CBC_SHA256"), "{text}");
    let text = error("cipher_suites = ['TLS_ECDH_RSA_WITH_AES_128_CBC_SHA']");
    assert!(text.contains("openssl cannot serve TLS_ECDH_RSA_WITH_AES_128_CBC_SHA"), "{text}");
}

#[test]
fn the_alert_for_no_shared_suite_is_the_profiles() {
    let profile = custom(
        "no_suite_alert = 'insufficient_security'\n\
         cipher_suites = ['TLS_RSA_WITH_AES_256_CBC_SHA256']",
    );
    let broker = brokers().start(&profile).unwrap();
    let offer = Offer::everything(&broker, &profile).with_suites(&[CipherSuite(0x003c)]);
    let error = connect(&broker, &offer).unwrap_err().to_string();
    assert!(error.contains("alert number 71"), "{error}");
}
