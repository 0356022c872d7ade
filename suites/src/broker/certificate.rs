//! The certificate that a broker shows: keys, signature, chain, and what is wrong with it.

use serde::{Deserialize, Serialize};
use wire::tls::NamedGroup;

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
    /// Whether its signature is RSASSA-PSS (RFC 8017 8.1) in place of PKCS #1 v1.5; not, by
    /// default. It takes an authority with an RSA key.
    pub pss: bool,
    /// When it is valid; now, by default.
    pub validity: Validity,
    /// Whether clients are given the authority that signed it; they are, by default.
    pub authority: Authority,
    /// Certificates between it and the authority, all of them sent; none by default.
    pub intermediates: u8,
    /// Length of the whole Certificate message (RFC 5246 7.4.2) with its header of four bytes,
    /// reached by a comment in the certificate; as long as it comes out by default.
    pub message_bytes: Option<u16>,
}

impl Default for Certificate {
    fn default() -> Self {
        Self {
            key: KeyKind::Rsa2048,
            issuer_key: KeyKind::Rsa2048,
            hash: HashKind::Sha256,
            name: "broker.test".to_owned(),
            pss: false,
            validity: Validity::Now,
            authority: Authority::Known,
            intermediates: 0,
            message_bytes: None,
        }
    }
}

/// When a certificate is valid. The dates are fixed, so that none runs out in a cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validity {
    /// From 2020 to 2049.
    #[default]
    Now,
    /// From 2010 to 2011.
    Expired,
    /// From 2048 to 2049.
    NotYet,
}

/// Whether clients can know the authority that signed the certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authority {
    /// They are given its certificate.
    #[default]
    Known,
    /// They are given that of another one.
    Unknown,
}

impl Certificate {
    /// What the parts say together, as the key at fault and why.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.pss && !self.issuer_key.is_rsa() {
            return Err(("pss", "pss needs an issuer_key of kind rsa".to_owned()));
        }
        if self.pss && matches!(self.hash, HashKind::Md5) {
            return Err(("pss", "pss goes with sha1 and newer hashes".to_owned()));
        }
        if self.intermediates > MAX_INTERMEDIATES {
            let why = format!("intermediates must be at most {MAX_INTERMEDIATES}");
            return Err(("intermediates", why));
        }
        if self.message_bytes.is_some_and(|bytes| bytes < MIN_MESSAGE) {
            let why = format!("message_bytes must be at least {MIN_MESSAGE}");
            return Err(("message_bytes", why));
        }
        if self.message_bytes.is_some() && !self.issuer_key.is_rsa() {
            let why = "message_bytes needs an issuer_key of kind rsa: an ECDSA signature is not \
                       always of one length";
            return Err(("message_bytes", why.to_owned()));
        }
        Ok(())
    }
}

/// More than any library follows; mbedTLS stops at 8.
const MAX_INTERMEDIATES: u8 = 32;
/// Room for a certificate with an RSA-4096 key and signature.
const MIN_MESSAGE: u16 = 2048;

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

    /// The curve of a key for ECDSA.
    #[must_use]
    pub fn curve(self) -> Option<NamedGroup> {
        match self {
            Self::EcdsaP256 => Some(NamedGroup(23)),
            Self::EcdsaP384 => Some(NamedGroup(24)),
            _ => None,
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
