//! The OpenSSL front: TLS 1.0 to 1.3, all the old suites.

use super::names::{groups_list, schemes_list};
use super::{FrontError, Reading, Session, own_groups, records, show, suites_with};
use crate::pki::Identity;
use crate::record::TlsView;
use openssl::bn::BigNum;
use openssl::dh::Dh;
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKeyRef, Params};
use openssl::provider::Provider;
use openssl::ssl::{
    self, ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions,
    SslSessionCacheMode, SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::store::X509StoreBuilder;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, OnceLock};
use suites::broker::{BrokerProfile, ClientAuth, FragmentLength, is_tls13};
use suites::names::cipher_suite_name;
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// SSL_OP_NO_EXTENDED_MASTER_SECRET; the `openssl` crate has no name for it.
const NO_EXTENDED_MASTER_SECRET: u64 = 1 << 0;
/// SSL_OP_NO_ENCRYPT_THEN_MAC; the `openssl` crate has no name for it.
const NO_ENCRYPT_THEN_MAC: u64 = 1 << 19;
/// SSL_OP_ALLOW_CLIENT_RENEGOTIATION; the `openssl` crate has no name for it.
const ALLOW_CLIENT_RENEGOTIATION: u64 = 1 << 8;
/// The protocol's own limit, RFC 5246 6.2.1.
const MAX_RECORD: usize = 16_384;

type KeyLog = Arc<Mutex<Vec<String>>>;

/// A profile as OpenSSL contexts, one for each group that a suite has of its own.
pub(crate) struct OpensslServer {
    contexts: HashMap<Option<NamedGroup>, SslContext>,
    cut: Cut,
}

impl OpensslServer {
    pub(super) fn new(profile: &BrokerProfile, identity: &Identity) -> Result<Self, FrontError> {
        if profile.record_size < 16_384 && profile.accepts(ProtocolVersion::TLS1_3) {
            return Err(unsupported("record_size together with TLS1.3; front = \"rustls\" can"));
        }
        let mut contexts = HashMap::new();
        for group in own_groups(profile) {
            contexts.insert(group, context(profile, identity, group)?);
        }
        let cut = match (profile.record_size, profile.max_fragment_length) {
            (_, FragmentLength::Ignored) => Cut::Whole,
            (16_384, _) => Cut::AsTheyCome,
            (size, _) => Cut::At(usize::from(size)),
        };
        Ok(Self { contexts, cut })
    }

    pub(super) fn session(&self, group: Option<NamedGroup>) -> Result<OpensslSession, FrontError> {
        let context = self.contexts.get(&group).or_else(|| self.contexts.get(&None));
        let mut ssl = Ssl::new(context.ok_or_else(|| unsupported("this group"))?)?;
        let key_log = KeyLog::default();
        ssl.set_ex_data(key_log_index()?, Arc::clone(&key_log));
        ssl.set_accept_state();
        let stream = SslStream::new(ssl, Memory::default())?;
        Ok(OpensslSession {
            stream,
            handshaking: true,
            cut: self.cut,
            clear: true,
            exchange: (None, None),
            key_log,
        })
    }
}

pub(super) fn unsupported(what: impl Into<String>) -> FrontError {
    FrontError::Unsupported { front: "openssl", what: what.into() }
}

fn context(
    profile: &BrokerProfile,
    identity: &Identity,
    group: Option<NamedGroup>,
) -> Result<SslContext, FrontError> {
    load_legacy();
    let mut builder = SslContextBuilder::new(SslMethod::tls_server())?;
    builder.set_security_level(u32::from(profile.security_level));
    builder.set_min_proto_version(Some(openssl_version(profile.min_version)?))?;
    builder.set_max_proto_version(Some(openssl_version(profile.max_version)?))?;
    set_suites(&mut builder, suites_with(profile, group))?;
    if let Some(schemes) = &profile.signature_algorithms {
        builder.set_sigalgs_list(&schemes_list(schemes)?)?;
    }
    let groups = group.map_or_else(|| profile.groups.clone(), |own| vec![own]);
    builder.set_groups_list(&groups_list(&groups)?)?;
    builder.set_tmp_dh(dh(profile.dh_bits)?.as_ref())?;
    set_options(&mut builder, profile)?;
    set_identity(&mut builder, profile, identity)?;
    let index = key_log_index()?;
    builder.set_keylog_callback(move |ssl, line| {
        if let Some(log) = ssl.ex_data(index) {
            log.lock().push(line.to_owned());
        }
    });
    Ok(builder.build())
}

/// Loads what OpenSSL 3 has moved out of the way, RC4 among it. Without it such suites are not even
/// known by name.
pub(crate) fn load_legacy() {
    static LEGACY: OnceLock<Option<Provider>> = OnceLock::new();
    // Built without it, all other suites are served all the same, and a profile that wants one of
    // these is refused by name.
    LEGACY.get_or_init(|| Provider::try_load(None, "legacy", true).ok());
}

pub(crate) fn set_suites(
    builder: &mut SslContextBuilder,
    suites: impl Iterator<Item = CipherSuite>,
) -> Result<(), FrontError> {
    let (mut new, mut old) = (Vec::new(), Vec::new());
    for suite in suites {
        let name = cipher_suite_name(suite).ok_or_else(|| unsupported(show(suite)))?;
        match ssl::cipher_name(name) {
            "(NONE)" => return Err(unsupported(show(suite))),
            _ if is_tls13(suite) => new.push(name),
            known => old.push(known),
        }
    }
    builder.set_ciphersuites(&new.join(":"))?;
    // Without a list OpenSSL serves its own. One suite that needs a key nobody has serves nothing.
    let old = if old.is_empty() { NO_SUITE.to_owned() } else { old.join(":") };
    builder.set_cipher_list(&old)?;
    Ok(())
}

/// A suite that cannot be chosen without a pre-shared key.
const NO_SUITE: &str = "PSK-AES128-CBC-SHA256";

fn dh(bits: u16) -> Result<Dh<Params>, FrontError> {
    let prime = match bits {
        3072 => BigNum::get_rfc3526_prime_3072()?,
        4096 => BigNum::get_rfc3526_prime_4096()?,
        _ => BigNum::get_rfc3526_prime_2048()?,
    };
    Ok(Dh::from_pqg(prime, None, BigNum::from_u32(2)?)?)
}

fn set_options(builder: &mut SslContextBuilder, profile: &BrokerProfile) -> Result<(), FrontError> {
    let mut options = SslOptions::NO_COMPRESSION;
    options.set(SslOptions::CIPHER_SERVER_PREFERENCE, profile.server_order);
    options.set(SslOptions::NO_TICKET, !profile.tickets);
    let raw = |bits| SslOptions::from_bits_retain(bits);
    options.set(raw(NO_ENCRYPT_THEN_MAC), !profile.encrypt_then_mac);
    options.set(raw(NO_EXTENDED_MASTER_SECRET), !profile.extended_master_secret);
    options.set(raw(ALLOW_CLIENT_RENEGOTIATION), profile.renegotiation);
    builder.set_options(options);
    set_psk(builder, profile);
    builder.set_num_tickets(if profile.tickets { 2 } else { 0 })?;
    builder.set_session_cache_mode(if profile.session_cache {
        SslSessionCacheMode::SERVER
    } else {
        SslSessionCacheMode::OFF
    });
    builder.set_session_id_context(b"rig")?;
    Ok(())
}

fn set_psk(builder: &mut SslContextBuilder, profile: &BrokerProfile) {
    let Some(psk) = &profile.psk else { return };
    let (identity, key) = (psk.identity.clone(), psk.key_bytes().unwrap_or_default());
    builder.set_psk_server_callback(move |_, offered, into| {
        // No key at all is how OpenSSL is told that nobody has this name.
        let known = offered == Some(identity.as_bytes());
        let Some(into) = into.get_mut(..key.len()).filter(|_| known) else { return Ok(0) };
        into.copy_from_slice(&key);
        Ok(key.len())
    });
}

fn set_identity(
    builder: &mut SslContextBuilder,
    profile: &BrokerProfile,
    identity: &Identity,
) -> Result<(), FrontError> {
    builder.set_certificate(&identity.certificate)?;
    builder.set_private_key(&identity.key)?;
    builder.check_private_key()?;
    for above in &identity.intermediates {
        builder.add_extra_chain_cert(above.clone())?;
    }
    let mode = match profile.client_auth {
        ClientAuth::None => return Ok(()),
        ClientAuth::Wanted => SslVerifyMode::PEER,
        ClientAuth::Required => SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
    };
    let mut store = X509StoreBuilder::new()?;
    store.add_cert(identity.authority.clone())?;
    builder.set_verify_cert_store(store.build())?;
    builder.add_client_ca(&identity.authority)?;
    builder.set_verify(mode);
    Ok(())
}

pub(crate) fn openssl_version(version: ProtocolVersion) -> Result<SslVersion, FrontError> {
    VERSIONS
        .iter()
        .find(|(ours, _)| *ours == version)
        .map(|(_, theirs)| *theirs)
        .ok_or_else(|| unsupported(version.to_string()))
}

pub(crate) const VERSIONS: [(ProtocolVersion, SslVersion); 4] = [
    (ProtocolVersion::TLS1_0, SslVersion::TLS1),
    (ProtocolVersion::TLS1_1, SslVersion::TLS1_1),
    (ProtocolVersion::TLS1_2, SslVersion::TLS1_2),
    (ProtocolVersion::TLS1_3, SslVersion::TLS1_3),
];

/// The context's callback is one for all connections; this is where a connection's log hangs.
fn key_log_index() -> Result<Index<Ssl, KeyLog>, ErrorStack> {
    static INDEX: OnceLock<Result<Index<Ssl, KeyLog>, ErrorStack>> = OnceLock::new();
    INDEX.get_or_init(Ssl::new_ex_index).clone()
}

/// One connection's OpenSSL state.
pub(crate) struct OpensslSession {
    stream: SslStream<Memory>,
    handshaking: bool,
    cut: Cut,
    /// No ChangeCipherSpec has been sent yet.
    clear: bool,
    /// Group or DHE size, noted while the handshake waits for the client: OpenSSL forgets its key
    /// when it has the client's. There is none in a static RSA exchange.
    exchange: (Option<NamedGroup>, Option<u32>),
    key_log: KeyLog,
}

/// How records are cut that OpenSSL has written in the clear.
///
/// The `openssl` crate does not offer SSL_CTX_set_max_send_fragment, and this crate has no unsafe
/// code to call it; and OpenSSL itself cannot be told to forget max_fragment_length. Up to
/// ChangeCipherSpec the bytes say the same when they are cut elsewhere; what is encrypted after it
/// is cut by [`Session::write`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Not at all.
    AsTheyCome,
    /// No body is longer than this.
    At(usize),
    /// Each handshake message gets a record of its own, whatever the client asked for.
    Whole,
}

/// The two directions as OpenSSL sees them.
#[derive(Default)]
struct Memory {
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.incoming.read(buffer)
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.outgoing.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Session for OpensslSession {
    fn receive(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.get_mut().incoming.extend(bytes);
        if !self.handshaking {
            return Ok(());
        }
        match self.stream.do_handshake() {
            Ok(()) => self.handshaking = false,
            Err(error) if error.code() == ErrorCode::WANT_READ => {
                if let Ok(key) = self.stream.ssl().tmp_key() {
                    self.exchange = key_exchange(&key);
                }
            }
            Err(error) => return Err(words(&error)),
        }
        Ok(())
    }

    fn is_handshaking(&self) -> bool {
        self.handshaking
    }

    fn read(&mut self, into: &mut Vec<u8>) -> Result<Reading, String> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.ssl_read(&mut buffer) {
                Ok(count) => into.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(Reading::Open),
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => return Ok(Reading::Closed),
                Err(error) => return Err(words(&error)),
            }
        }
    }

    fn write(&mut self, plaintext: &[u8]) -> Result<(), String> {
        // One call makes one record as long as the record may be.
        let longest = if let Cut::At(size) = self.cut { size } else { MAX_RECORD };
        for part in plaintext.chunks(longest) {
            let mut rest = part;
            while !rest.is_empty() {
                let count = self.stream.ssl_write(rest).map_err(|error| words(&error))?;
                rest = rest.get(count..).unwrap_or_default();
            }
        }
        Ok(())
    }

    fn close_notify(&mut self) {
        let _said_or_too_late = self.stream.shutdown();
    }

    fn take_output(&mut self) -> Vec<u8> {
        let output = std::mem::take(&mut self.stream.get_mut().outgoing);
        match self.cut {
            Cut::AsTheyCome => output,
            _ if !self.clear => output,
            Cut::At(size) => records::split(&output, size, &mut self.clear),
            Cut::Whole => records::join(&output, &mut self.clear),
        }
    }

    fn view(&self) -> Option<TlsView> {
        let ssl = self.stream.ssl();
        if self.handshaking {
            return None;
        }
        let version = ssl.version2()?;
        let (version, _) = VERSIONS.iter().find(|(_, theirs)| *theirs == version)?;
        let suite = CipherSuite(u16::from_be_bytes(ssl.current_cipher()?.protocol_id()));
        let (group, dh_bits) = self.exchange;
        let resumed = ssl.session_reused();
        Some(TlsView { version: *version, suite, group, dh_bits, sni: None, resumed })
    }

    fn key_log(&self) -> Vec<String> {
        self.key_log.lock().clone()
    }
}

/// The group of an ephemeral key, or the bits of its prime.
pub(crate) fn key_exchange<T: HasPublic>(key: &PKeyRef<T>) -> (Option<NamedGroup>, Option<u32>) {
    let curve = || group_of(key.ec_key().ok()?.group().curve_name()?);
    match key.id() {
        Id::EC => (curve(), None),
        Id::X25519 => (Some(NamedGroup(29)), None),
        Id::X448 => (Some(NamedGroup(30)), None),
        Id::DH => (None, Some(key.bits())),
        _ => (None, None),
    }
}

fn group_of(curve: Nid) -> Option<NamedGroup> {
    // OpenSSL still calls it by its name from before TLS.
    let name =
        if curve == Nid::X9_62_PRIME256V1 { "secp256r1" } else { curve.short_name().ok()? };
    suites::names::group(name).ok()
}

/// The reasons on OpenSSL's error stack, outermost first.
fn words(error: &ssl::Error) -> String {
    let stack = error.ssl_error().map(ErrorStack::errors).unwrap_or_default();
    let mut reasons: Vec<&str> = stack.iter().filter_map(|error| error.reason()).collect();
    reasons.dedup();
    if reasons.is_empty() { error.to_string() } else { reasons.join("; ") }
}
