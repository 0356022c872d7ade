//! What the TLS library sees of the world during one cell: a socket, a log, and a stopwatch.
//!
//! The socket is pulled: [`Host::recv`] asks the rig for up to [`CHUNK`] bytes and serves the
//! library from them, so that a record's five-byte header and its body cost one round trip.
//! The stopwatch books every use of the line and the making of debug output as waiting, and all else
//! as computing: what a device in the field would need.

use crate::board::{Board, LineClosed};
use crate::line::Line;
use alloc::{boxed::Box, vec};
use mbedtls::{Host, HostError};
use wire::message::{CellResult, Closing, LogLine, Phase, PhaseMark, Secret, SecretKind};
use wire::{Command, Decoder, Event, Token};

/// Bytes asked of the rig at once. Not more, because bytes that are read ahead of the library are
/// also gone from the broker's point of view.
const CHUNK: u16 = 1024;

/// Bytes of one `Write`. It leaves room in a frame for everything else.
const WRITE: usize = 4096;

/// Bytes of one debug line; mbedTLS cuts its own lines at 512.
const TEXT: usize = 2048;

/// Bytes of a source file's name.
const FILE: usize = 64;

/// Memory for bytes from the broker that the library has not taken.
pub struct Chunk {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Chunk {
    /// Empty memory, kept from cell to cell.
    pub fn new() -> Self {
        Self { bytes: vec![0; usize::from(CHUNK)].into_boxed_slice(), start: 0, end: 0 }
    }

    fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Keeps these bytes; `false` if there are none, or more than were asked for.
    fn put(&mut self, bytes: &[u8]) -> bool {
        match self.bytes.get_mut(..bytes.len()) {
            Some(room) if !bytes.is_empty() => {
                room.copy_from_slice(bytes);
                (self.start, self.end) = (0, bytes.len());
                true
            }
            _ => false,
        }
    }

    fn take(&mut self, into: &mut [u8]) -> usize {
        let held = self.bytes.get(self.start..self.end).unwrap_or_default();
        let count = held.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..count), held.get(..count)) {
            to.copy_from_slice(from);
        }
        self.start += count;
        count
    }
}

/// Why the cell cannot go on, for no fault of client or broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The rig gave the cell up.
    Aborted,
    /// There is no rig any more.
    LineClosed,
}

/// Whether a TCP connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tcp {
    /// It is open.
    Connected,
    /// The rig could not open it.
    Failed,
    /// The rig gave the cell up.
    Stopped,
}

/// One cell's connection to the rig.
pub struct Link<'l, 'b, B> {
    line: &'l mut Line<'b, B>,
    decoder: &'l mut Decoder,
    chunk: &'l mut Chunk,
    token: Token,
    /// See [`CellCommand::log_only`](wire::message::CellCommand::log_only).
    log_only: &'l str,
    open: bool,
    closed: Option<Closing>,
    stop: Option<Stop>,
    phase: Phase,
    finished: bool,
    /// The clock when the current phase began.
    began: u64,
    /// Time in the line, or spent on debug output, since then.
    waited: u64,
    /// The clock when the library began to make debug output, while it does.
    logging: Option<u64>,
    /// Sums over the phases that have ended.
    compute: u64,
    wait: u64,
}

/// What [`Link::ask`] may get for an answer; data is in the chunk by then.
enum Answer {
    Connected,
    ConnectFailed,
    Data,
    Closed(Closing),
}

/// Which answers are due.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    Connection,
    Data,
}

impl<'l, 'b, B: Board> Link<'l, 'b, B> {
    /// A link for one cell. Its first phase, [`Phase::TcpConnect`], begins now.
    pub fn new(
        line: &'l mut Line<'b, B>,
        decoder: &'l mut Decoder,
        chunk: &'l mut Chunk,
        token: Token,
        log_only: &'l str,
    ) -> Self {
        chunk.clear();
        let began = line.board().clock();
        Self {
            line,
            decoder,
            chunk,
            token,
            log_only,
            open: false,
            closed: None,
            stop: None,
            phase: Phase::TcpConnect,
            finished: false,
            began,
            waited: 0,
            logging: None,
            compute: 0,
            wait: 0,
        }
    }

    /// The board below.
    pub fn board(&mut self) -> &mut B {
        self.line.board()
    }

    /// The current phase.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Why the cell was stopped, if it was.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }

    /// Sums over all phases: computing, waiting.
    pub fn times(&self) -> (u64, u64) {
        (self.compute, self.wait)
    }

    /// Ends the current phase and begins this one; nothing happens if it is the current one.
    pub fn enter(&mut self, phase: Phase) {
        if phase == self.phase || self.finished {
            return;
        }
        let now = self.line.board().clock();
        let wait = core::mem::take(&mut self.waited);
        let compute = now.saturating_sub(self.began).saturating_sub(wait);
        self.compute = self.compute.saturating_add(compute);
        self.wait = self.wait.saturating_add(wait);
        let mark = PhaseMark { phase: self.phase, compute, wait };
        (self.phase, self.began) = (phase, now);
        self.tell(&Event::Phase(mark));
    }

    /// The current phase turned out to be another one; its time goes on.
    pub fn rename(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Ends the last phase, which stays the current one: it is where the cell ended.
    pub fn finish(&mut self) {
        let last = self.phase;
        // There is nothing to time once all is over.
        if last != Phase::Over {
            self.enter(Phase::Over);
        }
        self.phase = last;
        self.finished = true;
    }

    /// Closes the connection and begins with the first phase again; the sums go on. What lies between
    /// belongs to no phase.
    pub fn begin_again(&mut self) {
        if self.open {
            self.tell(&Event::Close);
        }
        self.chunk.clear();
        (self.open, self.closed, self.finished) = (false, None, false);
        (self.phase, self.waited) = (Phase::TcpConnect, 0);
        self.began = self.line.board().clock();
    }

    /// Asks the rig for the TCP connection and waits for it.
    pub fn connect(&mut self) -> Tcp {
        self.tell(&Event::Connect);
        match self.ask(Due::Connection) {
            Ok(Answer::Connected) => {
                self.open = true;
                Tcp::Connected
            }
            Ok(_) => Tcp::Failed,
            Err(_) => Tcp::Stopped,
        }
    }

    /// Closes the connection, if there is one, and reports the cell.
    pub fn report(mut self, result: impl FnOnce(u32) -> CellResult) -> Result<(), LineClosed> {
        if self.open {
            self.tell(&Event::Close);
        }
        let dropped = self.line.take_dropped();
        self.tell(&Event::Done(result(dropped)));
        match self.stop {
            Some(Stop::LineClosed) => Err(LineClosed),
            Some(Stop::Aborted) | None => Ok(()),
        }
    }

    /// Sends one event. A closed line is noted and stops the cell at its next wait.
    fn tell(&mut self, event: &Event<'_>) {
        if self.stop == Some(Stop::LineClosed) {
            return;
        }
        let start = self.line.board().clock();
        if self.line.send(self.token, event).is_err() {
            self.stop = Some(Stop::LineClosed);
        }
        self.book(start);
    }

    /// Waits for the answer that is due. Other frames are left over or damaged: dropped, counted.
    fn ask(&mut self, due: Due) -> Result<Answer, Stop> {
        let start = self.line.board().clock();
        let answer = loop {
            if let Some(stop) = self.stop {
                break Err(stop);
            }
            let frame = match self.line.next(self.decoder) {
                Ok(Some(frame)) => frame,
                Ok(None) => continue,
                Err(LineClosed) => {
                    self.stop = Some(Stop::LineClosed);
                    continue;
                }
            };
            if frame.token == self.token {
                match (frame.message(), due) {
                    (Ok(Command::Abort), _) => {
                        self.stop = Some(Stop::Aborted);
                        continue;
                    }
                    (Ok(Command::Connected), Due::Connection) => break Ok(Answer::Connected),
                    (Ok(Command::ConnectFailed), Due::Connection) => {
                        break Ok(Answer::ConnectFailed);
                    }
                    (Ok(Command::Closed(how)), Due::Data) => break Ok(Answer::Closed(how)),
                    (Ok(Command::Data(bytes)), Due::Data) if self.chunk.put(bytes) => {
                        break Ok(Answer::Data);
                    }
                    _ => {}
                }
            }
            self.line.drop_frame();
        };
        self.book(start);
        answer
    }

    /// Books the time since `start` as waiting.
    fn book(&mut self, start: u64) {
        // A debug line is sent while the time for making it is being booked already.
        if self.logging.is_some() {
            return;
        }
        let now = self.line.board().clock();
        self.waited = self.waited.saturating_add(now.saturating_sub(start));
    }

    /// What hinders the socket, if anything.
    fn check(&self) -> Result<(), HostError> {
        match (self.stop, self.closed) {
            (Some(_), _) => Err(HostError::Aborted),
            (None, Some(Closing::Reset)) => Err(HostError::Reset),
            (None, Some(Closing::Fin) | None) => Ok(()),
        }
    }
}

impl<B: Board> Host for Link<'_, '_, B> {
    fn send(&mut self, bytes: &[u8]) -> Result<usize, HostError> {
        self.check()?;
        let part = bytes.get(..WRITE).unwrap_or(bytes);
        self.tell(&Event::Write(part));
        self.check()?;
        Ok(part.len())
    }

    fn recv(&mut self, buffer: &mut [u8]) -> Result<usize, HostError> {
        loop {
            self.check()?;
            let taken = self.chunk.take(buffer);
            if taken > 0 || buffer.is_empty() || self.closed == Some(Closing::Fin) {
                return Ok(taken);
            }
            self.tell(&Event::Read { at_most: CHUNK });
            if let Ok(Answer::Closed(how)) = self.ask(Due::Data) {
                self.closed = Some(how);
            }
        }
    }

    fn log(&mut self, level: u8, file: &[u8], line: u16, text: &[u8]) {
        let file = file.get(..FILE).unwrap_or(file);
        let text = text.get(..TEXT).unwrap_or(text);
        if !is_wanted(self.log_only, level, text) {
            return;
        }
        self.tell(&Event::Log(LogLine { level, file, line, text }));
    }

    fn secret(&mut self, kind: SecretKind, bytes: &[u8]) {
        self.tell(&Event::Secret(Secret { kind, bytes }));
    }

    fn logging(&mut self, on: bool) {
        if on {
            self.logging = Some(self.line.board().clock());
        } else if let Some(start) = self.logging.take() {
            self.book(start);
        }
    }
}

/// Whether a line of debug output is to be sent, see
/// [`CellCommand::log_only`](wire::message::CellCommand::log_only).
///
/// Not inlined: sending a line is where the stack is deepest, and this is over by then.
#[inline(never)]
fn is_wanted(only: &str, level: u8, text: &[u8]) -> bool {
    let holds = |part: &str| text.windows(part.len()).any(|window| window == part.as_bytes());
    only.is_empty() || level <= 1 || only.lines().filter(|part| !part.is_empty()).any(holds)
}
