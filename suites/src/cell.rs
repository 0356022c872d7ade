//! The identity of a cell and of its client: one string each, used everywhere alike.
//!
//! ```text
//! mbedtls-2.4.0/rsa-16384+suiteb/hivemq-cloud-2021      cell
//! mbedtls-2.4.0/rsa-16384+suiteb                        client = build + profile
//! mbedtls-2.4.0/rsa-16384                               build = stack / macro set and content length
//! ```
//!
//! Filters, folders, snapshots and reports all use these strings; each type parses what it prints.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A firmware build: a TLS stack with one macro set and content length.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct BuildName(String);

impl BuildName {
    /// The whole name, `<stack>/<variant>`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash, for example `mbedtls-2.4.0`.
    #[must_use]
    pub fn stack(&self) -> &str {
        self.0.split_once('/').map_or("", |(stack, _)| stack)
    }

    /// The part behind the slash, for example `rsa-16384`.
    #[must_use]
    pub fn variant(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, variant)| variant)
    }
}

/// A client: a build that is given a profile at run time.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct ClientName {
    /// The firmware build.
    pub build: BuildName,
    /// File name of the profile, without its ending.
    pub profile: String,
}

/// A cell: one client against one broker.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct CellId {
    /// Who connects.
    pub client: ClientName,
    /// To whom: the broker profile's file name without its ending.
    pub broker: String,
}

/// Text that is no name of the kind it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}; a {kind} looks like {example}")]
pub struct NameError {
    text: String,
    kind: &'static str,
    example: &'static str,
}

/// Whether a part of a name is made of what is safe in a path, a URL and a terminal.
fn is_plain(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed)
}

impl FromStr for BuildName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('/') {
            Some((stack, variant)) if is_plain(stack) && is_plain(variant) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(NameError {
                text: text.to_owned(),
                kind: "build",
                example: "mbedtls-2.4.0/rsa-16384",
            }),
        }
    }
}

impl FromStr for ClientName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parsed = text.split_once('+').and_then(|(build, profile)| {
            let build = build.parse().ok()?;
            is_plain(profile).then(|| Self { build, profile: profile.to_owned() })
        });
        parsed.ok_or_else(|| NameError {
            text: text.to_owned(),
            kind: "client",
            example: "mbedtls-2.4.0/rsa-16384+suiteb",
        })
    }
}

impl FromStr for CellId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let parsed = text.rsplit_once('/').and_then(|(client, broker)| {
            let client = client.parse().ok()?;
            is_plain(broker).then(|| Self { client, broker: broker.to_owned() })
        });
        parsed.ok_or_else(|| NameError {
            text: text.to_owned(),
            kind: "cell",
            example: "mbedtls-2.4.0/rsa-16384+suiteb/hivemq-cloud-2021",
        })
    }
}

impl fmt::Display for BuildName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}+{}", self.build.as_str(), self.profile))
    }
}

impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.client, self.broker))
    }
}

macro_rules! as_string {
    ($($name:ty),+) => {$(
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.to_string()
            }
        }
    )+};
}
as_string!(BuildName, ClientName, CellId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_what_they_print() {
        let text = "mbedtls-2.4.0/rsa-16384+suiteb/hivemq-cloud-2021";
        let cell: CellId = text.parse().unwrap();
        assert_eq!(cell.to_string(), text);
        assert_eq!(cell.client.to_string(), "mbedtls-2.4.0/rsa-16384+suiteb");
        assert_eq!(cell.client.build.stack(), "mbedtls-2.4.0");
        assert_eq!(cell.client.build.variant(), "rsa-16384");
    }

    #[test]
    fn names_that_could_leave_a_folder_are_refused() {
        for bad in ["", "a", "a/b", "a/b+c", "../b+c/d", "a/b+c/..", "a/b+c/d/e", "a/b c+d/e"] {
            assert!(bad.parse::<CellId>().is_err(), "{bad} should be refused");
        }
        insta::assert_snapshot!("rsa-16384+suiteb".parse::<ClientName>().unwrap_err(), @r#""rsa-16384+suiteb" is not a client; a client looks like mbedtls-2.4.0/rsa-16384+suiteb"#);
    }
}
