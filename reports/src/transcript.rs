//! Everything that both ends and the rig saw while a cell ran, in the order of time.
//!
//! The rig appends entries as they happen; [`crate::judge()`] and [`crate::diagnosis`] only read. A
//! transcript is also the file `transcript.jsonl` of a cell, one entry on a line, so that a real
//! session can be kept and judged again.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use suites::outcome::{Close, End};
use suites::stream::Stream;
use wire::message::{CellResult, Phase, PhaseMark};

/// What was seen, in the order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    entries: Vec<Entry>,
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Nanoseconds of the host's monotonic clock since the cell's start command.
    pub at_ns: u64,
    /// What.
    #[serde(flatten)]
    pub seen: Seen,
}

/// What was seen, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "seen", rename_all = "snake_case")]
pub enum Seen {
    /// The rig sent the start command.
    Started {
        /// When: nanoseconds since 1970-01-01 UTC, by the host's clock.
        unix_ns: u64,
    },
    /// The rig opened the TCP connection that the client asked for.
    TcpConnected {
        /// The client's port, by which the broker's view is found.
        client_port: u16,
    },
    /// TLS bytes on the wire.
    Bytes {
        /// Their sender.
        from: End,
        /// The bytes.
        #[serde(with = "hex")]
        bytes: Vec<u8>,
    },
    /// TLS bytes that the broker sent and the client never read: it had given up by then, or waited
    /// for nothing more. They say nothing about the client.
    Unread {
        /// The bytes.
        #[serde(with = "hex")]
        bytes: Vec<u8>,
    },
    /// An end told a secret of the connection.
    Secret(Secret),
    /// One end closed the TCP connection.
    Closed {
        /// Which end did.
        from: End,
        /// How.
        how: Close,
    },
    /// The client has passed a phase.
    Phase(PhaseMark),
    /// A line of the TLS library's debug output.
    Log(LogLine),
    /// Text or damaged bytes from the DUT outside of any frame, made safe to show.
    Noise {
        /// Why it is no frame.
        why: String,
        /// What it says.
        text: String,
    },
    /// What the broker's TLS library or MQTT part says of the connection.
    Broker(BrokerWord),
    /// The client's own result.
    Result(CellResult),
    /// The cell's time was over.
    TimedOut {
        /// What was waited for.
        waiting_for: String,
        /// How long the cell was given, in milliseconds.
        limit_ms: u64,
    },
    /// The rig, the board or the link broke.
    Fault {
        /// A sentence that names the board and the step.
        what: String,
    },
}

/// One line of the TLS library's debug output, made safe to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// mbedTLS debug level, 1 to 4.
    pub level: u8,
    /// Source file without its folder.
    pub file: String,
    /// Line in that file.
    pub line: u16,
    /// The text; control characters and bytes that are no text are escaped.
    pub text: String,
}

/// A secret of one connection, by which its records can be read. Keys of the rig's clients and brokers
/// are for tests and protect nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Who told it.
    pub from: End,
    /// The connection: its client's port.
    pub client_port: u16,
    /// Which secret, as a key log (`SSLKEYLOGFILE`) calls it, for example `CLIENT_RANDOM`.
    pub label: String,
    /// The random number of the connection's ClientHello.
    #[serde(with = "hex")]
    pub client_random: Vec<u8>,
    /// The secret.
    #[serde(with = "hex")]
    pub secret: Vec<u8>,
}

impl Secret {
    /// Reads a line of a key log: label, random number, secret. `None` for a line of another kind.
    #[must_use]
    pub fn parse(from: End, client_port: u16, line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (label, random, secret) = (words.next()?, words.next()?, words.next()?);
        let bytes = |text: &str| data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        let (client_random, secret) = (bytes(random)?, bytes(secret)?);
        // OpenSSL also tells premaster secrets, found by other things than a random number.
        (client_random.len() == RANDOM).then(|| Self {
            from,
            client_port,
            label: label.to_owned(),
            client_random,
            secret,
        })
    }

    /// The line of a key log.
    #[must_use]
    pub fn line(&self) -> String {
        let (random, secret) =
            (HEXLOWER.encode(&self.client_random), HEXLOWER.encode(&self.secret));
        format!("{} {random} {secret}", self.label)
    }
}

/// Length of the random number in a hello, RFC 5246 7.4.1.2.
const RANDOM: usize = 32;
/// What stands before it in the first bytes of a client: headers of record and message, a version.
const BEFORE_RANDOM: usize = 5 + 4 + 2;

/// The broker's view of the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerWord {
    /// Version that the broker's library negotiated, for example `TLS1.2`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// Cipher suite that the broker's library negotiated, for example `0x003d`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cipher_suite: Option<String>,
    /// The library's own words about a failure.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// What the MQTT part did, for example `connack:0`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mqtt: Option<String>,
}

impl Transcript {
    /// Adds what was seen `at_ns` nanoseconds after the start command.
    pub fn push(&mut self, at_ns: u64, seen: Seen) {
        self.entries.push(Entry { at_ns, seen });
    }

    /// Puts the entries in the order of time; the broker's word comes with times of the past.
    pub fn sort(&mut self) {
        self.entries.sort_by_key(|entry| entry.at_ns);
    }

    /// All entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All that was seen, without times.
    pub fn seen(&self) -> impl Iterator<Item = &Seen> {
        self.entries.iter().map(|entry| &entry.seen)
    }

    /// What the end `from` sent, taken apart.
    #[must_use]
    pub fn stream(&self, from: End) -> Stream {
        Stream::parse(&self.bytes(from))
    }

    /// What the end `from` sent.
    #[must_use]
    pub fn bytes(&self, from: End) -> Vec<u8> {
        let mut joined = Vec::new();
        for seen in self.seen() {
            match seen {
                Seen::Bytes { from: sender, bytes } if *sender == from => joined.extend(bytes),
                _ => {}
            }
        }
        joined
    }

    /// The client's port on each connection, in the order in which they were opened.
    #[must_use]
    pub fn client_ports(&self) -> Vec<u16> {
        let opened = self.seen().filter_map(|seen| match seen {
            Seen::TcpConnected { client_port } => Some(*client_port),
            _ => None,
        });
        opened.collect()
    }

    /// The connection that was opened last: its client's port, and the random number of the ClientHello
    /// on it, if that has been sent.
    #[must_use]
    pub fn connection(&self) -> Option<(u16, Option<Vec<u8>>)> {
        let opened = |seen: &Seen| match seen {
            Seen::TcpConnected { client_port } => Some(*client_port),
            _ => None,
        };
        let (at, port) = self
            .entries
            .iter()
            .enumerate()
            .rev()
            .find_map(|(at, entry)| Some((at, opened(&entry.seen)?)))?;
        let mut sent = Vec::new();
        for entry in self.entries.iter().skip(at) {
            if let Seen::Bytes { from: End::Client, bytes } = &entry.seen {
                sent.extend_from_slice(bytes);
            }
            if sent.len() >= BEFORE_RANDOM + RANDOM {
                break;
            }
        }
        let random = match sent.as_slice() {
            // A record of the handshake, and in it a ClientHello.
            [22, _, _, _, _, 1, ..] => sent.get(BEFORE_RANDOM..BEFORE_RANDOM + RANDOM),
            _ => None,
        };
        Some((port, random.map(<[u8]>::to_vec)))
    }

    /// The client's own result, if it came to one.
    #[must_use]
    pub fn result(&self) -> Option<&CellResult> {
        self.seen().find_map(|seen| match seen {
            Seen::Result(result) => Some(result),
            _ => None,
        })
    }

    /// The phases that the client passed, in order.
    pub fn phases(&self) -> impl Iterator<Item = (u64, &PhaseMark)> {
        self.entries.iter().filter_map(|entry| match &entry.seen {
            Seen::Phase(mark) => Some((entry.at_ns, mark)),
            _ => None,
        })
    }

    /// The last phase that the client is known to have passed.
    #[must_use]
    pub fn last_phase(&self) -> Option<Phase> {
        self.phases().last().map(|(_, mark)| mark.phase)
    }

    /// How the broker ended the connection, if it did so before the client.
    #[must_use]
    pub fn broker_close(&self) -> Close {
        let first = self.seen().find_map(|seen| match seen {
            Seen::Closed { from, how } => Some((*from, *how)),
            _ => None,
        });
        match first {
            Some((End::Broker, how)) => how,
            _ => Close::None,
        }
    }

    /// The broker's view of the last connection, if it gave one.
    #[must_use]
    pub fn broker(&self) -> Option<&BrokerWord> {
        let words = self.seen().filter_map(|seen| match seen {
            Seen::Broker(word) => Some(word),
            _ => None,
        });
        words.last()
    }

    /// The debug lines as a device log: one line each, as mbedTLS's own examples print them.
    #[must_use]
    pub fn device_log(&self) -> String {
        use std::fmt::Write as _;
        let mut log = String::new();
        for seen in self.seen() {
            // Writing to a string cannot fail.
            let _ = match seen {
                Seen::Log(line) => {
                    writeln!(log, "{}:{:04}: |{}| {}", line.file, line.line, line.level, line.text)
                }
                Seen::Noise { text, .. } => writeln!(log, "# outside of frames: {text}"),
                _ => Ok(()),
            };
        }
        log
    }

    /// The text of `transcript.jsonl`.
    ///
    /// # Errors
    /// None in practice: every entry can be written as JSON.
    pub fn to_jsonl(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut out = Vec::new();
        for entry in &self.entries {
            serde_json::to_writer(&mut out, entry)?;
            out.push(b'\n');
        }
        Ok(out)
    }

    /// Reads the text of a `transcript.jsonl`.
    ///
    /// # Errors
    /// The first line that is no entry.
    pub fn from_jsonl(text: &str) -> Result<Self, serde_json::Error> {
        let entries = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }
}

/// Makes bytes from outside safe for terminals and pages: what is no printable text is escaped.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let mut safe = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                ' ' => safe.push(c),
                // Bidirectional controls can make a line read as something it does not say.
                '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => {
                    safe.extend(c.escape_unicode());
                }
                _ if c.is_control() || (c.is_whitespace() && c != ' ') => {
                    safe.extend(c.escape_default());
                }
                _ => safe.push(c),
            }
        }
        for byte in chunk.invalid() {
            safe.push_str(&format!("\\x{byte:02x}"));
        }
    }
    safe
}

/// Bytes in JSON are lower-case hexadecimal.
mod hex {
    use data_encoding::HEXLOWER;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        HEXLOWER.decode(text.as_bytes()).map_err(D::Error::custom)
    }
}
