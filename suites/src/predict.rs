//! Prediction: what becomes of a cell, stated before anything is started.
//!
//! ```text
//! ClientHello, recorded once ([`recorded`]) --+
//! client profile: what no hello shows --------+
//! build: stack and macros ([`stack`]) --------+--> predict --> Predicted { outcome, trace, steps }
//! broker profile -----------------------------+
//!
//!   scope        whether every key that the cell uses is known to a rule
//!   setup        what the library refuses before it sends a byte
//!   offer        which version and suite the broker answers with, filter by filter, or its refusal
//!   client       what the client makes of each message of the answer, up to MQTT; TLS 1.3 has its own
//!                order of messages
//!     certificate, size, misbehave
//! ```
//!
//! The function is pure, and nothing that was observed of the cell goes into it: where it differs
//! from what was seen, either the firmware, the broker or what we believe of them is wrong, and all
//! three are worth knowing. Such a cell is a *surprise*.
//!
//! A key of a client or broker profile that decides on suites is a filter: one line in
//! `offer::FILTERS`. One that decides on a later message is a step: one line in `client::STEPS`. One
//! that no rule reads yet is listed in `scope`, and a cell that uses it has no prediction.

mod certificate;
mod client;
mod misbehave;
mod offer;
pub mod recorded;
mod scope;
mod setup;
mod size;
pub mod stack;

pub use size::certificate_message;

use crate::broker::{BrokerProfile, Stage};
use crate::hello::ClientHello;
use crate::outcome::{Outcome, phase_name};
use crate::profile::ClientProfile;
use crate::snapshot::Change;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stack::{Build, Stack};
use wire::message::Phase;
use wire::tls::CipherSuite;

/// All that a prediction is made from.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The client's build.
    pub build: &'a Build,
    /// The client's profile.
    pub profile: &'a ClientProfile,
    /// Its ClientHello; `None` if none was ever recorded, perhaps because it sends none.
    pub hello: Option<&'a ClientHello>,
    /// The broker's profile.
    pub broker: &'a BrokerProfile,
}

/// What becomes of a cell, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Predicted {
    /// The outcome, field by field as in a snapshot.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What decides it, in one clause.
    pub why: String,
    /// What became of each suite: those that the client offers in its order, then those that only
    /// the broker has in its order. Empty if it does not come to a choice.
    #[serde(default)]
    pub trace: Vec<Elimination>,
    /// What follows, message by message, up to the end.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// What became of one suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Elimination {
    /// Its code point, `0x003d`.
    pub suite: String,
    /// The filter that took it out; none for the one that is chosen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub out: Option<Filter>,
    /// One clause.
    pub why: String,
}

/// What takes a suite out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The client has no such cipher or hash compiled in.
    Cipher,
    /// The client has no such key exchange compiled in, or the broker cannot do it.
    KeyExchange,
    /// The client could, but its preset or its suite list leaves it out.
    NotOffered,
    /// The broker does not serve it.
    NotServed,
    /// Not a suite of the negotiated version.
    Version,
    /// The broker's certificate has another kind of key.
    CertificateKeyType,
    /// No group to use it with.
    Group,
    /// No signature algorithm that the broker's key can make.
    SignatureAlgorithm,
    /// OpenSSL's security level.
    SecurityLevel,
    /// Usable, but the broker wants another one more, and its order decides.
    ServerOrder,
    /// Usable, but the client wants another one more, and its order decides.
    ClientOrder,
}

impl Filter {
    /// The filter's name as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cipher => "cipher",
            Self::KeyExchange => "key_exchange",
            Self::NotOffered => "not_offered",
            Self::NotServed => "not_served",
            Self::Version => "version",
            Self::CertificateKeyType => "certificate_key_type",
            Self::Group => "group",
            Self::SignatureAlgorithm => "signature_algorithm",
            Self::SecurityLevel => "security_level",
            Self::ServerOrder => "server_order",
            Self::ClientOrder => "client_order",
        }
    }
}

/// One message or part of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The phase, as in [`Outcome::stage`].
    pub step: String,
    /// Whether it goes on.
    pub passes: bool,
    /// One clause.
    pub why: String,
}

impl Step {
    fn passes(phase: Phase, why: impl Into<String>) -> Self {
        Self { step: phase_name(phase), passes: true, why: why.into() }
    }

    fn fails(phase: Phase, why: impl Into<String>) -> Self {
        Self { step: phase_name(phase), passes: false, why: why.into() }
    }
}

/// Why nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPrediction {
    /// Nothing is known of the stack.
    #[error(
        "nothing is known of stack {stack:?}: state its facts in suites/src/predict/stack.rs, with their source"
    )]
    UnknownStack {
        /// Its name.
        stack: String,
    },
    /// A profile uses a key that no rule reads.
    #[error(
        "nothing is predicted where a {end} uses {key}, as {name} does: no rule reads it yet, see suites/src/predict/scope.rs; the cell's snapshot still holds"
    )]
    UnknownKey {
        /// `client profile` or `broker`.
        end: &'static str,
        /// The profile's name.
        name: String,
        /// The key, and its value if others are known.
        key: &'static str,
    },
    /// There is no hello.
    #[error(
        "the ClientHello of {client} was never recorded: run one of its cells with `cargo rig run SUITE --filter {client}/ --accept`"
    )]
    NoHello {
        /// Whose.
        client: String,
    },
}

/// States the outcome of the cell that `subject` describes.
///
/// # Errors
/// [`NoPrediction`] says what has to be there first.
pub fn predict(subject: &Subject<'_>) -> Result<Predicted, NoPrediction> {
    let name = subject.build.name.stack();
    let stack =
        Stack::named(name).ok_or_else(|| NoPrediction::UnknownStack { stack: name.to_owned() })?;
    scope::check(subject)?;
    if let Some(refused) = setup::refused(subject, stack) {
        return Ok(refused);
    }
    let hello = subject.hello.ok_or_else(|| NoPrediction::NoHello {
        client: format!("{}+{}", subject.build.name, subject.profile.name),
    })?;
    let case = Case {
        build: subject.build,
        profile: subject.profile,
        broker: subject.broker,
        stack,
        hello,
    };
    if let Some(failure) = misbehave::instead_of_hello(&case, Stage::Accept) {
        return Ok(client::is_let_down(failure, Vec::new()));
    }
    let (answer, trace) = offer::answer(&case);
    let choice = match answer {
        Ok(choice) => choice,
        Err(refusal) => return Ok(client::is_refused(&case, refusal, trace)),
    };
    Ok(match misbehave::instead_of_hello(&case, Stage::ClientHello) {
        Some(failure) => client::is_let_down(failure, trace),
        None => client::receives(&case, choice, trace),
    })
}

impl Predicted {
    /// In which fields `seen` differs from the prediction; a surprise unless it is empty.
    #[must_use]
    pub fn differs(&self, seen: &Outcome) -> Vec<Change> {
        self.outcome.changes(seen)
    }
}

/// A subject with its hello and its stack at hand.
#[derive(Clone, Copy)]
struct Case<'a> {
    build: &'a Build,
    profile: &'a ClientProfile,
    broker: &'a BrokerProfile,
    stack: &'static Stack,
    hello: &'a ClientHello,
}

/// A suite by number and name.
fn suite_text(suite: CipherSuite) -> String {
    match crate::names::cipher_suite_name(suite) {
        Some(name) => format!("{suite} {name}"),
        None => suite.to_string(),
    }
}
