//! A TLS client to hold a broker against its profile: OpenSSL's, told what to offer.
//!
//! OpenSSL drops without a word what it cannot serve, so that a profile with 20 suites may turn out
//! to be one with 19. [`check`] offers each suite by itself and then all in reverse order.

use crate::front::FrontError;
use crate::front::names::groups_list;
use crate::front::with_openssl::{
    VERSIONS, key_exchange, load_legacy, openssl_version, set_suites,
};
use crate::{Broker, ClientIdentity};
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{HandshakeError, SslContextBuilder, SslMethod, SslStream, SslVerifyMode};
use openssl::x509::X509;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use suites::broker::{Authority, BrokerProfile, Psk, Validity, is_tls13};
use suites::names::cipher_suite_name;
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// What a client offers.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Lowest version.
    pub min_version: ProtocolVersion,
    /// Highest version.
    pub max_version: ProtocolVersion,
    /// Suites, most wanted first.
    pub cipher_suites: Vec<CipherSuite>,
    /// Groups, most wanted first; OpenSSL's own if empty.
    pub groups: Vec<NamedGroup>,
    /// Server name to send; none is sent without it.
    pub server_name: Option<String>,
    /// The authority to trust, as DER; nothing is verified without it.
    pub ca_der: Option<Vec<u8>>,
    /// Certificate and key to show if asked; none are shown without it.
    pub client: Option<ClientIdentity>,
    /// Key for suites with PSK.
    pub psk: Option<Psk>,
    /// TCP_NODELAY at this end. A device's stack has Nagle's algorithm on more often than not.
    pub nodelay: bool,
}

impl Offer {
    /// All that `broker` serves by `profile`, its name, and whatever it asks of clients. Its
    /// certificate is verified unless the profile makes a bad one on purpose.
    #[must_use]
    pub fn everything(broker: &Broker, profile: &BrokerProfile) -> Self {
        let mut groups = profile.groups.clone();
        groups.extend(profile.suite_groups.values().filter(|own| !profile.groups.contains(own)));
        Self {
            min_version: profile.min_version,
            max_version: profile.max_version,
            cipher_suites: profile.cipher_suites.clone(),
            groups,
            server_name: Some(broker.host_name().to_owned()),
            ca_der: is_sound(profile).then(|| broker.ca_der().to_vec()),
            client: broker.client().cloned(),
            psk: profile.psk.clone(),
            nodelay: true,
        }
    }

    /// The same with these suites alone, in versions that know them.
    #[must_use]
    pub fn with_suites(mut self, suites: &[CipherSuite]) -> Self {
        let old = ProtocolVersion::TLS1_2;
        self.cipher_suites = suites.to_vec();
        if suites.iter().all(|suite| is_tls13(*suite)) {
            self.min_version = ProtocolVersion::TLS1_3;
        } else if !suites.iter().any(|suite| is_tls13(*suite)) {
            self.max_version = self.max_version.min(old);
        }
        self
    }
}

fn is_sound(profile: &BrokerProfile) -> bool {
    let certificate = &profile.certificate;
    certificate.validity == Validity::Now
        && certificate.authority == Authority::Known
        && certificate.name == profile.host_name
}

/// What came of an offer.
#[derive(Debug)]
pub struct Agreed {
    /// The connection, for going on with.
    pub stream: SslStream<TcpStream>,
    /// Version.
    pub version: ProtocolVersion,
    /// Suite.
    pub suite: CipherSuite,
    /// Group of the server's key, if it sent one.
    pub group: Option<NamedGroup>,
    /// Bits of the server's DHE prime, if it sent one.
    pub dh_bits: Option<u32>,
}

/// Why an offer came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// No connection, or one that broke.
    #[error("no connection: {0}")]
    Io(#[from] io::Error),
    /// The client cannot offer that.
    #[error("the client cannot offer it: {0}")]
    Offer(#[from] FrontError),
    /// OpenSSL refused a setting.
    #[error("the client's openssl refuses the settings: {0}")]
    Openssl(#[from] ErrorStack),
    /// The handshake failed, in the client's words.
    #[error("the handshake failed: {0}")]
    Handshake(String),
}

/// How a broker differs from its profile.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    /// A suite is not served.
    #[error("{suite} is not served: {source}")]
    NotServed {
        /// Which.
        suite: String,
        /// What became of the offer.
        source: OfferError,
    },
    /// Something else was chosen than the profile says.
    #[error("offered {offered}, got {got}; the profile says {wanted}")]
    Chosen {
        /// What was offered.
        offered: String,
        /// What came.
        got: String,
        /// What should have come.
        wanted: String,
    },
}

/// Longest wait for one read or write of the client.
const LIMIT: Duration = Duration::from_secs(10);

/// Connects to `address` with `offer`.
///
/// # Errors
/// [`OfferError::Handshake`] with OpenSSL's words if the two do not agree.
pub fn connect(address: SocketAddr, offer: &Offer) -> Result<Agreed, OfferError> {
    connect_over(TcpStream::connect_timeout(&address, LIMIT)?, offer)
}

/// The same over a connection that stands, so that its port is known whatever comes of it.
///
/// # Errors
/// As [`connect`].
pub fn connect_over(tcp: TcpStream, offer: &Offer) -> Result<Agreed, OfferError> {
    load_legacy();
    let mut builder = SslContextBuilder::new(SslMethod::tls_client())?;
    builder.set_security_level(0);
    builder.set_min_proto_version(Some(openssl_version(offer.min_version)?))?;
    builder.set_max_proto_version(Some(openssl_version(offer.max_version)?))?;
    set_suites(&mut builder, offer.cipher_suites.iter().copied())?;
    if !offer.groups.is_empty() {
        builder.set_groups_list(&groups_list(&offer.groups)?)?;
    }
    if let Some(der) = &offer.ca_der {
        builder.cert_store_mut().add_cert(X509::from_der(der)?)?;
        builder.set_verify(SslVerifyMode::PEER);
    }
    if let Some(client) = &offer.client {
        builder.set_certificate(X509::from_der(&client.certificate_der)?.as_ref())?;
        builder.set_private_key(PKey::private_key_from_pkcs8(&client.key_der)?.as_ref())?;
    }
    if let Some(psk) = offer.psk.clone() {
        let key = psk.key_bytes().unwrap_or_default();
        builder.set_psk_client_callback(move |_, _, identity, secret| {
            // The identity is a C string: its end is a zero.
            let name = [psk.identity.as_bytes(), &[0]].concat();
            let places = (identity.get_mut(..name.len()), secret.get_mut(..key.len()));
            let (Some(identity), Some(secret)) = places else { return Ok(0) };
            identity.copy_from_slice(&name);
            secret.copy_from_slice(&key);
            Ok(key.len())
        });
    }
    let mut ssl = openssl::ssl::Ssl::new(&builder.build())?;
    if let Some(name) = &offer.server_name {
        ssl.set_hostname(name)?;
        if offer.ca_der.is_some() {
            ssl.param_mut().set_host(name)?;
        }
    }
    tcp.set_nodelay(offer.nodelay)?;
    tcp.set_read_timeout(Some(LIMIT))?;
    tcp.set_write_timeout(Some(LIMIT))?;
    let stream = ssl.connect(tcp).map_err(|error| match error {
        HandshakeError::Failure(failed) | HandshakeError::WouldBlock(failed) => {
            OfferError::Handshake(failed.error().to_string())
        }
        HandshakeError::SetupFailure(stack) => OfferError::Openssl(stack),
    })?;
    let ssl = stream.ssl();
    let known = VERSIONS.iter().find(|(_, theirs)| ssl.version2() == Some(*theirs));
    let version = known.map_or(ProtocolVersion(0), |(version, _)| *version);
    let id = ssl.current_cipher().map_or([0, 0], |cipher| cipher.protocol_id());
    let (group, dh_bits) = ssl.peer_tmp_key().map(|key| key_exchange(&key)).unwrap_or_default();
    Ok(Agreed { version, suite: CipherSuite(u16::from_be_bytes(id)), group, dh_bits, stream })
}

/// Offers each suite of `profile` by itself, then those of each version together in reverse order,
/// and holds what `broker` chose against the profile: suite, group and DHE size.
///
/// # Errors
/// The first [`Mismatch`].
pub fn check(broker: &Broker, profile: &BrokerProfile) -> Result<(), Mismatch> {
    for suite in &profile.cipher_suites {
        compare(broker, profile, &[*suite], *suite)?;
    }
    let (new, old): (Vec<_>, Vec<_>) =
        profile.cipher_suites.iter().rev().partition(|suite| is_tls13(**suite));
    for reversed in [old, new] {
        let wanted = if profile.server_order { reversed.last() } else { reversed.first() };
        if let Some(wanted) = wanted {
            compare(broker, profile, &reversed, *wanted)?;
        }
    }
    Ok(())
}

fn compare(
    broker: &Broker,
    profile: &BrokerProfile,
    offered: &[CipherSuite],
    wanted: CipherSuite,
) -> Result<(), Mismatch> {
    let offer = Offer::everything(broker, profile).with_suites(offered);
    let agreed = connect(broker.address(), &offer)
        .map_err(|source| Mismatch::NotServed { suite: show(wanted), source })?;
    let own = profile.suite_groups.get(&wanted).copied();
    let group_fits = own.is_none() || agreed.group == own;
    let size_fits = agreed.dh_bits.is_none_or(|bits| bits == u32::from(profile.dh_bits));
    if agreed.suite == wanted && group_fits && size_fits {
        return Ok(());
    }
    let got = format!("{}, group {:?}, DH {:?}", show(agreed.suite), agreed.group, agreed.dh_bits);
    Err(Mismatch::Chosen {
        offered: offered.iter().map(|suite| show(*suite)).collect::<Vec<_>>().join(" "),
        got,
        wanted: format!("{}, group {own:?}, DH {}", show(wanted), profile.dh_bits),
    })
}

fn show(suite: CipherSuite) -> String {
    cipher_suite_name(suite).map_or_else(|| suite.to_string(), str::to_owned)
}
