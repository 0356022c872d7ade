//! `rig capture` through the built binary, against brokers of our own.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use common::{Checkout, Seen, brokers, compare, signal};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use suites::BrokerProfile;

fn profile(name: &str) -> BrokerProfile {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../suites/brokers");
    let text = fs::read_to_string(format!("{folder}/{name}.toml")).unwrap();
    BrokerProfile::parse(name, &text, name).unwrap()
}

fn captured(checkout: &Checkout, address: SocketAddr, more: &str) -> Seen {
    checkout.rig(&format!("capture {address} --rate 10000 {more}"))
}

/// A server that says this and ends the connection.
fn saying(words: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the process: nobody waits for it.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // Read first: what is unread when it ends makes a reset of the end.
            let _hello = stream.read(&mut [0; 4096]);
            let _gone = stream.write_all(words);
        }
    });
    address
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
    common::check("capture", &json);
    assert_eq!(json["toml"], seen.stdout);
    assert_eq!(json["unknown"].as_array().unwrap().len(), 0);
    let out = format!("{named} --out suites/brokers/live.toml");
    let written = captured(&checkout, broker.address(), &out);
    assert_eq!((written.code, &*written.stdout), (Some(0), ""), "{written}");
    compared("capture_into_a_file", &written);
    assert_eq!(fs::read_to_string(checkout.path("suites/brokers/live.toml")).unwrap(), seen.stdout);
    assert!(checkout.rig("list brokers").stdout.contains("live "), "it is no broker");
    // The commands that it names, as it names them.
    let real = concat!(env!("CARGO_MANIFEST_DIR"), "/../suites");
    symlink(format!("{real}/hellos"), checkout.path("suites/hellos")).unwrap();
    let own = "brokers/hivemq-cloud-2021.toml";
    fs::copy(format!("{real}/{own}"), checkout.path("suites").join(own)).unwrap();
    let client = "--client mbedtls-2.4.0/rsa-16384+default";
    let by_file = checkout.rig(&format!("predict {client} --broker suites/brokers/live.toml"));
    assert_eq!(by_file.code, Some(0), "{by_file}");
    let by_name = checkout.rig(&format!("predict {client} --broker live"));
    assert_eq!(by_file.stdout, by_name.stdout);
    fs::write(checkout.path("device.log"), "mbedtls_ssl_handshake returned -0x7280\n").unwrap();
    let explained = ["live", "suites/brokers/live.toml"]
        .map(|broker| checkout.rig(&format!("explain device.log --broker {broker}")));
    assert_eq!((explained[0].code, &explained[0].stdout), (Some(0), &explained[1].stdout));
    let own = checkout.rig(&format!("predict {client} --broker hivemq-cloud-2021"));
    assert_eq!(by_file.stdout.replace("live", "hivemq-cloud-2021"), own.stdout);
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
    drop(listener);
    let seen = captured(&checkout, saying(b"\x1b[31mnot TLS\r\n"), "");
    assert!(!seen.stderr.contains('\x1b'), "{seen}");
    compared("capture_not_tls", &seen);
    for (name, words) in [
        ("http", &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]),
        ("ssh", b"SSH-2.0-x\r\n"),
        ("mail", b"220 mail.test ESMTP\r\n"),
        ("nothing", b""),
    ] {
        let seen = captured(&checkout, saying(words), "");
        compared(&format!("capture_{name}"), &seen);
    }
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let seen = captured(&checkout, silent.local_addr().unwrap(), "--timeout 1");
    compared("capture_silent", &seen);
    let sni = brokers().start(&profile("sni-required")).unwrap();
    compared("capture_nameless", &captured(&checkout, sni.address(), ""));
    compared(
        "capture_few",
        &captured(&checkout, sni.address(), "--server-name a.test --connections 9"),
    );
    compared("capture_no_port", &checkout.rig("capture broker.test:mqtts"));
    compared("capture_url", &checkout.rig("capture mqtts://broker.test:8883/"));
    compared("capture_bad_name", &checkout.rig("capture 127.0.0.1 --server-name a_b!"));
    compared("capture_no_folder", &checkout.rig("capture 127.0.0.1 --out nowhere/live.toml"));
    compared("capture_bad_out", &checkout.rig("capture 127.0.0.1 --out live.txt"));
    compared("capture_help", &checkout.rig("capture --help"));
}

/// A server that stops answering half-way, and one that a person has no patience with: neither leaves
/// a file, or a part of one.
#[test]
fn what_is_not_finished_is_not_written() {
    let checkout = Checkout::new();
    let broker = brokers().start(&profile("hivemq-cloud-2021")).unwrap();
    let out = "--timeout 1 --out suites/brokers/live.toml";
    let files = || fs::read_dir(checkout.path("suites/brokers")).unwrap().count();
    let before = files();
    let stopping = stopping_after(12, broker.address());
    let seen = captured(&checkout, stopping, out);
    compared("capture_stopped", &seen);
    let slow = format!("capture {} --rate 1 --out suites/brokers/live.toml", broker.address());
    let mut rig = checkout.command(&slow).spawn().unwrap();
    let mut said = BufReader::new(rig.stderr.take().unwrap()).lines();
    // From here on it listens for Ctrl-C.
    let asking = said.find(|line| line.as_ref().unwrap().ends_with("which versions it speaks"));
    assert!(asking.is_some());
    signal(rig.id(), rustix::process::Signal::INT);
    let last = said.last().unwrap().unwrap();
    assert_eq!(
        (rig.wait().unwrap().code(), &*last),
        (Some(130), "interrupted: nothing is written")
    );
    assert_eq!(files(), before);
}

/// The server at `address` behind a relay that lets so many connections through.
fn stopping_after(count: usize, address: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(count) {
            let (mut client, mut server) =
                (stream.unwrap(), std::net::TcpStream::connect(address).unwrap());
            let mut hello = [0; 8192];
            let length = client.read(&mut hello).unwrap();
            server.write_all(&hello[..length]).unwrap();
            // The server does not end by itself once it has answered.
            server.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
            let _ended = std::io::copy(&mut server, &mut client);
        }
    });
    own
}
