//! A capture of our own replay is the profile that was replayed, for every profile of the library.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use brokers::capture::{Bounds, CaptureError, Captured, Target, capture};
use brokers::product::{Product, ProductError};
use brokers::{Broker, BrokerError, Brokers};
use common::profile;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use suites::broker::{BrokerProfile, Front};
use suites::hello::ClientHello;
use suites::stream::{ContentType, Stream};
use wire::tls::{CipherSuite, ProtocolVersion};

const BOUNDS: Bounds = Bounds { connections: 400, per_second: None, wait: Duration::from_secs(20) };

fn target(address: SocketAddr, profile: &BrokerProfile) -> Target {
    Target {
        address,
        server_name: Some(profile.host_name.clone()),
        signer: None,
        name: profile.name.clone(),
        summary: profile.summary.clone(),
        source: profile.source.clone(),
    }
}

fn captured(broker: &Broker, profile: &BrokerProfile) -> Captured {
    capture(&target(broker.address(), profile), BOUNDS, &mut |_| {})
        .unwrap_or_else(|error| panic!("{}: {error}", profile.name))
}

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

/// Does `work` with each profile, a few side by side, and gives what it had to say.
fn each(
    profiles: Vec<BrokerProfile>,
    work: impl Fn(&BrokerProfile) -> Option<String> + Sync,
) -> String {
    let (queue, said) = (Mutex::new(profiles), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(profile) = { queue.lock().unwrap().pop() } {
                    let words = work(&profile);
                    said.lock().unwrap().extend(words);
                }
            });
        }
    });
    let mut said = said.into_inner().unwrap();
    said.sort();
    said.join("\n")
}

/// The lines in which two files differ.
fn differences(wanted: &BrokerProfile, seen: &BrokerProfile) -> Option<String> {
    let (wanted_text, seen_text) = (wanted.to_toml(&[]), seen.to_toml(&[]));
    let missing = wanted_text.lines().filter(|line| !seen_text.lines().any(|other| other == *line));
    let added = seen_text.lines().filter(|line| !wanted_text.lines().any(|other| other == *line));
    let lines = missing
        .map(|line| format!("\n  - {line}"))
        .chain(added.map(|line| format!("\n  + {line}")));
    let lines: String = lines.collect();
    (wanted != seen).then(|| format!("{}{lines}", wanted.name))
}

/// Profiles that misbehave are left out: a capture is of a server that goes through a handshake.
/// One more is there to serve nobody.
fn ours(profile: &BrokerProfile) -> bool {
    profile.misbehave.is_none() && profile.name != "tls10-at-security-level-1"
}

#[test]
fn of_every_profile_that_openssl_serves_is_that_profile() {
    let brokers = common::brokers();
    let all = profiles(|profile| ours(profile) && profile.front == Front::Openssl);
    let (count, made) = (all.len(), AtomicU32::new(0));
    let said = each(all, |profile| {
        let broker = brokers.start(profile).unwrap();
        let seen = captured(&broker, profile);
        made.fetch_add(seen.connections, Ordering::Relaxed);
        differences(&profile.visible(), &seen.profile)
    });
    assert_eq!(said, "");
    assert!(count >= 110, "{count} profiles");
    eprintln!("{count} profiles, {} connections", made.load(Ordering::Relaxed));
}

/// What is captured of another's TLS library is what is captured of its replay: by then all that is
/// left is what a profile can say.
fn replays_as_itself(brokers: &Brokers, profile: &BrokerProfile) -> Option<String> {
    let broker = match brokers.start(profile) {
        Ok(broker) => broker,
        Err(BrokerError::Product(missing @ ProductError::Missing { .. })) => {
            assert!(std::env::var_os("RIG_NO_SKIP").is_none(), "RIG_NO_SKIP is set: {missing}");
            eprintln!("skipped {}: {missing}", profile.name);
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    let first = captured(&broker, profile);
    eprintln!("{} {} connections, unknown: {:#?}", profile.name, first.connections, first.unknown);
    drop(broker);
    let replay = brokers.start(&first.profile).unwrap();
    let again = captured(&replay, profile);
    // Suites and groups are the product's settings, so they must come out as they went in.
    let seen = &first.profile;
    let (suites, served) = (&profile.visible().cipher_suites, &seen.cipher_suites);
    assert_eq!((suites, profile.max_version), (served, seen.max_version), "{}", profile.name);
    let packs = profile.front == Front::Rustls && profile.accepts(ProtocolVersion::TLS1_2);
    assert_eq!(seen.front == Front::Rustls, packs, "{}", profile.name);
    differences(&first.profile, &again.profile)
}

/// A server that answers every connection with these bytes and the end of the stream; in place of
/// bytes, a reset.
fn answering(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the process: nobody waits for it.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _hello = stream.read(&mut [0; 4096]);
            let _gone = stream.write_all(bytes);
        }
    });
    address
}

fn refusal(address: SocketAddr, bounds: Bounds) -> CaptureError {
    let target = target(address, &profile("tls12-rsa-plain"));
    capture(&target, bounds, &mut |_| {}).unwrap_err()
}

#[test]
fn what_is_no_tls_server_is_said_to_be_none() {
    let http = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let CaptureError::NotTls { answer, .. } = refusal(http, BOUNDS) else { panic!() };
    assert!(answer.contains("HTTP/1.1 400"), "{answer}");
    let CaptureError::NotTls { answer, .. } = refusal(answering(b""), BOUNDS) else { panic!() };
    assert_eq!(answer, "the end of the stream and no alert");
    let other = answering(&[21, 3, 3, 0, 2, 2, 70]);
    let CaptureError::Refused { answer, .. } = refusal(other, BOUNDS) else { panic!() };
    assert_eq!(answer, "alert 70 (protocol_version)");
    let alert = answering(&[21, 3, 3, 0, 2, 2, 49]);
    let CaptureError::Refused { answer, .. } = refusal(alert, BOUNDS) else { panic!() };
    assert_eq!(answer, "alert 49 (access_denied)");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(matches!(refusal(nobody, BOUNDS), CaptureError::Connect { .. }));
}

/// A listener that never accepts: the kernel takes the connection, and nothing ever comes.
#[test]
fn silence_is_bounded_and_so_are_connections() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let bounds = Bounds { wait: Duration::from_millis(50), ..BOUNDS };
    let error = refusal(silent.local_addr().unwrap(), bounds);
    let CaptureError::Silent { answer, .. } = error else { panic!("{error}") };
    assert_eq!(answer, "silence");
    let begun = answering_and_staying(&[22, 3, 3, 0, 80, 2, 0]);
    let error = refusal(begun, bounds);
    let CaptureError::Silent { answer, .. } = error else { panic!("{error}") };
    assert!(answer.contains("(7 bytes)"), "{answer}");
    let brokers = common::brokers();
    let broker = brokers.start(&profile("tls12-rsa-plain")).unwrap();
    let error = refusal(broker.address(), Bounds { connections: 7, ..BOUNDS });
    assert!(matches!(error, CaptureError::Connections { allowed: 7, .. }), "{error}");
}

/// A server that begins an answer and never ends it.
fn answering_and_staying(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.write_all(bytes).unwrap();
            kept.push(stream);
        }
    });
    address
}

/// What a relay does with its nth connection, from 0 on.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Relayed,
    Closed,
    Reset,
}

/// The broker at `address` behind a relay that does not let all connections through.
fn limited(address: SocketAddr, fate: impl Fn(u32) -> Fate + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap();
    thread::spawn(move || {
        for (count, stream) in (0..).zip(listener.incoming()) {
            let client = stream.unwrap();
            match fate(count) {
                Fate::Relayed => relay(client, TcpStream::connect(address).unwrap()),
                Fate::Closed => drop((&client).read(&mut [0; 4096])),
                // What is left unread when it ends makes a reset of the end.
                Fate::Reset => drop((&client).read(&mut [0])),
            }
        }
    });
    own
}

fn relay(mut client: TcpStream, mut server: TcpStream) {
    let (mut back, mut answers) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let answering = thread::spawn(move || {
        let _ended = std::io::copy(&mut answers, &mut back);
        let _gone = back.shutdown(Shutdown::Write);
    });
    let _ended = std::io::copy(&mut client, &mut server);
    let _gone = server.shutdown(Shutdown::Write);
    answering.join().unwrap();
}

/// Lists are found by elimination, so that a connection that is dropped must not end one.
#[test]
fn a_server_that_drops_connections_is_captured_whole() {
    let brokers = common::brokers();
    // One that says no with an alert, and one that says nothing then either.
    for (name, dropped, every) in [
        ("tls12-rsa-plain", Fate::Closed, 3),
        ("tls12-rsa-plain", Fate::Reset, 5),
        ("hivemq-cloud-2021", Fate::Closed, 5),
    ] {
        let profile = profile(name);
        let broker = brokers.start(&profile).unwrap();
        let fate = move |count| if count % every == 1 { dropped } else { Fate::Relayed };
        let address = limited(broker.address(), fate);
        let bounds = Bounds { wait: Duration::from_secs(4), ..BOUNDS };
        let seen = capture(&target(address, &profile), bounds, &mut |_| {}).unwrap();
        assert_eq!(differences(&profile.visible(), &seen.profile), None, "every {every}th");
        assert!(seen.repeated > 0, "{name}, every {every}th");
    }
}

/// The first question of all, whose failure nothing shows but a later answer.
#[test]
fn the_highest_version_is_asked_for_again() {
    let brokers = common::brokers();
    let profile = profile("mosquitto-2.0-default");
    let profile = BrokerProfile { front: Front::Openssl, ..profile };
    let broker = brokers.start(&profile).unwrap();
    let fate = |count| if count == 0 { Fate::Closed } else { Fate::Relayed };
    let address = limited(broker.address(), fate);
    let seen = capture(&target(address, &profile), BOUNDS, &mut |_| {}).unwrap();
    assert_eq!(seen.profile.max_version, ProtocolVersion::TLS1_3);
}

#[test]
fn a_server_that_stops_answering_makes_no_profile() {
    let brokers = common::brokers();
    let profile = profile("tls12-rsa-plain");
    let broker = brokers.start(&profile).unwrap();
    let bounds = Bounds { wait: Duration::from_millis(400), ..BOUNDS };
    for (dropped, words) in
        [(Fate::Closed, "the end of the stream and no alert"), (Fate::Reset, "a reset")]
    {
        let fate = move |count| if count < 8 { Fate::Relayed } else { dropped };
        let address = limited(broker.address(), fate);
        let error = capture(&target(address, &profile), bounds, &mut |_| {}).unwrap_err();
        let CaptureError::Stopped { connections, step, answer, .. } = error else {
            panic!("{error}")
        };
        assert_eq!((step, &*answer), ("which cipher suites, in which order", words));
        // The question, then four times that and one that was answered before.
        assert_eq!(connections, 8 + 1 + 8);
    }
}

/// The curve of the certificate does not hide the others from a client whose order decides.
#[test]
fn of_an_ecdsa_certificate_and_the_client_s_order() {
    let brokers = common::brokers();
    for versions in ["max_version = 'TLS1.2'", "max_version = 'TLS1.3'"] {
        let new = if versions.contains("1.3") { "'TLS_AES_128_GCM_SHA256'," } else { "" };
        let profile = common::custom(&format!(
            "{versions}
             cipher_suites = [{new} 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
                              'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384']
             groups = ['x25519', 'secp256r1', 'secp384r1', 'secp521r1']
             server_order = false
             certificate = {{ key = 'ecdsa-p256' }}"
        ));
        let broker = brokers.start(&profile).unwrap();
        let seen = captured(&broker, &profile);
        assert_eq!(differences(&profile.visible(), &seen.profile), None);
        assert_eq!(seen.profile.groups.len(), 4);
    }
}

/// Connections to `address` through a port of ours, and what the client sent on each.
fn listened_to(address: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (own, all) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let kept = Arc::clone(&all);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut client, mut server) = (stream.unwrap(), TcpStream::connect(address).unwrap());
            let (mut back, mut answers) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            let answering = thread::spawn(move || {
                let _ended = std::io::copy(&mut answers, &mut back);
                let _gone = back.shutdown(Shutdown::Write);
            });
            let (mut sent, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = client.read(&mut buffer) {
                sent.extend_from_slice(&buffer[..count]);
                let _gone = server.write_all(&buffer[..count]);
            }
            let _gone = server.shutdown(Shutdown::Write);
            kept.lock().unwrap().push(sent);
            answering.join().unwrap();
        }
    });
    (own, all)
}

/// No credentials are there to be sent, and in TLS 1.2 not one record of application data is.
#[test]
fn it_counts_its_connections_and_sends_no_data() {
    let brokers = common::brokers();
    for name in ["mtls-wanted", "mtls-required"] {
        let profile = profile(name);
        let broker = brokers.start(&profile).unwrap();
        let (address, all) = listened_to(broker.address());
        let made = capture(&target(address, &profile), BOUNDS, &mut |_| {}).unwrap().connections;
        let end = Instant::now() + BOUNDS.wait;
        while all.lock().unwrap().len() < made as usize {
            assert!(Instant::now() < end, "{name}: connections that never ended");
            thread::sleep(Duration::from_millis(1));
        }
        let all = all.lock().unwrap();
        assert_eq!(all.len(), made as usize, "{name}");
        let records = all.iter().flat_map(|bytes| Stream::parse(bytes).records);
        let (mut handshake, mut data) = (0, 0);
        for record in records {
            handshake += usize::from(record.content == ContentType::Handshake);
            data += usize::from(record.content == ContentType::ApplicationData);
        }
        assert!(handshake >= made as usize && data == 0, "{name}: {handshake} and {data}");
    }
}

#[test]
fn of_rustls_replays_as_itself() {
    let brokers = common::brokers();
    let all = profiles(|profile| ours(profile) && profile.front == Front::Rustls);
    assert!(!all.is_empty());
    assert_eq!(each(all, |profile| replays_as_itself(&brokers, profile)), "");
}

#[test]
fn of_every_product_replays_as_itself() {
    // The rig's own cache: that is where `--setup` installs aedes.
    let brokers = Brokers::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("../rig/pki")).unwrap();
    let all = profiles(|profile| ours(profile) && Product::of(profile.front).is_some());
    assert!(!all.is_empty());
    assert_eq!(each(all, |profile| replays_as_itself(&brokers, profile)), "");
}

/// What mbedTLS 2.4.0 does as a server: it takes the first of its hashes that the client offers with
/// any kind of key, and SHA-1 if there is none. It shows no certificate here, since nobody looks at it.
fn answers_by_hash(hello: &ClientHello) -> Vec<u8> {
    let record = |content: u8, body: &[u8]| {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[content, 3, 3][..], &length, body].concat()
    };
    let message = |kind: u8, body: &[u8]| {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        record(22, &[&[kind, 0][..], &length, body].concat())
    };
    let alert = |code: u8| record(21, &[2, code]);
    if hello.highest_version() != ProtocolVersion::TLS1_2 {
        return alert(47);
    }
    let group = hello.groups.iter().flatten().find(|group| [23, 24].contains(&group.0));
    let suite = CipherSuite(0xc02f);
    let (Some(group), true) = (group, hello.cipher_suites.contains(&suite)) else {
        return alert(40);
    };
    let offered = hello.signature_algorithms.as_deref().unwrap_or_default();
    let hash = [6u16, 4].into_iter().find(|hash| offered.iter().any(|one| one >> 8 == *hash));
    let scheme = (hash.unwrap_or(2) << 8) | 1;
    let server_hello = [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat();
    let [[g0, g1], [s0, s1]] = [group.0, scheme].map(u16::to_be_bytes);
    let exchange = [3, g0, g1, 1, 4, s0, s1, 0, 1, 9];
    let (certificate, done) = (message(11, &[0; 3]), message(14, &[]));
    [message(2, &server_hello), certificate, message(12, &exchange), done].concat()
}

#[test]
fn a_server_that_looks_at_the_hash_alone_is_said_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let hello = loop {
                let mut more = [0; 4096];
                let count = stream.read(&mut more).unwrap();
                bytes.extend_from_slice(&more[..count]);
                if let Some(hello) = Stream::parse(&bytes).client_hello {
                    break hello;
                }
            };
            let _gone = stream.write_all(&answers_by_hash(&hello));
        }
    });
    let target = target(address, &profile("tls12-rsa-plain"));
    let seen = capture(&target, BOUNDS, &mut |_| {}).unwrap();
    assert_eq!(seen.profile.signature_algorithms, Some(vec![0x0601, 0x0401, 0x0201]));
    let said: Vec<_> =
        seen.unknown.iter().filter(|line| line.starts_with("signature_algorithms")).collect();
    assert!(said[0].contains("signs with rsa_pkcs1_sha1 where that is not offered"), "{said:?}");
    assert!(said[1].contains("looks at the hash alone"), "{said:?}");
    // And what it says to those that are too old.
    assert!(
        seen.unknown.iter().any(|line| line.contains("is answered with alert 47")),
        "{:?}",
        seen.unknown
    );
}
