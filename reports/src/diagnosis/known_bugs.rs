//! What a version of mbedTLS itself does wrong, so that neither end's settings are to blame.

use super::{Cause, Diagnosis, Facts};
use suites::names;
use suites::predict::stack::Stack;
use wire::message::Phase;
use wire::tls::ProtocolVersion;

/// RFC 6066 4.
const MAX_FRAGMENT_LENGTH: u16 = 1;
/// RFC 7366.
const ENCRYPT_THEN_MAC: u16 = 22;
/// `MBEDTLS_ERR_SSL_UNSUPPORTED_EXTENSION` of 3.x.
const UNSUPPORTED_EXTENSION: i32 = -0x7500;

impl Facts<'_> {
    pub(super) fn known_bugs(&self) -> Option<Diagnosis> {
        self.padding_for_data().or_else(|| self.forgotten_extension())
    }

    fn library_fault(&self, summary: String, seen: &str, fix: [&str; 3]) -> Diagnosis {
        Diagnosis {
            cause: Cause::LibraryFault,
            summary,
            evidence: self.evidence([seen.to_owned()]),
            fix: fix.map(str::to_owned).to_vec(),
            candidates: Vec::new(),
        }
    }

    /// [`misreads_empty_records`](Stack::misreads_empty_records).
    fn padding_for_data(&self) -> Option<Diagnosis> {
        let stack = Stack::named(self.client.stack.as_deref()?)?;
        let hello = self.answer.server_hello.as_ref()?;
        let cbc = names::cipher_suite_name(self.outcome.cipher_suite?)?.contains("_CBC_");
        if !stack.misreads_empty_records
            || hello.version != ProtocolVersion::TLS1_0
            || !cbc
            || !hello.extensions.contains(&ENCRYPT_THEN_MAC)
            || self.outcome.mqtt.as_deref() != Some("protocol")
        {
            return None;
        }
        Some(self.library_fault(
            format!(
                "{} took the padding of an empty record for MQTT: in TLS 1.0 a broker with OpenSSL sends an empty record first, and with encrypt-then-MAC this mbedTLS misreads it",
                stack.name
            ),
            &format!("{}: TLS1.0, a CBC suite and encrypt_then_mac in the ServerHello", self.places.answer),
            [
                "switch encrypt-then-MAC off in the client: mbedtls_ssl_conf_encrypt_then_mac(&conf, MBEDTLS_SSL_ETM_DISABLED)",
                "or let the broker speak TLS 1.1 or newer, where no empty records are sent",
                "or move the client to mbedTLS 2.16 or later, which reads them",
            ],
        ))
    }

    /// 3.6 sends max_fragment_length in a ClientHello for TLS 1.3 and does not note that it did, so that
    /// an answer to it in EncryptedExtensions (RFC 8446 4.2) is one to something never sent
    /// (`mbedtls_ssl_write_client_hello` in `ssl_client.c`, `ssl_tls13_parse_encrypted_extensions`).
    fn forgotten_extension(&self) -> Option<Diagnosis> {
        let asked = self.hello.as_ref()?.extensions.contains(&MAX_FRAGMENT_LENGTH);
        let here = self.outcome.stage == Some(Phase::EncryptedExtensions);
        if !self.client.is_three() || self.error() != Some(UNSUPPORTED_EXTENSION) || !asked || !here
        {
            return None;
        }
        Some(self.library_fault(
            format!(
                "{} offered max_fragment_length and refuses the broker's answer to it: in TLS 1.3 this mbedTLS forgets that it offered it",
                self.client.stack.as_deref().unwrap_or("the client")
            ),
            &format!("{}: the ClientHello holds max_fragment_length", self.places.hello),
            [
                "offer none: leave mbedtls_ssl_conf_max_frag_len alone and build with MBEDTLS_SSL_IN_CONTENT_LEN 16384, or without MBEDTLS_SSL_MAX_FRAGMENT_LENGTH",
                "or cap the client at TLS 1.2: mbedtls_ssl_conf_max_tls_version(&conf, MBEDTLS_SSL_VERSION_TLS1_2)",
                "or let the broker serve TLS 1.2 at most",
            ],
        ))
    }
}
