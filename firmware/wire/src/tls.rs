//! TLS code points as they stand on the wire.
//!
//! Each is a newtype that keeps values nobody has assigned: an unknown one prints in hexadecimal.
//! Names of cipher suites and groups are a matter for the host (crate `suites`), which takes them
//! from the IANA registry; a DUT has no use for 300 strings.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A protocol version, as in `ProtocolVersion` of RFC 5246 A.1 and RFC 8446 4.1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProtocolVersion(pub u16);

impl ProtocolVersion {
    /// SSL 3.0, RFC 6101.
    pub const SSL3_0: Self = Self(0x0300);
    /// TLS 1.0, RFC 2246.
    pub const TLS1_0: Self = Self(0x0301);
    /// TLS 1.1, RFC 4346.
    pub const TLS1_1: Self = Self(0x0302);
    /// TLS 1.2, RFC 5246.
    pub const TLS1_2: Self = Self(0x0303);
    /// TLS 1.3, RFC 8446.
    pub const TLS1_3: Self = Self(0x0304);

    const NAMED: [(Self, &'static str); 5] = [
        (Self::SSL3_0, "SSL3.0"),
        (Self::TLS1_0, "TLS1.0"),
        (Self::TLS1_1, "TLS1.1"),
        (Self::TLS1_2, "TLS1.2"),
        (Self::TLS1_3, "TLS1.3"),
    ];

    /// The version that prints as `name`, for example `TLS1.2`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(_, known)| *known == name).map(|(version, _)| *version)
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(version, _)| version == self) {
            Some((_, name)) => f.pad(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

/// A cipher suite, RFC 5246 7.4.1.2, from the IANA registry "TLS Cipher Suites".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CipherSuite(pub u16);

impl CipherSuite {
    /// TLS_EMPTY_RENEGOTIATION_INFO_SCSV, RFC 5746 3.3: a marker in the list, not a suite.
    pub const RENEGOTIATION_INFO_SCSV: Self = Self(0x00ff);
    /// TLS_FALLBACK_SCSV, RFC 7507: a marker in the list, not a suite.
    pub const FALLBACK_SCSV: Self = Self(0x5600);

    /// Whether the value is a signal that stands in the suite list without being a suite.
    #[must_use]
    pub fn is_marker(self) -> bool {
        self == Self::RENEGOTIATION_INFO_SCSV || self == Self::FALLBACK_SCSV
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

/// A named group (once "elliptic curve"), RFC 8422 5.1.1 and RFC 8446 4.2.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamedGroup(pub u16);

impl fmt::Display for NamedGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}", self.0)
    }
}

/// What an alert says, RFC 5246 7.2 and RFC 8446 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AlertDescription(pub u8);

impl AlertDescription {
    /// The other side ends the connection in good order.
    pub const CLOSE_NOTIFY: Self = Self(0);
    /// No set of parameters that suits both sides.
    pub const HANDSHAKE_FAILURE: Self = Self(40);
    /// The offered version is known but refused.
    pub const PROTOCOL_VERSION: Self = Self(70);
    /// The server asks for stronger ciphers than the client has.
    pub const INSUFFICIENT_SECURITY: Self = Self(71);
}

impl fmt::Display for AlertDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
