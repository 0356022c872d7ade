//! What is known of a client before it is run: its library's ways, and what is compiled into it.
//!
//! ```text
//! stack name ------------------> Stack    ways of one version of the library, from its sources
//! macro set's header, as text -> Macros   what is compiled in
//! ```

use std::collections::BTreeSet;
use std::fmt;
use tls_parser::{
    TlsCipherAu, TlsCipherEnc, TlsCipherEncMode, TlsCipherKx, TlsCipherMac, TlsCipherSuite,
};
use wire::tls::{CipherSuite, ProtocolVersion};

use crate::broker::HashKind;
use crate::cell::BuildName;

/// One firmware build, as far as a prediction depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its name.
    pub name: BuildName,
    /// `MBEDTLS_SSL_MAX_CONTENT_LEN`, in bytes.
    pub content_length: u32,
    /// What its header defines.
    pub macros: Macros,
}

impl Build {
    /// What this build lacks for `suite`; words instead of a macro for a suite that its library does
    /// not have at all.
    #[must_use]
    pub fn lacks_for(&self, suite: CipherSuite) -> Option<Lack> {
        let Some(known) = TlsCipherSuite::from_id(suite.0) else {
            return Some(Lack::Cipher("a library that knows it"));
        };
        let missing = |name: &&'static str| !self.macros.has(name);
        let stack = Stack::named(self.name.stack());
        let key_exchange = match key_exchange(known) {
            Some(name) => Some(name).filter(missing).map(Lack::KeyExchange),
            None => Some(Lack::KeyExchange("a library that knows its key exchange")),
        };
        let old = [TlsCipherEnc::Rc4, TlsCipherEnc::Des, TlsCipherEnc::TripleDes];
        let removed = old.contains(&known.enc) && stack.is_some_and(|stack| !stack.old_ciphers);
        let young = [TlsCipherEnc::Chacha20_Poly1305, TlsCipherEnc::Aria];
        let missed = young.contains(&known.enc) && stack.is_some_and(|stack| !stack.young_ciphers);
        let ciphers = removed.then_some("a library that still has its cipher");
        let ciphers = ciphers.or(missed.then_some("a library that has its cipher already"));
        let hash = Some(self.hash_macro(suite_hash(known)));
        let ciphers = ciphers.into_iter().chain(cipher(known).into_iter().chain([hash]).flatten());
        key_exchange.or_else(|| ciphers.into_iter().find(missing).map(Lack::Cipher))
    }

    /// The same with these macros defined, too; `MBEDTLS_` is put before each.
    #[must_use]
    pub fn with<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { macros: self.macros.with(names), ..self.clone() }
    }

    /// The macro without which there is no such hash, without its `MBEDTLS_`.
    #[must_use]
    pub fn hash_macro(&self, hash: HashKind) -> &'static str {
        let apart = Stack::named(self.name.stack()).is_some_and(|stack| stack.sha384_apart);
        match hash {
            HashKind::Md5 => "MD5_C",
            HashKind::Sha1 => "SHA1_C",
            HashKind::Sha256 => "SHA256_C",
            HashKind::Sha384 if apart => "SHA384_C",
            HashKind::Sha384 | HashKind::Sha512 => "SHA512_C",
        }
    }

    /// Whether it has this hash.
    #[must_use]
    pub fn has_hash(&self, hash: HashKind) -> bool {
        self.macros.has(self.hash_macro(hash))
    }

    /// Bytes of a record or of a message put together from several that fit into the buffer at all:
    /// the content and what encryption may add to it (`MBEDTLS_SSL_PAYLOAD_OVERHEAD` in
    /// `ssl_misc.h`).
    #[must_use]
    pub fn buffer(&self) -> usize {
        let cbc = self.macros.has("CIPHER_MODE_CBC");
        let mac = if self.has_hash(HashKind::Sha384) { 48 } else { 32 };
        let initialization_vector = 16;
        let padding = if cbc { 256 } else { 0 };
        let tls13 = if self.speaks(ProtocolVersion::TLS1_3) { 16 } else { 0 };
        self.content_length as usize
            + initialization_vector
            + if cbc { mac } else { 16 }
            + padding
            + tls13
    }

    /// Whether it speaks this version of TLS: its library does, and the version's macro is there.
    #[must_use]
    pub fn speaks(&self, version: ProtocolVersion) -> bool {
        let name = match version {
            ProtocolVersion::TLS1_0 => "SSL_PROTO_TLS1",
            ProtocolVersion::TLS1_1 => "SSL_PROTO_TLS1_1",
            ProtocolVersion::TLS1_2 => "SSL_PROTO_TLS1_2",
            ProtocolVersion::TLS1_3 => "SSL_PROTO_TLS1_3",
            _ => return false,
        };
        let stack = Stack::named(self.name.stack());
        let known = |stack: &Stack| (stack.versions.0..=stack.versions.1).contains(&version);
        stack.is_some_and(known) && self.macros.has(name)
    }
}

/// Ways of one version of the library that no ClientHello shows.
///
/// The files named below are those of the version's own sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stack {
    /// Its name, the part of a build's name before the slash.
    pub name: &'static str,
    /// Lowest and highest version that `mbedtls_ssl_conf_min_version` is given for it.
    pub versions: (ProtocolVersion, ProtocolVersion),
    /// Whether a handshake message may span records, RFC 5246 6.2.1. If not, the error is -0x7080
    /// (`mbedtls_ssl_prepare_handshake_record` in `ssl_tls.c`). 3.6.3 began to put such messages
    /// together (change log, and the same function in `ssl_msg.c`).
    pub reassembles: bool,
    /// Whether the Suite B certificate profile allows ECDSA signatures alone and no EC key, so that
    /// it refuses every certificate (`mbedtls_x509_crt_profile_suiteb` in `x509_crt.c`; the change
    /// log mends it in 2.8.0).
    pub suite_b_refuses_all: bool,
    /// Whether the Suite B preset lists signature algorithms, and those of ECDSA alone, and a list
    /// that comes out empty is an error (`ssl_preset_suiteb_sig_algs` and
    /// `mbedtls_ssl_write_sig_alg_ext` in `ssl_tls.c`). Up to 2.28 it lists hashes, and RSA is added.
    pub suite_b_signs_with_ecdsa: bool,
    /// Whether an empty record under CBC with encrypt-then-MAC (RFC 7366) is taken for its padding:
    /// `ssl_decrypt_buf` in `ssl_tls.c` steps one byte before such a record, takes the padding for
    /// wrong, and hands all of it to the application.
    pub misreads_empty_records: bool,
    /// Weakest hash that the default certificate profile takes (`mbedtls_x509_crt_profile_default`
    /// in `x509_crt.c`; from 2.5.0 on SHA-1 takes a macro that no set of ours has).
    pub weakest_hash: HashKind,
    /// Shortest RSA key that the default certificate profile takes, in bits.
    pub shortest_rsa: u32,
    /// Whether SHA-384 is a macro of its own, MBEDTLS_SHA384_C, and no longer a part of
    /// MBEDTLS_SHA512_C (3.0.0). A header carried over without it has lost every suite and every
    /// signature with SHA-384.
    pub sha384_apart: bool,
    /// Whether there are suites with RC4, DES and triple DES, whatever macros say (3.0.0 took them
    /// out of `ssl_ciphersuites.c`).
    pub old_ciphers: bool,
    /// Whether suites with a pre-shared key are offered only if there is such a key
    /// (`ssl_write_client_hello_cipher_suites` in `ssl_client.c`, 3.0.0).
    pub offers_psk_with_a_key: bool,
    /// Whether a ServerKeyExchange that names what was not offered, or that no key is there to check,
    /// is an illegal parameter (`ssl_parse_server_key_exchange` in `ssl_tls12_client.c`, 3.0.0).
    pub calls_it_illegal: bool,
    /// The macro that says how long a record may be that comes in, without its `MBEDTLS_` (3.0.0
    /// took away the one for both directions).
    pub record_macro: &'static str,
    /// Whether there are suites with ChaCha20-Poly1305 and ARIA (2.12.0 brought them).
    pub young_ciphers: bool,
    /// Whether a chain is followed upwards with a flag for each certificate (`x509_crt_verify_chain`
    /// in `x509_crt.c`, 2.7.0): a certificate that could not be read has every flag then, and a chain
    /// that is too long is an error of its own.
    pub walks_chains: bool,
    /// Whether a refused certificate is told with an alert (`mbedtls_ssl_parse_certificate` in
    /// `ssl_tls.c`, 2.5.0).
    pub tells_refusals: bool,
    /// Whether a record of a type that nobody knows is told with an alert
    /// (`ssl_parse_record_header`); 2.28 drops the connection and says nothing.
    pub tells_unknown_records: bool,
    /// Whether a client that verifies must have said which host it means, if only NULL
    /// (`get_hostname_for_verification` in `ssl_tls.c`, 2.28.10 and 3.6.3).
    pub asks_for_host_name: bool,
    /// Whether a record's length is compared with the buffer as soon as its header is there
    /// (`ssl_parse_record_header`); later versions find out while they fetch it
    /// (`mbedtls_ssl_fetch_input`), and call it bad input.
    pub measures_first: bool,
    /// Whether the broker's certificate is always kept; from 2.18.0 on MBEDTLS_SSL_KEEP_PEER_CERTIFICATE
    /// decides, and without it one that could not be read is an internal error when its key is to be
    /// copied (`ssl_remember_peer_pubkey` in `ssl_tls.c`).
    pub keeps_certificates: bool,
    /// Whether a record's version is only compared with the highest one (`ssl_parse_record_header`
    /// in 3.x), so that one of version 2.0 passes.
    pub takes_old_records: bool,
}

/// The stacks there are facts of: the versions that `firmware/mbedtls/stacks` pins, 2.4.0, 2.16.0,
/// 2.28.10 and 3.6.5.
const STACKS: [Stack; 4] = [
    Stack {
        name: "mbedtls-2.4.0",
        versions: (ProtocolVersion::TLS1_0, ProtocolVersion::TLS1_2),
        reassembles: false,
        suite_b_refuses_all: true,
        suite_b_signs_with_ecdsa: false,
        misreads_empty_records: true,
        weakest_hash: HashKind::Sha1,
        shortest_rsa: 2048,
        sha384_apart: false,
        old_ciphers: true,
        offers_psk_with_a_key: false,
        calls_it_illegal: false,
        record_macro: "SSL_MAX_CONTENT_LEN",
        young_ciphers: false,
        walks_chains: false,
        tells_refusals: false,
        tells_unknown_records: true,
        asks_for_host_name: false,
        measures_first: true,
        keeps_certificates: true,
        takes_old_records: false,
    },
    Stack {
        name: "mbedtls-2.16.0",
        versions: (ProtocolVersion::TLS1_0, ProtocolVersion::TLS1_2),
        reassembles: false,
        suite_b_refuses_all: false,
        suite_b_signs_with_ecdsa: false,
        misreads_empty_records: false,
        weakest_hash: HashKind::Sha256,
        shortest_rsa: 2048,
        sha384_apart: false,
        old_ciphers: true,
        offers_psk_with_a_key: false,
        calls_it_illegal: false,
        record_macro: "SSL_MAX_CONTENT_LEN",
        young_ciphers: true,
        walks_chains: true,
        tells_refusals: true,
        tells_unknown_records: true,
        asks_for_host_name: false,
        measures_first: true,
        keeps_certificates: true,
        takes_old_records: false,
    },
    Stack {
        name: "mbedtls-2.28",
        versions: (ProtocolVersion::TLS1_0, ProtocolVersion::TLS1_2),
        reassembles: false,
        suite_b_refuses_all: false,
        suite_b_signs_with_ecdsa: false,
        misreads_empty_records: false,
        weakest_hash: HashKind::Sha256,
        shortest_rsa: 2048,
        sha384_apart: false,
        old_ciphers: true,
        offers_psk_with_a_key: false,
        calls_it_illegal: false,
        record_macro: "SSL_MAX_CONTENT_LEN",
        young_ciphers: true,
        walks_chains: true,
        tells_refusals: true,
        tells_unknown_records: false,
        asks_for_host_name: true,
        measures_first: false,
        keeps_certificates: false,
        takes_old_records: false,
    },
    Stack {
        name: "mbedtls-3.6",
        versions: (ProtocolVersion::TLS1_2, ProtocolVersion::TLS1_3),
        reassembles: true,
        suite_b_refuses_all: false,
        suite_b_signs_with_ecdsa: true,
        misreads_empty_records: false,
        weakest_hash: HashKind::Sha256,
        shortest_rsa: 2048,
        sha384_apart: true,
        old_ciphers: false,
        offers_psk_with_a_key: true,
        calls_it_illegal: true,
        record_macro: "SSL_IN_CONTENT_LEN",
        young_ciphers: true,
        walks_chains: true,
        tells_refusals: true,
        tells_unknown_records: false,
        asks_for_host_name: true,
        measures_first: false,
        keeps_certificates: false,
        takes_old_records: true,
    },
];

impl Stack {
    /// The stack called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        STACKS.iter().find(|stack| stack.name == name)
    }
}

/// The macros that a configuration header defines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Macros(BTreeSet<String>);

impl Macros {
    /// Reads a header. `include` gives the text of a header that it includes, `None` for one that
    /// defines nothing of interest. Conditions are not evaluated: in a macro set they are include
    /// guards.
    pub fn parse(text: &str, include: &mut impl FnMut(&str) -> Option<String>) -> Self {
        let mut macros = Self::default();
        macros.read(text, include, 0);
        macros
    }

    fn read(&mut self, text: &str, include: &mut impl FnMut(&str) -> Option<String>, depth: u8) {
        for line in text.lines() {
            let mut words = line.trim().trim_start_matches('#').split_whitespace();
            let is_directive = line.trim_start().starts_with('#');
            match (is_directive, words.next(), words.next()) {
                (true, Some("define"), Some(name)) => drop(self.0.insert(name.to_owned())),
                (true, Some("undef"), Some(name)) => drop(self.0.remove(name)),
                (true, Some("include"), Some(file)) if depth < MAX_DEPTH => {
                    if let Some(text) = include(file.trim_matches(['"', '<', '>'])) {
                        self.read(&text, include, depth + 1);
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether `name` is defined; `MBEDTLS_` is put before it.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(&format!("MBEDTLS_{name}"))
    }

    /// The same with these defined, too; `MBEDTLS_` is put before each.
    #[must_use]
    pub fn with<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let added = names.into_iter().map(|name| format!("MBEDTLS_{name}"));
        Self(self.0.iter().cloned().chain(added).collect())
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// What a build lacks for a suite: a macro, without its `MBEDTLS_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// For its key exchange.
    KeyExchange(&'static str),
    /// For its cipher or its hash.
    Cipher(&'static str),
}

impl Lack {
    /// The macro, without its `MBEDTLS_`; none if no macro brings it.
    #[must_use]
    pub fn macro_name(self) -> Option<&'static str> {
        let (Self::KeyExchange(name) | Self::Cipher(name)) = self;
        Some(name).filter(|name| !name.contains(' '))
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::KeyExchange(name) | Self::Cipher(name)) = self;
        if name.contains(' ') { f.write_str(name) } else { write!(f, "MBEDTLS_{name}") }
    }
}

/// A header that includes itself is cut off here.
const MAX_DEPTH: u8 = 8;

/// The macro of a suite's key exchange, see `ssl_ciphersuites.c`.
fn key_exchange(suite: &TlsCipherSuite) -> Option<&'static str> {
    use {TlsCipherAu as Au, TlsCipherKx as Kx};
    Some(match (suite.kx, suite.au) {
        (Kx::Tls13, _) => "SSL_PROTO_TLS1_3",
        (Kx::Rsa, Au::Rsa) => "KEY_EXCHANGE_RSA_ENABLED",
        (Kx::Dhe, Au::Rsa) => "KEY_EXCHANGE_DHE_RSA_ENABLED",
        (Kx::Ecdhe, Au::Rsa) => "KEY_EXCHANGE_ECDHE_RSA_ENABLED",
        (Kx::Ecdhe, Au::Ecdsa) => "KEY_EXCHANGE_ECDHE_ECDSA_ENABLED",
        (Kx::Ecdh, Au::Rsa) => "KEY_EXCHANGE_ECDH_RSA_ENABLED",
        (Kx::Ecdh, Au::Ecdsa) => "KEY_EXCHANGE_ECDH_ECDSA_ENABLED",
        (Kx::Psk, Au::Psk) => "KEY_EXCHANGE_PSK_ENABLED",
        // RFC 6655 calls two of its suites PSK_DHE.
        (Kx::Dhe, Au::Psk) | (Kx::Psk, Au::Dhe) => "KEY_EXCHANGE_DHE_PSK_ENABLED",
        (Kx::Ecdhe, Au::Psk) => "KEY_EXCHANGE_ECDHE_PSK_ENABLED",
        (Kx::Rsa, Au::Psk) => "KEY_EXCHANGE_RSA_PSK_ENABLED",
        _ => return None,
    })
}

/// The macros of its cipher and of the cipher's mode.
fn cipher(suite: &TlsCipherSuite) -> [Option<&'static str>; 2] {
    let cipher = match suite.enc {
        TlsCipherEnc::Null => "CIPHER_NULL_CIPHER",
        TlsCipherEnc::Des | TlsCipherEnc::TripleDes => "DES_C",
        TlsCipherEnc::Rc4 => "ARC4_C",
        TlsCipherEnc::Aes => "AES_C",
        TlsCipherEnc::Camellia => "CAMELLIA_C",
        TlsCipherEnc::Chacha20_Poly1305 => "CHACHAPOLY_C",
        TlsCipherEnc::Aria => "ARIA_C",
        _ => "a library that knows its cipher",
    };
    let mode = match suite.enc_mode {
        TlsCipherEncMode::Null => None,
        TlsCipherEncMode::Cbc => Some("CIPHER_MODE_CBC"),
        TlsCipherEncMode::Ccm => Some("CCM_C"),
        TlsCipherEncMode::Gcm => Some("GCM_C"),
    };
    [Some(cipher), mode]
}

/// The hash of its MAC, or of its key derivation where the cipher is its own MAC: the name's last
/// word, and SHA-256 for the suites of CCM, which name none (RFC 6655 3).
fn suite_hash(suite: &TlsCipherSuite) -> HashKind {
    match suite.mac {
        TlsCipherMac::HmacMd5 => HashKind::Md5,
        TlsCipherMac::HmacSha1 => HashKind::Sha1,
        TlsCipherMac::HmacSha384 => HashKind::Sha384,
        TlsCipherMac::HmacSha512 => HashKind::Sha512,
        TlsCipherMac::Aead if suite.name.ends_with("SHA384") => HashKind::Sha384,
        TlsCipherMac::HmacSha256 | TlsCipherMac::Null | TlsCipherMac::Aead => HashKind::Sha256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(name: &str, text: &str) -> Build {
        let macros = Macros::parse(text, &mut |_| None);
        Build { name: name.parse().unwrap(), content_length: 16384, macros }
    }

    #[test]
    fn a_header_carried_over_to_3_loses_sha_384_and_the_old_ciphers() {
        let text = "#define MBEDTLS_KEY_EXCHANGE_RSA_ENABLED\n#define MBEDTLS_AES_C\n\
                    #define MBEDTLS_GCM_C\n#define MBEDTLS_SHA512_C\n#define MBEDTLS_DES_C\n\
                    #define MBEDTLS_CIPHER_MODE_CBC\n#define MBEDTLS_SHA1_C\n";
        let lacks = |name, suite| build(name, text).lacks_for(CipherSuite(suite));
        let (old, new) = ("mbedtls-2.28/x", "mbedtls-3.6/x");
        assert_eq!(lacks(old, 0x009d), None);
        assert_eq!(lacks(new, 0x009d), Some(Lack::Cipher("SHA384_C")));
        assert_eq!(lacks(old, 0x000a), None);
        assert!(matches!(lacks(new, 0x000a), Some(Lack::Cipher(why)) if why.contains(' ')));
        let kept = build(new, &format!("{text}#define MBEDTLS_SHA384_C\n"));
        assert_eq!(kept.lacks_for(CipherSuite(0x009d)), None);
        assert!(!build(new, text).has_hash(HashKind::Sha384) && kept.has_hash(HashKind::Sha384));
    }

    #[test]
    fn a_version_needs_its_macro_and_a_library_that_still_has_it() {
        let text = "#define MBEDTLS_SSL_PROTO_TLS1\n#define MBEDTLS_SSL_PROTO_TLS1_2\n";
        let speaks = |name, version| build(name, text).speaks(version);
        assert!(speaks("mbedtls-2.28/x", ProtocolVersion::TLS1_0));
        assert!(!speaks("mbedtls-2.28/x", ProtocolVersion::TLS1_1));
        assert!(!speaks("mbedtls-3.6/x", ProtocolVersion::TLS1_0));
        assert!(!speaks("mbedtls-3.6/x", ProtocolVersion::TLS1_3));
    }

    #[test]
    fn includes_are_followed_and_undef_takes_back() {
        let text = "#ifndef A\n#define A\n #include \"b.h\"\n# define MBEDTLS_AES_C // why not\n\
                    #undef MBEDTLS_DES_C\n/* #define MBEDTLS_GCM_C */\n#endif";
        let macros = Macros::parse(text, &mut |file| {
            (file == "b.h").then(|| "#define MBEDTLS_DES_C\n#define MBEDTLS_CCM_C 1".to_owned())
        });
        let has = ["AES_C", "CCM_C", "DES_C", "GCM_C"].map(|name| macros.has(name));
        assert_eq!(has, [true, true, false, false]);
    }

    #[test]
    fn a_header_that_includes_itself_ends() {
        let text = "#include \"a.h\"\n#define MBEDTLS_AES_C";
        assert!(Macros::parse(text, &mut |_| Some(text.to_owned())).has("AES_C"));
    }

    #[test]
    fn the_first_macro_that_is_missing_is_named() {
        let text = "#define MBEDTLS_KEY_EXCHANGE_RSA_ENABLED\n#define MBEDTLS_AES_C\n\
                    #define MBEDTLS_CIPHER_MODE_CBC\n#define MBEDTLS_SHA256_C\n";
        let lacks = |suite| build("mbedtls-2.4.0/x", text).lacks_for(CipherSuite(suite));
        assert_eq!(lacks(0x003d), None);
        assert_eq!(lacks(0x0035), Some(Lack::Cipher("SHA1_C")));
        assert_eq!(lacks(0x009c), Some(Lack::Cipher("GCM_C")));
        let ecdhe = Lack::KeyExchange("KEY_EXCHANGE_ECDHE_RSA_ENABLED");
        assert_eq!(lacks(0xc027), Some(ecdhe));
        assert!(lacks(0xfffe).is_some());
    }
}
