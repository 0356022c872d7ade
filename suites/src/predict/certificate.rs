//! The client's check of the broker's certificate, RFC 5280 6 as mbedTLS does it.

use super::Case;
use super::stack::Build;
use crate::broker::{Authority, HashKind, KeyKind, Validity};
use crate::profile::{ClientCa, ClientHostName};
use tls_parser::{TlsCipherAu, TlsCipherKx, TlsCipherSuite};
use wire::message::{Preset, Verify};
use wire::tls::{CipherSuite, NamedGroup};

/// Flags of `mbedtls_ssl_get_verify_result`: `MBEDTLS_X509_BADCERT_*` in mbedTLS's `x509.h`.
const EXPIRED: u32 = 0x0001;
const NOT_TRUSTED: u32 = 0x0008;
const FUTURE: u32 = 0x0200;
const CN_MISMATCH: u32 = 0x0004;
const BAD_MD: u32 = 0x4000;
const BAD_PK: u32 = 0x8000;
const BAD_KEY: u32 = 0x1_0000;

/// `MBEDTLS_ERR_X509_CERT_VERIFY_FAILED`.
const VERIFY_FAILED: &str = "-0x2700";
/// `MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG` and `MBEDTLS_ERR_OID_NOT_FOUND`.
pub(super) const UNKNOWN_SIGNATURE: &str = "-0x262E";
/// `MBEDTLS_ERR_SSL_CA_CHAIN_REQUIRED`.
const CA_REQUIRED: &str = "-0x7680";
/// `MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE`.
const BAD_CERTIFICATE: &str = "-0x7A00";

/// `MBEDTLS_ERR_X509_INVALID_ALG`.
const INVALID_ALGORITHM: &str = "-0x2300";

/// `MBEDTLS_X509_MAX_INTERMEDIATE_CA`.
pub(super) const MAX_INTERMEDIATES: u8 = 8;

/// What the check leaves.
pub(super) struct Checked {
    /// Flags other than 0, as [`crate::Outcome::verify_flags`] has them.
    pub flags: Option<String>,
    /// The error, if the client gives up.
    pub error: Option<&'static str>,
    /// For the trace, one clause.
    pub why: String,
}

/// Whether a certificate that is signed with a key of this kind can be parsed.
pub(super) fn can_read(build: &Build, issuer: KeyKind) -> bool {
    match issuer {
        KeyKind::EcdsaP256 | KeyKind::EcdsaP384 => build.macros.has("ECDSA_C"),
        // No version of mbedTLS has EdDSA.
        KeyKind::Ed25519 => false,
        rsa => rsa.is_rsa() && build.macros.has("RSA_C"),
    }
}

/// Bits of an RSA key.
pub(super) fn rsa_bits(key: KeyKind) -> Option<u32> {
    Some(match key {
        KeyKind::Rsa1024 => 1024,
        KeyKind::Rsa2048 => 2048,
        KeyKind::Rsa3072 => 3072,
        KeyKind::Rsa4096 => 4096,
        KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::Ed25519 => return None,
    })
}

/// The curve of an EC key.
pub(super) fn curve(key: KeyKind) -> Option<NamedGroup> {
    match key {
        KeyKind::EcdsaP256 => Some(NamedGroup(23)),
        KeyKind::EcdsaP384 => Some(NamedGroup(24)),
        _ => None,
    }
}

/// Whether a broker that chooses `suite` sends a certificate: not where a pre-shared key alone
/// proves who it is, RFC 4279 2 and RFC 5489 2.
pub(super) fn is_sent(suite: CipherSuite) -> bool {
    TlsCipherSuite::from_id(suite.0)
        .is_none_or(|suite| suite.au != TlsCipherAu::Psk || suite.kx == TlsCipherKx::Rsa)
}

/// Whether the client's CA is not the one that signed.
fn is_unknown(case: &Case<'_>) -> bool {
    case.profile.ca == ClientCa::Other || case.broker.certificate.authority == Authority::Unknown
}

/// What the client makes of the broker's certificate.
pub(super) fn check(case: &Case<'_>) -> Checked {
    let passes = |why: &str| Checked { flags: None, error: None, why: why.to_owned() };
    let fails = |flags, error, why| Checked { flags, error: Some(error), why };
    let verify = case.profile.verify;
    let issuer = case.broker.certificate.issuer_key;
    // Without RSASSA-PSS its OID (RFC 4055 3.1) still stands for a signature without parameters, and
    // it has some: `mbedtls_x509_get_sig_alg` in `x509.c`.
    if case.broker.certificate.pss && !case.build.macros.has("X509_RSASSA_PSS_SUPPORT") {
        let why = "it is signed with RSASSA-PSS, and the client is built without it";
        return fails(None, INVALID_ALGORITHM, why.to_owned());
    }
    // `mbedtls_ssl_parse_certificate` goes on after such a certificate, and without verification
    // nothing sets another error before it returns.
    if verify == Verify::None && !can_read(case.build, issuer) {
        let why = format!("its signature, by a key of kind {}, is unknown here", issuer.as_str());
        return fails(None, UNKNOWN_SIGNATURE, why);
    }
    if verify == Verify::None {
        return passes("MBEDTLS_SSL_VERIFY_NONE: the certificate is not checked");
    }
    if case.profile.ca == ClientCa::None {
        let why = "verification is on, and no CA is set";
        return fails(None, CA_REQUIRED, why.to_owned());
    }
    // `x509_crt_verify_child` in `x509_crt.c` gives up, and raises no flag.
    if case.broker.certificate.intermediates > MAX_INTERMEDIATES {
        let why = format!(
            "{} certificates stand between it and the CA, and mbedTLS follows {MAX_INTERMEDIATES}",
            case.broker.certificate.intermediates
        );
        return fails(None, VERIFY_FAILED, why);
    }
    let found = findings(case);
    let flags = found.iter().fold(0, |flags, (flag, _)| flags | flag);
    let text = (flags != 0).then(|| format!("{flags:#010x}"));
    let words: Vec<_> = found.iter().map(|(_, why)| why.as_str()).collect();
    let words = words.join("; ");
    match (text, verify) {
        (Some(text), Verify::Required) => {
            fails(Some(text.clone()), VERIFY_FAILED, format!("flags {text}: {words}"))
        }
        (Some(text), _) => Checked {
            flags: Some(text.clone()),
            ..passes(&format!("MBEDTLS_SSL_VERIFY_OPTIONAL lets it pass; flags {text}: {words}"))
        },
        (None, Verify::Required) if !curve_is_offered(case) => {
            let why = "the curve of its key is not among those that the client offers";
            fails(None, BAD_CERTIFICATE, why.to_owned())
        }
        (None, _) => passes("the certificate holds against the client's CA"),
    }
}

/// `mbedtls_ssl_check_curve`, asked for any EC key after the check itself.
fn curve_is_offered(case: &Case<'_>) -> bool {
    let groups = case.hello.groups.as_ref();
    curve(case.broker.certificate.key)
        .is_none_or(|curve| groups.is_some_and(|groups| groups.contains(&curve)))
}

/// Every flag that is raised, and why.
fn findings(case: &Case<'_>) -> Vec<(u32, String)> {
    let certificate = &case.broker.certificate;
    let mut found = Vec::new();
    let named = match case.profile.host_name {
        ClientHostName::NotSet | ClientHostName::Null => true,
        ClientHostName::Broker => case.broker.host_name == certificate.name,
        ClientHostName::Wrong => false,
    };
    if !named {
        found.push((CN_MISMATCH, "the certificate is for another host name".to_owned()));
    }
    let date = match certificate.validity {
        Validity::Now => None,
        Validity::Expired => Some((EXPIRED, "the certificate has expired")),
        Validity::NotYet => Some((FUTURE, "the certificate is not valid yet")),
    };
    // The only time that a client could go by.
    if let Some((flag, why)) = date.filter(|_| case.build.macros.has("HAVE_TIME_DATE")) {
        found.push((flag, why.to_owned()));
    }
    let unknown = is_unknown(case);
    if unknown {
        found.push((NOT_TRUSTED, "the client's CA did not sign it".to_owned()));
    }
    let (hash, issuer) = (certificate.hash, certificate.issuer_key);
    if case.profile.preset == Preset::SuiteB {
        suite_b(case, &mut found);
        return found;
    }
    // Ed25519 signs without a hash of ours, and no client gets as far as to look at one.
    if hash < case.stack.weakest_hash && issuer != KeyKind::Ed25519 {
        let why = format!("it is signed with {}, too weak a hash", hash.as_str());
        found.push((BAD_MD, why));
    }
    for (whose, key) in [("its", certificate.key), ("its CA's", issuer)] {
        // No CA was found whose key there could be.
        if unknown && whose != "its" {
            continue;
        }
        if let Some(bits) = rsa_bits(key).filter(|bits| *bits < case.stack.shortest_rsa) {
            found.push((BAD_KEY, format!("{whose} RSA key of {bits} bits is too short")));
        }
    }
    found
}

/// `mbedtls_x509_crt_profile_suiteb`: SHA-256 and SHA-384, ECDSA, P-256 and P-384.
fn suite_b(case: &Case<'_>, found: &mut Vec<(u32, String)>) {
    let certificate = &case.broker.certificate;
    if case.stack.suite_b_refuses_all {
        let why = format!(
            "the Suite B certificate profile of {} refuses every kind of key",
            case.stack.name
        );
        found.push((BAD_PK, why));
    } else if certificate.key.is_rsa() || certificate.issuer_key.is_rsa() {
        found.push((BAD_PK, "Suite B allows no RSA key in a certificate".to_owned()));
    }
    if !matches!(certificate.hash, HashKind::Sha256 | HashKind::Sha384) {
        let why = format!("Suite B allows no {} in a signature", certificate.hash.as_str());
        found.push((BAD_MD, why));
    }
}
