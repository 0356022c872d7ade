//! TOML text into checked types, with errors a person can act on.
//!
//! Every file under `suites/` goes through [`parse`]. An error names file, line and column, shows
//! the line with a caret under the spot, and offers the nearest real name where one was mistyped.
//! What TOML itself cannot check (names of cipher suites, of other files) is refused through
//! [`refuse`], so that both kinds of error look alike.

use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::Range;

/// Something in a file that may not stand there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FileError {
    /// The file, as the user knows it.
    pub file: String,
    /// Line, from 1; 0 if the error belongs to the file as a whole.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong: a fragment without a final period.
    pub message: String,
    /// The nearest name that would be right, if one is near.
    pub nearest: Option<String>,
    excerpt: String,
    width: usize,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, .. } = self;
        if *line == 0 {
            return write!(f, "{file}: {message}");
        }
        let gutter = line.to_string().len();
        let carets = "^".repeat(self.width.max(1));
        writeln!(f, "{file}:{line}:{column}: {message}")?;
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{line} | {}", self.excerpt)?;
        write!(f, "{:gutter$} | {}{carets}", "", " ".repeat(column - 1))?;
        if let Some(name) = &self.nearest {
            write!(f, "\n{:gutter$} = did you mean `{name}`?", "")?;
        }
        Ok(())
    }
}

/// Reads `text` as TOML into `T`. `file_name` is for the error alone.
///
/// # Errors
/// The first thing that TOML or `T` does not allow.
pub fn parse<T: DeserializeOwned>(text: &str, file_name: &str) -> Result<T, FileError> {
    toml::from_str(text).map_err(|error| {
        let mut refused = at(text, file_name, error.span(), error.message().to_owned());
        refused.nearest = suggestion(error.message());
        refused
    })
}

/// An error about `needle`, wherever it first stands in `text` as a whole word outside comments.
///
/// For what is found wrong only after the TOML was read, when positions are gone.
#[must_use]
pub fn refuse(text: &str, file_name: &str, needle: &str, message: String) -> FileError {
    at(text, file_name, find(text, needle), message)
}

/// The nearest of `known` to `name`, or none if nothing is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|real| (strsim::jaro_winkler(&name.to_lowercase(), &real.to_lowercase()), real))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, real)| real)
}

fn at(text: &str, file_name: &str, span: Option<Range<usize>>, message: String) -> FileError {
    let mut error = FileError {
        file: file_name.to_owned(),
        line: 0,
        column: 1,
        message,
        nearest: None,
        excerpt: String::new(),
        width: 1,
    };
    // A key missing at the top is the fault of no line, but TOML points at the first one.
    let nowhere = message_is_about_the_whole(&error.message);
    let Some(span) = span.filter(|span| span.start > 0 || !nowhere) else {
        return error;
    };
    let before = text.get(..span.start).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let whole_line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let end = span.end.min(start + whole_line.len());
    error.line = before.matches('\n').count() + 1;
    error.column = text.get(start..span.start).unwrap_or_default().chars().count() + 1;
    error.width = text.get(span.start..end).unwrap_or_default().chars().count();
    error.excerpt = whole_line.replace('\t', " ");
    error
}

fn message_is_about_the_whole(message: &str) -> bool {
    message.starts_with("missing field")
}

fn find(text: &str, needle: &str) -> Option<Range<usize>> {
    let part_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+');
    text.match_indices(needle)
        .filter(|_| !needle.is_empty())
        .map(|(start, found)| start..start + found.len())
        .find(|range| {
            let before = text.get(..range.start).unwrap_or_default();
            let after = text.get(range.end..).unwrap_or_default();
            let line = before.rsplit('\n').next().unwrap_or_default();
            !before.ends_with(part_of_name)
                && !after.starts_with(part_of_name)
                && !line.contains('#')
        })
}

/// Serde lists what it expected in its message, each name in backticks after the one it got:
/// "unknown field `x`, expected one of `a`, `b`". The lists exist nowhere else.
fn suggestion(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field").or(message.strip_prefix("unknown variant"))?;
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let got = quoted.next()?;
    nearest(got, quoted).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        summary: String,
        #[serde(default)]
        front: Front,
    }

    #[derive(Debug, PartialEq, Default, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Front {
        #[default]
        Openssl,
        Rustls,
    }

    fn error(text: &str) -> String {
        parse::<Sample>(text, "suites/x.toml").unwrap_err().to_string()
    }

    #[test]
    fn right_text_is_read() {
        let sample: Sample = parse("summary = 'a'\nfront = 'rustls'", "x").unwrap();
        assert_eq!(sample, Sample { summary: "a".into(), front: Front::Rustls });
    }

    #[test]
    fn an_unknown_key_shows_line_caret_and_nearest_name() {
        let expected = "suites/x.toml:2:1: unknown field `sumary`, expected `summary` or `front`\n  \
                        |\n2 | sumary = \"a\"\n  | ^^^^^^\n  = did you mean `summary`?";
        assert_eq!(error("front = \"rustls\"\nsumary = \"a\"\n"), expected);
    }

    #[test]
    fn an_unknown_value_shows_the_nearest_one() {
        let text = error("summary = \"a\"\nfront = \"openssI\"\n");
        assert!(text.starts_with("suites/x.toml:2:9: unknown variant `openssI`"), "{text}");
        assert!(text.ends_with("= did you mean `openssl`?"), "{text}");
    }

    #[test]
    fn nothing_near_means_no_suggestion() {
        assert!(!error("summary = \"a\"\nzzz = 1\n").contains("did you mean"));
    }

    #[test]
    fn a_missing_key_belongs_to_the_whole_file() {
        assert_eq!(error("front = \"rustls\"\n"), "suites/x.toml: missing field `summary`");
    }

    #[test]
    fn broken_toml_points_at_the_spot() {
        let broken = parse::<Sample>("summary = \"a\"\nfront = [\n", "x").unwrap_err();
        assert!(broken.line >= 2, "{broken}");
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        let wide = parse::<Sample>("summary = { 'ä' = 1 }", "x").unwrap_err();
        assert_eq!((wide.line, wide.column), (1, 11));
    }

    #[test]
    fn refusal_finds_the_whole_word_outside_comments() {
        let text = "# TLS_B\nlist = [\"TLS_BB\",\n \"TLS_B\"]\n";
        let refused = refuse(text, "x", "TLS_B", "no such suite".into());
        assert_eq!((refused.line, refused.column, refused.width), (3, 3, 5));
    }
}
