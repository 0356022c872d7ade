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
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

/// Which CA certificate a client holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientCa {
    /// The one that signed the broker's certificate.
    #[default]
    Broker,
    /// None at all.
    None,
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
        })
    }
}
