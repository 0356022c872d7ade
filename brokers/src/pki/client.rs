//! What a client needs of the brokers' authority: a certificate of its own, or a wrong one to trust.

use super::{Pki, PkiError, builder, digest, make_authority, name};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::x509::X509;
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use suites::broker::{Authority, HashKind, KeyKind};

/// A client's certificate and key, both as DER (the key as PKCS #8).
#[derive(Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate.
    pub certificate_der: Vec<u8>,
    /// The private key.
    pub key_der: Vec<u8>,
}

/// The kind of the authority that signs clients' certificates.
const ISSUER: KeyKind = KeyKind::Rsa2048;

impl Pki {
    /// A certificate for clients that the brokers' authority with an RSA-2048 key has signed, or
    /// one that they do not know.
    pub(crate) fn client(
        &self,
        kind: KeyKind,
        authority: Authority,
    ) -> Result<ClientIdentity, PkiError> {
        let _held = self.lock()?;
        let role = match authority {
            Authority::Known => "authority",
            Authority::Unknown => "stranger",
        };
        let issuer_key = self.key(ISSUER, role)?;
        let issuer = self.root(role, &issuer_key)?;
        let key = self.key(kind, "client")?;
        let what = format!("client {}", kind.as_str());
        let certificate = self.certificate(&what, &key, &issuer_key, |serial| {
            make_client(&key, &issuer_key, &issuer, serial)
        })?;
        let key_der = key.private_key_to_pkcs8()?;
        Ok(ClientIdentity { certificate_der: certificate.to_der()?, key_der })
    }

    /// The certificate of an authority that signed no broker's, as DER.
    pub(crate) fn stranger(&self) -> Result<Vec<u8>, PkiError> {
        let _held = self.lock()?;
        let key = self.key(ISSUER, "stranger")?;
        Ok(self.root("stranger", &key)?.to_der()?)
    }

    fn root(&self, role: &str, key: &PKey<Private>) -> Result<X509, PkiError> {
        // The root that signed brokers' certificates is that of `Pki::identity`, from the same file.
        let title = if role == "authority" { "Root" } else { "Stranger" };
        self.certificate(&format!("{role} {}", ISSUER.as_str()), key, key, |serial| {
            make_authority(title, ISSUER, key, serial)
        })
    }
}

fn make_client(
    key: &PKey<Private>,
    issuer_key: &PKey<Private>,
    issuer: &X509,
    serial: &[u8],
) -> Result<X509, ErrorStack> {
    let subject = name("client.rig.test")?;
    let mut builder = builder(&subject, issuer.subject_name(), key, serial)?;
    builder.append_extension(BasicConstraints::new().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().client_auth().build()?)?;
    builder.sign(issuer_key, digest(ISSUER, HashKind::Sha256))?;
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_authority_signs_and_the_stranger_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new(folder.path()).unwrap();
        let known = pki.client(KeyKind::EcdsaP256, Authority::Known).unwrap();
        let unknown = pki.client(KeyKind::EcdsaP256, Authority::Unknown).unwrap();
        let stranger = X509::from_der(&pki.stranger().unwrap()).unwrap().public_key().unwrap();
        let signed = |der: &[u8]| X509::from_der(der).unwrap().verify(&stranger).unwrap();
        assert!(signed(&unknown.certificate_der) && !signed(&known.certificate_der));
        let key = PKey::private_key_from_der(&known.key_der).unwrap();
        assert!(
            X509::from_der(&known.certificate_der).unwrap().public_key().unwrap().public_eq(&key)
        );
    }
}
