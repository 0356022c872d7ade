//! Errors of the library that say by themselves what is wrong.

use super::{Cause, Diagnosis, Facts};
use crate::explain::errors::{Versions, describe, is_called};
use wire::message::Phase;

/// `MBEDTLS_ERR_SSL_CERTIFICATE_VERIFICATION_WITHOUT_HOSTNAME`, of 2.28.10 and 3.6.3 on.
const WITHOUT_HOSTNAME: i32 = -0x5d80;
/// `MBEDTLS_ERR_SSL_CA_CHAIN_REQUIRED`.
const CA_CHAIN_REQUIRED: i32 = -0x7680;
/// `MBEDTLS_ERR_SSL_TIMEOUT`.
const TIMEOUT: i32 = -0x6800;
/// `MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY`, `MBEDTLS_ERR_SSL_PRIVATE_KEY_REQUIRED`.
const UNKNOWN_IDENTITY: i32 = -0x6c80;
const PRIVATE_KEY_REQUIRED: i32 = -0x7600;
/// `MBEDTLS_ERR_PK_TYPE_MISMATCH`.
const PK_TYPE_MISMATCH: i32 = -0x3f00;

/// Endings of names that tell of the random number generator.
const ENTROPY: [&str; 5] = [
    "ENTROPY_SOURCE_FAILED",
    "ENTROPY_NO_SOURCES_DEFINED",
    "ENTROPY_NO_STRONG_SOURCE",
    "SSL_NO_RNG",
    "INSUFFICIENT_ENTROPY",
];
/// Endings of names that tell of memory, and of the crypto hardware; the second is PSA's.
const MEMORY: [&str; 2] = ["ALLOC_FAILED", "INSUFFICIENT_MEMORY"];
const HARDWARE: [&str; 2] = ["HW_ACCEL_FAILED", "HARDWARE_FAILURE"];

impl Facts<'_> {
    pub(super) fn library(&self) -> Option<Diagnosis> {
        let error = self.error()?;
        match error {
            WITHOUT_HOSTNAME => return Some(self.no_host_name()),
            CA_CHAIN_REQUIRED => return Some(self.no_ca()),
            TIMEOUT => return Some(self.no_answer()),
            UNKNOWN_IDENTITY => {
                return Some(self.no_psk(
                    "the key exchange needs a pre-shared key of another identity than the client's",
                ));
            }
            PK_TYPE_MISMATCH if self.outcome.stage == Some(Phase::CertificateVerify) => {
                return Some(self.cannot_sign());
            }
            // In this state a client needs no other key (`ssl_write_client_key_exchange` in `ssl_cli.c`).
            PRIVATE_KEY_REQUIRED
                if self.suite_is_psk() || self.outcome.stage == Some(Phase::ClientKeyExchange) =>
            {
                return Some(self.no_psk("the suite that the broker chose needs a pre-shared key, and the client was given none"));
            }
            _ => {}
        }
        let called = |names: &[&str]| names.iter().any(|name| is_called(error, name));
        if called(&MEMORY) {
            return Some(self.no_memory(error));
        }
        if called(&ENTROPY) {
            return Some(self.no_entropy(error));
        }
        if called(&HARDWARE) {
            return Some(self.no_hardware(error));
        }
        self.unread(error)
    }

    fn said(&self, error: i32) -> Vec<String> {
        let what = describe(error, Versions::ALL);
        self.evidence([format!("{}: {what}", self.places.client)])
    }

    fn no_host_name(&self) -> Diagnosis {
        Diagnosis {
            cause: Cause::HostnameNotSet,
            summary: "this mbedTLS verifies no certificate before it was told which name to look for, and the SDK's client never tells it".to_owned(),
            evidence: self.evidence([]),
            fix: vec![
                "call mbedtls_ssl_set_hostname(&ssl, \"<broker's name>\") before the handshake"
                    .to_owned(),
                "or mbedtls_ssl_set_hostname(&ssl, NULL), which checks no name, as older versions did"
                    .to_owned(),
            ],
            candidates: Vec::new(),
        }
    }

    /// The broker asked for a certificate, and the client has no code to prove that it holds the key.
    fn cannot_sign(&self) -> Diagnosis {
        Diagnosis {
            cause: Cause::UnsupportedSignatureAlgorithm,
            summary: "the client cannot sign with the key of its own certificate: this build has no code for keys of that kind".to_owned(),
            evidence: self.evidence([]),
            fix: vec![
                "compile the algorithm in: MBEDTLS_ECDSA_C with MBEDTLS_ECP_C, MBEDTLS_ASN1_PARSE_C and MBEDTLS_ASN1_WRITE_C for a key on a curve".to_owned(),
                "or give the client a certificate with an RSA key".to_owned(),
            ],
            candidates: Vec::new(),
        }
    }

    fn no_ca(&self) -> Diagnosis {
        Diagnosis {
            cause: Cause::UnknownCa,
            summary: "the client has to verify the broker's certificate and holds no CA".to_owned(),
            evidence: self.evidence([]),
            fix: vec![
                "give mbedtls_ssl_conf_ca_chain the CA certificate that the broker's chain ends in"
                    .to_owned(),
            ],
            candidates: Vec::new(),
        }
    }

    fn no_answer(&self) -> Diagnosis {
        Diagnosis {
            cause: Cause::Timeout,
            summary: format!(
                "the client waited for {}{} as long as its receive function allows, and nothing came",
                self.broker_name(),
                self.in_stage()
            ),
            evidence: self.evidence([]),
            fix: vec![
                "look whether the broker, or a firewall between, holds the connection; then give mbedtls_ssl_conf_read_timeout more time".to_owned(),
            ],
            candidates: Vec::new(),
        }
    }

    pub(super) fn no_psk(&self, why: &str) -> Diagnosis {
        Diagnosis {
            cause: Cause::PskUnknown,
            summary: why.to_owned(),
            evidence: self.evidence(
                self.outcome
                    .cipher_suite
                    .map(|suite| format!("{}: the broker chose {}", self.places.answer, super::suite_text(suite))),
            ),
            fix: vec![
                "call mbedtls_ssl_conf_psk with the key and the identity that the broker knows".to_owned(),
                "or leave the PSK suites out of mbedtls_ssl_conf_ciphersuites, so that a certificate is used".to_owned(),
            ],
            candidates: Vec::new(),
        }
    }

    pub(super) fn suite_is_psk(&self) -> bool {
        let name = self.outcome.cipher_suite.and_then(suites::names::cipher_suite_name);
        name.is_some_and(|name| name.contains("PSK"))
    }

    fn no_memory(&self, error: i32) -> Diagnosis {
        Diagnosis {
            cause: Cause::OutOfMemory,
            summary: format!("the client had no memory left{}", self.in_stage()),
            evidence: self.said(error),
            fix: vec![
                "free heap before the handshake, which needs about 42 KB with records of 16384 bytes and 18 KB with 4096 (measured with mbedTLS 2.4.0)".to_owned(),
                format!("or lower {} to 4096, if the broker's certificates fit one record of that length", self.client.record_macro().0),
            ],
            candidates: Vec::new(),
        }
    }

    fn no_entropy(&self, error: i32) -> Diagnosis {
        Diagnosis {
            cause: Cause::EntropyFailed,
            summary: "the client got no random numbers, so it could make no keys".to_owned(),
            evidence: self.said(error),
            fix: vec![
                "add an entropy source before mbedtls_ctr_drbg_seed (mbedtls_entropy_add_source, or MBEDTLS_ENTROPY_HARDWARE_ALT with the chip's generator), and check what the seed function returns".to_owned(),
            ],
            candidates: Vec::new(),
        }
    }

    /// Never seen for real: no board with a crypto engine was attached, and the rig's builds have none.
    fn no_hardware(&self, error: i32) -> Diagnosis {
        Diagnosis {
            cause: Cause::HardwareCryptoFault,
            summary: format!("the client's crypto hardware failed{}", self.in_stage()),
            evidence: self.said(error),
            fix: vec![
                "build without the hardware functions (in the Ameba1 SDK: RTL_HW_CRYPTO) and try again: if it connects, the driver is at fault, often by an unaligned or cached buffer or two tasks at once".to_owned(),
            ],
            candidates: Vec::new(),
        }
    }

    /// A certificate that cannot even be parsed: the broker's, or the client's own CA.
    fn unread(&self, error: i32) -> Option<Diagnosis> {
        let signature = matches!(-error & 0x7f80, 0x2300 | 0x2600);
        let key = matches!(-error & 0x7f80, 0x3a00 | 0x3c80);
        let stage = self.outcome.stage;
        let whose = match stage {
            Some(Phase::Setup | Phase::TcpConnect) => {
                "the CA certificate that the client was given"
            }
            Some(_) => "a certificate of the broker's",
            None => "a certificate",
        };
        let (cause, what, fix) = match (signature, key) {
            (true, _) => (
                Cause::UnsupportedSignatureAlgorithm,
                "is signed with an algorithm that this build cannot read",
                "use certificates signed with RSA PKCS #1 v1.5 and SHA-256, CA included",
            ),
            (_, true) => (
                Cause::CertificateKeyTypeMismatch,
                "holds a key of a kind that this build has no code for",
                "use certificates with RSA keys, CA included",
            ),
            _ => return None,
        };
        Some(Diagnosis {
            cause,
            summary: format!("{whose} {what}"),
            evidence: self.said(error),
            fix: vec![
                fix.to_owned(),
                "or compile the algorithm in: MBEDTLS_ECDSA_C with MBEDTLS_ECP_C, MBEDTLS_ASN1_PARSE_C and MBEDTLS_ASN1_WRITE_C for ECDSA, MBEDTLS_X509_RSASSA_PSS_SUPPORT with MBEDTLS_PKCS1_V21 for RSASSA-PSS".to_owned(),
            ],
            candidates: Vec::new(),
        })
    }
}
