//! Keys and certificates for tests, made once and kept on disk.
//!
//! A key is expensive (an RSA-4096 key takes up to a second) and says nothing about a broker, so
//! there is one for each kind and role, shared by all profiles and the same on every machine (see
//! [`keys`]). A certificate is named by a hash
//! of all that went into it, its keys included: two processes that share the folder agree, and a
//! changed profile gets a new one. File names and subjects say that they are for tests only.

mod make;

use crate::keys::{self, SERIES};
use make::{Purpose, authority, intermediate, leaf};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::sha::sha256;
use openssl::x509::X509;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use suites::broker::{Authority, Certificate, KeyKind};

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
    /// No comment makes the chain as long as the profile wants it.
    #[error(
        "the chain takes {bytes} bytes and cannot be made {wanted}: ask for a longer message or fewer intermediates"
    )]
    Length {
        /// The profile's message_bytes.
        wanted: u16,
        /// What it comes to.
        bytes: usize,
    },
    /// OpenSSL cannot make it.
    #[error("openssl cannot make the certificate: {0}")]
    Openssl(#[from] ErrorStack),
}

/// What a broker shows, and who signed it.
pub(crate) struct Identity {
    pub(crate) key: PKey<Private>,
    pub(crate) certificate: X509,
    /// What stands between the certificate and the authority, the certificate's issuer first.
    pub(crate) intermediates: Vec<X509>,
    /// Who signed it all, and the certificates of clients.
    pub(crate) authority: X509,
    /// Whom clients trust: the authority, or another one if the profile wants that.
    pub(crate) trusted: X509,
}

/// A client's certificate and key, both as DER (the key as PKCS #8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate.
    pub certificate_der: Vec<u8>,
    /// The private key.
    pub key_der: Vec<u8>,
}

/// The cache folder.
pub(crate) struct Pki {
    folder: PathBuf,
}

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
        let root_key = self.key(wanted.issuer_key, AUTHORITY)?;
        let authority = self.authority(wanted.issuer_key, AUTHORITY)?;
        let trusted = match wanted.authority {
            Authority::Known => authority.clone(),
            Authority::Unknown => self.authority(wanted.issuer_key, STRANGER)?,
        };
        let (mut issuer_key, mut issuer) = (root_key, authority.clone());
        let mut intermediates = Vec::new();
        for number in 1..=wanted.intermediates {
            // One key for all of them: what differs, and what a client goes by, is the name.
            let key = self.key(wanted.issuer_key, "intermediate")?;
            let kinds = (wanted.issuer_key.as_str(), wanted.hash.as_str());
            let what = format!("intermediate {number} {} {} {}", kinds.0, kinds.1, wanted.pss);
            let made = self.certificate(&what, &key, &issuer_key, |serial| {
                intermediate(number, wanted, &key, &issuer_key, &issuer, serial)
            })?;
            intermediates.insert(0, made.clone());
            (issuer_key, issuer) = (key, made);
        }
        let key = self.key(wanted.key, "broker")?;
        let above = intermediates.iter().map(|above| above.to_der().map(|der| der.len()));
        let above = above.collect::<Result<Vec<_>, _>>()?;
        let certificate = self.certificate(&described(wanted), &key, &issuer_key, |serial| {
            leaf(Purpose::Server, wanted, &key, &issuer_key, &issuer, serial, &above)
        })?;
        let bytes = make::message_bytes(&above, &certificate)?;
        match wanted.message_bytes {
            Some(wanted) if usize::from(wanted) != bytes => {
                return Err(PkiError::Length { wanted, bytes });
            }
            _ => {}
        }
        Ok(Identity { key, certificate, intermediates, authority, trusted })
    }

    /// The certificate of an authority that has signed nothing of a broker that is to be trusted.
    pub(crate) fn stranger(&self) -> Result<Vec<u8>, PkiError> {
        let _held = self.lock()?;
        Ok(self.authority(Certificate::default().issuer_key, STRANGER)?.to_der()?)
    }

    /// A certificate for clients that the brokers' authority with an RSA-2048 key has signed, or
    /// one that they do not know.
    pub(crate) fn client(
        &self,
        kind: KeyKind,
        authority: Authority,
    ) -> Result<ClientIdentity, PkiError> {
        let _held = self.lock()?;
        let role = match authority {
            Authority::Known => AUTHORITY,
            Authority::Unknown => STRANGER,
        };
        let wanted = Certificate { key: kind, name: CLIENT.to_owned(), ..Certificate::default() };
        let issuer_key = self.key(wanted.issuer_key, role)?;
        let issuer = self.authority(wanted.issuer_key, role)?;
        let key = self.key(kind, "client")?;
        let what = format!("client {}", kind.as_str());
        let certificate = self.certificate(&what, &key, &issuer_key, |serial| {
            leaf(Purpose::Client, &wanted, &key, &issuer_key, &issuer, serial, &[])
        })?;
        let key_der = key.private_key_to_pkcs8()?;
        Ok(ClientIdentity { certificate_der: certificate.to_der()?, key_der })
    }

    fn authority(&self, kind: KeyKind, role: &str) -> Result<X509, PkiError> {
        let key = self.key(kind, role)?;
        self.certificate(&format!("{role} {}", kind.as_str()), &key, &key, |serial| {
            authority(kind, role, &key, serial)
        })
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

/// Role of the key that signs for brokers and for clients.
const AUTHORITY: &str = "authority";
/// Role of the key that signs for nobody.
const STRANGER: &str = "stranger";
/// Name in the certificates of clients.
const CLIENT: &str = "rig-client";

/// All that goes into a certificate, as text. What was not known when the first snapshots were
/// taken is named only where it is used, so that their certificates stay the same to the byte.
fn described(wanted: &Certificate) -> String {
    let Certificate { key, issuer_key, hash, name, .. } = wanted;
    let plain = Certificate {
        key: *key,
        issuer_key: *issuer_key,
        hash: *hash,
        name: name.clone(),
        ..Certificate::default()
    };
    let old = format!(
        "broker Certificate {{ key: {key:?}, issuer_key: {issuer_key:?}, hash: {hash:?}, \
         name: {name:?} }}"
    );
    if plain == *wanted { old } else { format!("{old} {wanted:?}") }
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

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::nid::Nid;
    use suites::broker::HashKind;

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
        assert!(subject.contains(make::ORGANISATION), "{subject}");
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
