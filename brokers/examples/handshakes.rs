//! Connections per second to local brokers, one after the other: TCP, TLS, MQTT CONNECT, CONNACK.
//!
//! `cargo run --release -p brokers --example handshakes`. A figure near 20 means that something
//! waits for a delayed acknowledgement.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring tool for developers")]

use brokers::Brokers;
use brokers::reference::{Offer, connect};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use suites::broker::BrokerProfile;
use suites::names::cipher_suite;

const CONNECT: [u8; 15] = *b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a";
const FOR: Duration = Duration::from_secs(3);

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites/brokers");
    let cache = std::env::temp_dir().join("rig-handshakes-for-tests-only");
    let brokers = Brokers::new(&cache).unwrap();
    for (name, suite) in [
        ("hivemq-cloud-2021", "TLS_RSA_WITH_AES_256_CBC_SHA256"),
        ("hivemq-cloud-2021", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"),
        ("tls13-only-rustls", "TLS_AES_256_GCM_SHA384"),
    ] {
        for nodelay in [true, false] {
            let text = std::fs::read_to_string(folder.join(format!("{name}.toml"))).unwrap();
            let profile = BrokerProfile::parse(name, &text, name).unwrap();
            let broker = brokers.start(&profile).unwrap();
            let offer =
                Offer::everything(&broker, &profile).with_suites(&[cipher_suite(suite).unwrap()]);
            let (start, mut count) = (Instant::now(), 0_u32);
            while start.elapsed() < FOR {
                let mut stream = connect(broker.address(), &offer).unwrap().stream;
                stream.write_all(&CONNECT).unwrap();
                let mut connack = [0; 4];
                stream.read_exact(&mut connack).unwrap();
                assert_eq!(connack, [0x20, 2, 0, 0]);
                count += 1;
            }
            let rate = f64::from(count) / start.elapsed().as_secs_f64();
            println!("{name:20} {suite:40} client nodelay {nodelay:5} {rate:7.0} /s");
        }
    }
}
