//! Bytes of one direction, taken apart: real hellos, and whatever else may come.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are test code"
)]

use data_encoding::HEXLOWER_PERMISSIVE;
use proptest::prelude::*;
use suites::stream::{ContentType, Rest, Stream};
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// The ClientHello of mbedTLS 2.4.0 with Suite B and no suite compiled in, the random zeroed:
/// a header of 5 and 4 bytes, version, random, no session, one marker, no compression, extensions
/// signature_algorithms, encrypt_then_mac, extended_master_secret and session_ticket.
fn nothing_offered() -> Vec<u8> {
    let text = "16030300 45 01000041 0303".replace(' ', "")
        + &"00".repeat(32)
        + "00 000200ff 0100 0016".replace(' ', "").as_str()
        + "000d0006000404030503 00160000 00170000 00230000".replace(' ', "").as_str();
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).unwrap()
}

#[test]
fn a_hello_without_a_suite_is_read() {
    let bytes = nothing_offered();
    assert_eq!(bytes.len(), 74);
    let stream = Stream::parse(&bytes);
    let hello = stream.client_hello.unwrap();
    assert_eq!(hello.cipher_suites, [CipherSuite::RENEGOTIATION_INFO_SCSV]);
    assert_eq!(hello.usable_suites().count(), 0);
    assert_eq!(hello.highest_version(), ProtocolVersion::TLS1_2);
    assert_eq!(hello.extensions, [13, 22, 23, 35]);
    assert_eq!((hello.server_name, hello.groups), (None, None));
    assert_eq!(stream.rest, Rest::Nothing);
}

#[test]
fn a_hello_in_two_records_is_joined() {
    let whole = nothing_offered();
    let body = &whole[5..];
    let (first, second) = body.split_at(20);
    let mut bytes = vec![22, 3, 3, 0, 20];
    bytes.extend(first);
    bytes.extend([22, 3, 3, 0, u8::try_from(second.len()).unwrap()]);
    bytes.extend(second);
    let stream = Stream::parse(&bytes);
    assert_eq!(stream.records.len(), 2);
    assert!(stream.client_hello.is_some());
}

#[test]
fn alerts_in_the_clear_are_read_and_encrypted_ones_counted() {
    let mut bytes = vec![21, 3, 3, 0, 2, 2, 40];
    bytes.extend([20, 3, 3, 0, 1, 1]);
    bytes.extend([21, 3, 3, 0, 26]);
    bytes.extend([0xaa; 26]);
    let stream = Stream::parse(&bytes);
    assert_eq!(stream.alerts.len(), 1);
    assert_eq!((stream.alerts[0].level, stream.alerts[0].description.0), (2, 40));
    assert_eq!(stream.encrypted_alerts, 1);
    assert!(stream.records[2].encrypted);
    assert_eq!(stream.records[1].content, ContentType::ChangeCipherSpec);
}

#[test]
fn an_http_answer_is_no_tls() {
    let stream = Stream::parse(b"HTTP/1.1 400 Bad Request\r\n");
    assert_eq!(stream.rest, Rest::NotTls { at: 0 });
}

#[test]
fn a_cut_record_says_how_much_is_missing() {
    let bytes = nothing_offered();
    assert_eq!(Stream::parse(&bytes[..30]).rest, Rest::Partial { have: 30, want: 74 });
    assert_eq!(Stream::parse(&bytes[..3]).rest, Rest::Partial { have: 3, want: 0 });
}

#[test]
fn a_tls13_server_hello_names_the_version_in_its_extension() {
    // ServerHello: legacy 0x0303, random, no session, TLS_AES_128_GCM_SHA256, supported_versions.
    let mut body = vec![2, 0, 0, 46, 3, 3];
    body.extend([0; 32]);
    body.extend([0, 0x13, 0x01, 0, 0, 6, 0, 43, 0, 2, 3, 4]);
    let mut bytes = vec![22, 3, 3, 0, u8::try_from(body.len()).unwrap()];
    bytes.extend(body);
    let hello = Stream::parse(&bytes).server_hello.unwrap();
    assert_eq!(hello.version, ProtocolVersion::TLS1_3);
    assert_eq!(hello.cipher_suite, CipherSuite(0x1301));
}

#[test]
fn groups_and_server_name_are_read() {
    let extensions = [
        // server_name "a.test"
        &[0, 0, 0, 11, 0, 9, 0, 0, 6, b'a', b'.', b't', b'e', b's', b't'][..],
        // supported_groups secp256r1, x25519
        &[0, 10, 0, 6, 0, 4, 0, 23, 0, 29],
        // max_fragment_length 4096
        &[0, 1, 0, 1, 4],
    ]
    .concat();
    let mut hello = vec![3, 3];
    hello.extend([0; 32]);
    hello.extend([0, 0, 2, 0, 0x3d, 1, 0]);
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);
    let mut bytes = vec![22, 3, 1];
    bytes.extend(u16::try_from(hello.len() + 4).unwrap().to_be_bytes());
    bytes.extend([1, 0, 0, u8::try_from(hello.len()).unwrap()]);
    bytes.extend(hello);
    let hello = Stream::parse(&bytes).client_hello.unwrap();
    assert_eq!(hello.server_name.as_deref(), Some("a.test"));
    assert_eq!(hello.groups, Some(vec![NamedGroup(23), NamedGroup(29)]));
    assert_eq!(hello.max_fragment_length, Some(4));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let _ = Stream::parse(&bytes);
    }

    #[test]
    fn a_damaged_hello_never_panics(
        at in 0_usize..74, value in any::<u8>(), cut in 0_usize..74,
    ) {
        let mut bytes = nothing_offered();
        bytes[at] = value;
        let _ = Stream::parse(&bytes);
        let _ = Stream::parse(&bytes[..cut]);
    }
}
