//! Why a connection ended as it did: one sentence, evidence with where each piece was seen, and a
//! fix in the terms of the SDK.
//!
//! ```text
//! a cell: transcript, profiles --+
//!                                +--> facts --> the first rule that speaks --> Diagnosis
//! a pasted log ([`crate::explain`]) --+
//!
//!   library      errors that say all there is to say
//!   offer        what the client offered against what the broker serves; `shared` compares the lists
//!   certificate  what the client made of the broker's certificate
//!   messages     records and messages that the client, or the broker, did not take
//!   known_bugs   what this version of mbedTLS itself does wrong
//!   ending       MQTT, and how the connection itself ended
//! ```
//!
//! Pure rules. A rule speaks only where the evidence proves it; else the cause is
//! [`Cause::InsufficientEvidence`] and the candidates are named in order.

mod certificate;
mod ending;
pub(crate) mod facts;
mod known_bugs;
mod library;
mod messages;
mod offer;
mod shared;
mod suite_b;

pub(crate) use certificate::{LIBRARYS_WORDS, causes_of};
pub(crate) use facts::Facts;

use crate::transcript::Transcript;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use suites::broker::BrokerProfile;
use suites::cell::BuildName;
use suites::names;
use suites::outcome::{Outcome, OutcomeKind};
use suites::profile::ClientProfile;
use wire::tls::{AlertDescription, CipherSuite};

/// The line of 2.4.0 that counts a lone marker as a suite.
const ONE_SUITE: &str = "got 1 ciphersuites";
/// The DUT's own last line, with the error's name.
const FAILED: &str = "handshake failed: ";

/// Parts of those lines of a device's log that some rule looks for, beside the errors of level 1. A
/// log of these lines alone leads to the same diagnosis as the whole.
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
            /// All there are, in the order of this list.
            pub const ALL: &[Self] = &[$(Self::$name),+];

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
    /// Suites are shared, but no way to sign that both accept.
    NoSharedSignatureAlgorithm = "no_shared_signature_algorithm",
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
    /// The client's clock stands long before the certificate's first day.
    ClockNotSet = "clock_not_set",
    /// The broker's certificate is signed with a hash that the client refuses.
    WeakSignatureHash = "weak_signature_hash",
    /// The broker's certificate holds a key that the client refuses.
    WeakKey = "weak_key",
    /// A certificate, or the client's own signature, is made in a way that the client was not built for.
    UnsupportedSignatureAlgorithm = "unsupported_signature_algorithm",
    /// The broker's chain is longer than the client follows. Added to the list that DESIGN.md began
    /// with: nothing is wrong with any certificate, and neither a CA nor a new key mends it.
    ChainTooLong = "chain_too_long",
    /// The Suite B certificate profile of this mbedTLS rejects every certificate.
    SuitebProfileRejectsAll = "suiteb_profile_rejects_all",
    /// The broker asked for a client certificate and got none.
    ClientCertRequired = "client_cert_required",
    /// The broker got a client certificate and refused it.
    ClientCertRejected = "client_cert_rejected",
    /// A handshake message spans records, which the client's library cannot put together.
    HandshakeMessageFragmented = "handshake_message_fragmented",
    /// A record is longer than the client's buffer.
    RecordTooLarge = "record_too_large",
    /// The client had no memory left.
    OutOfMemory = "out_of_memory",
    /// The broker reset the TCP connection.
    ConnectionReset = "connection_reset",
    /// The broker closed the connection for a reason that nothing shows.
    PeerClosed = "peer_closed",
    /// The client was still waiting when its time was over.
    Timeout = "timeout",
    /// The broker's port does not speak TLS.
    NotTls = "not_tls",
    /// A record or message is damaged, or one that TLS does not have there.
    BadRecord = "bad_record",
    /// The broker signed its key exchange with a hash that the client did not offer.
    UnacceptableHash = "unacceptable_hash",
    /// The certificate failed its check, and the client went on all the same.
    VerifyFailureIgnored = "verify_failure_ignored",
    /// The two ends do not share the pre-shared key that the suite needs.
    PskUnknown = "psk_unknown",
    /// The client got no random numbers.
    EntropyFailed = "entropy_failed",
    /// The client computed longer than the broker waits.
    HandshakeCpuStarvation = "handshake_cpu_starvation",
    /// The client's crypto hardware failed.
    HardwareCryptoFault = "hardware_crypto_fault",
    /// This version of mbedTLS errs. Added to the list that DESIGN.md began with: the wire and both
    /// ends' settings are right, and to say otherwise sends people after the wrong thing.
    LibraryFault = "library_fault",
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
    match outcome.result {
        OutcomeKind::RigFault | OutcomeKind::Unsupported => None,
        _ => Some(Facts::of_cell(subject, transcript, outcome).diagnose()),
    }
}

impl Facts<'_> {
    /// The first rule that speaks.
    pub(crate) fn diagnose(&self) -> Diagnosis {
        match self.outcome.result {
            OutcomeKind::TimedOut => self.timeout(),
            OutcomeKind::Connected => self.connected(),
            _ => self
                .library()
                .or_else(|| self.offer())
                .or_else(|| self.certificate())
                .or_else(|| self.messages())
                .or_else(|| self.known_bugs())
                .or_else(|| self.ending())
                .unwrap_or_else(|| self.unproven()),
        }
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
