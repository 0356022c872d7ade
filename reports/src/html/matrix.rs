//! The matrix: a row for each client, a column for each broker, a square for each cell.

use crate::record::{CellRecord, Verdict};
use crate::words;
use crate::writers::Recorded;
use std::collections::{HashMap, HashSet};
use suites::cell::{CellId, ClientName};
use suites::outcome::OutcomeKind;

/// Clients by brokers, both in the order of the plan.
pub(super) struct Matrix<'a> {
    pub brokers: Vec<&'a str>,
    pub rows: Vec<Row<'a>>,
}

/// One client.
pub(super) struct Row<'a> {
    pub client: &'a ClientName,
    /// One for each broker.
    pub squares: Vec<Square<'a>>,
}

/// What stands where a client and a broker meet.
pub(super) enum Square<'a> {
    /// The plan has no such cell.
    Unplanned,
    /// The run ended before it.
    Unfinished,
    /// It is finished.
    Cell(Mark<'a>),
}

/// A cell as one square shows it.
pub(super) struct Mark<'a> {
    pub cell: &'a CellId,
    pub record: &'a CellRecord,
    /// What became of it, as the style's class.
    pub kind: &'static str,
    /// The same as a sign, for readers who tell colours apart badly.
    pub sign: &'static str,
    /// What fits beside the sign: a version, an error.
    pub hint: String,
    /// The verdict's key.
    pub verdict: &'static str,
    /// The diagnosed cause's key; empty without a diagnosis.
    pub cause: &'static str,
    /// The square in words, for readers who do not see it.
    pub label: String,
}

impl<'a> Matrix<'a> {
    pub fn of(recorded: &'a Recorded) -> Self {
        let finished: HashMap<&CellId, &CellRecord> =
            recorded.cells.iter().map(|cell| (&cell.cell, cell)).collect();
        let planned: HashSet<&CellId> = recorded.run.plan.iter().collect();
        let all = || recorded.run.plan.iter().chain(recorded.cells.iter().map(|cell| &cell.cell));
        let brokers = each_once(all().map(|cell| cell.broker.as_str()));
        let clients = each_once(all().map(|cell| &cell.client));
        let square = |client: &ClientName, broker: &str| {
            let cell = CellId { client: client.clone(), broker: broker.to_owned() };
            match finished.get(&cell) {
                Some(record) => Square::Cell(Mark::of(record)),
                None if planned.contains(&cell) => Square::Unfinished,
                None => Square::Unplanned,
            }
        };
        let row = |client| Row {
            client,
            squares: brokers.iter().map(|broker| square(client, broker)).collect(),
        };
        let rows = clients.into_iter().map(row).collect();
        Self { brokers, rows }
    }

    /// The finished cells of each row.
    pub fn records(&self) -> Vec<Vec<&'a CellRecord>> {
        let record = |square: &Square<'a>| match square {
            Square::Cell(mark) => Some(mark.record),
            Square::Unplanned | Square::Unfinished => None,
        };
        self.rows.iter().map(|row| row.squares.iter().filter_map(record).collect()).collect()
    }
}

impl<'a> Mark<'a> {
    pub fn of(record: &'a CellRecord) -> Self {
        let (kind, sign) = kind(record);
        let hint = match kind {
            "connected" => record.outcome.version.map(|version| version.to_string()),
            _ => record.outcome.error.clone().or_else(|| record.outcome.mqtt.clone()),
        };
        let cause = record.diagnosis.as_ref().map_or("", |diagnosis| diagnosis.cause.key());
        Self {
            cell: &record.cell,
            record,
            kind,
            sign,
            hint: hint.map(short).unwrap_or_default(),
            verdict: verdict_key(record.verdict),
            cause,
            label: format!("{}, {}", said(kind), words::verdict(record.verdict)),
        }
    }

    /// What became of it, in words.
    pub fn said(&self) -> &'static str {
        said(self.kind)
    }
}

/// What became of a cell, and its sign.
fn kind(record: &CellRecord) -> (&'static str, &'static str) {
    match (record.verdict, record.outcome.result) {
        (Verdict::Skipped, _) => ("skipped", "○"),
        (_, OutcomeKind::Connected) => ("connected", "✓"),
        (_, OutcomeKind::Failed) => ("failed", "✕"),
        (_, OutcomeKind::TimedOut) => ("timed_out", "…"),
        (_, OutcomeKind::Unsupported) => ("unsupported", "–"),
        (_, OutcomeKind::RigFault) => ("rig_fault", "?"),
    }
}

fn said(kind: &'static str) -> &'static str {
    match kind {
        "failed" => "did not connect",
        "timed_out" => "timed out",
        "rig_fault" => "fault of the rig",
        "unsupported" => "not possible with this build",
        other => other,
    }
}

/// A verdict's key, as in JSON.
pub(super) fn verdict_key(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Match => "match",
        Verdict::Changed => "changed",
        Verdict::New => "new",
        Verdict::Surprise => "surprise",
        Verdict::Unsupported => "unsupported",
        Verdict::Skipped => "skipped",
        Verdict::Fault => "fault",
    }
}

/// `TLS1.2` as `1.2`, `-0x7280` as `7280`, `connack:5` as `5`: there is room for four characters.
fn short(hint: String) -> String {
    let short = hint.trim_start_matches("TLS").trim_start_matches("-0x");
    short.trim_start_matches("connack:").chars().take(4).collect()
}

fn each_once<T: Copy + Eq + std::hash::Hash>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    all.filter(|one| seen.insert(*one)).collect()
}
