//! Real brokers: a product's own program, started with the settings of a profile.
//!
//! ```text
//! client -> relay (our port, every byte written down) -> product on a free port of 127.0.0.1
//!                                                         its log: <logs>/<profile>.log
//! ```
//!
//! The TLS inside is the product's own, so the relay sees what a tap on the cable would see. A
//! product that is not installed is [`ProductError::Missing`] with the command that installs it; a
//! setting that it does not have is refused when the broker starts.

mod aedes;
mod child;
mod mosquitto;
mod rabbitmq;
mod relay;

pub(crate) use child::Running;
pub(crate) use relay::relay;

use crate::front::FrontError;
use crate::pki::Identity;
use openssl::error::ErrorStack;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use suites::broker::{BrokerProfile, FragmentLength, Front, OnReject, Sni};

/// A program of others that serves MQTT over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Product {
    /// Eclipse Mosquitto, on the system's OpenSSL.
    Mosquitto,
    /// RabbitMQ with its MQTT plugin, on Erlang's own TLS.
    Rabbitmq,
    /// Aedes, on the OpenSSL in Node.js.
    Aedes,
}

/// Why a product does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ProductError {
    /// It is not on this machine.
    #[error("{product} is not installed: `{install}`")]
    Missing {
        /// Its name.
        product: &'static str,
        /// The command that installs it.
        install: String,
    },
    /// Its files cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Files {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// Its program cannot be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// The system's word.
        source: io::Error,
    },
    /// It ended, or never listened.
    #[error("{product} {what}; the end of its log:\n{log}")]
    NotReady {
        /// Its name.
        product: &'static str,
        /// What was seen of it.
        what: String,
        /// Its own last words.
        log: String,
    },
    /// Keys and certificates cannot be written out.
    #[error("openssl: {0}")]
    Openssl(#[from] ErrorStack),
}

impl Product {
    /// The product that serves a profile; none if the broker is our own.
    #[must_use]
    pub fn of(front: Front) -> Option<Self> {
        match front {
            Front::Openssl | Front::Rustls => None,
            Front::Mosquitto => Some(Self::Mosquitto),
            Front::Rabbitmq => Some(Self::Rabbitmq),
            Front::Aedes => Some(Self::Aedes),
        }
    }

    /// The name that people use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mosquitto => "mosquitto",
            Self::Rabbitmq => "RabbitMQ",
            Self::Aedes => "aedes",
        }
    }

    /// Whether it can be started here; `cache` is the folder that [`Brokers`](crate::Brokers) use.
    #[must_use]
    pub fn is_installed(self, cache: &Path) -> bool {
        match self {
            Self::Mosquitto => find(self, "mosquitto").is_ok(),
            Self::Rabbitmq => find(self, "rabbitmq-server").is_ok() && find(self, "epmd").is_ok(),
            Self::Aedes => find(self, "node").is_ok() && aedes::is_installed(&Places::below(cache)),
        }
    }

    /// Debian's packages.
    #[must_use]
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Mosquitto => &["mosquitto"],
            Self::Rabbitmq => &["rabbitmq-server"],
            Self::Aedes => &["nodejs", "npm"],
        }
    }
}

/// Where products are installed, run and log.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// What the rig installs by itself: aedes.
    pub(crate) installed: PathBuf,
    /// Settings and data of running ones, a folder each.
    pub(crate) work: PathBuf,
    /// Logs; in the working folder, and gone with it, if nobody asks for them.
    pub(crate) logs: Option<PathBuf>,
}

/// Writes what the package manager of aedes needs below `cache` (the folder that
/// [`Brokers`](crate::Brokers) use), and gives the folder in which `npm ci` is to be run.
///
/// # Errors
/// The file that cannot be written.
pub fn prepare_aedes(cache: &Path) -> Result<PathBuf, ProductError> {
    let folder = Places::below(cache).installed.join(aedes::FOLDER);
    for (name, text) in aedes::FILES {
        write(&folder.join(name), text.as_bytes())?;
    }
    Ok(folder)
}

impl Places {
    pub(crate) fn below(cache: &Path) -> Self {
        let products = cache.join("products");
        Self { installed: products.clone(), work: products.join("work"), logs: None }
    }
}

/// What is started: a program with its files. Paths in it are absolute.
struct Recipe {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    /// What its log says once it listens. A connection alone proves nothing: it may be to a program
    /// that took the port in the meantime, or to ourselves, where the system chose that very port
    /// for our end.
    ready: &'static str,
    /// A program that must run first and as long, such as Erlang's name server.
    before: Option<(PathBuf, Vec<OsString>)>,
}

/// What a recipe is made from.
struct Order<'a> {
    profile: &'a BrokerProfile,
    /// Where it is to listen on 127.0.0.1.
    port: u16,
    /// Its own folder. It holds `chain.pem`, `key.pem` and `authority.pem`.
    folder: &'a Path,
    places: &'a Places,
}

impl Order<'_> {
    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    fn write(&self, name: &str, text: &str) -> Result<(), ProductError> {
        write(&self.folder.join(name), text.as_bytes())
    }
}

/// What no product has a setting for, or none that the rig would dare to rely on.
pub(crate) fn check(profile: &BrokerProfile) -> Result<(), FrontError> {
    let lacks = [
        (!profile.suite_groups.is_empty(), "suite_groups"),
        (profile.record_size < 16_384, "record_size"),
        (!profile.tickets || !profile.session_cache, "tickets or session_cache off"),
        (!profile.encrypt_then_mac, "encrypt_then_mac = false"),
        (!profile.extended_master_secret, "extended_master_secret = false"),
        (profile.on_reject == OnReject::Close, "on_reject = \"close\""),
        (profile.sni == Sni::Required, "sni = \"required\""),
        (profile.max_fragment_length == FragmentLength::Ignored, "max_fragment_length"),
        (profile.renegotiation, "renegotiation"),
        (profile.psk.is_some(), "a psk"),
        (profile.signature_algorithms.is_some(), "signature_algorithms"),
        (profile.misbehave.is_some(), "misbehaviour"),
    ];
    let front = Product::of(profile.front).map_or("this front", Product::name);
    match lacks.iter().find(|(wanted, _)| *wanted) {
        Some((_, what)) => Err(FrontError::Unsupported { front, what: (*what).to_owned() }),
        None => Ok(()),
    }
}

/// Starts the product that serves `profile` and waits until it accepts connections.
pub(crate) fn start(
    product: Product,
    profile: &BrokerProfile,
    identity: &Identity,
    places: &Places,
) -> Result<Running, ProductError> {
    let mut last = None;
    // Between our look at a port and the product's bind another program may take it.
    for _ in 0..3 {
        let port = free_port().map_err(|source| start_error(product.name(), source))?;
        let folder = child::WorkFolder::new(&places.work, &profile.name, port)?;
        write_identity(folder.path(), identity)?;
        let order = Order { profile, port, folder: folder.path(), places };
        let recipe = match product {
            Product::Mosquitto => mosquitto::recipe(&order),
            Product::Rabbitmq => rabbitmq::recipe(&order),
            Product::Aedes => aedes::recipe(&order),
        }?;
        let log = places.logs.as_deref().unwrap_or(folder.path());
        let log = log.join(format!("{}.log", profile.name));
        match Running::start(product, recipe, port, folder, log) {
            Err(error @ ProductError::NotReady { .. }) => last = Some(error),
            other => return other,
        }
    }
    Err(last.unwrap_or_else(|| start_error(product.name(), io::ErrorKind::AddrInUse.into())))
}

fn write_identity(folder: &Path, identity: &Identity) -> Result<(), ProductError> {
    let mut chain = identity.certificate.to_pem()?;
    for above in &identity.intermediates {
        chain.extend(above.to_pem()?);
    }
    write(&folder.join("chain.pem"), &chain)?;
    write(&folder.join("key.pem"), &identity.key.private_key_to_pem_pkcs8()?)?;
    write(&folder.join("authority.pem"), &identity.authority.to_pem()?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ProductError> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    let path = path.to_owned();
    made.and_then(|()| fs::write(&path, bytes))
        .map_err(|source| ProductError::Files { path, source })
}

fn start_error(program: &str, source: io::Error) -> ProductError {
    ProductError::Start { program: program.to_owned(), source }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The program `name`. Debian's own folder of RabbitMQ comes before `PATH`, where a script of the
/// same name would change to another user first; `/usr/sbin` comes last, for users without it.
fn find(product: Product, name: &str) -> Result<PathBuf, ProductError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once("/usr/lib/rabbitmq/bin".into())
        .chain(std::env::split_paths(&path))
        .chain(["/usr/sbin".into()]);
    let found = folders.map(|folder: PathBuf| folder.join(name)).find(|program| program.is_file());
    found.ok_or_else(|| missing(product))
}

fn missing(product: Product) -> ProductError {
    let packages = product.packages().join(" ");
    let install = format!("apt-get install --no-install-recommends {packages}");
    ProductError::Missing { product: product.name(), install }
}
