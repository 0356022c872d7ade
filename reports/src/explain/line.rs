//! One line of a log, taken out of whatever a program put around it.
//!
//! The library hands its output to the application, and every application prints it its own way:
//!
//! ```text
//! ssl_cli.c:0717: |2| => write client hello              the library's own example programs
//! D (2345) mbedtls: ssl_cli.c:774 => write client hello  ESP-IDF
//! 12:00:01.123 -> ssl_cli.c:0717: => write client hello  a serial monitor with times
//! [00:00:01.123,000] <dbg> mbedtls: ../ssl_cli.c:717: |2| => write client hello
//! => write client hello                                  the text alone
//! ```
//!
//! Source file and line stand in nearly all of them, so they are what is looked for; what follows is
//! the library's text. A line without them is taken as a whole.

use std::borrow::Cow;

/// Longest line that is read to its end, in bytes; the library's own are shorter than 600.
const LONGEST: usize = 4096;

/// What stays behind a line: the end of a JSON object, a line feed in letters, a colour code that lost
/// its escape character on the way.
const ENDINGS: [&str; 6] = ["}", "\"", "\\n", "\\r", "[0m", "\""];

/// A line without what was put around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// Source file without its folder and line in it, where the library is the speaker.
    pub source: Option<(&'a str, u32)>,
    /// Debug level, where it is printed.
    pub level: Option<u8>,
    /// What is said.
    pub text: &'a str,
}

/// A line as text without terminal codes: bytes that are no text are replaced, tabs are spaces.
#[must_use]
pub fn plain(raw: &[u8]) -> Cow<'_, str> {
    let raw = raw.get(..raw.len().min(LONGEST)).unwrap_or_default();
    let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
    let clean = raw.iter().all(|byte| (b' '..=b'~').contains(byte));
    if clean {
        return String::from_utf8_lossy(raw);
    }
    let spaced: Vec<u8> =
        raw.iter().map(|byte| if *byte == b'\t' { b' ' } else { *byte }).collect();
    Cow::Owned(String::from_utf8_lossy(&strip_ansi_escapes::strip(spaced)).into_owned())
}

impl<'a> Line<'a> {
    /// Finds what is said in a line.
    #[must_use]
    pub fn of(plain: &'a str) -> Self {
        let (source, text) = match tag(plain) {
            Some((source, rest)) => (Some(source), rest),
            None => (None, untagged(plain)),
        };
        let text = text.trim_start_matches([':', ' ', ']', ')']);
        let (level, text) = level(text);
        let text = text.trim();
        let text = ENDINGS
            .iter()
            .fold(text, |text, ending| text.strip_suffix(ending).unwrap_or(text).trim_end());
        Self { source, level, text }
    }
}

/// How the library's own lines begin, for logs in which an application leaves out file and line.
const BEGINNINGS: [&str; 14] = [
    "=> ",
    "<= ",
    "client state: ",
    "client hello, ",
    "server hello, ",
    "dumping '",
    "input record: ",
    "output record: ",
    "handshake message: ",
    "got an alert message",
    "is a fatal alert message",
    "in_left: ",
    "ssl->f_recv",
    "peer certificate #",
];

/// What is said in a line without file and line: from where the library's words begin, if they do;
/// without the marks of a quotation.
fn untagged(plain: &str) -> &str {
    let from = BEGINNINGS.iter().filter_map(|beginning| plain.find(beginning)).min();
    let text = from.and_then(|at| plain.get(at..)).unwrap_or(plain);
    text.trim_start_matches(['>', ' '])
}

/// `ssl_tls.c:1234` and what follows.
fn tag(line: &str) -> Option<((&str, u32), &str)> {
    let mut from = 0;
    while let Some(found) = line.get(from..)?.find(".c:").or_else(|| line.get(from..)?.find(".h:"))
    {
        let dot = from + found;
        let before = line.get(..dot)?;
        let after = line.get(dot + 3..)?;
        let start =
            before.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(0, |at| {
                at + before.get(at..).and_then(|s| s.chars().next()).map_or(1, char::len_utf8)
            });
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let number = after.get(..digits)?.parse();
        if let (Ok(number), false) = (number, start == dot) {
            return Some(((line.get(start..dot + 2)?, number), after.get(digits..)?));
        }
        from = dot + 3;
    }
    None
}

/// `|3| text`.
fn level(text: &str) -> (Option<u8>, &str) {
    match text.as_bytes() {
        [b'|', digit @ b'0'..=b'9', b'|', ..] => {
            (Some(digit - b'0'), text.get(3..).unwrap_or_default().trim_start())
        }
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speaker_is_found_in_any_dress() {
        for raw in [
            "ssl_cli.c:0717: |2| => write client hello",
            "D (2345) mbedtls: ssl_cli.c:717 => write client hello",
            "12:00:01.123 -> ssl_cli.c:0717: => write client hello\r",
            "[00:00:01.123,000] <dbg> mbedtls: ../lib/ssl_cli.c:717: |2| => write client hello",
            "\x1b[0;32mI (12) mbedtls: ssl_cli.c:0717: |2| => write client hello\x1b[0m",
            "[0;32mI (12) mbedtls: ssl_cli.c:0717: |2| => write client hello[0m",
            "C:\\sdk\\ssl_cli.c:0717:\t|2| => write client hello",
        ] {
            let plain = plain(raw.as_bytes());
            let line = Line::of(&plain);
            assert_eq!(line.source, Some(("ssl_cli.c", 717)), "{raw}");
            assert_eq!(line.text, "=> write client hello", "{raw}");
        }
    }

    #[test]
    fn without_a_speaker_the_line_is_all_there_is() {
        for raw in
            ["=> write client hello", "  => write client hello  ", ".c:12: x", "a.c:: b.c: c"]
        {
            let line = Line::of(raw);
            assert_eq!(line.source, None, "{raw}");
        }
        assert_eq!(Line::of("é.c:1 ü.c:2 é").source, None);
    }
}
