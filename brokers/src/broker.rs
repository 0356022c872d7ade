//! A broker: one port, one profile, and what it saw of each connection.

use crate::connection::{LINGER, Service, serve};
use crate::front::{FrontError, Server};
use crate::mqtt::Router;
use crate::pki::{ClientIdentity, Identity, Pki, PkiError};
use crate::product::{self, Places, Product, ProductError, Running, relay};
use crate::record::Connection;
use crate::tap::Tap;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use suites::broker::{Authority, BrokerProfile, ClientAuth, KeyKind};

/// What all brokers share: the certificates on disk and the MQTT router. Clones share them too.
#[derive(Clone)]
pub struct Brokers {
    pki: Arc<Pki>,
    router: Router,
    limits: Limits,
    places: Places,
}

/// How long a broker waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the next byte of a handshake, and for CONNECT after it.
    pub stall: Duration,
    /// For the whole handshake.
    pub handshake: Duration,
    /// For the client's end of the stream, once the broker has ended its own.
    pub linger: Duration,
}

impl Default for Limits {
    /// 10 s, 60 s and 500 ms: a board on a slow serial line gets through, a dead one does not stay.
    fn default() -> Self {
        Self { stall: Duration::from_secs(10), handshake: Duration::from_secs(60), linger: LINGER }
    }
}

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address was asked for and cannot be had.
    #[error(
        "port {} on {} is taken by another program; stop that one or ask for another port",
        .0.port(), .0.ip()
    )]
    PortInUse(SocketAddr),
    /// No port can be opened.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// No thread for it.
    #[error("cannot start a thread for the broker: {0}")]
    Thread(io::Error),
    /// The profile cannot be served.
    #[error("broker {name:?}: {source}")]
    Front {
        /// The profile.
        name: String,
        /// Why.
        source: FrontError,
    },
    /// The certificate cache cannot be used.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The product behind the port is missing or does not start.
    #[error(transparent)]
    Product(#[from] ProductError),
}

impl Brokers {
    /// Keeps keys and certificates under `cache`, and starts the MQTT router. One of these is
    /// enough for a process: the router's thread stays until its end.
    ///
    /// # Errors
    /// [`BrokerError::Pki`] if the folder cannot be used.
    pub fn new(cache: &Path) -> Result<Self, BrokerError> {
        let pki = Arc::new(Pki::new(cache)?);
        let places = Places::below(cache);
        Ok(Self { pki, router: Router::start(), limits: Limits::default(), places })
    }

    /// The same with the logs of products kept in `folder`, which is made when the first one
    /// starts.
    #[must_use]
    pub fn with_logs(mut self, folder: &Path) -> Self {
        self.places.logs = Some(folder.to_owned());
        self
    }

    /// The same with other limits for the brokers started from now on.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A certificate and key for clients: signed by the authority that every broker with an RSA-2048
    /// issuer asks for (see `client_auth`), or by one that no broker knows.
    ///
    /// # Errors
    /// [`BrokerError::Pki`] if it can be neither made nor read.
    pub fn client_identity(
        &self,
        key: KeyKind,
        authority: Authority,
    ) -> Result<ClientIdentity, BrokerError> {
        Ok(self.pki.client(key, authority)?)
    }

    /// The certificate of an authority that signed no broker's certificate, as DER.
    ///
    /// # Errors
    /// [`BrokerError::Pki`] if it cannot be made.
    pub fn other_ca_der(&self) -> Result<Vec<u8>, BrokerError> {
        Ok(self.pki.stranger()?)
    }

    /// Starts a broker on a free port of 127.0.0.1. It accepts as soon as this returns.
    ///
    /// # Errors
    /// [`BrokerError`] says what is missing.
    pub fn start(&self, profile: &BrokerProfile) -> Result<Broker, BrokerError> {
        self.start_at(profile, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts a broker on `address`, for a board that comes over a network of its own.
    ///
    /// # Errors
    /// [`BrokerError::PortInUse`] if another program has it.
    pub fn start_at(
        &self,
        profile: &BrokerProfile,
        address: SocketAddr,
    ) -> Result<Broker, BrokerError> {
        let identity = self.pki.identity(&profile.certificate)?;
        let named = |source| BrokerError::Front { name: profile.name.clone(), source };
        let serves = self.serves(profile, &identity)?;
        let ca_der = identity.trusted.to_der().map_err(|error| named(error.into()))?;
        // From here on the kernel completes connections, accepted or not.
        let listener = TcpListener::bind(address).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => BrokerError::PortInUse(address),
            _ => BrokerError::Listen { address, source },
        })?;
        let address =
            listener.local_addr().map_err(|source| BrokerError::Listen { address, source })?;
        let work_folder = match &serves {
            Serves::Front(_) => None,
            Serves::Product(running, _) => Some(running.folder().to_owned()),
        };
        let required = profile.client_auth == ClientAuth::Required;
        let client = required
            .then(|| self.client_identity(KeyKind::Rsa2048, Authority::Known))
            .transpose()?;
        let shared = Arc::new(Shared::default());
        let accepting = {
            let (shared, service) = (Arc::clone(&shared), Arc::new(serves));
            thread::Builder::new()
                .name(format!("broker-{}", address.port()))
                .spawn(move || accept(&listener, &service, &shared))
                .map_err(BrokerError::Thread)?
        };
        let host_name = profile.host_name.clone();
        let accepting = Some(accepting);
        Ok(Broker { address, ca_der, host_name, client, work_folder, shared, accepting })
    }

    /// What stands behind the port.
    fn serves(&self, profile: &BrokerProfile, identity: &Identity) -> Result<Serves, BrokerError> {
        let named = |source| BrokerError::Front { name: profile.name.clone(), source };
        if let Some(product) = Product::of(profile.front) {
            product::check(profile).map_err(named)?;
            let running = product::start(product, profile, identity, &self.places)?;
            return Ok(Serves::Product(running, self.limits));
        }
        Ok(Serves::Front(Box::new(Service {
            profile: profile.clone(),
            server: Server::new(profile, identity).map_err(named)?,
            router: self.router.clone(),
            prefix: self.router.prefix(),
            limits: self.limits,
        })))
    }
}

/// What serves the connections of one port.
enum Serves {
    /// TLS and MQTT of our own.
    Front(Box<Service>),
    /// A product, behind a relay.
    Product(Running, Limits),
}

impl Serves {
    fn serve(&self, tap: &Arc<Tap>, peer: SocketAddr, started: Instant) -> Connection {
        match self {
            Self::Front(service) => serve(service, tap, peer, started),
            Self::Product(running, limits) => relay(running, tap, peer, started, *limits),
        }
    }
}

/// One listening port. Dropping it closes the port, ends its connections and joins its threads.
pub struct Broker {
    address: SocketAddr,
    ca_der: Vec<u8>,
    host_name: String,
    client: Option<ClientIdentity>,
    work_folder: Option<PathBuf>,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Broker {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A certificate that it accepts, if it insists on one.
    #[must_use]
    pub fn client(&self) -> Option<&ClientIdentity> {
        self.client.as_ref()
    }

    /// The folder of the product behind it, with the settings it was started with; none if the
    /// broker is our own.
    #[must_use]
    pub fn work_folder(&self) -> Option<&Path> {
        self.work_folder.as_deref()
    }

    /// The certificate that a client must trust, as DER.
    #[must_use]
    pub fn ca_der(&self) -> &[u8] {
        &self.ca_der
    }

    /// The name under which clients know the broker; as a rule the one in its certificate.
    #[must_use]
    pub fn host_name(&self) -> &str {
        &self.host_name
    }

    /// What the broker saw of the connection that came from `client_port`, complete because it is
    /// handed over only when the connection has ended. Waits for that, `deadline` at most.
    ///
    /// Each connection is handed over once. Of the finished ones that nobody asks for the newest
    /// 256 are kept.
    #[must_use]
    pub fn take(&self, client_port: u16, deadline: Duration) -> Option<Connection> {
        let until = Instant::now() + deadline;
        let mut finished = self.shared.finished.lock();
        loop {
            let found = finished.iter().position(|seen| seen.peer.port() == client_port);
            if let Some(connection) = found.and_then(|index| finished.remove(index)) {
                return Some(connection);
            }
            if self.shared.more.wait_until(&mut finished, until).timed_out() {
                return None;
            }
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // `accept` waits without a limit, and a connection is the one thing that wakes it on every
        // system. If none can be made, the queue is full and `accept` is awake anyway.
        let _awake_anyway = TcpStream::connect_timeout(&reachable(self.address), WAKE_LIMIT);
        if let Some(accepting) = self.accepting.take() {
            let _panicked: Result<(), _> = accepting.join();
        }
    }
}

/// An address with which this machine reaches a listener that is bound to `address`.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

const WAKE_LIMIT: Duration = Duration::from_secs(1);
/// A board makes one connection at a time; more than this is a runaway.
const MAX_CONNECTIONS: usize = 64;
const MAX_FINISHED: usize = 256;

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    finished: Mutex<VecDeque<Connection>>,
    more: Condvar,
}

impl Shared {
    fn finish(&self, connection: Connection) {
        let mut finished = self.finished.lock();
        if finished.len() == MAX_FINISHED {
            finished.pop_front();
        }
        finished.push_back(connection);
        self.more.notify_all();
    }
}

fn accept(listener: &TcpListener, serves: &Arc<Serves>, shared: &Arc<Shared>) {
    let mut live: Vec<(Arc<Tap>, JoinHandle<()>)> = Vec::new();
    while !shared.stopping.load(Ordering::SeqCst) {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        live.retain(|(_, thread)| !thread.is_finished());
        let started = Instant::now();
        let Ok((stream, peer)) = accepted else {
            // Out of descriptors, most likely: give the connections that have them some time.
            thread::park_timeout(Duration::from_millis(10));
            continue;
        };
        let Ok(tap) = Tap::new(stream, started).map(Arc::new) else { continue };
        if live.len() >= MAX_CONNECTIONS {
            continue;
        }
        let thread = {
            let (tap, serves) = (Arc::clone(&tap), Arc::clone(serves));
            let shared = Arc::clone(shared);
            thread::Builder::new()
                .name(format!("client-{}", peer.port()))
                .spawn(move || shared.finish(serves.serve(&tap, peer, started)))
        };
        if let Ok(thread) = thread {
            live.push((tap, thread));
        }
    }
    for (tap, _) in &live {
        tap.stop();
    }
    for (_, thread) in live {
        let _panicked: Result<(), _> = thread.join();
    }
}
