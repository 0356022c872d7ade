//! The end of a run for a person: what connects, what does not, why, and what to change.
//!
//! Pure: records in, text out. Cells that did not connect come first, grouped by the reason, so
//! that a sentence stands once and not twenty times.

use console::Style;
use reports::diagnosis::{Cause, Diagnosis, alert_text};
use reports::record::{CellRecord, Latency, Verdict};
use std::fmt::Write as _;
use suites::names;
use suites::outcome::{Close, End, Outcome, OutcomeKind, phase_name};
use wire::message::ClockUnit;

/// How text is marked up; with colours off it is plain.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    /// Whether the reader's terminal shows colours.
    pub colours: bool,
}

impl Paint {
    fn style(self, style: Style, text: &str) -> String {
        style.force_styling(self.colours).apply_to(text).to_string()
    }

    fn bold(self, text: &str) -> String {
        self.style(Style::new().bold(), text)
    }

    fn dim(self, text: &str) -> String {
        self.style(Style::new().dim(), text)
    }

    /// The verdict as a word; colour only underlines it.
    fn verdict(self, verdict: Verdict) -> String {
        let (word, style) = match verdict {
            Verdict::Match => ("as expected", Style::new().green()),
            Verdict::Changed => ("CHANGED", Style::new().red().bold()),
            Verdict::Surprise => ("SURPRISE", Style::new().red().bold()),
            Verdict::New => ("new", Style::new().yellow()),
            Verdict::Fault => ("RIG FAULT", Style::new().magenta().bold()),
            Verdict::Unsupported => ("unsupported", Style::new().dim()),
            Verdict::Skipped => ("skipped", Style::new().dim()),
        };
        self.style(style, &format!("{word:<11}"))
    }
}

/// The whole summary; ends with a line feed.
#[must_use]
pub fn render(cells: &[CellRecord], paint: Paint) -> String {
    let mut out = String::new();
    let width = cells.iter().map(|cell| name(cell).chars().count()).max().unwrap_or(0);
    let (connected, others): (Vec<_>, Vec<_>) =
        cells.iter().partition(|cell| cell.outcome.result == OutcomeKind::Connected);
    let (faults, failed): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|cell| cell.diagnosis.is_none());
    if !faults.is_empty() {
        section(&mut out, paint, "No result", faults.len());
        for cell in faults {
            line(&mut out, paint, cell, width);
            if let Some(note) = &cell.note {
                put(&mut out, 4, note);
            }
        }
    }
    if !failed.is_empty() {
        section(&mut out, paint, "Did not connect", failed.len());
        for group in groups(failed) {
            reason(&mut out, paint, &group, width);
        }
    }
    if !connected.is_empty() {
        section(&mut out, paint, "Connected", connected.len());
        for cell in connected {
            line(&mut out, paint, cell, width);
        }
    }
    out
}

/// Counts of verdicts in one line, the bad ones first.
#[must_use]
pub fn totals(cells: &[CellRecord]) -> String {
    let words = [
        (Verdict::Fault, "fault of the rig"),
        (Verdict::Changed, "changed"),
        (Verdict::Surprise, "surprise"),
        (Verdict::New, "new"),
        (Verdict::Match, "as expected"),
        (Verdict::Unsupported, "unsupported"),
        (Verdict::Skipped, "skipped"),
    ];
    let counted: Vec<_> = words
        .into_iter()
        .map(|(verdict, word)| (cells.iter().filter(|cell| cell.verdict == verdict).count(), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    counted.join(", ")
}

fn section(out: &mut String, paint: Paint, title: &str, count: usize) {
    put(out, 0, &paint.bold(&format!("{title} ({count})")));
}

fn put(out: &mut String, indent: usize, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{:indent$}{text}", "");
}

fn name(cell: &CellRecord) -> String {
    format!("{} -> {}", cell.client, cell.broker)
}

fn line(out: &mut String, paint: Paint, cell: &CellRecord, width: usize) {
    let text = format!(
        "{} {:width$}  {}{}",
        paint.verdict(cell.verdict),
        name(cell),
        outcome(&cell.outcome),
        cell.latency
            .as_ref()
            .map(|latency| format!("  {}", paint.dim(&duration(latency))))
            .unwrap_or_default(),
    );
    put(out, 4, text.trim_end());
    for change in &cell.changes {
        put(
            out,
            16,
            &format!("{}: expected {}, saw {}", change.field, change.expected, change.seen),
        );
    }
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

fn reason(out: &mut String, paint: Paint, group: &(&Diagnosis, Vec<&CellRecord>), width: usize) {
    let (diagnosis, cells) = group;
    put(out, 2, &format!("{}: {}", paint.bold(diagnosis.cause.key()), diagnosis.summary));
    for cell in cells {
        line(out, paint, cell, width);
    }
    if let Some(fix) = diagnosis.fix.first() {
        put(out, 4, &format!("{} {fix}", paint.bold("fix:")));
    }
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
            format!("alert {} from the {from}", alert_text(alert.code))
        }
        (None, Close::Fin) => "broker closed without an alert".to_owned(),
        (None, Close::Rst) => "broker reset the connection".to_owned(),
        (None, Close::None) => "client gave up".to_owned(),
    }
}

/// A cell's computing time in a few words.
#[must_use]
pub fn duration(latency: &Latency) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let total = latency.total as f64;
    match latency.unit {
        ClockUnit::Instructions => format!("{:.2} M instructions", total / 1e6),
        ClockUnit::Cycles => format!("{:.2} M cycles", total / 1e6),
        ClockUnit::Nanoseconds => format!("{:.2} ms", total / 1e6),
    }
}
