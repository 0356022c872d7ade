//! One certificate from its parts.

use openssl::asn1::{Asn1Integer, Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Extension, X509Name, X509NameRef, X509Ref};
use suites::broker::{Certificate, HashKind, KeyKind, Validity};

/// In every subject.
pub(super) const ORGANISATION: &str = "TLS rig, for tests only";

/// For which end a certificate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Server,
    Client,
}

fn digest(key: KeyKind, hash: HashKind) -> MessageDigest {
    match (key, hash) {
        // RFC 8410 3: Ed25519 hashes by itself.
        (KeyKind::Ed25519, _) => MessageDigest::null(),
        (_, HashKind::Md5) => MessageDigest::md5(),
        (_, HashKind::Sha1) => MessageDigest::sha1(),
        (_, HashKind::Sha256) => MessageDigest::sha256(),
        (_, HashKind::Sha384) => MessageDigest::sha384(),
        (_, HashKind::Sha512) => MessageDigest::sha512(),
    }
}

fn name(common: &str) -> Result<X509Name, ErrorStack> {
    let mut builder = X509Name::builder()?;
    builder.append_entry_by_text("O", ORGANISATION)?;
    builder.append_entry_by_text("CN", common)?;
    Ok(builder.build())
}

fn builder(
    subject: &X509NameRef,
    issuer: &X509NameRef,
    key: &PKey<Private>,
    serial: &[u8],
    validity: Validity,
) -> Result<X509Builder, ErrorStack> {
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    let number = BigNum::from_slice(serial)?;
    builder.set_serial_number(Asn1Integer::from_bn(&number)?.as_ref())?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    let (from, to) = match validity {
        Validity::Now => ("20200101000000Z", "20491231235959Z"),
        Validity::Expired => ("20100101000000Z", "20111231235959Z"),
        Validity::NotYet => ("20480101000000Z", "20491231235959Z"),
    };
    builder.set_not_before(Asn1Time::from_str(from)?.as_ref())?;
    builder.set_not_after(Asn1Time::from_str(to)?.as_ref())?;
    Ok(builder)
}

/// A certificate that signs itself.
pub(super) fn authority(
    kind: KeyKind,
    role: &str,
    key: &PKey<Private>,
    serial: &[u8],
) -> Result<X509, ErrorStack> {
    let title = if role == super::AUTHORITY { "Root" } else { "Stranger" };
    let subject = name(&format!("{title} {}", kind.as_str()))?;
    let mut builder = builder(&subject, &subject, key, serial, Validity::Now)?;
    for_signing(&mut builder)?;
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(identifier)?;
    builder.sign(key, digest(kind, HashKind::Sha256))?;
    Ok(builder.build())
}

/// A certificate that signs others and is signed by `issuer`.
pub(super) fn intermediate(
    number: u8,
    wanted: &Certificate,
    key: &PKey<Private>,
    issuer_key: &PKey<Private>,
    issuer: &X509Ref,
    serial: &[u8],
) -> Result<X509, ErrorStack> {
    let subject = name(&format!("Intermediate {number} {}", wanted.issuer_key.as_str()))?;
    let mut builder = builder(&subject, issuer.subject_name(), key, serial, Validity::Now)?;
    for_signing(&mut builder)?;
    let context = builder.x509v3_context(Some(issuer), None);
    let own = SubjectKeyIdentifier::new().build(&context)?;
    let theirs = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
    builder.append_extension(own)?;
    builder.append_extension(theirs)?;
    sign(&mut builder, wanted, issuer_key)?;
    Ok(builder.build())
}

/// A certificate for one end. `above` are the lengths of the certificates sent with it, in bytes:
/// they count where the profile wants a Certificate message of a certain length.
pub(super) fn leaf(
    purpose: Purpose,
    wanted: &Certificate,
    key: &PKey<Private>,
    issuer_key: &PKey<Private>,
    issuer: &X509Ref,
    serial: &[u8],
    above: &[usize],
) -> Result<X509, ErrorStack> {
    let mut comment = 0;
    // The comment's own headers grow with it, so the first guess may be off by a few bytes.
    for _ in 0..4 {
        let made = leaf_with(purpose, wanted, key, issuer_key, issuer, serial, comment)?;
        let Some(target) = wanted.message_bytes.map(usize::from) else { return Ok(made) };
        let message = message_bytes(above, &made)?;
        if message == target {
            return Ok(made);
        }
        comment = (comment + target).saturating_sub(message);
    }
    // No comment makes just this length, or the chain is longer without one.
    leaf_with(purpose, wanted, key, issuer_key, issuer, serial, comment)
}

/// Length of the Certificate message, RFC 5246 7.4.2: four bytes of header, three for the length of
/// the list and three for that of each certificate in it.
pub(super) fn message_bytes(above: &[usize], leaf: &X509Ref) -> Result<usize, ErrorStack> {
    let all = above.iter().chain([&leaf.to_der()?.len()]).map(|der| 3 + der).sum::<usize>();
    Ok(4 + 3 + all)
}

fn leaf_with(
    purpose: Purpose,
    wanted: &Certificate,
    key: &PKey<Private>,
    issuer_key: &PKey<Private>,
    issuer: &X509Ref,
    serial: &[u8],
    comment: usize,
) -> Result<X509, ErrorStack> {
    let subject = name(&wanted.name)?;
    let mut builder = builder(&subject, issuer.subject_name(), key, serial, wanted.validity)?;
    builder.append_extension(BasicConstraints::new().build()?)?;
    let mut usage = KeyUsage::new();
    usage.critical().digital_signature();
    if wanted.key.is_rsa() && purpose == Purpose::Server {
        // Static RSA: the client encrypts the premaster secret to this key.
        usage.key_encipherment();
    }
    builder.append_extension(usage.build()?)?;
    let mut extended = ExtendedKeyUsage::new();
    match purpose {
        Purpose::Server => extended.server_auth(),
        Purpose::Client => extended.client_auth(),
    };
    builder.append_extension(extended.build()?)?;
    let context = builder.x509v3_context(Some(issuer), None);
    let names = SubjectAlternativeName::new().dns(&wanted.name).build(&context)?;
    let own = SubjectKeyIdentifier::new().build(&context)?;
    let theirs = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
    for extension in [names, own, theirs] {
        builder.append_extension(extension)?;
    }
    if comment > 0 {
        builder.append_extension(netscape_comment(comment)?)?;
    }
    sign(&mut builder, wanted, issuer_key)?;
    Ok(builder.build())
}

fn for_signing(builder: &mut X509Builder) -> Result<(), ErrorStack> {
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    let usage = KeyUsage::new().critical().key_cert_sign().crl_sign().build()?;
    builder.append_extension(usage)
}

fn sign(
    builder: &mut X509Builder,
    wanted: &Certificate,
    key: &PKey<Private>,
) -> Result<(), ErrorStack> {
    let digest = digest(wanted.issuer_key, wanted.hash);
    let pss = wanted.pss.then(|| as_pss(key)).transpose()?;
    builder.sign(pss.as_ref().unwrap_or(key), digest)
}

/// The same key as one that signs with PSS alone. The `openssl` crate offers no other way to a
/// certificate with such a signature; a client sees the signature, and the authority's certificate
/// says that its key is a plain RSA key.
fn as_pss(key: &PKey<Private>) -> Result<PKey<Private>, ErrorStack> {
    /// `SEQUENCE { OBJECT IDENTIFIER id-RSASSA-PSS }`, RFC 8017 A.2.3, without parameters.
    const ALGORITHM: [u8; 13] = [0x30, 11, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
    // PrivateKeyInfo, RFC 5208 5: version 0, algorithm, key.
    let info = [&[2, 1, 0][..], &ALGORITHM, &element(4, &key.rsa()?.private_key_to_der()?)];
    PKey::private_key_from_pkcs8(&element(0x30, &info.concat()))
}

/// A comment (Netscape's extension 2.16.840.1.113730.1.13) of so many bytes: the one way to make a
/// certificate longer that no client takes amiss.
fn netscape_comment(length: usize) -> Result<X509Extension, ErrorStack> {
    let oid = Asn1Object::from_str("2.16.840.1.113730.1.13")?;
    let text = Asn1OctetString::new_from_bytes(&element(0x16, &vec![b'x'; length]))?;
    X509Extension::new_from_der(&oid, false, &text)
}

/// One element in DER.
fn element(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = body.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut der = vec![tag];
    match significant[..] {
        [] => der.push(0),
        [short] if short < 0x80 => der.push(short),
        _ => {
            der.push(0x80 | u8::try_from(significant.len()).unwrap_or(8));
            der.extend(significant);
        }
    }
    der.extend(body);
    der
}
