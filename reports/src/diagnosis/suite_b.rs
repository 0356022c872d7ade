//! What `MBEDTLS_SSL_PRESET_SUITEB` needs, and what a client cannot do with it.

use super::Facts;
use super::facts::Client;
use suites::hello::ClientHello;
use wire::message::Preset;
use wire::tls::{CipherSuite, ProtocolVersion};

/// RFC 6460 3.1: TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 and ..._256_GCM_SHA384.
const SUITES: [CipherSuite; 2] = [CipherSuite(0xc02b), CipherSuite(0xc02c)];

/// What both suites, P-256 and P-384 need, without `MBEDTLS_`; what each needs is checked by
/// `check_config.h`.
const MACROS: [&str; 11] = [
    "KEY_EXCHANGE_ECDHE_ECDSA_ENABLED",
    "ECDH_C",
    "ECDSA_C",
    "ECP_C",
    "ASN1_WRITE_C",
    "ECP_DP_SECP256R1_ENABLED",
    "ECP_DP_SECP384R1_ENABLED",
    "AES_C",
    "GCM_C",
    "SHA256_C",
    "SHA512_C",
];

/// Hashes of the preset, RFC 5246 7.4.1.4.1: SHA-256 and SHA-384.
const HASHES: [u16; 2] = [4, 5];

/// Whether it is one of the two suites.
pub(super) fn is_of_suite_b(suite: CipherSuite) -> bool {
    SUITES.contains(&suite)
}

impl Facts<'_> {
    /// Whether the client is configured with Suite B. Without its profile the ClientHello tells: in
    /// mbedTLS 2.x nothing but this preset names SHA-256 and SHA-384 alone and sends its first
    /// record as TLS 1.2, because TLS 1.2 is also its lowest version.
    pub(super) fn is_suite_b(&self) -> Option<bool> {
        if let Some(preset) = self.client.preset {
            return Some(preset == Preset::SuiteB);
        }
        let hello = self.hello.as_ref()?;
        // A client may be built for these two suites alone and yet be configured otherwise.
        if hello.usable_suites().any(|suite| !SUITES.contains(&suite)) {
            return Some(false);
        }
        let schemes = hello.signature_algorithms.as_ref()?;
        let hashes = schemes.iter().all(|scheme| HASHES.contains(&(scheme >> 8)));
        Some(hashes && self.hello_record == Some(ProtocolVersion::TLS1_2))
    }

    /// What the macro set would have to gain for Suite B.
    pub(super) fn suite_b_needs(&self) -> String {
        let list = |names: Vec<&str>| {
            names.iter().map(|name| format!("MBEDTLS_{name}")).collect::<Vec<_>>().join(", ")
        };
        let missing = self
            .client
            .macros
            .map(|macros| MACROS.into_iter().filter(|name| !macros.has(name)).collect::<Vec<_>>());
        match missing {
            None => format!(
                "Suite B itself would need all of {} (config_all.h has them) and a broker with a P-256 or P-384 certificate",
                list(MACROS.to_vec())
            ),
            Some(missing) if missing.is_empty() => {
                "the configuration header has all that Suite B needs: is it the one that the firmware was built with?".to_owned()
            }
            Some(missing) => format!(
                "Suite B itself would need what {} lacks, all of {}, and a broker with a P-256 or P-384 certificate",
                self.client.name,
                list(missing)
            ),
        }
    }

    /// mbedTLS before 2.8.0 rejects every certificate under Suite B (flag BADCERT_BAD_PK).
    pub(super) fn suite_b_never_verifies(&self) -> &'static str {
        if !self.client.verifies() {
            return "";
        }
        match (self.client.is_stack("mbedtls-2.4.0"), self.client.stack.is_some()) {
            (true, _) => {
                "; in mbedTLS 2.4.0 even that fails with verification on, because its Suite B certificate profile rejects every certificate (mended in 2.8.0)"
            }
            (false, true) => "",
            (false, false) => {
                "; before mbedTLS 2.8.0 even that fails with verification on, because the Suite B certificate profile rejects every certificate"
            }
        }
    }

    /// Why a hello without suites fits the macro set of the SDK: nothing but RSA signatures, and no
    /// curve.
    pub(super) fn looks_like_config_rsa(&self, hello: &ClientHello) -> bool {
        const RSA: u16 = 1;
        let schemes = hello.signature_algorithms.as_ref();
        hello.groups.is_none()
            && schemes.is_some_and(|list| !list.is_empty() && list.iter().all(|s| s & 0xff == RSA))
    }
}

impl Client<'_> {
    pub(super) fn is_two_four(&self) -> bool {
        self.is_stack("mbedtls-2.4.0")
    }
}
