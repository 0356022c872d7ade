//! Lines that the library has no hand in: what an application, or the SDK around it, says of a
//! connection in its own words.

use super::attempt::{Attempt, Spot, numbers};
use super::numbers::{error_in, is_of_tls};
use crate::diagnosis::LIBRARYS_WORDS;

/// The rig's own DUT begins its word on MQTT so (`cell.rs` of the device program).
const MQTT_FAILED: &str = "MQTT failed: ";

/// Verify flags by name, as some print them, and in the words of ESP-IDF's certificate bundle.
const FLAG_NAMES: [(&str, u32); 9] = [
    ("BADCERT_EXPIRED", 0x0001),
    ("BADCERT_REVOKED", 0x0002),
    ("BADCERT_CN_MISMATCH", 0x0004),
    ("BADCERT_NOT_TRUSTED", 0x0008),
    ("BADCERT_FUTURE", 0x0200),
    ("BADCERT_BAD_MD", 0x4000),
    ("BADCERT_BAD_PK", 0x8000),
    ("BADCERT_BAD_KEY", 0x1_0000),
    ("No matching trusted root certificate found", 0x0008),
];

/// `MBEDTLS_ERR_X509_FATAL_ERROR`: what the library makes of an error in an application's callback,
/// which says more.
const CALLBACK_FAILED: i32 = -0x3000;

/// What SDKs say of a connection that ended before TLS began, in small letters.
/// Source: esp_tls_errors.h of ESP-IDF for names and numbers, which are the same in all its versions
/// from 0x8001 to 0x8005; the clients of ESP-IDF and Arduino for the texts.
const NETWORK: [(&str, &str); 18] = [
    ("couldn't get hostname", NO_NAME),
    ("esp_tls_cannot_resolve_hostname", NO_NAME),
    ("esp-tls: 0x8001", NO_NAME),
    ("couldn't resolve ip address", NO_NAME),
    ("dns failed for", NO_NAME),
    ("dns lookup failed", NO_NAME),
    ("getaddrinfo() returns", NO_NAME),
    ("esp_tls_cannot_create_socket", NO_SOCKET),
    ("esp-tls: 0x8002", NO_SOCKET),
    ("failed to create socket", NO_SOCKET),
    ("esp-tls: 0x8003", NO_CONNECTION),
    ("esp_tls_failed_connect_to_host", NO_CONNECTION),
    ("esp-tls: 0x8004", NO_CONNECTION),
    ("delayed connect error", NO_CONNECTION),
    ("connect to server failed!", NO_CONNECTION),
    ("failed to connect to host", NO_CONNECTION),
    ("host is unreachable", NO_CONNECTION),
    ("no route to host", NO_CONNECTION),
];
pub(super) const NO_SOCKET: &str = "the client could not open a socket";
pub(super) const NO_CONNECTION: &str = "the TCP connection could not be opened";
pub(super) const NO_NAME: &str = "the broker's host name could not be resolved";

/// What stands in lines of a connection that got further after all.
const FURTHER: [&str; 4] = ["handshake", "tls session", "lookup succeeded", "connected to"];

/// What SDKs say when their own time for a connection, TCP and TLS together, is over.
const LATE: [&str; 3] = ["esp_tls_connection_timeout", "in specified timeout", "select() timeout"];

/// How applications say that they begin a connection, in small letters.
const BEGINS: [&str; 7] = [
    "connecting to",
    "reconnecting",
    "seeding the random number",
    "starting socket",
    "starting the tls handshake",
    "establishing a tls session",
    "client handshake start",
];
/// How they say that they give one up.
const GIVES_UP: [&str; 3] =
    ["failed to open new connection", "failed to open a new connection", "cleaning ssl connection"];

/// Words of a server's lines: the library's own, and those of the servers in its examples and SDKs.
const SERVERS: [&str; 9] = [
    "server state: ",
    "=> parse client hello",
    "got no ciphersuites in common",
    "ciphersuites in common, but none",
    "=> write server hello",
    "esp_tls_create_server_session",
    "esp_tls_server_session",
    "Waiting for a remote connection",
    "waiting for accept",
];

/// Whether a line is a server's.
pub(super) fn is_servers(text: &str) -> bool {
    SERVERS.iter().any(|words| text.contains(words))
}

/// Whether a line is of DTLS: its versions count down from 254, and it has a message of its own.
pub(super) fn is_of_datagrams(text: &str) -> bool {
    ["[254:", "hello verify request"].into_iter().any(|words| text.contains(words))
}

impl Attempt {
    /// Whether an application's line begins another connection after one whose end it told.
    pub(super) fn is_told_over(&self, text: &str) -> bool {
        if self.told.is_none() && self.network.is_none() && self.late.is_none() {
            return false;
        }
        let lower = text.to_ascii_lowercase();
        // What somebody says of the last error is of the last connection.
        if lower.contains("last ") {
            return false;
        }
        let fails = ["error", "fail"].into_iter().any(|words| lower.contains(words));
        (self.gave_up && lower.contains("mbedtls_ssl_") && error_in(text, self.spoken).is_some())
            || (!fails && BEGINS.iter().any(|words| lower.contains(words)))
    }

    /// Takes a line that the library has no hand in.
    pub(super) fn take_told(&mut self, line: usize, text: &str) {
        let at = || Spot { value: (), line, quote: text.to_owned() };
        for (words, bit) in LIBRARYS_WORDS.into_iter().chain(FLAG_NAMES) {
            let of_a_list = text.contains("The CRL");
            if text.contains(words) && (!of_a_list || words.starts_with("CRL")) {
                self.words.push(Spot { value: bit, line, quote: text.to_owned() });
            }
        }
        if let Some(flags) = flags_in(text) {
            self.flags = Some(Spot { value: flags, line, quote: text.to_owned() });
        }
        if let Some(code) = connack_in(text) {
            self.connack = Some(Spot { value: code, line, quote: text.to_owned() });
        }
        if let Some(told) = text.strip_prefix(MQTT_FAILED) {
            let value = match told {
                "the connection was closed where a packet was due" => "closed",
                "not the packet that was due" => "protocol",
                "the message came back changed" => "payload",
                _ => return,
            };
            self.mqtt = Some(Spot { value, line, quote: text.to_owned() });
        }
        // The library's example clients, Arduino's and NodeMCU's say so once the handshake is over.
        if ["Ciphersuite is TLS", "client handshake ok"].iter().any(|words| text.contains(words)) {
            self.over.get_or_insert_with(at);
        }
        let lower = text.to_ascii_lowercase();
        self.spoken |= is_of_tls(&lower);
        if let Some(error) = error_in(text, self.spoken) {
            let told = self.told.as_ref().map(|spot| spot.value);
            let said_more = error == CALLBACK_FAILED && told.is_some();
            if !said_more && told != Some(error) {
                self.told = Some(Spot { value: error, line, quote: text.to_owned() });
            }
        }
        self.gave_up |= GIVES_UP.iter().any(|words| lower.contains(words));
        if LATE.iter().any(|words| lower.contains(words)) {
            self.late.get_or_insert_with(at);
        }
        // Only what stands before TLS may say that TLS never began.
        if FURTHER.iter().any(|words| lower.contains(words)) {
            self.network = None;
        }
        let before_tls = self.state.is_none() && self.over.is_none();
        if let Some((_, what)) = NETWORK.iter().find(|(words, _)| lower.contains(words))
            && before_tls
        {
            self.network.get_or_insert_with(|| Spot { value: what, line, quote: text.to_owned() });
        }
    }
}

/// Verify flags as an application prints them: `flags 0x8`, `verify result: 0x00000008`.
fn flags_in(text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    let at = [
        "verify flags",
        "verification flags",
        "flags:",
        "flags =",
        "flags=",
        "flags 0x",
        "verify result",
        "verify_result",
    ]
    .into_iter()
    .find_map(|word| lower.find(word))?;
    let spoken_of =
        ["cert", "verif", "x509", "tls", "ssl"].into_iter().any(|word| lower.contains(word));
    let rest = lower.get(at..)?;
    let flags = match rest.find("0x").and_then(|at| rest.get(at + 2..)) {
        Some(hex) => {
            let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
            u32::from_str_radix(hex.get(..end)?, 16).ok()?
        }
        // In decimal only as all that follows.
        None => {
            let digits = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
            digits.trim_end().parse().ok()?
        }
    };
    // The library has bits up to 0x40000; -1 is its word for "nothing was checked".
    (spoken_of && flags != 0 && flags < 0x8_0000).then_some(flags)
}

/// A CONNACK's return code as clients print it.
fn connack_in(text: &str) -> Option<u8> {
    let lower = text.to_ascii_lowercase();
    let at = lower.find("connack")?;
    let rest = lower.get(at..)?;
    let at = ["return code", "rc", "code"]
        .into_iter()
        .find_map(|word| Some(rest.find(word)? + word.len()))?;
    let code = numbers(rest.get(at..)?).next()?;
    u8::try_from(code).ok().filter(|code| *code <= 5)
}
