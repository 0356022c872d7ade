//! What of a profile can be seen from outside: the form in which a capture has it.
//!
//! Two brokers with the same visible form answer every question of a capture alike. A capture of our
//! own replay is held against the visible form of the profile that was replayed, so everything that
//! is left out here is left out by name, in [`INVISIBLE`], and nothing silently.

use super::text::newest_first;
use super::{
    BrokerProfile, Certificate, ClientAuth, FragmentLength, Front, KeyKind, OnReject, Psk,
    default_dh_bits, default_groups, default_record_size, is_tls13,
};
use crate::broker::{Authority, HashKind};
use crate::names;
use crate::predict::certificate_message;
use std::collections::BTreeMap;
use tls_parser::{TlsCipherAu, TlsCipherEncMode, TlsCipherKx, TlsCipherSuite};
use wire::tls::{AlertDescription, CipherSuite, NamedGroup, ProtocolVersion};

/// Keys that a capture cannot see, never or under a condition, and why.
pub const INVISIBLE: [(&str, &str); 22] = [
    (
        "front",
        "a library has no name on the wire; the replay is OpenSSL's, or rustls' if the server packs several messages into one record as that does",
    ),
    (
        "misbehave",
        "made up; a server that misbehaves before its ServerHelloDone cannot be captured",
    ),
    ("psk", "identity and key are the server's secret; the replay has one of its own"),
    ("renegotiation", "to ask for it takes a second handshake inside the first"),
    ("security_level", "seen only in what it rules out: versions, suites, signature algorithms"),
    ("certificate.authority", "which authorities a device knows is the device's business"),
    ("certificate, client_auth", "where every suite has a pre-shared key, none is sent"),
    ("certificate.message_bytes", "if it is what the chain takes by itself"),
    ("suite_groups", "where each suite's group is the only one of all"),
    ("certificate.hash", "Ed25519 signs without one"),
    ("server_order", "with one suite of TLS 1.3 and one of TLS 1.2 there is no order"),
    ("the order of cipher_suites", "where the client's order decides, the server has none"),
    ("groups", "without ECDHE and TLS 1.3, or where each ECDHE suite has a group of its own"),
    (
        "groups behind the curve of an ECDSA certificate",
        "below TLS 1.3 a client without that curve is refused, and one with it gets it",
    ),
    ("client_auth", "in TLS 1.3 alone, if the server asks and takes whatever it is shown"),
    ("dh_bits", "without DHE"),
    ("encrypt_then_mac", "without a CBC suite of TLS 1.2 or older"),
    (
        "signature_algorithms",
        "those that the certificate's key cannot use; without a signed key exchange in TLS 1.2, all",
    ),
    ("record_size", "if no message of the handshake is longer"),
    ("no_suite_alert", "where the server closes without one"),
    (
        "session_cache, extended_master_secret, max_fragment_length",
        "in TLS 1.3 alone, which has none or encrypts the answer",
    ),
    ("sni", "if the server is reached by an address, which cannot be named"),
];

/// The keys of [`INVISIBLE`] that nothing makes visible, and that a server has all the same.
pub const NEVER_VISIBLE: [&str; 3] = ["renegotiation", "security_level", "certificate.authority"];

/// Keys that a server with TLS 1.3 alone has and does not show: it has them not, or speaks of them in
/// secret. With an older version besides they are seen in that.
pub const UNSEEN_IN_TLS13: [&str; 5] = [
    "signature_algorithms",
    "record_size",
    "max_fragment_length",
    "session_cache",
    "extended_master_secret",
];

/// What OpenSSL 3 signs with if nothing is said, most wanted first, without what takes a key of a
/// kind that no profile has: SSL_CTX_set1_sigalgs_list(3).
const SCHEMES: [u16; 12] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201,
];

impl BrokerProfile {
    /// The profile as a capture sees it: what it cannot see, see [`INVISIBLE`], is as in a file that
    /// says nothing of it. Name, summary and source stay.
    #[must_use]
    pub fn visible(&self) -> Self {
        let mut seen = self.clone();
        let old = |suite: &&CipherSuite| !is_tls13(**suite);
        let only13 = self.min_version >= ProtocolVersion::TLS1_3;
        let has = |wanted: fn(&TlsCipherSuite) -> bool| {
            let known = |suite: &CipherSuite| TlsCipherSuite::from_id(suite.0);
            self.cipher_suites.iter().filter_map(known).any(wanted)
        };
        seen.front = Front::Openssl;
        seen.misbehave = None;
        seen.renegotiation = false;
        seen.security_level = 0;
        seen.cipher_suites = newest_first(&self.cipher_suites);
        let count = self.cipher_suites.iter().filter(old).count();
        let ordered = count > 1 || self.cipher_suites.len() - count > 1;
        seen.server_order |= !ordered;
        if !seen.server_order {
            seen.cipher_suites.sort_unstable();
            seen.cipher_suites = newest_first(&seen.cipher_suites);
        }
        seen.fold_groups();
        if !has(|suite| suite.kx == TlsCipherKx::Dhe) {
            seen.dh_bits = default_dh_bits();
        }
        let cbc = |suite: &TlsCipherSuite| suite.enc_mode == TlsCipherEncMode::Cbc;
        seen.encrypt_then_mac |= !has(cbc);
        if only13 {
            seen.session_cache = true;
            seen.extended_master_secret = true;
        }
        if only13 || self.max_fragment_length == FragmentLength::Honoured {
            seen.max_fragment_length = FragmentLength::Honoured;
        }
        if self.on_reject == OnReject::Close {
            seen.no_suite_alert = AlertDescription::HANDSHAKE_FAILURE;
        }
        let certified = has(sends_certificate);
        seen.certificate =
            if certified { self.certificate.visible() } else { Certificate::default() };
        if !certified {
            seen.client_auth = ClientAuth::None;
            seen.host_name = self.host_name.clone();
        }
        let longest = if certified { certificate_message(&self.certificate) } else { 0 };
        if usize::from(self.record_size) >= longest || only13 {
            seen.record_size = default_record_size();
        }
        seen.signature_algorithms = self.visible_schemes();
        seen.psk = has(|suite| suite.name.contains("_PSK_")).then(Psk::of_a_replay);
        seen
    }

    /// Which of the schemes the server can be seen to sign with; none if they are OpenSSL's own.
    fn visible_schemes(&self) -> Option<Vec<u16>> {
        let signed = |suite: &CipherSuite| {
            TlsCipherSuite::from_id(suite.0).is_some_and(|known| {
                matches!(known.kx, TlsCipherKx::Ecdhe | TlsCipherKx::Dhe)
                    && matches!(known.au, TlsCipherAu::Rsa | TlsCipherAu::Ecdsa)
            })
        };
        if !self.accepts(ProtocolVersion::TLS1_2) || !self.cipher_suites.iter().any(signed) {
            return None;
        }
        // Level 1 and up has no SHA-1.
        let strong = |scheme: &u16| self.security_level == 0 || ![0x0203, 0x0201].contains(scheme);
        let own = self.signature_algorithms.clone().unwrap_or_else(|| SCHEMES.to_vec());
        let own = own.into_iter().filter(strong);
        fold_schemes(own.collect(), self.certificate.key, self.server_order)
    }

    /// Groups from what each suite is served with: one list, and the suites that have one of their
    /// own.
    fn fold_groups(&mut self) {
        let ecdhe = |suite: &&CipherSuite| {
            TlsCipherSuite::from_id(suite.0).is_some_and(|known| known.kx == TlsCipherKx::Ecdhe)
        };
        let served = self.cipher_suites.iter().filter(ecdhe);
        let curve = self.certificate.key.curve();
        let until_its_own = |groups: &[NamedGroup]| {
            let own = groups.iter().position(|group| Some(*group) == curve);
            let end = own.filter(|_| self.server_order).map_or(groups.len(), |at| at + 1);
            groups.get(..end).unwrap_or_default().to_vec()
        };
        let served: BTreeMap<_, _> =
            served.map(|suite| (*suite, until_its_own(self.groups_for(*suite)))).collect();
        let shared = (self.max_version >= ProtocolVersion::TLS1_3).then(|| self.groups.clone());
        (self.groups, self.suite_groups) = fold_groups(&served, shared.as_deref(), curve);
        if !self.server_order {
            self.groups.sort_unstable();
        }
    }
}

/// One list of groups and the suites with a group of their own, from the groups that each ECDHE
/// suite is served with and those of TLS 1.3. A suite's list may be the beginning of that of TLS 1.3:
/// where it ends with the curve of the certificate, no more of it can be seen.
#[must_use]
pub fn fold_groups(
    served: &BTreeMap<CipherSuite, Vec<NamedGroup>>,
    tls13: Option<&[NamedGroup]>,
    certificate: Option<NamedGroup>,
) -> (Vec<NamedGroup>, BTreeMap<CipherSuite, NamedGroup>) {
    let cut_at = certificate.filter(|curve| tls13.and_then(<[_]>::first) == Some(curve));
    let mut lists: Vec<_> = served.values().map(Vec::as_slice).collect();
    lists.extend(tls13);
    let usual = || default_groups().iter().filter_map(|name| names::group(name).ok()).collect();
    let longest = lists.iter().copied().max_by_key(|list| list.len());
    let shared: Vec<_> = match longest {
        None => usual(),
        // Each suite has one group: all the same, or none is the rule.
        Some([one]) if lists.iter().all(|list| *list == [*one]) => vec![*one],
        Some([_]) if tls13.is_none() => usual(),
        Some(list) => list.to_vec(),
    };
    let own = |(suite, groups): (&CipherSuite, &Vec<NamedGroup>)| match groups[..] {
        [one] if shared != [one] && Some(one) != cut_at => Some((*suite, one)),
        _ => None,
    };
    let own = served.iter().filter_map(own).collect();
    (shared, own)
}

/// The schemes among `schemes` that a key of this kind can sign with in TLS 1.2; none if these are
/// the ones that OpenSSL has by itself.
#[must_use]
pub fn fold_schemes(schemes: Vec<u16>, key: KeyKind, server_order: bool) -> Option<Vec<u16>> {
    let fold = |schemes: Vec<u16>| {
        let mut fit: Vec<_> = schemes.into_iter().filter(|scheme| fits(*scheme, key)).collect();
        if !server_order {
            fit.sort_unstable();
        }
        fit
    };
    let seen = fold(schemes);
    (seen != fold(SCHEMES.to_vec())).then_some(seen)
}

/// RFC 8446 4.2.3: low byte 1 of the old ones is RSA and 3 is ECDSA, whose curve TLS 1.2 does not
/// bind; of the new ones, PSS with a plain RSA key.
fn fits(scheme: u16, key: KeyKind) -> bool {
    let [hash, signature] = scheme.to_be_bytes();
    match key {
        KeyKind::Ed25519 => scheme == 0x0807,
        // RFC 8017 9.1.1: SHA-512 twice and two bytes more are 130 bytes, and 1024 bits are 128.
        KeyKind::Rsa1024 if scheme == 0x0806 => false,
        rsa if rsa.is_rsa() => (hash < 8 && signature == 1) || (0x0804..=0x0806).contains(&scheme),
        _ => hash < 8 && signature == 3,
    }
}

/// RFC 4279 2 and 3, RFC 5489 2: of the suites with a pre-shared key only those with RSA_PSK.
fn sends_certificate(suite: &TlsCipherSuite) -> bool {
    !suite.name.contains("_PSK_") || suite.name.starts_with("TLS_RSA_PSK")
}

impl Psk {
    /// The key of a broker that was captured, in place of the one that only its owner knows.
    #[must_use]
    pub fn of_a_replay() -> Self {
        Self { identity: "replay".to_owned(), key: "7265706c6179".to_owned() }
    }
}

impl Certificate {
    fn visible(&self) -> Self {
        let mut seen = Self { authority: Authority::Known, ..self.clone() };
        if self.issuer_key == KeyKind::Ed25519 {
            seen.hash = HashKind::Sha256;
        }
        let natural = certificate_message(&Self { message_bytes: None, ..self.clone() });
        if self.message_bytes.is_some_and(|bytes| usize::from(bytes) == natural) {
            seen.message_bytes = None;
        }
        seen
    }
}
