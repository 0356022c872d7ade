//! A whole handshake, for what a server says only once it is encrypted or only after it has heard
//! the client out. Not a byte of MQTT is sent, and no certificate shown that anybody has to trust.

use super::hello::Signer;
use crate::front::FrontError;
use crate::front::names::{groups_list, schemes_list};
use crate::front::with_openssl::{load_legacy, openssl_version, set_suites};
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    Error, ErrorCode, HandshakeError, Ssl, SslContextBuilder, SslMethod, SslSessionCacheMode,
    SslStream,
};
use openssl::x509::{X509, X509Name};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// What a whole handshake brings to light.
#[derive(Debug)]
pub(super) struct Full {
    /// Certificates as DER, the server's own first.
    pub(super) chain: Vec<Vec<u8>>,
    /// How often the server handed out a session to be resumed.
    pub(super) tickets: usize,
    /// Whether the server went along to the end with what certificate it was shown, or none.
    pub(super) end: End,
}

/// What the client of a whole handshake is.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) version: ProtocolVersion,
    pub(super) suites: &'a [CipherSuite],
    pub(super) groups: &'a [NamedGroup],
    pub(super) server_name: Option<&'a str>,
    /// The kind of certificate that it takes alone.
    pub(super) signer: Option<Signer>,
    /// The certificate that it shows if it is asked.
    pub(super) shown: Option<&'a Stranger>,
}

/// With what a client of OpenSSL's lets a server sign, RFC 8446 4.2.3.
const SCHEMES: [u16; 14] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401,
    0x0501, 0x0601,
];

/// How a whole handshake ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Served,
    /// By the server, once it had shown its certificate.
    Refused,
    /// For another reason, which says nothing of the client's certificate.
    Broken(String),
}

/// The connection, which ends for the handshake when its time is over.
#[derive(Debug)]
struct Bounded {
    tcp: TcpStream,
    deadline: Instant,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.tcp.set_read_timeout(Some(left))?;
        // What times out is an error here, and no invitation to try again.
        self.tcp.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
            _ => error,
        })
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// Goes through a handshake over `tcp`, says goodbye, and listens until the server does, `wait` at
/// most.
pub(super) fn handshake(
    tcp: TcpStream,
    wait: Duration,
    asked: &Asked<'_>,
) -> Result<Full, FrontError> {
    let Asked { version, suites, groups, server_name, signer, shown } = *asked;
    load_legacy();
    let mut builder = SslContextBuilder::new(SslMethod::tls_client())?;
    builder.set_security_level(0);
    builder.set_min_proto_version(Some(openssl_version(version)?))?;
    builder.set_max_proto_version(Some(openssl_version(version)?))?;
    set_suites(&mut builder, suites.iter().copied())?;
    builder.set_groups_list(&groups_list(groups)?)?;
    if let Some(signer) = signer {
        let schemes: Vec<_> = SCHEMES.into_iter().filter(|scheme| signer.uses(*scheme)).collect();
        builder.set_sigalgs_list(&schemes_list(&schemes)?)?;
    }
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
    let tcp = Bounded { tcp, deadline: Instant::now() + wait };
    let (chain, end) = match ssl.connect(tcp) {
        Ok(mut stream) => {
            let chain = chain(stream.ssl());
            (chain, hear_out(&mut stream, &tickets))
        }
        Err(HandshakeError::SetupFailure(stack)) => return Err(stack.into()),
        Err(HandshakeError::Failure(failed) | HandshakeError::WouldBlock(failed)) => {
            let (chain, error) = (chain(failed.ssl()), failed.error());
            let end = match by_peer(error) {
                true if !chain.is_empty() => End::Refused,
                _ => End::Broken(words(error)),
            };
            (chain, end)
        }
    };
    Ok(Full { chain, tickets: tickets.load(Ordering::Relaxed), end })
}

/// In `openssl`'s list of reasons alerts come from here on, and the end of the stream is this one.
const ALERTS: i32 = 1000;
const UNEXPECTED_EOF: i32 = 294;

/// Whether it was the other end that ended it.
fn by_peer(error: &Error) -> bool {
    let theirs = |reason: i32| reason >= ALERTS || reason == UNEXPECTED_EOF;
    match error.ssl_error() {
        Some(stack) => stack.errors().iter().any(|error| theirs(error.reason_code())),
        None => error.io_error().is_none_or(|error| error.kind() == ErrorKind::ConnectionReset),
    }
}

fn words(error: &Error) -> String {
    let first = error.ssl_error().and_then(|stack| stack.errors().first());
    first.and_then(|error| error.reason()).map_or_else(|| error.to_string(), str::to_owned)
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
/// good enough is known when the server ends, with an alert or without, or hands out a ticket.
fn hear_out(stream: &mut SslStream<Bounded>, tickets: &AtomicUsize) -> End {
    let _said = stream.shutdown();
    // Some servers wait for the end of the stream, whatever was said before it.
    let _gone = stream.get_ref().tcp.shutdown(Shutdown::Write);
    let mut buffer = [0; 1024];
    loop {
        match stream.ssl_read(&mut buffer) {
            Ok(_) => {}
            Err(error) if error.code() == ErrorCode::ZERO_RETURN => return End::Served,
            // An alert is a refusal, as is an end without a word where there was no ticket. A reset of
            // what was on its way is none.
            Err(error) if error.ssl_error().is_some() && by_peer(&error) => {
                let alert = error.ssl_error().is_some_and(|stack| {
                    stack.errors().iter().any(|error| error.reason_code() >= ALERTS)
                });
                let ticket = tickets.load(Ordering::Relaxed) > 0;
                return if ticket && !alert { End::Served } else { End::Refused };
            }
            Err(_) => return End::Served,
        }
    }
}
