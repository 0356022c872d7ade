//! Client profiles: what the application around the TLS library asks for at run time.
//!
//! A profile is a TOML file under `suites/profiles/`. Every key is optional; without any of them a
//! client does what the Ameba1 SDK's MQTT client does, with a root CA set.

use crate::file::{self, FileError};
use crate::names::{self, VersionName};
use serde::{Deserialize, Serialize};
use wire::message::{MaxFragmentLength, Preset, Verify};
use wire::tls::{CipherSuite, ProtocolVersion};

/// A client profile, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientProfile {
    /// File name without its ending.
    pub name: String,
    /// One line for `rig list clients`.
    pub summary: String,
    /// Preset for `mbedtls_ssl_config_defaults`.
    pub preset: Preset,
    /// Lowest version over the preset.
    pub min_version: Option<ProtocolVersion>,
    /// Highest version over the preset.
    pub max_version: Option<ProtocolVersion>,
    /// Suite list over the preset, most wanted first.
    pub cipher_suites: Option<Vec<CipherSuite>>,
    /// What is done about the broker's certificate.
    pub verify: Verify,
    /// Which CA certificate the client holds.
    pub ca: ClientCa,
    /// What becomes of the host name.
    pub host_name: ClientHostName,
    /// What becomes of max_fragment_length.
    pub max_fragment_length: MaxFragmentLength,
    /// Whether extended_master_secret is offered.
    pub extended_master_secret: bool,
    /// Whether encrypt_then_mac is offered.
    pub encrypt_then_mac: bool,
    /// Whether session tickets are asked for and kept.
    pub session_tickets: bool,
    /// Whether a second connection follows, which offers the first one's session.
    pub reconnect: bool,
    /// What the client shows if it is asked for a certificate.
    pub certificate: ClientCertificate,
    /// A key that it shares with the broker.
    pub psk: Option<PreSharedKey>,
}

/// Which CA certificate a client holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCa {
    /// The one that signed the broker's certificate.
    #[default]
    Broker,
    /// One that signed no broker's certificate.
    Other,
    /// None at all.
    None,
}

/// What a client shows if it is asked for a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCertificate {
    /// Nothing, as the SDK without a client certificate.
    #[default]
    None,
    /// One with an RSA-2048 key that the brokers' authority signed.
    Rsa,
    /// One with a P-256 key that the brokers' authority signed.
    Ec,
    /// One with an RSA-2048 key that an authority signed which no broker knows.
    Unknown,
    /// That of `rsa` with a key that does not belong to it.
    WrongKey,
}

/// A key that client and broker share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PreSharedKey {
    /// The name under which the broker knows it.
    pub identity: String,
    /// The key's bytes.
    pub key: Vec<u8>,
}

/// What a client does with `mbedtls_ssl_set_hostname`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientHostName {
    /// Never calls it, as the SDK.
    #[default]
    NotSet,
    /// Calls it with NULL.
    Null,
    /// Calls it with the name in the broker's certificate.
    Broker,
    /// Calls it with a name that no broker's certificate holds.
    Wrong,
}

/// What the file may say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
struct RawProfile {
    summary: String,
    #[serde(default)]
    preset: RawPreset,
    min_version: Option<VersionName>,
    max_version: Option<VersionName>,
    cipher_suites: Option<Vec<String>>,
    #[serde(default)]
    verify: RawVerify,
    #[serde(default)]
    ca: ClientCa,
    #[serde(default)]
    host_name: ClientHostName,
    #[serde(default)]
    max_fragment_length: RawFragment,
    #[serde(default = "yes")]
    extended_master_secret: bool,
    #[serde(default = "yes")]
    encrypt_then_mac: bool,
    #[serde(default = "yes")]
    session_tickets: bool,
    #[serde(default)]
    reconnect: bool,
    #[serde(default)]
    certificate: ClientCertificate,
    psk: Option<RawPsk>,
}

/// What the library does unless it is told otherwise.
fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPsk {
    identity: String,
    /// Hexadecimal digits.
    key: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawPreset {
    #[default]
    Default,
    Suiteb,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawVerify {
    None,
    Optional,
    #[default]
    Required,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawFragment {
    #[default]
    AsSdk,
    Off,
    #[serde(rename = "512")]
    B512,
    #[serde(rename = "1024")]
    B1024,
    #[serde(rename = "2048")]
    B2048,
    #[serde(rename = "4096")]
    B4096,
}

impl ClientProfile {
    /// Reads one profile from the text of its file.
    ///
    /// # Errors
    /// Says file and line, and the nearest real name where one was mistyped.
    pub fn parse(name: &str, text: &str, file_name: &str) -> Result<Self, FileError> {
        let raw: RawProfile = file::parse(text, file_name)?;
        let suites = raw.cipher_suites.map(|list| {
            list.iter()
                .map(|suite| {
                    names::cipher_suite(suite).map_err(|unknown| {
                        file::refuse(text, file_name, suite, unknown.to_string())
                    })
                })
                .collect::<Result<Vec<_>, _>>()
        });
        let psk = raw.psk.map(|psk| {
            let key = bytes(&psk.key).ok_or_else(|| {
                let why = "a key is an even number of hexadecimal digits, at least two";
                file::refuse(text, file_name, &psk.key, why.to_owned())
            })?;
            Ok(PreSharedKey { identity: psk.identity, key })
        });
        Ok(Self {
            name: name.to_owned(),
            summary: raw.summary,
            preset: match raw.preset {
                RawPreset::Default => Preset::Default,
                RawPreset::Suiteb => Preset::SuiteB,
            },
            min_version: raw.min_version.map(Into::into),
            max_version: raw.max_version.map(Into::into),
            cipher_suites: suites.transpose()?,
            verify: match raw.verify {
                RawVerify::None => Verify::None,
                RawVerify::Optional => Verify::Optional,
                RawVerify::Required => Verify::Required,
            },
            ca: raw.ca,
            host_name: raw.host_name,
            max_fragment_length: match raw.max_fragment_length {
                RawFragment::AsSdk => MaxFragmentLength::AsSdk,
                RawFragment::Off => MaxFragmentLength::Off,
                RawFragment::B512 => MaxFragmentLength::Bytes(512),
                RawFragment::B1024 => MaxFragmentLength::Bytes(1024),
                RawFragment::B2048 => MaxFragmentLength::Bytes(2048),
                RawFragment::B4096 => MaxFragmentLength::Bytes(4096),
            },
            extended_master_secret: raw.extended_master_secret,
            encrypt_then_mac: raw.encrypt_then_mac,
            session_tickets: raw.session_tickets,
            reconnect: raw.reconnect,
            certificate: raw.certificate,
            psk: psk.transpose()?,
        })
    }
}

/// The bytes that hexadecimal digits stand for, if there are any and no half ones.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| {
        // A sign is no digit, but would be taken.
        let text = std::str::from_utf8(pair).ok().filter(|text| !text.starts_with('+'))?;
        u8::from_str_radix(text, 16).ok()
    };
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes.filter(|bytes| rest.is_empty() && !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ClientProfile, FileError> {
        ClientProfile::parse("p", &format!("summary = 's'\n{text}"), "p.toml")
    }

    #[test]
    fn without_a_word_a_client_does_what_the_sdk_does() {
        let profile = parse("").unwrap();
        assert!(profile.extended_master_secret && profile.encrypt_then_mac);
        assert!(profile.session_tickets && !profile.reconnect);
        assert_eq!((profile.certificate, profile.psk), (ClientCertificate::None, None));
    }

    #[test]
    fn a_shared_key_is_read_from_its_digits() {
        let profile = parse("psk = { identity = 'rig', key = '00ffA0' }").unwrap();
        let expected = PreSharedKey { identity: "rig".to_owned(), key: vec![0x00, 0xff, 0xa0] };
        assert_eq!(profile.psk, Some(expected));
    }

    #[test]
    fn a_shared_key_with_half_a_byte_is_refused_with_its_line() {
        for key in ["0", "", "xx", "+1"] {
            let refused = parse(&format!("psk = {{ identity = 'rig', key = '{key}' }}"));
            let text = refused.unwrap_err().to_string();
            assert!(text.contains("even number of hexadecimal digits"), "{key}: {text}");
        }
    }
}
