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

use crate::file::{self, FileError};
use crate::names::{self, UnknownName, VersionName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tls_parser::{TlsCipherKx, TlsCipherSuite};
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// A broker profile, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokerProfile {
    /// File name without its ending.
    pub name: String,
    /// One line for `rig list brokers`.
    pub summary: String,
    /// Where the facts come from, or why the profile was made up.
    pub source: String,
    /// Which TLS library serves.
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
    /// OpenSSL's security level. 0, the default, lets the rest of the profile have the only say;
    /// from 1 on OpenSSL refuses TLS 1.0 and 1.1, SHA-1 signatures and short keys by itself.
    pub security_level: u8,
    /// Longest record body sent, in bytes of plaintext; 16384, the protocol's own limit, if the
    /// file does not say.
    pub record_size: u16,
    /// What a client sees that names no server; by default it is served like any other.
    pub sni: Sni,
}

/// Which TLS library serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Front {
    /// OpenSSL 3: TLS 1.0 to 1.3 and all the old suites.
    #[default]
    Openssl,
    /// rustls: TLS 1.2 with ECDHE and an AEAD cipher, and TLS 1.3.
    Rustls,
}

/// The certificate a broker shows. It is made for the purpose by an authority of the rig's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Certificate {
    /// Key of the certificate; RSA with 2048 bits by default.
    pub key: KeyKind,
    /// Key of the authority that signs it; RSA with 2048 bits by default, also for a certificate
    /// with an EC key, because a client built without EC could not even read an EC authority.
    pub issuer_key: KeyKind,
    /// Hash in its signature; SHA-256 by default. Ed25519 signs without one.
    pub hash: HashKind,
    /// Host name in it; `broker.test` by default.
    pub name: String,
}

impl Default for Certificate {
    fn default() -> Self {
        Self {
            key: KeyKind::Rsa2048,
            issuer_key: KeyKind::Rsa2048,
            hash: HashKind::Sha256,
            name: "broker.test".to_owned(),
        }
    }
}

/// Whether the other side can know the authority that signed a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authority {
    /// It is given its certificate.
    #[default]
    Known,
    /// It is given that of another one.
    Unknown,
}

/// Kind and size of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say all there is to say")]
pub enum KeyKind {
    #[serde(rename = "rsa-1024")]
    Rsa1024,
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    #[serde(rename = "ed25519")]
    Ed25519,
}

impl KeyKind {
    /// The name that files use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rsa1024 => "rsa-1024",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Ed25519 => "ed25519",
        }
    }

    /// Whether it is an RSA key of any size.
    #[must_use]
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa1024 | Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }
}

/// Hash in a certificate's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say all there is to say")]
pub enum HashKind {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl HashKind {
    /// The name that files use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
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
    #[serde(default)]
    security_level: u8,
    #[serde(default = "default_record_size")]
    record_size: u16,
    #[serde(default)]
    sni: Sni,
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
            certificate: raw.certificate,
            client_auth: raw.client_auth,
            tickets: raw.tickets,
            session_cache: raw.session_cache,
            encrypt_then_mac: raw.encrypt_then_mac,
            extended_master_secret: raw.extended_master_secret,
            on_reject: raw.on_reject,
            security_level: raw.security_level,
            record_size: raw.record_size,
            sni: raw.sni,
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
mod tests {
    use super::*;

    const LEAST: &str = "summary = 'a'\nsource = 'b'\n\
                         cipher_suites = ['TLS_RSA_WITH_AES_256_CBC_SHA256']\n";

    fn profile(more: &str) -> Result<BrokerProfile, FileError> {
        BrokerProfile::parse("x", &format!("{LEAST}{more}"), "suites/brokers/x.toml")
    }

    #[test]
    fn the_least_profile_is_a_plain_tls12_server() {
        let profile = profile("").unwrap();
        assert_eq!(profile.cipher_suites, [CipherSuite(0x003d)]);
        assert!(profile.accepts(ProtocolVersion::TLS1_2));
        assert!(!profile.accepts(ProtocolVersion::TLS1_3));
        assert_eq!((profile.on_reject, profile.dh_bits), (OnReject::Alert, 2048));
        assert_eq!(profile.certificate, Certificate::default());
    }

    #[test]
    fn the_page_example_is_read() {
        let page = include_str!("broker.rs");
        let example: Vec<&str> = page
            .lines()
            .skip_while(|line| *line != "//! ```toml")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .map(|line| line.trim_start_matches("//!"))
            .collect();
        let profile = BrokerProfile::parse("x", &example.join("\n"), "page").unwrap();
        assert_eq!(profile.groups_for(CipherSuite(0xc028)), [NamedGroup(24)]);
        assert_eq!(profile.certificate.key, KeyKind::Rsa4096);
        assert_eq!(profile.certificate.name, "broker.test");
    }

    #[test]
    fn every_profile_in_the_folder_is_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/brokers");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let profile = BrokerProfile::parse(&name, &text, &path.to_string_lossy());
            profile.unwrap_or_else(|error| panic!("{error}"));
            names.push(name);
        }
        assert!(names.iter().any(|name| name == "hivemq-cloud-2021"), "{names:?}");
    }

    #[test]
    fn hivemq_prefers_0x003d_among_the_suites_of_the_rsa_client() {
        let text = include_str!("../brokers/hivemq-cloud-2021.toml");
        let hivemq = BrokerProfile::parse("hivemq-cloud-2021", text, "x").unwrap();
        assert_eq!(hivemq.cipher_suites.len(), 12);
        let offered = [0x003d, 0x0035, 0x003c, 0x002f].map(CipherSuite);
        let chosen = hivemq.cipher_suites.iter().find(|suite| offered.contains(suite));
        assert_eq!(chosen, Some(&CipherSuite(0x003d)));
    }

    #[test]
    fn mistakes_are_named_where_they_stand() {
        for (more, line, says) in [
            ("fornt = 'rustls'", 4, "did you mean `front`?"),
            ("[certificate]\nkey = 'rsa-2049'", 5, "did you mean `rsa-2048`?"),
            ("min_version = 'TLS1.4'", 4, "did you mean `TLS1.3`?"),
            ("max_version = 'TLS1.1'", 0, "min_version is above"),
            ("groups = ['secp256r2']", 4, "did you mean \"secp256r1\"?"),
            ("record_size = 16", 4, "record_size must be between"),
            ("max_version = 'TLS1.3'", 3, "TLS1.3 is served, but no suite"),
            ("[suite_groups]\nTLS_RSA_WITH_AES_256_CBC_SHA256 = 'x25519'", 4, "is no ECDHE suite"),
            ("front = 'rustls'\nmin_version = 'TLS1.0'", 5, "rustls has no version below"),
        ] {
            let error = profile(more).expect_err(more);
            assert_eq!(error.line, line, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
