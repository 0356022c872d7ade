//! ServerKeyExchange, as far as it is read without checking its signature.

use crate::stream::Stream;
use tls_parser::{TlsCipherKx, TlsCipherSuite};
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// `HandshakeType` of RFC 5246 7.4.
const SERVER_KEY_EXCHANGE: u8 = 12;

/// What it says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyExchange {
    /// Group of ECDHE.
    pub group: Option<NamedGroup>,
    /// Length of the prime of DHE, in bits.
    pub dh_bits: Option<usize>,
    /// With what it says that it is signed; TLS 1.2 alone says so.
    pub signed: Option<SignedWith>,
}

/// The algorithm before a signature, RFC 5246 7.4.1.4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedWith {
    /// Hash in the high byte, signature in the low one.
    pub scheme: u16,
    /// How many bytes stand before it.
    pub at: usize,
}

impl KeyExchange {
    /// The body of the message, without its header: RFC 8422 5.4, RFC 5246 7.4.3, with a hint before
    /// it RFC 5489 2. What is cut short says as much as is there.
    #[must_use]
    pub fn parse(suite: CipherSuite, version: ProtocolVersion, body: &[u8]) -> Self {
        let mut said = Self::default();
        let _cut_short: Option<()> = said.read(suite, version, body);
        said
    }

    /// The first one in a server's bytes that lies whole in one record; where it is signed,
    /// [`SignedWith::at`] counts from the beginning of these bytes.
    #[must_use]
    pub fn find(stream: &Stream, bytes: &[u8]) -> Option<Self> {
        let hello = stream.server_hello.as_ref()?;
        let (_, range) =
            stream.messages(bytes).into_iter().find(|(kind, _)| *kind == SERVER_KEY_EXCHANGE)?;
        let mut said = Self::parse(hello.cipher_suite, hello.version, bytes.get(range.clone())?);
        if let Some(signed) = &mut said.signed {
            signed.at += range.start;
        }
        Some(said)
    }

    fn read(&mut self, suite: CipherSuite, version: ProtocolVersion, body: &[u8]) -> Option<()> {
        let known = TlsCipherSuite::from_id(suite.0)?;
        let mut rest = body;
        if known.name.contains("_PSK_") {
            take(&mut rest)?;
        }
        match known.kx {
            TlsCipherKx::Ecdhe => {
                let (head, point) = rest.split_first_chunk()?;
                let [3, high, low, length] = *head else { return None };
                self.group = Some(NamedGroup(u16::from_be_bytes([high, low])));
                rest = point.get(usize::from(length)..)?;
            }
            TlsCipherKx::Dhe => {
                let prime = take(&mut rest)?;
                let leading = prime.iter().take_while(|byte| **byte == 0).count();
                let top = prime.get(leading)?;
                self.dh_bits = Some((prime.len() - leading) * 8 - top.leading_zeros() as usize);
                take(&mut rest)?;
                take(&mut rest)?;
            }
            _ => return None,
        }
        if version >= ProtocolVersion::TLS1_2 {
            self.signed = rest.first_chunk().map(|scheme| SignedWith {
                scheme: u16::from_be_bytes(*scheme),
                at: body.len() - rest.len(),
            });
        }
        Some(())
    }
}

/// What stands behind a length of two bytes.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, tail) = rest.split_first_chunk()?;
    let (taken, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *rest = tail;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECDHE_RSA: CipherSuite = CipherSuite(0xc02f);

    #[test]
    fn the_scheme_is_found_where_it_stands() {
        // ServerHello of TLS 1.2, then a ServerKeyExchange on secp256r1, in one record.
        let hello = [&[2, 0, 0, 38, 3, 3][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat();
        let exchange = [12, 0, 0, 12, 3, 0, 23, 3, 4, 5, 6, 4, 1, 0, 1, 9];
        let body = [&hello[..], &exchange].concat();
        let bytes = [&[22, 3, 3, 0, u8::try_from(body.len()).unwrap()][..], &body].concat();
        let found = KeyExchange::find(&Stream::parse(&bytes), &bytes).unwrap();
        let at = bytes.len() - 5;
        assert_eq!(found.group, Some(NamedGroup(23)));
        assert_eq!(found.signed, Some(SignedWith { scheme: 0x0401, at }));
        assert_eq!(bytes[at..at + 2], [4, 1]);
    }

    #[test]
    fn a_prime_is_as_long_as_its_highest_bit() {
        let body = [&[0, 3, 0, 0x1f, 1][..], &[0, 1, 2], &[0, 1, 9], &[6, 1]].concat();
        let dhe = CipherSuite(0x009e);
        let said = KeyExchange::parse(dhe, ProtocolVersion::TLS1_2, &body);
        assert_eq!(said.dh_bits, Some(13));
        assert_eq!(said.signed, Some(SignedWith { scheme: 0x0601, at: 11 }));
        // Before TLS 1.2 the signature's algorithm is not said.
        assert_eq!(KeyExchange::parse(dhe, ProtocolVersion::TLS1_1, &body).signed, None);
    }

    #[test]
    fn what_is_cut_short_says_what_is_there() {
        let whole = [3, 0, 23, 3, 4, 5, 6, 4, 1];
        for end in 0..whole.len() {
            let said = KeyExchange::parse(ECDHE_RSA, ProtocolVersion::TLS1_2, &whole[..end]);
            assert_eq!((said.group.is_some(), said.signed), (end >= 4, None), "{end}");
        }
        let none = KeyExchange::parse(CipherSuite(0x003d), ProtocolVersion::TLS1_2, &whole);
        assert_eq!(none, KeyExchange::default());
    }
}
