//! Error numbers in lines of applications, which print them in every way there is.
//!
//! ```text
//! mbedtls_ssl_handshake returned -0x7280     ret=-29312     error -0X2700     (-0x50)
//! ret = 0xffff8d80      stack error number: 0x2700      TLS handshake error: -7780
//! X509 - Certificate verification failed     Last error: MBEDTLS_ERR_SSL_CONN_EOF
//! ```
//!
//! A number counts if it is an error of the library's. How much must speak for it depends on how
//! rare it is: `-0x7280` is one in a line about TLS or of an error; what may be two errors in one, or
//! is decimal, in a line about TLS, or after a word such as `returned` in a log about TLS; `-0x10` only
//! in a line about TLS; and a positive number only in one that also calls it an error.

use super::errors::{is_exact, is_known, is_psa, named};
use super::words::{Said, begins_word};

/// No errors: the caller is asked to call again.
const TRY_AGAIN: [i32; 6] = [0x6900, 0x6880, 0x7000, 0x6500, 0x4b00, 0x6580];

/// Numbers below this are those of lower modules, and of too many other things.
const SHORT: i32 = 0x1000;

/// Parts of words of which one shows that a number is a result, and whole words that do.
const RESULT: [&str; 3] = ["err", "fail", "return"];
const RESULT_WORDS: [&str; 7] = ["ret=", "ret ", "ret:", "ret(", "rc=", "rc:", "res="];

/// Whether the number is no error, but a request to be called again.
pub(super) fn is_try_again(error: i32) -> bool {
    TRY_AGAIN.contains(&-error)
}

/// What a line is about, as far as numbers in it are concerned.
struct About {
    /// TLS.
    tls: bool,
    /// The log has been about TLS before.
    spoken: bool,
    /// A result of a call; or there is nothing but the number.
    result: bool,
    /// A handshake.
    handshake: bool,
    /// PSA's functions, whose errors are other numbers, or the whole library's, which in 4.x are these.
    psa: bool,
    /// Verify flags, which are no error.
    flags: bool,
    /// Somebody keeps the library's last error as a positive number.
    kept: bool,
}

/// Longest line that may be a number and nothing else.
const ALONE: usize = 16;

impl About {
    fn of(lower: &str, said: &Said, spoken: bool) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| has_word(lower, word));
        Self {
            tls: said.of_tls,
            spoken,
            result: has(&RESULT_WORDS)
                || RESULT.iter().any(|part| lower.contains(part))
                || lower.trim().len() <= ALONE,
            handshake: lower.contains("handshake"),
            psa: has_word(lower, "psa") || lower.contains("mbedtls"),
            flags: lower.contains("flag") || lower.contains("verify result"),
            kept: lower.contains("stack err") || lower.contains("mbedtls failure"),
        }
    }

    /// Whether `-number` in this line is an error, printed in `radix`, and `called` one right before.
    fn allows(&self, number: i32, radix: u32, called: bool) -> bool {
        if is_psa(number) {
            return self.psa && (called || radix == 16);
        }
        if TRY_AGAIN.contains(&number) || !is_known(number) {
            return false;
        }
        let context = self.tls || self.spoken;
        match (radix, number >= SHORT, is_exact(number)) {
            (16, true, true) => self.tls || self.result || self.spoken && called,
            (16, true, false) => self.tls || self.spoken && called,
            (16, false, _) => self.tls,
            (_, true, _) => context && called,
            // `Connection reset` and its like are printed in decimal, too: -80.
            (_, false, exact) => self.tls && called && exact && (0x42..=0x52).contains(&number),
        }
    }
}

/// Words, whole, that call the number after them a result.
const CALLS: [&str; 15] = [
    "ret",
    "rc",
    "res",
    "code",
    "status",
    "reason",
    "handshake",
    "connect",
    "read",
    "write",
    "recv",
    "send",
    "setup",
    "parse",
    "seed",
];
/// How `mbedtls_strerror` begins its texts, in small letters.
const MODULES: [&str; 8] =
    ["ssl - ", "x509 - ", "net - ", "bignum - ", "pk - ", "rsa - ", "pem - ", "ctr_drbg - "];

/// Whether a number is called a result by the word before it, `returned -80` or `error code: -80`, or
/// by the library's words after it: `(-32512) SSL - Memory allocation failed`.
fn is_called_result(before: &str, after: &str) -> bool {
    let before = before.trim_end_matches([' ', '=', ':', '(', '[', '#', '"', '\'', ',']);
    let start = before.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ')'));
    let word = before.get(start.map_or(0, |at| at + 1)..).unwrap_or_default();
    let after = after.trim_start_matches([')', ']', ':', ' ', '-']);
    CALLS.contains(&word)
        || RESULT.iter().any(|part| word.contains(part))
        || word.ends_with(')')
        || Said::of(word).of_tls
        || MODULES.iter().any(|module| after.starts_with(module))
}

/// Whether `word` stands in the text as a word or the beginning of one.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| begins_word(text, at))
}

/// The library's error in a line of an application, as a negative number; `spoken` says that the log
/// has been about TLS before.
#[must_use]
pub(super) fn error_in(text: &str, said: &Said, spoken: bool) -> Option<i32> {
    if let Some(number) = error_named(text) {
        return Some(-number);
    }
    let lower = text.to_ascii_lowercase();
    for (words, ending) in BARE {
        if let Some(number) = bare(&lower, words, ending) {
            return Some(-number).filter(|_| is_known(number) && !TRY_AGAIN.contains(&number));
        }
    }
    let about = About::of(&lower, said, spoken);
    let found = written_numbers(&lower).filter_map(|written| written.error(&about)).last();
    found.or(said.error)
}

/// Words, in small letters, after which a number is hexadecimal without saying so, and what comes behind
/// it: MicroPython's, and what `mbedtls_strerror` says of an error that it has no words for.
const BARE: [(&str, &str); 2] =
    [("mbedtls_ssl_handshake error: -", ""), ("unknown error code (", ")")];

fn bare(lower: &str, words: &str, ending: &str) -> Option<i32> {
    let rest = lower.get(lower.find(words)? + words.len()..)?;
    let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at_checked(end)?;
    // A number of five digits is a decimal one.
    let fits = (1..=4).contains(&end) && rest.starts_with(ending);
    i32::from_str_radix(digits, 16).ok().filter(|_| fits)
}

/// `MBEDTLS_ERR_SSL_CONN_EOF`, as it was `POLARSSL_ERR_...` before 2.0; `PSA_ERROR_...`.
fn error_named(text: &str) -> Option<i32> {
    let name = |from: usize| {
        let rest = text.get(from..)?;
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        rest.get(..end.unwrap_or(rest.len()))
    };
    let prefixes = ["MBEDTLS_ERR_", "POLARSSL_ERR_"];
    let number =
        match prefixes.into_iter().find_map(|prefix| Some(text.find(prefix)? + prefix.len())) {
            Some(from) => {
                let upper = name(from)?;
                // Both modules of an error in two parts, as MicroPython prints them.
                let rest = text.get(from + upper.len()..)?;
                let lower = rest
                    .strip_prefix("+MBEDTLS_ERR_")
                    .and_then(|rest| name(text.len() - rest.len()));
                let upper = named(&upper.replace("MALLOC_FAILED", "ALLOC_FAILED"))?;
                upper + lower.and_then(named).unwrap_or(0)
            }
            None => named(name(text.find("PSA_ERROR_")?)?)?,
        };
    (!TRY_AGAIN.contains(&number)).then_some(number)
}

/// A number in a text, as it is written there.
struct Written<'a> {
    negative: bool,
    digits: &'a str,
    /// `0x` stands before it.
    hex: bool,
    /// The word before it says that it is a result.
    called: bool,
}

/// All numbers in a text that stand for themselves: no part of a word, a date or a range.
fn written_numbers(lower: &str) -> impl Iterator<Item = Written<'_>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = lower.get(from..)?;
            let at = from + rest.find(|c: char| c.is_ascii_hexdigit())?;
            let (start, hex) = match lower.get(at..)?.starts_with("0x") {
                true => (at + 2, true),
                false => (at, false),
            };
            let after = lower.get(start..)?;
            let end = after.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(after.len());
            let (digits, tail) = after.split_at_checked(end)?;
            from = start + end.max(1);
            let before = lower.get(..at)?;
            let negative = before.ends_with('-');
            let before = before.strip_suffix('-').unwrap_or(before);
            let apart = !before.ends_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_');
            // `returned -0x52mqtt`: what was printed next without a space or a line's end.
            let joined = negative && hex && tail.starts_with(|c: char| c.is_ascii_alphabetic());
            let ends = !tail.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_');
            if apart && (ends || joined) && !digits.is_empty() {
                let called = is_called_result(before, tail);
                return Some(Written { negative, digits, hex, called });
            }
        }
    })
}

impl Written<'_> {
    /// The library's error, if it is one.
    fn error(&self, about: &About) -> Option<i32> {
        let short = self.digits.len() <= 5;
        let error = match (self.negative, self.hex) {
            (true, true) if short => {
                let number = i32::from_str_radix(self.digits, 16).ok()?;
                about.allows(number, 16, self.called).then_some(number)?
            }
            (true, false) if short => self.decimal_or_bare(about)?,
            // A negative number as a program without signs prints it.
            (false, _) if about.result && self.digits.len() >= 8 => {
                let radix = if self.digits.len() == 8 { 16 } else { 10 };
                let number = u32::from_str_radix(self.digits, radix).ok()?.wrapping_neg();
                let number =
                    i32::try_from(number).ok().filter(|number| (1..0x8000).contains(number))?;
                (about.tls && about.allows(number, 16, self.called)).then_some(number)?
            }
            (false, true)
                if self.digits.len() <= 4 && about.tls && about.result && !about.flags =>
            {
                let number = i32::from_str_radix(self.digits, 16).ok()?;
                let counts = about.kept || number >= SHORT;
                (counts && about.allows(number, 16, self.called)).then_some(number)?
            }
            _ => return None,
        };
        (error > 0).then_some(-error)
    }

    /// `-29312`; or `-7280`, which some print in hexadecimal without saying so. What may be both is
    /// decimal if that is a single error; but of a handshake it is hexadecimal, since below 8000
    /// decimal errors are all of PEM files and PKCS #12.
    fn decimal_or_bare(&self, about: &About) -> Option<i32> {
        let read = |radix| {
            let number = i32::from_str_radix(self.digits, radix).ok()?;
            // Bare hexadecimal has less to show for itself than with its `0x`.
            let counts = about.allows(number, radix, self.called) && (radix == 10 || self.called);
            counts.then_some(number)
        };
        let decimal = read(10);
        let bare = if self.digits.len() == 4 && about.tls { read(16) } else { None };
        let (exact, bare_exact) =
            (decimal.filter(|number| is_exact(*number)), bare.filter(|number| is_exact(*number)));
        match about.handshake {
            true => bare.or(decimal),
            false => exact.or(bare_exact).or(decimal).or(bare),
        }
    }
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
            ("POLARSSL_ERR_SSL_MALLOC_FAILED", Some(-0x7f00)),
            ("hello ok, ret = 0xffff8880 in ssl", Some(-0x7780)),
            ("ssl_setup res=FFFF8100", Some(-0x7f00)),
            ("tls connect returned 4294936704", Some(-0x7780)),
            ("the stack error number of tls: 0x2700", Some(-0x2700)),
            ("last mbedtls failure: 0x10", Some(-0x10)),
            ("TLSError([0x6980] no suite)", Some(-0x6980)),
            ("tls: handshake error: -7780", Some(-0x7780)),
            ("tls: handshake error: -2700", Some(-0x2700)),
            ("mbedtls_ssl_handshake error: -4290", Some(-0x4290)),
            ("mbedtls_ssl_handshake error: -10", Some(-0x10)),
            ("mbedtls_ssl_handshake error: -71", None),
            ("mbedtls_ssl_handshake error: -29312", Some(-0x7280)),
            ("_handle_error(): (-76) UNKNOWN ERROR CODE (004C)", Some(-0x4c)),
            ("  ! mbedtls_net_connect returned -0x0052 //1883", Some(-0x52)),
            ("mbedtls_x509_crt_parse returned -8576", Some(-0x2180)),
            (
                "(-17040, 'MBEDTLS_ERR_RSA_PUBLIC_FAILED+MBEDTLS_ERR_MPI_ALLOC_FAILED')",
                Some(-0x4290),
            ),
            ("SSL - Attempt to verify a certificate without an expected hostname", Some(-0x5d80)),
            ("mbedtls_net_connect returned -0x52mqtt: closed", Some(-0x52)),
            ("SSL error: SSL - The connection indicated an EOF", Some(-0x7280)),
            ("psa_generate_key() returned -137", Some(-137)),
            ("psa_import_key: PSA_ERROR_NOT_SUPPORTED", Some(-134)),
            ("failed, rc=-2 try again", None),
            ("mbedtls_ssl_read returned -0x6900", None),
            ("at 2021-09-28 the tls server", None),
            ("ret = -1", None),
            ("temperature -29312", None),
            ("RSSI -80 dBm, tls up", None),
            ("ssl range 5-0x7280", None),
            ("ret -0x7280abc", None),
            ("é-é-0x", None),
            ("i2c read returned -0x10", None),
            ("secret slot -0x10", None),
            ("the bottles returned -80", None),
            ("tls verify flags 0x4008, error", None),
            ("tls context at 0x3ffc7700, error", None),
            ("tls buffer of 0x4000 bytes", None),
            ("wifi tls heap err 3ffb8298", None),
            ("-0x", None),
            ("tls: heap min -10000 err 0", None),
            ("tls: retry in -80", None),
            ("tls: moved by -32512 steps", None),
            ("(-32512) SSL - Memory allocation failed", Some(-0x7f00)),
            ("connect(): start_ssl_client: -32512", Some(-0x7f00)),
            ("ssl keepalive timeout -5000", None),
            ("nvs_open failed: ret = -0x1102", None),
            ("stack moved by -0x7f00", None),
            ("error: offset -12288", None),
            ("tls: read failed: -17168", Some(-0x4310)),
            ("-0x7f00", Some(-0x7f00)),
            ("ssl ret -", None),
        ] {
            assert_eq!(error_in(text, &Said::of(text), false), number, "{text}");
        }
    }

    #[test]
    fn in_a_log_about_tls_less_must_speak_for_a_number() {
        for (text, number) in [
            ("Reason:[-0x4310]", Some(-0x4310)),
            ("  code -9984", Some(-0x2700)),
            ("stack moved by -0x7f00", None),
            ("settles at -32512", None),
            ("i2c read returned -0x10", None),
            ("rssi -80", None),
            ("timeout -10000", None),
        ] {
            assert_eq!(error_in(text, &Said::of(text), true), number, "{text}");
        }
    }
}
