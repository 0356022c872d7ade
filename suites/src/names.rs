//! Names of TLS code points, both ways: what a file says into numbers, and numbers into what a
//! person reads. Cipher suites come from the IANA table in `tls-parser`; its extensions, groups,
//! schemes and alerts carry names of its own making, and no crate has the registry's, so those stand
//! here: <https://www.iana.org/assignments/tls-extensiontype-values> and
//! <https://www.iana.org/assignments/tls-parameters>.

use crate::file::nearest;
use serde::Deserialize;
use tls_parser::TlsCipherSuite;
use wire::tls::{AlertDescription, CipherSuite, NamedGroup, ProtocolVersion};

/// A name that the registry does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {kind} {name:?}{}", hint(.nearest.as_deref()))]
pub struct UnknownName {
    /// `cipher suite` or `group`.
    pub kind: &'static str,
    /// The name as given.
    pub name: String,
    /// The nearest real name, if one is near.
    pub nearest: Option<String>,
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

/// A protocol version as files name it. TLS 1.2 is what is meant where a file says nothing.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) enum VersionName {
    #[serde(rename = "TLS1.0")]
    Tls10,
    #[serde(rename = "TLS1.1")]
    Tls11,
    #[default]
    #[serde(rename = "TLS1.2")]
    Tls12,
    #[serde(rename = "TLS1.3")]
    Tls13,
}

impl From<VersionName> for ProtocolVersion {
    fn from(raw: VersionName) -> Self {
        match raw {
            VersionName::Tls10 => Self::TLS1_0,
            VersionName::Tls11 => Self::TLS1_1,
            VersionName::Tls12 => Self::TLS1_2,
            VersionName::Tls13 => Self::TLS1_3,
        }
    }
}

/// The suite with this IANA name, or with this value as `0x` and up to four hexadecimal digits.
///
/// # Errors
/// [`UnknownName`] with the nearest real name. Any number is accepted: what nobody has assigned
/// may be just what a test wants to offer.
pub fn cipher_suite(text: &str) -> Result<CipherSuite, UnknownName> {
    if let Some(value) = hex(text) {
        return Ok(CipherSuite(value));
    }
    TlsCipherSuite::from_name(text).map(|suite| CipherSuite(suite.id.0)).ok_or_else(|| {
        let known = (0..=u16::MAX).filter_map(TlsCipherSuite::from_id).map(|suite| suite.name);
        unknown("cipher suite", text, known)
    })
}

/// The suite's IANA name.
#[must_use]
pub fn cipher_suite_name(suite: CipherSuite) -> Option<&'static str> {
    match suite {
        CipherSuite::RENEGOTIATION_INFO_SCSV => Some("TLS_EMPTY_RENEGOTIATION_INFO_SCSV"),
        CipherSuite::FALLBACK_SCSV => Some("TLS_FALLBACK_SCSV"),
        CipherSuite(id) => TlsCipherSuite::from_id(id).map(|suite| suite.name),
    }
}

/// The group with this IANA name, or with this value as `0x` and up to four hexadecimal digits.
///
/// # Errors
/// [`UnknownName`] with the nearest real name.
pub fn group(text: &str) -> Result<NamedGroup, UnknownName> {
    if let Some(value) = hex(text) {
        return Ok(NamedGroup(value));
    }
    GROUPS
        .iter()
        .find(|(_, name)| *name == text)
        .map(|(value, _)| NamedGroup(*value))
        .ok_or_else(|| unknown("group", text, GROUPS.iter().map(|(_, name)| *name)))
}

/// The group's IANA name.
#[must_use]
pub fn group_name(group: NamedGroup) -> Option<&'static str> {
    GROUPS.iter().find(|(value, _)| *value == group.0).map(|(_, name)| *name)
}

/// The alert's name as in RFC 8446 6 and the IANA registry.
#[must_use]
pub fn alert_name(alert: AlertDescription) -> Option<&'static str> {
    ALERTS.iter().find(|(value, _)| *value == alert.0).map(|(_, name)| *name)
}

/// The alert with this name in the IANA registry.
///
/// # Errors
/// [`UnknownName`] with the nearest real name.
pub fn alert(text: &str) -> Result<AlertDescription, UnknownName> {
    ALERTS
        .iter()
        .find(|(_, name)| *name == text)
        .map(|(value, _)| AlertDescription(*value))
        .ok_or_else(|| unknown("alert", text, ALERTS.iter().map(|(_, name)| *name)))
}

/// The signature scheme with this IANA name, or with this value as `0x` and four hexadecimal
/// digits, RFC 8446 4.2.3. TLS 1.2 reads the two bytes as hash and signature, RFC 5246 7.4.1.4.1.
///
/// # Errors
/// [`UnknownName`] with the nearest real name.
pub fn signature_scheme(text: &str) -> Result<u16, UnknownName> {
    hex(text)
        .or_else(|| SCHEMES.iter().find(|(_, name)| *name == text).map(|(value, _)| *value))
        .ok_or_else(|| unknown("signature scheme", text, SCHEMES.iter().map(|(_, name)| *name)))
}

/// The signature scheme's IANA name.
#[must_use]
pub fn signature_scheme_name(scheme: u16) -> Option<&'static str> {
    SCHEMES.iter().find(|(value, _)| *value == scheme).map(|(_, name)| *name)
}

/// The extension's name in the IANA registry "TLS ExtensionType Values", or its number.
#[must_use]
pub fn extension_name(kind: u16) -> String {
    let known = EXTENSIONS.iter().find(|(value, _)| *value == kind);
    known.map_or_else(|| format!("{kind:#06x}"), |(_, name)| (*name).to_owned())
}

/// The scheme's name, or its number.
#[must_use]
pub fn signature_scheme_text(scheme: u16) -> String {
    signature_scheme_name(scheme).map_or_else(|| format!("{scheme:#06x}"), str::to_owned)
}

fn hex(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn unknown<'a>(
    kind: &'static str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> UnknownName {
    UnknownName { kind, name: name.to_owned(), nearest: nearest(name, known).map(str::to_owned) }
}

/// IANA "TLS ExtensionType Values".
const EXTENSIONS: [(u16, &str); 49] = [
    (0, "server_name"),
    (1, "max_fragment_length"),
    (2, "client_certificate_url"),
    (3, "trusted_ca_keys"),
    (4, "truncated_hmac"),
    (5, "status_request"),
    (6, "user_mapping"),
    (7, "client_authz"),
    (8, "server_authz"),
    (9, "cert_type"),
    (10, "supported_groups"),
    (11, "ec_point_formats"),
    (12, "srp"),
    (13, "signature_algorithms"),
    (14, "use_srtp"),
    (15, "heartbeat"),
    (16, "application_layer_protocol_negotiation"),
    (17, "status_request_v2"),
    (18, "signed_certificate_timestamp"),
    (19, "client_certificate_type"),
    (20, "server_certificate_type"),
    (21, "padding"),
    (22, "encrypt_then_mac"),
    (23, "extended_master_secret"),
    (24, "token_binding"),
    (25, "cached_info"),
    (27, "compress_certificate"),
    (28, "record_size_limit"),
    (34, "delegated_credential"),
    (35, "session_ticket"),
    (41, "pre_shared_key"),
    (42, "early_data"),
    (43, "supported_versions"),
    (44, "cookie"),
    (45, "psk_key_exchange_modes"),
    (47, "certificate_authorities"),
    (48, "oid_filters"),
    (49, "post_handshake_auth"),
    (50, "signature_algorithms_cert"),
    (51, "key_share"),
    (52, "transparency_info"),
    (54, "connection_id"),
    (55, "external_id_hash"),
    (56, "external_session_id"),
    (57, "quic_transport_parameters"),
    (58, "ticket_request"),
    (59, "dnssec_chain"),
    (0xfe0d, "encrypted_client_hello"),
    (0xff01, "renegotiation_info"),
];

/// IANA "TLS Supported Groups", without what is reserved for private use.
const GROUPS: [(u16, &str); 47] = [
    (1, "sect163k1"),
    (2, "sect163r1"),
    (3, "sect163r2"),
    (4, "sect193r1"),
    (5, "sect193r2"),
    (6, "sect233k1"),
    (7, "sect233r1"),
    (8, "sect239k1"),
    (9, "sect283k1"),
    (10, "sect283r1"),
    (11, "sect409k1"),
    (12, "sect409r1"),
    (13, "sect571k1"),
    (14, "sect571r1"),
    (15, "secp160k1"),
    (16, "secp160r1"),
    (17, "secp160r2"),
    (18, "secp192k1"),
    (19, "secp192r1"),
    (20, "secp224k1"),
    (21, "secp224r1"),
    (22, "secp256k1"),
    (23, "secp256r1"),
    (24, "secp384r1"),
    (25, "secp521r1"),
    (26, "brainpoolP256r1"),
    (27, "brainpoolP384r1"),
    (28, "brainpoolP512r1"),
    (29, "x25519"),
    (30, "x448"),
    (31, "brainpoolP256r1tls13"),
    (32, "brainpoolP384r1tls13"),
    (33, "brainpoolP512r1tls13"),
    (41, "curveSM2"),
    (256, "ffdhe2048"),
    (257, "ffdhe3072"),
    (258, "ffdhe4096"),
    (259, "ffdhe6144"),
    (260, "ffdhe8192"),
    (512, "MLKEM512"),
    (513, "MLKEM768"),
    (514, "MLKEM1024"),
    (4587, "SecP256r1MLKEM768"),
    (4588, "X25519MLKEM768"),
    (4589, "SecP384r1MLKEM1024"),
    (0xff01, "arbitrary_explicit_prime_curves"),
    (0xff02, "arbitrary_explicit_char2_curves"),
];

/// IANA "TLS SignatureScheme"; those with SHA-224 and MD5 only TLS 1.2 has, without a name of the
/// registry's.
const SCHEMES: [(u16, &str); 23] = [
    (0x0201, "rsa_pkcs1_sha1"),
    (0x0203, "ecdsa_sha1"),
    (0x0401, "rsa_pkcs1_sha256"),
    (0x0501, "rsa_pkcs1_sha384"),
    (0x0601, "rsa_pkcs1_sha512"),
    (0x0403, "ecdsa_secp256r1_sha256"),
    (0x0503, "ecdsa_secp384r1_sha384"),
    (0x0603, "ecdsa_secp521r1_sha512"),
    (0x0804, "rsa_pss_rsae_sha256"),
    (0x0805, "rsa_pss_rsae_sha384"),
    (0x0806, "rsa_pss_rsae_sha512"),
    (0x0807, "ed25519"),
    (0x0808, "ed448"),
    (0x0809, "rsa_pss_pss_sha256"),
    (0x080a, "rsa_pss_pss_sha384"),
    (0x080b, "rsa_pss_pss_sha512"),
    (0x081a, "ecdsa_brainpoolP256r1tls13_sha256"),
    (0x081b, "ecdsa_brainpoolP384r1tls13_sha384"),
    (0x081c, "ecdsa_brainpoolP512r1tls13_sha512"),
    (0x0420, "rsa_pkcs1_sha256_legacy"),
    (0x0520, "rsa_pkcs1_sha384_legacy"),
    (0x0620, "rsa_pkcs1_sha512_legacy"),
    (0x0708, "sm2sig_sm3"),
];

/// IANA "TLS Alerts".
const ALERTS: [(u8, &str); 37] = [
    (0, "close_notify"),
    (10, "unexpected_message"),
    (20, "bad_record_mac"),
    (21, "decryption_failed"),
    (22, "record_overflow"),
    (30, "decompression_failure"),
    (40, "handshake_failure"),
    (41, "no_certificate"),
    (42, "bad_certificate"),
    (43, "unsupported_certificate"),
    (44, "certificate_revoked"),
    (45, "certificate_expired"),
    (46, "certificate_unknown"),
    (47, "illegal_parameter"),
    (48, "unknown_ca"),
    (49, "access_denied"),
    (50, "decode_error"),
    (51, "decrypt_error"),
    (52, "too_many_cids_requested"),
    (60, "export_restriction"),
    (70, "protocol_version"),
    (71, "insufficient_security"),
    (80, "internal_error"),
    (86, "inappropriate_fallback"),
    (90, "user_canceled"),
    (100, "no_renegotiation"),
    (109, "missing_extension"),
    (110, "unsupported_extension"),
    (111, "certificate_unobtainable"),
    (112, "unrecognized_name"),
    (113, "bad_certificate_status_response"),
    (114, "bad_certificate_hash_value"),
    (115, "unknown_psk_identity"),
    (116, "certificate_required"),
    (117, "general_error"),
    (120, "no_application_protocol"),
    (121, "ech_required"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_go_both_ways() {
        let suite = cipher_suite("TLS_RSA_WITH_AES_256_CBC_SHA256").unwrap();
        assert_eq!(suite, CipherSuite(0x003d));
        assert_eq!(cipher_suite_name(suite), Some("TLS_RSA_WITH_AES_256_CBC_SHA256"));
        assert_eq!(cipher_suite("0xFADE").unwrap(), CipherSuite(0xfade));
        assert_eq!(
            cipher_suite_name(CipherSuite(0x00ff)),
            Some("TLS_EMPTY_RENEGOTIATION_INFO_SCSV")
        );
    }

    #[test]
    fn a_mistyped_suite_gets_the_nearest() {
        let error = cipher_suite("TLS_RSA_WITH_AES_256_CBC_SHA265").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no cipher suite \"TLS_RSA_WITH_AES_256_CBC_SHA265\"; \
             did you mean \"TLS_RSA_WITH_AES_256_CBC_SHA256\"?"
        );
    }

    #[test]
    fn extensions_have_the_registrys_names_or_a_number() {
        assert_eq!(extension_name(35), "session_ticket");
        assert_eq!(extension_name(0xff01), "renegotiation_info");
        assert_eq!(extension_name(0x4469), "0x4469");
    }

    /// A value or a name that stands twice would make one of the two directions wrong.
    #[test]
    fn nothing_stands_twice() {
        fn twice<T: Ord + Copy>(table: &[(T, &str)]) -> bool {
            let values: std::collections::BTreeSet<_> = table.iter().map(|row| row.0).collect();
            let names: std::collections::BTreeSet<_> = table.iter().map(|row| row.1).collect();
            values.len() < table.len() || names.len() < table.len()
        }
        assert!(!twice(&EXTENSIONS) && !twice(&GROUPS) && !twice(&SCHEMES) && !twice(&ALERTS));
    }

    #[test]
    fn groups_and_alerts_have_the_registrys_names() {
        assert_eq!(group("secp384r1").unwrap(), NamedGroup(24));
        assert_eq!(group_name(NamedGroup(29)), Some("x25519"));
        assert_eq!(group("secp385r1").unwrap_err().nearest.as_deref(), Some("secp384r1"));
        assert_eq!(alert_name(AlertDescription::HANDSHAKE_FAILURE), Some("handshake_failure"));
        assert_eq!(alert_name(AlertDescription(255)), None);
    }
}
