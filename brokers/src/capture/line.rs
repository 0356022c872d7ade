//! Connections to the server: one after the other, no faster than asked, and no more than allowed.
//!
//! A list that is found by elimination ends with a no, so that a no has to be one. An alert is. An end
//! of the stream, a reset or silence may come of one connection too many as well: such a question is
//! asked again, and after it one that the server has answered before. If it does not answer that any
//! more, it gets time to recover, and then the capture ends with [`CaptureError::Stopped`].

use super::CaptureError;
use super::flight::Flight;
use super::hello::Hello;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use suites::names::alert_name;
use suites::stream::{Rest, Stream};
use wire::tls::AlertDescription;

/// How often and how long the server is bothered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections, at most.
    pub connections: u32,
    /// Connections a second, at most; as fast as they go without it.
    pub per_second: Option<u32>,
    /// Longest wait for a connection, for a whole answer, and for a server that stopped answering to
    /// recover.
    pub wait: Duration,
}

/// What came of a question.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Flight(Box<Flight>),
    Refused(Refusal),
}

/// How a server says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    Alert(AlertDescription),
    /// With a FIN and no alert.
    Closed,
    /// With a RST.
    Reset,
    /// Not at all: nothing came in time.
    Silent,
    /// With the beginning of an answer, so many bytes, and no end of it in time.
    Unfinished(usize),
    /// With bytes that are no TLS, of which these are the first.
    NotTls(Vec<u8>),
    /// It does not even take the connection, and has taken others before.
    NoConnection,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Alert(alert) => {
                write!(f, "alert {alert} ({})", alert_name(*alert).unwrap_or("no name"))
            }
            Self::Closed => f.write_str("the end of the stream and no alert"),
            Self::Reset => f.write_str("a reset"),
            Self::Silent => f.write_str("silence"),
            Self::Unfinished(count) => {
                write!(f, "the beginning of an answer ({count} bytes) and no end of it in time")
            }
            Self::NotTls(bytes) => write!(f, "the bytes {:?}", String::from_utf8_lossy(bytes)),
            Self::NoConnection => f.write_str("no connection"),
        }
    }
}

/// The way to one server.
pub(super) struct Line {
    address: SocketAddr,
    bounds: Bounds,
    /// Least time from one connection to the next.
    interval: Duration,
    last: Option<Instant>,
    /// What the server has answered last, and how long the slowest answer took.
    answered: Option<Hello>,
    slowest: Duration,
    /// Connections made.
    pub(super) made: u32,
    /// Questions that were answered only when they were asked again.
    pub(super) repeated: u32,
    /// What is being found out.
    pub(super) step: &'static str,
}

/// More than any flight takes: a chain of 100 certificates.
const MAX_FLIGHT: usize = 512 * 1024;

/// A server that stopped answering is tried again after these parts of the wait; together they are
/// nearly all of it.
const PAUSES: [u32; 4] = [16, 8, 4, 2];

impl Line {
    pub(super) fn new(address: SocketAddr, bounds: Bounds) -> Self {
        let interval =
            bounds.per_second.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.max(1));
        Self {
            address,
            bounds,
            interval,
            last: None,
            answered: None,
            slowest: Duration::ZERO,
            made: 0,
            repeated: 0,
            step: "",
        }
    }

    /// How long a whole handshake may take.
    pub(super) fn wait(&self) -> Duration {
        self.bounds.wait
    }

    /// One connection, when it is time for it.
    fn open(&mut self) -> Result<io::Result<TcpStream>, CaptureError> {
        let Bounds { connections, wait, .. } = self.bounds;
        if self.made >= connections {
            return Err(CaptureError::Connections { allowed: connections, step: self.step });
        }
        if let Some(last) = self.last {
            thread::sleep((last + self.interval).saturating_duration_since(Instant::now()));
        }
        self.made += 1;
        self.last = Some(Instant::now());
        let open = || {
            let stream = TcpStream::connect_timeout(&self.address, wait)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(wait))?;
            stream.set_write_timeout(Some(wait))?;
            Ok(stream)
        };
        Ok(open())
    }

    /// A connection for more than one question.
    pub(super) fn connect(&mut self) -> Result<TcpStream, CaptureError> {
        for part in PAUSES {
            match self.open()? {
                Ok(stream) => return Ok(stream),
                Err(source) if self.answered.is_none() => return Err(self.unreachable(source)),
                Err(_) => self.recover(part),
            }
        }
        Err(self.stopped(&Refusal::NoConnection))
    }

    /// Asks on a connection of its own, and leaves when the answer is there.
    pub(super) fn ask(&mut self, hello: &Hello) -> Result<Answer, CaptureError> {
        let answer = self.once(hello)?;
        let (Answer::Refused(refusal), Some(known)) = (&answer, self.answered.clone()) else {
            return Ok(answer);
        };
        if matches!(refusal, Refusal::Alert(_)) {
            return Ok(answer);
        }
        thread::sleep(3 * self.interval);
        for part in PAUSES {
            match self.once(hello)? {
                Answer::Refused(again) if !matches!(again, Refusal::Alert(_)) => {}
                other => {
                    self.repeated += 1;
                    return Ok(other);
                }
            }
            if let Answer::Flight(_) = self.once(&known)? {
                return Ok(answer);
            }
            self.recover(part);
        }
        Err(self.stopped(refusal))
    }

    /// Asks once, and takes the first answer for it.
    fn once(&mut self, hello: &Hello) -> Result<Answer, CaptureError> {
        let mut stream = match self.open()? {
            Ok(stream) => stream,
            Err(_) if self.answered.is_some() => {
                return Ok(Answer::Refused(Refusal::NoConnection));
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                return Ok(Answer::Refused(Refusal::Reset));
            }
            Err(source) => return Err(self.unreachable(source)),
        };
        let began = Instant::now();
        let answer = read_answer(&mut stream, hello, began + self.patience());
        if let Answer::Flight(_) = answer {
            self.slowest = self.slowest.max(began.elapsed());
            self.answered = Some(hello.clone());
        }
        Ok(answer)
    }

    /// How long an answer may take: a server that has shown how fast it is need not be given as long
    /// as one that has not.
    fn patience(&self) -> Duration {
        let wait = self.bounds.wait;
        match self.answered {
            Some(_) => wait.min((wait / 4).max(10 * self.slowest)),
            None => wait,
        }
    }

    /// Leaves the server alone for this part of the wait, and is slower from then on.
    fn recover(&mut self, part: u32) {
        let wait = self.bounds.wait;
        let slower = (2 * self.interval).clamp(wait / 200, wait / 20);
        self.interval = self.interval.max(slower);
        thread::sleep(wait / part);
    }

    fn unreachable(&self, source: io::Error) -> CaptureError {
        CaptureError::Connect { address: self.address, source }
    }

    /// The end of a capture whose server has had enough.
    pub(super) fn stopped(&self, refusal: &Refusal) -> CaptureError {
        CaptureError::Stopped {
            address: self.address,
            connections: self.made,
            step: self.step,
            answer: refusal.to_string(),
        }
    }
}

/// Asks, and reads until the answer is there or `deadline` has come.
fn read_answer(stream: &mut TcpStream, hello: &Hello, deadline: Instant) -> Answer {
    // A server that has ended already is met by the read.
    let _seen_below = stream.write_all(&hello.record());
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        if let Some(flight) = Flight::parse(&bytes) {
            return Answer::Flight(Box::new(flight));
        }
        if let Some(refusal) = refusal(&bytes) {
            return Answer::Refused(refusal);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || bytes.len() > MAX_FLIGHT {
            return Answer::Refused(in_time(&bytes));
        }
        let _as_before = stream.set_read_timeout(Some(left));
        let end = match stream.read(&mut buffer) {
            Ok(0) => warned(&bytes).unwrap_or(Refusal::Closed),
            Ok(count) => {
                bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                in_time(&bytes)
            }
            Err(_) => Refusal::Reset,
        };
        return Answer::Refused(end);
    }
}

/// All that came in time.
fn in_time(bytes: &[u8]) -> Refusal {
    if bytes.is_empty() { Refusal::Silent } else { Refusal::Unfinished(bytes.len()) }
}

/// A refusal that needs no end of the stream.
fn refusal(bytes: &[u8]) -> Option<Refusal> {
    let stream = Stream::parse(bytes);
    if let Some(alert) = stream.alerts.iter().find(|alert| alert.level == 2) {
        return Some(Refusal::Alert(alert.description));
    }
    match stream.rest {
        Rest::NotTls { at } => {
            let rest = bytes.get(at..).unwrap_or_default();
            Some(Refusal::NotTls(rest.iter().take(16).copied().collect()))
        }
        _ => None,
    }
}

/// The warning after which the stream ended.
fn warned(bytes: &[u8]) -> Option<Refusal> {
    Stream::parse(bytes).alerts.last().map(|alert| Refusal::Alert(alert.description))
}
