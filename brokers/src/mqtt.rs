//! MQTT 3.1.1 between decrypted bytes and the router.
//!
//! The router is rumqttd's, one for the process, because each one leaves a thread behind for good.
//! Brokers must not hear each other for all that: every broker has a prefix of its own, put before
//! client identifiers and topics on the way in and taken off topics on the way out. Two boards
//! that use the same client identifier at two brokers would otherwise throw each other out.

use crate::record::MqttView;
use bytes::{Bytes, BytesMut};
use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::protocol::v4::V4;
use rumqttd::protocol::{
    self, ConnAck, Connect, ConnectReturnCode, LastWill, Packet, Protocol, Publish,
};
use rumqttd::{Notification, RouterConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Longest packet taken from a client, in bytes. The DUT's are below one kilobyte.
const MAX_PACKET: usize = 64 * 1024;
/// Sets aside memory, so not without bounds; a connection beyond is refused.
const MAX_CONNECTIONS: usize = 2_000;
/// What a client may be silent for that asked for no keep-alive.
const NO_KEEP_ALIVE: Duration = Duration::from_secs(3_600);

type Connector = dyn Fn(&str, bool) -> Result<(LinkTx, LinkRx), MqttError> + Send + Sync;

/// The router and the prefixes given out.
#[derive(Clone)]
pub(crate) struct Router {
    /// rumqttd's sender has a type that cannot be named outside of it, so it lives in a closure.
    connector: Arc<Connector>,
    prefixes: Arc<AtomicU64>,
}

impl Router {
    /// Starts the router's thread, which lives as long as the process.
    pub(crate) fn start() -> Self {
        let config = RouterConfig {
            max_connections: MAX_CONNECTIONS,
            max_outgoing_packet_count: 200,
            max_segment_size: 64 * 1024,
            max_segment_count: 2,
            ..RouterConfig::default()
        };
        let sender = rumqttd::Router::new(0, config).spawn();
        let connector = move |client: &str, clean: bool| {
            let link = LinkBuilder::new(client, sender.clone()).clean_session(clean).build();
            link.map(|(send, receive, _connack)| (send, receive)).map_err(|error| refused(&error))
        };
        Self { connector: Arc::new(connector), prefixes: Arc::default() }
    }

    /// A prefix that no other broker of this process has.
    pub(crate) fn prefix(&self) -> Prefix {
        Prefix(format!("b{}", self.prefixes.fetch_add(1, Ordering::Relaxed)).into())
    }
}

/// What keeps one broker's clients and topics apart from another's.
#[derive(Debug, Clone)]
pub(crate) struct Prefix(Arc<str>);

impl Prefix {
    fn client(&self, id: &str) -> String {
        format!("{}.{id}", self.0)
    }

    fn topic(&self, topic: &Bytes) -> Bytes {
        [self.0.as_bytes(), b"/", topic].concat().into()
    }

    fn filter(&self, filter: &str) -> String {
        // "$share/<group>/<filter>": the group must be one of this broker's alone as well.
        let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        match shared {
            Some((group, filter)) => format!("$share/{0}.{group}/{0}/{filter}", self.0),
            None => format!("{}/{filter}", self.0),
        }
    }

    fn strip(&self, topic: &Bytes) -> Bytes {
        let length = self.0.len() + 1;
        if topic.len() < length { topic.clone() } else { topic.slice(length..) }
    }
}

/// Why the MQTT side ends a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MqttError {
    #[error("bytes that are not MQTT 3.1.1: {0}")]
    Malformed(#[from] protocol::Error),
    #[error("first packet is not CONNECT, MQTT 3.1.1 section 3.1")]
    NoConnect,
    #[error("a second CONNECT, MQTT 3.1.1 section 3.1")]
    SecondConnect,
    #[error("a packet that only a server sends")]
    ServersPacket,
    #[error("the router refuses: {0}")]
    Router(String),
}

/// As text, because rumqttd's error is larger than all else that is handed about here.
fn refused(error: &LinkError) -> MqttError {
    MqttError::Router(error.to_string())
}

/// What a packet from the client leads to.
pub(crate) enum Next {
    /// Nothing to do here; the router may answer.
    Routed,
    /// CONNECT was taken: send `reply`, then what `inbox` brings.
    Connected { reply: Vec<u8>, inbox: LinkRx },
    /// CONNECT was refused: send `reply` and close.
    Refused { reply: Vec<u8> },
    /// DISCONNECT: the client will close.
    Disconnected,
}

/// The MQTT side of one connection.
pub(crate) struct Mqtt {
    router: Router,
    prefix: Prefix,
    buffer: BytesMut,
    link: Option<LinkTx>,
    will: Option<LastWill>,
    keep_alive: Duration,
    /// The return code with which every CONNECT is refused; none for a broker that behaves.
    refusal: Option<u8>,
    /// Set before this side leaves the router, so that it can be told from being thrown out.
    pub(crate) leaving: Arc<AtomicBool>,
    pub(crate) view: MqttView,
}

impl Mqtt {
    pub(crate) fn new(router: Router, prefix: Prefix, refusal: Option<u8>) -> Self {
        Self {
            router,
            prefix,
            buffer: BytesMut::new(),
            link: None,
            will: None,
            keep_alive: NO_KEEP_ALIVE,
            refusal,
            leaving: Arc::default(),
            view: MqttView::default(),
        }
    }

    /// Takes decrypted bytes; what whole packets they make comes out of [`Mqtt::next`].
    pub(crate) fn receive(&mut self, plaintext: &[u8]) {
        self.buffer.extend_from_slice(plaintext);
    }

    /// How long the client may be silent: one and a half times what it promised, MQTT 3.1.1
    /// section 3.1.2.10.
    pub(crate) fn silence_allowed(&self) -> Duration {
        self.keep_alive
    }

    /// Whether a CONNECT was accepted.
    pub(crate) fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    /// Handles the next whole packet, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<Next>, MqttError> {
        let connects = |first: &u8| first >> 4 == 1;
        if self.view.connect.is_none() && !self.buffer.first().is_none_or(connects) {
            // At once: what looks like a length here may never be reached.
            return Err(MqttError::NoConnect);
        }
        let packet = match V4.read_mut(&mut self.buffer, MAX_PACKET) {
            Ok(packet) => packet,
            Err(protocol::Error::InsufficientBytes(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match packet {
            Packet::Connect(connect, _, will, _, _) => self.connect(connect, will).map(Some),
            packet => {
                let link = self.link.as_mut().ok_or(MqttError::NoConnect)?;
                let packet = inward(&self.prefix, packet, &mut self.view)?;
                let end = matches!(packet, Packet::Disconnect(..));
                self.leaving.store(end, Ordering::SeqCst);
                pollster::block_on(link.send(packet)).map_err(|error| refused(&error))?;
                if end {
                    self.view.disconnect = true;
                    self.will = None;
                    self.link = None;
                    return Ok(Some(Next::Disconnected));
                }
                Ok(Some(Next::Routed))
            }
        }
    }

    fn connect(&mut self, connect: Connect, will: Option<LastWill>) -> Result<Next, MqttError> {
        if self.view.connect.is_some() {
            return Err(MqttError::SecondConnect);
        }
        self.view.connect = Some(connect.client_id.clone());
        if let Some(code) = self.refusal {
            self.view.connack = Some(code);
            // MQTT 3.1.1 section 3.2: type, length, no session, return code.
            return Ok(Next::Refused { reply: vec![0x20, 2, 0, code] });
        }
        let Connect { client_id, keep_alive, clean_session } = connect;
        if client_id.is_empty() && !clean_session {
            // MQTT 3.1.1 section 3.1.3.1: return code 2.
            let reply = self.connack(ConnectReturnCode::ClientIdentifierNotValid, 2)?;
            return Ok(Next::Refused { reply });
        }
        let id = if client_id.is_empty() {
            format!("nameless-{}", self.router.prefixes.fetch_add(1, Ordering::Relaxed))
        } else {
            client_id
        };
        if keep_alive > 0 {
            self.keep_alive = Duration::from_secs(keep_alive.into()) * 3 / 2;
        }
        let (link, inbox) = (self.router.connector)(&self.prefix.client(&id), clean_session)?;
        self.link = Some(link);
        self.will = will;
        let reply = self.connack(ConnectReturnCode::Success, 0)?;
        Ok(Next::Connected { reply, inbox })
    }

    fn connack(&mut self, code: ConnectReturnCode, number: u8) -> Result<Vec<u8>, MqttError> {
        self.view.connack = Some(number);
        let packet = Packet::ConnAck(ConnAck { session_present: false, code }, None);
        let mut bytes = BytesMut::new();
        V4.write(packet, &mut bytes)?;
        Ok(bytes.to_vec())
    }

    /// The connection is over. Without a DISCONNECT before it the client's will is published,
    /// MQTT 3.1.1 section 3.1.2.5.
    pub(crate) fn end(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        self.leaving.store(true, Ordering::SeqCst);
        if let Some(will) = self.will.take() {
            let topic = self.prefix.topic(&will.topic);
            let publish = Publish::new(topic, will.message, will.retain);
            let _router_gone = pollster::block_on(link.send(Packet::Publish(publish, None)));
        }
        let reason_code = protocol::DisconnectReasonCode::NormalDisconnection;
        let goodbye = Packet::Disconnect(protocol::Disconnect { reason_code }, None);
        // It makes the router drop its end, which ends the thread that waits on the inbox.
        let _router_gone = pollster::block_on(link.send(goodbye));
    }
}

/// A client's packet as the router is to see it.
fn inward(prefix: &Prefix, packet: Packet, view: &mut MqttView) -> Result<Packet, MqttError> {
    Ok(match packet {
        Packet::Publish(mut publish, properties) => {
            view.published += 1;
            publish.topic = prefix.topic(&publish.topic);
            Packet::Publish(publish, properties)
        }
        Packet::Subscribe(mut subscribe, properties) => {
            view.subscribes += subscribe.filters.len();
            for filter in &mut subscribe.filters {
                filter.path = prefix.filter(&filter.path);
            }
            Packet::Subscribe(subscribe, properties)
        }
        Packet::Unsubscribe(mut unsubscribe, properties) => {
            for filter in &mut unsubscribe.filters {
                *filter = prefix.filter(filter);
            }
            Packet::Unsubscribe(unsubscribe, properties)
        }
        packet @ (Packet::PubAck(..)
        | Packet::PubRec(..)
        | Packet::PubRel(..)
        | Packet::PubComp(..)
        | Packet::PingReq(_)
        | Packet::Disconnect(..)) => packet,
        // The router takes others too, and not all of them well.
        _ => return Err(MqttError::ServersPacket),
    })
}

/// What the router's word is to the client: bytes to send, or a demand for more of the router.
pub(crate) enum Outward {
    /// Send these; the flag says whether they are a PUBLISH.
    Send(Vec<u8>, bool),
    /// The router stopped so as not to outrun the client, and waits to be told to go on.
    GoOn,
    /// Close the connection.
    Close,
}

/// A router's word as bytes for the client.
pub(crate) fn outward(prefix: &Prefix, word: Notification) -> Outward {
    let publish = matches!(word, Notification::Forward(_));
    let packet: Option<Packet> = word.into();
    let packet = match packet {
        None => return Outward::GoOn,
        Some(Packet::Disconnect(..)) => return Outward::Close,
        Some(Packet::Publish(mut publish, _)) => {
            publish.topic = prefix.strip(&publish.topic);
            Packet::Publish(publish, None)
        }
        // MQTT 3.1.1 has no properties, and the encoder takes none.
        Some(Packet::PubAck(ack, _)) => Packet::PubAck(ack, None),
        Some(Packet::PubRec(ack, _)) => Packet::PubRec(ack, None),
        Some(Packet::PubRel(ack, _)) => Packet::PubRel(ack, None),
        Some(Packet::PubComp(ack, _)) => Packet::PubComp(ack, None),
        Some(Packet::SubAck(ack, _)) => Packet::SubAck(ack, None),
        Some(Packet::UnsubAck(ack, _)) => Packet::UnsubAck(ack, None),
        Some(packet) => packet,
    };
    let mut bytes = BytesMut::new();
    match V4.write(packet, &mut bytes) {
        Ok(_) => Outward::Send(bytes.to_vec(), publish),
        Err(_) => Outward::Close,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    #[test]
    fn prefixes_go_on_and_off() {
        let prefix = Prefix("b7".into());
        assert_eq!(prefix.filter("a/+/#"), "b7/a/+/#");
        assert_eq!(prefix.filter("$share/g/a/b"), "$share/b7.g/b7/a/b");
        let topic = prefix.topic(&Bytes::from_static(b"a/b"));
        assert_eq!(topic, "b7/a/b");
        assert_eq!(prefix.strip(&topic), "a/b");
    }

    const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a";

    fn alive(router: &Router) -> bool {
        let mut mqtt = Mqtt::new(router.clone(), router.prefix(), None);
        mqtt.receive(CONNECT);
        let connected = matches!(mqtt.next(), Ok(Some(Next::Connected { .. })));
        mqtt.end();
        connected
    }

    /// Packets with a right length and anything inside.
    fn packets() -> impl Strategy<Value = Vec<u8>> {
        let body = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            // A string that may pass for a topic, and something behind it.
            ("[a-c/+#$]{0,6}", proptest::collection::vec(any::<u8>(), 0..6)).prop_map(
                |(s, rest)| {
                    [&[0, u8::try_from(s.len()).unwrap()], s.as_bytes(), &rest].concat()
                }
            ),
            ("[a-c/+#$]{0,6}", 0_u8..4).prop_map(|(s, qos)| {
                [&[0, 9, 0, u8::try_from(s.len()).unwrap()], s.as_bytes(), &[qos]].concat()
            }),
        ];
        let packet = (any::<u8>(), body).prop_map(|(first, body)| {
            [vec![first, u8::try_from(body.len()).unwrap()], body].concat()
        });
        proptest::collection::vec(packet, 1..8).prop_map(|packets| packets.concat())
    }

    #[test]
    fn no_bytes_of_a_client_bring_down_the_decoder_or_the_router() {
        let router = Router::start();
        let mut runner = TestRunner::new(Config::with_cases(2_000));
        let result = runner.run(&packets(), |bytes| {
            let mut mqtt = Mqtt::new(router.clone(), router.prefix(), None);
            mqtt.receive(CONNECT);
            mqtt.receive(&bytes);
            let mut inbox = None;
            while let Ok(Some(next)) = mqtt.next() {
                if let Next::Connected { inbox: fresh, .. } = next {
                    inbox = Some(fresh);
                }
            }
            mqtt.end();
            // What the router says to it must be encodable.
            while let Some(Ok(word)) = inbox.as_mut().map(LinkRx::recv) {
                if let Some(word) = word {
                    outward(&mqtt.prefix, word);
                }
            }
            prop_assert!(alive(&router));
            Ok(())
        });
        result.unwrap();
    }
}
