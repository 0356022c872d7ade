//! What [`super::explain`] says, for programs: each fact by its number and its name.

use super::errors::{self, Versions};
use crate::diagnosis::{Diagnosis, Facts};
use crate::judge::error_text;
use crate::transcript::printable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use suites::hello::ClientHello;
use suites::names;
use suites::outcome::{AlertSeen, Close, End};
use wire::tls::AlertDescription;

/// Version of the layout of [`Explanation`].
pub const SCHEMA: u32 = 1;

/// A log explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// Version of this layout.
    pub schema: u32,
    /// Which mbedTLS wrote it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub library: Option<Speaks>,
    /// Highest debug level of which a line was seen: 1 errors, 2 states, 3 contents, 4 bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub debug_level: Option<u8>,
    /// How many connections the log tells of; the last one that has an end is explained.
    pub connections: usize,
    /// The last state of the handshake that was entered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub state: Option<String>,
    /// The errors in it, each once, in the order of their lines.
    pub errors: Vec<ErrorTold>,
    /// The fatal alert that one end sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alert: Option<AlertTold>,
    /// What the check of the broker's certificate found, if the log proves any of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verify_flags: Option<FlagsTold>,
    /// How the broker ended the connection, if it did.
    pub close: Close,
    /// What the broker chose.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chosen: Option<Chosen>,
    /// What the ClientHello offers, if the log tells all of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub offer: Option<Offer>,
    /// Why it failed.
    pub diagnosis: Diagnosis,
    /// What the next log should have, if this one proves nothing.
    pub next: Vec<Next>,
}

/// Which mbedTLS speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Speaks {
    /// The rig's stack whose line numbers these are, such as `mbedtls-2.4.0`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stack: Option<String>,
    /// The first number of its version, 2 or 3.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub major: Option<u8>,
    /// How that is known.
    pub text: String,
}

/// An error of the library's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorTold {
    /// Line of the log, from 1.
    pub line: usize,
    /// As the library writes it, such as `-0x7280`.
    pub code: String,
    /// As a program has it, such as -29312.
    pub number: i32,
    /// Its names: of both parts where it joins two, of both lines where 2.x and 3.x differ.
    pub names: Vec<String>,
    /// All that in words.
    pub text: String,
}

impl ErrorTold {
    pub(super) fn of(line: usize, number: i32, versions: Versions) -> Self {
        Self {
            line,
            code: error_text(number),
            number,
            names: errors::names(number, versions),
            text: errors::describe(number, versions),
        }
    }
}

/// A fatal alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertTold {
    /// Who sent it.
    pub from: End,
    /// What it says.
    pub code: u8,
    /// That by its IANA name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
}

impl AlertTold {
    pub(super) fn of(alert: &AlertSeen) -> Self {
        let name = names::alert_name(AlertDescription(alert.code)).map(str::to_owned);
        Self { from: alert.from, code: alert.code, name }
    }
}

/// Bits of `mbedtls_ssl_get_verify_result`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlagsTold {
    /// Eight hexadecimal digits, such as `0x00000008`.
    pub code: String,
    /// The same as a number.
    pub number: u32,
    /// What each bit says.
    pub names: Vec<String>,
    /// Whether these are all; else there may be more.
    pub complete: bool,
}

/// What the broker chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Chosen {
    /// Such as `TLS1.2`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<String>,
    /// The cipher suite.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cipher_suite: Option<Named>,
}

impl Chosen {
    pub(super) fn of(facts: &Facts<'_>) -> Option<Self> {
        let outcome = &facts.outcome;
        let version = outcome.version.map(|version| version.to_string());
        let cipher_suite =
            outcome.cipher_suite.map(|suite| Named::of(suite.0, names::cipher_suite_name(suite)));
        (version.is_some() || cipher_suite.is_some()).then_some(Self { version, cipher_suite })
    }
}

/// A code point and its IANA name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Named {
    /// Four hexadecimal digits, such as `0xc02f`.
    pub code: String,
    /// The name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
}

impl Named {
    fn of(code: u16, name: Option<&str>) -> Self {
        Self { code: format!("{code:#06x}"), name: name.map(str::to_owned) }
    }
}

/// A ClientHello.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offer {
    /// The highest version, such as `TLS1.2`.
    pub version: String,
    /// Suites in the client's order, markers left out.
    pub suites: Vec<Named>,
    /// Groups in the client's order, if the log tells them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub groups: Option<Vec<Named>>,
    /// Signature algorithms in the client's order, if the log tells them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signature_algorithms: Option<Vec<Named>>,
    /// Extensions in the order sent.
    pub extensions: Vec<Named>,
    /// The server's name, if one is given.
    pub server_name: Option<String>,
}

impl Offer {
    pub(super) fn of(hello: &ClientHello) -> Self {
        let suites = hello.usable_suites();
        let group = |group: &wire::tls::NamedGroup| Named::of(group.0, names::group_name(*group));
        let scheme = |scheme: &u16| Named::of(*scheme, names::signature_scheme_name(*scheme));
        let extension = |kind: &u16| Named::of(*kind, Some(&names::extension_name(*kind)));
        Self {
            version: hello.highest_version().to_string(),
            suites: suites.map(|it| Named::of(it.0, names::cipher_suite_name(it))).collect(),
            groups: hello.groups.as_ref().map(|list| list.iter().map(group).collect()),
            signature_algorithms: hello
                .signature_algorithms
                .as_ref()
                .map(|list| list.iter().map(scheme).collect()),
            extensions: hello.extensions.iter().map(extension).collect(),
            server_name: hello.server_name.as_ref().map(|name| printable(name.as_bytes())),
        }
    }
}

/// Something that would make the next log prove more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Next {
    /// What it is.
    pub add: Lacking,
    /// What to do for it.
    pub text: String,
}

/// What a log may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lacking {
    /// A higher debug level of the library.
    DebugLevel,
    /// The verify flags.
    VerifyFlags,
    /// The broker's profile, for `--broker`.
    BrokerProfile,
    /// The broker's own log.
    BrokerLog,
    /// The firmware's configuration header, for `--config`.
    ConfigHeader,
    /// The log of the client itself.
    ClientsLog,
}
