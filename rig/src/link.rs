//! The link to a DUT: bytes into events, commands into bytes, each wait with a deadline.
//!
//! A [`Link`] owns the port and the decoder. Frames of another token are dropped and counted here,
//! so nothing above it can take an old answer for a new one; bytes that are no frame are handed up
//! as [`Incoming::Noise`]. What carries the bytes is a [`Port`]; all of them carry the same.

use crate::deadline::{Deadline, Interrupt};
use crate::probe::ProbeError;
use crate::probe::rtt::Rtt;
use reports::transcript::{LogLine, printable};
use serialport::{SerialPort, TTYPort};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use wire::frame::{MAX_FRAME, Scratch};
use wire::message::{CellResult, ClockUnit, PhaseMark, SecretKind};
use wire::{Command, Decoder, Event, Found, Frame, FrameError, Token};

/// What carries the bytes.
#[derive(Debug)]
pub enum Port {
    /// A serial port, or the rig's end of a pseudo-terminal.
    Serial(TTYPort),
    /// The emulator's end of its UART.
    Socket(UnixStream),
    /// The debug probe, by two rings in the DUT's memory.
    Rtt(Box<Rtt>),
}

impl Port {
    fn read(&mut self, buffer: &mut [u8], slice: Duration) -> io::Result<usize> {
        match self {
            Self::Serial(port) => {
                port.set_timeout(slice)?;
                port.read(buffer)
            }
            Self::Socket(socket) => {
                socket.set_read_timeout(Some(slice))?;
                socket.read(buffer)
            }
            Self::Rtt(rtt) => match rtt.read(buffer, slice).map_err(io::Error::other)? {
                0 => Err(io::ErrorKind::TimedOut.into()),
                count => Ok(count),
            },
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Serial(port) => {
                port.set_timeout(WRITE_LIMIT)?;
                port.write_all(bytes)
            }
            Self::Socket(socket) => {
                socket.set_write_timeout(Some(WRITE_LIMIT))?;
                socket.write_all(bytes)
            }
            Self::Rtt(rtt) => {
                let deadline = Deadline::after(WRITE_LIMIT);
                let mut rest = bytes;
                while !rest.is_empty() {
                    let count = rtt.write(rest, deadline.left()).map_err(io::Error::other)?;
                    if count == 0 {
                        let why = "the DUT takes no bytes out of its RTT ring";
                        return Err(io::Error::new(io::ErrorKind::TimedOut, why));
                    }
                    rest = rest.get(count..).unwrap_or_default();
                }
                Ok(())
            }
        }
    }
}

/// A DUT takes commands only while it waits for one, so a blocked write means that it is gone.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// Something that came over the link, no longer borrowed from its buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// See [`Event::Identity`].
    Identity(DutIdentity),
    /// See [`Event::Connect`].
    Connect,
    /// See [`Event::Write`].
    Write(Vec<u8>),
    /// See [`Event::Read`].
    Read {
        /// Size of the DUT's buffer.
        at_most: usize,
    },
    /// See [`Event::Close`].
    Close,
    /// See [`Event::Log`].
    Log(LogLine),
    /// See [`Event::Phase`].
    Phase(PhaseMark),
    /// See [`Event::Done`].
    Done(CellResult),
    /// See [`Event::Secret`].
    Secret {
        /// Which.
        kind: SecretKind,
        /// The secret.
        bytes: Vec<u8>,
    },
    /// Bytes that are no frame, made safe to show.
    Noise {
        /// Why they are none.
        why: FrameError,
        /// What they say.
        text: String,
    },
}

/// What a DUT says of itself, see [`wire::message::Identity`]; every text is safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the message")]
pub struct DutIdentity {
    pub build: String,
    pub image: String,
    pub library: String,
    pub board: String,
    pub compilers: String,
    pub clock: ClockUnit,
}

/// Why nothing more can be had from a link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Nothing came before the deadline.
    #[error("nothing came within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The other end of the line is gone.
    #[error("the line was closed at the other end")]
    Closed,
    /// A person asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The system says no.
    #[error("the port failed: {0}")]
    Port(io::Error),
    /// The debug probe that carries the frames, or the chip behind it, says no.
    #[error(transparent)]
    Probe(ProbeError),
    /// The command is too long for a frame.
    #[error(
        "a command for the DUT does not fit into a frame of {MAX_FRAME} bytes: shorten the profile's certificates or lists"
    )]
    TooLong,
}

/// The rig's end of the line to one DUT.
pub struct Link {
    port: Port,
    decoder: Box<Decoder>,
    scratch: Box<Scratch>,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    taken: usize,
    token: Token,
    strays: u64,
    carried: u64,
    interrupt: Interrupt,
}

impl Link {
    /// A link over `port`, in step.
    #[must_use]
    pub fn new(port: Port, interrupt: Interrupt) -> Self {
        Self {
            port,
            decoder: Box::default(),
            scratch: Box::default(),
            outgoing: vec![0; MAX_FRAME],
            incoming: Vec::with_capacity(READ_SIZE),
            taken: 0,
            token: Token::NONE,
            strays: 0,
            carried: 0,
            interrupt,
        }
    }

    /// Begins a new exchange: from now on only frames with a fresh random token count.
    pub fn renew_token(&mut self) -> Token {
        self.token = Token(fastrand::u32(1..));
        self.token
    }

    /// Frames dropped so far because they belonged to another exchange.
    #[must_use]
    pub fn strays(&self) -> u64 {
        self.strays
    }

    /// Bytes on the line so far, in both directions, whatever they meant.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.carried
    }

    /// Sends one command under the current token.
    ///
    /// # Errors
    /// [`LinkError::TooLong`], or what the port says.
    pub fn send(&mut self, command: &Command<'_>) -> Result<(), LinkError> {
        let length = wire::encode(self.token, command, &mut self.scratch, &mut self.outgoing)
            .map_err(|_| LinkError::TooLong)?;
        let frame = self.outgoing.get(..length).ok_or(LinkError::TooLong)?;
        self.port.write_all(frame).map_err(classify)?;
        self.carried += length as u64;
        Ok(())
    }

    /// The next event of the current exchange, or noise.
    ///
    /// # Errors
    /// [`LinkError::TimedOut`] at the deadline, or why nothing more will come.
    pub fn next(&mut self, deadline: Deadline) -> Result<Incoming, LinkError> {
        loop {
            if let Some(incoming) = self.next_buffered() {
                return Ok(incoming);
            }
            self.fill(deadline)?;
        }
    }

    /// Text that stands at the end of the line without making a frame: what a DUT that does not
    /// speak the protocol said last. Empty if there is none.
    pub fn take_partial(&mut self) -> String {
        printable(self.decoder.take_partial())
    }

    fn next_buffered(&mut self) -> Option<Incoming> {
        let mut rest = self.incoming.get(self.taken..).unwrap_or_default();
        let before = rest.len();
        while let Some(found) = self.decoder.next(&mut rest) {
            let taken = before - rest.len();
            let incoming = match found {
                Found::Frame(frame) if frame.token == self.token => own(&frame),
                Found::Frame(_) => {
                    self.strays += 1;
                    continue;
                }
                Found::Noise(why, bytes) => Incoming::Noise { why, text: printable(bytes) },
            };
            self.taken += taken;
            return Some(incoming);
        }
        self.taken = self.incoming.len();
        None
    }

    fn fill(&mut self, deadline: Deadline) -> Result<(), LinkError> {
        self.incoming.resize(READ_SIZE, 0);
        self.taken = READ_SIZE;
        loop {
            if self.interrupt.requested() {
                return Err(LinkError::Interrupted);
            }
            let slice = deadline.slice().ok_or(LinkError::TimedOut(deadline.limit()))?;
            match self.port.read(&mut self.incoming, slice) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(length) => {
                    self.incoming.truncate(length);
                    self.carried += length as u64;
                    self.taken = 0;
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::TimedOut
                    | io::ErrorKind::WouldBlock
                    | io::ErrorKind::Interrupted => {}
                    _ => return Err(classify(error)),
                },
            }
        }
    }
}

const READ_SIZE: usize = 16 * 1024;

/// A pseudo-terminal whose other end is closed answers EIO, a socket EPIPE or ECONNRESET.
fn classify(error: io::Error) -> LinkError {
    const EIO: i32 = 5;
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => LinkError::Closed,
        _ if error.raw_os_error() == Some(EIO) => LinkError::Closed,
        _ => match error.downcast::<ProbeError>() {
            Ok(error) => LinkError::Probe(error),
            Err(error) => LinkError::Port(error),
        },
    }
}

fn own(frame: &Frame<'_>) -> Incoming {
    let event = match frame.message() {
        Ok(event) => event,
        Err(why) => return Incoming::Noise { why, text: String::new() },
    };
    match event {
        Event::Identity(identity) => Incoming::Identity(DutIdentity {
            build: printable(identity.build.as_bytes()),
            image: printable(identity.image.as_bytes()),
            library: printable(identity.library.as_bytes()),
            board: printable(identity.board.as_bytes()),
            compilers: printable(identity.compilers.as_bytes()),
            clock: identity.clock,
        }),
        Event::Connect => Incoming::Connect,
        Event::Write(bytes) => Incoming::Write(bytes.to_vec()),
        Event::Read { at_most } => Incoming::Read { at_most: usize::from(at_most) },
        Event::Close => Incoming::Close,
        Event::Log(line) => Incoming::Log(LogLine {
            level: line.level,
            file: printable(line.file),
            line: line.line,
            text: printable(line.text),
        }),
        Event::Phase(mark) => Incoming::Phase(mark),
        Event::Done(result) => Incoming::Done(result),
        Event::Secret(secret) => {
            Incoming::Secret { kind: secret.kind, bytes: secret.bytes.to_vec() }
        }
    }
}
