//! What the tests of this crate share: brokers from the real profile files, and an MQTT client.
#![allow(dead_code, reason = "each test file uses its part")]

use brokers::reference::{self, Agreed, Offer, OfferError};
use brokers::{Broker, Brokers, Connection, Limits};
use bytes::BytesMut;
use mqttbytes::v4::{self, Packet};
use openssl::ssl::SslStream;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;
use suites::broker::BrokerProfile;
use wire::tls::{CipherSuite, ProtocolVersion};

/// Long enough for a busy machine; nothing is measured by it.
pub const LONG: Duration = Duration::from_secs(20);

/// Brokers with one certificate cache for all tests, and short patience with silent clients.
pub fn brokers() -> Brokers {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("certificates");
    let limits = Limits { stall: Duration::from_secs(5), ..Limits::default() };
    Brokers::new(&cache).unwrap().with_limits(limits)
}

pub fn profile(name: &str) -> BrokerProfile {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites/brokers");
    let text = std::fs::read_to_string(folder.join(format!("{name}.toml"))).unwrap();
    BrokerProfile::parse(name, &text, name).unwrap_or_else(|error| panic!("{error}"))
}

pub fn custom(text: &str) -> BrokerProfile {
    let text = format!("summary = 'test'\nsource = 'test'\n{text}");
    BrokerProfile::parse("custom", &text, "custom").unwrap_or_else(|error| panic!("{error}"))
}

pub fn connect(broker: &Broker, offer: &Offer) -> Result<Agreed, OfferError> {
    reference::connect(broker.address(), offer)
}

/// The connection that `client` made, as `broker` saw it.
pub fn taken(broker: &Broker, port: u16) -> Connection {
    broker.take(port, LONG).expect("the broker never finished the connection")
}

pub fn port(stream: &TcpStream) -> u16 {
    stream.local_addr().unwrap().port()
}

/// The ClientHello that OpenSSL makes of this offer, caught on a socket of our own.
pub fn client_hello(suites: &[CipherSuite], version: ProtocolVersion) -> Vec<u8> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let offer = Offer {
        min_version: version,
        max_version: version,
        cipher_suites: suites.to_vec(),
        groups: Vec::new(),
        server_name: None,
        ca_der: None,
        client: None,
        psk: None,
        nodelay: true,
    };
    let client = std::thread::spawn(move || reference::connect(address, &offer).is_err());
    let (mut tcp, _) = listener.accept().unwrap();
    let mut hello = vec![0; 5];
    tcp.read_exact(&mut hello).unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([hello[3], hello[4]]))];
    tcp.read_exact(&mut body).unwrap();
    hello.extend(body);
    drop(tcp);
    assert!(client.join().unwrap());
    hello
}

/// An MQTT 3.1.1 client over TLS.
pub struct Client {
    pub tls: SslStream<TcpStream>,
    buffer: BytesMut,
}

impl Client {
    pub fn new(broker: &Broker, profile: &BrokerProfile) -> Self {
        let agreed = connect(broker, &Offer::everything(broker, profile)).unwrap();
        agreed.stream.get_ref().set_read_timeout(Some(LONG)).unwrap();
        Self { tls: agreed.stream, buffer: BytesMut::new() }
    }

    pub fn port(&self) -> u16 {
        port(self.tls.get_ref())
    }

    pub fn send(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let mut bytes = BytesMut::new();
        write(&mut bytes);
        self.tls.write_all(&bytes).unwrap();
    }

    /// The next packet; none at the end of the stream.
    pub fn receive(&mut self) -> Option<Packet> {
        loop {
            match v4::read(&mut self.buffer, 64 * 1024) {
                Ok(packet) => return Some(packet),
                Err(mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
            let mut part = [0; 1024];
            match self.tls.read(&mut part) {
                Ok(0) => return None,
                Ok(count) => self.buffer.extend_from_slice(&part[..count]),
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub fn connect(broker: &Broker, profile: &BrokerProfile, id: &str) -> Self {
        let mut client = Self::new(broker, profile);
        client.send(|bytes| {
            v4::Connect::new(id).write(bytes).unwrap();
        });
        match client.receive() {
            Some(Packet::ConnAck(ack)) => assert_eq!(ack.code, v4::ConnectReturnCode::Success),
            other => panic!("{other:?} instead of CONNACK"),
        }
        client
    }

    pub fn subscribe(&mut self, filter: &str) {
        self.send(|bytes| {
            let mut subscribe = v4::Subscribe::new(filter, mqttbytes::QoS::AtLeastOnce);
            subscribe.pkid = 1;
            subscribe.write(bytes).unwrap();
        });
        assert!(matches!(self.receive(), Some(Packet::SubAck(ack)) if ack.pkid == 1));
    }

    pub fn publish(&mut self, topic: &str, payload: &str) {
        self.send(|bytes| {
            let mut publish = v4::Publish::new(topic, mqttbytes::QoS::AtLeastOnce, payload);
            publish.pkid = 7;
            publish.write(bytes).unwrap();
        });
    }
}
