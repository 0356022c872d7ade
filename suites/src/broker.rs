//! Broker profiles: what the server end of a cell is, down to the record.
//!
//! A profile is a TOML file under `suites/brokers/`; its file name is the broker's name. Only
//! `summary`, `source` and `cipher_suites` must be there. Every default is what a plain, permissive
//! server does, so that a file says only what is special about its broker:
//!
//! ```toml
//! summary = "ECDHE with one curve for each strength"
//! source = "made up for this page"
//! cipher_suites = [
//!   "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
//!   "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
//! ]
//!
//! [suite_groups]
//! TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384 = "secp384r1"
//! TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256 = "secp256r1"
//!
//! [certificate]
//! key = "rsa-4096"
//! ```

mod certificate;
mod misbehave;
mod text;
mod visible;

pub use certificate::{Authority, Certificate, HashKind, KeyKind, Validity};
pub use misbehave::{Fault, Misbehaviour, Stage};
pub use visible::{INVISIBLE, NEVER_VISIBLE, UNSEEN_IN_TLS13, fold_groups, fold_schemes};

use crate::file::{self, FileError};
use crate::names::{self, UnknownName, VersionName};
use misbehave::{AlertName, RawMisbehaviour};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tls_parser::{TlsCipherKx, TlsCipherSuite};
use wire::tls::{AlertDescription, CipherSuite, NamedGroup, ProtocolVersion};

/// A broker profile, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokerProfile {
    /// File name without its ending.
    pub name: String,
    /// One line for `rig list brokers`.
    pub summary: String,
    /// Where the facts come from, or why the profile was made up.
    pub source: String,
    /// Which TLS library, or which product, serves.
    pub front: Front,
    /// Lowest version accepted; TLS 1.2 if the file does not say.
    pub min_version: ProtocolVersion,
    /// Highest version accepted; TLS 1.2 if the file does not say.
    pub max_version: ProtocolVersion,
    /// What is served, most wanted first; TLS 1.3 suites stand in the same list.
    pub cipher_suites: Vec<CipherSuite>,
    /// Whether this list's order decides (the default) or the client's.
    pub server_order: bool,
    /// Groups for ECDHE and for TLS 1.3, most wanted first; secp256r1, secp384r1 and x25519 if the
    /// file does not say.
    pub groups: Vec<NamedGroup>,
    /// Suites that are served with one group alone, whatever else the client offers.
    pub suite_groups: BTreeMap<CipherSuite, NamedGroup>,
    /// Size of the DHE prime in bits: 2048 (the default), 3072 or 4096.
    pub dh_bits: u16,
    /// The certificate that is shown.
    pub certificate: Certificate,
    /// Whether the client is asked for a certificate; not, by default.
    pub client_auth: ClientAuth,
    /// Session tickets, RFC 5077; on by default.
    pub tickets: bool,
    /// Resumption by session ID, RFC 5246 F.1.4; on by default.
    pub session_cache: bool,
    /// Encrypt-then-MAC for CBC suites, RFC 7366; on by default.
    pub encrypt_then_mac: bool,
    /// Extended master secret, RFC 7627; on by default.
    pub extended_master_secret: bool,
    /// What a client sees whose handshake is refused; an alert by default.
    pub on_reject: OnReject,
    /// What the alert says where no suite is shared, if there is an alert; handshake_failure (40),
    /// RFC 5246 7.2.2, if the file does not say. Erlang says insufficient_security (71).
    pub no_suite_alert: AlertDescription,
    /// OpenSSL's security level. 0, the default, lets the rest of the profile have the only say;
    /// from 1 on OpenSSL refuses TLS 1.0 and 1.1, SHA-1 signatures and short keys by itself.
    pub security_level: u8,
    /// Longest record body sent, in bytes of plaintext; 16384, the protocol's own limit, if the
    /// file does not say.
    pub record_size: u16,
    /// What a client sees that names no server; by default it is served like any other.
    pub sni: Sni,
    /// The name under which clients know the broker; the one in its certificate if the file does
    /// not say.
    pub host_name: String,
    /// Signature schemes accepted and used, most wanted first (RFC 8446 4.2.3); the library's own
    /// if the file does not say.
    pub signature_algorithms: Option<Vec<u16>>,
    /// What becomes of a client's max_fragment_length.
    pub max_fragment_length: FragmentLength,
    /// Whether a client may ask for another handshake, RFC 5246 7.4.1.1; not, by default.
    pub renegotiation: bool,
    /// The key shared with clients, for suites with PSK (RFC 4279).
    pub psk: Option<Psk>,
    /// What goes wrong on purpose; nothing, by default.
    pub misbehave: Option<Misbehaviour>,
}

/// Which TLS library of ours serves, or which product.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Front {
    /// OpenSSL 3: TLS 1.0 to 1.3 and all the old suites.
    #[default]
    Openssl,
    /// rustls: TLS 1.2 with ECDHE and an AEAD cipher, and TLS 1.3.
    Rustls,
    /// Eclipse Mosquitto, a program of its own behind a relay, on the system's OpenSSL.
    Mosquitto,
    /// RabbitMQ with its MQTT plugin, a program of its own behind a relay, on Erlang's own TLS.
    Rabbitmq,
    /// Aedes, a program of its own behind a relay, on the OpenSSL in Node.js.
    Aedes,
}

impl Front {
    /// Whether OpenSSL does the work.
    #[must_use]
    pub fn is_openssl(self) -> bool {
        matches!(self, Self::Openssl | Self::Mosquitto | Self::Aedes)
    }
}

/// Whether a client is asked for a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuth {
    /// Not asked.
    #[default]
    None,
    /// Asked, and served without one.
    Wanted,
    /// Asked, and refused without one.
    Required,
}

/// What a client sees whose handshake is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnReject {
    /// The alert that the library chose, then the end of the stream.
    #[default]
    Alert,
    /// The end of the stream (a FIN) and nothing before it.
    Close,
}

/// What a client sees that sends no server_name, RFC 6066 3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sni {
    /// It is served like any other.
    #[default]
    Ignored,
    /// It is refused with alert unrecognized_name (112).
    Required,
}

/// What becomes of a client's max_fragment_length, RFC 6066 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FragmentLength {
    /// No record is longer: what OpenSSL does, and the default there.
    Honoured,
    /// Records are as long as without it. rustls never heard of the extension and does not answer
    /// it; OpenSSL agrees to it first.
    Ignored,
}

impl FragmentLength {
    /// What holds where a file says nothing.
    fn usual(front: Front) -> Self {
        if front == Front::Rustls { Self::Ignored } else { Self::Honoured }
    }
}

/// A key that both ends have beforehand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Psk {
    /// Under which name clients have it; another name is refused.
    pub identity: String,
    /// The key in hexadecimal. For tests only, as everything here.
    pub key: String,
}

impl Psk {
    /// The key's bytes; none if the text is not hexadecimal.
    #[must_use]
    pub fn key_bytes(&self) -> Option<Vec<u8>> {
        let pairs = self.key.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let whole = self.key.len().is_multiple_of(2) && !self.key.is_empty();
        whole.then(|| pairs.map(byte).collect()).flatten()
    }
}

/// What the file may say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBroker {
    summary: String,
    source: String,
    #[serde(default)]
    front: Front,
    #[serde(default)]
    min_version: VersionName,
    #[serde(default)]
    max_version: VersionName,
    cipher_suites: Vec<String>,
    #[serde(default = "yes")]
    server_order: bool,
    groups: Option<Vec<String>>,
    #[serde(default)]
    suite_groups: BTreeMap<String, String>,
    #[serde(default = "default_dh_bits")]
    dh_bits: u16,
    #[serde(default)]
    certificate: Certificate,
    #[serde(default)]
    client_auth: ClientAuth,
    #[serde(default = "yes")]
    tickets: bool,
    #[serde(default = "yes")]
    session_cache: bool,
    #[serde(default = "yes")]
    encrypt_then_mac: bool,
    #[serde(default = "yes")]
    extended_master_secret: bool,
    #[serde(default)]
    on_reject: OnReject,
    no_suite_alert: Option<AlertName>,
    #[serde(default)]
    security_level: u8,
    #[serde(default = "default_record_size")]
    record_size: u16,
    #[serde(default)]
    sni: Sni,
    host_name: Option<String>,
    signature_algorithms: Option<Vec<String>>,
    max_fragment_length: Option<FragmentLength>,
    #[serde(default)]
    renegotiation: bool,
    psk: Option<Psk>,
    misbehave: Option<RawMisbehaviour>,
}

const MAX_RECORD: u16 = 16_384;
/// Below this OpenSSL and rustls disagree about what is allowed, and no real server goes there.
const MIN_RECORD: u16 = 64;

fn yes() -> bool {
    true
}

fn default_dh_bits() -> u16 {
    2048
}

fn default_record_size() -> u16 {
    MAX_RECORD
}

/// Whether a suite belongs to TLS 1.3, RFC 8446 B.4.
#[must_use]
pub fn is_tls13(suite: CipherSuite) -> bool {
    suite.0 >> 8 == 0x13
}

impl BrokerProfile {
    /// Reads one profile from the text of its file.
    ///
    /// # Errors
    /// Says file and line, and the nearest real name where one was mistyped.
    pub fn parse(name: &str, text: &str, file_name: &str) -> Result<Self, FileError> {
        let raw: RawBroker = file::parse(text, file_name)?;
        let refuse = |needle: &str, why: String| file::refuse(text, file_name, needle, why);
        let unknown = |error: UnknownName| refuse(&error.name, error.to_string());
        let suite_of = |text: &String| names::cipher_suite(text).map_err(unknown);
        let group_of = |text: &String| names::group(text).map_err(unknown);
        let groups = raw.groups.unwrap_or_else(default_groups);
        let scheme_of = |text: &String| names::signature_scheme(text).map_err(unknown);
        let tls13 = ProtocolVersion::from(raw.max_version) >= ProtocolVersion::TLS1_3;
        let misbehave = raw.misbehave.map(|raw| raw.check(tls13)).transpose();
        let profile = Self {
            name: name.to_owned(),
            summary: raw.summary,
            source: raw.source,
            front: raw.front,
            min_version: raw.min_version.into(),
            max_version: raw.max_version.into(),
            cipher_suites: raw.cipher_suites.iter().map(suite_of).collect::<Result<_, _>>()?,
            server_order: raw.server_order,
            groups: groups.iter().map(group_of).collect::<Result<_, _>>()?,
            suite_groups: raw
                .suite_groups
                .iter()
                .map(|(suite, group)| Ok((suite_of(suite)?, group_of(group)?)))
                .collect::<Result<_, FileError>>()?,
            dh_bits: raw.dh_bits,
            host_name: raw.host_name.unwrap_or_else(|| raw.certificate.name.clone()),
            certificate: raw.certificate,
            client_auth: raw.client_auth,
            tickets: raw.tickets,
            session_cache: raw.session_cache,
            encrypt_then_mac: raw.encrypt_then_mac,
            extended_master_secret: raw.extended_master_secret,
            on_reject: raw.on_reject,
            no_suite_alert: raw
                .no_suite_alert
                .map_or(AlertDescription::HANDSHAKE_FAILURE, |name| name.0),
            security_level: raw.security_level,
            record_size: raw.record_size,
            sni: raw.sni,
            signature_algorithms: raw
                .signature_algorithms
                .map(|list| list.iter().map(scheme_of).collect::<Result<_, _>>())
                .transpose()?,
            max_fragment_length: raw
                .max_fragment_length
                .unwrap_or_else(|| FragmentLength::usual(raw.front)),
            renegotiation: raw.renegotiation,
            psk: raw.psk,
            misbehave: misbehave.map_err(|(key, why)| refuse(key, why))?,
        };
        profile.check().map_err(|(key, why)| refuse(key, why))?;
        Ok(profile)
    }

    /// Whether `version` lies between the bounds.
    #[must_use]
    pub fn accepts(&self, version: ProtocolVersion) -> bool {
        (self.min_version..=self.max_version).contains(&version)
    }

    /// The groups that `suite` is served with, most wanted first.
    #[must_use]
    pub fn groups_for(&self, suite: CipherSuite) -> &[NamedGroup] {
        self.suite_groups.get(&suite).map_or(&self.groups, std::slice::from_ref)
    }

    /// What the parts say together, as the key at fault and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let no = |key: &'static str, why: &str| Err((key, why.to_owned()));
        if self.cipher_suites.is_empty() {
            return no("cipher_suites", "cipher_suites must name at least one suite");
        }
        if self.min_version > self.max_version {
            return no("min_version", "min_version is above max_version");
        }
        if self.front == Front::Rustls && self.min_version < ProtocolVersion::TLS1_2 {
            return no(
                "min_version",
                "rustls has no version below TLS1.2; front = \"openssl\" has",
            );
        }
        if self.front == Front::Rustls && self.max_fragment_length == FragmentLength::Honoured {
            return no("max_fragment_length", "rustls does not know max_fragment_length");
        }
        if self.psk.as_ref().is_some_and(|psk| psk.key_bytes().is_none()) {
            return no("key", "a psk's key is hexadecimal, two digits for each byte");
        }
        self.certificate.check()?;
        if ![2048, 3072, 4096].contains(&self.dh_bits) {
            return no("dh_bits", "dh_bits must be 2048, 3072 or 4096");
        }
        if !(MIN_RECORD..=MAX_RECORD).contains(&self.record_size) {
            return no("record_size", "record_size must be between 64 and 16384 bytes");
        }
        if self.security_level > 5 {
            return no("security_level", "OpenSSL's security levels are 0 to 5");
        }
        for (new, versions) in [(false, "TLS1.2 or older"), (true, "TLS1.3")] {
            let edge = if new { ProtocolVersion::TLS1_3 } else { ProtocolVersion::TLS1_2 };
            let served = if new { self.max_version >= edge } else { self.min_version <= edge };
            let listed = self.cipher_suites.iter().any(|suite| is_tls13(*suite) == new);
            let why = match (served, listed) {
                (true, false) => format!("{versions} is served, but no suite of it is listed"),
                (false, true) => format!("{versions} is not served, but a suite of it is listed"),
                _ => continue,
            };
            return Err(("cipher_suites", why));
        }
        for suite in self.suite_groups.keys() {
            if !self.cipher_suites.contains(suite) {
                let why = format!("suite_groups names {suite}, which cipher_suites does not list");
                return Err(("suite_groups", why));
            }
            let kx = TlsCipherSuite::from_id(suite.0).map(|known| known.kx);
            if kx != Some(TlsCipherKx::Ecdhe) {
                let why = format!("suite_groups names {suite}, which is no ECDHE suite");
                return Err(("suite_groups", why));
            }
        }
        Ok(())
    }
}

fn default_groups() -> Vec<String> {
    ["secp256r1", "secp384r1", "x25519"].map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests;
