//! Text that a reader of a page sees as it is.

/// Makes visible what a reader cannot see or would be misled by: control characters other than line
/// feeds, and characters that turn the direction of writing. The templates escape markup; this is
/// for the rest, and it is applied to whole pages so that no value can be forgotten.
pub(super) fn visible(text: String) -> String {
    if !text.contains(hides) {
        return text;
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match hides(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    shown
}

fn hides(c: char) -> bool {
    let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    turns || (c.is_control() && c != '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_shown() {
        let seen = visible("bell \u{7}, nul \0, turned \u{202e}txt, line\nfeed, é ✓".to_owned());
        assert_eq!(seen, "bell \\u{7}, nul \\u{0}, turned \\u{202e}txt, line\nfeed, é ✓");
    }
}
