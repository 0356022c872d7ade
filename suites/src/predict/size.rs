//! How long the broker's messages are, and in which records they come, RFC 5246 6.2.1.
//!
//! Certificates are the rig's own, so their length follows from the profile by the rules of DER
//! (X.690 8 and 11); an ECDSA signature varies by two bytes, and its middle length is taken.

use super::Case;
use super::certificate::{curve, is_sent, rsa_bits};
use super::offer::{Choice, group};
use crate::broker::{
    BrokerProfile, Certificate, ClientAuth, FragmentLength, Front, HashKind, KeyKind,
};
use tls_parser::{TlsCipherEncMode, TlsCipherKx, TlsCipherSuite};
use wire::message::Phase;
use wire::tls::ProtocolVersion;

/// `MBEDTLS_ERR_SSL_INVALID_RECORD`.
const INVALID_RECORD: &str = "-0x7200";
/// `MBEDTLS_ERR_SSL_BAD_INPUT_DATA`.
const BAD_INPUT: &str = "-0x7100";
/// `MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE`.
const NO_REASSEMBLY: &str = "-0x7080";

/// Type and length of a handshake message, RFC 5246 7.4.
const MESSAGE_HEADER: usize = 4;

/// A message that the client cannot take because of the records it comes in.
pub(super) struct Stumble {
    pub phase: Phase,
    pub error: &'static str,
    pub why: String,
}

/// The first such message, if there is one.
pub(super) fn stumble(case: &Case<'_>, choice: Choice) -> Option<Stumble> {
    let flight = flight(case, choice);
    let limit = record_limit(case);
    let content = case.build.content_length as usize;
    let total: usize = flight.iter().map(|(_, length)| length).sum();
    let mut at = 0;
    for (phase, length) in flight {
        // OpenSSL begins a record with each message, rustls sends the whole flight in one.
        let (offset, rest) = match case.broker.front == Front::Rustls {
            false => (0, length),
            true => (at % limit, total - (at - at % limit)),
        };
        let record = rest.min(limit);
        let stumble = |error, why| Some(Stumble { phase, error, why });
        let too_long = |what: &str, length: usize, room: usize| {
            format!("{what} of {length} bytes does not fit into the buffer of {room}")
        };
        if record > case.build.buffer() && !case.stack.measures_first {
            return stumble(BAD_INPUT, too_long("a record", record, content));
        }
        if record > content {
            return stumble(INVALID_RECORD, too_long("a record", record, content));
        }
        if offset + length > limit {
            let name = case.stack.name;
            if limit - offset < MESSAGE_HEADER {
                let why = format!(
                    "a record of {limit} bytes ends within a message's header, and {name} takes that for damage"
                );
                return stumble(INVALID_RECORD, why);
            }
            if !case.stack.reassembles {
                let why = format!(
                    "a message of {length} bytes spans records of {limit}, and {name} does not put it together"
                );
                return stumble(NO_REASSEMBLY, why);
            }
            // What is there of it, and then a whole record with its header.
            let (joined, room) = (joined(limit, offset, rest, length), case.build.buffer());
            if joined > room {
                let what =
                    format!("a message put together from records of {limit}, of {length} bytes,");
                return stumble(
                    BAD_INPUT,
                    format!("{what} needs {joined} bytes, and the buffer has {room}"),
                );
            }
        }
        at += length;
    }
    None
}

/// Most room that a message in records of `limit` bytes takes while it is put together
/// (`mbedtls_ssl_prepare_handshake_record` in `ssl_msg.c`): what came before stays, and the next
/// record is fetched behind it, header and all. The first record brings `limit - offset` bytes of it,
/// and the last one may hold more than this message.
fn joined(limit: usize, offset: usize, rest: usize, length: usize) -> usize {
    let mut have = limit - offset;
    let mut left = (rest - limit.min(rest)).max(length - have);
    let mut most = have;
    while have < length {
        let next = left.min(limit);
        most = most.max(have + crate::stream::RECORD_HEADER + next);
        have += next;
        left -= next;
    }
    most
}

/// Whether a record that begins with the Certificate message holds at least half of it.
pub(super) fn half_of_certificate_fits(case: &Case<'_>) -> bool {
    sent_certificate_message(case) / 2 < record_limit(case)
}

/// Longest record body that the broker sends: its own limit, or the one that the client asks for.
/// A broker that keeps to max_fragment_length (RFC 6066 4) takes the smaller of the two.
fn record_limit(case: &Case<'_>) -> usize {
    let honoured = case.broker.max_fragment_length == FragmentLength::Honoured;
    let asked = match case.hello.max_fragment_length {
        Some(code @ 1..=4) if honoured => 256 << code,
        _ => usize::from(u16::MAX),
    };
    asked.min(usize::from(case.broker.record_size)).max(1)
}

/// The messages from ServerHello to ServerHelloDone in bytes, each with the phase that takes it; in
/// TLS 1.3 those that are encrypted, because ServerHello has a record of its own.
fn flight(case: &Case<'_>, choice: Choice) -> Vec<(Phase, usize)> {
    if choice.version >= ProtocolVersion::TLS1_3 {
        return flight_13(case);
    }
    let mut flight = vec![(Phase::ServerHello, server_hello(case, choice))];
    if is_sent(choice.suite) {
        let length = sent_certificate_message(case);
        flight.push((Phase::ServerCertificate, length));
    }
    flight.extend(key_exchange(case, choice).map(|length| (Phase::ServerKeyExchange, length)));
    if case.broker.client_auth != ClientAuth::None {
        // Types, two dozen signature algorithms and the name of one authority.
        let request = MESSAGE_HEADER + 4 + 2 + 52 + 2 + 2 + name("Root rsa-2048");
        flight.push((Phase::CertificateRequest, request));
    }
    flight.push((Phase::ServerHelloDone, MESSAGE_HEADER));
    flight
}

/// RFC 8446 4.3 and 4.4. Each certificate has a list of extensions, which is empty.
fn flight_13(case: &Case<'_>) -> Vec<(Phase, usize)> {
    let wanted = &case.broker.certificate;
    let answers_name = usize::from(case.hello.server_name.is_some()) * 4;
    let mut flight = vec![(Phase::EncryptedExtensions, MESSAGE_HEADER + 2 + answers_name)];
    if case.broker.client_auth != ClientAuth::None {
        let request = MESSAGE_HEADER + 1 + 2 + 4 + 2 + 52 + 4 + 2 + 2 + name("Root rsa-2048");
        flight.push((Phase::CertificateRequest, request));
    }
    let extensions =
        1 + 2 * (1 + usize::from(wanted.intermediates) + usize::from(sends_root(case.broker)));
    flight.extend([
        (Phase::ServerCertificate, sent_certificate_message(case) + extensions),
        (Phase::CertificateVerify, MESSAGE_HEADER + 2 + 2 + signature(wanted.key)),
        (Phase::ServerFinished, MESSAGE_HEADER + 32),
    ]);
    flight
}

/// RFC 5246 7.4.1.3, with the extensions that both ends know.
fn server_hello(case: &Case<'_>, choice: Choice) -> usize {
    let (hello, broker) = (case.hello, case.broker);
    let asks = |kind: u16| hello.extensions.contains(&kind);
    let known = TlsCipherSuite::from_id(choice.suite.0);
    let cbc = known.is_some_and(|suite| suite.enc_mode == TlsCipherEncMode::Cbc);
    let ecdhe = known.is_some_and(|suite| suite.kx == TlsCipherKx::Ecdhe);
    let ticket = broker.tickets && asks(35);
    let openssl = broker.front.is_openssl();
    // OpenSSL leaves the session ID out where it gives a ticket (RFC 5077 3.4), rustls does not.
    let session_id = if broker.session_cache && !(openssl && ticket) { 32 } else { 0 };
    let extensions = [
        (true, 5),
        (ticket, 4),
        (openssl && cbc && broker.encrypt_then_mac && asks(22), 4),
        (broker.extended_master_secret && asks(23), 4),
        (openssl && hello.max_fragment_length.is_some(), 5),
        (openssl && ecdhe && asks(11), 6),
    ];
    let extensions: usize = extensions.iter().filter(|(sent, _)| *sent).map(|(_, size)| size).sum();
    MESSAGE_HEADER + 2 + 32 + 1 + session_id + 2 + 1 + 2 + extensions
}

/// ServerKeyExchange of RFC 5246 7.4.3 and RFC 8422 5.4; static RSA has none.
fn key_exchange(case: &Case<'_>, choice: Choice) -> Option<usize> {
    let params = match TlsCipherSuite::from_id(choice.suite.0)?.kx {
        TlsCipherKx::Ecdhe => 4 + point(group(case, choice.suite)?.0),
        TlsCipherKx::Dhe => {
            let prime = usize::from(case.broker.dh_bits / 8);
            2 + prime + 2 + 1 + 2 + prime
        }
        _ => return None,
    };
    let algorithm = if choice.version >= ProtocolVersion::TLS1_2 { 2 } else { 0 };
    Some(MESSAGE_HEADER + params + algorithm + 2 + signature(case.broker.certificate.key))
}

/// A public key on a curve, uncompressed, or of X25519 and X448.
fn point(group: u16) -> usize {
    match group {
        19 | 18 => 49,
        20 | 21 => 57,
        24 | 27 => 97,
        25 => 133,
        28 => 129,
        29 => 32,
        30 => 56,
        _ => 65,
    }
}

/// Length of the broker's Certificate message: that of its chain, and where a product is given the
/// authority's own certificate to check clients with, that one, too.
fn sent_certificate_message(case: &Case<'_>) -> usize {
    let wanted = &case.broker.certificate;
    let root = match sends_root(case.broker) {
        true => 3 + authority(wanted.issuer_key),
        false => 0,
    };
    certificate_message(wanted) + root
}

/// Length of the Certificate message, RFC 5246 7.4.2: the certificate, and those between it and the
/// authority.
#[must_use]
pub fn certificate_message(wanted: &Certificate) -> usize {
    if let Some(bytes) = wanted.message_bytes {
        return usize::from(bytes);
    }
    let above: usize = (1..=wanted.intermediates).map(|n| 3 + intermediate(wanted, n)).sum();
    MESSAGE_HEADER + 3 + 3 + certificate(wanted) + above
}

/// OpenSSL and Erlang complete the chain that they send with what they are given to check clients
/// with. Mosquitto is given it only where it asks clients for certificates.
fn sends_root(broker: &BrokerProfile) -> bool {
    match broker.front {
        Front::Openssl | Front::Rustls => false,
        Front::Aedes | Front::Rabbitmq => true,
        Front::Mosquitto => broker.client_auth != ClientAuth::None,
    }
}

/// An authority's own certificate: basic constraints, key usage, and its key's identifier.
fn authority(key: KeyKind) -> usize {
    let extensions = [
        der(der(3) + der(1) + der(der(der(1)))),
        der(der(3) + der(1) + der(der(2))),
        der(der(3) + der(der(20))),
    ];
    let algorithm = pkcs1_or_ecdsa(key, HashKind::Sha256);
    let name = name(&format!("Root {}", key.as_str()));
    let tbs = der(der(1))
        + der(16)
        + algorithm
        + name
        + der(2 * der(15))
        + name
        + public_key(key)
        + der(der(extensions.iter().sum()));
    der(der(tbs) + algorithm + der(1 + signature(key)))
}

fn intermediate_name(wanted: &Certificate, number: u8) -> String {
    format!("Intermediate {number} {}", wanted.issuer_key.as_str())
}

/// The name of who signed the certificate that stands below `number` intermediates.
fn issuer_name(wanted: &Certificate, number: u8) -> String {
    match number {
        0 => format!("Root {}", wanted.issuer_key.as_str()),
        number => intermediate_name(wanted, number),
    }
}

/// An authority's certificate: basic constraints, key usage, and the keys' identifiers.
fn intermediate(wanted: &Certificate, number: u8) -> usize {
    let algorithm = algorithm(wanted);
    let extensions = [
        der(der(3) + der(1) + der(der(der(1)))),
        der(der(3) + der(1) + der(der(2))),
        der(der(3) + der(der(20))),
        der(der(3) + der(der(der(20)))),
    ];
    let tbs = der(der(1))
        + der(16)
        + algorithm
        + name(&issuer_name(wanted, number - 1))
        + der(2 * der(15))
        + name(&intermediate_name(wanted, number))
        + public_key(wanted.issuer_key)
        + der(der(extensions.iter().sum()));
    der(der(tbs) + algorithm + der(1 + signature(wanted.issuer_key)))
}

/// The name of a signature's algorithm; of RSASSA-PSS with hash, mask and length of the salt, RFC
/// 4055 3.1.
fn algorithm(wanted: &Certificate) -> usize {
    if wanted.pss {
        let hash = der(der(9) + der(0));
        let mask = der(der(9) + hash);
        return der(der(9) + der(der(hash) + der(mask) + der(der(1))));
    }
    pkcs1_or_ecdsa(wanted.issuer_key, wanted.hash)
}

/// RFC 3279 2.2 and RFC 8410 3.
fn pkcs1_or_ecdsa(key: KeyKind, hash: HashKind) -> usize {
    match (key, hash) {
        (key, _) if key.is_rsa() => der(der(9) + der(0)),
        (KeyKind::Ed25519, _) => der(der(3)),
        (_, HashKind::Sha1) => der(der(7)),
        _ => der(der(8)),
    }
}

/// A value of this many bytes with its tag and length.
fn der(length: usize) -> usize {
    let more = match length {
        0..=0x7f => 0,
        0x80..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 3,
    };
    2 + more + length
}

fn name(common: &str) -> usize {
    let part = |text: &str| der(der(der(3) + der(text.len())));
    der(part("TLS rig, for tests only") + part(common))
}

fn certificate(wanted: &Certificate) -> usize {
    let algorithm = algorithm(wanted);
    let issuer = issuer_name(wanted, wanted.intermediates);
    let key_usage = der(der(3) + der(1) + der(der(2)));
    let extensions = [
        der(der(3) + der(der(0))),
        key_usage,
        der(der(3) + der(der(der(8)))),
        der(der(3) + der(der(der(wanted.name.len())))),
        der(der(3) + der(der(20))),
        der(der(3) + der(der(der(20)))),
    ];
    let tbs = der(der(1))
        + der(16)
        + algorithm
        + name(&issuer)
        + der(2 * der(15))
        + name(&wanted.name)
        + public_key(wanted.key)
        + der(der(extensions.iter().sum()));
    der(der(tbs) + algorithm + der(1 + signature(wanted.issuer_key)))
}

fn public_key(key: KeyKind) -> usize {
    match (rsa_bits(key), curve(key)) {
        (Some(bits), _) => {
            let modulus = der(bits as usize / 8 + 1);
            der(der(der(9) + der(0)) + der(1 + der(modulus + der(3))))
        }
        (_, Some(curve)) => {
            let identifier = if curve.0 == 23 { der(8) } else { der(5) };
            der(der(der(7) + identifier) + der(1 + point(curve.0)))
        }
        (None, None) => der(der(der(3)) + der(1 + 32)),
    }
}

fn signature(key: KeyKind) -> usize {
    match key {
        KeyKind::EcdsaP256 => 71,
        KeyKind::EcdsaP384 => 103,
        KeyKind::Ed25519 => 64,
        rsa => rsa_bits(rsa).unwrap_or_default() as usize / 8,
    }
}
