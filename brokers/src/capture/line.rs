//! Connections to the server: one after the other, no faster than asked, and no more than allowed.

use super::CaptureError;
use super::flight::Flight;
use super::hello::Hello;
use std::io::{ErrorKind, Read, Write};
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
    /// Longest wait for a connection, and for the next bytes of an answer.
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
    /// With bytes that are no TLS, of which these are the first.
    NotTls(Vec<u8>),
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
            Self::NotTls(_) => f.write_str("bytes that are no TLS"),
        }
    }
}

/// The way to one server.
pub(super) struct Line {
    address: SocketAddr,
    bounds: Bounds,
    pub(super) made: u32,
    last: Option<Instant>,
}

/// More than any flight takes: a chain of 100 certificates.
const MAX_FLIGHT: usize = 512 * 1024;

impl Line {
    pub(super) fn new(address: SocketAddr, bounds: Bounds) -> Self {
        Self { address, bounds, made: 0, last: None }
    }

    /// A connection, when it is time for one.
    pub(super) fn connect(&mut self) -> Result<TcpStream, CaptureError> {
        let Bounds { connections, per_second, wait } = self.bounds;
        if self.made >= connections {
            return Err(CaptureError::Connections { allowed: connections });
        }
        if let (Some(last), Some(rate)) = (self.last, per_second) {
            let due = last + Duration::from_secs(1) / rate.max(1);
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        self.made += 1;
        self.last = Some(Instant::now());
        let address = self.address;
        let failed = |source| CaptureError::Connect { address, source };
        let stream = TcpStream::connect_timeout(&address, wait).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(wait)).map_err(failed)?;
        stream.set_write_timeout(Some(wait)).map_err(failed)?;
        Ok(stream)
    }

    /// Asks on a connection of its own, and leaves when the answer is there.
    pub(super) fn ask(&mut self, hello: &Hello) -> Result<Answer, CaptureError> {
        let mut stream = self.connect()?;
        let deadline = Instant::now() + self.bounds.wait;
        // A server that has ended already is met by the read.
        let _seen_below = stream.write_all(&hello.record());
        let mut bytes = Vec::new();
        let mut buffer = [0; 8192];
        loop {
            if let Some(flight) = Flight::parse(&bytes) {
                return Ok(Answer::Flight(Box::new(flight)));
            }
            if let Some(refusal) = refusal(&bytes) {
                return Ok(Answer::Refused(refusal));
            }
            let late = Instant::now() >= deadline || bytes.len() > MAX_FLIGHT;
            let end = match stream.read(&mut buffer) {
                _ if late => Refusal::Silent,
                Ok(0) => warned(&bytes).unwrap_or(Refusal::Closed),
                Ok(count) => {
                    bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    Refusal::Silent
                }
                Err(_) => Refusal::Reset,
            };
            return Ok(Answer::Refused(end));
        }
    }
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
