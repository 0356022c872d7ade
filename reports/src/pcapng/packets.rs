//! A transcript as packets: what passed becomes a segment, what was said becomes its comment.

use super::comments;
use crate::transcript::{Secret, Seen, Transcript};
use etherparse::{PacketBuilder, TcpOptionElement};
use std::io;
use suites::outcome::{Close, End, phase_name};
use suites::stream::{ContentType, RECORD_HEADER, Stream};
use wire::message::Phase;

/// The device, and the broker: RFC 5737, TEST-NET-1.
const DEVICE: [u8; 4] = [192, 0, 2, 1];
const BROKER: [u8; 4] = [192, 0, 2, 2];
/// secure-mqtt, in IANA's registry of ports.
const BROKER_PORT: u16 = 8883;
const TIME_TO_LIVE: u8 = 64;
/// What one packet can carry: the longest IPv4 packet less two headers without options.
const SEGMENT_MAX: usize = 65_535 - 20 - 20;
/// As large as they come, so that no flight looks as if it had filled the receiver's window.
const WINDOW: u16 = u16::MAX;
const WINDOW_SCALE: u8 = 7;
/// A device that complains without end must not fill the comments.
const LOG_LINES: usize = 8;

/// What a transcript shows.
pub(super) struct Shown {
    /// The connections in order.
    pub(super) conversations: Vec<Conversation>,
    /// What was said while there was no connection yet.
    pub(super) loose: Vec<String>,
}

/// One connection.
#[derive(Default)]
pub(super) struct Conversation {
    /// What both ends told.
    pub(super) secrets: Vec<Secret>,
    /// Its packets in the order of time.
    pub(super) packets: Vec<Packet>,
    client_port: u16,
    client: Direction,
    broker: Direction,
    reset: bool,
    log_lines: usize,
}

/// What one end has sent so far.
#[derive(Default)]
struct Direction {
    /// Next sequence number.
    next: u32,
    /// TLS bytes.
    bytes: usize,
    closed: bool,
    /// Alerts in the clear: where in the stream each ends, and what it says.
    alerts: Vec<(usize, String)>,
}

/// One packet.
pub(super) struct Packet {
    /// Nanoseconds since 1970; since the cell's start where the transcript does not say when that was.
    pub(super) unix_ns: u64,
    /// From the IP header on.
    pub(super) data: Vec<u8>,
    /// What was said about it, or after it and before the next one.
    pub(super) comments: Vec<String>,
}

/// What a segment says apart from its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Control {
    Syn,
    Data,
    Fin,
    Rst,
}

/// Takes a transcript apart.
///
/// # Errors
/// None in practice, see [`super::capture`].
pub(super) fn conversations(transcript: &Transcript) -> io::Result<Shown> {
    let began = transcript.seen().find_map(|seen| match seen {
        Seen::Started { unix_ns } => Some(*unix_ns),
        _ => None,
    });
    let began = began.unwrap_or_default();
    let mut shown = Shown { conversations: Vec::new(), loose: Vec::new() };
    for (index, (entry, phase)) in transcript.entries().iter().zip(phases(transcript)).enumerate() {
        let at = began.saturating_add(entry.at_ns);
        if let Seen::TcpConnected { client_port } = entry.seen {
            let mut opened = Conversation { client_port, ..Conversation::default() };
            opened.note_alerts(transcript, index);
            opened.open(at)?;
            shown.conversations.push(opened);
            continue;
        }
        let Some(current) = shown.conversations.last_mut() else {
            shown.loose.extend(comments::said(&entry.seen));
            continue;
        };
        match &entry.seen {
            Seen::Bytes { from, bytes } => {
                let first = current.packets.len();
                current.send(at, *from, bytes)?;
                let state = phase.map(|phase| format!("device in {}", phase_name(phase)));
                if let (Some(packet), Some(state)) = (current.packets.get_mut(first), state) {
                    packet.comments.insert(0, state);
                }
            }
            Seen::Unread { bytes } => {
                current.send(at, End::Broker, bytes)?;
                current.say("sent by the broker, never read by the device".to_owned());
            }
            Seen::Closed { from, how } => current.close(at, *from, *how)?,
            Seen::Secret(secret) => {
                // The broker's come when the connection has ended, which may be after the next has begun.
                let port = secret.client_port;
                let mut all = shown.conversations.iter_mut();
                if let Some(own) = all.find(|own| own.client_port == port) {
                    own.secrets.push(secret.clone());
                }
            }
            Seen::Log(line) if line.level <= 1 => {
                current.log_lines += 1;
                if current.log_lines <= LOG_LINES {
                    current
                        .say(format!("device log: {}:{:04}: {}", line.file, line.line, line.text));
                }
            }
            seen => comments::said(seen).into_iter().for_each(|text| current.say(text)),
        }
    }
    for conversation in &mut shown.conversations {
        conversation.compare_secrets();
    }
    Ok(shown)
}

/// In which phase the device was at each entry: the phase that was the next to end, since a device
/// tells of a phase when it has passed it.
fn phases(transcript: &Transcript) -> Vec<Option<Phase>> {
    let mut current = None;
    let mut phases: Vec<_> = transcript
        .seen()
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .map(|seen| {
            match seen {
                Seen::Phase(mark) => current = Some(mark.phase),
                Seen::Result(result) => current = Some(result.stage),
                _ => {}
            }
            current
        })
        .collect();
    phases.reverse();
    phases
}

impl Conversation {
    /// Looks for alerts in what both ends say on the connection that the entry `opened` opens.
    fn note_alerts(&mut self, transcript: &Transcript, opened: usize) {
        let (mut client, mut broker) = (Vec::new(), Vec::new());
        for entry in transcript.entries().iter().skip(opened + 1) {
            match &entry.seen {
                Seen::TcpConnected { .. } => break,
                Seen::Bytes { from: End::Client, bytes } => client.extend_from_slice(bytes),
                Seen::Bytes { from: End::Broker, bytes } | Seen::Unread { bytes } => {
                    broker.extend_from_slice(bytes);
                }
                _ => {}
            }
        }
        self.client.alerts = alerts(&client, "device");
        self.broker.alerts = alerts(&broker, "broker");
    }

    fn direction(&mut self, from: End) -> &mut Direction {
        match from {
            End::Client => &mut self.client,
            End::Broker => &mut self.broker,
        }
    }

    /// The three segments that open a connection, all at the time at which the rig had it.
    fn open(&mut self, at: u64) -> io::Result<()> {
        self.segment(at, End::Client, Control::Syn, &[])?;
        self.segment(at, End::Broker, Control::Syn, &[])?;
        self.segment(at, End::Client, Control::Data, &[])
    }

    fn send(&mut self, at: u64, from: End, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(SEGMENT_MAX) {
            self.segment(at, from, Control::Data, part)?;
            let direction = self.direction(from);
            let before = direction.bytes;
            direction.bytes += part.len();
            let now = before..direction.bytes;
            let ended = |(end, _): &&(usize, String)| now.contains(&(end - 1));
            let texts: Vec<_> =
                direction.alerts.iter().filter(ended).map(|(_, text)| text.clone()).collect();
            texts.into_iter().for_each(|text| self.say(text));
        }
        Ok(())
    }

    fn close(&mut self, at: u64, from: End, how: Close) -> io::Result<()> {
        let closed = std::mem::replace(&mut self.direction(from).closed, true);
        if self.reset || closed {
            return Ok(());
        }
        match how {
            Close::None => Ok(()),
            Close::Rst => {
                self.reset = true;
                self.segment(at, from, Control::Rst, &[])
            }
            Close::Fin => {
                self.segment(at, from, Control::Fin, &[])?;
                match (self.client.closed, self.broker.closed) {
                    (true, true) => {
                        let other = if from == End::Client { End::Broker } else { End::Client };
                        self.segment(at, other, Control::Data, &[])
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn segment(&mut self, at: u64, from: End, control: Control, bytes: &[u8]) -> io::Result<()> {
        let device = (DEVICE, self.client_port);
        let broker = (BROKER, BROKER_PORT);
        let ((source, source_port), (target, target_port), acknowledged) = match from {
            End::Client => (device, broker, self.broker.next),
            End::Broker => (broker, device, self.client.next),
        };
        let sequence = self.direction(from).next;
        let mut builder = PacketBuilder::ipv4(source, target, TIME_TO_LIVE).tcp(
            source_port,
            target_port,
            sequence,
            WINDOW,
        );
        // The first of all has nothing to acknowledge.
        if from == End::Broker || control != Control::Syn {
            builder = builder.ack(acknowledged);
        }
        builder = match control {
            Control::Syn => builder
                .syn()
                .options(&[TcpOptionElement::WindowScale(WINDOW_SCALE)])
                .map_err(|error| io::Error::other(format!("{error:?}")))?,
            Control::Data if bytes.is_empty() => builder,
            Control::Data => builder.psh(),
            Control::Fin => builder.fin(),
            Control::Rst => builder.rst(),
        };
        let mut data = Vec::with_capacity(builder.size(bytes.len()));
        builder
            .write_to_vec(&mut data, bytes)
            .map_err(|error| io::Error::other(format!("{error:?}")))?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let counted = u32::from(matches!(control, Control::Syn | Control::Fin));
        let direction = self.direction(from);
        direction.next = direction.next.wrapping_add(length).wrapping_add(counted);
        self.packets.push(Packet { unix_ns: at, data, comments: Vec::new() });
        Ok(())
    }

    /// Adds a comment to the last packet.
    fn say(&mut self, text: String) {
        if let Some(packet) = self.packets.last_mut() {
            packet.comments.push(text);
        }
    }

    /// Two ends that have not the same secret cannot read each other, and neither says so.
    fn compare_secrets(&mut self) {
        let differ = |one: &Secret, other: &Secret| {
            (&one.label, &one.client_random) == (&other.label, &other.client_random)
                && one.secret != other.secret
        };
        let apart: Vec<_> = self
            .secrets
            .iter()
            .filter(|one| one.from == End::Client)
            .filter(|one| self.secrets.iter().any(|other| differ(one, other)))
            .map(|one| format!("device and broker have derived different secrets: {}", one.label))
            .collect();
        apart.into_iter().for_each(|text| self.say(text));
    }
}

/// Alerts in the clear: where each ends, and what it says.
fn alerts(bytes: &[u8], from: &str) -> Vec<(usize, String)> {
    let stream = Stream::parse(bytes);
    let clear = stream
        .records
        .iter()
        .filter(|record| record.content == ContentType::Alert && !record.encrypted);
    clear
        .filter_map(|record| {
            let body = bytes.get(record.range.start + RECORD_HEADER..record.range.end)?;
            let [level, code] = *body.first_chunk::<2>()?;
            Some((record.range.end, comments::alert(from, level, code)))
        })
        .collect()
}
