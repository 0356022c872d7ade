//! Lines that the library has no hand in: what an application, or the SDK around it, says of a
//! connection in its own words.

use super::attempt::{Attempt, Spot, numbers};
use super::numbers::error_in;
use crate::diagnosis::LIBRARYS_WORDS;

/// The rig's own DUT begins its word on MQTT so (`cell.rs` of the device program).
const MQTT_FAILED: &str = "MQTT failed: ";

impl Attempt {
    /// Takes a line that the library has no hand in.
    pub(super) fn take_told(&mut self, line: usize, text: &str) {
        for (words, bit) in LIBRARYS_WORDS {
            if text.contains(words) {
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
        if let Some(error) = error_in(text) {
            self.told = Some(Spot { value: error, line, quote: text.to_owned() });
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
    let hex = rest.get(rest.find("0x")? + 2..)?;
    let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
    let flags = u32::from_str_radix(hex.get(..end)?, 16).ok()?;
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
