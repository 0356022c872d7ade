//! Failures in the check of the broker's certificate.

use super::{Cause, Diagnosis, Facts};
use crate::explain::FlagsTold;
use suites::broker::{Authority, Validity};

/// `MBEDTLS_ERR_X509_CERT_VERIFY_FAILED`.
const CERT_VERIFY_FAILED: i32 = -0x2700;
/// `MBEDTLS_ERR_X509_FATAL_ERROR`, which 2.16 and newer say of a chain that is too long.
const FATAL_ERROR: i32 = -0x3000;
/// Intermediate certificates that mbedTLS follows: `MBEDTLS_X509_MAX_INTERMEDIATE_CA`, unless the
/// configuration says otherwise.
const MAX_INTERMEDIATES: usize = 8;
/// No certificate that is in use was made before this: 2015-01-01, in seconds since 1970. A clock
/// that says so was never set.
const LONG_AGO: u64 = 1_420_070_400;

/// A bit of `mbedtls_ssl_get_verify_result`.
struct Flag {
    bit: u32,
    /// In our words.
    name: &'static str,
    /// What that says of the certificate.
    why: &'static str,
    cause: Cause,
    /// What to do.
    fix: &'static str,
}

const fn flag(
    bit: u32,
    name: &'static str,
    why: &'static str,
    cause: Cause,
    fix: &'static str,
) -> Flag {
    Flag { bit, name, why, cause, fix }
}

/// Not yet valid: `MBEDTLS_X509_BADCERT_FUTURE`.
const FUTURE: u32 = 0x0200;
/// A check that failed and set no flag.
pub(super) const NO_FLAGS: &str = "0x00000000";
/// `MBEDTLS_X509_BADCERT_NOT_TRUSTED`.
const NOT_TRUSTED: u32 = 0x0008;
/// `MBEDTLS_X509_BADCERT_BAD_PK`.
const BAD_PK: u32 = 0x8000;

/// Bits of `mbedtls_ssl_get_verify_result`, what the certificate itself shows before who signed it: with a
/// weak key the right CA does not help.
/// Source: `MBEDTLS_X509_BADCERT_*` in mbedTLS's x509.h.
const FLAGS: [Flag; 14] = [
    flag(
        0x0001,
        "expired",
        "it has expired",
        Cause::CertificateExpired,
        "renew the broker's certificate",
    ),
    flag(
        FUTURE,
        "not yet valid",
        "it is not valid yet",
        Cause::CertificateExpired,
        "set the client's clock, or wait",
    ),
    flag(
        0x0004,
        "wrong name",
        "it is for another name than the client asked for",
        Cause::HostnameMismatch,
        "give mbedtls_ssl_set_hostname the name that the certificate holds",
    ),
    flag(
        0x4000,
        "refused hash",
        "it is signed with a hash that the client refuses",
        Cause::WeakSignatureHash,
        "have the broker's certificate signed with SHA-256",
    ),
    flag(
        0x1_0000,
        "refused key",
        "its key is too weak for the client",
        Cause::WeakKey,
        "give the broker an RSA key of 2048 bits or more, or a P-256 key",
    ),
    flag(
        BAD_PK,
        "refused kind of key",
        "its key is of a kind that the client's certificate profile does not allow",
        Cause::WeakKey,
        "give the broker a key of a kind that the certificate profile allows",
    ),
    flag(
        NOT_TRUSTED,
        "not trusted",
        "no CA that the client holds has signed it",
        Cause::UnknownCa,
        "give the client the CA certificate that the broker's chain ends in",
    ),
    flag(
        0x0002,
        "revoked",
        "it is revoked",
        Cause::InsufficientEvidence,
        "give the broker a new certificate",
    ),
    flag(
        0x0040,
        "missing",
        "there is none",
        Cause::InsufficientEvidence,
        "let the broker show a certificate",
    ),
    flag(
        0x0100,
        "refused by the application",
        "the application's own check refused it",
        Cause::InsufficientEvidence,
        "look into the callback of mbedtls_ssl_conf_verify",
    ),
    flag(
        0x0800,
        "wrong key usage",
        "its key usage does not allow the suite",
        Cause::InsufficientEvidence,
        "have a certificate made whose key usage allows the suite: digital signature for ECDHE, key encipherment for RSA",
    ),
    flag(
        0x1000,
        "wrong extended key usage",
        "it is not for servers",
        Cause::InsufficientEvidence,
        "have a certificate made for server authentication",
    ),
    flag(
        0x2000,
        "wrong Netscape type",
        "its Netscape type is not that of a server",
        Cause::InsufficientEvidence,
        "have a certificate made for servers",
    ),
    flag(
        0x0010,
        "revocation list not trusted",
        "its revocation list is not trusted",
        Cause::InsufficientEvidence,
        "give the client the revocation list of the CA that it trusts, or none",
    ),
];

/// Parts of what `mbedtls_x509_crt_verify_info` says, by which applications print flags in words.
pub(crate) const LIBRARYS_WORDS: [(&str, u32); 13] = [
    ("validity has expired", 0x0001),
    ("validity starts in the future", FUTURE),
    ("does not match with the expected CN", 0x0004),
    ("not correctly signed by the trusted CA", 0x0008),
    ("signed with an unacceptable hash", 0x4000),
    ("signed with an unacceptable key", 0x1_0000),
    ("certificate has been revoked", 0x0002),
    ("CRL is not correctly signed by the trusted CA", 0x0010),
    ("Certificate was missing", 0x0040),
    ("does not match the keyUsage extension", 0x0800),
    ("does not match the extendedKeyUsage extension", 0x1000),
    ("does not match the nsCertType extension", 0x2000),
    ("signed with an unacceptable PK alg", BAD_PK),
];

impl Facts<'_> {
    /// Explains a certificate that the client refused.
    pub(super) fn certificate(&self) -> Option<Diagnosis> {
        let error = self.error()?;
        if error == FATAL_ERROR && self.chain_too_long().is_some() {
            return self.chain_too_long();
        }
        // An application's callback, such as ESP-IDF's bundle of CAs, may break the check off and say why.
        let broken_off = error == FATAL_ERROR && self.chain.proven != 0;
        if error != CERT_VERIFY_FAILED && !broken_off {
            return None;
        }
        // 2.4.0 refuses every certificate under Suite B, so no flags are needed to say so.
        let suite_b = self.is_suite_b() == Some(true) && self.client.is_two_four();
        let known = self.flags();
        let mut evidence = Vec::new();
        if let Some((flags, all)) = known {
            let what = match all {
                true => "the certificate check leaves flags",
                false => "the certificate check leaves at least the flags",
            };
            evidence.push(format!(
                "{}: {what} {flags:#010x} ({})",
                self.places.flags,
                names_of(flags)
            ));
        }
        evidence.extend(self.chain.because.iter().cloned());
        let evidence = self.evidence(evidence);
        if suite_b && known.is_none_or(|(flags, all)| !all || flags & BAD_PK != 0) {
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
        // Where the walk upwards broke off the flags are only those of what was looked at before.
        if let Some(diagnosis) = self.chain_too_long() {
            return Some(diagnosis);
        }
        let (flags, _) = known?;
        let set: Vec<_> = FLAGS.iter().filter(|flag| flags & flag.bit != 0).collect();
        let first = set.first()?;
        if first.bit == FUTURE && !self.is_made_for_later() {
            return Some(self.clock(evidence));
        }
        if first.bit == BAD_PK && self.suite_b_may_reject_all() {
            return Some(Diagnosis {
                cause: Cause::InsufficientEvidence,
                summary: "the client's certificate profile does not allow the kind of the broker's key: MBEDTLS_SSL_PRESET_SUITEB sets one that allows none at all before mbedTLS 2.8.0, and none but P-256 and P-384 from then on; nothing shows which it is".to_owned(),
                evidence,
                fix: vec![
                    "use MBEDTLS_SSL_PRESET_DEFAULT in mbedtls_ssl_config_defaults".to_owned(),
                    format!("or {}", first.fix),
                ],
                candidates: vec![Cause::SuitebProfileRejectsAll, Cause::WeakKey],
            });
        }
        Some(Diagnosis {
            cause: first.cause,
            summary: format!("the client refused the broker's certificate: {}", first.why),
            evidence,
            fix: vec![first.fix.to_owned()],
            candidates: causes_of(flags & !first.bit),
        })
    }

    /// Whether the profile that rejects every key may be to blame, as far as anybody knows.
    fn suite_b_may_reject_all(&self) -> bool {
        self.is_suite_b() != Some(false)
            && (self.client.stack.is_none() || self.client.is_two_four())
    }

    /// The same for programs.
    pub(crate) fn told_flags(&self) -> Option<FlagsTold> {
        let (number, complete) = self.flags()?;
        let set = FLAGS.iter().filter(|flag| number & flag.bit != 0);
        Some(FlagsTold {
            code: format!("{number:#010x}"),
            number,
            names: set.map(|flag| flag.name.to_owned()).collect(),
            complete,
        })
    }

    /// Flags that are known to be set, and whether those are all.
    fn flags(&self) -> Option<(u32, bool)> {
        let all = self.outcome.verify_flags.as_deref().and_then(parse_flags);
        // Who is known to be signed by an authority that no client holds is not trusted.
        // If it was also asked for by name, the name may be wrong, too.
        let unnamed = self.hello.as_ref().is_some_and(|hello| hello.server_name.is_none());
        let stranger = unnamed
            && self.broker.is_some_and(|broker| broker.certificate.authority == Authority::Unknown);
        let proven = self.chain.proven | if stranger { NOT_TRUSTED } else { 0 };
        all.map(|flags| (flags, true)).or_else(|| (proven != 0).then_some((proven, false)))
    }

    /// Whether the broker's certificate begins after today, so that no clock is to blame.
    fn is_made_for_later(&self) -> bool {
        self.broker.is_some_and(|broker| broker.certificate.validity == Validity::NotYet)
    }

    fn clock(&self, mut evidence: Vec<String>) -> Diagnosis {
        let wrong = self.never_set_clock();
        if let Some((clock, place)) = wrong {
            evidence
                .insert(0, format!("{place}: the client's clock says {clock} seconds since 1970"));
        }
        let fix = vec![
            "set the clock before the handshake, for example by SNTP".to_owned(),
            "or build without MBEDTLS_HAVE_TIME_DATE, which checks no dates, as the SDK's config_rsa.h".to_owned(),
        ];
        match wrong {
            Some(_) => Diagnosis {
                cause: Cause::ClockNotSet,
                summary: "the client's clock was never set, so the broker's certificate seems to begin in the future".to_owned(),
                evidence,
                fix,
                candidates: Vec::new(),
            },
            None => Diagnosis {
                cause: Cause::InsufficientEvidence,
                summary: "to the client's clock the broker's certificate begins in the future: the clock or the certificate is wrong, and nothing shows which".to_owned(),
                evidence,
                fix,
                candidates: vec![Cause::ClockNotSet, Cause::CertificateExpired],
            },
        }
    }

    /// The client's clock, if it was never set, and where it told the time.
    pub(super) fn never_set_clock(&self) -> Option<&(u64, String)> {
        self.chain.clock.as_ref().filter(|(clock, _)| never_set(*clock))
    }

    fn chain_too_long(&self) -> Option<Diagnosis> {
        // The broker's own certificate is one of them.
        let between = self.chain.length?.checked_sub(1).filter(|n| *n > MAX_INTERMEDIATES)?;
        Some(Diagnosis {
            cause: Cause::ChainTooLong,
            summary: format!(
                "the broker's chain has {between} certificates between its own and the CA, and mbedTLS follows at most {MAX_INTERMEDIATES}"
            ),
            evidence: self.evidence([format!(
                "{}: {between} intermediate certificates",
                match self.broker {
                    Some(broker) => format!("broker profile {}", broker.name),
                    None => self.places.answer.clone(),
                }
            )]),
            fix: vec![
                "have the broker's certificate signed nearer to the root".to_owned(),
                "or define MBEDTLS_X509_MAX_INTERMEDIATE_CA higher in the configuration header"
                    .to_owned(),
            ],
            candidates: Vec::new(),
        })
    }
}

/// Whether a clock, in seconds since 1970, was never set; all ones is what a time function says that
/// has none.
fn never_set(clock: u64) -> bool {
    clock < LONG_AGO || clock == u64::from(u32::MAX)
}

fn parse_flags(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// The causes that verification flags stand for, the weightiest first; none for those that the closed
/// list does not have.
pub(crate) fn causes_of(flags: u32) -> Vec<Cause> {
    let set = FLAGS.iter().filter(|flag| flags & flag.bit != 0).map(|flag| flag.cause);
    set.filter(|cause| *cause != Cause::InsufficientEvidence).collect()
}

/// The meaning of verification flags.
fn names_of(flags: u32) -> String {
    let set = FLAGS.iter().filter(|flag| flags & flag.bit != 0);
    let names: Vec<_> = set.map(|flag| flag.name).collect();
    if names.is_empty() { "unknown".to_owned() } else { names.join(", ") }
}

/// The meaning of verification flags such as `0x00000008`.
pub(super) fn flag_names(flags: &str) -> String {
    names_of(parse_flags(flags).unwrap_or(0))
}
