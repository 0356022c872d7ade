//! What a server says to a ClientHello, as far as it says it in the clear.

use suites::key_exchange::KeyExchange;
use suites::stream::{ContentType, RECORD_HEADER, Stream};
use tls_parser::{
    TlsExtension, TlsMessage, TlsMessageHandshake, parse_tls_message_handshake,
    parse_tls_server_hello_extensions,
};
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// ServerHello to ServerHelloDone; in TLS 1.3, HelloRetryRequest alone.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) version: ProtocolVersion,
    pub(super) suite: CipherSuite,
    pub(super) extensions: Vec<u16>,
    /// Whether the session has an ID by which it could be resumed.
    pub(super) session_id: bool,
    /// Certificates as DER, the server's own first.
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) asks_for_certificate: bool,
    pub(super) group: Option<NamedGroup>,
    pub(super) dh_bits: Option<usize>,
    /// With which the key exchange is signed, TLS 1.2.
    pub(super) scheme: Option<u16>,
    /// Longest record body.
    pub(super) longest_record: usize,
    /// Length of a record body that ends within a message, if there is one.
    pub(super) cut: Option<usize>,
    /// Whether a record holds more than one message.
    pub(super) packed: bool,
}

impl Flight {
    /// The flight in `bytes`; none if it is not all there.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let stream = Stream::parse(bytes);
        let hello = stream.server_hello.as_ref()?;
        let mut flight = Self {
            version: hello.version,
            suite: hello.cipher_suite,
            extensions: hello.extensions.clone(),
            session_id: false,
            chain: Vec::new(),
            asks_for_certificate: false,
            group: None,
            dh_bits: None,
            scheme: None,
            longest_record: 0,
            cut: None,
            packed: false,
        };
        let mut joined = Vec::new();
        let mut ends = Vec::new();
        for record in &stream.records {
            if record.content == ContentType::Handshake && !record.encrypted {
                let body = bytes.get(record.range.clone())?.get(RECORD_HEADER..)?;
                flight.longest_record = flight.longest_record.max(body.len());
                joined.extend_from_slice(body);
                ends.push((joined.len(), body.len()));
            }
        }
        let (mut at, mut done) = (0, hello.version >= ProtocolVersion::TLS1_3);
        let mut borders = Vec::new();
        while let Some([_, l0, l1, l2]) = joined.get(at..).and_then(|rest| rest.first_chunk()) {
            let end = at + 4 + u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
            let Some(message) = joined.get(at..end) else { break };
            if let Ok((_, TlsMessage::Handshake(message))) = parse_tls_message_handshake(message) {
                done |= flight.note(&message);
            } else {
                flight.note_request(message);
            }
            borders.push(end);
            at = end;
        }
        let torn = ends.iter().filter(|(end, _)| !borders.contains(end));
        let within = |border: &usize| {
            // A border at which no record ends lies within one, and a message follows it there.
            *border < joined.len() && !ends.iter().any(|(end, _)| end == border)
        };
        flight.packed = borders.iter().any(within);
        flight.cut = torn.map(|(_, length)| *length).max();
        done.then_some(flight)
    }

    /// Whether this message is the last.
    fn note(&mut self, message: &TlsMessageHandshake<'_>) -> bool {
        match message {
            TlsMessageHandshake::ServerHello(hello) => {
                self.session_id = hello.session_id.is_some_and(|id| !id.is_empty());
                let extensions = hello.ext.unwrap_or_default();
                let list = parse_tls_server_hello_extensions(extensions);
                for extension in list.map(|(_, list)| list).unwrap_or_default() {
                    if let TlsExtension::KeyShare([high, low, ..]) = extension {
                        self.group = Some(NamedGroup(u16::from_be_bytes([*high, *low])));
                    }
                }
            }
            TlsMessageHandshake::Certificate(list) => {
                self.chain = list.cert_chain.iter().map(|one| one.data.to_vec()).collect();
            }
            TlsMessageHandshake::ServerKeyExchange(exchange) => {
                let said = KeyExchange::parse(self.suite, self.version, exchange.parameters);
                (self.group, self.dh_bits) = (said.group, said.dh_bits);
                self.scheme = said.signed.map(|signed| signed.scheme);
            }
            TlsMessageHandshake::CertificateRequest(_) => self.asks_for_certificate = true,
            TlsMessageHandshake::ServerDone(_) => return true,
            _ => {}
        }
        false
    }

    /// `tls-parser` takes a CertificateRequest without signature algorithms, as TLS 1.1 has it, for
    /// damage.
    fn note_request(&mut self, message: &[u8]) {
        self.asks_for_certificate |= message.first() == Some(&13);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// ServerHello of TLS 1.2 with an ECDHE suite, a Certificate message without certificates, a
    /// ServerKeyExchange on secp256r1, a CertificateRequest and ServerHelloDone, in one record.
    fn whole() -> Vec<u8> {
        let hello = [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat();
        let exchange = [&[3, 0, 23, 3, 4, 5, 6][..], &[4, 1, 0, 1, 9]].concat();
        let request = vec![1, 1, 0, 2, 4, 1, 0, 0];
        let messages =
            [(2, hello), (11, vec![0, 0, 0]), (12, exchange), (13, request), (14, vec![])];
        let mut body = Vec::new();
        for (kind, content) in messages {
            body.extend([kind, 0, 0, u8::try_from(content.len()).unwrap()]);
            body.extend(content);
        }
        [&[22, 3, 3, 0, u8::try_from(body.len()).unwrap()][..], &body].concat()
    }

    #[test]
    fn a_flight_is_read_once_it_is_whole() {
        let bytes = whole();
        for end in 0..bytes.len() {
            assert!(Flight::parse(&bytes[..end]).is_none(), "{end} of {} bytes", bytes.len());
        }
        let flight = Flight::parse(&bytes).unwrap();
        assert_eq!((flight.version, flight.suite), (ProtocolVersion::TLS1_2, CipherSuite(0xc02f)));
        assert_eq!((flight.group, flight.scheme), (Some(NamedGroup(23)), Some(0x0401)));
        assert!(flight.asks_for_certificate && flight.packed && !flight.session_id);
        assert_eq!((flight.cut, flight.longest_record), (None, bytes.len() - 5));
    }

    #[test]
    fn a_message_in_two_records_shows_where_records_end() {
        let bytes = whole();
        let (first, second) = bytes[5..].split_at(30);
        let record =
            |body: &[u8]| [&[22, 3, 3, 0, u8::try_from(body.len()).unwrap()][..], body].concat();
        let flight = Flight::parse(&[record(first), record(second)].concat()).unwrap();
        assert_eq!(flight.cut, Some(30));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _none = Flight::parse(&bytes);
            let mut real = whole();
            let at = bytes.len().min(real.len());
            bytes.truncate(at);
            for (place, byte) in real.iter_mut().skip(5).zip(&bytes) {
                // One bit in a few, so that the rest still makes sense.
                *place ^= if byte.count_ones() > 5 { 1 << (byte % 8) } else { 0 };
            }
            let _perhaps = Flight::parse(&real);
        }
    }
}
