//! What a broker says of a connection, put into the transcript beside what the rig saw.
//!
//! ```text
//! Connection --+-- its library's and its MQTT side's words --> Seen::Broker
//!              +-- key log                                 --> Seen::Secret
//!              +-- bytes that the client never read        --> Seen::Unread
//! ```
//!
//! The broker counts time from its accept, the transcript from the cell's start; both are the same
//! clock. Whatever the broker noted a moment too early or too late for the order of the transcript
//! is kept within its own connection.

use brokers::{Connection, Side};
use reports::transcript::{BrokerWord, Secret, Seen, Transcript, printable};
use std::time::{Duration, Instant};
use suites::outcome::End;

/// Adds the account of one connection to the transcript of a cell that was started at `started`.
pub fn add(transcript: &mut Transcript, started: Instant, connection: &Connection) {
    let port = connection.peer.port();
    let place = Place::of(transcript, port);
    let accepted = connection.started.saturating_duration_since(started);
    let at_ns = |since_accept: Duration| place.within(accepted + since_accept);
    let mut unread = place.unread(connection);
    unread.retain(|(_, bytes)| !bytes.is_empty());
    for (at, bytes) in unread {
        transcript.push(at_ns(at), Seen::Unread { bytes });
    }
    let ended = at_ns(connection.ended.at);
    for line in &connection.key_log {
        if let Some(secret) = Secret::parse(End::Broker, port, line) {
            transcript.push(ended, Seen::Secret(secret));
        }
    }
    transcript.push(ended, Seen::Broker(word(connection)));
    transcript.sort();
}

fn word(connection: &Connection) -> BrokerWord {
    BrokerWord {
        version: connection.tls.as_ref().map(|tls| tls.version.to_string()),
        cipher_suite: connection.tls.as_ref().map(|tls| tls.suite.to_string()),
        error: connection.error.as_deref().map(|text| printable(text.as_bytes())),
        mqtt: connection.mqtt.connack.map(|code| format!("connack:{code}")),
    }
}

/// Where in a transcript a connection is.
struct Place {
    /// When it was opened.
    opened: u64,
    /// When the next one was opened.
    next: Option<u64>,
    /// How many of the broker's bytes the client has read.
    read: usize,
}

impl Place {
    fn of(transcript: &Transcript, port: u16) -> Self {
        let mut place = Self { opened: 0, next: None, read: 0 };
        let mut inside = false;
        for entry in transcript.entries() {
            match &entry.seen {
                Seen::TcpConnected { client_port } if *client_port == port => {
                    (inside, place.opened) = (true, entry.at_ns);
                }
                Seen::TcpConnected { .. } if inside => {
                    place.next = Some(entry.at_ns);
                    break;
                }
                Seen::Bytes { from: End::Broker, bytes } if inside => place.read += bytes.len(),
                _ => {}
            }
        }
        place
    }

    /// A time since the cell's start, in nanoseconds, that lies within the connection.
    fn within(&self, at: Duration) -> u64 {
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX).max(self.opened);
        self.next.map_or(at, |next| at.min(next.saturating_sub(1)))
    }

    /// What the broker sent beyond the bytes that the client has read, with the time since accept.
    fn unread(&self, connection: &Connection) -> Vec<(Duration, Vec<u8>)> {
        let mut read = self.read;
        let sent = connection.events.iter().filter(|event| event.from == Side::Broker);
        sent.map(|event| {
            let (_, rest) = event.bytes.split_at(read.min(event.bytes.len()));
            read -= event.bytes.len() - rest.len();
            (event.at, rest.to_vec())
        })
        .collect()
    }
}
