//! JA3 and JA4: a client's offer as one short name, as intrusion detection and brokers' logs have it.
//!
//! Both are made from the ClientHello alone, so a firmware that offers something else gets another
//! name, and a client that a network's operator reports by its fingerprint can be looked up in
//! `rig list clients`. Values of GREASE (RFC 8701) count for neither.
//!
//! * JA3: version, suites, extensions, groups and point formats as decimal numbers in the order sent,
//!   hashed with MD5. <https://github.com/salesforce/ja3>
//! * JA4: version, server name, counts and ALPN in the clear, then sorted suites, then sorted
//!   extensions with the signature algorithms, each hashed with SHA-256 and cut to 12 digits.
//!   <https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md>
//!
//! Of our own, because no crate computes both from a hello that is parsed already: those that there
//! are bring a packet capture library, an HTTP client or a second ClientHello parser along. The
//! hashes are RustCrypto's.

use crate::hello::ClientHello;
use data_encoding::HEXLOWER;
use md5::{Digest, Md5};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt::Display;
use wire::tls::ProtocolVersion;

/// server_name, RFC 6066 3: JA4 tells it apart from the other extensions.
const SERVER_NAME: u16 = 0;
/// application_layer_protocol_negotiation, RFC 7301 3.1: as well.
const ALPN: u16 = 16;
/// What JA4 writes in place of the hash of nothing.
const NOTHING: &str = "000000000000";

/// Both fingerprints of one ClientHello.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fingerprint {
    /// 32 hexadecimal digits.
    pub ja3: String,
    /// Such as `t13d1516h2_8daaf6152771_e5627efa2ab1`.
    pub ja4: String,
}

impl Fingerprint {
    /// Of this hello, sent over TCP.
    #[must_use]
    pub fn of(hello: &ClientHello) -> Self {
        let ja3 = HEXLOWER.encode(&Md5::digest(ja3_text(hello)));
        Self { ja3, ja4: ja4(hello) }
    }
}

/// Whether a value is reserved to keep others on their toes, RFC 8701 2.
#[must_use]
pub fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// What JA3 hashes.
#[must_use]
pub fn ja3_text(hello: &ClientHello) -> String {
    let list = |values: Vec<u16>| join(values.into_iter().map(|value| value.to_string()), "-");
    let groups = hello.groups.iter().flatten().map(|group| group.0);
    let formats = hello.point_formats.iter().flatten().copied();
    join(
        [
            hello.version.0.to_string(),
            list(meant(hello.cipher_suites.iter().map(|suite| suite.0))),
            list(meant(hello.extensions.iter().copied())),
            list(meant(groups)),
            // One byte each: GREASE has none of them.
            list(formats.map(u16::from).collect()),
        ],
        ",",
    )
}

fn ja4(hello: &ClientHello) -> String {
    let suites = meant(hello.cipher_suites.iter().map(|suite| suite.0));
    let extensions = meant(hello.extensions.iter().copied());
    let named = if extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
    let counts = [suites.len(), extensions.len()].map(|count| count.min(99));
    let [suite_count, extension_count] = counts;
    let alpn = hello.alpn.as_ref().and_then(|list| list.first()).map(Vec::as_slice);
    let sorted = |mut values: Vec<u16>| {
        values.sort_unstable();
        hex_list(&values)
    };
    let others = extensions.iter().copied().filter(|kind| ![SERVER_NAME, ALPN].contains(kind));
    let mut others = sorted(others.collect());
    let schemes = meant(hello.signature_algorithms.iter().flatten().copied());
    if !schemes.is_empty() && !others.is_empty() {
        others = format!("{others}_{}", hex_list(&schemes));
    }
    format!(
        "t{}{named}{suite_count:02}{extension_count:02}{}_{}_{}",
        version(hello.highest_version()),
        ends(alpn.unwrap_or_default()),
        short_hash(&sorted(suites)),
        short_hash(&others),
    )
}

fn version(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLS1_3 => "13",
        ProtocolVersion::TLS1_2 => "12",
        ProtocolVersion::TLS1_1 => "11",
        ProtocolVersion::TLS1_0 => "10",
        ProtocolVersion::SSL3_0 => "s3",
        _ => "00",
    }
}

/// First and last character of a protocol's name; of its hexadecimal digits if either is neither
/// letter nor digit.
fn ends(name: &[u8]) -> String {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return "00".to_owned() };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [*first, *last].map(char::from).iter().collect();
    }
    let digits = HEXLOWER.encode(name);
    digits.chars().take(1).chain(digits.chars().last()).collect()
}

fn short_hash(text: &str) -> String {
    if text.is_empty() {
        return NOTHING.to_owned();
    }
    let mut digits = HEXLOWER.encode(&Sha256::digest(text));
    digits.truncate(NOTHING.len());
    digits
}

fn meant(values: impl Iterator<Item = u16>) -> Vec<u16> {
    values.filter(|value| !is_grease(*value)).collect()
}

fn hex_list(values: &[u16]) -> String {
    join(values.iter().map(|value| format!("{value:04x}")), ",")
}

fn join<T: Display>(parts: impl IntoIterator<Item = T>, by: &str) -> String {
    let parts: Vec<_> = parts.into_iter().map(|part| part.to_string()).collect();
    parts.join(by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use wire::tls::{CipherSuite, NamedGroup};

    fn numbers(list: &str, radix: u32) -> Vec<u16> {
        let parts = list.split(['-', ',']).filter(|part| !part.is_empty());
        parts.map(|part| u16::from_str_radix(part, radix).unwrap()).collect()
    }

    /// A hello from its published parts, each list in the radix and order of its publication.
    fn hello(version: u16, suites: Vec<u16>, extensions: Vec<u16>) -> ClientHello {
        ClientHello {
            version: ProtocolVersion(version),
            cipher_suites: suites.into_iter().map(CipherSuite).collect(),
            extensions,
            session_id_bytes: 0,
            server_name: None,
            groups: None,
            key_shares: None,
            signature_algorithms: None,
            supported_versions: None,
            max_fragment_length: None,
            point_formats: None,
            alpn: None,
        }
    }

    /// The two examples of JA3's own description.
    #[rstest]
    #[case::with_extensions(
        "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0",
        "ada70206e40642a3e4461f35503241d5"
    )]
    #[case::without_extensions(
        "769,4-5-10-9-100-98-3-6-19-18-99,,,",
        "de350869b8c85de67a350c8d186f11e6"
    )]
    fn ja3_as_published(#[case] text: &str, #[case] hash: &str) {
        let parts: Vec<_> = text.split(',').map(|part| numbers(part, 10)).collect();
        let mut made = hello(parts[0][0], parts[1].clone(), parts[2].clone());
        made.groups = Some(parts[3].iter().copied().map(NamedGroup).collect());
        made.point_formats = Some(parts[4].iter().map(|value| *value as u8).collect());
        assert_eq!(ja3_text(&made), text);
        assert_eq!(Fingerprint::of(&made).ja3, hash);
        // With GREASE in each list it is the same client.
        made.cipher_suites.insert(0, CipherSuite(0x4a4a));
        made.extensions.insert(0, 0xfafa);
        made.groups.get_or_insert_default().insert(0, NamedGroup(0x0a0a));
        assert_eq!(Fingerprint::of(&made).ja3, hash);
    }

    /// The example of JA4's own description, step by step.
    fn published() -> ClientHello {
        let suites = "1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035";
        let extensions =
            "001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015";
        let schemes = "0403,0804,0401,0503,0805,0501,0806,0601";
        ClientHello {
            alpn: Some(vec![b"h2".to_vec(), b"http/1.1".to_vec()]),
            signature_algorithms: Some(numbers(schemes, 16)),
            supported_versions: Some(vec![ProtocolVersion(0x0304), ProtocolVersion(0x0303)]),
            ..hello(0x0303, numbers(suites, 16), numbers(extensions, 16))
        }
    }

    #[test]
    fn ja4_as_published() {
        let mut hello = published();
        let whole = "t13d1516h2_8daaf6152771_e5627efa2ab1";
        assert_eq!(Fingerprint::of(&hello).ja4, whole);
        hello.cipher_suites.insert(3, CipherSuite(0x1a1a));
        hello.extensions.push(0x2a2a);
        hello.signature_algorithms.as_mut().unwrap().push(0x3a3a);
        hello.supported_versions.as_mut().unwrap().insert(0, ProtocolVersion(0xdada));
        assert_eq!(Fingerprint::of(&hello).ja4, whole, "GREASE counts for nothing");
        hello.signature_algorithms = None;
        assert_eq!(Fingerprint::of(&hello).ja4, "t13d1516h2_8daaf6152771_6d807ffa2a79");
        hello.extensions.retain(|kind| [SERVER_NAME, ALPN].contains(kind));
        hello.cipher_suites.clear();
        assert_eq!(Fingerprint::of(&hello).ja4, "t13d0002h2_000000000000_000000000000");
    }

    #[rstest]
    #[case::none(&[], "00")]
    #[case::one_letter(b"x", "xx")]
    #[case::a_slash_in_it(b"http/1.1", "h1")]
    #[case::one_byte(&[0xab], "ab")]
    #[case::two_bytes(&[0xab, 0xcd], "ad")]
    #[case::ends_badly(&[0x30, 0xab], "3b")]
    #[case::longer(&[0x30, 0x31, 0xab, 0xcd], "3d")]
    #[case::bad_in_the_middle_alone(&[0x30, 0xab, 0xcd, 0x31], "01")]
    fn protocols_as_published(#[case] name: &[u8], #[case] ends: &str) {
        let alpn = Some(vec![name.to_vec()]);
        let hello = ClientHello { alpn, ..published() };
        assert_eq!(
            Fingerprint::of(&hello).ja4,
            format!("t13d1516{ends}_8daaf6152771_e5627efa2ab1")
        );
    }

    #[rstest]
    #[case(0x0300, "s3")]
    #[case(0x0301, "10")]
    #[case(0x0302, "11")]
    #[case(0x0303, "12")]
    #[case(0x0399, "00")]
    fn without_a_list_of_versions_the_old_field_says_it(#[case] value: u16, #[case] says: &str) {
        let hello = hello(value, vec![0x3d], vec![13]);
        assert!(Fingerprint::of(&hello).ja4.starts_with(&format!("t{says}i0101")));
    }
}
