//! One line of a log, taken out of whatever a program put around it.
//!
//! The library hands its output to the application, and every application prints it its own way:
//!
//! ```text
//! ssl_cli.c:0717: |2| => write client hello              the library's own example programs
//! D (2345) mbedtls: ssl_cli.c:774 => write client hello  ESP-IDF
//! 12:00:01.123 -> ssl_cli.c:0717: => write client hello  a serial monitor with times
//! [00:00:01.123,000] <dbg> mbedtls: ../ssl_cli.c:717: |2| => write client hello
//! ssl_cli.c(0651): => write client hello                 PolarSSL and mbed TLS 1.3
//! [.../ssl_cli.c]:[717]: => write client hello           an SDK that prints them as it likes
//! ssl_cli.c:717: 0x3ffcc67c: => write client hello       a build with threads, which names the context
//! => write client hello                                  the text alone
//! ```
//!
//! Source file and line stand in nearly all of them, so they are what is looked for; what follows is
//! the library's text. A line without them, or with those of another program, is taken as a whole.

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

/// What a forum's software makes of plain signs.
const TYPESET: [(&str, &str); 8] = [
    ("\u{2018}", "'"),
    ("\u{2019}", "'"),
    ("\u{201c}", "\""),
    ("\u{201d}", "\""),
    ("\u{2013}", "-"),
    ("\u{2212}", "-"),
    ("\u{2026}", "..."),
    ("\u{a0}", " "),
];

/// A line as text without terminal codes and typesetting: bytes that are no text are replaced, tabs
/// are spaces.
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
    let text = String::from_utf8_lossy(&strip_ansi_escapes::strip(spaced)).into_owned();
    Cow::Owned(TYPESET.iter().fold(text, |text, (sign, plain)| match text.contains(sign) {
        true => text.replace(sign, plain),
        false => text,
    }))
}

/// At how many bytes a terminal cut or wrapped the lines of a log, if one did: several of the longest
/// lines are then equally long, and end differently.
#[must_use]
pub fn width_of_cut(log: &[u8]) -> Option<usize> {
    /// Endings that must differ; and a line that is shorter was not cut.
    const ENOUGH: usize = 3;
    const SHORTEST: usize = 20;
    let lines = || log.split(|byte| *byte == b'\n').filter(|line| line.len() <= LONGEST);
    let width = lines().map(<[u8]>::len).max().filter(|width| *width >= SHORTEST)?;
    let mut endings: Vec<&[u8]> = Vec::new();
    for line in lines().filter(|line| line.len() == width) {
        let ending = line.trim_ascii_end();
        let ending = ending.get(ending.len().saturating_sub(4)..).unwrap_or_default();
        if !endings.contains(&ending) {
            endings.push(ending);
        }
        if endings.len() >= ENOUGH {
            return Some(width);
        }
    }
    None
}

/// What may stand at the end of a line and is something else if it is cut: a host name.
const NAMES: [&str; 3] = ["server name extension: ", "subject alt name", "dNSName"];

/// A line that was cut, without what may be something else than it was: `-0x27` at its end may have
/// been `-0x2700`, and `broker.te` `broker.test`.
#[must_use]
pub fn without_what_was_cut(text: &str) -> &str {
    if let Some(at) = NAMES.iter().find_map(|name| text.find(name)) {
        return text.get(..at).unwrap_or_default();
    }
    let text = text.trim_end();
    let digits = text.bytes().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let before = text.get(..text.len() - digits).unwrap_or(text);
    match before.strip_suffix('-') {
        Some(rest) if digits < "0x2700".len() => rest,
        _ => text,
    }
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
        // Without a file in front, `[4] connect(...)` is a number in anybody's list.
        let is_librarys = source.is_some() || text.starts_with('|');
        let (level, text) = level(text);
        let level = level.filter(|_| is_librarys);
        let text = context(text).trim();
        let text = ENDINGS
            .iter()
            .fold(text, |text, ending| text.strip_suffix(ending).unwrap_or(text).trim_end());
        Self { source, level, text }
    }
}

/// How the library's own lines begin, for logs in which an application leaves out file and line.
const BEGINNINGS: [&str; 24] = [
    "=> ",
    "<= ",
    "client state: ",
    "client hello, ",
    "server hello, ",
    "server used HashAlgorithm ",
    "Server used unsupported HashAlgorithm ",
    "dumping '",
    "input record: ",
    "output record: ",
    "handshake message: ",
    "got an alert message",
    "is a fatal alert message",
    "in_left: ",
    "ssl->f_recv",
    "peer certificate #",
    "got supported group(",
    "sent signature scheme [",
    "supported version: ",
    "adding EMPTY_RENEGOTIATION_INFO_SCSV",
    "send alert level=",
    "! Certificate verification flags ",
    "Server used HashAlgorithm ",
    "server state: ",
];

/// What is said in a line without file and line: from where the library's words begin, if they do;
/// without the marks of a quotation.
fn untagged(plain: &str) -> &str {
    let begins = |beginning: &str| {
        plain.match_indices(beginning).map(|(at, _)| at).find(|at| {
            // An arrow is the library's only before one of its functions.
            !beginning.ends_with("= ") && !beginning.ends_with("> ")
                || plain.get(at + beginning.len()..).is_some_and(|rest| {
                    rest.starts_with(|c: char| c.is_ascii_lowercase()) && !rest.contains("0x")
                })
        })
    };
    let from = BEGINNINGS.iter().filter_map(|beginning| begins(beginning)).min();
    let text = from.and_then(|at| plain.get(at..)).unwrap_or(plain);
    text.trim_start_matches(['>', ' '])
}

/// The sources that print debug output, without `.c` or `.h`, in all versions; and how the names of
/// those begin that 3.x split off.
const SOURCES: [&str; 12] = [
    "ssl_cli",
    "ssl_srv",
    "ssl_tls",
    "ssl_msg",
    "ssl_client",
    "ssl_cache",
    "ssl_cookie",
    "ssl_ticket",
    "ssl_ciphersuites",
    "ssl_misc",
    "ssl_internal",
    "ssl_debug_helpers_generated",
];
const SPLIT_OFF: [&str; 2] = ["ssl_tls12_", "ssl_tls13_"];
/// What stands between a file's name and the line in it, at most.
const BETWEEN: &str = ":()[]# ,L";

/// `ssl_tls.c:1234`, or `ssl_tls.c(1234)`, or `ssl_tls.c]:[1234]`, and what follows.
fn tag(line: &str) -> Option<((&str, u32), &str)> {
    for (dot, _) in line.match_indices('.') {
        let Some(after) = line
            .get(dot..)
            .and_then(|rest| rest.strip_prefix(".c").or_else(|| rest.strip_prefix(".h")))
        else {
            continue;
        };
        let before = line.get(..dot)?;
        let start =
            before.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(0, |at| {
                at + before.get(at..).and_then(|s| s.chars().next()).map_or(1, char::len_utf8)
            });
        let file = line.get(start..dot + 2)?;
        let name = line.get(start..dot)?;
        if !SOURCES.contains(&name) && !SPLIT_OFF.iter().any(|half| name.starts_with(half)) {
            continue;
        }
        let between = after.find(|c: char| !BETWEEN.contains(c)).unwrap_or(after.len());
        let number = after.get(between..)?;
        let digits = number.bytes().take_while(u8::is_ascii_digit).count();
        if let (1..=5, 1..=6, Ok(at)) = (between, digits, number.get(..digits)?.parse()) {
            return Some(((file, at), number.get(digits..)?));
        }
    }
    None
}

/// What follows the address of the context: `0x3ffcc67c: => handshake`, `20006e58: => handshake`.
fn context(text: &str) -> &str {
    let Some((address, rest)) = text.split_once(": ") else { return text };
    let digits = address.strip_prefix("0x").unwrap_or(address);
    let is_address =
        (6..=16).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    // Eight letters may be a word.
    let has_digit = digits.bytes().any(|digit| digit.is_ascii_digit());
    if is_address && has_digit { rest.trim_start() } else { text }
}

/// `|3| text`, as the library's examples print it; `[3] text` and, of `[ssl_tls.c:12 3]: text`, `3]:
/// text`, as others do.
fn level(text: &str) -> (Option<u8>, &str) {
    match text.as_bytes() {
        [b'|', digit @ b'0'..=b'9', b'|', ..] => {
            (Some(digit - b'0'), text.get(3..).unwrap_or_default().trim_start())
        }
        [b'[', digit @ b'1'..=b'5', b']', b' ', ..] => {
            (Some(digit - b'0'), text.get(4..).unwrap_or_default())
        }
        [digit @ b'1'..=b'5', b']', b':', b' ', ..] => {
            (Some(digit - b'0'), text.get(4..).unwrap_or_default())
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
            "\u{2026}/ssl_cli.c:0717:\u{a0}|2| => write client hello",
            "ssl_cli.c(0717): => write client hello",
            "ssl_cli.c:717: [2] => write client hello",
            "mbed TLS[ssl_cli.c:717 2]: => write client hello",
            "<INFO> [/src/hal_tls.c #107] [/src/ssl_cli.c]:[717]: => write client hello",
            "debug in [/sdk/ssl_cli.c():717]: => write client hello",
            "0x2000baa0 => ../src/ssl_cli.c:717: => write client hello",
            "D (2345) mbedtls: ssl_cli.c:717 0x3ffcc67c: => write client hello",
            "[?] ../ssl_cli.c:717: 20006e58: => write client hello",
            "ssl_cli.c:717: |2| 0x55d0c0ffee00: => write client hello",
        ] {
            let plain = plain(raw.as_bytes());
            let line = Line::of(&plain);
            assert_eq!(line.source, Some(("ssl_cli.c", 717)), "{raw}");
            assert_eq!(line.text, "=> write client hello", "{raw}");
        }
    }

    #[test]
    fn what_a_terminal_cut_is_taken_away() {
        let log = b"the longest line ends -0x27\nthe longest line is a row o\nshort\nthe longest line is any oth\n";
        assert_eq!(width_of_cut(log), Some(27));
        assert_eq!(
            width_of_cut(b"a line of a log that ends -0x10\na line of a log that ends -0x10\n"),
            None
        );
        for (cut, left) in [
            ("returned -0x27", "returned "),
            ("returned -0x2700", "returned -0x2700"),
            ("dump 16 03", "dump 16 03"),
            ("client hello, adding server name extension: broker.te", "client hello, adding "),
        ] {
            assert_eq!(without_what_was_cut(cut), left);
        }
    }

    #[test]
    fn without_a_speaker_the_line_is_all_there_is() {
        for raw in [
            "=> write client hello",
            "  => write client hello  ",
            ".c:12: x",
            "a.c:: b.c: c",
            "main.c:12: heap",
            "ssl_client.cpp:37",
            "ssl_client2.c:9: x",
            "ssl_tls.c: x",
        ] {
            let line = Line::of(raw);
            assert_eq!(line.source, None, "{raw}");
        }
        for (raw, text) in [
            ("00> 0x2203d6bc: client state: 2", "client state: 2"),
            ("net.c:9 tls error => -0x7280", "net.c:9 tls error => -0x7280"),
            ("state 0 => 2", "state 0 => 2"),
            ("deadbeef: x", "deadbeef: x"),
        ] {
            assert_eq!(Line::of(raw).text, text, "{raw}");
        }
        assert_eq!(Line::of("é.c:1 ü.c:2 é").source, None);
    }
}
