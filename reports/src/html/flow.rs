//! What went over the wire between client and broker, record by record: a sequence diagram.

use crate::diagnosis::alert_text;
use crate::text::shorten;
use crate::transcript::{Entry, Seen, Transcript};
use suites::outcome::{Close, End};
use suites::stream::{ContentType, RECORD_HEADER, Record, Rest, Stream};
use wire::tls::AlertDescription;

/// Longer diagrams lose their middle: what matters is how it began and how it ended.
const FIRST: usize = 40;
const LAST: usize = 16;

/// One line of the diagram.
pub(super) struct Line {
    /// `client` or `broker` sent it, or the `rig` saw it.
    pub from: &'static str,
    /// Since the cell's start command.
    pub at: String,
    /// What it is.
    pub what: String,
    /// Its size, or what else is known of it.
    pub detail: String,
}

/// The lines of a cell in the order of time.
pub(super) fn lines(transcript: &Transcript) -> Vec<Line> {
    let mut timed: Vec<(u64, Line)> = Vec::new();
    for connection in connections(transcript.entries()) {
        for from in [End::Client, End::Broker] {
            records(connection, from, &mut timed);
        }
        timed.extend(connection.iter().filter_map(|entry| Some((entry.at_ns, other(entry)?))));
    }
    timed.sort_by_key(|(at, _)| *at);
    let mut lines: Vec<Line> =
        timed.into_iter().map(|(at, line)| Line { at: milliseconds(at), ..line }).collect();
    let left_out = lines.len().saturating_sub(FIRST + LAST);
    if left_out > 0 {
        let what = format!("{left_out} more, see transcript.jsonl");
        lines.splice(FIRST..FIRST + left_out, [line("rig", what, String::new())]);
    }
    lines
}

/// The entries of each TCP connection; what came before the first one belongs to it.
fn connections(entries: &[Entry]) -> Vec<&[Entry]> {
    let opens = |entry: &Entry| matches!(entry.seen, Seen::TcpConnected { .. });
    let mut starts: Vec<usize> =
        entries.iter().enumerate().filter(|(_, e)| opens(e)).map(|(at, _)| at).collect();
    match starts.first_mut() {
        Some(first) => *first = 0,
        None => starts.push(0),
    }
    let ends = starts.iter().skip(1).copied().chain([entries.len()]);
    starts.iter().zip(ends).filter_map(|(start, end)| entries.get(*start..end)).collect()
}

/// The records that one end sent, each at the time when its last byte passed.
fn records(connection: &[Entry], from: End, lines: &mut Vec<(u64, Line)>) {
    let mut bytes = Vec::new();
    let mut arrivals: Vec<(usize, u64)> = Vec::new();
    for entry in connection {
        match &entry.seen {
            Seen::Bytes { from: sender, bytes: sent } if *sender == from => {
                bytes.extend_from_slice(sent);
                arrivals.push((bytes.len(), entry.at_ns));
            }
            _ => {}
        }
    }
    let passed = |end: usize| {
        let arrival = arrivals.get(arrivals.partition_point(|(upto, _)| *upto < end));
        arrival.or(arrivals.last()).map_or(0, |(_, at)| *at)
    };
    let stream = Stream::parse(&bytes);
    let mut messages = Messages::default();
    let name = end_name(from);
    for record in &stream.records {
        let body = bytes.get(record.range.start + RECORD_HEADER..record.range.end);
        let what = what(record, body.unwrap_or_default(), &mut messages);
        let detail = format!("{} record, {} bytes", record.version, record.range.len());
        lines.push((passed(record.range.end), line(name, what, detail)));
    }
    let rest = match stream.rest {
        Rest::Nothing => return,
        Rest::Partial { have, want: 0 } => format!("{have} bytes of a record's header"),
        Rest::Partial { have, want } => format!("{have} of a record's {want} bytes"),
        Rest::NotTls { at } => format!("{} bytes that are not TLS", bytes.len() - at),
    };
    lines.push((passed(bytes.len()), line(name, rest, String::new())));
}

fn what(record: &Record, body: &[u8], messages: &mut Messages) -> String {
    match (record.content, record.encrypted, body) {
        (ContentType::ChangeCipherSpec, ..) => "ChangeCipherSpec".to_owned(),
        (ContentType::Alert, false, [level, code]) => {
            let level = if *level == 2 { "fatal" } else { "warning" };
            format!("{level} alert {}", alert_text(AlertDescription(*code).0))
        }
        (ContentType::Alert, ..) => "encrypted alert".to_owned(),
        (ContentType::ApplicationData, ..) => "application data".to_owned(),
        (ContentType::Handshake, true, _) => "encrypted handshake message".to_owned(),
        (ContentType::Handshake, false, body) => messages.of(body),
    }
}

/// Handshake messages of one direction; they may share a record or span several (RFC 5246 6.2.1).
#[derive(Default)]
struct Messages {
    /// What is there of a message that is not whole.
    begun: Vec<u8>,
    /// Whether that message was named already.
    named: bool,
}

impl Messages {
    fn of(&mut self, body: &[u8]) -> String {
        let mut names = Vec::new();
        if self.named {
            names.push("rest of the message".to_owned());
        }
        self.begun.extend_from_slice(body);
        while let [kind, l0, l1, l2, ..] = self.begun[..] {
            let whole = 4 + u32::from_be_bytes([0, l0, l1, l2]) as usize;
            if !self.named {
                names.push(message_name(kind));
            }
            self.named = self.begun.len() < whole;
            if self.named {
                break;
            }
            self.begun.drain(..whole);
        }
        names.join(", ")
    }
}

/// A handshake message's name, RFC 5246 7.4 and RFC 8446 section 4. `tls-parser` has names as well,
/// not all of them the RFCs'.
fn message_name(kind: u8) -> String {
    let name = match kind {
        0 => "HelloRequest",
        1 => "ClientHello",
        2 => "ServerHello",
        4 => "NewSessionTicket",
        8 => "EncryptedExtensions",
        11 => "Certificate",
        12 => "ServerKeyExchange",
        13 => "CertificateRequest",
        14 => "ServerHelloDone",
        15 => "CertificateVerify",
        16 => "ClientKeyExchange",
        20 => "Finished",
        22 => "CertificateStatus",
        other => return format!("handshake message {other}"),
    };
    name.to_owned()
}

/// What is no record and still worth a line.
fn other(entry: &Entry) -> Option<Line> {
    let rig = |what: String| Some(line("rig", what, String::new()));
    match &entry.seen {
        Seen::TcpConnected { .. } => rig("TCP connection opened".to_owned()),
        Seen::Closed { from, how } => {
            let how = match how {
                Close::Fin => "closes the connection (FIN)",
                Close::Rst => "resets the connection (RST)",
                Close::None => "leaves the connection open",
            };
            Some(line(end_name(*from), how.to_owned(), String::new()))
        }
        Seen::Broker(word) => {
            let error = word.error.as_deref()?;
            rig(format!("the broker's own log: {}", shorten(error, 300)))
        }
        Seen::TimedOut { waiting_for, limit_ms } => {
            rig(format!("gave up after {limit_ms} ms of waiting for {waiting_for}"))
        }
        Seen::Fault { what } => rig(format!("fault: {}", shorten(what, 300))),
        _ => None,
    }
}

fn line(from: &'static str, what: String, detail: String) -> Line {
    Line { from, at: String::new(), what, detail }
}

fn end_name(end: End) -> &'static str {
    match end {
        End::Client => "client",
        End::Broker => "broker",
    }
}

fn milliseconds(nanoseconds: u64) -> String {
    let microseconds = nanoseconds / 1000;
    format!("{}.{:02} ms", microseconds / 1000, microseconds % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(transcript: &Transcript) -> String {
        let lines = lines(transcript);
        let text =
            |line: &Line| format!("{} {} {}: {}\n", line.at, line.from, line.what, line.detail);
        lines.iter().map(text).collect()
    }

    fn bytes(from: End, bytes: &[u8]) -> Seen {
        Seen::Bytes { from, bytes: bytes.to_vec() }
    }

    #[test]
    fn messages_that_share_a_record_or_span_two_are_named_once() {
        let mut transcript = Transcript::default();
        // A Certificate of 6 bytes in two records, ServerHelloDone behind it in the second.
        transcript.push(1_000_000, bytes(End::Broker, &[22, 3, 3, 0, 5, 11, 0, 0, 6, 1]));
        transcript
            .push(2_345_000, bytes(End::Broker, &[22, 3, 3, 0, 9, 2, 3, 4, 5, 6, 14, 0, 0, 0]));
        insta::assert_snapshot!(text(&transcript), @r"
        1.00 ms broker Certificate: TLS1.2 record, 10 bytes
        2.34 ms broker rest of the message, ServerHelloDone: TLS1.2 record, 14 bytes
        ");
    }

    #[test]
    fn a_second_connection_begins_in_the_clear_again() {
        let mut transcript = Transcript::default();
        for at in [0, 10] {
            transcript.push(at, Seen::TcpConnected { client_port: 1 });
            transcript.push(at + 1, bytes(End::Client, &[22, 3, 1, 0, 4, 1, 0, 0, 0]));
            transcript.push(at + 2, bytes(End::Client, &[20, 3, 3, 0, 1, 1]));
            transcript.push(at + 3, bytes(End::Client, &[22, 3, 3, 0, 1, 9]));
            transcript.push(at + 4, Seen::Closed { from: End::Broker, how: Close::Rst });
        }
        let text = text(&transcript);
        assert_eq!(text.matches("client ClientHello").count(), 2, "{text}");
        assert_eq!(text.matches("client encrypted handshake message").count(), 2, "{text}");
        assert_eq!(text.matches("broker resets the connection (RST)").count(), 2, "{text}");
    }

    #[test]
    fn what_is_not_tls_is_said_and_long_diagrams_lose_their_middle() {
        let mut transcript = Transcript::default();
        for at in 0..100 {
            transcript.push(at, bytes(End::Client, &[23, 3, 3, 0, 1, 7]));
        }
        transcript.push(100, bytes(End::Broker, b"HTTP/1.1 400\r\n"));
        let text = text(&transcript);
        assert_eq!(text.lines().count(), FIRST + LAST + 1);
        assert!(text.contains("rig 45 more, see transcript.jsonl"), "{text}");
        assert!(text.ends_with("broker 14 bytes that are not TLS: \n"), "{text}");
    }
}
