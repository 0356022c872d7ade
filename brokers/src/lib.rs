//! Local MQTT brokers with controlled TLS, certificates and a wire tap.
//!
//! [`Brokers`] holds what all share: the certificates on disk and one MQTT router. Each
//! [`Broker`] is one listening port that serves one [`BrokerProfile`](suites::broker::BrokerProfile).
//! The way of a byte that a client sends:
//!
//! ```text
//! TcpStream -> tap          every byte is written down with its time         (tap)
//!           -> session      OpenSSL or rustls, fed from memory, owns no socket (front)
//!           -> mqtt         CONNECT, SUBSCRIBE, PUBLISH decoded               (mqtt)
//!           -> rumqttd      the router, one for the whole process
//! ```
//!
//! and the same way back. As the TLS library sees memory only, what goes on the wire is decided
//! here: a refused handshake may end with the library's alert or without it, and nothing is sent
//! that was not recorded. When the connection has ended, [`Broker::take`] hands over the
//! [`Connection`]: bytes, what was negotiated, the broker's own words for what went wrong.
//!
//! The other way round, [`mod@capture`] asks a live server what it speaks and makes a profile of it.
//!
//! Threads block; there is one for each broker and two for each connection. Every wait has a
//! limit, see [`Limits`].

mod broker;
pub mod capture;
mod connection;
mod front;
mod keys;
mod misbehave;
mod mqtt;
mod pki;
pub mod product;
mod record;
pub mod reference;
mod tap;

pub use broker::{Broker, BrokerError, Brokers, Limits};
pub use front::FrontError;
pub use pki::{ClientIdentity, PkiError};
pub use record::{Close, Connection, Ended, MqttView, Side, TlsView, WireEvent};
