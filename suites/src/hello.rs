//! ClientHello and ServerHello, decoded as far as compatibility depends on them.
//!
//! `tls-parser` does the parsing; this module keeps what the rest of the rig reasons about, with
//! the code points of `wire` and in the order in which they stood on the wire.

use crate::fingerprint::is_grease;
use serde::{Deserialize, Serialize};
use tls_parser::{TlsExtension, TlsExtensionType, TlsMessageHandshake};
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// What a client offers, RFC 5246 7.4.1.2 and RFC 8446 4.1.2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientHello {
    /// `legacy_version`: for TLS 1.2 and older the highest version the client speaks.
    pub version: ProtocolVersion,
    /// Length of the session ID; not 0 if the client wants to resume a session.
    pub session_id_bytes: u8,
    /// The cipher suite list as sent, markers such as 0x00ff included.
    pub cipher_suites: Vec<CipherSuite>,
    /// Extension types in the order sent.
    pub extensions: Vec<u16>,
    /// server_name, RFC 6066 section 3; bytes that are no text are replaced.
    pub server_name: Option<String>,
    /// supported_groups, RFC 8422 5.1.1.
    pub groups: Option<Vec<NamedGroup>>,
    /// signature_algorithms, RFC 5246 7.4.1.4.1.
    pub signature_algorithms: Option<Vec<u16>>,
    /// supported_versions, RFC 8446 4.2.1.
    pub supported_versions: Option<Vec<ProtocolVersion>>,
    /// max_fragment_length code, RFC 6066 section 4: 1 for 512 bytes up to 4 for 4096.
    pub max_fragment_length: Option<u8>,
    /// ec_point_formats, RFC 8422 5.1.2.
    #[serde(default)]
    pub point_formats: Option<Vec<u8>>,
    /// Protocols of application_layer_protocol_negotiation, RFC 7301 3.1, as bytes.
    #[serde(default)]
    pub alpn: Option<Vec<Vec<u8>>>,
    /// The groups of key_share, RFC 8446 4.2.8: those whose public key the client sends at once.
    #[serde(default)]
    pub key_shares: Option<Vec<NamedGroup>>,
}

impl ClientHello {
    /// The suites that a server may choose: the list without its markers.
    pub fn usable_suites(&self) -> impl Iterator<Item = CipherSuite> + '_ {
        self.cipher_suites.iter().copied().filter(|suite| !suite.is_marker())
    }

    /// The highest version offered.
    #[must_use]
    pub fn highest_version(&self) -> ProtocolVersion {
        let listed = self.supported_versions.iter().flatten().copied();
        // GREASE values (RFC 8701) are no versions.
        listed.filter(|version| !is_grease(version.0)).max().unwrap_or(self.version)
    }

    pub(crate) fn from_parsed(parsed: &tls_parser::TlsClientHelloContents<'_>) -> Self {
        let mut hello = Self {
            version: ProtocolVersion(parsed.version.0),
            session_id_bytes: length_u8(parsed.session_id),
            cipher_suites: parsed.ciphers.iter().map(|suite| CipherSuite(suite.0)).collect(),
            extensions: Vec::new(),
            server_name: None,
            groups: None,
            signature_algorithms: None,
            supported_versions: None,
            max_fragment_length: None,
            point_formats: None,
            alpn: None,
            key_shares: None,
        };
        let extensions = parsed.ext.unwrap_or_default();
        // What cannot be parsed to the end still counts as far as it goes.
        let parsed = tls_parser::parse_tls_client_hello_extensions(extensions);
        for extension in parsed.map(|(_, list)| list).unwrap_or_default() {
            hello.extensions.push(kind(&extension));
            hello.note(&extension);
        }
        hello
    }

    fn note(&mut self, extension: &TlsExtension<'_>) {
        match extension {
            TlsExtension::SNI(names) => {
                let name = names.first().map(|(_, name)| String::from_utf8_lossy(name));
                self.server_name = name.map(Into::into);
            }
            TlsExtension::MaxFragmentLength(code) => self.max_fragment_length = Some(*code),
            TlsExtension::EllipticCurves(groups) => {
                self.groups = Some(groups.iter().map(|group| NamedGroup(group.0)).collect());
            }
            TlsExtension::SignatureAlgorithms(list) => {
                self.signature_algorithms = Some(list.clone());
            }
            TlsExtension::SupportedVersions(list) => {
                self.supported_versions = Some(list.iter().map(|v| ProtocolVersion(v.0)).collect());
            }
            TlsExtension::EcPointFormats(formats) => self.point_formats = Some(formats.to_vec()),
            TlsExtension::ALPN(names) => {
                self.alpn = Some(names.iter().map(|name| name.to_vec()).collect());
            }
            TlsExtension::KeyShare(list) => self.key_shares = Some(share_groups(list)),
            _ => {}
        }
    }
}

/// RFC 8446 4.2.8: a list of entries, each a group and a public key of so many bytes; what is cut
/// off counts as far as it goes.
fn share_groups(list: &[u8]) -> Vec<NamedGroup> {
    let mut entries = list.get(2..).unwrap_or_default();
    let mut groups = Vec::new();
    while let [g0, g1, l0, l1, rest @ ..] = entries {
        groups.push(NamedGroup(u16::from_be_bytes([*g0, *g1])));
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        entries = rest.get(length..).unwrap_or_default();
    }
    groups
}

/// What a server chose, RFC 5246 7.4.1.3 and RFC 8446 4.1.3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerHello {
    /// The version in force: supported_versions if there is one, else the legacy field.
    pub version: ProtocolVersion,
    /// The suite in force.
    pub cipher_suite: CipherSuite,
    /// Extension types in the order sent.
    pub extensions: Vec<u16>,
}

impl ServerHello {
    pub(crate) fn from_parsed(message: &TlsMessageHandshake<'_>) -> Option<Self> {
        let TlsMessageHandshake::ServerHello(parsed) = message else { return None };
        let extensions = parsed.ext.unwrap_or_default();
        let list = tls_parser::parse_tls_server_hello_extensions(extensions)
            .map(|(_, list)| list)
            .unwrap_or_default();
        let selected = list.iter().find_map(|extension| match extension {
            TlsExtension::SupportedVersions(versions) => versions.first().map(|v| v.0),
            _ => None,
        });
        Some(Self {
            version: ProtocolVersion(selected.unwrap_or(parsed.version.0)),
            cipher_suite: CipherSuite(parsed.cipher.0),
            extensions: list.iter().map(kind).collect(),
        })
    }
}

fn length_u8(bytes: Option<&[u8]>) -> u8 {
    bytes.map_or(0, |bytes| u8::try_from(bytes.len()).unwrap_or(u8::MAX))
}

/// `tls-parser` has one number for all values of GREASE; here each keeps its own.
fn kind(extension: &TlsExtension<'_>) -> u16 {
    match extension {
        TlsExtension::Grease(value, _) => *value,
        other => TlsExtensionType::from(other).0,
    }
}
