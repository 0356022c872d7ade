//! Keys and certificates for tests, made once and kept on disk.
//!
//! A key is expensive (an RSA-4096 key takes up to a second) and says nothing about a broker, so
//! there is one for each kind and role, shared by all profiles and the same on every machine (see
//! [`keys`]). A certificate is named by a hash
//! of all that went into it, its keys included: two processes that share the folder agree, and a
//! changed profile gets a new one. File names and subjects say that they are for tests only.

mod client;

pub use client::ClientIdentity;

use crate::keys::{self, SERIES};
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sha::sha256;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name, X509NameRef};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use suites::broker::{Certificate, HashKind, KeyKind};

/// No key or certificate can be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The cache folder is not to be used.
    #[error("cannot use certificate cache {path}: {source}", path = path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A file in the cache is damaged.
    #[error("{path} is damaged; delete it and it is made anew: {source}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// OpenSSL's word.
        source: ErrorStack,
    },
    /// OpenSSL cannot make it.
    #[error("openssl cannot make the certificate: {0}")]
    Openssl(#[from] ErrorStack),
}

/// What a broker shows, and who signed it.
pub(crate) struct Identity {
    pub(crate) key: PKey<Private>,
    pub(crate) certificate: X509,
    pub(crate) authority: X509,
}

/// The cache folder.
pub(crate) struct Pki {
    folder: PathBuf,
}

/// All certificates are valid from and to the same moments, so that none runs out in a cache.
const NOT_BEFORE: &str = "20200101000000Z";
const NOT_AFTER: &str = "20491231235959Z";
const ORGANISATION: &str = "TLS rig, for tests only";

impl Pki {
    pub(crate) fn new(folder: &Path) -> Result<Self, PkiError> {
        fs::create_dir_all(folder).map_err(cache(folder))?;
        let pki = Self { folder: folder.to_owned() };
        // Says now, and not when the first broker starts, that the folder cannot be written.
        drop(pki.lock()?);
        Ok(pki)
    }

    /// The identity that `wanted` describes, from disk if it was made before.
    pub(crate) fn identity(&self, wanted: &Certificate) -> Result<Identity, PkiError> {
        // Two processes must not make two different keys of one name.
        let _held = self.lock()?;
        let issuer_key = self.key(wanted.issuer_key, "authority")?;
        let key = self.key(wanted.key, "broker")?;
        let authority = self.certificate(
            &format!("authority {}", wanted.issuer_key.as_str()),
            &issuer_key,
            &issuer_key,
            |serial| make_authority("Root", wanted.issuer_key, &issuer_key, serial),
        )?;
        let certificate =
            self.certificate(&format!("broker {wanted:?}"), &key, &issuer_key, |serial| {
                make_leaf(wanted, &key, &issuer_key, &authority, serial)
            })?;
        Ok(Identity { key, certificate, authority })
    }

    fn lock(&self) -> Result<File, PkiError> {
        let path = self.folder.join("lock");
        let file = File::create(&path).map_err(cache(&path))?;
        file.lock().map_err(cache(&path))?;
        Ok(file)
    }

    fn key(&self, kind: KeyKind, role: &str) -> Result<PKey<Private>, PkiError> {
        let path =
            self.folder.join(format!("{role}-{}-{SERIES}-for-tests-only.key.pem", kind.as_str()));
        if let Some(pem) = read(&path)? {
            return PKey::private_key_from_pem(&pem).map_err(damaged(&path));
        }
        let key = keys::make(kind, role)?;
        self.keep(&path, &key.private_key_to_pem_pkcs8()?)?;
        Ok(key)
    }

    fn certificate(
        &self,
        what: &str,
        key: &PKey<Private>,
        issuer_key: &PKey<Private>,
        make: impl FnOnce(&[u8]) -> Result<X509, ErrorStack>,
    ) -> Result<X509, PkiError> {
        let mut all = what.as_bytes().to_vec();
        all.extend(key.public_key_to_der()?);
        all.extend(issuer_key.public_key_to_der()?);
        let hash = sha256(&all);
        // Sixteen bytes with the top bit clear: positive and well below RFC 5280's twenty.
        let mut serial: Vec<u8> = hash.iter().copied().take(16).collect();
        if let Some(first) = serial.first_mut() {
            *first = *first & 0x7f | 0x40;
        }
        let name: String = serial.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.folder.join(format!("{name}-for-tests-only.crt.pem"));
        if let Some(pem) = read(&path)? {
            return X509::from_pem(&pem).map_err(damaged(&path));
        }
        let certificate = make(&serial)?;
        self.keep(&path, &certificate.to_pem()?)?;
        Ok(certificate)
    }

    /// Writes a file whole or not at all: a process that dies leaves no half of one.
    fn keep(&self, path: &Path, bytes: &[u8]) -> Result<(), PkiError> {
        let fresh = path.with_extension("tmp");
        let written = File::create(&fresh)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
        written.and_then(|()| fs::rename(&fresh, path)).map_err(cache(path))
    }
}

fn cache(path: &Path) -> impl FnOnce(io::Error) -> PkiError {
    let path = path.to_owned();
    move |source| PkiError::Cache { path, source }
}

fn damaged(path: &Path) -> impl FnOnce(ErrorStack) -> PkiError {
    let path = path.to_owned();
    move |source| PkiError::Damaged { path, source }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, PkiError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cache(path)(error)),
    }
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
) -> Result<X509Builder, ErrorStack> {
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    let number = BigNum::from_slice(serial)?;
    builder.set_serial_number(Asn1Integer::from_bn(&number)?.as_ref())?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(Asn1Time::from_str(NOT_BEFORE)?.as_ref())?;
    builder.set_not_after(Asn1Time::from_str(NOT_AFTER)?.as_ref())?;
    Ok(builder)
}

fn make_authority(
    title: &str,
    kind: KeyKind,
    key: &PKey<Private>,
    serial: &[u8],
) -> Result<X509, ErrorStack> {
    let subject = name(&format!("{title} {}", kind.as_str()))?;
    let mut builder = builder(&subject, &subject, key, serial)?;
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    let usage = KeyUsage::new().critical().key_cert_sign().crl_sign().build()?;
    builder.append_extension(usage)?;
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(identifier)?;
    builder.sign(key, digest(kind, HashKind::Sha256))?;
    Ok(builder.build())
}

fn make_leaf(
    wanted: &Certificate,
    key: &PKey<Private>,
    issuer_key: &PKey<Private>,
    authority: &X509,
    serial: &[u8],
) -> Result<X509, ErrorStack> {
    let subject = name(&wanted.name)?;
    let mut builder = builder(&subject, authority.subject_name(), key, serial)?;
    builder.append_extension(BasicConstraints::new().build()?)?;
    let mut usage = KeyUsage::new();
    usage.critical().digital_signature();
    if wanted.key.is_rsa() {
        // Static RSA: the client encrypts the premaster secret to this key.
        usage.key_encipherment();
    }
    builder.append_extension(usage.build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    let context = builder.x509v3_context(Some(authority), None);
    let names = SubjectAlternativeName::new().dns(&wanted.name).build(&context)?;
    let own = SubjectKeyIdentifier::new().build(&context)?;
    let theirs = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
    for extension in [names, own, theirs] {
        builder.append_extension(extension)?;
    }
    builder.sign(issuer_key, digest(wanted.issuer_key, wanted.hash))?;
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::nid::Nid;

    fn certificate(key: KeyKind, hash: HashKind) -> Certificate {
        Certificate { key, hash, ..Certificate::default() }
    }

    #[test]
    fn identities_are_made_once_and_signed_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = certificate(KeyKind::EcdsaP256, HashKind::Sha384);
        let first = Pki::new(folder.path()).unwrap().identity(&wanted).unwrap();
        let again = Pki::new(folder.path()).unwrap().identity(&wanted).unwrap();
        assert_eq!(first.certificate.to_der().unwrap(), again.certificate.to_der().unwrap());
        let issuer = first.authority.public_key().unwrap();
        assert!(first.certificate.verify(&issuer).unwrap());
        let signed = first.certificate.signature_algorithm().object().nid();
        assert_eq!(signed, Nid::SHA384WITHRSAENCRYPTION);
        let other = Pki::new(folder.path())
            .unwrap()
            .identity(&certificate(KeyKind::EcdsaP256, HashKind::Sha1))
            .unwrap();
        assert_ne!(
            first.certificate.serial_number().to_bn().unwrap(),
            other.certificate.serial_number().to_bn().unwrap()
        );
    }

    #[test]
    fn all_files_say_what_they_are_for() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new(folder.path()).unwrap();
        let wanted = certificate(KeyKind::Ed25519, HashKind::Sha256);
        let identity = pki.identity(&wanted).unwrap();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name == "lock" || name.contains("for-tests-only"), "{name}");
        }
        let subject = format!("{:?}", identity.certificate.subject_name());
        assert!(subject.contains(ORGANISATION), "{subject}");
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broker-ecdsa-p256-series-1-for-tests-only.key.pem");
        fs::write(&path, "no key").unwrap();
        let pki = Pki::new(folder.path()).unwrap();
        let Err(error) = pki.identity(&certificate(KeyKind::EcdsaP256, HashKind::Sha256)) else {
            panic!("a damaged key was taken for a key")
        };
        assert!(error.to_string().contains("delete it"), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Pki::new(&file.path().join("x")).is_err());
    }
}
