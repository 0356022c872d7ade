//! Error numbers in lines of applications, which print them in every way there is.
//!
//! ```text
//! mbedtls_ssl_handshake returned -0x7280     ret=-29312     error -0X2700     (-0x50)
//! ```
//!
//! A number counts if it is an error of the library's. A short one, or a decimal one, counts only
//! beside a word that says what it is: `-76` may be anything.

use super::errors::is_known;

/// No errors: the caller is asked to call again.
const TRY_AGAIN: [i32; 6] = [0x6900, 0x6880, 0x7000, 0x6500, 0x4b00, 0x6580];

/// Numbers below this are those of lower modules, and of too many other things.
const SHORT: i32 = 0x1000;

/// Words of which one must stand beside a short or decimal number.
const WORDS: [&str; 6] = ["mbedtls", "handshake", "ssl", "tls", "ret", "x509"];

/// Whether the number is no error, but a request to be called again.
pub(super) fn is_try_again(error: i32) -> bool {
    TRY_AGAIN.contains(&-error)
}

/// The library's error in a line of an application, as a negative number.
#[must_use]
pub fn error_in(text: &str) -> Option<i32> {
    if let Some(name) = text.find("MBEDTLS_ERR_").and_then(|at| text.get(at + 12..)) {
        let end =
            name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
        let name = name.get(..end)?;
        let known = super::errors::all().find(|(_, known, _)| *known == name);
        if let Some((number, ..)) = known.filter(|(number, ..)| !TRY_AGAIN.contains(number)) {
            return Some(-number);
        }
    }
    let lower = text.to_ascii_lowercase();
    let spoken_of = WORDS.iter().any(|word| lower.contains(word));
    let mut found = None;
    for (at, _) in lower.match_indices('-') {
        // Part of a word, a date or a range, not a sign.
        if lower.get(..at)?.ends_with(|c: char| c.is_alphanumeric() || c == '-') {
            continue;
        }
        let rest = lower.get(at + 1..)?;
        let (digits, radix) = match rest.strip_prefix("0x") {
            Some(hex) => (hex, 16),
            None => (rest, 10),
        };
        let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let ends_well =
            !digits.get(end..)?.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_');
        if !ends_well || !(1..=5).contains(&end) {
            continue;
        }
        let Ok(number) = i32::from_str_radix(digits.get(..end)?, radix) else { continue };
        let telling = match radix {
            16 => number >= SHORT || spoken_of,
            _ => spoken_of && number >= SHORT,
        };
        // `Connection reset` and its like are printed in decimal, too: -80.
        let small = radix == 10 && lower.contains("mbedtls") && (0x42..SHORT).contains(&number);
        if number > 0 && (telling || small) && is_known(number) && !TRY_AGAIN.contains(&number) {
            found = Some(-number);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_what_applications_print() {
        for (text, number) in [
            ("mbedtls_ssl_handshake returned -0x7280", Some(-0x7280)),
            ("ERROR: mbedtls_ssl_handshake ret(-29312)", Some(-0x7280)),
            ("TLS: ret=-0x2700, flags 0x8", Some(-0x2700)),
            ("[E] start_ssl_client(): (-0X7780) alert", Some(-0x7780)),
            ("E (12) esp-tls-mbedtls: mbedtls_ssl_handshake returned -0x50", Some(-0x50)),
            ("mbedtls_net_recv returned -80", Some(-0x50)),
            ("Last error: MBEDTLS_ERR_X509_CERT_VERIFY_FAILED", Some(-0x2700)),
            ("failed, rc=-2 try again", None),
            ("mbedtls_ssl_read returned -0x6900", None),
            ("at 2021-09-28 the tls server", None),
            ("ret = -1", None),
            ("temperature -29312", None),
            ("RSSI -80 dBm, tls up", None),
            ("ssl range 5-0x7280", None),
            ("ret -0x7280abc", None),
            ("é-é-0x", None),
        ] {
            assert_eq!(error_in(text), number, "{text}");
        }
    }
}
