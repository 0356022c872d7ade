//! Why a cell ended as it did: one sentence, evidence with where each piece was seen, and a fix in
//! the terms of the SDK.
//!
//! Pure rules over the transcript, the client's profile and the broker's profile. A rule speaks
//! only where the evidence proves it; else the cause is [`Cause::InsufficientEvidence`] and the
//! candidates are named in order.

mod certificate;
mod offer;

use crate::transcript::{Seen, Transcript};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use suites::broker::BrokerProfile;
use suites::cell::BuildName;
use suites::hello::ClientHello;
use suites::names;
use suites::outcome::{Close, End, Outcome, OutcomeKind, phase_name};
use suites::profile::ClientProfile;
use suites::stream::{Rest, Stream};
use wire::tls::{AlertDescription, CipherSuite};

/// The line of 2.4.0 that counts a lone marker as a suite.
const ONE_SUITE: &str = "got 1 ciphersuites";
/// The DUT's own last line, with the error's name.
const FAILED: &str = "handshake failed: ";

/// Parts of those lines of a device's log that some rule looks for. A log of these lines alone
/// leads to the same diagnosis as the whole.
pub const LOG_QUOTES: [&str; 2] = [ONE_SUITE, FAILED];

/// What is known of the cell apart from its transcript.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The client's build.
    pub build: &'a BuildName,
    /// The client's profile.
    pub profile: &'a ClientProfile,
    /// The broker's profile.
    pub broker: &'a BrokerProfile,
}

/// The explanation of one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// From the closed list.
    pub cause: Cause,
    /// One sentence without line breaks.
    pub summary: String,
    /// What was seen, and where.
    pub evidence: Vec<String>,
    /// What to change, the smallest change first; empty if nothing has to change.
    pub fix: Vec<String>,
    /// Other causes that fit the evidence, the likeliest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub candidates: Vec<Cause>,
}

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $key:literal),+ $(,)?) => {
        /// The closed list of causes; each prints as the key that scripts rely on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Cause {
            $($(#[$doc])* #[serde(rename = $key)] $name),+
        }

        impl Cause {
            /// Its key.
            #[must_use]
            pub fn key(self) -> &'static str {
                match self { $(Self::$name => $key),+ }
            }
        }
    };
}

causes! {
    /// The ClientHello offers no cipher suite at all.
    NoCiphersuiteOffered = "no_ciphersuite_offered",
    /// Both sides have suites, none in common.
    NoSharedCiphersuite = "no_shared_ciphersuite",
    /// The broker's lowest version is above the client's highest.
    ServerRequiresNewerVersion = "server_requires_newer_version",
    /// The client's lowest version is above the broker's highest.
    ClientRequiresNewerVersion = "client_requires_newer_version",
    /// No offered suite can be used with the kind of key in the broker's certificate.
    CertificateKeyTypeMismatch = "certificate_key_type_mismatch",
    /// Suites are shared, but no group to use them with.
    NoSharedGroup = "no_shared_group",
    /// The broker serves nobody who names no server.
    SniRequired = "sni_required",
    /// The broker's certificate comes from an authority that the client does not hold.
    UnknownCa = "unknown_ca",
    /// The name in the broker's certificate is not the one that the client asked for.
    HostnameMismatch = "hostname_mismatch",
    /// The client would verify a name, and was told none.
    HostnameNotSet = "hostname_not_set",
    /// The broker's certificate is out of date.
    CertificateExpired = "certificate_expired",
    /// The broker's certificate is signed with a hash that the client refuses.
    WeakSignatureHash = "weak_signature_hash",
    /// The broker's certificate holds a key that the client refuses.
    WeakKey = "weak_key",
    /// The Suite B certificate profile of this mbedTLS rejects every certificate.
    SuitebProfileRejectsAll = "suiteb_profile_rejects_all",
    /// The broker asked for a client certificate and got none.
    ClientCertRequired = "client_cert_required",
    /// The broker reset the TCP connection.
    ConnectionReset = "connection_reset",
    /// The broker closed the connection for a reason that nothing shows.
    PeerClosed = "peer_closed",
    /// The client was still waiting when its time was over.
    Timeout = "timeout",
    /// The broker's port does not speak TLS.
    NotTls = "not_tls",
    /// The certificate failed its check, and the client went on all the same.
    VerifyFailureIgnored = "verify_failure_ignored",
    /// TLS stands, the MQTT part refused.
    MqttRefused = "mqtt_refused",
    /// Nothing failed.
    NoFailure = "no_failure",
    /// The evidence does not prove a cause.
    InsufficientEvidence = "insufficient_evidence",
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.key())
    }
}

/// Explains one cell; `None` where there is nothing to say about the client, because the rig broke
/// or the build cannot do what the profile asks.
#[must_use]
pub fn diagnose(
    subject: &Subject<'_>,
    transcript: &Transcript,
    outcome: &Outcome,
) -> Option<Diagnosis> {
    let case = Case {
        subject,
        transcript,
        outcome,
        client: transcript.stream(End::Client),
        broker: transcript.stream(End::Broker),
    };
    match outcome.result {
        OutcomeKind::RigFault | OutcomeKind::Unsupported => None,
        OutcomeKind::TimedOut => Some(case.timeout()),
        OutcomeKind::Connected => Some(case.connected()),
        OutcomeKind::Failed => Some(
            case.offer()
                .or_else(|| case.certificate())
                .or_else(|| case.mqtt())
                .or_else(|| case.transport())
                .unwrap_or_else(|| case.unproven()),
        ),
    }
}

/// A cell and what its two streams hold.
struct Case<'a> {
    subject: &'a Subject<'a>,
    transcript: &'a Transcript,
    outcome: &'a Outcome,
    client: Stream,
    broker: Stream,
}

impl Case<'_> {
    fn hello(&self) -> Option<&ClientHello> {
        self.client.client_hello.as_ref()
    }

    fn timeout(&self) -> Diagnosis {
        let waited = self.transcript.seen().find_map(|seen| match seen {
            Seen::TimedOut { waiting_for, limit_ms } => Some((waiting_for, limit_ms)),
            _ => None,
        });
        let (waiting_for, limit_ms) = waited.unwrap_or((const { &String::new() }, &0));
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

    fn connected(&self) -> Diagnosis {
        let suite = self.outcome.cipher_suite.map(suite_text).unwrap_or_default();
        let version = self.outcome.version.map(|version| version.to_string()).unwrap_or_default();
        let how = format!("{version} with {suite}, up to CONNACK and a message there and back");
        match &self.outcome.verify_flags {
            Some(flags) => Diagnosis {
                cause: Cause::VerifyFailureIgnored,
                summary: format!(
                    "connected by {how}, although the broker's certificate failed its check (flags {flags}: {})",
                    certificate::flag_names(flags)
                ),
                evidence: vec![format!("client: mbedtls_ssl_get_verify_result is {flags}")],
                fix: vec![
                    "set a CA and MBEDTLS_SSL_VERIFY_REQUIRED: anybody can pose as this broker"
                        .to_owned(),
                ],
                candidates: Vec::new(),
            },
            None => Diagnosis {
                cause: Cause::NoFailure,
                summary: format!("connected by {how}"),
                evidence: Vec::new(),
                fix: Vec::new(),
                candidates: Vec::new(),
            },
        }
    }

    fn mqtt(&self) -> Option<Diagnosis> {
        let mqtt = self.outcome.mqtt.as_ref()?;
        Some(Diagnosis {
            cause: Cause::MqttRefused,
            summary: format!("TLS stands, but MQTT failed in {}: {mqtt}", self.stage()),
            evidence: self.common_evidence(),
            fix: vec!["look at the MQTT part: protocol version, client identifier, user name and password, keep-alive".to_owned()],
            candidates: Vec::new(),
        })
    }

    /// What the connection itself shows.
    fn transport(&self) -> Option<Diagnosis> {
        if let Rest::NotTls { at: 0 } = self.broker.rest {
            let start = self.transcript.bytes(End::Broker);
            let start = start.get(..start.len().min(16)).unwrap_or_default();
            return Some(Diagnosis {
                cause: Cause::NotTls,
                summary: "what answers on the broker's port does not speak TLS".to_owned(),
                evidence: vec![format!(
                    "wire: the answer begins with \"{}\"",
                    crate::transcript::printable(start)
                )],
                fix: vec!["use the broker's TLS port, as a rule 8883".to_owned()],
                candidates: Vec::new(),
            });
        }
        (self.outcome.close == Close::Rst).then(|| Diagnosis {
            cause: Cause::ConnectionReset,
            summary: format!("the broker reset the connection in {}", self.stage()),
            evidence: self.common_evidence(),
            fix: vec!["look into the broker's log: a reset says nothing about TLS".to_owned()],
            candidates: Vec::new(),
        })
    }

    fn unproven(&self) -> Diagnosis {
        let error = self.outcome.error.as_deref().unwrap_or("an error");
        let candidates = match self.outcome.alert.as_ref().map(|alert| alert.code) {
            Some(40) => {
                vec![Cause::NoSharedCiphersuite, Cause::NoSharedGroup, Cause::ClientCertRequired]
            }
            None if self.outcome.close == Close::Fin => {
                vec![Cause::PeerClosed, Cause::ClientCertRequired, Cause::SniRequired]
            }
            _ => Vec::new(),
        };
        Diagnosis {
            cause: Cause::InsufficientEvidence,
            summary: format!(
                "the client gave up with {error} in {}; what was seen does not prove why",
                self.stage()
            ),
            evidence: self.common_evidence(),
            fix: vec![
                "look at the cell's device.log and transcript.jsonl, and at the broker's own log"
                    .to_owned(),
            ],
            candidates,
        }
    }

    fn stage(&self) -> String {
        self.outcome.stage.map_or_else(|| "an unknown phase".to_owned(), phase_name)
    }

    /// The error with the name that the client itself gives it, if its log says so.
    fn named_error(&self, error: &str) -> String {
        let named = self.transcript.seen().find_map(|seen| match seen {
            Seen::Log(line) => line.text.strip_prefix(FAILED),
            _ => None,
        });
        named.filter(|named| named.starts_with(error)).unwrap_or(error).to_owned()
    }

    /// What every failed cell shows: the client's error, the broker's word, the end on the wire.
    fn common_evidence(&self) -> Vec<String> {
        let mut evidence = Vec::new();
        if let Some(error) = &self.outcome.error {
            evidence.push(format!("client: {} in {}", self.named_error(error), self.stage()));
        }
        if let Some(alert) = &self.outcome.alert {
            let name = alert_text(alert.code);
            let from = match alert.from {
                End::Client => "client",
                End::Broker => "broker",
            };
            evidence.push(format!("wire: fatal alert {name} from the {from}"));
        } else if self.outcome.close == Close::Fin {
            evidence.push("wire: the broker closed the connection without an alert".to_owned());
        }
        if let Some(error) = self.transcript.broker().and_then(|word| word.error.as_ref()) {
            evidence.push(format!("broker: {error}"));
        }
        evidence
    }
}

/// An alert by number and name.
#[must_use]
pub fn alert_text(code: u8) -> String {
    match names::alert_name(AlertDescription(code)) {
        Some(name) => format!("{code} {name}"),
        None => code.to_string(),
    }
}

/// A suite by name and number.
#[must_use]
pub fn suite_text(suite: CipherSuite) -> String {
    match names::cipher_suite_name(suite) {
        Some(name) => format!("{name} ({suite})"),
        None => suite.to_string(),
    }
}
