//! Text from devices, brokers and files on its way into a report: cut to a bearable length, and
//! without what a format cannot hold.

use crate::transcript::printable;
use std::borrow::Cow;

/// The start of `text`, at most `limit` bytes of it; what is left out is counted, never hidden.
pub(crate) fn shorten(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let (start, rest) = text.split_at(end);
    Cow::Owned(format!("{start} [{} bytes more]", rest.len()))
}

/// A line of text for XML, not yet escaped: what cannot be seen, turns the direction of writing or
/// is no character of XML 1.0 (section 2.2) is shown as its code.
pub(crate) fn for_xml(line: &str) -> String {
    let shown = printable(line.as_bytes());
    // The only two of the others that are no control characters.
    shown.replace('\u{fffe}', "\\u{fffe}").replace('\u{ffff}', "\\u{ffff}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_at_a_character_and_says_how_much_is_missing() {
        assert_eq!(shorten("short", 5), "short");
        assert_eq!(shorten("longer", 5), "longe [1 bytes more]");
        assert_eq!(shorten("a\u{e4}\u{e4}", 2), "a [4 bytes more]");
        assert_eq!(shorten("\u{1f980}", 3), " [4 bytes more]");
        assert_eq!(shorten(&"x".repeat(10 << 20), 10).len(), 32);
    }

    #[test]
    fn xml_gets_no_nul_no_escape_and_no_turned_text() {
        assert_eq!(for_xml("a \u{fffd} \u{e4} \u{1f980} <&>"), "a \u{fffd} \u{e4} \u{1f980} <&>");
        let hidden = "\0\u{1}\u{1b}\u{9b}\r\u{202e}\u{fffe}\u{ffff}";
        assert_eq!(for_xml(hidden), r"\u{0}\u{1}\u{1b}\u{9b}\r\u{202e}\u{fffe}\u{ffff}");
    }
}
