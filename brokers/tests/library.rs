//! Every profile in the library starts and does to a real client what it says, in bounded time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use brokers::product::{Product, ProductError};
use brokers::reference::{self, Offer};
use brokers::{Broker, BrokerError, Brokers, Close, Connection, Limits, Side};
use bytes::BytesMut;
use common::{port, profile, taken};
use mqttbytes::v4;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;
use suites::broker::{BrokerProfile, Fault, Misbehaviour, Sni};
use wire::tls::ProtocolVersion;

/// All profiles of a kind, by name.
fn profiles(wanted: impl Fn(&BrokerProfile) -> bool) -> Vec<BrokerProfile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites/brokers");
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".toml").map(str::to_owned))
        .collect();
    names.sort();
    names.iter().map(|name| profile(name)).filter(wanted).collect()
}

#[test]
fn the_library_is_as_large_as_promised_and_says_where_it_comes_from() {
    let all = profiles(|_| true);
    assert!(all.len() >= 90, "{} profiles", all.len());
    for profile in all {
        assert!(profile.source.len() > 10, "{} has no source", profile.name);
    }
}

#[test]
fn every_profile_that_behaves_serves_all_its_suites_in_its_order() {
    let brokers = common::brokers();
    let ours = |profile: &BrokerProfile| {
        profile.misbehave.is_none() && Product::of(profile.front).is_none()
    };
    for profile in profiles(ours) {
        let name = &profile.name;
        let broker = brokers.start(&profile).unwrap_or_else(|error| panic!("{name}: {error}"));
        if profile.security_level > 0 && profile.max_version < ProtocolVersion::TLS1_2 {
            // The one that is there to serve nobody.
            reference::connect(broker.address(), &Offer::everything(&broker, &profile))
                .unwrap_err();
            continue;
        }
        reference::check(&broker, &profile).unwrap_or_else(|error| panic!("{name}: {error}"));
        let offer = Offer { server_name: None, ..Offer::everything(&broker, &profile) };
        let nameless = reference::connect(broker.address(), &offer);
        assert_eq!(nameless.is_ok(), profile.sni != Sni::Required, "{name}: {nameless:?}");
    }
}

#[test]
fn every_product_serves_all_its_suites_in_its_order() {
    // The rig's own cache: that is where `--setup` installs aedes.
    let brokers = Brokers::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("../rig/pki")).unwrap();
    for profile in profiles(|profile| Product::of(profile.front).is_some()) {
        let name = &profile.name;
        match brokers.start(&profile) {
            Ok(broker) => {
                reference::check(&broker, &profile)
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            Err(BrokerError::Product(missing @ ProductError::Missing { .. })) => {
                assert!(std::env::var_os("RIG_NO_SKIP").is_none(), "RIG_NO_SKIP is set: {missing}");
                eprintln!("skipped {name}: {missing}");
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn every_misbehaviour_ends_and_is_accounted_for() {
    let limits = Limits { linger: Duration::from_millis(100), ..Limits::default() };
    let brokers = common::brokers().with_limits(limits);
    for profile in profiles(|profile| profile.misbehave.is_some()) {
        let broker = brokers.start(&profile).unwrap();
        let seen = meet(&broker, &profile);
        let Misbehaviour { does, .. } = profile.misbehave.unwrap();
        let how = if does == Fault::Reset { Close::Reset } else { Close::Fin };
        let ends = matches!(
            does,
            Fault::Close
                | Fault::Reset
                | Fault::Stall { .. }
                | Fault::Truncate
                | Fault::Http
                | Fault::PlainMqtt
                | Fault::Alert { level: 2, .. }
        );
        let name = &profile.name;
        if ends {
            assert_eq!((seen.ended.by, seen.ended.how), (Side::Broker, how), "{name}");
            assert!(seen.error.unwrap().contains("as its profile has it"), "{name}");
        }
        match does {
            Fault::Connack { code } => assert_eq!(seen.mqtt.connack, Some(code), "{name}"),
            Fault::ByteByByte { .. } => assert!(seen.tls.is_some(), "{name}"),
            _ => assert_eq!(seen.mqtt.connack.unwrap_or(0), 0, "{name}"),
        }
    }
}

/// Goes as far as the fault lets a client, and gives the broker's account of it.
fn meet(broker: &Broker, profile: &BrokerProfile) -> Connection {
    let tcp = TcpStream::connect(broker.address()).unwrap();
    let from = port(&tcp);
    if let Ok(mut agreed) = reference::connect_over(tcp, &Offer::everything(broker, profile)) {
        let mut connect = BytesMut::new();
        v4::Connect::new("c").write(&mut connect).unwrap();
        let _broken = agreed.stream.write_all(&connect);
        let _refused_or_broken = agreed.stream.read(&mut [0; 64]);
    }
    taken(broker, from)
}
