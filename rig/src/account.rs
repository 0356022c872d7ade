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

#[cfg(test)]
mod tests {
    use super::*;
    use brokers::{Close, Ended, MqttView, WireEvent};
    use std::time::SystemTime;

    const MS: u64 = 1_000_000;

    /// What a broker accepted `accepted` ms after `started`: it sent these at these ms since then.
    fn connection(started: Instant, port: u16, accepted: u64, sent: &[(u64, &str)]) -> Connection {
        let event = |(at, bytes): &(u64, &str)| WireEvent {
            at: Duration::from_millis(*at),
            from: Side::Broker,
            bytes: bytes.as_bytes().to_vec(),
        };
        Connection {
            peer: ([127, 0, 0, 1], port).into(),
            started: started + Duration::from_millis(accepted),
            started_wall: SystemTime::UNIX_EPOCH,
            events: sent.iter().map(event).collect(),
            tls: None,
            error: None,
            ended: Ended { by: Side::Client, how: Close::Fin, at: Duration::from_millis(9) },
            mqtt: MqttView::default(),
            key_log: vec![
                format!("CLIENT_RANDOM {} 00", "ab".repeat(32)),
                "# no secret".to_owned(),
            ],
        }
    }

    fn seen(transcript: &Transcript) -> Vec<String> {
        let show = |seen: &Seen| match seen {
            Seen::TcpConnected { client_port } => format!("{client_port} opened"),
            Seen::Bytes { bytes, .. } => format!("read {}", String::from_utf8_lossy(bytes)),
            Seen::Unread { bytes } => format!("unread {}", String::from_utf8_lossy(bytes)),
            Seen::Secret(secret) => format!("{} secret", secret.client_port),
            Seen::Broker(_) => "word".to_owned(),
            other => format!("{other:?}"),
        };
        let entries = transcript.entries().iter();
        entries.map(|entry| format!("{} {}", entry.at_ns / MS, show(&entry.seen))).collect()
    }

    #[test]
    fn an_account_stays_within_its_connection() {
        let started = Instant::now();
        let mut transcript = Transcript::default();
        let read = |text: &str| Seen::Bytes { from: End::Broker, bytes: text.as_bytes().to_vec() };
        transcript.push(10 * MS, Seen::TcpConnected { client_port: 1 });
        transcript.push(12 * MS, read("abc"));
        transcript.push(16 * MS, Seen::TcpConnected { client_port: 2 });
        transcript.push(18 * MS, read("ABCD"));
        // The first ends, for the broker, when the second has begun; the second begins a moment before
        // the rig knows.
        add(
            &mut transcript,
            started,
            &connection(started, 1, 10, &[(1, "ab"), (2, "cd"), (4, "ef")]),
        );
        add(&mut transcript, started, &connection(started, 2, 15, &[(0, "ABCD"), (7, "EF")]));
        let expected = [
            "10 1 opened",
            "12 read abc",
            "12 unread d",
            "14 unread ef",
            "15 1 secret",
            "15 word",
            "16 2 opened",
            "18 read ABCD",
            "22 unread EF",
            "24 2 secret",
            "24 word",
        ];
        assert_eq!(seen(&transcript), expected);
    }
}
