//! Markdown that stays what it was meant to be: escaped, and never longer than it may be.
//!
//! GitHub reads GitHub Flavored Markdown and then looks for `@name`, `#1` and addresses in what came
//! out of it, so that escaping the Markdown alone still lets a device's log call a stranger. A
//! zero-width space behind such a mark stops that, and nothing is seen of it.

use crate::text::shorten;
use crate::transcript::printable;

/// Longest text of one cell of a table, in bytes.
const CELL_LIMIT: usize = 400;

/// What the headings of all tables take, and their notes about left-out rows.
const RESERVE: usize = 4096;

/// A page that is being written.
pub(crate) struct Page {
    out: String,
    limit: usize,
    whole: &'static str,
}

impl Page {
    /// An empty page of at most `limit` bytes; where it is cut, it says that the whole is in
    /// `whole`.
    pub(crate) fn new(limit: usize, whole: &'static str) -> Self {
        Self { out: String::new(), limit, whole }
    }

    /// A heading of the second level or below.
    pub(crate) fn heading(&mut self, level: usize, text: &str) {
        let gap = if self.out.is_empty() { "" } else { "\n" };
        self.out.push_str(&format!("{gap}{} {}\n\n", "#".repeat(level), plain(text)));
    }

    /// A paragraph of Markdown that was put together from [`plain`] and [`code`].
    pub(crate) fn paragraph(&mut self, markdown: &str) {
        self.out.push_str(&format!("{markdown}\n\n"));
    }

    /// A table, as many rows of it as fit into half of the room that is left: none takes the room of
    /// those behind it. Cells are Markdown.
    pub(crate) fn table(
        &mut self,
        head: &[&str],
        rows: impl ExactSizeIterator<Item = Vec<String>>,
    ) {
        let columns = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let head: Vec<_> = head.iter().map(|title| (*title).to_owned()).collect();
        self.out.push_str(&columns(&head));
        self.out.push_str(&columns(&vec!["---".to_owned(); head.len()]));
        let room = self.limit.saturating_sub(self.out.len() + RESERVE) / 2;
        let end = self.out.len() + room;
        let mut left = rows.len();
        for row in rows {
            let line = columns(&row);
            if self.out.len() + line.len() > end {
                break;
            }
            self.out.push_str(&line);
            left -= 1;
        }
        if left > 0 {
            let rows = if left == 1 { "row" } else { "rows" };
            self.out.push_str(&format!(
                "\n{left} more {rows} left out, because this page may not be longer; the whole is in {}.\n",
                code(self.whole)
            ));
        }
    }

    /// The page.
    pub(crate) fn finish(self) -> String {
        self.out
    }
}

/// Text that reads as it is written: no markup, no link, no mention, one line.
pub(crate) fn plain(text: &str) -> String {
    let text = printable(shorten(text, CELL_LIMIT).as_bytes());
    let mut safe = String::with_capacity(text.len() + text.len() / 8);
    let mut before = ' ';
    let mut text = text.chars().peekable();
    while let Some(c) = text.next() {
        match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' => safe.push('\\'),
            // Within a word it is none of Markdown's marks.
            '_' => {
                let after = text.peek().is_some_and(char::is_ascii_alphanumeric);
                if !(before.is_ascii_alphanumeric() && after) {
                    safe.push('\\');
                }
            }
            // `https://` and `www.` become links by themselves.
            '/' if before == ':' => safe.push_str(GAP),
            '.' if matches!(before, 'w' | 'W') => safe.push_str(GAP),
            _ => {}
        }
        safe.push(c);
        if matches!(c, '@' | '#') {
            safe.push_str(GAP);
        }
        before = c;
    }
    safe
}

/// A space of no width, as an entity: a person who looks at the source should see it.
const GAP: &str = "&#8203;";

/// A name or an error as code, in a table or outside. Nothing inside of it is markup.
pub(crate) fn code(text: &str) -> String {
    let text = printable(shorten(text, CELL_LIMIT).as_bytes());
    if text.trim().is_empty() {
        return String::new();
    }
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let edge = if longest > 0 { " " } else { "" };
    // The one thing that a table looks for inside of code.
    let text = text.replace('|', "\\|");
    format!("{fence}{edge}{text}{edge}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

    /// What a reader sees of one row with these cells, and whether anything but text was in it.
    fn shown(cells: &[String]) -> (Vec<String>, bool) {
        let mut page = Page::new(1 << 20, "x");
        let head = vec!["head"; cells.len()];
        page.table(&head, [cells.to_vec()].into_iter());
        let text = page.finish();
        let (mut seen, mut pure, mut body) = (Vec::new(), true, false);
        for event in Parser::new_ext(&text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH)
        {
            match event {
                Event::End(TagEnd::TableHead) => body = true,
                Event::Start(Tag::TableCell) if body => seen.push(String::new()),
                Event::Text(text) | Event::Code(text) if body => {
                    seen.last_mut().unwrap().push_str(&text);
                }
                Event::Start(Tag::Table(_) | Tag::TableHead | Tag::TableRow | Tag::TableCell)
                | Event::End(_)
                | Event::Text(_) => {}
                _ => pure = false,
            }
        }
        (seen, pure)
    }

    fn without_gaps(text: &str) -> String {
        text.replace('\u{200b}', "")
    }

    #[test]
    fn a_log_calls_nobody_and_links_nowhere() {
        insta::assert_snapshot!(plain("<b>@octocat</b> see #1, https://x.example and www.x.example |_*`"), @r"\<b\>@&#8203;octocat\</b\> see #&#8203;1, https:&#8203;//x.example and www&#8203;.x.example \|\_\*\`");
        insta::assert_snapshot!(code("a|b `c` ``d``\u{1b}[31m"), @r"``` a\|b `c` ``d``\u{1b}[31m ```");
        assert_eq!(code(" "), "");
    }

    proptest! {
        #[test]
        fn a_reader_sees_what_was_written(text in "[ -~\u{e4}\u{1f980}\u{0}\u{1b}\n]{0,60}") {
            let printed = printable(text.as_bytes());
            let (seen, pure) = shown(&[plain(&text), "next".to_owned()]);
            prop_assert!(pure, "{}", plain(&text));
            prop_assert_eq!(without_gaps(&seen[0]), printed.trim());
            prop_assert_eq!(&seen[1], "next");
            let (seen, pure) = shown(&[code(&text), "next".to_owned()]);
            prop_assert!(pure, "{}", code(&text));
            prop_assert_eq!(seen[0].trim(), printed.trim());
            prop_assert_eq!(&seen[1], "next");
        }
    }

    #[test]
    fn a_page_that_is_too_long_says_what_is_missing() {
        let mut page = Page::new(8192, "cells.jsonl");
        page.table(&["name"], (0..1000).map(|number| vec![code(&number.to_string())]));
        page.table(&["name"], (0..10).map(|number| vec![code(&number.to_string())]));
        let text = page.finish();
        assert!(text.len() <= 8192, "{}", text.len());
        let rows = text.lines().filter(|line| line.starts_with("| `")).count() - 10;
        assert!(text.contains(&format!("\n{} more rows left out", 1000 - rows)), "{text}");
        assert!(text.ends_with("| `9` |\n"), "the second one is whole: {text}");
    }
}
