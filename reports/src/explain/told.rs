//! Lines that the library has no hand in: what an application, or the SDK around it, says of a
//! connection in its own words.

use super::attempt::{Attempt, Spot};
use super::numbers::error_in;
use super::pieces::numbers;
use super::words::Said;

/// `MBEDTLS_ERR_X509_FATAL_ERROR`: what the library makes of an error in an application's callback,
/// which says more.
const CALLBACK_FAILED: i32 = -0x3000;

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

impl Attempt {
    /// Whether an application's line begins another connection after one whose end it told.
    pub(super) fn is_told_over(&self, text: &str) -> bool {
        let ended = self.told.is_some()
            || self.network.is_some()
            || self.late.is_some()
            || self.failed.is_some();
        // A handshake that went through is a connection's only if another handshake begins.
        let talked = self.over.is_some() && text.contains("handshake start");
        if !ended && !talked {
            return false;
        }
        let lower = text.to_ascii_lowercase();
        // What somebody says of the last error is of the last connection.
        if lower.contains("last ") {
            return false;
        }
        let fails = ["error", "fail"].into_iter().any(|words| lower.contains(words));
        (self.gave_up
            && lower.contains("mbedtls_ssl_")
            && error_in(text, &Said::of(text), self.spoken).is_some())
            || (!fails && BEGINS.iter().any(|words| lower.contains(words)))
    }

    /// Takes a line that the library has no hand in.
    pub(super) fn take_told(&mut self, line: usize, text: &str, said: &Said) {
        fn at<T>(value: T, line: usize, text: &str) -> Spot<T> {
            Spot { value, line, quote: text.to_owned() }
        }
        self.take_our_own(line, text);
        self.words.extend(said.flags.iter().map(|bit| at(*bit, line, text)));
        if let Some(flags) = flags_in(text) {
            self.flags = Some(at(flags, line, text));
        }
        if let Some(code) = connack_in(text) {
            self.connack = Some(at(code, line, text));
        }
        if said.over {
            self.over.get_or_insert_with(|| at((), line, text));
        }
        self.spoken |= said.of_tls;
        if let Some(error) = error_in(text, said, self.spoken) {
            let told = self.told.as_ref().map(|spot| spot.value);
            let said_more = error == CALLBACK_FAILED && told.is_some();
            if !said_more && told != Some(error) {
                self.told = Some(at(error, line, text));
            }
        }
        self.gave_up |= said.gave_up;
        if said.failed {
            self.failed.get_or_insert_with(|| at((), line, text));
        }
        if said.late {
            self.late.get_or_insert_with(|| at((), line, text));
        }
        // Only what stands before TLS may say that TLS never began.
        if said.further {
            self.network = None;
        }
        let before_tls = self.state.is_none() && self.over.is_none();
        if let Some(why) = said.network.filter(|_| before_tls) {
            self.network.get_or_insert_with(|| at(why, line, text));
        }
    }
}

/// The rig's own DUT begins its word on MQTT so (`cell.rs` of the device program).
const MQTT_FAILED: &str = "MQTT failed: ";

impl Attempt {
    /// Takes the last word of the rig's own DUT.
    fn take_our_own(&mut self, line: usize, text: &str) {
        let value = match text.strip_prefix(MQTT_FAILED) {
            Some("the connection was closed where a packet was due") => "closed",
            Some("not the packet that was due") => "protocol",
            Some("the message came back changed") => "payload",
            _ => return,
        };
        self.mqtt = Some(Spot { value, line, quote: text.to_owned() });
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
        // In decimal only right after the word: `cert_verify_flags=8;error_type=1`.
        None => {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '_');
            let rest = rest.trim_start_matches([' ', '=', ':']);
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest.get(..end)?.parse().ok()?
        }
    };
    // The library has bits up to 0x40000; -1 is its word for "nothing was checked".
    (spoken_of && flags != 0 && flags < 0x8_0000).then_some(flags)
}

/// Return codes in words, MQTT 3.1.1 3.2.2.3, in small letters.
const REFUSALS: [(&str, u8); 8] = [
    ("not authorized", 5),
    ("not authorised", 5),
    ("bad username", 4),
    ("bad user name", 4),
    ("unavailable", 3),
    ("id rejected", 2),
    ("identifier rejected", 2),
    ("protocol", 1),
];

/// A CONNACK's return code as clients print it.
fn connack_in(text: &str) -> Option<u8> {
    let lower = text.to_ascii_lowercase();
    // `[MQTT WARN] Connection refuse, reason code: 5`; a connection of TCP is refused as well.
    if let Some(at) = lower.find("connection refuse").filter(|_| lower.contains("mqtt")) {
        let rest = lower.get(at..)?;
        let told = REFUSALS.iter().find(|(words, _)| rest.contains(words)).map(|(_, code)| *code);
        let number = || numbers(rest.get(rest.find("code")?..)?).next()?.try_into().ok();
        return told.or_else(number).filter(|code| (1..=5).contains(code));
    }
    let at = lower.find("connack")?;
    let rest = lower.get(at..)?;
    let at = ["return code", "rc", "code"]
        .into_iter()
        .find_map(|word| Some(rest.find(word)? + word.len()))?;
    let code = numbers(rest.get(at..)?).next()?;
    u8::try_from(code).ok().filter(|code| *code <= 5)
}
