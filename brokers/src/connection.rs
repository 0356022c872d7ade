//! One connection from accept to end, on a thread of its own.
//!
//! The thread reads the socket and drives TLS and MQTT. Once CONNECT is accepted a second thread
//! waits for the router's words. They meet at the session's lock, held while bytes are encrypted
//! and sent, so that records leave in the order in which they were numbered; nobody holds it while
//! waiting for the network to bring something.

use crate::broker::Limits;
use crate::front::{Reading, Server, Session};
use crate::misbehave::Mischief;
use crate::mqtt::{Mqtt, Next, Outward, Prefix, Router, outward};
use crate::record::{Connection, TlsView};
use crate::tap::{NoBytes, Tap};
use parking_lot::Mutex;
use rumqttd::local::LinkRx;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};
use suites::broker::{BrokerProfile, Fault, OnReject, Sni, Stage};
use suites::hello::ClientHello;
use suites::stream::{ContentType, Rest, Stream};
use wire::tls::ProtocolVersion;

/// What all connections of one broker share.
pub(crate) struct Service {
    pub(crate) profile: BrokerProfile,
    pub(crate) server: Server,
    pub(crate) router: Router,
    pub(crate) prefix: Prefix,
    pub(crate) limits: Limits,
}

/// Serves one connection to its end and says what it saw.
pub(crate) fn serve(
    service: &Service,
    tap: &Arc<Tap>,
    peer: SocketAddr,
    started: Instant,
) -> Connection {
    let started_wall = SystemTime::now();
    let mut serving = Serving {
        service,
        tap: Arc::clone(tap),
        mqtt: Mqtt::new(service.router.clone(), service.prefix.clone(), refusal(service)),
        hello: None,
        tls: None,
        key_log: Vec::new(),
        delivered: Arc::default(),
    };
    let error = serving.run(started).err();
    let (events, ended) = tap.recorded();
    serving.mqtt.view.delivered = serving.delivered.load(Ordering::Relaxed);
    let mqtt = serving.mqtt.view;
    let (tls, key_log) = (serving.tls, serving.key_log);
    Connection { peer, started, started_wall, events, tls, error, ended, mqtt, key_log }
}

/// The return code with which every CONNECT is refused, if the profile has one.
fn refusal(service: &Service) -> Option<u8> {
    match service.profile.misbehave?.does {
        Fault::Connack { code } => Some(code),
        _ => None,
    }
}

struct Serving<'a> {
    service: &'a Service,
    tap: Arc<Tap>,
    mqtt: Mqtt,
    hello: Option<ClientHello>,
    tls: Option<TlsView>,
    key_log: Vec<String>,
    delivered: Arc<AtomicUsize>,
}

/// The session as both threads use it.
struct Channel {
    session: Mutex<Box<dyn Session>>,
    tap: Arc<Tap>,
}

impl Channel {
    /// Encrypts and sends.
    fn send(&self, plaintext: &[u8]) -> Result<(), String> {
        let mut session = self.session.lock();
        let result = session.write(plaintext);
        self.tap.write(&session.take_output());
        result
    }

    /// Sends what the session has for the client without being asked, such as an alert.
    fn flush(&self) {
        let mut session = self.session.lock();
        let output = session.take_output();
        self.tap.write(&output);
    }
}

impl Serving<'_> {
    fn run(&mut self, started: Instant) -> Result<(), String> {
        let deadline = started + self.service.limits.handshake;
        if let Some(fault) = self.mischief().at(Stage::Accept) {
            self.mischief().commit(Stage::Accept, fault, &[])?;
        }
        let first = self.first_flight(deadline)?;
        if self.service.profile.sni == Sni::Required
            && self.hello.as_ref().is_some_and(|hello| hello.server_name.is_none())
        {
            self.refuse(&UNRECOGNIZED_NAME);
            return Err("the client names no server, and this broker requires it".to_owned());
        }
        let session = self
            .service
            .server
            .session(&self.service.profile, self.hello.as_ref())
            .map_err(|error| error.to_string())?;
        let session = self.handshake(session, &first, deadline)?;
        let channel =
            Arc::new(Channel { session: Mutex::new(session), tap: Arc::clone(&self.tap) });
        let result = self.talk(&channel);
        self.key_log = channel.session.lock().key_log();
        result
    }

    fn mischief(&self) -> Mischief<'_> {
        let Service { profile, limits, .. } = self.service;
        Mischief { profile, limits: *limits, tap: &self.tap }
    }

    /// Reads until the ClientHello is whole, or until it is plain that there will be none.
    fn first_flight(&mut self, deadline: Instant) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        loop {
            self.read(&mut bytes, deadline)?;
            let stream = Stream::parse(&bytes);
            self.hello = stream.client_hello;
            let hopeless = matches!(stream.rest, Rest::NotTls { .. })
                || !stream.handshake_types.is_empty()
                || stream.records.iter().any(|record| record.content != ContentType::Handshake)
                || bytes.len() > MAX_FIRST_FLIGHT;
            if self.hello.is_some() || hopeless {
                return Ok(bytes);
            }
        }
    }

    fn handshake(
        &mut self,
        mut session: Box<dyn Session>,
        first: &[u8],
        deadline: Instant,
    ) -> Result<Box<dyn Session>, String> {
        let mut bytes = first.to_vec();
        let mut stage = Some(Stage::ClientHello);
        loop {
            let result = session.receive(&bytes);
            let mut output = session.take_output();
            if let Err(words) = result {
                self.key_log = session.key_log();
                // OpenSSL's words; rustls has none for it that stay the same.
                if let ([21, .., code], true) = (&mut output[..], words == "no shared cipher") {
                    *code = self.service.profile.no_suite_alert.0;
                }
                self.refuse(&output);
                return Err(words);
            }
            // A resumed handshake ends in the first flight, and so does the server's part in 1.3.
            let stage = stage.take().or((!session.is_handshaking()).then_some(Stage::Finished));
            if let Err(words) = self.mischief().send(stage, &output) {
                self.key_log = session.key_log();
                return Err(words);
            }
            if !session.is_handshaking() {
                break;
            }
            bytes.clear();
            if let Err(words) = self.read(&mut bytes, deadline) {
                self.key_log = session.key_log();
                return Err(words);
            }
        }
        self.tls = session.view().map(|view| TlsView {
            sni: self.hello.as_ref().and_then(|hello| hello.server_name.clone()),
            ..view
        });
        Ok(session)
    }

    /// Ends a handshake that cannot succeed, as the profile wants it: with the alert or without.
    fn refuse(&self, alert: &[u8]) {
        if self.service.profile.on_reject == OnReject::Alert {
            self.tap.write(alert);
        }
        self.tap.close(self.service.limits.linger);
    }

    /// One read into the end of `bytes` in the handshake.
    fn read(&self, bytes: &mut Vec<u8>, deadline: Instant) -> Result<(), String> {
        let stall = Instant::now() + self.service.limits.stall;
        let mut buffer = [0; 4096];
        match self.tap.read(&mut buffer, stall.min(deadline)) {
            Ok(count) => {
                bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(NoBytes::End) => {
                self.tap.close(self.service.limits.linger);
                Err("the connection ended in the handshake".to_owned())
            }
            Err(NoBytes::Late) => {
                self.tap.close(self.service.limits.linger);
                Err("the client stalled in the handshake".to_owned())
            }
        }
    }

    /// MQTT until either side ends.
    fn talk(&mut self, channel: &Arc<Channel>) -> Result<(), String> {
        let mut forwarder = None;
        let result = self.exchange(channel, &mut forwarder);
        self.mqtt.end();
        if let Some(forwarder) = forwarder {
            // It ends because the router has dropped its end of the inbox.
            let _panicked: Result<(), _> = forwarder.join();
        }
        channel.session.lock().close_notify();
        channel.flush();
        self.tap.close(self.service.limits.linger);
        result
    }

    fn exchange(
        &mut self,
        channel: &Arc<Channel>,
        forwarder: &mut Option<JoinHandle<()>>,
    ) -> Result<(), String> {
        let limits = self.service.limits;
        let mut buffer = [0; 4096];
        let mut received: &[u8] = &[];
        loop {
            let mut plaintext = Vec::new();
            let reading = {
                let mut session = channel.session.lock();
                session.receive(received)?;
                let reading = session.read(&mut plaintext);
                self.tap.write(&session.take_output());
                reading?
            };
            self.mqtt.receive(&plaintext);
            while let Some(next) = self.mqtt.next().map_err(|error| error.to_string())? {
                match next {
                    Next::Routed => {}
                    Next::Connected { reply, inbox } => {
                        match self.mischief().at(Stage::Connect) {
                            None => channel.send(&reply)?,
                            Some(fault) => self.answer_badly(channel, fault, &reply)?,
                        }
                        *forwarder = Some(self.forward(channel, inbox)?);
                    }
                    Next::Refused { reply } => return channel.send(&reply),
                    Next::Disconnected => {
                        // MQTT 3.1.1 section 3.14.4: the client is the one to close.
                        self.tap.drain(limits.linger);
                        return Ok(());
                    }
                }
            }
            if reading == Reading::Closed {
                return Ok(());
            }
            let silence = match self.mqtt.is_connected() {
                true => self.mqtt.silence_allowed(),
                false => limits.stall,
            };
            match self.tap.read(&mut buffer, Instant::now() + silence) {
                Ok(count) => received = buffer.get(..count).unwrap_or_default(),
                Err(NoBytes::End) => return Ok(()),
                Err(NoBytes::Late) => {
                    return Err(format!("the client was silent for {} s", silence.as_secs()));
                }
            }
        }
    }

    /// Commits the fault of stage [`Stage::Connect`] on the CONNACK.
    fn answer_badly(
        &mut self,
        channel: &Channel,
        fault: Fault,
        reply: &[u8],
    ) -> Result<(), String> {
        let mut session = channel.session.lock();
        session.write(reply)?;
        let output = session.take_output();
        drop(session);
        self.mqtt.view.connack = None;
        self.mischief().commit(Stage::Connect, fault, &output)
    }

    /// Starts the thread that hands the router's words to the client.
    fn forward(&self, channel: &Arc<Channel>, inbox: LinkRx) -> Result<JoinHandle<()>, String> {
        let (channel, delivered) = (Arc::clone(channel), Arc::clone(&self.delivered));
        let (prefix, leaving) = (self.service.prefix.clone(), Arc::clone(&self.mqtt.leaving));
        thread::Builder::new()
            .name("broker-outbox".to_owned())
            .spawn(move || {
                forward(&channel, inbox, &prefix, &delivered);
                if !leaving.load(Ordering::SeqCst) {
                    // The router threw the client out: it came back on a new connection, or it
                    // sent what the router does not take.
                    channel.tap.stop_reading();
                }
            })
            .map_err(|error| format!("no thread for the connection: {error}"))
    }
}

fn forward(channel: &Channel, mut inbox: LinkRx, prefix: &Prefix, delivered: &AtomicUsize) {
    // No deadline: the router ends it by dropping its end, which `Mqtt::end` brings about.
    while let Ok(word) = inbox.recv() {
        let Some(word) = word else { continue };
        let goes_on = match outward(prefix, word) {
            Outward::Send(bytes, publish) => {
                delivered.fetch_add(usize::from(publish), Ordering::Relaxed);
                channel.send(&bytes).is_ok()
            }
            Outward::GoOn => inbox.ready().is_ok(),
            Outward::Close => false,
        };
        if !goes_on {
            return;
        }
    }
}

/// More than any ClientHello needs that a device sends.
const MAX_FIRST_FLIGHT: usize = 64 * 1024;

/// A fatal alert unrecognized_name (112), RFC 6066 3. By hand, because neither library can be made
/// to send an alert of our choice before it has seen the ClientHello.
const UNRECOGNIZED_NAME: [u8; 7] = {
    let [major, minor] = ProtocolVersion::TLS1_2.0.to_be_bytes();
    [21, major, minor, 0, 2, 2, 112]
};

/// How long a closing broker reads on.
pub(crate) const LINGER: Duration = Duration::from_millis(500);
