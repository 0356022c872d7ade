//! The shape of a server's certificate chain: kinds and sizes of keys, signatures, names, lengths.

use super::flight::Flight;
use super::hello::Signer;
use crate::front::with_openssl::key_exchange;
use openssl::asn1::Asn1Time;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKeyRef};
use openssl::x509::{X509, X509Ref};
use suites::broker::{Certificate, HashKind, KeyKind, Validity};
use suites::predict::certificate_message;
use wire::tls::NamedGroup;

/// Below this a comment would have no room: the profile's own limits, and its headers.
const MIN_MESSAGE: usize = 2048;
const COMMENT: usize = 32;
/// By so much two ECDSA signatures may differ in length.
const SLACK: usize = 8;

/// The certificate that a replay shows in place of the chain `ders`, the server's own first; `host`
/// is the name under which it was reached. What cannot be the same goes to `unknown`.
pub(super) fn shape(
    ders: &[Vec<u8>],
    host: Option<&str>,
    unknown: &mut Vec<String>,
) -> Option<Certificate> {
    let chain: Vec<_> = ders.iter().map_while(|der| X509::from_der(der).ok()).collect();
    if chain.len() < ders.len() {
        unknown.push("certificate: a certificate of the chain cannot be read".to_owned());
    }
    let (leaf, above) = chain.split_first()?;
    let key = key_kind(leaf.public_key().ok()?.as_ref(), "key", unknown);
    let signature = Signature::of(leaf, unknown);
    let issuer = above.iter().find(|above| has_signed(above, leaf));
    let issuer = issuer.and_then(|issuer| issuer.public_key().ok());
    let issuer_key = match issuer {
        Some(issuer) => key_kind(issuer.as_ref(), "issuer_key", unknown),
        None => signature.issuer,
    };
    let roots = above.iter().filter(|one| is_root(one)).count();
    if roots > 0 {
        let sent = "the server sends its root, too, which a replay leaves out";
        unknown.push(format!("certificate.intermediates: {sent}"));
    }
    if is_root(leaf) {
        let own =
            "the server's certificate is its own authority; that of a replay is signed by one";
        unknown.push(format!("certificate.authority: {own}"));
    }
    let mut pairs = chain.iter().zip(above);
    if !pairs.all(|(below, above)| has_signed(above, below)) {
        let mixed = "the server's chain is not in order, or not one chain; that of a replay is";
        unknown.push(format!("certificate.intermediates: {mixed}"));
    }
    let mut shape = Certificate {
        key,
        issuer_key,
        hash: signature.hash,
        pss: signature.pss && issuer_key.is_rsa(),
        name: name(leaf, host).unwrap_or_else(|| {
            unknown.push("certificate.name: the certificate names no host".to_owned());
            Certificate::default().name
        }),
        validity: validity(leaf),
        intermediates: u8::try_from(above.len() - roots).unwrap_or(u8::MAX).min(32),
        ..Certificate::default()
    };
    let seen = 4 + 3 + ders.iter().map(|der| 3 + der.len()).sum::<usize>();
    let natural = certificate_message(&shape);
    if issuer_key.is_rsa() && seen >= MIN_MESSAGE && seen >= natural + COMMENT {
        shape.message_bytes = u16::try_from(seen).ok();
    } else if seen.abs_diff(natural) > if issuer_key.is_rsa() { 0 } else { SLACK * ders.len() } {
        let differs = format!("the server's takes {seen} bytes, that of a replay {natural}");
        unknown.push(format!("certificate.message_bytes: {differs}"));
    }
    Some(shape)
}

/// The curve of the server's key for ECDSA, if its certificate was seen and has one.
pub(super) fn curve(flights: &[Flight]) -> Option<NamedGroup> {
    let der = flights.iter().find_map(|flight| flight.chain.first())?;
    let key = X509::from_der(der).ok()?.public_key().ok()?;
    key_exchange(&key).0.filter(|_| key.id() == Id::EC)
}

fn is_root(certificate: &X509Ref) -> bool {
    has_signed(certificate, certificate)
}

/// By the names in them: RFC 5280 6.1.3 (a) (4).
fn has_signed(above: &X509Ref, below: &X509Ref) -> bool {
    let names = (above.subject_name().to_der(), below.issuer_name().to_der());
    matches!(names, (Ok(subject), Ok(issuer)) if subject == issuer)
}

/// How the server signs.
pub(super) fn signer(der: &[u8]) -> Option<Signer> {
    match X509::from_der(der).ok()?.public_key().ok()?.id() {
        Id::RSA | Id::RSA_PSS => Some(Signer::Rsa),
        Id::EC | Id::ED25519 | Id::ED448 => Some(Signer::Ecdsa),
        _ => None,
    }
}

/// The certificate in words: whose it is, and its key.
pub(super) fn describe(der: &[u8]) -> String {
    let Ok(certificate) = X509::from_der(der) else { return "which cannot be read".to_owned() };
    let name = name(&certificate, None).unwrap_or_else(|| "no host".to_owned());
    let key = certificate.public_key().map(|key| key_kind(&key, "", &mut Vec::new()));
    let key = key.map_or("a key of no known", KeyKind::as_str);
    format!("for {name}, of kind {key}")
}

/// The kind of a key; the next one of those that a replay has, if it is none of them.
fn key_kind<T: HasPublic>(key: &PKeyRef<T>, what: &str, unknown: &mut Vec<String>) -> KeyKind {
    let bits = key.bits();
    let (kind, exact) = match key.id() {
        Id::RSA | Id::RSA_PSS => {
            let kind = rsa_kind(bits);
            (kind, rsa_bits(kind) == bits && key.id() == Id::RSA)
        }
        Id::EC => {
            let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
            match curve {
                Some(Nid::X9_62_PRIME256V1) => (KeyKind::EcdsaP256, true),
                Some(Nid::SECP384R1) => (KeyKind::EcdsaP384, true),
                _ if bits <= 256 => (KeyKind::EcdsaP256, false),
                _ => (KeyKind::EcdsaP384, false),
            }
        }
        Id::ED25519 => (KeyKind::Ed25519, true),
        Id::ED448 => (KeyKind::Ed25519, false),
        _ => (KeyKind::Rsa2048, false),
    };
    if !exact {
        let taken = kind.as_str();
        unknown.push(format!("certificate.{what}: the server's key ({bits} bits) is of no kind that a replay has; it takes {taken}"));
    }
    kind
}

fn rsa_kind(bits: u32) -> KeyKind {
    match bits {
        0..=1024 => KeyKind::Rsa1024,
        1025..=2048 => KeyKind::Rsa2048,
        2049..=3072 => KeyKind::Rsa3072,
        _ => KeyKind::Rsa4096,
    }
}

fn rsa_bits(kind: KeyKind) -> u32 {
    match kind {
        KeyKind::Rsa1024 => 1024,
        KeyKind::Rsa3072 => 3072,
        KeyKind::Rsa4096 => 4096,
        _ => 2048,
    }
}

/// How a certificate is signed, and by what kind of key as far as the signature tells.
struct Signature {
    hash: HashKind,
    pss: bool,
    issuer: KeyKind,
}

impl Signature {
    fn of(certificate: &X509Ref, unknown: &mut Vec<String>) -> Self {
        let length = certificate.signature().len();
        let rsa = rsa_kind(u32::try_from(length * 8).unwrap_or(u32::MAX));
        // SEQUENCE { INTEGER, INTEGER }, RFC 3279 2.2.3: up to 72 bytes on P-256, 104 on P-384.
        let ec = if length <= 72 { KeyKind::EcdsaP256 } else { KeyKind::EcdsaP384 };
        let of = |hash, issuer| Self { hash, pss: false, issuer };
        match certificate.signature_algorithm().object().nid() {
            Nid::MD5WITHRSAENCRYPTION => of(HashKind::Md5, rsa),
            Nid::SHA1WITHRSAENCRYPTION => of(HashKind::Sha1, rsa),
            Nid::SHA256WITHRSAENCRYPTION => of(HashKind::Sha256, rsa),
            Nid::SHA384WITHRSAENCRYPTION => of(HashKind::Sha384, rsa),
            Nid::SHA512WITHRSAENCRYPTION => of(HashKind::Sha512, rsa),
            Nid::ECDSA_WITH_SHA1 => of(HashKind::Sha1, ec),
            Nid::ECDSA_WITH_SHA256 => of(HashKind::Sha256, ec),
            Nid::ECDSA_WITH_SHA384 => of(HashKind::Sha384, ec),
            Nid::ECDSA_WITH_SHA512 => of(HashKind::Sha512, ec),
            Nid::RSASSAPSS => Self { pss: true, ..of(pss_hash(certificate), rsa) },
            other if other.as_raw() == Id::ED25519.as_raw() => {
                of(HashKind::Sha256, KeyKind::Ed25519)
            }
            other => {
                let name = other.long_name().unwrap_or("an algorithm without a name");
                unknown.push(format!("certificate.hash: signed with {name}, which a replay does not have; it takes sha256"));
                of(HashKind::Sha256, rsa)
            }
        }
    }
}

/// The hash of RSASSA-PSS stands in the algorithm's parameters, RFC 4055 3.1, which `openssl` does
/// not take apart: its identifier, 2.16.840.1.101.3.4.2.n, is the first of its family in the
/// certificate. SHA-1 is what holds where there is none.
fn pss_hash(certificate: &X509Ref) -> HashKind {
    const FAMILY: [u8; 10] = [6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2];
    let der = certificate.to_der().unwrap_or_default();
    let member = der.windows(FAMILY.len() + 1).find_map(|window| match window {
        [family @ .., member] if family == FAMILY => Some(*member),
        _ => None,
    });
    match member {
        Some(1) => HashKind::Sha256,
        Some(2) => HashKind::Sha384,
        Some(3) => HashKind::Sha512,
        _ => HashKind::Sha1,
    }
}

/// The name that covers `host`, else the first one.
fn name(leaf: &X509Ref, host: Option<&str>) -> Option<String> {
    let names = leaf.subject_alt_names();
    let names: Vec<_> = names.iter().flatten().filter_map(|name| name.dnsname()).collect();
    let covers = |name: &&&str| {
        host.is_some_and(|host| {
            let below = host.split_once('.').map(|(_, below)| below);
            host.eq_ignore_ascii_case(name)
                || name.strip_prefix("*.").is_some_and(|suffix| below == Some(suffix))
        })
    };
    let chosen = names.iter().find(covers).or(names.first());
    let common = || {
        let entry = leaf.subject_name().entries_by_nid(Nid::COMMONNAME).next()?;
        entry.data().to_string().ok()
    };
    chosen.map(|name| (*name).to_owned()).or_else(common)
}

fn validity(leaf: &X509Ref) -> Validity {
    let Ok(now) = Asn1Time::days_from_now(0) else { return Validity::Now };
    match (leaf.not_before() > &*now, leaf.not_after() < &*now) {
        (true, _) => Validity::NotYet,
        (_, true) => Validity::Expired,
        _ => Validity::Now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_makes_no_shape_and_is_said() {
        let mut unknown = Vec::new();
        assert_eq!(shape(&[b"junk".to_vec()], None, &mut unknown), None);
        assert_eq!(unknown, ["certificate: a certificate of the chain cannot be read"]);
        assert_eq!(shape(&[], None, &mut Vec::new()), None);
    }

    #[test]
    fn keys_of_other_sizes_become_the_next_longer_kind() {
        let kinds = [512, 1024, 1536, 2048, 2560, 3072, 4096, 8192].map(rsa_kind);
        use KeyKind::{Rsa1024, Rsa2048, Rsa3072, Rsa4096};
        let wanted = [Rsa1024, Rsa1024, Rsa2048, Rsa2048, Rsa3072, Rsa3072, Rsa4096, Rsa4096];
        assert_eq!(kinds, wanted);
    }
}
