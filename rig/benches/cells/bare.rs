//! The bare rate: the DUT's TLS library and the rig's broker, a TCP connection between them.
//!
//! Client and broker are the ones of a cell, down to the seed and the certificates. What a cell has
//! besides is missing: board, link, frames, debug output, transcript, verdict, record.

use crate::work::Work;
use anyhow::{Result, anyhow, bail};
use brokers::{Broker, Brokers};
use bytes::BytesMut;
use mbedtls::{Host, HostError, Session};
use mqttbytes::QoS;
use mqttbytes::v4::{self, Packet};
use rig::command::{LogLines, prepare};
use rig::plan::Job;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use wire::message::{CellCommand, Mqtt, SecretKind};

/// Longest packet that the broker may send.
const MAX_PACKET: usize = 8 * 1024;

/// Makes `count` connections on `workers` threads and says how long it took.
pub fn connections(work: &Work, count: usize, workers: usize) -> Result<Duration> {
    mbedtls::warm_up();
    let broker = work.brokers.start(&work.job(0).broker)?;
    let taken = AtomicUsize::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        let worker = || -> Result<()> {
            loop {
                let number = taken.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                connection(&work.job(number), &work.brokers, &broker)?;
            }
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(anyhow!("a client's thread panicked")))
        })
    })?;
    Ok(began.elapsed())
}

fn connection(job: &Job, brokers: &Brokers, broker: &Broker) -> Result<()> {
    let prepared = prepare(job, brokers, broker, rig::run::SEED, LogLines::All)?;
    let command = CellCommand { log_level: 0, ..prepared.command() };
    let stream = TcpStream::connect(broker.address())?;
    stream.set_nodelay(true)?;
    let mut socket = Socket(BufReader::new(stream));
    let mut session =
        Session::new(&mut socket, &command).map_err(|error| anyhow!("set-up: {error:?}"))?;
    while !session.is_over() {
        session.step()?;
    }
    Conversation { session, received: BytesMut::new() }.hold(&command.mqtt)
}

/// The connection as the library sees it. Like a DUT's link it hands out what has come, so that a
/// record costs one system call, not one for its header and one for its body.
struct Socket(BufReader<TcpStream>);

impl Host for Socket {
    fn send(&mut self, bytes: &[u8]) -> Result<usize, HostError> {
        self.0.get_mut().write(bytes).map_err(|_| HostError::Reset)
    }

    fn recv(&mut self, buffer: &mut [u8]) -> Result<usize, HostError> {
        self.0.read(buffer).map_err(|_| HostError::Reset)
    }

    fn log(&mut self, _: u8, _: &[u8], _: u16, _: &[u8]) {}

    fn logging(&mut self, _: bool) {}

    fn secret(&mut self, _: SecretKind, _: &[u8]) {}
}

/// MQTT as a cell's client speaks it.
struct Conversation<'h> {
    session: Session<'h, Socket>,
    received: BytesMut,
}

impl Conversation<'_> {
    fn hold(mut self, mqtt: &Mqtt<'_>) -> Result<()> {
        let mut connect = v4::Connect::new(mqtt.client_id);
        connect.keep_alive = 60;
        self.say(|bytes| connect.write(bytes))?;
        let Packet::ConnAck(_) = self.hear()? else { bail!("no CONNACK") };
        self.say(|bytes| v4::Subscribe::new(mqtt.topic, QoS::AtLeastOnce).write(bytes))?;
        let Packet::SubAck(_) = self.hear()? else { bail!("no SUBACK") };
        let mut publish = v4::Publish::new(mqtt.topic, QoS::AtLeastOnce, mqtt.payload);
        publish.pkid = 2;
        self.say(|bytes| publish.write(bytes))?;
        let (mut acknowledged, mut returned) = (false, false);
        while !(acknowledged && returned) {
            match self.hear()? {
                Packet::PubAck(_) => acknowledged = true,
                Packet::Publish(publish) => {
                    returned = true;
                    self.say(|bytes| v4::PubAck::new(publish.pkid).write(bytes))?;
                }
                other => bail!("{other:?} where PUBACK or PUBLISH was due"),
            }
        }
        self.say(|bytes| v4::Disconnect.write(bytes))
    }

    fn say(
        &mut self,
        write: impl FnOnce(&mut BytesMut) -> Result<usize, mqttbytes::Error>,
    ) -> Result<()> {
        let mut bytes = BytesMut::new();
        write(&mut bytes).map_err(|error| anyhow!("{error}"))?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let sent = self.session.write(rest)?;
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    fn hear(&mut self) -> Result<Packet> {
        loop {
            match v4::read(&mut self.received, MAX_PACKET) {
                Ok(packet) => return Ok(packet),
                Err(mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => bail!("{error}"),
            }
            let mut buffer = [0; 512];
            let count = self.session.read(&mut buffer)?;
            if count == 0 {
                bail!("the broker closed the connection");
            }
            self.received.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
    }
}
