//! Text from devices, brokers and files on its way into a report: cut to a bearable length, and
//! without what a format cannot hold.

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

/// Whether XML 1.0 (section 2.2) can hold the character at all, escaped or not.
pub(crate) fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
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
    fn xml_has_no_nul_no_escape_and_no_half_of_a_pair() {
        assert!("\t\n\r a\u{fffd}\u{1f980}".chars().all(is_xml));
        assert!(!"\0\u{1}\u{8}\u{b}\u{c}\u{1b}\u{1f}\u{fffe}\u{ffff}".chars().any(is_xml));
    }
}
