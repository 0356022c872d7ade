//! One cell from its command to its result: TCP, TLS state by state, MQTT.
//!
//! ```text
//! command --> connection --> result
//!                  \--session, if the command wants a second one--> connection --> result
//! ```

use crate::board::{Board, LineClosed};
use crate::link::{Link, Stop, Tcp};
use crate::mqtt;
use alloc::format;
use mbedtls::{Host as _, Saved, Session, SetupError};
use wire::message::{CellCommand, CellResult, Ending, MqttFailure, Phase};
use wire::tls::{CipherSuite, ProtocolVersion};

/// What was learnt on the way, however far it went.
#[derive(Default)]
struct Findings {
    version: Option<ProtocolVersion>,
    cipher_suite: Option<CipherSuite>,
    verify_flags: Option<u32>,
    /// The broker was asked for its certificate.
    certificate: bool,
    /// The handshake was completed.
    stands: bool,
    resumed: Option<bool>,
    connack: Option<u8>,
}

impl Findings {
    /// Says what an application says, and what the library keeps to itself: the bits of a failed
    /// certificate check, an error's name, and what became of MQTT.
    fn say<B: Board>(&self, link: &mut Link<'_, '_, B>, passed: Result<(), Ending>) {
        let mut say = |text: &str| link.log(1, b"cell.rs", line!() as u16, text.as_bytes());
        if let Some(flags @ 1..) = self.verify_flags {
            say(&format!("the broker's certificate failed its check: verify flags {flags:#010x}"));
        }
        let failure = match passed {
            Err(Ending::Tls(code)) => {
                return say(&format!("handshake failed: {}", mbedtls::Error(code)));
            }
            Err(Ending::Mqtt(failure)) => failure,
            _ => return,
        };
        match (failure, self.connack) {
            (MqttFailure::Refused, Some(code)) => {
                say(&format!("MQTT failed: CONNACK with return code {code}"));
            }
            (MqttFailure::Refused, None) => say("MQTT failed: refused"),
            (MqttFailure::Closed, _) => {
                say("MQTT failed: the connection was closed where a packet was due");
            }
            (MqttFailure::Protocol, _) => say("MQTT failed: not the packet that was due"),
            (MqttFailure::Payload, _) => say("MQTT failed: the message came back changed"),
        }
    }
}

/// Runs one cell and reports it.
pub fn run<B: Board>(
    mut link: Link<'_, '_, B>,
    command: &CellCommand<'_>,
) -> Result<(), LineClosed> {
    mbedtls::heap::reset_peak();
    link.board().paint_stack();
    let mut findings = Findings::default();
    let passed = pass(&mut link, command, &mut findings);
    link.finish();
    if command.log_level > 0 {
        findings.say(&mut link, passed);
    }

    let ending = match (link.stop(), passed) {
        // Whatever error the library made of it, the cause was the rig.
        (Some(Stop::Aborted | Stop::LineClosed), _) => Ending::Aborted,
        (None, Ok(())) => Ending::Connected,
        (None, Err(ending)) => ending,
    };
    let stage = link.phase();
    let (compute, wait) = link.times();
    let stack_peak = link.board().stack_peak();
    link.report(|dropped_frames| CellResult {
        ending,
        stage,
        version: findings.version,
        cipher_suite: findings.cipher_suite,
        verify_flags: findings.verify_flags,
        resumed: findings.resumed,
        connack: findings.connack,
        compute,
        wait,
        heap_peak: u32::try_from(mbedtls::heap::peak()).unwrap_or(u32::MAX),
        stack_peak,
        dropped_frames,
    })
}

/// One connection, or two.
fn pass<B: Board>(
    link: &mut Link<'_, '_, B>,
    command: &CellCommand<'_>,
    findings: &mut Findings,
) -> Result<(), Ending> {
    let saved = connection(link, command, findings, None)?;
    if command.reconnect {
        *findings = Findings::default();
        link.begin_again();
        let passed = connection(link, command, findings, saved.as_ref());
        findings.resumed = findings.stands.then_some(!findings.certificate);
        passed?;
    }
    Ok(())
}

/// All phases in order. The SDK opens its socket before it sets TLS up, and so does this. Returns
/// what a second connection can resume.
fn connection<B: Board>(
    link: &mut Link<'_, '_, B>,
    command: &CellCommand<'_>,
    findings: &mut Findings,
    offered: Option<&Saved>,
) -> Result<Option<Saved>, Ending> {
    match link.connect() {
        Tcp::Connected => {}
        Tcp::Failed => return Err(Ending::NotConnected),
        Tcp::Stopped => return Err(Ending::Aborted),
    }
    link.enter(Phase::Setup);
    let mut session = Session::new(link, command).map_err(|error| match error {
        SetupError::Tls(error) => Ending::Tls(error.0),
        SetupError::Unsupported(what) => Ending::Unsupported(what),
    })?;
    if let Some(saved) = offered {
        session.offer(saved).map_err(|error| Ending::Tls(error.0))?;
    }
    let passed = converse(&mut session, command, findings);
    // Here, because the tickets of TLS 1.3 come with the first bytes after the handshake.
    let saved = (passed.is_ok() && command.reconnect).then(|| session.save()).flatten();
    // Freeing the session is no part of the phase in which the cell ended.
    session.host().finish();
    findings.version = session.version();
    findings.cipher_suite = session.cipher_suite();
    findings.verify_flags = session.verify_flags();
    passed.map(|()| saved)
}

/// The handshake, then MQTT. The session ends without close_notify, as in the SDK.
fn converse<B: Board>(
    session: &mut Session<'_, Link<'_, '_, B>>,
    command: &CellCommand<'_>,
    findings: &mut Findings,
) -> Result<(), Ending> {
    while !session.is_over() {
        let phase = session.phase();
        findings.certificate |= phase == Phase::ServerCertificate;
        session.host().enter(phase);
        let stepped = session.step();
        if phase == Phase::ServerChangeCipherSpec {
            // Only within this step does the library turn to a ticket that the server announced
            // (RFC 5077 3.3). It comes back to the same state, or fails in the ticket's own.
            let taken = stepped.is_ok() && session.phase() == phase;
            if taken || session.phase() == Phase::NewSessionTicket {
                session.host().rename(Phase::NewSessionTicket);
            }
        }
        stepped.map_err(|error| Ending::Tls(error.0))?;
    }
    findings.stands = true;
    let mut client = mqtt::Client::new(session);
    client.enter(Phase::MqttConnect);
    client.connect(&command.mqtt, &mut findings.connack)?;
    client.enter(Phase::MqttSubscribe);
    client.subscribe(&command.mqtt)?;
    client.enter(Phase::MqttPublish);
    client.publish(&command.mqtt)?;
    client.enter(Phase::MqttDisconnect);
    client.disconnect()?;
    client.enter(Phase::Over);
    Ok(())
}
