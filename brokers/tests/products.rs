//! Real brokers behind the relay: they start, serve what their profile says, and are gone again.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use brokers::product::ProductError;
use brokers::{Broker, BrokerError, Brokers, Side, reference};
use common::{Client, LONG, client_hello, custom, port, taken};
use mqttbytes::v4;
use rstest::rstest;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};
use suites::broker::BrokerProfile;
use suites::stream::Stream;
use wire::tls::{CipherSuite, ProtocolVersion};

/// A broker of a product; none if it is not installed. With `RIG_NO_SKIP` set it must be.
fn started(brokers: &Brokers, profile: &BrokerProfile) -> Option<Broker> {
    match brokers.start(profile) {
        Ok(broker) => Some(broker),
        Err(BrokerError::Product(missing @ ProductError::Missing { .. })) => {
            assert!(std::env::var_os("RIG_NO_SKIP").is_none(), "RIG_NO_SKIP is set: {missing}");
            eprintln!("skipped: {missing}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn profile(front: &str) -> BrokerProfile {
    custom(&format!(
        "front = '{front}'\ngroups = ['secp384r1']\ncipher_suites = [\
         'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'TLS_RSA_WITH_AES_256_CBC_SHA256', \
         'TLS_RSA_WITH_AES_128_CBC_SHA']"
    ))
}

#[rstest]
#[case::mosquitto("mosquitto", 40)]
#[case::rabbitmq("rabbitmq", 71)]
#[case::aedes("aedes", 40)]
fn a_product_serves_its_profile_says_no_in_its_own_way_and_leaves_nothing(
    #[case] front: &str,
    #[case] alert: u8,
) {
    let profile = profile(front);
    let logs = tempfile::tempdir().unwrap();
    // The rig's own cache: that is where `--setup` installs aedes.
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../rig/pki");
    let brokers = Brokers::new(&cache).unwrap().with_logs(logs.path());
    let Some(broker) = started(&brokers, &profile) else { return };
    reference::check(&broker, &profile).unwrap();

    let mut client = Client::connect(&broker, &profile, "board");
    client.subscribe("rig/echo");
    client.send(|bytes| v4::Disconnect.write(bytes).map(drop).unwrap());
    let from = client.port();
    drop(client);
    let seen = taken(&broker, from);
    let view = seen.tls.as_ref().unwrap();
    assert_eq!((view.version, view.suite), (ProtocolVersion::TLS1_2, CipherSuite(0xc02f)));
    assert_eq!(view.sni.as_deref(), Some("broker.test"));
    assert_eq!(seen.error, None);

    let mut tcp = TcpStream::connect(broker.address()).unwrap();
    tcp.set_read_timeout(Some(LONG)).unwrap();
    tcp.write_all(&client_hello(&[CipherSuite(0xc030)], ProtocolVersion::TLS1_2)).unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).unwrap();
    let from = port(&tcp);
    drop(tcp);
    let refused = taken(&broker, from);
    assert_eq!(refused.bytes_from(Side::Broker), answer);
    let said = Stream::parse(&answer).alerts;
    assert_eq!(said.first().map(|alert| alert.description.0), Some(alert), "{said:?}");
    assert!(refused.tls.is_none() && refused.error.is_some(), "{refused:?}");

    let text = std::fs::read_to_string(logs.path().join("custom.log")).unwrap();
    assert!(!text.is_empty(), "no log is kept");
    let processes = processes(&broker);
    assert!(!processes.is_empty());
    drop(broker);
    // Erlang's helpers end by themselves when the machine that they help is gone.
    let end = Instant::now() + LONG;
    for id in processes {
        while Path::new(&format!("/proc/{id}")).exists() {
            assert!(Instant::now() < end, "process {id} of {front} is left");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// All processes that were started with the broker's own folder or port in their command line or
/// environment.
fn processes(broker: &Broker) -> Vec<u32> {
    let folder = broker.work_folder().unwrap().to_string_lossy().into_owned();
    let ids = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let says = |id: &u32| {
        ["cmdline", "environ"].iter().any(|file| {
            let bytes = std::fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(&folder)
        })
    };
    ids.filter(says).collect()
}
