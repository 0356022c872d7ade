//! A whole handshake, for what a server says only once it is encrypted or only after it has heard
//! the client out. Not a byte of MQTT is sent, and no certificate shown that anybody has to trust.

use crate::front::FrontError;
use crate::front::names::groups_list;
use crate::front::with_openssl::{load_legacy, openssl_version, set_suites};
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    HandshakeError, Ssl, SslContextBuilder, SslMethod, SslSessionCacheMode, SslStream,
};
use openssl::x509::{X509, X509Name};
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// What a whole handshake brings to light.
#[derive(Debug)]
pub(super) struct Full {
    /// Certificates as DER, the server's own first.
    pub(super) chain: Vec<Vec<u8>>,
    /// How often the server handed out a session to be resumed.
    pub(super) tickets: usize,
    /// Whether the server went along to the end without a certificate of the client's.
    pub(super) served: bool,
}

/// Goes through a handshake over `tcp`, says goodbye, and listens until the server does.
pub(super) fn handshake(
    tcp: TcpStream,
    version: ProtocolVersion,
    suites: &[CipherSuite],
    groups: &[NamedGroup],
    server_name: Option<&str>,
    shown: Option<&Stranger>,
) -> Result<Full, FrontError> {
    load_legacy();
    let mut builder = SslContextBuilder::new(SslMethod::tls_client())?;
    builder.set_security_level(0);
    builder.set_min_proto_version(Some(openssl_version(version)?))?;
    builder.set_max_proto_version(Some(openssl_version(version)?))?;
    set_suites(&mut builder, suites.iter().copied())?;
    builder.set_groups_list(&groups_list(groups)?)?;
    if let Some(Stranger { certificate, key }) = shown {
        builder.set_certificate(certificate)?;
        builder.set_private_key(key)?;
    }
    let tickets = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tickets);
    builder.set_session_cache_mode(
        SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL_STORE,
    );
    builder.set_new_session_callback(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let mut ssl = Ssl::new(&builder.build())?;
    if let Some(name) = server_name {
        ssl.set_hostname(name)?;
    }
    let (chain, served) = match ssl.connect(tcp) {
        Ok(mut stream) => (chain(stream.ssl()), hear_out(&mut stream)),
        Err(HandshakeError::SetupFailure(stack)) => return Err(stack.into()),
        Err(HandshakeError::Failure(failed) | HandshakeError::WouldBlock(failed)) => {
            (chain(failed.ssl()), false)
        }
    };
    Ok(Full { chain, tickets: tickets.load(Ordering::Relaxed), served })
}

/// A certificate that nobody knows, made for the purpose. A server that asks for one refuses it.
pub(super) struct Stranger {
    certificate: X509,
    key: PKey<Private>,
}

impl Stranger {
    pub(super) fn new() -> Result<Self, ErrorStack> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
        let mut name = X509Name::builder()?;
        name.append_entry_by_nid(Nid::COMMONNAME, "TLS rig, nobody's client")?;
        let name = name.build();
        let mut builder = X509::builder()?;
        builder.set_version(2)?;
        builder.set_subject_name(&name)?;
        builder.set_issuer_name(&name)?;
        builder.set_pubkey(&key)?;
        builder.set_not_before(Asn1Time::days_from_now(0)?.as_ref())?;
        builder.set_not_after(Asn1Time::days_from_now(1)?.as_ref())?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok(Self { certificate: builder.build(), key })
    }
}

fn chain(ssl: &openssl::ssl::SslRef) -> Vec<Vec<u8>> {
    let chain = ssl.peer_cert_chain().into_iter().flatten();
    chain.filter_map(|certificate| certificate.to_der().ok()).collect()
}

/// In TLS 1.3 a client has finished before the server has looked at its answer: whether that was
/// good enough is known when the server ends, with an alert or without.
fn hear_out(stream: &mut SslStream<TcpStream>) -> bool {
    let _said = stream.shutdown();
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            // An end without close_notify, or a reset of what was on its way, is no refusal.
            Err(error) => return error.kind() != ErrorKind::Other,
        }
    }
}
