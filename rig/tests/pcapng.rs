//! Captures of real handshakes, opened by tshark as Wireshark would open them: decrypted down to MQTT
//! where the client connected, and without a malformed packet where it did not.
//!
//! Skipped on a machine without tshark, unless `RIG_NO_SKIP` is set.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests are test code"
)]

mod common;

use brokers::product::Product;
use common::{brokers, image, images, job, run};
use reports::transcript::{Entry, Secret, Seen, Transcript};
use reports::{CellRecord, pcapng};
use rig::board::{Kind, Slot};
use rig::command::LogLines;
use rig::deadline::Interrupt;
use rig::run::{SEED, Workshop};
use rig::verdict::Cell;
use rstest::rstest;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use suites::OutcomeKind;
use suites::outcome::End;

/// Whether there is tshark. With `RIG_NO_SKIP` set there must be.
fn has_tshark() -> bool {
    let found = Command::new("tshark").arg("--version").output().is_ok();
    let no_skip = std::env::var_os("RIG_NO_SKIP").is_some();
    assert!(found || !no_skip, "RIG_NO_SKIP is set, and there is no tshark");
    if !found {
        eprintln!("skipped: there is no tshark; Debian has it in the package of that name");
    }
    found
}

/// Runs one cell on a native board.
fn cell(id: &str) -> Cell {
    let job = job(id);
    let images = images([image(Kind::Native, job.cell.client.build.as_str())]);
    let (brokers, interrupt) = (brokers(), Interrupt::default());
    let workshop = Workshop {
        limits: Kind::Native.limits(),
        log_lines: LogLines::All,
        images: &images,
        brokers: &brokers,
        seed: SEED,
        interrupt: &interrupt,
    };
    run(&workshop, vec![job], vec![Slot::Native], |_| {}).pop().unwrap()
}

/// What tshark makes of a capture.
#[derive(Debug, Default)]
struct Opened {
    /// TCP connections.
    streams: BTreeSet<String>,
    /// Those in which it read a CONNECT, MQTT 3.1.1 section 3.1.
    connects: BTreeSet<String>,
    /// Types of handshake messages that it read, whether they were encrypted or not.
    handshake: BTreeSet<String>,
    /// Packets that it calls malformed, and what it calls a warning or an error.
    complaints: Vec<String>,
}

fn open(record: &CellRecord, transcript: &Transcript) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(pcapng::FILE);
    std::fs::write(&path, pcapng::capture(record, transcript).unwrap()).unwrap();
    read(&path, folder.path())
}

/// `home` stands in for the user's, whose settings must not decide.
fn read(path: &Path, home: &Path) -> Opened {
    const FIELDS: [&str; 6] = [
        "tcp.stream",
        "mqtt.msgtype",
        "tls.handshake.type",
        "_ws.malformed",
        "_ws.expert.severity",
        "_ws.expert.message",
    ];
    let mut command = Command::new("tshark");
    command.env("HOME", home).env("XDG_CONFIG_HOME", home).arg("-r").arg(path);
    command.args(["-T", "fields"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut opened = Opened::default();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let [stream, mqtt, handshake, malformed, severity, message] = fields[..] else {
            panic!("{line}")
        };
        opened.streams.insert(stream.to_owned());
        if mqtt.split(',').any(|kind| kind == "1") {
            opened.connects.insert(stream.to_owned());
        }
        opened.handshake.extend(handshake.split(',').map(str::to_owned));
        const WARNING: u32 = 0x0060_0000;
        let severe = severity.split(',').filter_map(|number| number.parse().ok());
        if !malformed.is_empty() || severe.into_iter().any(|level: u32| level >= WARNING) {
            opened.complaints.push(message.to_owned());
        }
    }
    opened
}

/// The secrets that an end told, without its name.
fn told(transcript: &Transcript, end: End) -> BTreeSet<String> {
    let lines = transcript.seen().filter_map(|seen| match seen {
        Seen::Secret(secret) if secret.from == end => {
            Some(format!("{} {}", secret.client_port, secret.line()))
        }
        _ => None,
    });
    lines.collect()
}

/// The transcript as if one end had told nothing.
fn without(transcript: &Transcript, end: End) -> Transcript {
    let mut rest = Transcript::default();
    for Entry { at_ns, seen } in transcript.entries() {
        if !matches!(seen, Seen::Secret(Secret { from, .. }) if *from == end) {
            rest.push(*at_ns, seen.clone());
        }
    }
    rest
}

fn assert_decrypted(record: &CellRecord, transcript: &Transcript, connections: usize) {
    let opened = open(record, transcript);
    assert_eq!(opened.streams.len(), connections, "{opened:?}");
    assert_eq!(opened.connects, opened.streams, "{opened:?}");
    assert!(opened.complaints.is_empty(), "{opened:?}");
}

/// Each with what it is there for, which the outcome must show: a cell that no longer is what its
/// name says proves nothing. RC4, ChaCha20 and TLS_AES_256_GCM_SHA384 are missing because no client of
/// the rig offers them.
#[rstest]
#[case::static_rsa("2.4.0/rsa-16384+default/hivemq-cloud-2021", "TLS1.2 0x003d", 1)]
#[case::tls10("2.4.0/rsa-16384+default/tls10-no-encrypt-then-mac", "TLS1.0 0x0035", 1)]
#[case::tls10_ecdhe("2.4.0/all-16384+default/tls10-no-encrypt-then-mac", "TLS1.0 0xc014", 1)]
#[case::tls11("2.4.0/rsa-16384+default/only-tls1.1", "TLS1.1 0x0035", 1)]
#[case::rsa_3des("2.4.0/all-16384+default/suite-rsa-3des-sha", "TLS1.2 0x000a", 1)]
#[case::ecdhe_rsa_3des("2.4.0/all-16384+default/suite-ecdhe-rsa-3des-sha", "TLS1.2 0xc012", 1)]
#[case::rsa_gcm("2.4.0/all-16384+default/suite-rsa-aes256-gcm", "TLS1.2 0x009d", 1)]
#[case::rsa_ccm("2.4.0/all-16384+default/suite-rsa-aes128-ccm", "TLS1.2 0xc09c", 1)]
#[case::rsa_ccm8("2.4.0/all-16384+default/suite-rsa-aes128-ccm8", "TLS1.2 0xc0a0", 1)]
#[case::camellia("2.4.0/all-16384+default/suite-rsa-camellia256-sha256", "TLS1.2 0x00c0", 1)]
#[case::ecdhe_rsa_gcm("2.4.0/all-16384+default/suite-ecdhe-rsa-aes128-gcm", "TLS1.2 0xc02f", 1)]
#[case::ecdhe_rsa_cbc("2.4.0/all-16384+default/suite-ecdhe-rsa-aes256-sha384", "TLS1.2 0xc028", 1)]
#[case::ecdsa_gcm("2.4.0/all-16384+default/suite-ecdhe-ecdsa-aes256-gcm", "TLS1.2 0xc02c", 1)]
#[case::ecdsa_ccm8("2.4.0/all-16384+default/suite-ecdhe-ecdsa-aes128-ccm8", "TLS1.2 0xc0ae", 1)]
#[case::ecdsa_cbc("2.4.0/all-16384+default/suite-ecdhe-ecdsa-aes128-sha256", "TLS1.2 0xc023", 1)]
#[case::dhe_gcm("2.4.0/all-16384+default/suite-dhe-rsa-aes256-gcm", "TLS1.2 0x009f", 1)]
#[case::dhe_cbc("2.4.0/all-16384+default/suite-dhe-rsa-aes128-sha", "TLS1.2 0x0033", 1)]
#[case::psk("2.4.0/all-16384+psk/suite-psk-aes128-sha256", "TLS1.2 0x00ae", 1)]
#[case::no_etm("2.4.0/rsa-16384+default/no-encrypt-then-mac", "TLS1.2 0x003d", 1)]
#[case::no_ems("2.4.0/rsa-16384+default/no-extended-master-secret", "TLS1.2 0x003d", 1)]
#[case::fragment("2.4.0/rsa-4096+fragment-4096/tls12-rsa-plain", "TLS1.2 0x003d", 1)]
#[case::fragment_1024("2.4.0/all-16384+fragment-1024/ec-certificate", "TLS1.2 0xc02c", 1)]
#[case::small_records("2.4.0/rsa-4096+default/record-4096", "TLS1.2 0x003d", 1)]
#[case::single_bytes("2.4.0/rsa-16384+default/byte-by-byte", "TLS1.2 0x003d", 1)]
#[case::certificate("2.4.0/all-16384+client-rsa/mtls-required", "TLS1.2 0xc02f", 1)]
#[case::certificate_ec("2.4.0/all-16384+client-ec/mtls-required-ec", "TLS1.2 0xc02c", 1)]
#[case::ticket("2.4.0/all-16384+resume-ticket/tls12-rsa-plain", "TLS1.2 0xc02f resumed", 2)]
#[case::session_id("2.4.0/rsa-16384+resume-session-id/tls12-rsa-plain", "TLS1.2 0x003d resumed", 2)]
#[case::not_resumed("2.4.0/all-16384+resume-ticket/no-resumption", "TLS1.2 0xc02f full", 2)]
#[case::mbedtls_2_16("2.16.0/all-16384+default/ec-certificate", "TLS1.2 0xc02c", 1)]
#[case::mbedtls_2_28("2.28/all-16384+host-null/ec-certificate", "TLS1.2 0xc02c", 1)]
#[case::mbedtls_3_6("3.6/rsa-16384+host-name/tls12-rsa-plain", "TLS1.2 0x003d", 1)]
#[case::mbedtls_3_6_dhe("3.6/all-16384+host-null/hivemq-cloud-2021", "TLS1.2 0x006b", 1)]
#[case::tls13("3.6/all-16384+host-name/suite-tls13-aes128-gcm", "TLS1.3 0x1301", 1)]
#[case::tls13_ticket("3.6/all-16384+resume-ticket/tls13-only-rustls", "TLS1.3 0x1301 resumed", 2)]
#[case::tls13_full("3.6/all-16384+resume-session-id/tls13-only-rustls", "TLS1.3 0x1301 full", 2)]
fn a_connection_is_read_down_to_mqtt(
    #[case] id: &str,
    #[case] negotiated: &str,
    #[case] connections: usize,
) {
    if !has_tshark() {
        return;
    }
    let Cell { record, transcript, .. } = cell(&format!("mbedtls-{id}"));
    let outcome = &record.outcome;
    assert_eq!(outcome.result, OutcomeKind::Connected, "{outcome:?}");
    let (version, suite) = (outcome.version.unwrap(), outcome.cipher_suite.unwrap());
    let resumed = outcome.resumed.map_or("", |resumed| if resumed { " resumed" } else { " full" });
    assert_eq!(format!("{version} {suite}{resumed}"), negotiated);
    assert_decrypted(&record, &transcript, connections);
    // Brokers know of secrets that a client without early data has no use for.
    let (device, broker) = (told(&transcript, End::Client), told(&transcript, End::Broker));
    assert!(!device.is_empty() && device.is_subset(&broker), "{device:?} {broker:?}");
    // A kept transcript gives the same capture.
    let kept = String::from_utf8(transcript.to_jsonl().unwrap()).unwrap();
    let again = Transcript::from_jsonl(&kept).unwrap();
    let bytes = pcapng::capture(&record, &transcript).unwrap();
    assert_eq!(pcapng::capture(&record, &again).unwrap(), bytes);
}

/// Either end's secrets are enough: the broker's for a device that tells none, the device's for a
/// broker of which the rig sees the outside alone.
#[rstest]
fn either_end_tells_enough(
    #[values(
        "2.4.0/rsa-16384+default/hivemq-cloud-2021",
        "2.4.0/all-16384+resume-ticket/no-resumption",
        "3.6/all-16384+resume-ticket/tls13-only-rustls"
    )]
    id: &str,
    #[values(End::Client, End::Broker)] silent: End,
) {
    if !has_tshark() {
        return;
    }
    let Cell { record, transcript, .. } = cell(&format!("mbedtls-{id}"));
    let connections = transcript.client_ports().len();
    let rest = without(&transcript, silent);
    assert_ne!(rest, transcript);
    assert_decrypted(&record, &rest, connections);
    // And without any, nothing: it is the secrets that open a capture.
    let other = if silent == End::Client { End::Broker } else { End::Client };
    let none = open(&record, &without(&rest, other));
    assert!(none.connects.is_empty(), "{none:?}");
}

/// A product tells no secrets; the device does.
#[rstest]
#[case::mosquitto("2.4.0/all-16384+default/mosquitto-2.0-default", Product::Mosquitto)]
#[case::mosquitto_tls13("3.6/all-16384+host-name/mosquitto-2.0-default", Product::Mosquitto)]
#[case::aedes("2.28/all-16384+host-null/aedes-1-default", Product::Aedes)]
fn a_products_connection_is_read_by_the_devices_secrets(
    #[case] id: &str,
    #[case] product: Product,
) {
    if !has_tshark() {
        return;
    }
    let Cell { record, transcript, .. } = cell(&format!("mbedtls-{id}"));
    if record.verdict == reports::Verdict::Skipped {
        let name = product.name();
        assert!(std::env::var_os("RIG_NO_SKIP").is_none(), "RIG_NO_SKIP is set, and no {name}");
        eprintln!("skipped: {}", record.note.unwrap());
        return;
    }
    assert_eq!(record.outcome.result, OutcomeKind::Connected, "{:?}", record.outcome);
    assert!(told(&transcript, End::Broker).is_empty());
    assert_decrypted(&record, &transcript, 1);
}

/// Whatever went wrong, a capture opens; and what the two ends did say can be read. `read` names
/// handshake messages, RFC 5246 7.4, that Wireshark must have found; 20 is an encrypted Finished.
#[rstest]
#[case::the_thread("rsa-16384+suiteb/hivemq-cloud-2021", "1")]
#[case::alert("rsa-16384+suiteb/alert-on-reject", "1")]
#[case::certificate("all-16384+suiteb/ec-certificate", "1,2,11,12,14")]
#[case::fragmented("rsa-4096+default/cert-message-4097", "1,2,11,14")]
#[case::bad_mac("rsa-16384+default/bad-mac-finished", "1,2,11,14,16,20")]
#[case::truncated("rsa-16384+default/truncate-finished", "1,2,11,14,16,20")]
#[case::closed("rsa-16384+default/close-finished", "1,2,11,14,16,20")]
#[case::not_tls("rsa-16384+default/http-answer", "1")]
#[case::wrong_version("rsa-16384+default/wrong-version-client-hello", "1")]
#[case::not_accepted("rsa-16384+default/close-accept", "1")]
#[case::connack("rsa-16384+default/connack-5", "1,2,11,14,16,20")]
fn a_failure_opens_without_complaint(#[case] id: &str, #[case] read: &str) {
    if !has_tshark() {
        return;
    }
    let Cell { record, transcript, .. } = cell(&format!("mbedtls-2.4.0/{id}"));
    assert_eq!(record.outcome.result, OutcomeKind::Failed, "{:?}", record.outcome);
    let opened = open(&record, &transcript);
    assert_eq!(opened.streams.len(), 1, "{opened:?}");
    assert!(opened.complaints.is_empty(), "{opened:?}");
    let missing: Vec<_> =
        read.split(',').filter(|kind| !opened.handshake.contains(*kind)).collect();
    assert!(missing.is_empty(), "not read: {missing:?}; {opened:?}");
}

/// A reset is the one thing of a connection that Wireshark warns about, and it must be there.
#[rstest]
fn a_reset_is_seen_as_one() {
    if !has_tshark() {
        return;
    }
    let Cell { record, transcript, .. } = cell("mbedtls-2.4.0/rsa-16384+default/reset-certificate");
    let [complaint] = &open(&record, &transcript).complaints[..] else { panic!("one complaint") };
    assert!(complaint.contains("Connection reset (RST)"), "{complaint}");
}
