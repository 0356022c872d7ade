//! What changed between two runs, or between the snapshots and a run.
//!
//! ```text
//! Recorded ---> Book --+
//!                      +--> Diff --> console, diff.json, diff.md, diff.html
//! Snapshots --> Book --+
//! ```
//!
//! Each cell that is not the same on both sides is named once, with the first of these that fits:
//!
//! | kind | means | worse |
//! |---|---|---|
//! | `no_result` | had a result; now the rig broke, or it was planned and not run, or skipped | undecided |
//! | `gone` | was there and is no longer planned | yes |
//! | `new` | has a result now and had none | |
//! | `broken` | connected, and does not any more | yes |
//! | `fixed` | did not connect, and does now | |
//! | `changed` | the outcome is another one in some field | yes |
//! | `slower` | computing time is above tolerance | yes |
//! | `heavier` | heap or stack is above tolerance | yes |
//! | `faster`, `lighter` | below tolerance | |
//!
//! A client that connects where its check of a certificate stopped it before, or against what was
//! predicted, is `changed` and not `fixed`: nobody should be glad of that unseen. Outcomes are
//! compared between all kinds of board, since they must be the same on all of them; figures only
//! within one kind, and only between images from the same compilers.
//!
//! Pure: books in, differences out.

mod book;
mod markdown;
mod page;

pub use book::Book;
pub use markdown::markdown;
pub use page::page;

use crate::alike::{Alike, alike};
use crate::diagnosis::Cause;
use crate::record::BoardName;
use crate::text::shorten;
use crate::words;
use book::{Entry, Known};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use suites::cell::CellId;
use suites::outcome::OutcomeKind;
use suites::snapshot::Beyond;

/// Version of the layout of `diff.json`.
pub const SCHEMA: u32 = 1;

/// All that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diff {
    /// [`SCHEMA`] of the rig that wrote it.
    pub schema: u32,
    /// What is compared with.
    pub before: Side,
    /// What is compared.
    pub after: Side,
    /// What a reader must know to judge the rest: one sentence each.
    pub notes: Vec<String>,
    /// The cells that differ, by kind and then in the order of the plan.
    pub cells: Vec<CellDiff>,
    /// How many cells are the same on both sides.
    pub unchanged: usize,
}

/// One of the two things that are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// A run's id, or which snapshots.
    pub name: String,
    /// The run's board; snapshots hold for all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub board: Option<BoardName>,
    /// When the run started, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started: Option<String>,
    /// How many cells it knows.
    pub cells: usize,
}

/// A cell that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CellDiff {
    /// Which.
    pub cell: CellId,
    /// In what way.
    pub kind: Kind,
    /// In which fields.
    pub fields: Vec<Field>,
    /// The outcome before in a few words, or why there was none.
    pub before: String,
    /// The outcome after in a few words, or why there is none.
    pub after: String,
    /// Why it does not connect now, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

impl CellDiff {
    /// In what way it differs, in words that are the same for cells to which the same happened: what
    /// it is now. Figures are never the same to the digit: of them it is which ones.
    #[must_use]
    pub fn way(&self) -> String {
        if self.kind.is_of_figures() {
            let names: Vec<_> = self.fields.iter().map(|field| field.name.as_str()).collect();
            return names.join(", ");
        }
        // Another result says it all; which other fields are gone with it depends on what there was.
        let result = self.fields.iter().find(|field| field.name == "result");
        let cause = self.fields.iter().filter(|field| field.name == "cause");
        let fields: Vec<_> = match result {
            Some(result) => std::iter::once(result).chain(cause).collect(),
            None => self.fields.iter().collect(),
        };
        let now = fields.iter().map(|Field { name, after, .. }| format!("{name} {after}; "));
        format!("{}{}", now.collect::<String>(), self.after)
    }

    /// What happened to cells that differ in the same way.
    #[must_use]
    pub fn together(cells: &[&Self]) -> String {
        let Some(first) = cells.first() else { return String::new() };
        if first.kind.is_of_figures() {
            return first.way();
        }
        let fields = |name: &str| {
            let mut all = cells.iter().flat_map(|cell| &cell.fields);
            let mut all = all.by_ref().filter(|field| field.name == name);
            let one = all.next().map_or("", |field| &field.before);
            if all.all(|field| field.before == one) { one } else { "several" }
        };
        if let Some(result) = first.fields.iter().find(|field| field.name == "result") {
            let before = fields(&result.name);
            return format!("{before} -> {}: {}", result.after, first.after.trim());
        }
        let each = first
            .fields
            .iter()
            .map(|field| format!("{}: {} -> {}", field.name, fields(&field.name), field.after));
        match first.fields.is_empty() {
            true if cells.iter().all(|cell| cell.before == first.before) => {
                format!("{} -> {}", first.before.trim(), first.after.trim())
            }
            true => format!("several -> {}", first.after.trim()),
            false => each.collect::<Vec<_>>().join("; "),
        }
    }
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    /// Its name, as in a snapshot: `error`, `cause`, `qemu.total`.
    pub name: String,
    /// What it was.
    pub before: String,
    /// What it is.
    pub after: String,
}

/// In what way a cell differs; see the module's table.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the module's table says what each means")]
pub enum Kind {
    Broken,
    Changed,
    Slower,
    Heavier,
    Gone,
    NoResult,
    New,
    Fixed,
    Faster,
    Lighter,
}

impl Kind {
    /// Every kind, the worst first.
    pub const ALL: [Self; 10] = [
        Self::Broken,
        Self::Changed,
        Self::Slower,
        Self::Heavier,
        Self::Gone,
        Self::NoResult,
        Self::New,
        Self::Fixed,
        Self::Faster,
        Self::Lighter,
    ];

    /// Whether somebody should look before this is let in.
    #[must_use]
    pub fn is_worse(self) -> bool {
        matches!(self, Self::Broken | Self::Changed | Self::Slower | Self::Heavier | Self::Gone)
    }

    /// Whether it is about time or memory.
    #[must_use]
    pub fn is_of_figures(self) -> bool {
        matches!(self, Self::Slower | Self::Heavier | Self::Faster | Self::Lighter)
    }

    /// As a heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Broken => "No longer connects",
            Self::Changed => "Changed",
            Self::Slower => "Slower",
            Self::Heavier => "Heavier",
            Self::Gone => "Gone",
            Self::NoResult => "No result any more",
            Self::New => "New",
            Self::Fixed => "Connects now",
            Self::Faster => "Faster",
            Self::Lighter => "Lighter",
        }
    }
}

impl Diff {
    /// What `after` has that `before` has not, and the other way round.
    #[must_use]
    pub fn between(before: &Book, after: &Book) -> Self {
        let mut cells: Vec<CellDiff> = Vec::new();
        let mut unchanged = 0;
        let gone = before.order().filter(|cell| after.get(cell).is_none());
        for cell in after.order().chain(gone) {
            match compare(cell, before.get(cell), after.get(cell)) {
                Some(difference) => cells.push(difference),
                None => unchanged += 1,
            }
        }
        // Stable: within a kind the order of the plan stays.
        cells.sort_by_key(|cell| cell.kind);
        Self {
            schema: SCHEMA,
            before: before.side.clone(),
            after: after.side.clone(),
            notes: book::notes(before, after),
            cells,
            unchanged,
        }
    }

    /// The cells of one kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &CellDiff> {
        self.cells.iter().filter(move |cell| cell.kind == kind)
    }

    /// The same, with cells that differ in the same way told as one.
    #[must_use]
    pub fn alike(&self, kind: Kind) -> Vec<Alike<'_, CellDiff>> {
        alike(self.of(kind), |cell| &cell.cell, CellDiff::way)
    }

    /// Whether somebody should look before this is let in.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.cells.iter().any(|cell| cell.kind.is_worse())
    }

    /// Whether a cell that had a result has none, so that nobody can say whether it got worse.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.of(Kind::NoResult).next().is_some()
    }

    /// Counts in one line, the worst first.
    #[must_use]
    pub fn totals(&self) -> String {
        let counts = Kind::ALL.into_iter().map(|kind| (self.of(kind).count(), kind.title()));
        let counts = counts.filter(|(count, _)| *count > 0);
        let mut counted: Vec<_> =
            counts.map(|(count, title)| format!("{count} {}", title.to_lowercase())).collect();
        counted.push(format!("{} unchanged", self.unchanged));
        counted.join(", ")
    }
}

fn compare(cell: &CellId, before: Option<&Entry>, after: Option<&Entry>) -> Option<CellDiff> {
    let said = |entry: Option<&Entry>| match entry {
        Some(Entry::Known(known)) => brief(&words::outcome(&known.outcome)),
        Some(Entry::Nothing(why)) => why.clone(),
        None => "not part of it".to_owned(),
    };
    let (kind, fields) = match (before, after) {
        (Some(Entry::Known(before)), Some(Entry::Known(after))) => differ(before, after)?,
        (Some(Entry::Known(_)), Some(Entry::Nothing(_))) => (Kind::NoResult, Vec::new()),
        (_, Some(Entry::Known(_))) => (Kind::New, Vec::new()),
        (Some(Entry::Known(_)), None) => (Kind::Gone, Vec::new()),
        // No result on either side: there is nothing to compare.
        (None | Some(Entry::Nothing(_)), None | Some(Entry::Nothing(_))) => return None,
    };
    let why = match after {
        Some(Entry::Known(known)) => known.why.clone(),
        _ => None,
    };
    Some(CellDiff {
        cell: cell.clone(),
        kind,
        fields,
        before: said(before),
        after: said(after),
        why,
    })
}

/// Text of a record is shown, and a record may hold megabytes.
fn brief(text: &str) -> String {
    shorten(text, 2000).into_owned()
}

/// How two results of one cell differ, if they do.
fn differ(before: &Known, after: &Known) -> Option<(Kind, Vec<Field>)> {
    let mut fields: Vec<_> = before
        .outcome
        .changes(&after.outcome)
        .into_iter()
        .map(|change| Field {
            name: change.field,
            before: brief(&change.expected),
            after: brief(&change.seen),
        })
        .collect();
    if let (Some(before), Some(after)) = (&before.cause, &after.cause)
        && before != after
    {
        let name = "cause".to_owned();
        fields.push(Field { name, before: before.clone(), after: after.clone() });
    }
    if !fields.is_empty() {
        let connects = |known: &Known| known.outcome.result == OutcomeKind::Connected;
        let kind = match (connects(before), connects(after)) {
            (true, false) => Kind::Broken,
            (false, true) if !is_suspect(before, after) => Kind::Fixed,
            _ => Kind::Changed,
        };
        return Some((kind, fields));
    }
    let (board, beyond) = after.figures.iter().find_map(|(board, seen)| {
        let beyond = before.figures.get(board)?.beyond(seen);
        (!beyond.is_empty()).then_some((board, beyond))
    })?;
    let is_memory = |beyond: &&Beyond| beyond.figure.ends_with("_bytes");
    let up = |beyond: &&Beyond| beyond.seen > beyond.expected;
    let time = |beyond: &&Beyond| !is_memory(beyond);
    // Work moves between neighbouring phases: the whole decides, and a phase only if the whole stays.
    let whole = beyond.iter().find(|beyond| beyond.figure == "total");
    let slower = whole
        .map_or_else(|| beyond.iter().filter(time).any(|beyond| up(&beyond)), |whole| up(&whole));
    let kind = if slower {
        Kind::Slower
    } else if beyond.iter().filter(is_memory).any(|beyond| up(&beyond)) {
        Kind::Heavier
    } else if beyond.iter().any(|beyond| time(&beyond)) {
        Kind::Faster
    } else {
        Kind::Lighter
    };
    Some((kind, beyond.iter().map(|beyond| figure(board, beyond)).collect()))
}

/// Whether a connection where there was none may be a check that is no longer made.
fn is_suspect(before: &Known, after: &Known) -> bool {
    before.outcome.verify_flags.is_some()
        || after.surprise
        || after.cause.as_deref() == Some(Cause::VerifyFailureIgnored.key())
}

fn figure(board: &str, beyond: &Beyond) -> Field {
    let Beyond { figure, expected, slack, seen } = beyond;
    #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
    let percent = |part: f64| 100.0 * part / (*expected).max(1) as f64;
    #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
    let (off, allowed) = (percent(*seen as f64 - *expected as f64), percent(*slack as f64));
    Field {
        name: format!("{board}.{figure}"),
        before: expected.to_string(),
        after: format!("{seen} ({off:+.1} %, {allowed:.1} % allowed)"),
    }
}
