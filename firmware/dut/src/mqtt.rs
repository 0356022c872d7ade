//! MQTT 3.1.1 over the TLS session: CONNECT, SUBSCRIBE, PUBLISH there and back, DISCONNECT.

use crate::board::Board;
use crate::link::Link;
use alloc::{boxed::Box, vec};
use mbedtls::Session;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{
    PacketBuildResult, PacketBuilder, PacketData, RawPacket,
};
use mqtt_protocol_core::mqtt::packet::{PacketType, Qos, SubEntry, SubOpts, v3_1_1};
use mqtt_protocol_core::mqtt::result_code::MqttError;
use wire::message::{Ending, Mqtt, MqttFailure, Phase, Unsupported};

/// Seconds; a cell is over long before a PINGREQ is due.
const KEEP_ALIVE: u16 = 60;

/// Longest packet from the broker, in bytes. A cell's command is smaller than that.
const MAX_PACKET: u32 = 8 * 1024;

/// Bytes read from the session at once.
const BUFFER: usize = 512;

const SUBSCRIBE_ID: u16 = 1;
const PUBLISH_ID: u16 = 2;

/// The client's end of one MQTT connection.
pub struct Client<'s, 'h, 'l, 'b, B: Board> {
    session: &'s mut Session<'h, Link<'l, 'b, B>>,
    packets: PacketBuilder,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<'s, 'h, 'l, 'b, B: Board> Client<'s, 'h, 'l, 'b, B> {
    /// A client over a session whose handshake is over.
    pub fn new(session: &'s mut Session<'h, Link<'l, 'b, B>>) -> Self {
        Self {
            session,
            packets: PacketBuilder::with_maximum_packet_size(MAX_PACKET),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
        }
    }

    /// Begins a phase.
    pub fn enter(&mut self, phase: Phase) {
        self.session.host().enter(phase);
    }

    /// CONNECT with a clean session, and the CONNACK, whose code is noted even if it refuses.
    pub fn connect(&mut self, mqtt: &Mqtt<'_>, connack: &mut Option<u8>) -> Result<(), Ending> {
        let packet = v3_1_1::Connect::builder()
            .client_id(mqtt.client_id)
            .map_err(unsayable)?
            .clean_session(true)
            .keep_alive(KEEP_ALIVE)
            .build()
            .map_err(unsayable)?;
        self.write(&packet.to_continuous_buffer())?;
        let answer = self.read_due(PacketType::Connack)?;
        // The parser knows the codes 0 to 5 only; an odd one is still worth telling.
        let [_, code] = *answer.data_as_slice() else { return Err(protocol(())) };
        *connack = Some(code);
        if code != 0 {
            return Err(Ending::Mqtt(MqttFailure::Refused));
        }
        answer.parse_exact(v3_1_1::Connack::parse).map_err(protocol)?;
        Ok(())
    }

    /// SUBSCRIBE to the cell's own topic, and the SUBACK.
    pub fn subscribe(&mut self, mqtt: &Mqtt<'_>) -> Result<(), Ending> {
        let options = SubOpts::new().set_qos(Qos::AtLeastOnce);
        let entry = SubEntry::new(mqtt.topic, options).map_err(unsayable)?;
        let packet = v3_1_1::Subscribe::builder()
            .packet_id(SUBSCRIBE_ID)
            .entries(vec![entry])
            .build()
            .map_err(unsayable)?;
        self.write(&packet.to_continuous_buffer())?;
        let answer = self.read_due(PacketType::Suback)?;
        let suback = answer.parse_exact(v3_1_1::Suback::parse).map_err(protocol)?;
        let granted = matches!(suback.return_codes().as_slice(), [code] if code.is_success());
        if suback.packet_id() != SUBSCRIBE_ID || !granted {
            return Err(protocol(()));
        }
        Ok(())
    }

    /// PUBLISH with QoS 1, its PUBACK, and the message back with a PUBACK for it.
    ///
    /// MQTT 3.1.1 section 4.6 leaves open which of the two the broker sends first.
    pub fn publish(&mut self, mqtt: &Mqtt<'_>) -> Result<(), Ending> {
        let packet = v3_1_1::Publish::builder()
            .topic_name(mqtt.topic)
            .map_err(unsayable)?
            .qos(Qos::AtLeastOnce)
            .packet_id(PUBLISH_ID)
            .payload(mqtt.payload)
            .build()
            .map_err(unsayable)?;
        self.write(&packet.to_continuous_buffer())?;
        let (mut acknowledged, mut returned) = (false, false);
        while !(acknowledged && returned) {
            let packet = self.read()?;
            if is(&packet, PacketType::Puback) && !acknowledged {
                let puback = packet.parse_exact(v3_1_1::Puback::parse).map_err(protocol)?;
                if puback.packet_id() != PUBLISH_ID {
                    return Err(protocol(()));
                }
                acknowledged = true;
            } else if is(&packet, PacketType::Publish) && !returned {
                self.take_back(mqtt, packet)?;
                returned = true;
            } else {
                return Err(protocol(()));
            }
        }
        Ok(())
    }

    fn take_back(&mut self, mqtt: &Mqtt<'_>, packet: RawPacket) -> Result<(), Ending> {
        let flags = packet.flags();
        let PacketData::Publish(data) = packet.data else { return Err(protocol(())) };
        let (publish, _) = v3_1_1::Publish::parse(flags, data).map_err(protocol)?;
        if publish.topic_name() != mqtt.topic {
            return Err(protocol(()));
        }
        if publish.payload().as_slice() != mqtt.payload {
            return Err(Ending::Mqtt(MqttFailure::Payload));
        }
        // A broker may grant less than QoS 1; then there is no identifier to acknowledge.
        if let Some(id) = publish.packet_id() {
            let puback = v3_1_1::Puback::builder().packet_id(id).build().map_err(protocol)?;
            self.write(&puback.to_continuous_buffer())?;
        }
        Ok(())
    }

    /// DISCONNECT; nothing answers it.
    pub fn disconnect(&mut self) -> Result<(), Ending> {
        let packet = v3_1_1::Disconnect::builder().build().map_err(unsayable)?;
        self.write(&packet.to_continuous_buffer())
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Ending> {
        while !bytes.is_empty() {
            let sent = self.session.write(bytes).map_err(|error| Ending::Tls(error.0))?;
            bytes = bytes.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    fn read_due(&mut self, due: PacketType) -> Result<RawPacket, Ending> {
        let packet = self.read()?;
        if is(&packet, due) { Ok(packet) } else { Err(protocol(())) }
    }

    fn read(&mut self) -> Result<RawPacket, Ending> {
        loop {
            if self.start == self.end {
                self.start = 0;
                self.end = 0;
                let count =
                    self.session.read(&mut self.buffer).map_err(|error| Ending::Tls(error.0))?;
                if count == 0 {
                    return Err(Ending::Mqtt(MqttFailure::Closed));
                }
                self.end = count.min(self.buffer.len());
            }
            let unread = self.buffer.get(self.start..self.end).unwrap_or_default();
            let mut cursor = Cursor::new(unread);
            let built = self.packets.feed(&mut cursor);
            let taken = usize::try_from(cursor.position()).unwrap_or(unread.len());
            self.start = (self.start + taken).min(self.end);
            match built {
                PacketBuildResult::Complete(packet) => return Ok(packet),
                PacketBuildResult::Incomplete => {}
                PacketBuildResult::Error(error) => return Err(protocol(error)),
            }
        }
    }
}

fn is(packet: &RawPacket, kind: PacketType) -> bool {
    packet.packet_type() == kind as u8
}

/// The broker said something that MQTT 3.1.1 does not allow here.
fn protocol<E>(_: E) -> Ending {
    Ending::Mqtt(MqttFailure::Protocol)
}

/// The profile's texts cannot be put into a packet, for example a topic with a wildcard.
fn unsayable(_: MqttError) -> Ending {
    Ending::Unsupported(Unsupported::Other)
}
