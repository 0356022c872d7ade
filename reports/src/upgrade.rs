//! Who still connects after an upgrade of the TLS library, and what it costs.
//!
//! ```text
//! run.json (plan), cells.jsonl --Upgrades::of--> a table for each macro set and profile --text--> people
//! ```
//!
//! A table has a column for each stack and a row for each broker. Its clients differ in nothing but the
//! stack: the same macro set, the same calls. Any run can be read so; the suite `upgrades` on the
//! emulated board is made for it, because only there time is counted in instructions and the code is
//! that of the device.

use crate::diagnosis::Cause;
use crate::record::{CellRecord, Run, Verdict};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::fmt::Write as _;
use suites::outcome::OutcomeKind;
use suites::{CellId, ClientName};
use wire::message::ClockUnit;
use wire::tls::{CipherSuite, ProtocolVersion};

/// Every table that a run has cells for, in the order of its plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Upgrades(pub Vec<Table>);

/// What one macro set with one profile meets, stack by stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Table {
    /// Macro set and content length, for example `rsa-16384`.
    pub variant: String,
    /// The client profile.
    pub profile: String,
    /// The columns.
    pub stacks: Vec<Stack>,
    /// The rows.
    pub brokers: Vec<Row>,
}

/// One column: a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stack {
    /// Its name, for example `mbedtls-2.28`.
    pub name: String,
    /// Code and constants of its image in bytes, where the run was on a microcontroller.
    pub code_bytes: Option<u64>,
}

/// One row: a broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Row {
    /// Its profile.
    pub broker: String,
    /// What each stack met, in the order of the columns; `None` where the run has no such cell.
    pub met: Vec<Option<Met>>,
}

/// What became of one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Met {
    /// What became of it.
    pub result: OutcomeKind,
    /// Whether it was not run at all, for a stated reason.
    pub skipped: bool,
    /// Negotiated version, as far as it went.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "Option<String>")]
    pub version: Option<ProtocolVersion>,
    /// Negotiated cipher suite, as far as it went.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "Option<String>")]
    pub cipher_suite: Option<CipherSuite>,
    /// Why it did not connect.
    pub cause: Option<Cause>,
    /// Instructions of the whole cell, where the board counts them.
    pub instructions: Option<u64>,
    /// Most heap bytes in use at one time.
    pub heap_peak_bytes: Option<u64>,
}

/// As in a cell's record, not as a bare number.
fn as_text<T: ToString, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(to)
}

impl Upgrades {
    /// Puts the cells of a run side by side.
    #[must_use]
    pub fn of(run: &Run, cells: &[CellRecord]) -> Self {
        let finished: HashMap<&CellId, &CellRecord> =
            cells.iter().map(|cell| (&cell.cell, cell)).collect();
        let mut tables: Vec<Table> = Vec::new();
        for planned in &run.plan {
            let ClientName { build, profile } = &planned.client;
            let table = find_or_add(
                &mut tables,
                |table| table.variant == build.variant() && table.profile == *profile,
                || Table {
                    variant: build.variant().to_owned(),
                    profile: profile.clone(),
                    stacks: Vec::new(),
                    brokers: Vec::new(),
                },
            );
            let cell = finished.get(planned).copied();
            let column = table.column(build.stack());
            if let Some(stack) = table.stacks.get_mut(column) {
                let image = cell.and_then(|cell| cell.image.as_ref());
                stack.code_bytes = stack.code_bytes.or(image.and_then(|image| image.code_bytes));
            }
            let row = find_or_add(
                &mut table.brokers,
                |row| row.broker == planned.broker,
                || Row { broker: planned.broker.clone(), met: Vec::new() },
            );
            if row.met.len() <= column {
                row.met.resize(column + 1, None);
            }
            if let Some(met) = row.met.get_mut(column) {
                *met = cell.map(Met::of);
            }
        }
        for table in &mut tables {
            let columns = table.stacks.len();
            table.brokers.iter_mut().for_each(|row| row.met.resize(columns, None));
        }
        Self(tables)
    }

    /// The tables for people. Each line ends with a line feed.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.iter().map(Table::text).collect::<Vec<_>>().join("\n")
    }
}

/// The first that fits; a new one at the end if none does.
fn find_or_add<T>(list: &mut Vec<T>, fits: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    let found = list.iter().position(fits);
    let index = found.unwrap_or_else(|| {
        list.push(new());
        list.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "it was found there, or put there")]
    &mut list[index]
}

impl Table {
    /// Number of the stack's column; a new one if it has none.
    fn column(&mut self, stack: &str) -> usize {
        let known = self.stacks.iter().position(|known| known.name == stack);
        known.unwrap_or_else(|| {
            self.stacks.push(Stack { name: stack.to_owned(), code_bytes: None });
            self.stacks.len() - 1
        })
    }

    fn text(&self) -> String {
        let code = |stack: &Stack| stack.code_bytes.map_or_else(|| "?".to_owned(), kilobytes);
        let mut lines = vec![
            line(format!("{}+{}", self.variant, self.profile), &self.stacks, |stack| {
                stack.name.clone()
            }),
            line("code".to_owned(), &self.stacks, code),
        ];
        for row in &self.brokers {
            lines.push(line(row.broker.clone(), &row.met, |met| {
                met.as_ref().map_or_else(|| "not run".to_owned(), Met::text)
            }));
        }
        let columns = self.stacks.len() + 1;
        let widths: Vec<_> = (0..columns)
            .map(|column| lines.iter().filter_map(|line| line.get(column)).map(String::len).max())
            .collect();
        let mut text = String::new();
        for line in &lines {
            let mut padded = String::new();
            for (part, width) in line.iter().zip(&widths) {
                let width = width.unwrap_or_default();
                // Writing to a string cannot fail.
                let _ = write!(padded, "{part:width$}  ");
            }
            let _ = writeln!(text, "{}", padded.trim_end());
        }
        text
    }
}

fn line<T>(first: String, rest: &[T], text: impl Fn(&T) -> String) -> Vec<String> {
    std::iter::once(first).chain(rest.iter().map(text)).collect()
}

impl Met {
    fn of(cell: &CellRecord) -> Self {
        let outcome = &cell.outcome;
        let failed = outcome.result != OutcomeKind::Connected;
        let counted = cell.latency.as_ref().filter(|it| it.unit == ClockUnit::Instructions);
        Self {
            result: outcome.result,
            skipped: cell.verdict == Verdict::Skipped,
            version: outcome.version,
            cipher_suite: outcome.cipher_suite,
            cause: cell.diagnosis.as_ref().filter(|_| failed).map(|diagnosis| diagnosis.cause),
            instructions: counted.map(|latency| latency.total),
            heap_peak_bytes: cell.heap_peak_bytes,
        }
    }

    /// What it costs, or why it does not connect.
    #[must_use]
    pub fn text(&self) -> String {
        match (self.result, self.cause) {
            _ if self.skipped => "skipped".to_owned(),
            (OutcomeKind::Connected, _) => {
                let instructions = self.instructions.map(millions);
                let heap = self.heap_peak_bytes.map(|bytes| format!("heap {}", kilobytes(bytes)));
                let cost: Vec<_> = instructions.into_iter().chain(heap).collect();
                if cost.is_empty() { "connects".to_owned() } else { cost.join(", ") }
            }
            (_, Some(cause)) => format!("no: {}", cause.key()),
            (result, None) => result.to_string(),
        }
    }
}

pub(crate) fn kilobytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) / 1024;
    format!("{}.{} KB", tenths / 10, tenths % 10)
}

fn millions(instructions: u64) -> String {
    let hundredths = instructions / 10_000;
    format!("{}.{:02} M", hundredths / 100, hundredths % 100)
}
