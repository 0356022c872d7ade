//! The socket, with every byte that passes written down.
//!
//! Nothing else in this crate touches a connection's socket, and there is one descriptor for it,
//! so that what is sent, when it ends and how it ends is decided in one place.

use crate::record::{Close, Ended, Side, WireEvent};
use parking_lot::Mutex;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One accepted connection.
pub(crate) struct Tap {
    /// None after a reset: the kernel sends the RST when the last descriptor is closed.
    stream: Mutex<Option<Arc<TcpStream>>>,
    /// Nothing can be sent any more.
    shut: AtomicBool,
    started: Instant,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    events: Vec<WireEvent>,
    ended: Option<Ended>,
}

/// Why a read gave no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoBytes {
    /// The stream has ended.
    End,
    /// Nothing came before the deadline.
    Late,
}

/// A client that takes nothing for this long is given up.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

impl Tap {
    pub(crate) fn new(stream: TcpStream, started: Instant) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_LIMIT))?;
        let stream = Mutex::new(Some(Arc::new(stream)));
        Ok(Self { stream, shut: AtomicBool::new(false), started, log: Mutex::default() })
    }

    fn stream(&self) -> Option<Arc<TcpStream>> {
        self.stream.lock().clone()
    }

    fn shutdown(&self, how: Shutdown) {
        if let Some(stream) = self.stream() {
            let _already_ended = stream.shutdown(how);
        }
    }

    /// Waits for bytes until `deadline`.
    pub(crate) fn read(&self, buffer: &mut [u8], deadline: Instant) -> Result<usize, NoBytes> {
        let Some(stream) = self.stream() else { return Err(NoBytes::End) };
        loop {
            // A timeout of zero would mean "for ever".
            let left = deadline.saturating_duration_since(Instant::now());
            let left = left.max(Duration::from_millis(1));
            if stream.set_read_timeout(Some(left)).is_err() {
                return Err(NoBytes::End);
            }
            match (&*stream).read(buffer) {
                Ok(0) => {
                    self.note_end(Side::Client, Close::Fin);
                    return Err(NoBytes::End);
                }
                Ok(count) => {
                    acknowledge_at_once(&stream);
                    self.note(Side::Client, buffer.get(..count).unwrap_or_default());
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Err(NoBytes::Late);
                }
                Err(_) => {
                    self.note_end(Side::Client, Close::Reset);
                    return Err(NoBytes::End);
                }
            }
        }
    }

    /// Sends all of `bytes`. An error is not told: the next read meets it too, and knows its kind.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let Some(stream) = self.stream() else { return };
        if !bytes.is_empty() && !self.shut.load(Ordering::SeqCst) {
            self.note(Side::Broker, bytes);
            let _seen_by_read = (&*stream).write_all(bytes);
        }
    }

    /// Ends this direction with a FIN and reads on until the client has ended too, `limit` at
    /// most. Closing with bytes unread would turn into a RST, and a RST can overtake an alert
    /// that is still under way.
    pub(crate) fn close(&self, limit: Duration) {
        self.note_end(Side::Broker, Close::Fin);
        self.shut.store(true, Ordering::SeqCst);
        self.shutdown(Shutdown::Write);
        self.drain(limit);
    }

    /// Ends both directions at once with a RST.
    pub(crate) fn reset(&self) {
        self.note_end(Side::Broker, Close::Reset);
        self.shut.store(true, Ordering::SeqCst);
        if let Some(stream) = self.stream.lock().take() {
            // With a linger of zero, closing is a RST and not a FIN.
            let _fin_then = socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO));
            // Wakes a read that waits on another thread and keeps the descriptor; sends nothing.
            let _already_ended = stream.shutdown(Shutdown::Read);
        }
    }

    /// Reads to the end of the stream, `limit` at most.
    pub(crate) fn drain(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut buffer = [0; 4096];
        while self.read(&mut buffer, deadline).is_ok() {}
    }

    /// Ends both directions from another thread: a read that waits returns at once.
    pub(crate) fn stop(&self) {
        self.note_end(Side::Broker, Close::Fin);
        self.shutdown(Shutdown::Both);
    }

    /// Makes a read that waits on another thread return; what is under way to the client arrives.
    pub(crate) fn stop_reading(&self) {
        self.note_end(Side::Broker, Close::Fin);
        self.shutdown(Shutdown::Read);
    }

    /// What was recorded so far.
    pub(crate) fn recorded(&self) -> (Vec<WireEvent>, Ended) {
        self.note_end(Side::Broker, Close::Fin);
        let mut log = self.log.lock();
        let at = self.started.elapsed();
        let ended = log.ended.unwrap_or(Ended { by: Side::Broker, how: Close::Fin, at });
        (std::mem::take(&mut log.events), ended)
    }

    fn note(&self, from: Side, bytes: &[u8]) {
        let mut log = self.log.lock();
        // Under the lock, so that times never run backwards from one event to the next.
        let at = self.started.elapsed();
        log.events.push(WireEvent { at, from, bytes: bytes.to_vec() });
    }

    fn note_end(&self, by: Side, how: Close) {
        let at = self.started.elapsed();
        self.log.lock().ended.get_or_insert(Ended { by, how, at });
    }
}

/// A client that writes twice before it reads, with Nagle's algorithm on, waits for this end's
/// acknowledgement, which the kernel delays by 40 ms unless told each time not to.
#[cfg(target_os = "linux")]
fn acknowledge_at_once(stream: &TcpStream) {
    let _only_slower = socket2::SockRef::from(stream).set_tcp_quickack(true);
}

#[cfg(not(target_os = "linux"))]
fn acknowledge_at_once(_: &TcpStream) {}
