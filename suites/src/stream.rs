//! One direction of a TLS connection, as bytes, taken apart into records.
//!
//! Only what travels in the clear is looked into: handshake messages and alerts up to this
//! direction's ChangeCipherSpec. After it a record has a type and a length and nothing else.

use crate::hello::{ClientHello, ServerHello};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use tls_parser::{TlsMessage, TlsMessageHandshake};
use wire::tls::{AlertDescription, ProtocolVersion};

/// Length of a record header: type, version, length (RFC 5246 6.2.1).
pub const RECORD_HEADER: usize = 5;

/// What a record carries, RFC 5246 6.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContentType {
    /// 20
    ChangeCipherSpec,
    /// 21
    Alert,
    /// 22
    Handshake,
    /// 23
    ApplicationData,
}

impl ContentType {
    fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            20 => Self::ChangeCipherSpec,
            21 => Self::Alert,
            22 => Self::Handshake,
            23 => Self::ApplicationData,
            _ => return None,
        })
    }
}

/// One whole record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it stands in the stream, header included.
    pub range: Range<usize>,
    /// What it carries.
    pub content: ContentType,
    /// Version in its header.
    pub version: ProtocolVersion,
    /// Whether it came after ChangeCipherSpec, so that its body is ciphertext.
    pub encrypted: bool,
}

/// An alert sent in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// 1 warning, 2 fatal; RFC 5246 7.2.
    pub level: u8,
    /// What it says.
    pub description: AlertDescription,
}

/// What one direction of a connection holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// Whole records in order.
    pub records: Vec<Record>,
    /// Types of the handshake messages that came whole and in the clear.
    pub handshake_types: Vec<u8>,
    /// The first ClientHello, if this is the client's direction.
    pub client_hello: Option<ClientHello>,
    /// The last ServerHello (a HelloRetryRequest may come before it).
    pub server_hello: Option<ServerHello>,
    /// Alerts in the clear, in order.
    pub alerts: Vec<Alert>,
    /// Alert records after ChangeCipherSpec; what they say is not known.
    pub encrypted_alerts: usize,
    /// Bytes at the end that are not a whole record.
    pub rest: Rest,
}

/// What stands behind the last whole record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    #[default]
    Nothing,
    /// The beginning of a record: this many of the bytes it announces are there.
    Partial {
        /// Bytes there, header included.
        have: usize,
        /// Bytes announced, header included; 0 while the header itself is incomplete.
        want: usize,
    },
    /// Bytes that no TLS record begins with, such as an HTTP answer.
    NotTls {
        /// Where they begin.
        at: usize,
    },
}

impl Stream {
    /// Takes `bytes` apart. Never fails: what is not TLS ends up in [`Stream::rest`].
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut stream = Self::default();
        let mut handshake = Vec::new();
        let (mut at, mut encrypted) = (0, false);
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(((code, version), length)) = header(rest) else {
                stream.rest = Rest::Partial { have: rest.len(), want: 0 };
                break;
            };
            let Some(content) = ContentType::from_code(code).filter(|_| version >> 8 == 3) else {
                stream.rest = Rest::NotTls { at };
                break;
            };
            let Some(body) = rest.get(RECORD_HEADER..RECORD_HEADER + length) else {
                let want = RECORD_HEADER + length;
                stream.rest = Rest::Partial { have: rest.len(), want };
                break;
            };
            let end = at + RECORD_HEADER + length;
            let version = ProtocolVersion(version);
            stream.records.push(Record { range: at..end, content, version, encrypted });
            match content {
                ContentType::Handshake if !encrypted => handshake.extend_from_slice(body),
                ContentType::Alert => stream.note_alert(body),
                ContentType::ChangeCipherSpec => encrypted = true,
                ContentType::Handshake | ContentType::ApplicationData => {}
            }
            at = end;
        }
        stream.note_handshake(&handshake);
        stream
    }

    /// The handshake messages in the clear that lie whole in one record: type, and where the body
    /// stands in `bytes`, from which this was made.
    #[must_use]
    pub fn messages(&self, bytes: &[u8]) -> Vec<(u8, Range<usize>)> {
        let mut found = Vec::new();
        let clear =
            |record: &&Record| record.content == ContentType::Handshake && !record.encrypted;
        for record in self.records.iter().filter(clear) {
            let mut at = record.range.start + RECORD_HEADER;
            while let Some([kind, l0, l1, l2]) = bytes.get(at..).and_then(|rest| rest.first_chunk())
            {
                let start = at + 4;
                at = start + u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
                if at > record.range.end {
                    break;
                }
                found.push((*kind, start..at));
            }
        }
        found
    }

    /// An alert of two bytes is in the clear wherever it stands: no encryption of TLS adds nothing.
    /// It may stand behind a ChangeCipherSpec, because in TLS 1.3 that is only for show and mbedTLS
    /// begins to encrypt later.
    fn note_alert(&mut self, body: &[u8]) {
        match *body {
            [level, code] => {
                self.alerts.push(Alert { level, description: AlertDescription(code) });
            }
            _ => self.encrypted_alerts += 1,
        }
    }

    /// Messages may share a record or span several (RFC 5246 6.2.1), so they are read from the
    /// joined bodies.
    fn note_handshake(&mut self, mut joined: &[u8]) {
        while let [kind, l0, l1, l2, ..] = *joined {
            let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
            let Some(message) = joined.get(..4 + length) else { break };
            self.handshake_types.push(kind);
            if let Ok((_, TlsMessage::Handshake(parsed))) =
                tls_parser::parse_tls_message_handshake(message)
            {
                if let TlsMessageHandshake::ClientHello(hello) = &parsed {
                    self.client_hello.get_or_insert_with(|| ClientHello::from_parsed(hello));
                }
                if let Some(hello) = ServerHello::from_parsed(&parsed) {
                    self.server_hello = Some(hello);
                }
            }
            joined = joined.get(4 + length..).unwrap_or_default();
        }
    }
}

fn header(bytes: &[u8]) -> Option<((u8, u16), usize)> {
    let [content, v0, v1, l0, l1] = *bytes.first_chunk::<RECORD_HEADER>()?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    Some(((content, u16::from_be_bytes([v0, v1])), length))
}
