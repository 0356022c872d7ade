//! TLS without a socket: bytes in, bytes out, with OpenSSL or rustls inside.
//!
//! [`Server`] is a profile made into library settings once, when its broker starts. For each
//! connection the ClientHello is looked at first, since a group for one suite alone is nothing
//! that either library can be told beforehand: there is one setting for each such group, and
//! [`choose_group`] says which of them the connection gets.

pub(crate) mod names;
mod records;
pub(crate) mod with_openssl;
pub(crate) mod with_rustls;

use crate::pki::{Identity, PkiError};
use crate::record::TlsView;
use suites::broker::{BrokerProfile, Front};
use suites::hello::ClientHello;
use suites::names::cipher_suite_name;
use wire::tls::{CipherSuite, NamedGroup};

/// A profile that its TLS library cannot serve, or that the library refused.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// The library does not have it.
    #[error("{front} cannot serve {what}")]
    Unsupported {
        /// `openssl` or `rustls`.
        front: &'static str,
        /// The suite, group or setting.
        what: String,
    },
    /// OpenSSL refused a setting.
    #[error("openssl refuses the settings: {0}")]
    Openssl(#[from] openssl::error::ErrorStack),
    /// rustls refused a setting.
    #[error("rustls refuses the settings: {0}")]
    Rustls(String),
    /// No certificate could be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

/// A profile as library settings.
pub(crate) enum Server {
    Openssl(with_openssl::OpensslServer),
    Rustls(with_rustls::RustlsServer),
}

/// One connection's TLS, fed from memory.
pub(crate) trait Session: Send {
    /// Takes bytes that the client sent and goes on as far as they allow.
    ///
    /// # Errors
    /// The library's words; what it wants to say to the client is in [`Session::take_output`].
    fn receive(&mut self, bytes: &[u8]) -> Result<(), String>;
    /// Whether the handshake is still under way.
    fn is_handshaking(&self) -> bool;
    /// Moves what the client said, decrypted, to the end of `into`.
    ///
    /// # Errors
    /// The library's words.
    fn read(&mut self, into: &mut Vec<u8>) -> Result<Reading, String>;
    /// Encrypts `plaintext` into the output.
    ///
    /// # Errors
    /// The library's words.
    fn write(&mut self, plaintext: &[u8]) -> Result<(), String>;
    /// Puts a close_notify alert into the output.
    fn close_notify(&mut self);
    /// What is to be sent to the client.
    fn take_output(&mut self) -> Vec<u8>;
    /// What was negotiated; none while the handshake is under way. The server name is not known
    /// here.
    fn view(&self) -> Option<TlsView>;
    /// Secrets so far, as lines of a key log.
    fn key_log(&self) -> Vec<String>;
}

/// Whether more can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// More can come.
    Open,
    /// The client said close_notify.
    Closed,
}

impl Server {
    pub(crate) fn new(profile: &BrokerProfile, identity: &Identity) -> Result<Self, FrontError> {
        Ok(match profile.front {
            Front::Openssl => Self::Openssl(with_openssl::OpensslServer::new(profile, identity)?),
            Front::Rustls => Self::Rustls(with_rustls::RustlsServer::new(profile, identity)?),
            Front::Mosquitto | Front::Rabbitmq | Front::Aedes => {
                let what = "its own TLS in this process".to_owned();
                return Err(FrontError::Unsupported { front: "a product", what });
            }
        })
    }

    /// A session for the connection that began with `hello`; none if it did not begin with TLS.
    pub(crate) fn session(
        &self,
        profile: &BrokerProfile,
        hello: Option<&ClientHello>,
    ) -> Result<Box<dyn Session>, FrontError> {
        let group = hello.and_then(|hello| choose_group(profile, hello));
        Ok(match self {
            Self::Openssl(server) => Box::new(server.session(group)?),
            Self::Rustls(server) => Box::new(server.session(group)?),
        })
    }
}

/// The suites that are served where `group` is the group of the connection: all without a group of
/// their own, and those whose own group it is.
fn suites_with(
    profile: &BrokerProfile,
    group: Option<NamedGroup>,
) -> impl Iterator<Item = CipherSuite> + '_ {
    profile
        .cipher_suites
        .iter()
        .copied()
        .filter(move |suite| profile.suite_groups.get(suite).is_none_or(|own| Some(*own) == group))
}

/// Every group that has settings of its own.
fn own_groups(profile: &BrokerProfile) -> impl Iterator<Item = Option<NamedGroup>> {
    let mut groups: Vec<_> = profile.suite_groups.values().copied().collect();
    groups.sort_unstable();
    groups.dedup();
    std::iter::once(None).chain(groups.into_iter().map(Some))
}

/// The own group of the suite that will be chosen, if it has one: the first suite in the order
/// that decides which both ends have and whose group the client has.
fn choose_group(profile: &BrokerProfile, hello: &ClientHello) -> Option<NamedGroup> {
    let offered: Vec<_> = hello.usable_suites().collect();
    let usable = |suite: &CipherSuite| {
        let own = profile.suite_groups.get(suite);
        // RFC 8422 4: a client that names no groups leaves the choice to the server.
        own.is_none_or(|own| hello.groups.as_ref().is_none_or(|groups| groups.contains(own)))
    };
    let (first, second) = if profile.server_order {
        (&profile.cipher_suites, &offered)
    } else {
        (&offered, &profile.cipher_suites)
    };
    let chosen = first.iter().find(|suite| second.contains(suite) && usable(suite))?;
    profile.suite_groups.get(chosen).copied()
}

fn show(suite: CipherSuite) -> String {
    match cipher_suite_name(suite) {
        Some(name) => format!("{name} ({suite})"),
        None => format!("cipher suite {suite}"),
    }
}
