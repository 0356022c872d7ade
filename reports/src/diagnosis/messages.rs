//! Failures over one record or message, after the two ends agreed on version and suite.

use super::{Cause, Diagnosis, Facts, alert_text};
use suites::broker::ClientAuth;
use suites::profile::ClientCertificate;
use wire::message::Phase;

/// `MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE`.
const FEATURE_UNAVAILABLE: i32 = -0x7080;
/// `MBEDTLS_ERR_SSL_BAD_INPUT_DATA`, of 2.28 and newer also where more is to be read than the buffer
/// holds (`mbedtls_ssl_fetch_input` in `ssl_msg.c`).
const BAD_INPUT_DATA: i32 = -0x7100;
/// `MBEDTLS_ERR_SSL_INVALID_MAC`.
const INVALID_MAC: i32 = -0x7180;
/// `MBEDTLS_ERR_SSL_INVALID_RECORD`.
const INVALID_RECORD: i32 = -0x7200;
/// `MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE`.
const UNEXPECTED_MESSAGE: i32 = -0x7700;
/// `MBEDTLS_ERR_SSL_BAD_HS_SERVER_KEY_EXCHANGE` of 2.x.
const BAD_SERVER_KEY_EXCHANGE: i32 = -0x7b00;
/// `MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER` of 3.x.
const ILLEGAL_PARAMETER: i32 = -0x6600;
/// `MBEDTLS_ERR_SSL_CONN_EOF`.
const CONN_EOF: i32 = -0x7280;

/// Alerts by which a broker refuses a certificate, RFC 5246 7.2.2 and RFC 8446 6.2.
const REFUSALS: [u8; 8] = [40, 42, 43, 44, 45, 46, 48, 51];
/// `access_denied`, `certificate_required`, `unknown_psk_identity`.
const ACCESS_DENIED: u8 = 49;
const CERTIFICATE_REQUIRED: u8 = 116;
const UNKNOWN_PSK_IDENTITY: u8 = 115;

impl Facts<'_> {
    pub(super) fn messages(&self) -> Option<Diagnosis> {
        self.records().or_else(|| self.client_certificate()).or_else(|| self.shared_key())
    }

    fn records(&self) -> Option<Diagnosis> {
        match self.error()? {
            FEATURE_UNAVAILABLE => self.fragmented(),
            BAD_INPUT_DATA => self.no_room(),
            INVALID_RECORD => self.too_large().or_else(|| self.strange()),
            INVALID_MAC => Some(self.bad_record(
                "a record from the broker does not fit its checksum: it was damaged on the way, or the two ends have different keys".to_owned(),
                "try without what stands between client and broker (proxy, modem, TCP offload); then without encrypt_then_mac and extended_master_secret: mbedtls_ssl_conf_encrypt_then_mac, mbedtls_ssl_conf_extended_master_secret",
            )),
            UNEXPECTED_MESSAGE => self.answer.warning.map(|code| {
                self.bad_record(
                    format!(
                        "the broker sent the warning {} where the client waited for a message",
                        alert_text(code)
                    ),
                    "look into the broker's log: it has a quarrel with this client that it does not end",
                )
            }),
            BAD_SERVER_KEY_EXCHANGE => self.hash(),
            ILLEGAL_PARAMETER if self.outcome.stage == Some(Phase::ServerKeyExchange) => {
                self.hash()
            }
            _ => None,
        }
    }

    fn fragmented(&self) -> Option<Diagnosis> {
        let (there, whole) = self.answer.fragmented?;
        Some(Diagnosis {
            cause: Cause::HandshakeMessageFragmented,
            summary: format!(
                "the broker's message of {whole} bytes in {} spans several records, and this mbedTLS takes no message that does not fit one",
                self.stage()
            ),
            evidence: self.evidence([format!(
                "{}: the first record holds {there} bytes of a message of {whole}",
                self.places.answer
            )]),
            fix: vec![
                match whole > MAX_PLAINTEXT {
                    true => "shorten the broker's certificate chain: a record holds 16384 bytes, so a longer message can only be split".to_owned(),
                    false => format!("let the broker send records of at least {whole} bytes, or shorten its certificate chain"),
                },
                format!("or, if the client asks for short records, raise {} and leave mbedtls_ssl_conf_max_frag_len alone", self.client.record_macro().0),
                "or move the client to mbedTLS 3.6.3 or later, which puts such messages together".to_owned(),
            ],
            candidates: Vec::new(),
        })
    }

    /// A message that is put together, or a record, for which the buffer is too short.
    fn no_room(&self) -> Option<Diagnosis> {
        if self.outcome.stage < Some(Phase::ServerHello) {
            return None;
        }
        let buffer = self.client.content_length;
        let Some((there, whole)) = self
            .answer
            .fragmented
            .filter(|(_, whole)| self.client.is_three() && buffer.is_none_or(|room| *whole > room))
        else {
            return self.too_large();
        };
        Some(Diagnosis {
            cause: Cause::HandshakeMessageFragmented,
            summary: format!(
                "the broker's message of {whole} bytes in {} spans several records, and the client's buffer{} has no room to put it together",
                self.stage(),
                buffer.map(|room| format!(" of {room} bytes")).unwrap_or_default()
            ),
            evidence: self.evidence([format!(
                "{}: the first record holds {there} bytes of a message of {whole}",
                self.places.answer
            )]),
            fix: vec![
                format!(
                    "raise MBEDTLS_SSL_IN_CONTENT_LEN to {whole} or more: it costs one buffer of that length"
                ),
                "or shorten the broker's certificate chain".to_owned(),
            ],
            candidates: Vec::new(),
        })
    }

    fn too_large(&self) -> Option<Diagnosis> {
        let length = self.answer.record?;
        let buffer = self.client.content_length;
        // Without the build's header only a record that is longer than the smallest usual buffer
        // and well formed proves it.
        if buffer.is_some_and(|buffer| length <= buffer)
            || self.answer.strange
            || self.answer.not_tls.is_some()
        {
            return None;
        }
        let than = match buffer {
            Some(buffer) => format!("{buffer} bytes"),
            None => "this length".to_owned(),
        };
        if buffer.is_none() && !self.places.pasted {
            return None;
        }
        let (length_macro, cost) = self.client.record_macro();
        Some(Diagnosis {
            cause: Cause::RecordTooLarge,
            summary: format!(
                "the broker sent a record of {length} bytes, and the client's record buffer is shorter{}",
                buffer.map(|_| format!(": {than}")).unwrap_or_default()
            ),
            evidence: self
                .evidence([format!("{}: a record of {length} bytes", self.places.answer)]),
            fix: vec![
                format!(
                    "raise {length_macro} to 16384, which TLS allows every peer to send: it costs {cost}"
                ),
                "or let the broker honour max_fragment_length, or shorten its certificate chain"
                    .to_owned(),
            ],
            candidates: Vec::new(),
        })
    }

    fn strange(&self) -> Option<Diagnosis> {
        self.answer.strange.then(|| {
            self.bad_record(
                format!("in {} the broker sent a record with a content type or version that TLS does not have", self.stage()),
                "look for what stands between client and broker and changes bytes: proxy, modem, a UART without flow control",
            )
        })
    }

    fn bad_record(&self, summary: String, fix: &str) -> Diagnosis {
        Diagnosis {
            cause: Cause::BadRecord,
            summary,
            evidence: self.evidence([]),
            fix: vec![fix.to_owned()],
            candidates: Vec::new(),
        }
    }

    /// A hash in the signature of ServerKeyExchange that the client did not offer: 2.x looks at it
    /// before it looks at the signature, and says so in an error line; 3.6 refuses what it does not
    /// know, and tells nobody why.
    fn hash(&self) -> Option<Diagnosis> {
        let told = self.answer.unoffered;
        let offered = self.hello.as_ref().and_then(|hello| hello.signature_algorithms.as_ref());
        let is_offered =
            |hash: u8| offered.is_none_or(|list| list.iter().any(|it| it >> 8 == u16::from(hash)));
        let [signed, _] = self.answer.signed.map_or([0; 2], u16::to_be_bytes);
        let seen = (self.answer.signed.is_some() && !is_offered(signed)).then_some(signed);
        if told.is_none() && seen.is_none() {
            return None;
        }
        let hash = seen.or_else(|| told.and_then(|told| told.hash));
        let name = hash.map_or_else(|| "another hash".to_owned(), hash_name);
        Some(Diagnosis {
            cause: Cause::UnacceptableHash,
            summary: format!(
                "the broker signed its key exchange with {name}, which the client did not offer"
            ),
            evidence: self.evidence(seen.map(|_| {
                format!(
                    "{}: ServerKeyExchange says that it is signed with {name}",
                    self.places.answer
                )
            })),
            // MD5 is broken (RFC 6151 2): nobody should begin to offer it.
            fix: match hash {
                Some(1) => vec!["let the broker sign with SHA-256".to_owned()],
                _ => vec![
                    "let the broker sign with SHA-256".to_owned(),
                    format!(
                        "or let the client offer {name}: mbedtls_ssl_conf_sig_hashes, and the hash's own macro in the configuration header"
                    ),
                ],
            },
            candidates: Vec::new(),
        })
    }

    /// What came of the broker's wish for a client certificate.
    fn client_certificate(&self) -> Option<Diagnosis> {
        let alert = self.brokers_alert();
        if alert == Some(CERTIFICATE_REQUIRED) {
            return Some(self.certificate_wanted());
        }
        let required = self.broker.is_some_and(|broker| broker.client_auth == ClientAuth::Required);
        let asked = self.answer.asked == Some(true) || required;
        // Nothing of the client's could be refused before its own flight.
        let sent = self.outcome.stage.is_some_and(|stage| {
            (Phase::ClientCertificate..=Phase::ServerFinished).contains(&stage)
                || stage == Phase::NewSessionTicket
        }) || self.shown.is_some()
            || (self.client.is_three() && self.outcome.stage >= Some(Phase::MqttConnect));
        let shown = self.shown.or_else(|| self.client.holds_certificate());
        if !asked || !sent {
            return None;
        }
        let silent = self.error() == Some(CONN_EOF) && required;
        let refused = alert.is_some_and(|code| REFUSALS.contains(&code) || code == ACCESS_DENIED);
        match shown {
            Some(false) if silent || refused => Some(self.certificate_wanted()),
            Some(true) if refused || (silent && self.holds_unknown()) => {
                Some(self.certificate_refused())
            }
            _ => None,
        }
    }

    fn holds_unknown(&self) -> bool {
        self.client.profile.is_some_and(|profile| {
            matches!(profile.certificate, ClientCertificate::Unknown | ClientCertificate::WrongKey)
        })
    }

    fn certificate_wanted(&self) -> Diagnosis {
        Diagnosis {
            cause: Cause::ClientCertRequired,
            summary: "the broker wants a client certificate, and the client has none to show".to_owned(),
            evidence: self.evidence([format!("{}: the broker asked for a certificate", self.places.asked)]),
            fix: vec![
                "give the client a certificate that the broker's CA signed: mbedtls_ssl_conf_own_cert(&conf, &cert, &key)".to_owned(),
                "or let the broker serve clients without one (mosquitto: require_certificate false)".to_owned(),
            ],
            candidates: Vec::new(),
        }
    }

    fn certificate_refused(&self) -> Diagnosis {
        let why = match self.brokers_alert() {
            Some(48) => ": it does not know who signed it",
            Some(45) => ": it is out of date",
            Some(44) => ": it is revoked",
            Some(51) => ": the client's key does not belong to it",
            Some(49) => ": it may not connect",
            _ => "",
        };
        Diagnosis {
            cause: Cause::ClientCertRejected,
            summary: format!("the broker refused the client's certificate{why}"),
            evidence: self.evidence([format!(
                "{}: the broker asked for a certificate and was shown one",
                self.places.asked
            )]),
            fix: vec![
                "use a certificate that an authority of the broker's signed, with the key that belongs to it, and register it where the broker wants that".to_owned(),
            ],
            candidates: Vec::new(),
        }
    }

    /// A key that the two ends do not share.
    fn shared_key(&self) -> Option<Diagnosis> {
        let alert = self.brokers_alert();
        if alert == Some(UNKNOWN_PSK_IDENTITY) {
            return Some(
                self.no_psk("the broker does not know the identity of the client's pre-shared key"),
            );
        }
        if !self.suite_is_psk() {
            return None;
        }
        // A wrong key shows where the first record made with it is read: decrypt_error, bad_record_mac.
        if matches!(alert, Some(20 | 51)) {
            return Some(self.no_psk("the broker knows another key under the client's identity"));
        }
        let broker = self.broker?.psk.as_ref();
        let client = self.client.profile?.psk.as_ref();
        let same = match (broker, client) {
            (Some(broker), Some(client)) => {
                broker.identity == client.identity
                    && broker.key_bytes().as_ref() == Some(&client.key)
            }
            _ => false,
        };
        let failed = alert.is_some() || self.error() == Some(CONN_EOF);
        (!same && failed).then(|| {
            self.no_psk(
                "client and broker do not hold the same pre-shared key under the same identity",
            )
        })
    }
}

/// `HashAlgorithm` of RFC 5246 7.4.1.4.1.
fn hash_name(hash: u8) -> String {
    match hash {
        1 => "MD5".to_owned(),
        2 => "SHA-1".to_owned(),
        3 => "SHA-224".to_owned(),
        4 => "SHA-256".to_owned(),
        5 => "SHA-384".to_owned(),
        6 => "SHA-512".to_owned(),
        other => format!("hash {other}, which TLS does not know"),
    }
}

/// RFC 5246 6.2.1.
const MAX_PLAINTEXT: usize = 16384;
