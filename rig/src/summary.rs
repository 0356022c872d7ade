//! The end of a run for a person: what connects, what does not, why, and what to change.
//!
//! Pure: records in, text out. Cells that are not as predicted come first. Those that did not
//! connect are grouped by the reason, so that a sentence stands once and not twenty times. Of a run
//! of more cells than anybody reads, those that are as expected are counted and not listed.

use console::Style;
use reports::alike::{Alike, EXAMPLES, alike};
use reports::diagnosis::{Cause, Diagnosis};
use reports::record::{CellRecord, Recovery, Verdict};
use reports::words;
pub use reports::words::{duration, outcome, totals};
use std::fmt::Write as _;
use suites::known::Deviation;
use suites::outcome::OutcomeKind;
use suites::snapshot::Change;

/// How text is marked up; with colours off it is plain.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    /// Whether the reader's terminal shows colours.
    pub colours: bool,
    /// Columns of the reader's terminal, to wrap sentences at; `None` for a file or a pipe.
    pub width: Option<usize>,
}

impl Paint {
    fn style(self, style: Style, text: &str) -> String {
        style.force_styling(self.colours).apply_to(text).to_string()
    }

    /// A sentence, wrapped, with its later lines indented like its first.
    pub(crate) fn sentence(self, out: &mut String, indent: usize, text: &str) {
        let Some(width) = self.width else { return put(out, indent, text) };
        let margin = " ".repeat(indent);
        let options = textwrap::Options::new(width.max(40))
            .initial_indent(&margin)
            .subsequent_indent(&margin)
            .break_words(false);
        for line in textwrap::wrap(text, options) {
            put(out, 0, &line);
        }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.style(Style::new().bold(), text)
    }

    fn dim(self, text: &str) -> String {
        self.style(Style::new().dim(), text)
    }

    /// The verdict as a word; colour only underlines it.
    fn verdict(self, cell: &CellRecord) -> String {
        let (word, style) = match cell.verdict {
            _ if cell.known.is_some() => ("known", Style::new().yellow()),
            Verdict::Match => ("expected", Style::new().green()),
            Verdict::Changed => ("CHANGED", Style::new().red().bold()),
            Verdict::Surprise => ("SURPRISE", Style::new().red().bold()),
            Verdict::New => ("new", Style::new().yellow()),
            Verdict::Fault => ("FAULT", Style::new().magenta().bold()),
            Verdict::Unsupported => ("unable", Style::new().dim()),
            Verdict::Skipped => ("skipped", Style::new().dim()),
        };
        self.style(style, &format!("{word:<8}"))
    }
}

/// Up to so many cells a run lists all of them.
const LISTED: usize = 500;

/// The whole summary; ends with a line feed.
#[must_use]
pub fn render(cells: &[CellRecord], paint: Paint) -> String {
    let mut out = String::new();
    let table = Table::of(cells, paint);
    if let Some(stack) = &table.stack {
        put(&mut out, 0, &format!("All clients are builds of {stack}."));
    }
    let (surprises, as_predicted): (Vec<_>, Vec<_>) =
        cells.iter().partition(|cell| cell.verdict == Verdict::Surprise);
    if !surprises.is_empty() {
        section(&mut out, paint, "Not as predicted", surprises.len());
        for one in alike(surprises, |cell| &cell.cell, words::way) {
            match &one.cells[..] {
                [cell] => surprise(&mut out, &table, cell),
                _ => table.group(&mut out, &one),
            }
        }
    }
    let (connected, others): (Vec<_>, Vec<_>) =
        as_predicted.into_iter().partition(|cell| cell.outcome.result == OutcomeKind::Connected);
    let (faults, failed): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|cell| cell.diagnosis.is_none());
    if !faults.is_empty() {
        section(&mut out, paint, "No result", faults.len());
        table.list(&mut out, &faults, |out, cell| {
            if let Some(note) = &cell.note {
                paint.sentence(out, 4, note);
            }
        });
    }
    if !failed.is_empty() {
        section(&mut out, paint, "Did not connect", failed.len());
        for group in groups(failed) {
            reason(&mut out, &table, &group);
        }
    }
    if !connected.is_empty() {
        section(&mut out, paint, "Connected", connected.len());
        table.list(&mut out, &connected, |_, _| {});
    }
    out
}

/// A cell that became something else than was stated, and in which fields.
fn surprise(out: &mut String, table: &Table, cell: &CellRecord) {
    table.line(out, cell);
    for Change { field, expected, seen } in &cell.surprises {
        put(out, 13, &format!("{field}: predicted {expected}, saw {seen}"));
    }
    if let Some(predicted) = &cell.predicted {
        let why = format!("predicted because {}", predicted.why);
        table.paint.sentence(out, 13, &why);
    }
    if let Some(diagnosis) = &cell.diagnosis {
        let seen = format!("{}: {}", diagnosis.cause.key(), diagnosis.summary);
        table.paint.sentence(out, 13, &seen);
    }
}

/// What was done about the board before this result, or after it, in vain.
fn brought_back(cell: &CellRecord, recovery: &Recovery) -> String {
    let CellRecord { board, .. } = cell;
    let steps: Vec<_> = recovery
        .steps
        .iter()
        .map(|step| match &step.failed {
            None => format!("{} helped", step.step),
            Some(_) => format!("{} did not help", step.step),
        })
        .collect();
    let steps = match steps.is_empty() {
        true => String::new(),
        false => format!(" ({})", steps.join(", ")),
    };
    let which = if cell.tries > 1 { "second try" } else { "before it" };
    format!("{which}: board {} had to be brought back: {}{steps}", board.name, recovery.why)
}

fn is_calm(cell: &CellRecord) -> bool {
    cell.verdict.is_expected() || cell.verdict == Verdict::New
}

fn section(out: &mut String, paint: Paint, title: &str, count: usize) {
    put(out, 0, &paint.bold(&format!("{title} ({count})")));
}

fn put(out: &mut String, indent: usize, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{:indent$}{text}", "");
}

/// How cells are lined up.
struct Table {
    paint: Paint,
    /// Whether cells that are as expected are listed, too.
    all: bool,
    /// The stack of every client, if it is the same: then it is said once.
    stack: Option<String>,
    /// Width of the widest `client -> broker`.
    names: usize,
    /// Width of the widest cost.
    costs: usize,
}

impl Table {
    fn of(cells: &[CellRecord], paint: Paint) -> Self {
        let first = cells.first().map(|cell| cell.build.stack().to_owned());
        let stack = first.filter(|stack| cells.iter().all(|cell| cell.build.stack() == stack));
        let all = cells.len() <= LISTED;
        let mut table = Self { paint, all, stack, names: 0, costs: 0 };
        let listed: Vec<_> = cells.iter().filter(|cell| table.lists(cell)).collect();
        table.names = listed.iter().map(|cell| table.name(cell).len()).max().unwrap_or(0);
        table.costs = listed.iter().map(|cell| cost(cell).len()).max().unwrap_or(0);
        table
    }

    fn lists(&self, cell: &CellRecord) -> bool {
        self.all || !cell.verdict.is_expected()
    }

    /// A line for each cell that is listed, with what stands below it, and one that counts the rest.
    fn list(
        &self,
        out: &mut String,
        cells: &[&CellRecord],
        below: impl Fn(&mut String, &CellRecord),
    ) {
        let (listed, counted): (Vec<_>, Vec<_>) =
            cells.iter().copied().partition(|cell| self.lists(cell));
        // Cells that are as expected, or have nothing to differ from, are listed one by one.
        let (calm, loud): (Vec<_>, Vec<_>) = listed.into_iter().partition(|cell| is_calm(cell));
        for one in alike(loud, |cell| &cell.cell, words::way) {
            match &one.cells[..] {
                [cell] => {
                    self.line(out, cell);
                    below(out, cell);
                }
                _ => self.group(out, &one),
            }
        }
        for cell in calm {
            self.line(out, cell);
            below(out, cell);
        }
        if !counted.is_empty() {
            put(out, 4, &format!("not listed: {}", totals(counted)));
        }
    }

    fn name(&self, cell: &CellRecord) -> String {
        let client = cell.client.to_string();
        let short = self.stack.as_ref().and_then(|stack| client.strip_prefix(stack.as_str()));
        let short = short.map(|rest| rest.trim_start_matches('/'));
        format!("{} -> {}", short.unwrap_or(&client), cell.broker)
    }

    /// Cells to which the same happened, once.
    fn group(&self, out: &mut String, one: &Alike<'_, CellRecord>) {
        let Some(first) = one.cells.first() else { return };
        put(out, 4, &format!("{} {}", self.paint.verdict(first), self.paint.bold(&one.who)));
        self.paint.sentence(out, 13, &words::together(&one.cells));
        if let (Verdict::Surprise, Some(diagnosis)) = (first.verdict, &first.diagnosis) {
            let seen = format!("{}: {}", diagnosis.cause.key(), diagnosis.summary);
            self.paint.sentence(out, 13, &seen);
        }
        for cell in one.cells.iter().take(EXAMPLES) {
            put(out, 13, &self.name(cell));
        }
        put(out, 13, &format!("and {} more, all of them in the report", one.more()));
    }

    fn line(&self, out: &mut String, cell: &CellRecord) {
        let (names, costs) = (self.names, self.costs);
        let text = format!(
            "{} {:names$}  {}  {}",
            self.paint.verdict(cell),
            self.name(cell),
            self.paint.dim(&format!("{:>costs$}", cost(cell))),
            outcome(&cell.outcome),
        );
        put(out, 4, text.trim_end());
        if let Some(recovery) = &cell.recovery {
            put(out, 13, &brought_back(cell, recovery));
        }
        for change in &cell.changes {
            let Change { field, expected, seen } = change;
            put(out, 13, &format!("{field}: expected {expected}, saw {seen}"));
        }
        if let Some(Deviation { reason, link, .. }) = &cell.known {
            self.paint.sentence(out, 13, &format!("known: {reason} ({link})"));
        }
    }
}

fn cost(cell: &CellRecord) -> String {
    cell.latency.as_ref().map(duration).unwrap_or_default()
}

/// Cells that failed for the same stated reason, in the order of the first of each.
fn groups(cells: Vec<&CellRecord>) -> Vec<(&Diagnosis, Vec<&CellRecord>)> {
    let mut groups: Vec<(&Diagnosis, Vec<&CellRecord>)> = Vec::new();
    for cell in cells {
        let Some(diagnosis) = &cell.diagnosis else { continue };
        match groups.iter_mut().find(|(known, _)| known.summary == diagnosis.summary) {
            Some((_, members)) => members.push(cell),
            None => groups.push((diagnosis, vec![cell])),
        }
    }
    // The case that gives its victims the least to go by comes first.
    groups.sort_by_key(|(diagnosis, _)| diagnosis.cause != Cause::NoCiphersuiteOffered);
    groups
}

fn reason(out: &mut String, table: &Table, group: &(&Diagnosis, Vec<&CellRecord>)) {
    let (diagnosis, cells) = group;
    let paint = table.paint;
    let cause = paint.bold(diagnosis.cause.key());
    paint.sentence(out, 2, &format!("{cause}: {}", diagnosis.summary));
    table.list(out, cells, |_, _| {});
    if let Some(fix) = diagnosis.fix.first() {
        paint.sentence(out, 4, &format!("{} {fix}", paint.bold("fix:")));
    }
}
