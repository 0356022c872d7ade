//! What a broker saw of one connection.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// One connection from accept to end.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The client's end.
    pub peer: SocketAddr,
    /// When it was accepted.
    pub started: Instant,
    /// The same moment on the wall clock.
    pub started_wall: SystemTime,
    /// Every byte in both directions, in the order in which this end saw or sent it.
    pub events: Vec<WireEvent>,
    /// What was negotiated, once the handshake was complete.
    pub tls: Option<TlsView>,
    /// What went wrong, in the words of the broker's TLS library or of its MQTT side.
    pub error: Option<String>,
    /// How it ended.
    pub ended: Ended,
    /// What the MQTT side did.
    pub mqtt: MqttView,
    /// Secrets in the format of `SSLKEYLOGFILE`, one line each.
    pub key_log: Vec<String>,
}

impl Connection {
    /// All bytes that `from` sent, joined.
    #[must_use]
    pub fn bytes_from(&self, from: Side) -> Vec<u8> {
        let own = self.events.iter().filter(|event| event.from == from);
        own.flat_map(|event| event.bytes.iter().copied()).collect()
    }
}

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The DUT.
    Client,
    /// This crate.
    Broker,
}

/// Bytes as one read or one write had them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireEvent {
    /// Since accept.
    pub at: Duration,
    /// Who sent them.
    pub from: Side,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What both ends agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsView {
    /// Protocol version.
    pub version: ProtocolVersion,
    /// Cipher suite.
    pub suite: CipherSuite,
    /// Group of an ECDHE or TLS 1.3 key exchange.
    pub group: Option<NamedGroup>,
    /// Bits of the prime of a DHE key exchange.
    pub dh_bits: Option<u32>,
    /// server_name as the client sent it, RFC 6066 3.
    pub sni: Option<String>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

/// How a connection ended: what happened first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Who ended it.
    pub by: Side,
    /// In which manner.
    pub how: Close,
    /// When, since accept.
    pub at: Duration,
}

/// The two manners in which TCP ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Close {
    /// In order: all bytes sent arrive, then the end of the stream.
    Fin,
    /// At once; bytes under way may be lost.
    Reset,
}

/// What the MQTT side saw and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MqttView {
    /// Client identifier of the CONNECT, if one came.
    pub connect: Option<String>,
    /// Return code of the CONNACK that was sent, MQTT 3.1.1 section 3.2.2.3.
    pub connack: Option<u8>,
    /// Topic filters subscribed to.
    pub subscribes: usize,
    /// PUBLISH packets received.
    pub published: usize,
    /// PUBLISH packets sent.
    pub delivered: usize,
    /// Whether the client said DISCONNECT.
    pub disconnect: bool,
}
