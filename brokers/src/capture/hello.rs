//! ClientHellos made to measure, RFC 5246 7.4.1.2 and RFC 8446 4.1.2.
//!
//! No TLS library can be told to offer one suite that it does not have, or no key share at all, so
//! the question is put together here. What the server answers in the clear needs no key.

use std::sync::OnceLock;
use suites::broker::is_tls13;
use suites::names::{cipher_suite_name, group_name, signature_scheme_name};
use tls_parser::{TlsCipherAu, TlsCipherSuite};
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// One question.
#[derive(Debug, Clone)]
pub(super) struct Hello {
    pub(super) version: ProtocolVersion,
    pub(super) suites: Vec<CipherSuite>,
    pub(super) groups: Vec<NamedGroup>,
    pub(super) schemes: Vec<u16>,
    pub(super) server_name: Option<String>,
    /// Whether a ticket would be taken, RFC 5077 3.2.
    pub(super) ticket: bool,
    /// Code of max_fragment_length, RFC 6066 4.
    pub(super) fragment: Option<u8>,
    /// Extensions that no other question has, by number.
    pub(super) more: Vec<(u16, Vec<u8>)>,
}

/// Kind of a server's certificate, where it has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// RSA.
    Rsa,
    /// ECDSA, and EdDSA, which has its place in the same suites (RFC 8422 5).
    Ecdsa,
}

impl Signer {
    /// The name that users know.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ecdsa => "ecdsa",
        }
    }

    /// The other one.
    pub(super) fn other(self) -> Self {
        match self {
            Self::Rsa => Self::Ecdsa,
            Self::Ecdsa => Self::Rsa,
        }
    }

    /// Whether it signs like this, RFC 8446 4.2.3.
    pub(super) fn uses(self, scheme: u16) -> bool {
        let [hash, signature] = scheme.to_be_bytes();
        match self {
            Self::Rsa => {
                (hash < 8 && signature == 1) || matches!(scheme, 0x0804..=0x0806 | 0x0809..=0x080b)
            }
            Self::Ecdsa => (hash < 8 && signature == 3) || matches!(scheme, 0x0807 | 0x0808),
        }
    }

    /// Whether it shows its certificate with this suite.
    pub(super) fn serves(self, suite: CipherSuite) -> bool {
        let known = TlsCipherSuite::from_id(suite.0).map(|known| known.au);
        is_tls13(suite)
            || match self {
                Self::Rsa => known == Some(TlsCipherAu::Rsa),
                Self::Ecdsa => known == Some(TlsCipherAu::Ecdsa),
            }
    }
}

/// signature_algorithms_cert, RFC 8446 4.2.3: what may stand in the certificates themselves.
const CERTIFICATE_SCHEMES: u16 = 50;

/// application_layer_protocol_negotiation, RFC 7301 3.1: the protocol that devices of ours speak.
pub(super) const ALPN_MQTT: (u16, &[u8]) = (16, b"\0\x05\x04mqtt");
/// status_request for OCSP, RFC 6066 8.
pub(super) const STATUS_REQUEST: (u16, &[u8]) = (5, &[1, 0, 0, 0, 0]);

/// All that has a name.
struct Known {
    suites: Vec<CipherSuite>,
    groups: Vec<NamedGroup>,
    schemes: Vec<u16>,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let all = || 1..=u16::MAX;
        let suite = |suite: &CipherSuite| !suite.is_marker() && cipher_suite_name(*suite).is_some();
        // Explicit curves, from 0xff01 on, are parameters and no group.
        let group = |group: &NamedGroup| group.0 < 0xff00 && group_name(*group).is_some();
        Known {
            suites: all().map(CipherSuite).filter(suite).collect(),
            groups: all().map(NamedGroup).filter(group).collect(),
            schemes: all().filter(|scheme| signature_scheme_name(*scheme).is_some()).collect(),
        }
    })
}

impl Hello {
    /// Offers all that has a name and belongs to this version.
    pub(super) fn everything(version: ProtocolVersion, server_name: Option<&str>) -> Self {
        let new = version >= ProtocolVersion::TLS1_3;
        let Known { suites, groups, schemes } = known();
        let of_it = |suite: &CipherSuite| is_tls13(*suite) == new;
        // With an FFDHE group in its list a client asks for DHE to be left out if the server has none
        // of these (RFC 7919 4), and TLS 1.2 has no others beyond the curves.
        let curve = |group: &NamedGroup| new || group.0 < 0x100;
        Self {
            version,
            suites: suites.iter().copied().filter(of_it).collect(),
            groups: groups.iter().copied().filter(curve).collect(),
            schemes: schemes.clone(),
            server_name: server_name.map(str::to_owned),
            ticket: true,
            fragment: None,
            more: Vec::new(),
        }
    }

    /// The same with these suites alone.
    pub(super) fn with_suites(&self, suites: &[CipherSuite]) -> Self {
        Self { suites: suites.to_vec(), ..self.clone() }
    }

    /// The same for a server's certificate of one kind, whoever has signed that.
    pub(super) fn for_signer(mut self, signer: Signer) -> Self {
        let all = prefixed::<2>(&codes(self.schemes.iter().copied()));
        self.more.push((CERTIFICATE_SCHEMES, all));
        self.suites.retain(|suite| signer.serves(*suite));
        self.schemes.retain(|scheme| signer.uses(*scheme));
        self
    }

    /// The record that asks it.
    pub(super) fn record(&self) -> Vec<u8> {
        let new = self.version >= ProtocolVersion::TLS1_3;
        let mut body = self.version.min(ProtocolVersion::TLS1_2).0.to_be_bytes().to_vec();
        // Nothing is kept secret with it: the handshake goes no further.
        body.extend([0x52; 32]);
        body.push(0);
        body.extend(prefixed::<2>(&codes(self.suites.iter().map(|suite| suite.0))));
        body.extend([1, 0]);
        let mut extensions = Vec::new();
        let mut add = |kind: u16, content: &[u8]| {
            extensions.extend(kind.to_be_bytes());
            extensions.extend(prefixed::<2>(content));
        };
        if let Some(name) = &self.server_name {
            let entry = [&[0][..], &prefixed::<2>(name.as_bytes())].concat();
            add(0, &prefixed::<2>(&entry));
        }
        if let Some(code) = self.fragment {
            add(1, &[code]);
        }
        for (kind, content) in &self.more {
            add(*kind, content);
        }
        add(10, &prefixed::<2>(&codes(self.groups.iter().map(|group| group.0))));
        if self.version >= ProtocolVersion::TLS1_2 {
            add(13, &prefixed::<2>(&codes(self.schemes.iter().copied())));
        }
        if new {
            add(43, &prefixed::<1>(&self.version.0.to_be_bytes()));
            // None at all: the server names the group that it wants, RFC 8446 4.1.4.
            add(51, &prefixed::<2>(&[]));
            add(45, &prefixed::<1>(&[1]));
        } else {
            add(11, &prefixed::<1>(&[0]));
            add(22, &[]);
            add(23, &[]);
            add(0xff01, &[0]);
            if self.ticket {
                add(35, &[]);
            }
        }
        body.extend(prefixed::<2>(&extensions));
        let message = [&[1][..], &prefixed::<3>(&body)].concat();
        // RFC 8446 5.1: the first record says 1.0, for the sake of old servers; SSL 3.0 knows no 1.0.
        let [major, minor] = self.version.min(ProtocolVersion::TLS1_0).0.to_be_bytes();
        [&[22, major, minor][..], &prefixed::<2>(&message)].concat()
    }
}

fn codes(values: impl Iterator<Item = u16>) -> Vec<u8> {
    values.flat_map(u16::to_be_bytes).collect()
}

/// `content` behind its length in so many bytes.
fn prefixed<const LENGTH: usize>(content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let skip = length.len().saturating_sub(LENGTH);
    length.iter().skip(skip).chain(content).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use suites::stream::{Rest, Stream};

    #[test]
    fn what_is_asked_is_what_a_parser_reads() {
        for version in [0x0300, 0x0301, 0x0302, 0x0303, 0x0304].map(ProtocolVersion) {
            let asked = Hello::everything(version, Some("broker.test"));
            let stream = Stream::parse(&asked.record());
            assert_eq!(stream.rest, Rest::Nothing);
            let read = stream.client_hello.unwrap();
            assert_eq!(read.highest_version(), version);
            assert_eq!(read.cipher_suites, asked.suites);
            assert_eq!(read.server_name.as_deref(), Some("broker.test"));
            assert_eq!(read.groups.unwrap(), asked.groups);
            let schemes = (version >= ProtocolVersion::TLS1_2).then_some(asked.schemes);
            assert_eq!(read.signature_algorithms, schemes);
        }
    }
}
