//! How it ended: in success, in silence, in MQTT, or by the connection itself.

use super::{Cause, Diagnosis, Facts, alert_text, certificate, suite_text};
use crate::explain::errors::{Versions, alert_meaning, describe};
use suites::outcome::{Close, OutcomeKind};
use wire::message::Phase;
use wire::tls::{AlertDescription, ProtocolVersion};

/// `MBEDTLS_ERR_SSL_CONN_EOF`.
const CONN_EOF: i32 = -0x7280;

impl Facts<'_> {
    pub(super) fn timeout(&self) -> Diagnosis {
        let nothing = (String::new(), 0);
        let (waiting_for, limit_ms) = self.places.waited.as_ref().unwrap_or(&nothing);
        Diagnosis {
            cause: Cause::Timeout,
            summary: format!(
                "after {} s the client was still waiting for {waiting_for}",
                limit_ms / 1000
            ),
            evidence: vec![format!("rig: last phase passed: {}", self.stage())],
            fix: vec![
                "the SDK's MQTT client sets no timeout for the handshake: set one with a receive function that gives up".to_owned(),
            ],
            candidates: Vec::new(),
        }
    }

    pub(super) fn connected(&self) -> Diagnosis {
        let suite = self.outcome.cipher_suite.map(suite_text);
        let version = self.outcome.version.map(|version| version.to_string());
        let with = match (version, suite) {
            (Some(version), Some(suite)) => format!("by {version} with {suite}, "),
            (Some(version), None) => format!("by {version}, "),
            (None, Some(suite)) => format!("with {suite}, "),
            (None, None) => String::new(),
        };
        let how = match self.places.pasted {
            true => format!("{with}and data went both ways"),
            false => format!("{with}up to CONNACK and a message there and back"),
        };
        match &self.outcome.verify_flags {
            // `mbedtls_x509_crt_verify_with_profile` of 2.4.0 breaks off where a chain is too long,
            // without a flag, and MBEDTLS_SSL_VERIFY_OPTIONAL lets everything pass but a flag.
            Some(flags) if flags == certificate::NO_FLAGS => Diagnosis {
                cause: Cause::VerifyFailureIgnored,
                summary: format!(
                    "connected {how}, although the check of the broker's certificate broke off, and mbedtls_ssl_get_verify_result is 0 all the same"
                ),
                evidence: self.evidence([format!(
                    "{}: mbedtls_x509_crt_verify_with_profile failed in the handshake",
                    self.places.client
                )]),
                fix: vec![
                    "set MBEDTLS_SSL_VERIFY_REQUIRED: with MBEDTLS_SSL_VERIFY_OPTIONAL nothing tells the application that this broker was not checked".to_owned(),
                ],
                candidates: Vec::new(),
            },
            Some(flags) => Diagnosis {
                cause: Cause::VerifyFailureIgnored,
                summary: format!(
                    "connected {how}, although the broker's certificate failed its check{}",
                    match flags.strip_prefix("0x") {
                        Some(_) => format!(" (flags {flags}: {})", certificate::flag_names(flags)),
                        None => String::new(),
                    }
                ),
                evidence: match self.places.pasted {
                    true => self.evidence([]),
                    false => vec![format!("client: mbedtls_ssl_get_verify_result is {flags}")],
                },
                fix: vec![
                    "set a CA and MBEDTLS_SSL_VERIFY_REQUIRED: anybody can pose as this broker"
                        .to_owned(),
                ],
                candidates: Vec::new(),
            },
            None => Diagnosis {
                cause: Cause::NoFailure,
                summary: match self.places.pasted {
                    true => format!("nothing failed in what this log shows: connected {how}"),
                    false => format!("connected {how}"),
                },
                evidence: if self.places.pasted { self.evidence([]) } else { Vec::new() },
                fix: Vec::new(),
                candidates: Vec::new(),
            },
        }
    }

    pub(super) fn ending(&self) -> Option<Diagnosis> {
        self.mqtt().or_else(|| self.not_tls()).or_else(|| self.reset()).or_else(|| self.closed())
    }

    fn mqtt(&self) -> Option<Diagnosis> {
        let mqtt = self.outcome.mqtt.as_ref()?;
        let (what, fix) = match mqtt.strip_prefix("connack:") {
            Some("1") => (
                "the broker does not speak this version of MQTT",
                "use MQTT 3.1.1: protocol name MQTT, level 4",
            ),
            Some("2") => (
                "the broker does not take the client identifier",
                "use another client identifier: at most 23 letters and digits, and not one that is connected already",
            ),
            Some("3") => (
                "the broker is there, but its MQTT service is not",
                "look at the broker's own health",
            ),
            Some("4") => (
                "user name or password is wrong",
                "check user name and password, and how the client encodes them",
            ),
            Some("5") => (
                "the client may not connect",
                "check user name, password and what the broker lets this client do",
            ),
            _ => (
                "",
                "look at the MQTT part: protocol version, client identifier, user name and password, keep-alive",
            ),
        };
        let what = if what.is_empty() { String::new() } else { format!(": {what}") };
        Some(Diagnosis {
            cause: Cause::MqttRefused,
            summary: match self.places.without_tls {
                true => format!(
                    "the broker refused the MQTT connection: {mqtt}{what}; this log does not show whether TLS was spoken"
                ),
                false => format!("TLS stands, but MQTT failed in {}: {mqtt}{what}", self.stage()),
            },
            evidence: self.evidence([]),
            fix: vec![fix.to_owned()],
            candidates: Vec::new(),
        })
    }

    fn not_tls(&self) -> Option<Diagnosis> {
        let start = self.answer.not_tls.as_ref()?;
        Some(Diagnosis {
            cause: Cause::NotTls,
            summary: "what answers on the broker's port does not speak TLS".to_owned(),
            evidence: self
                .evidence([format!("{}: the answer begins with \"{start}\"", self.places.answer)]),
            fix: vec!["use the broker's TLS port, as a rule 8883".to_owned()],
            candidates: Vec::new(),
        })
    }

    fn reset(&self) -> Option<Diagnosis> {
        // Of a log that does not show the offer nobody knows whether the offer was to blame.
        if self.places.pasted && self.hello.is_none() && !self.answer.chose {
            return None;
        }
        (self.outcome.close == Close::Rst).then(|| Diagnosis {
            cause: Cause::ConnectionReset,
            summary: format!("the broker reset the connection in {}", self.stage()),
            evidence: self.evidence([]),
            fix: vec!["look into the broker's log: a reset says nothing about TLS".to_owned()],
            candidates: Vec::new(),
        })
    }

    /// The broker closed without a word, and nothing that the client did can be why.
    fn closed(&self) -> Option<Diagnosis> {
        if self.error() != Some(CONN_EOF) || self.outcome.close != Close::Fin {
            return None;
        }
        let stage = self.outcome.stage;
        // After the handshake the reason may be what the application said, which a log hides; and
        // bytes that nobody saw may be anything.
        if (self.places.pasted && stage >= Some(Phase::MqttConnect)) || self.answer.stub {
            return None;
        }
        let own_flight = stage
            .is_some_and(|stage| stage > Phase::ServerHello && stage <= Phase::ServerHelloDone);
        let what = if self.answer.cut {
            "in the middle of a message of its own"
        } else if own_flight {
            "before it had said all that it has to say first"
        } else if self.struck_early() && self.hello.is_some() {
            "before it looked at what the client offers"
        } else if self.broker.is_some() && self.hello.is_some() {
            "although version, suites and keys of both ends fit"
        } else if self.answer.chose && self.answer.asked == Some(false) && !self.suite_is_psk() {
            "after the two ends had agreed, and without having asked for a certificate"
        } else {
            return None;
        };
        Some(Diagnosis {
            cause: Cause::PeerClosed,
            summary: format!(
                "{} closed the connection in {}, {what}: nothing that the client sent explains it",
                self.broker_name(),
                self.stage()
            ),
            evidence: self.evidence([]),
            fix: vec![
                "look into the broker's log at that moment: limits of connections or time, a crash, a proxy or firewall between".to_owned(),
            ],
            candidates: Vec::new(),
        })
    }

    pub(super) fn unproven(&self) -> Diagnosis {
        let alert = self.brokers_alert();
        let summary = match (&self.outcome.error, alert) {
            (Some(error), Some(code)) => {
                let meaning = alert_meaning(AlertDescription(code));
                format!(
                    "the client gave up with {error}{} because the broker sent alert {}{}; what was seen does not prove why",
                    self.in_stage(),
                    alert_text(code),
                    meaning.map(|meaning| format!(" ({meaning})")).unwrap_or_default()
                )
            }
            (Some(error), _) if self.places.pasted => {
                let meaning = self.error().map(|error| describe(error, Versions::ALL));
                format!(
                    "the client gave up{} with {}; what the log shows does not prove why",
                    self.in_stage(),
                    meaning.unwrap_or_else(|| error.clone())
                )
            }
            (Some(error), _) => format!(
                "the client gave up with {error} in {}; what was seen does not prove why",
                self.stage()
            ),
            (None, _) => match self.outcome.result {
                OutcomeKind::Failed => {
                    "the client gave up with an error that is not in what was seen".to_owned()
                }
                _ => "nothing was seen of how it ended".to_owned(),
            },
        };
        Diagnosis {
            cause: Cause::InsufficientEvidence,
            summary,
            evidence: self.evidence([]),
            fix: match self.places.pasted {
                // What to add to the next log is said by `explain`.
                true => Vec::new(),
                false => vec![
                    "look at the cell's device.log and transcript.jsonl, and at the broker's own log"
                        .to_owned(),
                ],
            },
            candidates: self.candidates(),
        }
    }

    /// Causes that fit, the likeliest first.
    pub(super) fn candidates(&self) -> Vec<Cause> {
        let unnamed = self.hello.as_ref().is_some_and(|hello| hello.server_name.is_none());
        let before = !self.answer.chose;
        let mut list = Vec::new();
        match (self.error().map(|error| -error), self.brokers_alert()) {
            (_, Some(40 | 71)) if before => {
                list.extend([Cause::NoSharedCiphersuite, Cause::CertificateKeyTypeMismatch]);
                // An older broker looks for a suite of its own version before the client can refuse
                // that version.
                if !self.client.is_three() && self.hello_record > Some(ProtocolVersion::TLS1_0) {
                    list.push(Cause::ClientRequiresNewerVersion);
                }
                if self.hello.as_ref().is_none_or(|hello| hello.groups.is_some()) {
                    list.extend([Cause::NoSharedGroup, Cause::NoSharedSignatureAlgorithm]);
                }
                if unnamed {
                    list.push(Cause::SniRequired);
                }
            }
            (_, Some(40)) => list.extend([Cause::ClientCertRequired, Cause::ClientCertRejected]),
            (_, Some(42..=46 | 48 | 49)) => list.push(Cause::ClientCertRejected),
            (_, Some(70)) => {
                list.extend([Cause::ServerRequiresNewerVersion, Cause::ClientRequiresNewerVersion])
            }
            (_, Some(80)) => {
                list.extend([Cause::ServerRequiresNewerVersion, Cause::NoSharedCiphersuite])
            }
            (_, Some(112)) => list.extend([Cause::SniRequired, Cause::HostnameMismatch]),
            (_, Some(_)) => {}
            (Some(0x7280), None) if self.outcome.stage >= Some(Phase::MqttConnect) => {
                list.extend([Cause::MqttRefused, Cause::PeerClosed]);
            }
            (Some(0x7280), None) if self.answer.stub => {
                list.extend([Cause::NotTls, Cause::PeerClosed]);
            }
            (Some(0x7280), None) if before => {
                if self.hello.is_none() {
                    list.push(Cause::NoCiphersuiteOffered);
                }
                list.extend([Cause::NoSharedCiphersuite, Cause::ServerRequiresNewerVersion]);
                if unnamed || self.hello.is_none() {
                    list.push(Cause::SniRequired);
                }
                list.extend([Cause::NotTls, Cause::ClientCertRequired, Cause::PeerClosed]);
            }
            (Some(0x7280), None) => {
                if self.suite_is_psk() {
                    list.push(Cause::PskUnknown);
                }
                if self.answer.asked != Some(false) {
                    list.extend([Cause::ClientCertRequired, Cause::ClientCertRejected]);
                }
                list.push(Cause::PeerClosed);
            }
            // In TLS 1.3 the verdict over the client's certificate comes after its handshake.
            (Some(0x7780), None) if self.outcome.stage >= Some(Phase::MqttConnect) => {
                list.extend([
                    Cause::ClientCertRequired,
                    Cause::ClientCertRejected,
                    Cause::MqttRefused,
                ]);
            }
            (Some(0x3000), None) => list.extend([Cause::UnknownCa, Cause::ChainTooLong]),
            (Some(0x7780), None) => list.extend([
                Cause::NoSharedCiphersuite,
                Cause::ServerRequiresNewerVersion,
                Cause::CertificateKeyTypeMismatch,
                Cause::SniRequired,
                Cause::ClientCertRequired,
            ]),
            (Some(0x2700), None) => {
                let offered = self.hello.as_ref().map(|hello| hello.usable_suites());
                let two =
                    offered.is_some_and(|mut suites| suites.all(super::suite_b::is_of_suite_b));
                if two && self.client.is_two_four() {
                    list.push(Cause::SuitebProfileRejectsAll);
                }
                if self.never_set_clock().is_some() {
                    list.push(Cause::ClockNotSet);
                }
                let rest = [
                    Cause::UnknownCa,
                    Cause::HostnameMismatch,
                    Cause::ClockNotSet,
                    Cause::CertificateExpired,
                    Cause::WeakSignatureHash,
                    Cause::WeakKey,
                ];
                list.extend(rest.into_iter().filter(|cause| {
                    *cause != Cause::ClockNotSet || self.never_set_clock().is_none()
                }));
            }
            (Some(0x7200), None) => {
                list.extend([
                    Cause::NotTls,
                    Cause::RecordTooLarge,
                    Cause::ServerRequiresNewerVersion,
                    Cause::BadRecord,
                ]);
            }
            (Some(0x7080), None) => {
                list.extend([Cause::HandshakeMessageFragmented, Cause::RecordTooLarge])
            }
            (Some(0x7180), None) => list.push(Cause::BadRecord),
            (Some(0x7700), None) => list.extend([Cause::BadRecord, Cause::NotTls]),
            (Some(0x7b00 | 0x7900), None) => {
                list.extend([Cause::UnacceptableHash, Cause::NoSharedGroup])
            }
            (Some(0x6e80), None) => list.push(Cause::ClientRequiresNewerVersion),
            (Some(0x7880), None) => match self.outcome.stage {
                Some(Phase::MqttConnect) => list.extend([Cause::MqttRefused, Cause::PeerClosed]),
                Some(_) => list.push(Cause::PeerClosed),
                None => list.extend([Cause::PeerClosed, Cause::MqttRefused]),
            },
            // That a client was too slow is never proven: a broker that gives up on it does not say so.
            (Some(0x0050 | 0x004c | 0x004e), None) => list.extend([
                Cause::ConnectionReset,
                Cause::PeerClosed,
                Cause::HandshakeCpuStarvation,
            ]),
            _ => {}
        }
        list
    }
}
