//! Failures in the check of the broker's certificate.

use super::{Case, Cause, Diagnosis};
use wire::message::Preset;

/// `MBEDTLS_ERR_X509_CERT_VERIFY_FAILED`.
const CERT_VERIFY_FAILED: &str = "-0x2700";

/// `MBEDTLS_ERR_SSL_CERTIFICATE_VERIFICATION_WITHOUT_HOSTNAME`, of 2.28.10 and 3.6.3 on.
const WITHOUT_HOSTNAME: &str = "-0x5D80";

/// `MBEDTLS_ERR_SSL_CA_CHAIN_REQUIRED`.
const CA_CHAIN_REQUIRED: &str = "-0x7680";

/// Bits of `mbedtls_ssl_get_verify_result` in mbedTLS 2.x: value, name, cause, and what to do.
/// Source: `MBEDTLS_X509_BADCERT_*` in mbedTLS's x509.h.
const FLAGS: [(u32, &str, Cause, &str); 7] = [
    (0x0001, "expired", Cause::CertificateExpired, "renew the broker's certificate"),
    (0x0200, "not yet valid", Cause::CertificateExpired, "set the client's clock, or wait"),
    (
        0x0004,
        "wrong name",
        Cause::HostnameMismatch,
        "give mbedtls_ssl_set_hostname the name that the certificate holds",
    ),
    (
        0x0008,
        "not trusted",
        Cause::UnknownCa,
        "give the client the CA certificate that the broker's chain ends in",
    ),
    (
        0x4000,
        "refused hash",
        Cause::WeakSignatureHash,
        "have the broker's certificate signed with SHA-256",
    ),
    (
        0x1_0000,
        "refused key",
        Cause::WeakKey,
        "give the broker an RSA key of 2048 bits or more, or a P-256 key",
    ),
    (
        0x8000,
        "refused kind of key",
        Cause::WeakKey,
        "give the broker a key of a kind that the certificate profile allows",
    ),
];

impl Case<'_> {
    /// Explains a certificate that the client refused.
    pub(super) fn certificate(&self) -> Option<Diagnosis> {
        match self.outcome.error.as_deref() {
            Some(WITHOUT_HOSTNAME) => return Some(self.no_host_name()),
            Some(CA_CHAIN_REQUIRED) => return Some(self.no_ca()),
            _ => {}
        }
        let flags = self.outcome.verify_flags.as_deref()?;
        if self.outcome.error.as_deref() != Some(CERT_VERIFY_FAILED) {
            return None;
        }
        let set = set_flags(flags);
        let mut evidence = vec![format!(
            "client: the certificate check leaves flags {flags} ({})",
            flag_names(flags)
        )];
        evidence.extend(self.common_evidence());
        if self.suite_b_profile(&set) {
            return Some(Diagnosis {
                cause: Cause::SuitebProfileRejectsAll,
                summary: "the Suite B certificate profile of mbedTLS 2.4.0 rejects every certificate, so this preset with verification can never connect".to_owned(),
                evidence,
                fix: vec![
                    "use MBEDTLS_SSL_PRESET_DEFAULT".to_owned(),
                    "or update to mbedTLS 2.8.0 or later, where the profile is mended".to_owned(),
                    "or set the profile anew after the preset: mbedtls_ssl_conf_cert_profile(&conf, &mbedtls_x509_crt_profile_default)".to_owned(),
                ],
                candidates: Vec::new(),
            });
        }
        let (_, name, cause, fix) = set.first()?;
        Some(Diagnosis {
            cause: *cause,
            summary: format!("the client refused the broker's certificate: {name}"),
            evidence,
            fix: vec![(*fix).to_owned()],
            candidates: set.iter().skip(1).map(|(_, _, cause, _)| *cause).collect(),
        })
    }

    fn no_host_name(&self) -> Diagnosis {
        Diagnosis {
            cause: Cause::HostnameNotSet,
            summary: "this mbedTLS verifies no certificate before it was told which name to look for, and the SDK's client never tells it".to_owned(),
            evidence: self.common_evidence(),
            fix: vec![
                "call mbedtls_ssl_set_hostname(&ssl, \"<broker's name>\") before the handshake"
                    .to_owned(),
                "or mbedtls_ssl_set_hostname(&ssl, NULL), which checks no name, as older versions did"
                    .to_owned(),
            ],
            candidates: Vec::new(),
        }
    }

    fn no_ca(&self) -> Diagnosis {
        Diagnosis {
            cause: Cause::UnknownCa,
            summary: "the client has to verify the broker's certificate and holds no CA".to_owned(),
            evidence: self.common_evidence(),
            fix: vec![
                "give mbedtls_ssl_conf_ca_chain the CA certificate that the broker's chain ends in"
                    .to_owned(),
            ],
            candidates: Vec::new(),
        }
    }

    fn suite_b_profile(&self, set: &[(u32, &'static str, Cause, &'static str)]) -> bool {
        self.subject.profile.preset == Preset::SuiteB
            && self.subject.build.stack() == "mbedtls-2.4.0"
            && set.iter().any(|(bit, ..)| *bit == 0x8000)
    }
}

fn set_flags(flags: &str) -> Vec<(u32, &'static str, Cause, &'static str)> {
    let value = flags.strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let value = value.unwrap_or(0);
    FLAGS.into_iter().filter(|(bit, ..)| value & bit != 0).collect()
}

/// The meaning of verification flags such as `0x00000008`.
pub(super) fn flag_names(flags: &str) -> String {
    let names: Vec<_> = set_flags(flags).iter().map(|(_, name, ..)| *name).collect();
    if names.is_empty() { "unknown".to_owned() } else { names.join(", ") }
}
