//! `rig capture` through the built binary, against brokers of our own.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use common::{Checkout, Seen, brokers, compare};
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use suites::BrokerProfile;

fn profile(name: &str) -> BrokerProfile {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../suites/brokers");
    let text = fs::read_to_string(format!("{folder}/{name}.toml")).unwrap();
    BrokerProfile::parse(name, &text, name).unwrap()
}

fn captured(checkout: &Checkout, address: SocketAddr, more: &str) -> Seen {
    checkout.rig(&format!("capture {address} --rate 10000 {more}"))
}

/// Dates differ from day to day, and ports from run to run.
fn compared(name: &str, seen: &Seen) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d{4}-\d\d-\d\d", "[date]");
    settings.bind(|| compare(name, seen, &[]));
}

#[test]
fn of_the_thread_s_broker() {
    let profile = profile("hivemq-cloud-2021");
    let broker = brokers().start(&profile).unwrap();
    let checkout = Checkout::new();
    let named = "--server-name broker.test";
    let seen = captured(&checkout, broker.address(), named);
    assert_eq!(seen.code, Some(0), "{seen}");
    compared("capture_the_thread", &seen);
    let read = BrokerProfile::parse("x", &seen.stdout, "stdout").unwrap();
    assert_eq!(read.cipher_suites, profile.cipher_suites);
    // The same as JSON, and into a file that is then a broker like any other.
    let json = captured(&checkout, broker.address(), &format!("{named} --format json"));
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["toml"], seen.stdout);
    assert_eq!(json["unknown"].as_array().unwrap().len(), 0);
    let out = format!("{named} --out suites/brokers/live.toml");
    let written = captured(&checkout, broker.address(), &out);
    assert_eq!((written.code, &*written.stdout), (Some(0), ""), "{written}");
    compared("capture_into_a_file", &written);
    assert_eq!(fs::read_to_string(checkout.path("suites/brokers/live.toml")).unwrap(), seen.stdout);
    assert!(checkout.rig("list brokers").stdout.contains("live "), "it is no broker");
    let again = captured(&checkout, broker.address(), &out);
    assert_eq!(again.code, Some(2), "{again}");
    compared("capture_over_a_file", &again);
}

#[test]
fn what_is_unknown_stands_in_the_file() {
    let broker = brokers().start(&profile("suite-psk-aes128-sha256")).unwrap();
    let seen = captured(&Checkout::new(), broker.address(), "");
    assert_eq!(seen.code, Some(0), "{seen}");
    compared("capture_unknown", &seen);
}

#[test]
fn who_cannot_be_asked_is_named_with_what_to_try() {
    let checkout = Checkout::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    compared("capture_nobody", &captured(&checkout, nobody, ""));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = listener.local_addr().unwrap();
    // It ends with the process: nobody waits for it.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _gone = stream.unwrap().write_all(b"\x1b[31mnot TLS\r\n");
        }
    });
    let seen = captured(&checkout, plain, "");
    assert!(!seen.stderr.contains('\x1b'), "{seen}");
    compared("capture_not_tls", &seen);
    let sni = brokers().start(&profile("sni-required")).unwrap();
    compared("capture_nameless", &captured(&checkout, sni.address(), ""));
    compared(
        "capture_few",
        &captured(&checkout, sni.address(), "--server-name a.test --connections 9"),
    );
    compared("capture_no_port", &checkout.rig("capture broker.test:mqtts"));
    compared("capture_bad_out", &checkout.rig("capture 127.0.0.1 --out live.txt"));
    compared("capture_help", &checkout.rig("capture --help"));
}
