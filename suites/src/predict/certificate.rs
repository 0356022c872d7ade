//! The client's check of the broker's certificate, RFC 5280 6 as mbedTLS does it.

use super::Case;
use super::stack::Build;
use crate::broker::{Authority, HashKind, KeyKind, Validity};
use crate::profile::{ClientCa, ClientHostName};
use tls_parser::{TlsCipherAu, TlsCipherKx, TlsCipherSuite};
use wire::message::{Preset, Verify};
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

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

/// `MBEDTLS_ERR_SSL_CERTIFICATE_VERIFICATION_WITHOUT_HOSTNAME`.
const NO_HOST_NAME: &str = "-0x5D80";
/// `MBEDTLS_ERR_SSL_INTERNAL_ERROR`.
pub(super) const INTERNAL_ERROR: &str = "-0x6C00";
/// `MBEDTLS_ERR_X509_FATAL_ERROR`.
const X509_FATAL: &str = "-0x3000";

/// `MBEDTLS_ERR_X509_INVALID_ALG`.
const INVALID_ALGORITHM: &str = "-0x2300";

/// `MBEDTLS_X509_MAX_INTERMEDIATE_CA`.
pub(super) const MAX_INTERMEDIATES: u8 = 8;

/// What the check leaves.
pub(super) struct Checked {
    /// Flags other than 0, as [`crate::Outcome::verify_flags`] has them.
    pub flags: Option<String>,
    /// Why the client gives up, if it does.
    pub refusal: Option<Refusal>,
    /// For the trace, one clause.
    pub why: String,
}

/// How the client gives up on a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub error: &'static str,
    /// The alert that tells the broker, if its library tells it at all.
    pub alert: Option<u8>,
}

/// Alerts of RFC 5246 7.2.2 about certificates.
mod alert {
    pub(super) const BAD_CERTIFICATE: u8 = 42;
    pub(super) const UNSUPPORTED_CERTIFICATE: u8 = 43;
    pub(super) const CERTIFICATE_EXPIRED: u8 = 45;
    pub(super) const CERTIFICATE_UNKNOWN: u8 = 46;
    pub(super) const UNKNOWN_CA: u8 = 48;
    pub(super) const ACCESS_DENIED: u8 = 49;
}

/// Whether a certificate that is signed with a key of this kind and this hash can be parsed: each
/// pair has an OID of its own, which is known only if both are compiled in (`oid_sig_alg` in
/// `oid.c`).
pub(super) fn can_read(build: &Build, issuer: KeyKind, hash: HashKind) -> bool {
    let by_key = match issuer {
        KeyKind::EcdsaP256 | KeyKind::EcdsaP384 => build.macros.has("ECDSA_C"),
        // No version of mbedTLS has EdDSA.
        KeyKind::Ed25519 => false,
        rsa => rsa.is_rsa() && build.macros.has("RSA_C"),
    };
    by_key && build.has_hash(hash)
}

/// Whether the client knows the key in the broker's certificate. A certificate whose signature is
/// unknown is put aside whole (`ssl_parse_certificate_chain` goes on after it), key and all.
pub(super) fn key_is_known(case: &Case<'_>) -> bool {
    let certificate = &case.broker.certificate;
    can_read(case.build, certificate.issuer_key, certificate.hash)
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
    case.profile.ca != ClientCa::Broker || case.broker.certificate.authority == Authority::Unknown
}

/// What the client makes of the broker's certificate.
pub(super) fn check(case: &Case<'_>, version: ProtocolVersion) -> Checked {
    let Case { build, stack, profile, broker, .. } = *case;
    let passes = |why: &str| Checked { flags: None, refusal: None, why: why.to_owned() };
    let fails = |flags, error, code, why| {
        let alert = stack.tells_refusals.then_some(code);
        Checked { flags, refusal: Some(Refusal { error, alert }), why }
    };
    let (verify, certificate) = (profile.verify, &broker.certificate);
    // Without RSASSA-PSS its OID (RFC 4055 3.1) still stands for a signature without parameters, and
    // it has some: `mbedtls_x509_get_sig_alg` in `x509.c`.
    if certificate.pss && !build.macros.has("X509_RSASSA_PSS_SUPPORT") {
        let why = "it is signed with RSASSA-PSS, and the client is built without it";
        return fails(None, INVALID_ALGORITHM, alert::BAD_CERTIFICATE, why.to_owned());
    }
    // `mbedtls_ssl_tls13_parse_certificate` in `ssl_tls13_generic.c` goes on after it, too, but nothing
    // sets another error before it returns, and there is no alert for this one.
    if version >= ProtocolVersion::TLS1_3 && !key_is_known(case) {
        let why = format!("its signature, {}, is unknown here", signature_text(case));
        let refusal = Some(Refusal { error: UNKNOWN_SIGNATURE, alert: None });
        return Checked { flags: None, refusal, why };
    }
    if verify == Verify::None && !key_is_known(case) {
        let why = format!("its signature, {}, is unknown here", signature_text(case));
        // In versions before 2.5.0 nothing sets another error before the function returns.
        return match stack.walks_chains {
            true => kept(case, passes(&why)),
            false => fails(None, UNKNOWN_SIGNATURE, alert::BAD_CERTIFICATE, why),
        };
    }
    if verify == Verify::None {
        return passes("MBEDTLS_SSL_VERIFY_NONE: the certificate is not checked");
    }
    let named = profile.host_name != ClientHostName::NotSet;
    if stack.asks_for_host_name && verify == Verify::Required && !named {
        let why =
            "verification is on, and mbedtls_ssl_set_hostname was never called, not even with NULL";
        let refusal = Some(Refusal { error: NO_HOST_NAME, alert: None });
        return Checked { flags: None, refusal, why: why.to_owned() };
    }
    // Newer versions leave a client alone that verifies for its own information.
    let without_ca =
        profile.ca == ClientCa::None && (verify == Verify::Required || !stack.walks_chains);
    let no_ca = "verification is on, and no CA is set";
    if without_ca && !stack.walks_chains {
        return fails(None, CA_REQUIRED, alert::UNKNOWN_CA, no_ca.to_owned());
    }
    if certificate.intermediates > MAX_INTERMEDIATES {
        return too_long(case, without_ca, fails);
    }
    let found = findings(case);
    let flags = found.iter().fold(0, |flags, (flag, _)| flags | flag);
    let text = (flags != 0).then(|| format!("{flags:#010x}"));
    let words: Vec<_> = found.iter().map(|(_, why)| why.as_str()).collect();
    let words = words.join("; ");
    match (text, verify) {
        (text, _) if without_ca => fails(text, CA_REQUIRED, told(flags), no_ca.to_owned()),
        (Some(text), Verify::Required) => {
            let why = format!("flags {text}: {words}");
            fails(Some(text), VERIFY_FAILED, told(flags), why)
        }
        (Some(text), _) => {
            let why = format!("MBEDTLS_SSL_VERIFY_OPTIONAL lets it pass; flags {text}: {words}");
            kept(case, Checked { flags: Some(text), ..passes(&why) })
        }
        (None, Verify::Required)
            if version < ProtocolVersion::TLS1_3 && !curve_is_offered(case) =>
        {
            let why = "the curve of its key is not among those that the client offers";
            let text = stack.walks_chains.then(|| format!("{BAD_KEY:#010x}"));
            fails(text, BAD_CERTIFICATE, told(BAD_KEY), why.to_owned())
        }
        (None, _) => passes("the certificate holds against the client's CA"),
    }
}

/// A certificate that passed, unless its key is to be copied and there is none.
fn kept(case: &Case<'_>, passed: Checked) -> Checked {
    let keeps = case.stack.keeps_certificates || case.build.macros.has("SSL_KEEP_PEER_CERTIFICATE");
    if keeps || key_is_known(case) {
        return passed;
    }
    let refusal = Some(Refusal { error: INTERNAL_ERROR, alert: None });
    let why = format!("{}; and there is no key in it to copy", passed.why);
    Checked { refusal, why, ..passed }
}

/// A chain longer than `MBEDTLS_X509_MAX_INTERMEDIATE_CA`. The check gives up before it asks the
/// application's callback, so that no flag is seen. Newer versions take it for a fault of their own
/// (`MBEDTLS_ERR_X509_FATAL_ERROR`), which no VERIFY_OPTIONAL lets pass.
fn too_long(
    case: &Case<'_>,
    without_ca: bool,
    fails: impl Fn(Option<String>, &'static str, u8, String) -> Checked,
) -> Checked {
    let why = format!(
        "{} certificates stand between it and the CA, and mbedTLS follows {MAX_INTERMEDIATES}",
        case.broker.certificate.intermediates
    );
    if case.stack.walks_chains {
        let error = if without_ca { CA_REQUIRED } else { X509_FATAL };
        return fails(None, error, alert::ACCESS_DENIED, why);
    }
    match case.profile.verify {
        Verify::Required => fails(None, VERIFY_FAILED, alert::UNKNOWN_CA, why),
        _ => Checked { flags: None, refusal: None, why },
    }
}

/// The alert for flags, `mbedtls_ssl_parse_certificate` in `ssl_tls.c`: the first that fits.
fn told(flags: u32) -> u8 {
    let order = [
        (CN_MISMATCH, alert::BAD_CERTIFICATE),
        (BAD_PK | BAD_KEY, alert::UNSUPPORTED_CERTIFICATE),
        (EXPIRED, alert::CERTIFICATE_EXPIRED),
        (NOT_TRUSTED, alert::UNKNOWN_CA),
    ];
    let first = order.into_iter().find(|(flag, _)| flags & flag != 0);
    first.map_or(alert::CERTIFICATE_UNKNOWN, |(_, code)| code)
}

/// What the certificate is signed with.
fn signature_text(case: &Case<'_>) -> String {
    let certificate = &case.broker.certificate;
    let hash = match certificate.issuer_key {
        KeyKind::Ed25519 => String::new(),
        _ => format!(" with {}", certificate.hash.as_str()),
    };
    format!("by a key of kind {}{hash}", certificate.issuer_key.as_str())
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
    if !key_is_known(case) {
        let mut every = NOT_TRUSTED | BAD_MD | BAD_PK | BAD_KEY;
        if matches!(case.profile.host_name, ClientHostName::Broker | ClientHostName::Wrong) {
            every |= CN_MISMATCH;
        }
        let why = format!("its signature, {}, is unknown here", signature_text(case));
        return vec![(every, why)];
    }
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
