//! Accepted deviations: what is wrong, known, and not mended yet.
//!
//! ```text
//! known.toml --parse--> Known --of(cell, board)--> the entry laid beside a cell that deviates
//!                         +----stale(cells of a run)--> entries that nothing deviates for any more
//! ```
//!
//! A cell deviates if it is not as predicted or not as its snapshot says. Snapshot and prediction
//! stay as they should be; an entry only says that the deviation is no news, why, and where it is
//! dealt with. Such cells do not fail a run. An entry that has outlived its deviation does, so that
//! the file says nothing that is not true.
//!
//! ```toml
//! [[known]]
//! cell = "mbedtls-3.6/*/tls13-only-rustls"
//! board = "qemu"                              # left out: on every kind of board
//! reason = "the emulated clock runs backwards when the ticket comes"
//! link = "https://example.org/issues/7"
//! ```

use crate::cell::CellId;
use crate::file::{self, FileError, nearest};
use crate::suite::fits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One accepted deviation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// The cells: an id in which `*` stands for any characters.
    pub cell: String,
    /// The kind of board on which they deviate; every kind, if it is missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub board: Option<String>,
    /// Why that is accepted, in a sentence.
    pub reason: String,
    /// Where it is dealt with: an issue, a patch, a page of the maker's.
    pub link: String,
}

/// The entries of `known.toml`, in file order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known(Vec<Deviation>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKnown {
    #[serde(default)]
    known: Vec<Deviation>,
}

impl Deviation {
    fn covers(&self, cell: &str, board: &str) -> bool {
        self.board.as_deref().is_none_or(|own| own == board) && fits(&self.cell, cell)
    }
}

impl Known {
    /// Reads the entries from the text of their file. `cells` are the ids of all cells that there
    /// are.
    ///
    /// # Errors
    /// An entry without a reason or a link, and one that fits no cell, with its line.
    pub fn parse<'a>(
        text: &str,
        file_name: &str,
        cells: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Self, FileError> {
        let RawKnown { known } = file::parse(text, file_name)?;
        for entry in &known {
            let refuse = |why: String| file::refuse(text, file_name, &entry.cell, why);
            if entry.reason.trim().is_empty() {
                return Err(refuse("this entry has no reason: say in a sentence why".to_owned()));
            }
            // Whatever people write their issues in: a place that can be opened.
            if !["https://", "http://"].iter().any(|scheme| entry.link.starts_with(scheme)) {
                let why = "this entry's link begins neither with https:// nor with http://";
                return Err(refuse(why.to_owned()));
            }
            if !cells.clone().any(|cell| fits(&entry.cell, cell)) {
                let mut error = refuse("no cell of any suite fits this entry".to_owned());
                error.nearest = nearest(&entry.cell, cells.clone()).map(str::to_owned);
                return Err(error);
            }
        }
        Ok(Self(known))
    }

    /// The entry for a cell that deviates on this kind of board; of several the first.
    #[must_use]
    pub fn of(&self, cell: &CellId, board: &str) -> Option<&Deviation> {
        if self.0.is_empty() {
            return None;
        }
        let cell = cell.to_string();
        self.0.iter().find(|entry| entry.covers(&cell, board))
    }

    /// The entries that no cell deviates for any more, although every cell that they name was run
    /// and could be compared. `cells` are all of the run's suites: whether each deviated, `None` for
    /// one that was left out or came to nothing.
    #[must_use]
    pub fn stale(&self, board: &str, cells: &[(&CellId, Option<bool>)]) -> Vec<&Deviation> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let cells: Vec<_> = cells.iter().map(|(cell, end)| (cell.to_string(), *end)).collect();
        let idle = |entry: &&Deviation| {
            let mut own = cells.iter().filter(|(cell, _)| entry.covers(cell, board)).peekable();
            own.peek().is_some() && own.all(|(_, deviated)| *deviated == Some(false))
        };
        self.0.iter().filter(idle).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELLS: [&str; 3] = ["s/a+p/one", "s/a+p/two", "s/b+p/one"];

    fn parse(text: &str) -> Result<Known, String> {
        let known = Known::parse(text, "known.toml", CELLS.into_iter());
        known.map_err(|error| error.to_string())
    }

    fn entry(more: &str) -> String {
        format!("[[known]]\ncell = 's/a+p/*'\n{more}\n")
    }

    fn two() -> Known {
        let rest = "reason = 'r'\nlink = 'https://x.test/1'\n";
        parse(&format!("{}{}", entry(rest), entry(&format!("board = 'qemu'\n{rest}")))).unwrap()
    }

    fn ids() -> Vec<CellId> {
        CELLS.iter().map(|cell| cell.parse().unwrap()).collect()
    }

    #[test]
    fn reason_and_link_are_demanded_and_a_cell_must_fit() {
        let missing = parse(&entry("reason = 'r'")).unwrap_err();
        assert!(missing.contains("missing field `link`"), "{missing}");
        let missing = parse(&entry("link = 'https://x.test'")).unwrap_err();
        assert!(missing.contains("missing field `reason`"), "{missing}");
        let text = |reason, link| entry(&format!("reason = '{reason}'\nlink = '{link}'"));
        insta::assert_snapshot!(parse(&text(" ", "https://x.test")).unwrap_err(), @r"
        known.toml:2:9: this entry has no reason: say in a sentence why
          |
        2 | cell = 's/a+p/*'
          |         ^^^^^^^
        ");
        insta::assert_snapshot!(parse(&text("r", "see mail")).unwrap_err(), @r"
        known.toml:2:9: this entry's link begins neither with https:// nor with http://
          |
        2 | cell = 's/a+p/*'
          |         ^^^^^^^
        ");
        let other = text("r", "https://x.test").replace("s/a+p/*", "s/a+p/onx");
        insta::assert_snapshot!(parse(&other).unwrap_err(), @r"
        known.toml:2:9: no cell of any suite fits this entry
          |
        2 | cell = 's/a+p/onx'
          |         ^^^^^^^^^
          = did you mean `s/a+p/one`?
        ");
        assert_eq!(parse("").unwrap(), Known::default());
    }

    #[test]
    fn an_entry_is_found_by_cell_and_board() {
        let known = two();
        let found = |cell: &str, board| known.of(&cell.parse().unwrap(), board).cloned();
        assert_eq!(found("s/a+p/one", "native").unwrap().board, None);
        assert_eq!(found("s/b+p/one", "native"), None);
        let only_qemu = Known(known.0[1..].to_vec());
        assert!(only_qemu.of(&ids()[0], "qemu").is_some());
        assert!(only_qemu.of(&ids()[0], "native").is_none());
    }

    #[test]
    fn an_entry_is_stale_only_if_all_of_its_cells_were_run_and_none_deviated() {
        let (known, ids) = (two(), ids());
        let stale = |board, ends: [Option<bool>; 3]| {
            let cells: Vec<_> = ids.iter().zip(ends).collect();
            known.stale(board, &cells).len()
        };
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(stale("native", [yes, no, no]), 0);
        assert_eq!(stale("native", [no, no, yes]), 1, "the third cell is not the entry's");
        assert_eq!(stale("qemu", [no, no, yes]), 2);
        assert_eq!(stale("qemu", [no, None, no]), 0, "one of them was not run");
        let elsewhere = [(&ids[2], no)];
        assert!(known.stale("qemu", &elsewhere).is_empty(), "not a cell of these suites");
    }
}
