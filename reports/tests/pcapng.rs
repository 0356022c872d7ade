//! Captures, read back: what stands in them, in what order, and that no transcript can break one.
//! Whether Wireshark decrypts them is tested where there are real handshakes, in `rig`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are test code"
)]

use etherparse::{NetSlice, SlicedPacket, TcpSlice, TransportSlice};
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::blocks::section_header::SectionHeaderOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use proptest::prelude::*;
use reports::transcript::{BrokerWord, LogLine, Secret};
use reports::{CellRecord, Seen, Transcript, pcapng};
use rstest::{Context, rstest};
use std::fmt::Write as _;
use std::path::Path;
use suites::outcome::{Close, End};

fn record(cell: &str, outcome: suites::Outcome) -> CellRecord {
    let (client, broker) = cell.rsplit_once('/').unwrap();
    let record = serde_json::json!({
        "cell": cell,
        "board": {"name": "desk-1", "kind": "native"},
        "build": client.split_once('+').unwrap().0,
        "client": client,
        "broker": broker,
        "verdict": "match",
        "outcome": outcome,
    });
    serde_json::from_value(record).unwrap()
}

fn any_record() -> CellRecord {
    let outcome = suites::Outcome::bare(suites::OutcomeKind::Connected);
    record("mbedtls-2.4.0/rsa-16384+default/somebody", outcome)
}

/// All that a capture says, as text. Fails if `pcap-file` or `etherparse` cannot read it.
fn text(bytes: &[u8]) -> String {
    let mut reader = PcapNgReader::new(bytes).unwrap();
    let mut text = String::new();
    for option in &reader.section().options {
        match option {
            SectionHeaderOption::Comment(comment) => indent(&mut text, "section", comment),
            SectionHeaderOption::UserApplication(_) => {}
            other => panic!("{other:?}"),
        }
    }
    while let Some(block) = reader.next_block() {
        match block.unwrap() {
            Block::InterfaceDescription(block) => {
                for option in &block.options {
                    match option {
                        InterfaceDescriptionOption::Comment(comment) => {
                            indent(&mut text, "interface", comment);
                        }
                        option => writeln!(text, "{option:?}").unwrap(),
                    }
                }
            }
            Block::Unknown(block) => {
                assert_eq!(block.type_, 10);
                assert_eq!(block.value[..4], *b"KSLT");
                let length = u32::from_le_bytes(block.value[4..8].try_into().unwrap()) as usize;
                let log = std::str::from_utf8(&block.value[8..8 + length]).unwrap();
                assert!(block.value.len() - 8 - length < 4);
                indent(&mut text, "secrets", log);
            }
            Block::EnhancedPacket(block) => text.push_str(&packet(&block)),
            other => panic!("{other:?}"),
        }
    }
    text
}

fn indent(text: &mut String, what: &str, lines: &str) {
    writeln!(text, "{what}:").unwrap();
    lines.lines().for_each(|line| writeln!(text, "    {line}").unwrap());
}

fn packet(block: &EnhancedPacketBlock<'_>) -> String {
    let (from, segment) = segment(&block.data);
    let flags = [
        (segment.syn(), "SYN"),
        (segment.ack(), "ACK"),
        (segment.psh(), "PSH"),
        (segment.fin(), "FIN"),
        (segment.rst(), "RST"),
    ];
    let flags: Vec<_> = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    let mut text = format!(
        "{:?} {from:?} {} seq {} ack {} len {}\n",
        block.timestamp,
        flags.join(","),
        segment.sequence_number(),
        segment.acknowledgment_number(),
        segment.payload().len()
    );
    for option in &block.options {
        let EnhancedPacketOption::Comment(comment) = option else { panic!("{option:?}") };
        writeln!(text, "    {comment}").unwrap();
    }
    text
}

/// Who sent it, and the segment, whose checksum must be right.
fn segment(data: &[u8]) -> (End, TcpSlice<'_>) {
    let sliced = SlicedPacket::from_ip(data).unwrap();
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) = (sliced.net, sliced.transport)
    else {
        panic!("no TCP over IPv4")
    };
    let header = ip.header();
    assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
    let sum = tcp.calc_checksum_ipv4(header.source(), header.destination()).unwrap();
    assert_eq!(tcp.checksum(), sum);
    let device = header.source() == [192, 0, 2, 1];
    assert_eq!(if device { tcp.destination_port() } else { tcp.source_port() }, 8883);
    (if device { End::Client } else { End::Broker }, tcp)
}

fn bytes(from: End, bytes: &[u8]) -> Seen {
    Seen::Bytes { from, bytes: bytes.to_vec() }
}

fn transcript(seen: impl IntoIterator<Item = Seen>) -> Transcript {
    let mut transcript = Transcript::default();
    for (at, seen) in seen.into_iter().enumerate() {
        transcript.push(at as u64, seen);
    }
    transcript
}

fn capture(seen: impl IntoIterator<Item = Seen>) -> String {
    text(&pcapng::capture(&any_record(), &transcript(seen)).unwrap())
}

/// Real cells, whose transcripts were recorded before there were captures.
#[rstest]
#[case::the_thread_with_an_alert("rsa-16384+suiteb/alert-on-reject")]
#[case::the_fix("rsa-16384+default/hivemq-cloud-2021")]
fn a_real_cell(#[context] context: Context, #[case] cell: &str) {
    let name = context.description.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let kept = std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).unwrap();
    let transcript = Transcript::from_jsonl(&kept).unwrap();
    let record = record(&format!("mbedtls-2.4.0/{cell}"), reports::judge(&transcript));
    let text = text(&pcapng::capture(&record, &transcript).unwrap());
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(format!("{name}_captured"), text));
}

/// A capture that is missing is made again with the reports, and is the same; where there is nothing
/// to make it of there is none, and the reports are made all the same.
#[test]
fn a_missing_capture_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let records = ["whole", "gone", "torn"].map(|broker| {
        let outcome = suites::Outcome::bare(suites::OutcomeKind::Connected);
        record(&format!("mbedtls-2.4.0/rsa-16384+default/{broker}"), outcome)
    });
    let run = serde_json::json!({
        "schema": reports::record::SCHEMA,
        "id": "test",
        "started": "2026-01-01T00:00:00Z",
        "rig": "0.1.0",
        "suites": ["smoke"],
        "board": {"name": "desk-1", "kind": "native"},
        "seed": 1,
        "plan": records.iter().map(|record| &record.cell).collect::<Vec<_>>(),
    });
    let run = serde_json::from_value(run).unwrap();
    let mut open = reports::RunFolder::open(folder.path(), &run).unwrap();
    let seen = [Seen::TcpConnected { client_port: 1 }, bytes(End::Client, b"hello")];
    let mut made = Vec::new();
    for record in &records {
        open.append(record, &transcript(seen.clone())).unwrap();
        let path = open.cell_folder(&record.cell).join(pcapng::FILE);
        made.push(std::fs::read(&path).unwrap());
        std::fs::remove_file(path).unwrap();
    }
    let [whole, gone, torn] = records.each_ref().map(|record| open.cell_folder(&record.cell));
    std::fs::remove_file(gone.join("transcript.jsonl")).unwrap();
    std::fs::write(torn.join("transcript.jsonl"), "{\"at_ns\": 1").unwrap();
    reports::writers::write_reports(folder.path()).unwrap();
    assert_eq!(std::fs::read(whole.join(pcapng::FILE)).unwrap(), made[0]);
    assert!(!gone.join(pcapng::FILE).exists() && !torn.join(pcapng::FILE).exists());
}

fn secret(from: End, client_port: u16, secret: u8) -> Seen {
    let line = format!("CLIENT_RANDOM {} {secret:02x}{secret:02x}", "ab".repeat(32));
    Seen::Secret(Secret::parse(from, client_port, &line).unwrap())
}

fn closed(from: End, how: Close) -> Seen {
    Seen::Closed { from, how }
}

/// The random number of the second connection is that of the first, its secret is not. And the
/// broker's word of the first comes when the second has begun.
#[test]
fn secrets_stand_before_their_own_connection() {
    let seen = [
        Seen::Started { unix_ns: 1_700_000_000_000_000_000 },
        Seen::TcpConnected { client_port: 4001 },
        secret(End::Client, 4001, 1),
        bytes(End::Client, b"first"),
        closed(End::Broker, Close::Fin),
        closed(End::Client, Close::Fin),
        Seen::TcpConnected { client_port: 4002 },
        secret(End::Client, 4002, 2),
        secret(End::Broker, 4001, 1),
        bytes(End::Broker, b"second"),
        Seen::Unread { bytes: b"third".to_vec() },
        closed(End::Broker, Close::Rst),
        closed(End::Client, Close::Fin),
    ];
    insta::assert_snapshot!(capture(seen));
}

/// What was seen when there was no connection stands with the section, and secrets that differ are
/// no secret.
#[test]
fn what_both_ends_said_stands_beside_the_packets() {
    let word = BrokerWord { error: Some("no shared cipher".to_owned()), ..BrokerWord::default() };
    let log = |level, text: &str| {
        let (file, text) = ("ssl_cli.c".to_owned(), text.to_owned());
        Seen::Log(LogLine { level, file, line: 7, text })
    };
    let seen = [
        Seen::Fault { what: "board desk-1 restarted".to_owned() },
        Seen::TcpConnected { client_port: 4001 },
        log(1, "an error"),
        log(3, "too much to show"),
        secret(End::Client, 4001, 1),
        secret(End::Broker, 4001, 2),
        Seen::Broker(word),
        Seen::TimedOut { waiting_for: "bytes from the broker".to_owned(), limit_ms: 30_000 },
    ];
    insta::assert_snapshot!(capture(seen));
}

/// A device's words can be long, and be anything; an option of pcapng holds 65,535 bytes.
#[test]
fn hostile_words_do_no_harm() {
    let text = "\u{1b}[31m\r\n<script>\u{202e}\0é".repeat(20_000);
    let line = LogLine { level: 1, file: "\n".to_owned(), line: 0, text };
    let mut seen = vec![Seen::TcpConnected { client_port: 1 }];
    seen.extend((0..100).map(|_| Seen::Log(line.clone())));
    let text = capture(seen);
    assert!(text.len() < 600_000, "{}", text.len());
    let unsafe_ones = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert_eq!(text.find(unsafe_ones), None);
    assert!(text.contains("(cut)"));
}

#[test]
fn lines_of_a_key_log_are_read_and_written() {
    let line = format!("CLIENT_RANDOM {} {}", "0f".repeat(32), "a5".repeat(48));
    let secret = Secret::parse(End::Broker, 1, &line).unwrap();
    assert_eq!((&secret.client_random[..], &secret.secret[..]), (&[15; 32][..], &[165; 48][..]));
    assert_eq!(secret.line(), line);
    // OpenSSL's line for a premaster secret, a comment, and what is cut off.
    for other in ["RSA 0123456789abcdef 0303", "# comment", "", "CLIENT_RANDOM 00", "A B C"] {
        assert_eq!(Secret::parse(End::Broker, 1, other), None, "{other}");
    }
}

/// The random number is the one of the connection that is open now.
#[test]
fn a_clients_random_number_is_found_on_the_wire() {
    let hello = |random: u8| {
        let mut hello = vec![22, 3, 1, 0, 41, 1, 0, 0, 37, 3, 3];
        hello.extend([random; 32]);
        hello
    };
    let (first, second) = (hello(1), hello(2));
    let mut seen = vec![Seen::TcpConnected { client_port: 1 }, bytes(End::Client, &first)];
    assert_eq!(transcript(seen.clone()).connection(), Some((1, Some(vec![1; 32]))));
    seen.push(Seen::TcpConnected { client_port: 2 });
    assert_eq!(transcript(seen.clone()).connection(), Some((2, None)));
    // In pieces, as a device may write it.
    seen.extend(second.chunks(7).map(|part| bytes(End::Client, part)));
    assert_eq!(transcript(seen).connection(), Some((2, Some(vec![2; 32]))));
    let other = [Seen::TcpConnected { client_port: 3 }, bytes(End::Client, &[20; 64])];
    assert_eq!(transcript(other).connection(), Some((3, None)));
    assert_eq!(Transcript::default().connection(), None);
}

/// What may stand in a transcript, in any order: it can have been edited, or cut.
fn anything() -> impl Strategy<Value = Seen> {
    let end = prop_oneof![Just(End::Client), Just(End::Broker)];
    let how = prop_oneof![Just(Close::None), Just(Close::Fin), Just(Close::Rst)];
    let some_bytes = prop_oneof![
        9 => prop::collection::vec(any::<u8>(), 0..80),
        1 => (60_000..150_000_usize).prop_map(|length| vec![21; length]),
    ];
    prop_oneof![
        1 => any::<u64>().prop_map(|unix_ns| Seen::Started { unix_ns }),
        2 => any::<u16>().prop_map(|client_port| Seen::TcpConnected { client_port }),
        6 => (end.clone(), some_bytes.clone())
            .prop_map(|(from, bytes)| Seen::Bytes { from, bytes }),
        2 => some_bytes.prop_map(|bytes| Seen::Unread { bytes }),
        2 => (end.clone(), how).prop_map(|(from, how)| Seen::Closed { from, how }),
        1 => (end, any::<u16>(), any::<String>(), any::<[u8; 4]>()).prop_map(
            |(from, client_port, label, bytes)| Seen::Secret(Secret {
                from,
                client_port,
                label,
                client_random: bytes.to_vec(),
                secret: bytes.to_vec(),
            })
        ),
        1 => any::<String>().prop_map(|what| Seen::Fault { what }),
    ]
}

proptest! {
    /// Every capture can be read, and its segments, put in the order of their numbers, say what the
    /// ends said.
    #[test]
    fn any_transcript_gives_a_sound_capture(
        seen in prop::collection::vec(anything(), 0..40),
        at in prop::collection::vec(any::<u64>(), 40),
    ) {
        let mut transcript = Transcript::default();
        seen.iter().zip(at).for_each(|(seen, at)| transcript.push(at, seen.clone()));
        let captured = pcapng::capture(&any_record(), &transcript).unwrap();
        let mut reader = PcapNgReader::new(&captured[..]).unwrap();
        let mut got = (Vec::new(), Vec::new());
        let mut next = (None, None);
        while let Some(block) = reader.next_block() {
            let Block::EnhancedPacket(block) = block.unwrap() else { continue };
            let (from, segment) = segment(&block.data);
            let (bytes, next) = match from {
                End::Client => (&mut got.0, &mut next.0),
                End::Broker => (&mut got.1, &mut next.1),
            };
            if segment.syn() {
                *next = None;
            }
            let expected = next.unwrap_or_else(|| segment.sequence_number());
            prop_assert_eq!(segment.sequence_number(), expected);
            let counted = u32::from(segment.syn() || segment.fin());
            let length = segment.payload().len() as u32;
            *next = Some(expected.wrapping_add(length).wrapping_add(counted));
            bytes.extend_from_slice(segment.payload());
        }
        let (mut client, mut broker) = (Vec::new(), Vec::new());
        let open = seen.iter().skip_while(|seen| !matches!(seen, Seen::TcpConnected { .. }));
        for seen in open {
            match seen {
                Seen::Bytes { from: End::Client, bytes } => client.extend_from_slice(bytes),
                Seen::Bytes { from: End::Broker, bytes } | Seen::Unread { bytes } => {
                    broker.extend_from_slice(bytes);
                }
                _ => {}
            }
        }
        prop_assert!(got == (client, broker));
    }
}
