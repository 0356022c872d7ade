//! The broker's choice: version, then suite, filter by filter; or its refusal.
//!
//! RFC 5246 7.4.1.2 and E.1, RFC 8446 4.1.1 and 4.2.1, RFC 8422 4; where a library has ways of its
//! own they are named.

use super::certificate::{curve, rsa_bits};
use super::stack::Lack;
use super::{Case, Elimination, Filter, suite_text};
use crate::broker::{Front, KeyKind, OnReject, Sni, is_tls13};
use crate::names::{group_name, signature_scheme_text};
use tls_parser::{TlsCipherAu, TlsCipherEnc, TlsCipherKx, TlsCipherMac, TlsCipherSuite};
use wire::message::Preset;
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;
const INSUFFICIENT_SECURITY: u8 = 71;
const UNRECOGNIZED_NAME: u8 = 112;
/// `ed25519` in signature_algorithms, RFC 8422 5.1.3.
const ED25519: u16 = 0x0807;

/// What the broker answers with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub version: ProtocolVersion,
    pub suite: CipherSuite,
}

/// The broker does not go on.
pub(super) struct Refusal {
    /// The alert it says; none if its library closes without one.
    pub alert: Option<u8>,
    /// Version in the header of the alert's record.
    pub record: ProtocolVersion,
    pub why: String,
}

/// The broker's answer, and what became of each suite.
pub(super) fn answer(case: &Case<'_>) -> (Result<Choice, Refusal>, Vec<Elimination>) {
    let version = match before_suites(case).map_or_else(|| version(case), Err) {
        Ok(version) => version,
        Err(refusal) => return (Err(refusal), Vec::new()),
    };
    let (trace, chosen) = trace(case, version);
    let answer = match chosen {
        Some(suite) => match unsigned(case, version) {
            // It says nothing; in TLS 1.3 an alert, encrypted, and behind its ServerHello.
            Some(why) if version < ProtocolVersion::TLS1_3 || closes(case) => {
                Err(Refusal { alert: None, record: ProtocolVersion::TLS1_2, why })
            }
            _ => Ok(Choice { version, suite }),
        },
        None => Err(Refusal {
            alert: Some(no_suite_alert(case)),
            record: alert_version(case, version),
            why: nothing_shared(case, &trace),
        }),
    };
    (answer, trace)
}

fn closes(case: &Case<'_>) -> bool {
    case.broker.on_reject == OnReject::Close
}

/// Erlang's TLS says insufficient_security where others say what the profile holds.
fn no_suite_alert(case: &Case<'_>) -> u8 {
    match case.broker.front {
        Front::Rabbitmq => INSUFFICIENT_SECURITY,
        _ => case.broker.no_suite_alert.0,
    }
}

/// rustls alone writes its own version into the header of an early alert.
fn alert_version(case: &Case<'_>, negotiated: ProtocolVersion) -> ProtocolVersion {
    let rustls = case.broker.front == Front::Rustls;
    if rustls { ProtocolVersion::TLS1_2 } else { negotiated.min(ProtocolVersion::TLS1_2) }
}

/// What is looked at before version and suites.
fn before_suites(case: &Case<'_>) -> Option<Refusal> {
    let (broker, hello) = (case.broker, case.hello);
    if broker.sni == Sni::Required && hello.server_name.is_none() {
        return Some(Refusal {
            alert: Some(UNRECOGNIZED_NAME),
            record: ProtocolVersion::TLS1_2,
            why:
                "the broker serves nobody who names no server, and the client sends no server_name"
                    .to_owned(),
        });
    }
    // rustls, `server/hs.rs`: SignatureAlgorithmsExtensionRequired, before it looks at the version.
    if broker.front == Front::Rustls && hello.signature_algorithms.is_none() {
        return Some(Refusal {
            alert: Some(HANDSHAKE_FAILURE),
            record: ProtocolVersion::TLS1_2,
            why: "rustls demands signature_algorithms, which a client capped below TLS1.2 does not send"
                .to_owned(),
        });
    }
    None
}

/// The highest version that both have.
fn version(case: &Case<'_>) -> Result<ProtocolVersion, Refusal> {
    let (broker, hello) = (case.broker, case.hello);
    // OpenSSL's `ssl_security_default_callback`: from level 1 on nothing below TLS 1.2.
    let strict = broker.front.is_openssl() && broker.security_level > 0;
    let lowest = match strict {
        true => broker.min_version.max(ProtocolVersion::TLS1_2),
        false => broker.min_version,
    };
    if lowest > broker.max_version {
        return Err(Refusal {
            // Said before the ClientHello is read (`tls_setup_handshake` in `statem_lib.c`), so in
            // a record of no version of the client's.
            alert: Some(PROTOCOL_VERSION),
            record: ProtocolVersion::TLS1_2,
            why: format!(
                "security_level {} forbids every version that the broker is told to serve",
                broker.security_level
            ),
        });
    }
    let offered = |version: &ProtocolVersion| match &hello.supported_versions {
        Some(list) => list.contains(version),
        // RFC 5246 E.1: one number stands for everything below it. TLS 1.3 is never meant by it.
        None => *version <= hello.version.min(ProtocolVersion::TLS1_2),
    };
    let known = [
        ProtocolVersion::TLS1_3,
        ProtocolVersion::TLS1_2,
        ProtocolVersion::TLS1_1,
        ProtocolVersion::TLS1_0,
    ];
    let served = |version: &ProtocolVersion| (lowest..=broker.max_version).contains(version);
    known.into_iter().filter(served).find(offered).ok_or_else(|| Refusal {
        alert: Some(PROTOCOL_VERSION),
        record: alert_version(case, hello.version),
        why: format!(
            "the client offers at most {}, and the broker serves nothing below {lowest}",
            hello.highest_version()
        ),
    })
}

/// Whether a client has to be asked again for the public key of `group` (HelloRetryRequest, RFC 8446
/// 4.1.4), because its first hello brings those of other groups.
pub(super) fn is_asked_again(case: &Case<'_>, group: NamedGroup) -> bool {
    case.hello.key_shares.as_ref().is_some_and(|shares| !shares.contains(&group))
}

/// Why a suite is out; `None` if the filter lets it through.
type Check = fn(&Case<'_>, ProtocolVersion, CipherSuite) -> Option<String>;

/// Every filter for a suite that both ends list, in the order in which they are asked.
const FILTERS: [(Filter, Check); 6] = [
    (Filter::Version, of_version),
    (Filter::KeyExchange, can_exchange),
    (Filter::CertificateKeyType, fits_certificate),
    (Filter::Group, has_group),
    (Filter::SignatureAlgorithm, can_sign),
    (Filter::SecurityLevel, is_strong),
];

fn trace(case: &Case<'_>, version: ProtocolVersion) -> (Vec<Elimination>, Option<CipherSuite>) {
    let offered: Vec<_> = case.hello.usable_suites().collect();
    let served = &case.broker.cipher_suites;
    let out = |suite: CipherSuite| {
        FILTERS.iter().find_map(|(filter, check)| Some((*filter, check(case, version, suite)?)))
    };
    let shared = |suite: &CipherSuite| offered.contains(suite) && served.contains(suite);
    let usable = |suite: &CipherSuite| shared(suite) && out(*suite).is_none();
    let (order, whose, losing) = match case.broker.server_order {
        true => (served, "broker", Filter::ServerOrder),
        false => (&offered, "client", Filter::ClientOrder),
    };
    let chosen = order.iter().copied().find(usable);
    let mut lines: Vec<Elimination> = Vec::new();
    for suite in offered.iter().chain(served.iter().filter(|suite| !offered.contains(suite))) {
        let (filter, why) = match (offered.contains(suite), served.contains(suite)) {
            (true, false) => (Some(Filter::NotServed), "the broker does not serve it".to_owned()),
            (false, _) => {
                let (filter, why) = not_offered(case, *suite);
                (Some(filter), why)
            }
            (true, true) => match (out(*suite), chosen) {
                (Some((filter, why)), _) => (Some(filter), why),
                (None, Some(chosen)) if chosen != *suite => (
                    Some(losing),
                    format!("usable, but {chosen} comes before it in the {whose}'s list"),
                ),
                _ => (None, format!("chosen: the first usable one in the {whose}'s list")),
            },
        };
        lines.push(Elimination { suite: suite.to_string(), out: filter, why });
    }
    (lines, chosen)
}

/// Why the client leaves a suite out that the broker serves.
fn not_offered(case: &Case<'_>, suite: CipherSuite) -> (Filter, String) {
    match case.build.lacks_for(suite) {
        Some(lack @ Lack::KeyExchange(_)) => {
            (Filter::KeyExchange, format!("the client is built without {lack}"))
        }
        Some(lack @ Lack::Cipher(_)) => {
            (Filter::Cipher, format!("the client is built without {lack}"))
        }
        None if case.profile.cipher_suites.is_some() => {
            (Filter::NotOffered, "the client's suite list leaves it out".to_owned())
        }
        None if case.profile.preset == Preset::SuiteB => {
            (Filter::NotOffered, "MBEDTLS_SSL_PRESET_SUITEB leaves it out".to_owned())
        }
        None => (
            Filter::NotOffered,
            "the client has it, but leaves it out by default or for the versions that it may use"
                .to_owned(),
        ),
    }
}

/// The one sentence on a failed choice.
fn nothing_shared(case: &Case<'_>, trace: &[Elimination]) -> String {
    if case.hello.usable_suites().next().is_none() {
        return "the ClientHello offers no cipher suite".to_owned();
    }
    let shared = |line: &&Elimination| {
        !matches!(
            line.out,
            Some(Filter::NotServed | Filter::NotOffered | Filter::KeyExchange | Filter::Cipher)
        )
    };
    match trace.iter().find(shared) {
        Some(line) => format!("no shared suite is usable: {}: {}", line.suite, line.why),
        None => "client and broker have no suite in common".to_owned(),
    }
}

/// Suites with AEAD or a hash of their own came with TLS 1.2, RFC 5246 A.5.
fn of_version(_: &Case<'_>, version: ProtocolVersion, suite: CipherSuite) -> Option<String> {
    let new = is_tls13(suite);
    if new != (version >= ProtocolVersion::TLS1_3) {
        let belongs = if new { "TLS1.3" } else { "TLS1.2 and older" };
        return Some(format!("a suite of {belongs}, and {version} is negotiated"));
    }
    let known = TlsCipherSuite::from_id(suite.0)?;
    let needs_tls12 = !matches!(known.mac, TlsCipherMac::HmacSha1 | TlsCipherMac::HmacMd5);
    (needs_tls12 && version < ProtocolVersion::TLS1_2)
        .then(|| format!("came with TLS1.2, and {version} is negotiated"))
}

/// PSK needs a key that is agreed on, RFC 4279.
fn can_exchange(case: &Case<'_>, _: ProtocolVersion, suite: CipherSuite) -> Option<String> {
    let known = TlsCipherSuite::from_id(suite.0)?;
    let psk = known.kx == TlsCipherKx::Psk || known.au == TlsCipherAu::Psk;
    (psk && case.broker.psk.is_none()).then(|| "the broker holds no pre-shared key".to_owned())
}

/// RFC 5246 7.4.2: the certificate's key must be of the kind that the suite authenticates with.
fn fits_certificate(case: &Case<'_>, _: ProtocolVersion, suite: CipherSuite) -> Option<String> {
    let known = TlsCipherSuite::from_id(suite.0)?;
    let key = case.broker.certificate.key;
    let wants_rsa = match known.au {
        TlsCipherAu::Rsa => true,
        TlsCipherAu::Ecdsa => false,
        _ => return None,
    };
    let kind = if wants_rsa { "RSA" } else { "EC" };
    (key.is_rsa() != wants_rsa)
        .then(|| format!("needs an {kind} key, and the broker's certificate has {}", key.as_str()))
}

/// RFC 8422 4 and 5.1: a group for the exchange, and the curve of the certificate's key. Only
/// OpenSSL (`tls1_check_cert_param` in `t1_lib.c`) looks at the latter before it chooses.
fn has_group(case: &Case<'_>, _: ProtocolVersion, suite: CipherSuite) -> Option<String> {
    let known = TlsCipherSuite::from_id(suite.0)?;
    if !matches!(known.kx, TlsCipherKx::Ecdhe | TlsCipherKx::Tls13) {
        return None;
    }
    let wanted = case.broker.groups_for(suite);
    if group(case, suite).is_none() {
        return Some(format!(
            "the broker uses it with {} alone, which the client does not offer",
            names(wanted)
        ));
    }
    let key = curve(case.broker.certificate.key)?;
    let offered = case.hello.groups.as_ref()?;
    (case.broker.front.is_openssl() && !offered.contains(&key)).then(|| {
        format!("the certificate's key is on {}, which the client does not offer", names(&[key]))
    })
}

/// The group that the broker takes for `suite`: OpenSSL in the order that decides on suites, too,
/// rustls in the client's. A client that names none leaves the choice to an OpenSSL server (RFC
/// 8422 4); rustls then does without ECDHE.
pub(super) fn group(case: &Case<'_>, suite: CipherSuite) -> Option<NamedGroup> {
    let wanted = case.broker.groups_for(suite);
    let openssl = case.broker.front.is_openssl();
    let Some(offered) = &case.hello.groups else {
        return wanted.first().copied().filter(|_| openssl);
    };
    let shared = |first: &[NamedGroup], second: &[NamedGroup]| {
        first.iter().copied().find(|group| second.contains(group))
    };
    let (first, second): (&[NamedGroup], &[NamedGroup]) = match openssl && case.broker.server_order
    {
        true => (wanted, offered),
        false => (offered, wanted),
    };
    // In TLS 1.3 a group whose key is at hand comes before a better one that has to be asked for.
    let at_hand = || {
        let shares = case.hello.key_shares.as_ref().filter(|_| is_tls13(suite))?;
        first.iter().copied().find(|group| shares.contains(group) && second.contains(group))
    };
    at_hand().or_else(|| shared(first, second))
}

pub(super) fn names(groups: &[NamedGroup]) -> String {
    let name =
        |group: &NamedGroup| group_name(*group).map_or_else(|| group.to_string(), str::to_owned);
    groups.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// RFC 5246 7.4.1.4.1: the broker signs with an algorithm that the client lists. OpenSSL asks for
/// one even where nothing is signed (`tls_choose_sigalg` in `t1_lib.c`).
fn can_sign(case: &Case<'_>, version: ProtocolVersion, suite: CipherSuite) -> Option<String> {
    let known = TlsCipherSuite::from_id(suite.0)?;
    if version < ProtocolVersion::TLS1_2 || known.au == TlsCipherAu::Psk {
        return None;
    }
    case.hello.signature_algorithms.as_ref()?;
    let key = case.broker.certificate.key;
    if case.broker.front == Front::Rustls {
        // It finds out only after it has chosen, see `unsigned`.
        return None;
    }
    signature(case, version).is_none().then(|| match &case.broker.signature_algorithms {
        Some(own) => {
            let own: Vec<_> = own.iter().map(|scheme| signature_scheme_text(*scheme)).collect();
            format!(
                "the client lists none of the broker's signature algorithms for a key of kind {}: {}",
                key.as_str(),
                own.join(", ")
            )
        }
        None => {
            format!("the client lists no signature algorithm for a key of kind {}", key.as_str())
        }
    })
}

/// The algorithm with which the broker proves that it has its key: one that both ends list. OpenSSL
/// goes by the order that decides on suites, others by the client's.
pub(super) fn signature(case: &Case<'_>, version: ProtocolVersion) -> Option<u16> {
    let listed = case.hello.signature_algorithms.as_ref()?;
    let own = case.broker.signature_algorithms.as_deref();
    let key = case.broker.certificate.key;
    let fits = |scheme: &u16| match case.broker.front {
        Front::Rustls => rustls_signs(key, *scheme, version),
        _ => signs(key, *scheme, version),
    };
    let shared = |scheme: &u16| {
        listed.contains(scheme) && own.is_none_or(|own| own.contains(scheme)) && fits(scheme)
    };
    let theirs = case.broker.front.is_openssl() && case.broker.server_order;
    let first = theirs.then(|| {
        let order = own.unwrap_or(&OPENSSL_ORDER).iter().copied();
        order.into_iter().find(shared)
    });
    first.flatten().or_else(|| listed.iter().copied().find(shared))
}

/// OpenSSL's own list of signature algorithms as far as keys of ours can make them, `tls12_sigalgs`
/// in `t1_lib.c`.
const OPENSSL_ORDER: [u16; 10] =
    [0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601];

/// Whether a key can make signatures of this algorithm: the low byte of a TLS 1.2 pair is the kind
/// of signature, and RFC 8446 4.2.3 gave PSS and EdDSA numbers that are no pairs. In TLS 1.3 PKCS #1
/// signatures are for certificates alone, SHA-1 is gone, and each curve has its hash.
fn signs(key: KeyKind, algorithm: u16, version: ProtocolVersion) -> bool {
    let new = version >= ProtocolVersion::TLS1_3;
    let pss = (0x0804..=0x0806).contains(&algorithm);
    match key {
        KeyKind::Ed25519 => algorithm == ED25519,
        key if rsa_bits(key).is_some() => pss || (!new && algorithm & 0xff == 1),
        KeyKind::EcdsaP256 if new => algorithm == 0x0403,
        KeyKind::EcdsaP384 if new => algorithm == 0x0503,
        _ => algorithm & 0xff == 3,
    }
}

/// rustls knows no SHA-1, and each curve has its hash in TLS 1.2 as well (`sign.rs` of its `ring`
/// provider).
fn rustls_signs(key: KeyKind, algorithm: u16, version: ProtocolVersion) -> bool {
    let version = if key.is_rsa() { version } else { ProtocolVersion::TLS1_3 };
    signs(key, algorithm, version) && (algorithm >> 8) >= 4
}

/// SSL_CTX_set_security_level(3): RC4 goes at level 2, static RSA at level 3.
fn is_strong(case: &Case<'_>, _: ProtocolVersion, suite: CipherSuite) -> Option<String> {
    let known = TlsCipherSuite::from_id(suite.0)?;
    let level = case.broker.security_level;
    let least = match (known.enc, known.kx) {
        (TlsCipherEnc::Rc4, _) => 2,
        (_, TlsCipherKx::Rsa | TlsCipherKx::Psk) | (TlsCipherEnc::TripleDes, _) => 3,
        _ => return None,
    };
    (case.broker.front.is_openssl() && level >= least)
        .then(|| format!("OpenSSL's security level {level} forbids it"))
}

/// rustls chooses a suite first and then finds that it cannot sign. Why, if it is so.
pub(super) fn unsigned(case: &Case<'_>, version: ProtocolVersion) -> Option<String> {
    case.hello.signature_algorithms.as_ref()?;
    let stuck = case.broker.front == Front::Rustls && signature(case, version).is_none();
    stuck.then(|| {
        format!(
            "the client lists no signature algorithm that rustls has for a key of kind {}, which it \
             finds out when it is to sign",
            case.broker.certificate.key.as_str()
        )
    })
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} with {}", self.version, suite_text(self.suite))
    }
}
