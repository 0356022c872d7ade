//! Private keys that are the same on every machine.
//!
//! What a client computes with an RSA key depends on its bits: with another modulus of the same
//! size mbedTLS executes up to 4 % more or fewer instructions. A snapshot of instruction counts can
//! hold everywhere only if the keys are the same everywhere, and OpenSSL's generators take no seed.
//! So this module draws the numbers from a hash of the key's kind and role; all arithmetic and all
//! tests for primes are OpenSSL's. **Anybody can compute these keys**: they are for tests only.

use openssl::bn::{BigNum, BigNumContext, BigNumContextRef};
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use openssl::sha::Sha256;
use suites::broker::KeyKind;

/// Names this way of making keys; another way needs another name, here and in the cache.
pub(crate) const SERIES: &str = "series-1";

/// The public exponent that everybody uses.
const EXPONENT: u32 = 65_537;

/// The key of this kind for this role.
pub(crate) fn make(kind: KeyKind, role: &str) -> Result<PKey<Private>, ErrorStack> {
    let mut numbers = Numbers { label: format!("{SERIES} {role} {}", kind.as_str()), drawn: 0 };
    match kind {
        KeyKind::Rsa1024 => rsa(&mut numbers, 1024),
        KeyKind::Rsa2048 => rsa(&mut numbers, 2048),
        KeyKind::Rsa3072 => rsa(&mut numbers, 3072),
        KeyKind::Rsa4096 => rsa(&mut numbers, 4096),
        KeyKind::EcdsaP256 => ec(&mut numbers, Nid::X9_62_PRIME256V1),
        KeyKind::EcdsaP384 => ec(&mut numbers, Nid::SECP384R1),
        KeyKind::Ed25519 => PKey::private_key_from_raw_bytes(&numbers.bytes(32), Id::ED25519),
    }
}

/// An endless sequence of bytes that depends on nothing but its label: SHA-256 in counter mode.
struct Numbers {
    label: String,
    drawn: u64,
}

impl Numbers {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 32);
        while bytes.len() < count {
            let mut hash = Sha256::new();
            hash.update(self.label.as_bytes());
            hash.update(&self.drawn.to_be_bytes());
            bytes.extend(hash.finish());
            self.drawn += 1;
        }
        bytes.truncate(count);
        bytes
    }

    /// A prime of this many bits whose two top bits are set, so that the product of two has exactly
    /// twice as many, and which suits [`EXPONENT`].
    fn prime(&mut self, bits: i32, context: &mut BigNumContextRef) -> Result<BigNum, ErrorStack> {
        loop {
            let mut candidate = BigNum::from_slice(&self.bytes(bits.unsigned_abs() as usize / 8))?;
            for bit in [0, bits - 2, bits - 1] {
                candidate.set_bit(bit)?;
            }
            // The exponent is prime, so it has an inverse unless it divides p - 1. 0 rounds: as many
            // as OpenSSL holds to be right.
            let suits = candidate.mod_word(EXPONENT)? != 1;
            if suits && candidate.is_prime_fasttest(0, context, true)? {
                return Ok(candidate);
            }
        }
    }
}

/// RFC 8017 3.2: p > q, d the inverse of e, and the three values for the Chinese remainder theorem.
fn rsa(numbers: &mut Numbers, bits: i32) -> Result<PKey<Private>, ErrorStack> {
    let mut context = BigNumContext::new()?;
    let context = &mut context;
    let (a, b) = (numbers.prime(bits / 2, context)?, numbers.prime(bits / 2, context)?);
    let (p, q) = if a > b { (a, b) } else { (b, a) };
    let one = BigNum::from_u32(1)?;
    let e = BigNum::from_u32(EXPONENT)?;
    let (p1, q1) = (&p - &one, &q - &one);
    let n = &p * &q;
    let phi = &p1 * &q1;
    let mut d = BigNum::new()?;
    d.mod_inverse(&e, &phi, context)?;
    let (dp, dq) = (&d % &p1, &d % &q1);
    let mut coefficient = BigNum::new()?;
    coefficient.mod_inverse(&q, &p, context)?;
    PKey::from_rsa(Rsa::from_private_components(n, e, d, p, q, dp, dq, coefficient)?)
}

/// A private scalar between 1 and the group's order, and its public point.
fn ec(numbers: &mut Numbers, curve: Nid) -> Result<PKey<Private>, ErrorStack> {
    let mut context = BigNumContext::new()?;
    let group = EcGroup::from_curve_name(curve)?;
    let mut order = BigNum::new()?;
    group.order(&mut order, &mut context)?;
    let one = BigNum::from_u32(1)?;
    let drawn = BigNum::from_slice(&numbers.bytes(64))?;
    let scalar = &(&drawn % &(&order - &one)) + &one;
    let mut point = EcPoint::new(&group)?;
    point.mul_generator2(&group, &scalar, &mut context)?;
    PKey::from_ec_key(EcKey::from_private_components(&group, &scalar, &point)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [KeyKind; 7] = [
        KeyKind::Rsa1024,
        KeyKind::Rsa2048,
        KeyKind::Rsa3072,
        KeyKind::Rsa4096,
        KeyKind::EcdsaP256,
        KeyKind::EcdsaP384,
        KeyKind::Ed25519,
    ];

    #[test]
    fn every_kind_makes_a_sound_key_of_its_size() {
        for kind in ALL {
            let key = make(kind, "test").unwrap();
            if let Ok(rsa) = key.rsa() {
                assert!(rsa.check_key().unwrap(), "{kind:?}");
                assert_eq!(kind.as_str(), format!("rsa-{}", key.bits()));
            }
            if let Ok(ec) = key.ec_key() {
                ec.check_key().unwrap();
            }
        }
    }

    /// The instruction counts in the snapshots were taken with this key: if it changes, they do.
    #[test]
    fn the_keys_are_the_same_everywhere() {
        let key = make(KeyKind::Rsa2048, "broker").unwrap();
        let fingerprint = openssl::sha::sha256(&key.public_key_to_der().unwrap());
        let shown: String = fingerprint.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(shown, "0aee87a79e7d6da5");
        let other = make(KeyKind::Rsa2048, "authority").unwrap();
        assert!(!key.public_eq(&other));
    }
}
