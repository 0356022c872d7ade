//! One cell on one DUT against one broker: commands out, events in, TLS bytes relayed.
//!
//! ```text
//! DUT --frames over the link--> session --TCP--> broker
//!                                  |
//!                                  +--> transcript
//! ```
//!
//! The DUT pulls, so there is never anything to wait for on both sides at once: while it waits for
//! bytes the session reads the TCP connection, else the session reads the link. The session gives
//! no verdict; it writes down what it saw, and says whether the DUT can take another cell.

use crate::deadline::{Deadline, Interrupt};
use crate::link::{Incoming, Link, LinkError};
use reports::record::RecoveryStep;
use reports::transcript::{Secret, Seen, Transcript};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use suites::outcome::{Close, End, phase_name};
use wire::Command;
use wire::message::{CellCommand, Closing, SecretKind};

/// How long a DUT has to end a cell that the rig gave up.
const ABORT_LIMIT: Duration = Duration::from_secs(2);
/// Our own broker on loopback accepts at once or not at all. On a busy machine a reset overtook the
/// end of connecting ten times in a row, so that it is time, and not tries, that is counted.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How many stretches of noise are kept; a DUT that prints for ever must not fill the disk.
const NOISE_KEPT: usize = 16;
/// A DUT that has sent this many damaged stretches in one cell does not speak our protocol.
const NOISE_LIMIT: usize = 1000;

/// What a session leaves.
#[derive(Debug)]
pub struct Finished {
    /// What was seen.
    pub transcript: Transcript,
    /// When the start command was sent.
    pub started: Instant,
    /// Host time from the start command to the result.
    pub wall: Duration,
    /// Bytes that the link carried for it, frames and all, in both directions.
    pub carried: u64,
    /// Whether the DUT is known to wait for its next command.
    pub usable: bool,
    /// What was done about a DUT that is not usable any more.
    pub tried: Vec<RecoveryStep>,
    /// Whether a person asked to stop while it ran.
    pub interrupted: bool,
}

/// Runs one cell. Whatever happens ends up in the transcript.
#[must_use]
pub fn run(
    link: &mut Link,
    board: &str,
    command: &CellCommand<'_>,
    broker: SocketAddr,
    limit: Duration,
    interrupt: &Interrupt,
) -> Finished {
    let started = Instant::now();
    let before = link.carried();
    let mut session = Session {
        link,
        board,
        broker,
        tcp: None,
        started,
        deadline: Deadline::after(limit),
        transcript: Transcript::default(),
        noises: 0,
        broker_closed: false,
        reset: false,
        tried: Vec::new(),
        interrupt,
    };
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_ns = u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX);
    session.transcript.push(0, Seen::Started { unix_ns });
    let end = session.drive(command);
    let wall = started.elapsed();
    let interrupted = matches!(end, Err(Broken::Interrupted));
    let usable = session.settle(end);
    let Session { transcript, link, tried, .. } = session;
    let carried = link.carried() - before;
    Finished { transcript, started, wall, carried, usable, tried, interrupted }
}

struct Session<'a> {
    link: &'a mut Link,
    board: &'a str,
    broker: SocketAddr,
    tcp: Option<TcpStream>,
    started: Instant,
    deadline: Deadline,
    transcript: Transcript,
    noises: usize,
    broker_closed: bool,
    /// A write has met the broker's reset.
    reset: bool,
    tried: Vec<RecoveryStep>,
    interrupt: &'a Interrupt,
}

/// Why a cell did not come to the client's own end.
enum Broken {
    /// The cell's time was over while this was waited for.
    TimedOut(String),
    /// Something of ours broke.
    Fault(String),
    /// A person asked to stop.
    Interrupted,
}

impl Session<'_> {
    fn drive(&mut self, command: &CellCommand<'_>) -> Result<(), Broken> {
        self.link.renew_token();
        self.send(&Command::Run(command.clone()))?;
        loop {
            let incoming = self.link.next(self.deadline).map_err(|error| self.broken(&error))?;
            match incoming {
                Incoming::Connect => self.connect()?,
                Incoming::Write(bytes) => self.write(bytes),
                Incoming::Read { at_most } => self.answer_read(at_most)?,
                Incoming::Close => self.close(),
                Incoming::Log(line) => self.note(Seen::Log(line)),
                Incoming::Phase(mark) => self.note(Seen::Phase(mark)),
                Incoming::Secret { kind, bytes } => self.secret(kind, bytes),
                Incoming::Noise { why, text } => self.noise(&why.to_string(), text)?,
                // An identity under this cell's token: the DUT has booted anew in mid-cell.
                Incoming::Identity(_) => {
                    return Err(Broken::Fault(format!(
                        "board {} restarted {}; see its device.log",
                        self.board,
                        self.position()
                    )));
                }
                Incoming::Done(result) => {
                    self.note(Seen::Result(result));
                    return Ok(());
                }
            }
        }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn note(&mut self, seen: Seen) {
        self.transcript.push(self.now_ns(), seen);
    }

    /// A secret goes with the hello that its connection began with; without one it is of no use.
    fn secret(&mut self, kind: SecretKind, secret: Vec<u8>) {
        if let Some((client_port, Some(client_random))) = self.transcript.connection() {
            let label = kind.label().to_owned();
            let from = End::Client;
            self.note(Seen::Secret(Secret { from, client_port, label, client_random, secret }));
        }
    }

    fn send(&mut self, command: &Command<'_>) -> Result<(), Broken> {
        self.link.send(command).map_err(|error| self.broken(&error))
    }

    fn position(&self) -> String {
        match self.transcript.last_phase() {
            Some(phase) => format!("after phase {}", phase_name(phase)),
            None => "before its first phase".to_owned(),
        }
    }

    fn broken(&self, error: &LinkError) -> Broken {
        let position = self.position();
        match error {
            LinkError::TimedOut(_) => Broken::TimedOut(format!("the client, {position}")),
            LinkError::Interrupted => Broken::Interrupted,
            LinkError::Closed => Broken::Fault(format!(
                "board {} went away {position}: its process ended or its line was closed",
                self.board
            )),
            LinkError::Probe(error) => Broken::Fault(format!(
                "board {}, {position}: {} failed: {}",
                self.board, error.stage, error.what
            )),
            LinkError::Port(_) | LinkError::TooLong => {
                Broken::Fault(format!("board {}, {position}: {error}", self.board))
            }
        }
    }

    fn connect(&mut self) -> Result<(), Broken> {
        let fault = |error: io::Error| {
            Broken::Fault(format!(
                "the rig cannot reach its own broker at {}: {error}",
                self.broker
            ))
        };
        let open = || {
            TcpStream::connect_timeout(&self.broker, CONNECT_LIMIT).and_then(|tcp| {
                // Nagle's algorithm with delayed ACK would add 40 ms to every flight.
                tcp.set_nodelay(true)?;
                let port = tcp.local_addr()?.port();
                Ok((tcp, port))
            })
        };
        // A broker that resets what it accepts may be so fast that connecting itself reports it. The
        // client is to see that reset, not the rig.
        let end = Instant::now() + CONNECT_LIMIT;
        let mut opened = open();
        while Instant::now() < end
            && matches!(&opened, Err(error) if error.kind() == ErrorKind::ConnectionReset)
        {
            opened = open();
        }
        let (tcp, client_port) = opened.map_err(fault)?;
        self.tcp = Some(tcp);
        self.broker_closed = false;
        self.note(Seen::TcpConnected { client_port });
        self.send(&Command::Connected)
    }

    fn write(&mut self, bytes: Vec<u8>) {
        // A broker that is gone is told by the next read. That it was a reset the system says only
        // once: whoever meets it first must keep it.
        if let Some(Err(error)) = self.tcp.as_mut().map(|tcp| tcp.write_all(&bytes)) {
            self.reset |=
                matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
        }
        self.note(Seen::Bytes { from: End::Client, bytes });
    }

    fn answer_read(&mut self, at_most: usize) -> Result<(), Broken> {
        let mut buffer = vec![0; at_most.clamp(1, wire::MAX_MESSAGE - 8)];
        match self.read_broker(&mut buffer)? {
            Ok(0) => self.broker_closed(Close::Fin, Closing::Fin),
            Ok(length) => {
                buffer.truncate(length);
                // The time at which they came, not at which a slow line had taken them.
                let at_ns = self.now_ns();
                self.send(&Command::Data(&buffer))?;
                self.transcript.push(at_ns, Seen::Bytes { from: End::Broker, bytes: buffer });
                Ok(())
            }
            Err(_) => self.broker_closed(Close::Rst, Closing::Reset),
        }
    }

    fn broker_closed(&mut self, how: Close, closing: Closing) -> Result<(), Broken> {
        if !self.broker_closed {
            self.broker_closed = true;
            self.note(Seen::Closed { from: End::Broker, how });
        }
        self.send(&Command::Closed(closing))
    }

    /// Reads what the broker sent next; the inner error is the broker's way of closing.
    fn read_broker(&mut self, buffer: &mut [u8]) -> Result<io::Result<usize>, Broken> {
        let position = self.position();
        let Some(tcp) = &mut self.tcp else { return Ok(Ok(0)) };
        loop {
            if self.interrupt.requested() {
                return Err(Broken::Interrupted);
            }
            let waiting = || Broken::TimedOut(format!("bytes from the broker, {position}"));
            let slice = self.deadline.slice().ok_or_else(waiting)?;
            let read = tcp.set_read_timeout(Some(slice)).and_then(|()| tcp.read(buffer));
            match read {
                Err(error) if is_pause(&error) => {}
                Ok(0) if self.reset => return Ok(Err(ErrorKind::ConnectionReset.into())),
                read => return Ok(read),
            }
        }
    }

    fn close(&mut self) {
        if let Some(tcp) = self.tcp.take() {
            let _ = tcp.shutdown(Shutdown::Both);
            self.note(Seen::Closed { from: End::Client, how: Close::Fin });
        }
    }

    fn noise(&mut self, why: &str, text: String) -> Result<(), Broken> {
        self.noises += 1;
        if self.noises <= NOISE_KEPT {
            self.note(Seen::Noise { why: why.to_owned(), text });
        }
        if self.noises > NOISE_LIMIT {
            return Err(Broken::Fault(format!(
                "board {} sends bytes that are no frames: is the right image on it, and is its serial speed right?",
                self.board
            )));
        }
        Ok(())
    }

    /// Writes down how the cell ended and brings the DUT back to waiting for a command.
    fn settle(&mut self, end: Result<(), Broken>) -> bool {
        let usable = match end {
            Ok(()) => true,
            Err(Broken::TimedOut(waiting_for)) => {
                let limit_ms = u64::try_from(self.deadline.limit().as_millis()).unwrap_or(u64::MAX);
                self.note(Seen::TimedOut { waiting_for, limit_ms });
                self.abort()
            }
            Err(Broken::Fault(what)) => {
                self.note(Seen::Fault { what });
                false
            }
            Err(Broken::Interrupted) => {
                self.note(Seen::Fault { what: "the run was interrupted".to_owned() });
                false
            }
        };
        let partial = self.link.take_partial();
        if !usable && !partial.is_empty() {
            self.note(Seen::Noise { why: "an unfinished frame".to_owned(), text: partial });
        }
        self.close();
        usable
    }

    /// Asks the DUT to give up; true if it does.
    fn abort(&mut self) -> bool {
        let began = Instant::now();
        let Err(failed) = self.ask_to_end() else { return true };
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.tried.push(RecoveryStep {
            step: "abort".to_owned(),
            took_ms,
            failed: Some(failed.to_string()),
        });
        false
    }

    fn ask_to_end(&mut self) -> Result<(), LinkError> {
        self.link.send(&Command::Abort)?;
        let deadline = Deadline::after(ABORT_LIMIT);
        loop {
            match self.link.next(deadline)? {
                Incoming::Done(_) => return Ok(()),
                Incoming::Log(line) => self.note(Seen::Log(line)),
                _ => {}
            }
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), TimedOut | WouldBlock | Interrupted)
}
