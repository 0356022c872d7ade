//! The rustls front: TLS 1.2 with ECDHE and an AEAD cipher, and TLS 1.3.

use super::{FrontError, Reading, Session, own_groups, show, suites_with};
use crate::pki::Identity;
use crate::record::TlsView;
use parking_lot::Mutex;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::{
    HandshakeKind, KeyLog, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
    version,
};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use suites::broker::{BrokerProfile, ClientAuth};
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// Record header and the most that encryption adds, as rustls counts them into the fragment size.
const RECORD_OVERHEAD: usize = 5;
const SESSIONS_KEPT: usize = 256;

/// A profile as rustls settings, one for each group that a suite has of its own.
pub(crate) struct RustlsServer {
    configs: HashMap<Option<NamedGroup>, ServerConfig>,
}

impl RustlsServer {
    pub(super) fn new(profile: &BrokerProfile, identity: &Identity) -> Result<Self, FrontError> {
        check(profile)?;
        let mut configs = HashMap::new();
        for group in own_groups(profile) {
            configs.insert(group, config(profile, identity, group)?);
        }
        Ok(Self { configs })
    }

    pub(super) fn session(&self, group: Option<NamedGroup>) -> Result<RustlsSession, FrontError> {
        let config = self.configs.get(&group).or_else(|| self.configs.get(&None));
        let mut config = config.ok_or_else(|| unsupported("this group"))?.clone();
        let key_log = Arc::new(Lines::default());
        config.key_log = Arc::<Lines>::clone(&key_log);
        let connection =
            ServerConnection::new(Arc::new(config)).map_err(|error| refused(&error))?;
        Ok(RustlsSession { connection, key_log, closed: false })
    }
}

/// Whether rustls has what the profile asks for, certificates apart.
pub(crate) fn check(profile: &BrokerProfile) -> Result<(), FrontError> {
    let lacks = [
        (!profile.extended_master_secret, "extended_master_secret = false"),
        (profile.renegotiation, "renegotiation"),
        (profile.psk.is_some(), "a psk"),
        (profile.signature_algorithms.is_some(), "signature_algorithms of choice"),
    ];
    if let Some((_, what)) = lacks.iter().find(|(wanted, _)| *wanted) {
        return Err(unsupported(*what));
    }
    own_groups(profile).try_for_each(|group| provider(profile, group).map(drop))
}

fn unsupported(what: impl Into<String>) -> FrontError {
    FrontError::Unsupported { front: "rustls", what: what.into() }
}

fn refused(error: &impl ToString) -> FrontError {
    FrontError::Rustls(error.to_string())
}

fn config(
    profile: &BrokerProfile,
    identity: &Identity,
    group: Option<NamedGroup>,
) -> Result<ServerConfig, FrontError> {
    let provider = Arc::new(provider(profile, group)?);
    let all: [(ProtocolVersion, &'static SupportedProtocolVersion); 2] =
        [(ProtocolVersion::TLS1_2, &version::TLS12), (ProtocolVersion::TLS1_3, &version::TLS13)];
    let versions: Vec<_> = all
        .into_iter()
        .filter(|(version, _)| profile.accepts(*version))
        .map(|(_, theirs)| theirs)
        .collect();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(|error| refused(&error))?;
    let builder = match profile.client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        wanted => {
            let mut roots = RootCertStore::empty();
            let authority = identity.authority.to_der()?;
            roots.add(CertificateDer::from(authority)).map_err(|error| refused(&error))?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match wanted {
                ClientAuth::Wanted => verifier.allow_unauthenticated(),
                _ => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| refused(&error))?)
        }
    };
    let chain = std::iter::once(&identity.certificate).chain(&identity.intermediates);
    let chain = chain.map(|one| Ok(CertificateDer::from(one.to_der()?)));
    let chain = chain.collect::<Result<Vec<_>, openssl::error::ErrorStack>>()?;
    let key = PrivatePkcs8KeyDer::from(identity.key.private_key_to_pkcs8()?);
    let mut config = builder
        .with_single_cert(chain, PrivateKeyDer::Pkcs8(key))
        .map_err(|error| refused(&error))?;
    config.ignore_client_order = profile.server_order;
    if profile.record_size < 16_384 {
        config.max_fragment_size = Some(usize::from(profile.record_size) + RECORD_OVERHEAD);
    }
    config.send_tls13_tickets = if profile.tickets { 2 } else { 0 };
    if profile.tickets {
        config.ticketer = ring::Ticketer::new().map_err(|error| refused(&error))?;
    }
    config.session_storage = if profile.session_cache {
        ServerSessionMemoryCache::new(SESSIONS_KEPT)
    } else {
        Arc::new(NoServerSessionStorage {})
    };
    Ok(config)
}

fn provider(
    profile: &BrokerProfile,
    group: Option<NamedGroup>,
) -> Result<CryptoProvider, FrontError> {
    let mut provider = ring::default_provider();
    let known = std::mem::take(&mut provider.cipher_suites);
    for suite in suites_with(profile, group) {
        let found = known.iter().find(|theirs| u16::from(theirs.suite()) == suite.0);
        provider.cipher_suites.push(*found.ok_or_else(|| unsupported(show(suite)))?);
    }
    let known = std::mem::take(&mut provider.kx_groups);
    for group in group.map_or_else(|| profile.groups.clone(), |own| vec![own]) {
        let found = known.iter().find(|theirs| u16::from(theirs.name()) == group.0);
        let missing = || unsupported(format!("group {group}"));
        provider.kx_groups.push(*found.ok_or_else(missing)?);
    }
    Ok(provider)
}

/// One connection's rustls state.
pub(crate) struct RustlsSession {
    connection: ServerConnection,
    key_log: Arc<Lines>,
    closed: bool,
}

impl Session for RustlsSession {
    fn receive(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            self.connection.read_tls(&mut bytes).map_err(|error| error.to_string())?;
            let state = self.connection.process_new_packets().map_err(|error| error.to_string())?;
            self.closed |= state.peer_has_closed();
        }
        Ok(())
    }

    fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    fn read(&mut self, into: &mut Vec<u8>) -> Result<Reading, String> {
        match self.connection.reader().read_to_end(into) {
            Ok(_) => Ok(Reading::Closed),
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.closed => {
                Ok(Reading::Closed)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Reading::Open),
            Err(error) => Err(error.to_string()),
        }
    }

    fn write(&mut self, plaintext: &[u8]) -> Result<(), String> {
        self.connection.writer().write_all(plaintext).map_err(|error| error.to_string())
    }

    fn close_notify(&mut self) {
        self.connection.send_close_notify();
    }

    fn take_output(&mut self) -> Vec<u8> {
        let mut output = Vec::new();
        while self.connection.wants_write() {
            // Writing to memory cannot fail.
            if self.connection.write_tls(&mut output).is_err() {
                break;
            }
        }
        output
    }

    fn view(&self) -> Option<TlsView> {
        if self.connection.is_handshaking() {
            return None;
        }
        let group = self.connection.negotiated_key_exchange_group();
        Some(TlsView {
            version: ProtocolVersion(u16::from(self.connection.protocol_version()?)),
            suite: CipherSuite(u16::from(self.connection.negotiated_cipher_suite()?.suite())),
            group: group.map(|group| NamedGroup(u16::from(group.name()))),
            dh_bits: None,
            sni: None,
            resumed: self.connection.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }

    fn key_log(&self) -> Vec<String> {
        self.key_log.0.lock().clone()
    }
}

/// The key log of one connection.
#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl KeyLog for Lines {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = format!("{label} {} {}", hex(client_random), hex(secret));
        self.0.lock().push(line);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
