//! What a broker does wrong on purpose: one fault at one stage of the connection.
//!
//! ```text
//! client                         broker           stage
//!   TCP connect ---------------->                 accept         before anything is read
//!   ClientHello ---------------->                 client-hello   in place of ServerHello
//!            <- ServerHello, Certificate          certificate    half of the Certificate is sent
//!            <- ServerHelloDone
//!   ClientKeyExchange, Finished ->                finished       in place of ChangeCipherSpec
//!            <- ChangeCipherSpec, Finished
//!   CONNECT -------------------->                 connect        in place of CONNACK
//! ```
//!
//! In a profile's file:
//!
//! ```toml
//! [misbehave]
//! at = "finished"
//! does = "bad-mac"
//! ```

use crate::names::{self, UnknownName};
use serde::{Deserialize, Serialize};
use wire::tls::AlertDescription;

/// One fault at one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Misbehaviour {
    /// When.
    pub at: Stage,
    /// What.
    pub does: Fault,
}

/// A point in a connection, named after what the broker would do next if it behaved; see the
/// picture above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// TCP stands, nothing was read.
    Accept,
    /// The ClientHello was read, nothing was sent.
    ClientHello,
    /// Half of the Certificate message was sent; half of the first flight where the certificate is
    /// encrypted (TLS 1.3).
    Certificate,
    /// The client's Finished was read, the broker's was not sent. TLS 1.2 and older.
    Finished,
    /// The CONNECT was read, no CONNACK was sent.
    Connect,
}

/// What a broker does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// It ends the stream with a FIN and reads on.
    Close,
    /// It ends the connection with a RST.
    Reset,
    /// It sends nothing for this many milliseconds, then ends the stream. A client that leaves
    /// ends it sooner.
    Stall {
        /// Milliseconds.
        ms: u32,
    },
    /// It sends half of the next record, then ends the stream.
    Truncate,
    /// The next record has a content type that nobody has assigned (99).
    WrongContentType,
    /// The next record's version is 2.0.
    WrongVersion,
    /// The last byte of the next encrypted record is another one.
    BadMac,
    /// Its ServerKeyExchange says that it is signed with MD5, which no client offers. The signature
    /// is another one; who looks at the hash first, as RFC 5246 7.4.3 asks, never gets that far.
    UnofferedHash,
    /// It answers as a web server that was not spoken to in HTTP, then ends the stream.
    Http,
    /// It answers with a CONNACK that is not encrypted, then ends the stream.
    PlainMqtt,
    /// It sends an alert: after a fatal one (2) it ends the stream, after a warning (1) it goes on.
    Alert {
        /// 1 or 2, RFC 5246 7.2.
        level: u8,
        /// What it says.
        description: AlertDescription,
    },
    /// From here to the end of the handshake each byte is sent by itself, this many milliseconds
    /// after the one before.
    ByteByByte {
        /// Milliseconds; with 0 as fast as they go.
        pause_ms: u32,
    },
    /// It refuses the CONNECT with this return code, MQTT 3.1.1 section 3.2.2.3.
    Connack {
        /// 1 to 5.
        code: u8,
    },
}

/// What the file may say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMisbehaviour {
    at: Stage,
    does: RawFault,
    alert: Option<AlertName>,
    #[serde(default)]
    level: RawLevel,
    pause_ms: Option<u32>,
    code: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawFault {
    Close,
    Reset,
    Stall,
    Truncate,
    WrongContentType,
    WrongVersion,
    BadMac,
    UnofferedHash,
    Http,
    PlainMqtt,
    Alert,
    ByteByByte,
    Connack,
}

/// An alert by its name.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct AlertName(pub(super) AlertDescription);

impl TryFrom<String> for AlertName {
    type Error = UnknownName;

    fn try_from(name: String) -> Result<Self, UnknownName> {
        names::alert(&name).map(Self)
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawLevel {
    Warning = 1,
    #[default]
    Fatal = 2,
}

/// For ever, next to what clients wait.
const STALL_MS: u32 = 600_000;

impl RawMisbehaviour {
    /// The fault, or the key that does not go with the others and why.
    pub(super) fn check(&self, tls13: bool) -> Result<Misbehaviour, (&'static str, String)> {
        use RawFault as Raw;
        let no = |key: &'static str, why: &str| Err((key, why.to_owned()));
        let belongs = [
            ("alert", self.alert.is_some(), &[Raw::Alert][..]),
            ("pause_ms", self.pause_ms.is_some(), &[Raw::Stall, Raw::ByteByByte]),
            ("code", self.code.is_some(), &[Raw::Connack]),
        ];
        for (key, given, to) in belongs {
            if given && !to.contains(&self.does) {
                return Err((key, format!("{key} does not go with this fault")));
            }
        }
        let in_clear = matches!(self.at, Stage::Accept | Stage::ClientHello);
        match self.does {
            Raw::BadMac if !matches!(self.at, Stage::Finished | Stage::Connect) => {
                return no("does", "a record has a MAC from stage \"finished\" on");
            }
            Raw::Http | Raw::PlainMqtt | Raw::Alert if !in_clear => {
                return no("does", "this fault stands at \"accept\" or \"client-hello\"");
            }
            Raw::Truncate | Raw::WrongContentType | Raw::WrongVersion
                if matches!(self.at, Stage::Accept | Stage::Certificate) =>
            {
                return no("does", "this fault needs a record that begins at this stage");
            }
            Raw::UnofferedHash if self.at != Stage::ClientHello => {
                return no("at", "ServerKeyExchange is in the answer to the ClientHello");
            }
            Raw::ByteByByte if self.at != Stage::ClientHello => {
                return no("at", "byte-by-byte stands at \"client-hello\"");
            }
            Raw::Connack if self.at != Stage::Connect => {
                return no("at", "a CONNACK answers a CONNECT: stage \"connect\"");
            }
            _ => {}
        }
        if self.at == Stage::Finished && tls13 {
            return no("at", "in TLS 1.3 the server's Finished is in its first flight");
        }
        Ok(Misbehaviour { at: self.at, does: self.fault()? })
    }

    fn fault(&self) -> Result<Fault, (&'static str, String)> {
        use RawFault as Raw;
        Ok(match self.does {
            Raw::Close => Fault::Close,
            Raw::Reset => Fault::Reset,
            Raw::Stall => Fault::Stall { ms: self.pause_ms.unwrap_or(STALL_MS) },
            Raw::Truncate => Fault::Truncate,
            Raw::WrongContentType => Fault::WrongContentType,
            Raw::WrongVersion => Fault::WrongVersion,
            Raw::BadMac => Fault::BadMac,
            Raw::UnofferedHash => Fault::UnofferedHash,
            Raw::Http => Fault::Http,
            Raw::PlainMqtt => Fault::PlainMqtt,
            Raw::Alert => Fault::Alert {
                level: self.level as u8,
                description: self.alert.map_or(AlertDescription::HANDSHAKE_FAILURE, |name| name.0),
            },
            Raw::ByteByByte => Fault::ByteByByte { pause_ms: self.pause_ms.unwrap_or(0) },
            Raw::Connack => match self.code {
                Some(code @ 1..=5) => Fault::Connack { code },
                _ => return Err(("does", "connack needs a code from 1 to 5".to_owned())),
            },
        })
    }
}
