//! What a record says in a few words: the same on the console and in every report.

use crate::diagnosis::alert_text;
use crate::record::{CellRecord, Latency, Verdict};
use suites::names;
use suites::outcome::{Close, End, Outcome, OutcomeKind, phase_name};
use suites::snapshot::Change;
use wire::message::ClockUnit;

/// A verdict as a reader says it, for example "as expected".
#[must_use]
pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fault => "fault of the rig",
        Verdict::Surprise => "not as predicted",
        Verdict::Changed => "changed",
        Verdict::New => "new",
        Verdict::Match => "as expected",
        Verdict::Unsupported => "unsupported",
        Verdict::Skipped => "skipped",
    }
}

/// Every verdict, the bad ones first.
pub const VERDICTS: [Verdict; 7] = [
    Verdict::Fault,
    Verdict::Surprise,
    Verdict::Changed,
    Verdict::New,
    Verdict::Match,
    Verdict::Unsupported,
    Verdict::Skipped,
];

/// Whether results of this kind of board come from an emulated device or from a process of the
/// host: they say what the library does, and nothing about silicon.
#[must_use]
pub fn is_emulated(kind: &str) -> bool {
    matches!(kind, "native" | "qemu")
}

/// Counts of verdicts in one line, the bad ones first.
#[must_use]
pub fn totals<'a>(cells: impl IntoIterator<Item = &'a CellRecord> + Clone) -> String {
    let counted = VERDICTS.into_iter().flat_map(|word| [(word, false), (word, true)]);
    let counted: Vec<_> = counted
        .map(|(word, known)| {
            let of_it = |cell: &&CellRecord| cell.verdict == word && cell.known.is_some() == known;
            (cells.clone().into_iter().filter(of_it).count(), word, known)
        })
        .filter(|(count, ..)| *count > 0)
        .map(|(count, word, known)| {
            format!("{count} {}{}", verdict(word), if known { " (known)" } else { "" })
        })
        .collect();
    counted.join(", ")
}

/// An outcome in a few words.
#[must_use]
pub fn outcome(outcome: &Outcome) -> String {
    let stage = outcome.stage.map(|stage| format!(" in {}", phase_name(stage))).unwrap_or_default();
    match outcome.result {
        OutcomeKind::Connected => {
            let version = outcome.version.map(|version| version.to_string()).unwrap_or_default();
            let suite = outcome.cipher_suite.map(|suite| {
                let name = names::cipher_suite_name(suite).unwrap_or("unknown suite");
                format!("{suite} {name}")
            });
            format!("{version} {}", suite.unwrap_or_default())
        }
        OutcomeKind::Failed => {
            let what = outcome.error.clone().or_else(|| outcome.mqtt.clone()).unwrap_or_default();
            format!("{what}{stage}, {}", end(outcome))
        }
        OutcomeKind::TimedOut => format!("timed out{stage}"),
        OutcomeKind::Unsupported | OutcomeKind::RigFault => outcome.result.to_string(),
    }
}

fn end(outcome: &Outcome) -> String {
    match (&outcome.alert, outcome.close) {
        (Some(alert), _) => {
            let from = match alert.from {
                End::Client => "client",
                End::Broker => "broker",
            };
            format!("{from}'s alert {}", alert_text(alert.code))
        }
        (None, Close::Fin) => "closed without an alert".to_owned(),
        (None, Close::Rst) => "connection reset".to_owned(),
        (None, Close::None) => "client gave up".to_owned(),
    }
}

/// A cell's computing time in a few words.
#[must_use]
pub fn duration(latency: &Latency) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let total = latency.total as f64;
    match latency.unit {
        ClockUnit::Instructions => format!("{:.2} M instr", total / 1e6),
        ClockUnit::Cycles => format!("{:.2} M cycles", total / 1e6),
        ClockUnit::Nanoseconds => format!("{:.2} ms", total / 1e6),
    }
}

/// How a cell differs from its snapshot, in one line.
#[must_use]
pub fn changes(cell: &CellRecord) -> String {
    let timed_out = cell.outcome.result == OutcomeKind::TimedOut && cell.changes.is_empty();
    match timed_out {
        true => "timed out, which never satisfies a snapshot".to_owned(),
        false => fields(&cell.changes, "expected"),
    }
}

/// How a cell differs from what was predicted, in one line.
#[must_use]
pub fn surprises(cell: &CellRecord) -> String {
    fields(&cell.surprises, "predicted")
}

/// In what way a cell needs a look, in words that are the same for cells to which the same happened:
/// what was seen, in which fields, and the cause. What was expected may differ from cell to cell.
#[must_use]
pub fn way(cell: &CellRecord) -> String {
    let cause = cell.diagnosis.as_ref().map(|diagnosis| diagnosis.cause.key());
    let note = cell.note.as_deref().unwrap_or_default();
    let result = differing(cell).iter().find(|change| change.field == "result");
    // Another result says it all; which other fields are gone with it depends on what there was.
    let fields = result.map_or_else(|| differing(cell), std::slice::from_ref);
    let fields = fields.iter().map(|change| format!("{} {}", change.field, change.seen));
    let fields = fields.collect::<Vec<_>>().join("; ");
    let cause = cause.unwrap_or_default();
    format!("{} {} {fields} {note} {cause}", verdict(cell.verdict), outcome(&cell.outcome))
}

/// What happened to cells that need a look in the same [`way`].
#[must_use]
pub fn together(cells: &[&CellRecord]) -> String {
    let Some(first) = cells.first() else { return String::new() };
    let stated = if first.verdict == Verdict::Surprise { "predicted" } else { "expected" };
    let differs = differing(first);
    if differs.is_empty() {
        let note = || outcome(&first.outcome).trim().to_owned();
        return first.note.clone().unwrap_or_else(note);
    }
    let expected = |field: &str| {
        let mut all = cells.iter().flat_map(|cell| differing(cell));
        let mut all = all.by_ref().filter(|change| change.field == field);
        let one = all.next().map_or("", |change| &change.expected);
        if all.all(|change| change.expected == one) { one } else { "several" }
    };
    if let Some(Change { field, seen, .. }) = differs.iter().find(|one| one.field == "result") {
        let now = outcome(&first.outcome);
        return format!("{stated} {}, saw {seen}: {}", expected(field), now.trim());
    }
    let each = differs.iter().map(|Change { field, seen, .. }| {
        format!("{field}: {stated} {}, saw {seen}", expected(field))
    });
    each.collect::<Vec<_>>().join("; ")
}

fn differing(cell: &CellRecord) -> &[Change] {
    match cell.verdict {
        Verdict::Surprise => &cell.surprises,
        Verdict::Changed => &cell.changes,
        _ => &[],
    }
}

fn fields(changes: &[Change], stated: &str) -> String {
    let each = changes.iter().map(|Change { field, expected, seen }| {
        format!("{field}: {stated} {expected}, saw {seen}")
    });
    each.collect::<Vec<_>>().join("; ")
}
