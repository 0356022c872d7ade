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
    /// (`mbedtls_ssl_prepare_handshake_record` in `ssl_tls.c`).
    pub reassembles: bool,
    /// Whether the Suite B certificate profile allows ECDSA signatures alone and no EC key, so that
    /// it refuses every certificate (`mbedtls_x509_crt_profile_suiteb` in `x509_crt.c`; the change
    /// log mends it in 2.8.0).
    pub suite_b_refuses_all: bool,
    /// Whether an empty record under CBC with encrypt-then-MAC (RFC 7366) is taken for its padding:
    /// `ssl_decrypt_buf` in `ssl_tls.c` steps one byte before such a record, takes the padding for
    /// wrong, and hands all of it to the application.
    pub misreads_empty_records: bool,
    /// Weakest hash that the default certificate profile takes (`mbedtls_x509_crt_profile_default`
    /// in `x509_crt.c`).
    pub weakest_hash: HashKind,
    /// Shortest RSA key that the default certificate profile takes, in bits.
    pub shortest_rsa: u32,
}

/// The stacks there are facts of.
const STACKS: [Stack; 1] = [Stack {
    name: "mbedtls-2.4.0",
    versions: (ProtocolVersion::TLS1_0, ProtocolVersion::TLS1_2),
    reassembles: false,
    suite_b_refuses_all: true,
    misreads_empty_records: true,
    weakest_hash: HashKind::Sha1,
    shortest_rsa: 2048,
}];

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

    /// Of the macros that `suite` needs, the first that is not defined; words instead of a macro
    /// for a suite that no mbedTLS has.
    #[must_use]
    pub fn lacks_for(&self, suite: CipherSuite) -> Option<Lack> {
        let Some(known) = TlsCipherSuite::from_id(suite.0) else {
            return Some(Lack::Cipher("a library that knows it"));
        };
        let missing = |name: &&'static str| !self.has(name);
        let key_exchange = match key_exchange(known) {
            Some(name) => Some(name).filter(missing).map(Lack::KeyExchange),
            None => Some(Lack::KeyExchange("a library that knows its key exchange")),
        };
        key_exchange.or_else(|| cipher(known).into_iter().flatten().find(missing).map(Lack::Cipher))
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
        (Kx::Dhe, Au::Psk) => "KEY_EXCHANGE_DHE_PSK_ENABLED",
        (Kx::Ecdhe, Au::Psk) => "KEY_EXCHANGE_ECDHE_PSK_ENABLED",
        (Kx::Rsa, Au::Psk) => "KEY_EXCHANGE_RSA_PSK_ENABLED",
        _ => return None,
    })
}

/// The macros of its cipher, of the cipher's mode and of its hash.
fn cipher(suite: &TlsCipherSuite) -> [Option<&'static str>; 3] {
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
    let hash = match suite.mac {
        TlsCipherMac::HmacMd5 => Some("MD5_C"),
        TlsCipherMac::HmacSha1 => Some("SHA1_C"),
        TlsCipherMac::HmacSha256 => Some("SHA256_C"),
        TlsCipherMac::HmacSha384 | TlsCipherMac::HmacSha512 => Some("SHA512_C"),
        TlsCipherMac::Null | TlsCipherMac::Aead => None,
    };
    [Some(cipher), mode, hash]
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let macros = Macros::parse(text, &mut |_| None);
        let lacks = |suite| macros.lacks_for(CipherSuite(suite));
        assert_eq!(lacks(0x003d), None);
        assert_eq!(lacks(0x0035), Some(Lack::Cipher("SHA1_C")));
        assert_eq!(lacks(0x009c), Some(Lack::Cipher("GCM_C")));
        let ecdhe = Lack::KeyExchange("KEY_EXCHANGE_ECDHE_RSA_ENABLED");
        assert_eq!(lacks(0xc027), Some(ecdhe));
        assert!(lacks(0xfffe).is_some());
    }
}
