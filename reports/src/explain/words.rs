//! Words of lines that the library has no hand in, and what each of them means. All are looked for in
//! one pass over a line, since a log may be long and mostly of something else.

use crate::diagnosis::LIBRARYS_WORDS;
use aho_corasick::AhoCorasick;
use std::sync::LazyLock;

/// What one of the words means.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    /// The line is about TLS, if a word begins there.
    OfTls,
    /// The line is about MQTT, or about another protocol over TLS.
    OfMqtt,
    OfAnother,
    /// Bits of the verify flags are set; the second says that it is of a revocation list.
    Flags(u32, bool),
    /// The line is of a revocation list.
    List,
    /// An error of the library's, without the minus sign, in its own words.
    Error(i32),
    /// The connection ended before TLS, for this reason.
    Network(&'static str),
    /// The connection got further than that after all.
    Further,
    /// The application's own time for a connection was over.
    Late,
    /// The application gave the connection up.
    GaveUp,
    /// The handshake is over.
    Over,
    /// The handshake failed, and nothing is said of how.
    Failed,
    /// The lines are a server's.
    Server,
    /// The lines are of DTLS.
    Datagrams,
    /// The line is another library's.
    Stranger(&'static str),
    /// How to get more out of this SDK.
    Hint(&'static str),
}
use Meaning::{
    Datagrams, Error, Failed, Flags, Further, GaveUp, Hint, Late, List, Network, OfAnother, OfMqtt,
    OfTls, Over, Server, Stranger,
};

pub(super) const NO_SOCKET: &str = "the client could not open a socket";
pub(super) const NO_CONNECTION: &str = "the TCP connection could not be opened";
pub(super) const NO_NAME: &str = "the broker's host name could not be resolved";

/// What most brokers run on.
pub(super) const OPENSSL: &str = "OpenSSL";

const ARDUINO: &str = "in Arduino for ESP32 the library is built without its debug output: set Core Debug Level to Verbose, and print what lastError of WiFiClientSecure gives";
const ESP_IDF: &str = "in ESP-IDF: CONFIG_MBEDTLS_DEBUG=y, CONFIG_MBEDTLS_DEBUG_LEVEL_VERBOSE=y and esp_log_level_set(\"mbedtls\", ESP_LOG_VERBOSE)";
const ZEPHYR: &str = "in Zephyr: CONFIG_MBEDTLS_DEBUG=y and CONFIG_MBEDTLS_LOG_LEVEL_DBG=y";

/// The words; small and capital letters are the same.
///
/// Sources: `mbedtls_strerror` for the errors that people paste most; esp_tls_errors.h of ESP-IDF for
/// names and numbers, of which 0x8001 to 0x8005 are the same in all its versions; the clients of
/// ESP-IDF, Arduino and NodeMCU, curl and libwebsockets, and the library's example programs for the rest of their lines; the
/// Kconfig options of ESP-IDF and Zephyr, and `lastError` of `WiFiClientSecure`, for the hints.
const WORDS: &[(&str, Meaning)] = &[
    ("tls", OfTls),
    ("ssl", OfTls),
    ("handshake", OfTls),
    ("x509", OfTls),
    ("crt_parse", OfTls),
    ("ctr_drbg", OfTls),
    ("net_connect", OfTls),
    ("crt-bundle", OfTls),
    ("mqtt", OfMqtt),
    ("http/1.", OfAnother),
    ("https://", OfAnother),
    ("http_status", OfAnother),
    ("user-agent", OfAnother),
    ("curl:", OfAnother),
    ("coap", OfAnother),
    ("webrtc", OfAnother),
    // Verify flags by name, and in the words of ESP-IDF's bundle of CAs.
    ("BADCERT_EXPIRED", Flags(0x0001, false)),
    ("BADCERT_REVOKED", Flags(0x0002, false)),
    ("BADCERT_CN_MISMATCH", Flags(0x0004, false)),
    ("BADCERT_NOT_TRUSTED", Flags(0x0008, false)),
    ("BADCERT_FUTURE", Flags(0x0200, false)),
    ("BADCERT_BAD_MD", Flags(0x4000, false)),
    ("BADCERT_BAD_PK", Flags(0x8000, false)),
    ("BADCERT_BAD_KEY", Flags(0x1_0000, false)),
    ("No matching trusted root certificate found", Flags(0x0008, false)),
    ("The CRL is", List),
    // The library's errors as text, for programs that print no number.
    ("X509 - Certificate verification failed", Error(0x2700)),
    ("X509 - A fatal error occurred", Error(0x3000)),
    ("X509 - The CRT/CRL/CSR format is invalid", Error(0x2180)),
    ("X509 - Read/write of file failed", Error(0x2900)),
    ("SSL - No client certification received", Error(0x7480)),
    // curl and libwebsockets, which give up with it; the second so with mbedTLS alone.
    ("Cert verify failed: BADCERT", Error(0x2700)),
    ("X509_V_ERR = 24: CA is not trusted", Error(0x2700)),
    ("X509_V_ERR = 24: CA is not trusted", Flags(0x0008, false)),
    ("X509_V_ERR = 62: Hostname mismatch", Error(0x2700)),
    ("X509_V_ERR = 62: Hostname mismatch", Flags(0x0004, false)),
    ("X509 - Allocation of memory failed", Error(0x2880)),
    ("SSL - A fatal alert message", Error(0x7780)),
    ("SSL - Memory allocation failed", Error(0x7f00)),
    ("SSL - The connection indicated an EOF", Error(0x7280)),
    ("SSL - The peer notified us", Error(0x7880)),
    ("SSL - The operation timed out", Error(0x6800)),
    ("SSL - An invalid SSL record", Error(0x7200)),
    ("SSL - An unexpected message", Error(0x7700)),
    ("SSL - Verification of the message MAC failed", Error(0x7180)),
    ("SSL - A field in a message was incorrect", Error(0x6600)),
    ("SSL - None of the common ciphersuites", Error(0x6980)),
    ("SSL - Internal error", Error(0x6c00)),
    ("SSL - Attempt to verify a certificate without", Error(0x5d80)),
    ("SSL - The requested feature is not available", Error(0x7080)),
    ("SSL - Bad input parameters", Error(0x7100)),
    ("SSL - Handshake protocol not within", Error(0x6e80)),
    ("BIGNUM - Memory allocation failed", Error(0x0010)),
    ("PK - Memory allocation failed", Error(0x3f80)),
    ("NET - Connection was reset", Error(0x0050)),
    ("NET - Failed to get an IP address", Error(0x0052)),
    ("NET - The connection to the given server", Error(0x0044)),
    ("NET - Reading information from the socket", Error(0x004c)),
    ("NET - Sending information through the socket", Error(0x004e)),
    // Before TLS.
    ("couldn't get hostname", Network(NO_NAME)),
    ("ESP_TLS_CANNOT_RESOLVE_HOSTNAME", Network(NO_NAME)),
    ("esp-tls: 0x8001", Network(NO_NAME)),
    ("couldn't resolve IP address", Network(NO_NAME)),
    ("DNS failed for", Network(NO_NAME)),
    ("DNS lookup failed", Network(NO_NAME)),
    ("getaddrinfo() returns", Network(NO_NAME)),
    ("ESP_TLS_CANNOT_CREATE_SOCKET", Network(NO_SOCKET)),
    ("esp-tls: 0x8002", Network(NO_SOCKET)),
    ("failed to create socket", Network(NO_SOCKET)),
    ("esp-tls: 0x8003", Network(NO_CONNECTION)),
    ("ESP_TLS_FAILED_CONNECT_TO_HOST", Network(NO_CONNECTION)),
    ("esp-tls: 0x8004", Network(NO_CONNECTION)),
    ("delayed connect error", Network(NO_CONNECTION)),
    ("Connect to Server failed!", Network(NO_CONNECTION)),
    ("failed to connect to host", Network(NO_CONNECTION)),
    ("host is unreachable", Network(NO_CONNECTION)),
    ("no route to host", Network(NO_CONNECTION)),
    ("handshake", Further),
    ("TLS session", Further),
    ("lookup succeeded", Further),
    ("connected to", Further),
    // The end of a connection.
    ("ESP_TLS_CONNECTION_TIMEOUT", Late),
    ("in specified timeout", Late),
    ("select() timeout", Late),
    ("failed to open new connection", GaveUp),
    ("failed to open a new connection", GaveUp),
    ("cleaning SSL connection", GaveUp),
    ("handshake failed", Failed),
    ("mbedtls_ssl_handshake error", Failed),
    ("Ciphersuite is TLS", Over),
    ("client handshake ok", Over),
    // A server, and DTLS, whose versions count down from 254 and which has a message of its own.
    ("server state: ", Server),
    ("=> parse client hello", Server),
    ("got no ciphersuites in common", Server),
    ("ciphersuites in common, but none", Server),
    ("=> write server hello", Server),
    ("esp_tls_create_server_session", Server),
    ("esp_tls_server_session", Server),
    ("Waiting for a remote connection", Server),
    ("waiting for accept", Server),
    ("TLS accept processing", Server),
    ("ssl_accept", Server),
    ("Incoming SSL connection from", Server),
    ("ssl_server1", Server),
    ("ssl_server2", Server),
    ("No client certification received", Server),
    ("[254:", Datagrams),
    ("hello verify request", Datagrams),
    // Other libraries.
    ("SSL routines", Stranger(OPENSSL)),
    ("OpenSSL: error", Stranger(OPENSSL)),
    ("BIO read", Stranger(OPENSSL)),
    ("[SSL: ", Stranger(OPENSSL)),
    ("SSL_ERROR_SYSCALL", Stranger(OPENSSL)),
    ("wolfSSL", Stranger("wolfSSL")),
    ("PreVerify 0", Stranger("wolfSSL")),
    ("BSSL:", Stranger("BearSSL")),
    ("BearSSL", Stranger("BearSSL")),
    // Tasmota's only one.
    ("MQT: TLS connection error", Stranger("BearSSL")),
    ("axTLS", Stranger("axTLS")),
    ("Error: SSL error ", Stranger("axTLS")),
    ("Client Hello (1)", Stranger("axTLS")),
    ("GnuTLS", Stranger("GnuTLS")),
    ("schannel", Stranger("the TLS of Windows (Schannel)")),
    ("SEC_E_", Stranger("the TLS of Windows (Schannel)")),
    ("javax.net.ssl", Stranger("the TLS of Java")),
    ("SSLHandshakeException", Stranger("the TLS of Java")),
    ("eclipse.californium", Stranger("the DTLS of Java (Californium)")),
    ("x509: certificate ", Stranger("the TLS of Go")),
    ("remote error: tls: ", Stranger("the TLS of Go")),
    ("tls: failed to verify", Stranger("the TLS of Go")),
    ("rustls", Stranger("rustls")),
    // SDKs.
    ("ssl_client.cpp", Hint(ARDUINO)),
    ("WiFiClientSecure", Hint(ARDUINO)),
    ("esp-tls", Hint(ESP_IDF)),
    ("esp_tls", Hint(ESP_IDF)),
    ("net_sock_tls", Hint(ZEPHYR)),
    ("Booting Zephyr", Hint(ZEPHYR)),
    ("zephyr_debug", Hint(ZEPHYR)),
];

/// Finds the words.
struct Finder {
    /// What each of them means.
    meanings: Vec<Meaning>,
    /// Without it nothing is found.
    machine: Option<AhoCorasick>,
}

static FINDER: LazyLock<Finder> = LazyLock::new(|| {
    let all: Vec<_> = all_words().collect();
    let words = all.iter().map(|(word, _)| *word);
    Finder {
        meanings: all.iter().map(|(_, meaning)| *meaning).collect(),
        machine: AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok(),
    }
});

/// [`WORDS`], and those by which the library explains verify flags.
fn all_words() -> impl Iterator<Item = (&'static str, Meaning)> {
    let librarys =
        LIBRARYS_WORDS.iter().map(|(words, bit)| (*words, Flags(*bit, words.starts_with("CRL"))));
    WORDS.iter().copied().chain(librarys)
}

/// What the words of one line mean together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// It is about TLS.
    pub of_tls: bool,
    /// It is about MQTT, or about another protocol over TLS.
    pub of_mqtt: bool,
    pub of_another: bool,
    /// Verify flags in words, each on its own.
    pub flags: Vec<u32>,
    /// An error in the library's words, as a negative number.
    pub error: Option<i32>,
    /// Why TLS did not begin.
    pub network: Option<&'static str>,
    /// It did begin.
    pub further: bool,
    /// The application's time was over.
    pub late: bool,
    /// The application gave up.
    pub gave_up: bool,
    /// The handshake is over.
    pub over: bool,
    /// The handshake failed.
    pub failed: bool,
    /// A server says it.
    pub server: bool,
    /// DTLS is spoken.
    pub datagrams: bool,
    /// Another library says it.
    pub stranger: Option<&'static str>,
    /// How to make the SDK say more.
    pub hint: Option<&'static str>,
}

impl Said {
    /// Reads a line.
    pub fn of(text: &str) -> Self {
        let mut said = Self::default();
        let mut of_a_list = Vec::new();
        let mut list = false;
        let found = FINDER.machine.iter().flat_map(|machine| machine.find_overlapping_iter(text));
        for hit in found {
            let Some(meaning) = FINDER.meanings.get(hit.pattern().as_usize()) else { continue };
            match *meaning {
                OfTls => said.of_tls |= begins_word(text, hit.start()),
                OfMqtt => said.of_mqtt = true,
                OfAnother => said.of_another = true,
                Flags(bit, true) => of_a_list.push(bit),
                Flags(bit, false) => said.flags.push(bit),
                List => list = true,
                Error(number) => said.error = said.error.or(Some(-number)),
                Network(why) => said.network = said.network.or(Some(why)),
                Further => said.further = true,
                Late => said.late = true,
                GaveUp => said.gave_up = true,
                Over => said.over = true,
                Failed => said.failed = true,
                Server => said.server = true,
                Datagrams => said.datagrams = true,
                Stranger(whose) => said.stranger = said.stranger.or(Some(whose)),
                Hint(hint) => said.hint = said.hint.or(Some(hint)),
            }
        }
        // A list of revoked certificates has the same faults, which are not the certificate's.
        if list {
            said.flags = of_a_list;
        }
        said
    }
}

/// Whether a word begins at a place in a text; the `tls` of `mbedtls`, `dtls` and the `ssl` of
/// `polarssl` count as words.
pub(super) fn begins_word(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let letters = before.bytes().rev().take_while(u8::is_ascii_alphabetic).count();
    let prefix = before.get(before.len() - letters..).unwrap_or_default();
    ["", "mbed", "d", "polar"].iter().any(|known| prefix.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_can_be_found() {
        for (word, meaning) in all_words() {
            let text = match meaning {
                // It means something beside another word alone.
                List => continue,
                Flags(_, true) => format!("! The {word}"),
                _ => format!("12:00 {} x", word.to_uppercase()),
            };
            assert_ne!(Said::of(&text), Said::default(), "{word}: {meaning:?}");
        }
    }

    #[test]
    fn words_within_words_do_not_count() {
        for (text, of_tls) in [
            ("mbedtls", true),
            ("DTLS", true),
            ("esp-tls: x", true),
            ("net_sock_tls", true),
            ("bottles", false),
            ("settles", false),
            ("vessl", false),
        ] {
            assert_eq!(Said::of(text).of_tls, of_tls, "{text}");
        }
    }

    #[test]
    fn the_faults_of_a_revocation_list_are_its_own() {
        let flags = |text| Said::of(text).flags;
        assert_eq!(flags("! The CRL is not correctly signed by the trusted CA"), [0x10]);
        assert_eq!(flags("! The CRL is signed with an unacceptable hash."), [0; 0]);
        assert_eq!(flags("! The certificate is not correctly signed by the trusted CA"), [0x8]);
    }
}
