//! What became of a cell: the closed list that snapshots, predictions and reports share.
//!
//! An [`Outcome`] holds only what must be the same on every kind of board and in every run. How
//! long it took and how much memory it needed are measurements ([`crate::snapshot::Measured`]).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use wire::message::Phase;
use wire::tls::{CipherSuite, ProtocolVersion};

/// What became of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// In one word.
    pub result: OutcomeKind,
    /// The phase in which it ended; [`Phase::Over`] if all phases were passed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>")]
    pub stage: Option<Phase>,
    /// Negotiated version, if a ServerHello was accepted.
    #[serde(with = "as_text", skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>")]
    pub version: Option<ProtocolVersion>,
    /// Negotiated cipher suite, if a ServerHello was accepted.
    #[serde(with = "as_text", skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>")]
    pub cipher_suite: Option<CipherSuite>,
    /// The client's error as it prints it, for example `-0x7280`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// Certificate verification flags other than 0, for example `0x00000008`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verify_flags: Option<String>,
    /// The first fatal alert in the clear.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alert: Option<AlertSeen>,
    /// How the broker ended the TCP connection before the client did.
    #[serde(default)]
    pub close: Close,
    /// Whether a second connection resumed the first one's session, if there was a second one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resumed: Option<bool>,
    /// How far MQTT got: `connack:<code>`, or why there was none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mqtt: Option<String>,
}

impl Outcome {
    /// An outcome of which nothing more is known than this.
    #[must_use]
    pub fn bare(result: OutcomeKind) -> Self {
        Self {
            result,
            stage: None,
            version: None,
            cipher_suite: None,
            error: None,
            verify_flags: None,
            alert: None,
            close: Close::None,
            resumed: None,
            mqtt: None,
        }
    }
}

/// An outcome in one word.
///
/// `TimedOut` and `RigFault` never match an expectation and never satisfy an expected failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// TLS and MQTT up to CONNACK and a published message there and back.
    Connected,
    /// The client gave up with an error.
    Failed,
    /// The client was still waiting when the cell's time was over.
    TimedOut,
    /// The build cannot do what the profile asks.
    Unsupported,
    /// The rig, the board or the link broke: says nothing about the client.
    RigFault,
}

/// Which end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The device under test.
    Client,
    /// The broker.
    Broker,
}

/// An alert and who sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertSeen {
    /// Its sender.
    pub from: End,
    /// `warning` or `fatal`.
    pub level: AlertLevel,
    /// `AlertDescription` of RFC 5246 7.2.
    pub code: u8,
}

/// `AlertLevel` of RFC 5246 7.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertLevel {
    /// 1
    Warning,
    /// 2
    Fatal,
}

/// How the broker ended the TCP connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Close {
    /// It did not: the client closed first, or nobody.
    #[default]
    None,
    /// In good order.
    Fin,
    /// With a reset.
    Rst,
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Connected => "connected",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Unsupported => "unsupported",
            Self::RigFault => "rig fault",
        })
    }
}

/// The phase's name as in JSON, for example `server_hello`.
#[must_use]
pub fn phase_name(phase: Phase) -> String {
    // The names are those that serde writes, so that text and JSON cannot drift apart.
    toml::Value::try_from(phase)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_else(|| format!("{phase:?}"))
}

/// Code points in files are text that a person can read: `TLS1.2`, `0x003d`.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use wire::tls::{CipherSuite, ProtocolVersion};

    pub trait CodePoint: Display + Sized {
        fn parse(text: &str) -> Option<Self>;
    }

    fn hex(text: &str) -> Option<u16> {
        u16::from_str_radix(text.strip_prefix("0x")?, 16).ok()
    }

    impl CodePoint for ProtocolVersion {
        fn parse(text: &str) -> Option<Self> {
            Self::from_name(text).or_else(|| hex(text).map(Self))
        }
    }

    impl CodePoint for CipherSuite {
        fn parse(text: &str) -> Option<Self> {
            hex(text).map(Self)
        }
    }

    pub fn serialize<T: CodePoint, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, T: CodePoint, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let parsed = T::parse(&text);
        parsed.map(Some).ok_or_else(|| D::Error::custom(format!("{text:?} is no code point")))
    }
}
