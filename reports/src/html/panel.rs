//! One cell in full, as markup in parts. Cells of one client share many of them: its hello, a
//! prediction, a diagnosis.

use super::cost::{self, Bars};
use super::files::{self, LogEnd};
use super::flow::{self, Line};
use super::hello::{self, Offer};
use super::matrix::Mark;
use super::text::bounded;
use crate::diagnosis::{Diagnosis, suite_text};
use crate::record::{self, CellRecord, HelloRecord, Latency};
use crate::words;
use crate::writers::Recorded;
use askama::Template;
use std::io;
use suites::names;
use suites::predict::{Elimination, Predicted, Step};
use suites::snapshot::Change;

/// Sentences longer than this are cut; the whole of them is in `cells.jsonl`.
const SENTENCE: usize = 1200;

#[derive(Template)]
#[template(path = "panel/outcome.html")]
struct OutcomePart<'a> {
    cell: &'a CellRecord,
    mark: Mark<'a>,
    emulated: bool,
    outcome: String,
    verdict: &'static str,
    note: Option<String>,
    recovery: Option<String>,
    changes: Vec<Row>,
    surprises: Vec<Row>,
}

#[derive(Template)]
#[template(path = "panel/diagnosis.html")]
struct DiagnosisPart {
    cause: &'static str,
    summary: String,
    evidence: Vec<String>,
    fix: Vec<String>,
    candidates: Vec<String>,
}

#[derive(Template)]
#[template(path = "panel/prediction.html")]
struct PredictionPart<'a> {
    outcome: String,
    predicted: &'a Predicted,
}

#[derive(Template)]
#[template(path = "panel/hello.html")]
struct HelloPart<'a> {
    hello: &'a HelloRecord,
    offers: Vec<Offer>,
}

#[derive(Template)]
#[template(path = "panel/flow.html")]
struct FlowPart {
    lines: Vec<Line>,
}

#[derive(Template)]
#[template(path = "panel/cost.html")]
struct CostPart {
    total: Option<String>,
    wall: String,
    bars: Vec<Bars>,
    heap: Option<u64>,
    stack: Option<u64>,
}

#[derive(Template)]
#[template(path = "panel/log.html")]
struct LogPart {
    log: LogEnd,
}

#[derive(Template)]
#[template(path = "panel/files.html")]
struct FilesPart {
    files: Vec<(&'static str, &'static str, String)>,
}

/// What differs, field by field.
struct Row {
    field: String,
    stated: String,
    seen: String,
}

/// The files of a cell that a panel links to, if they are there, and what each is.
const FILES: [(&str, &str); 3] = [
    ("device.log", "the device's own words"),
    ("transcript.jsonl", "everything that was seen, in the order of time"),
    ("capture.pcapng", "for Wireshark"),
];

/// The parts of one cell's panel, in the order in which they are read.
pub(super) fn parts(recorded: &Recorded, cell: &CellRecord) -> io::Result<Vec<String>> {
    let folder = recorded.cell_folder(&cell.cell);
    let transcript = files::transcript(&folder.join("transcript.jsonl"))?;
    let log = LogEnd::read(&folder.join("device.log"))?;
    let mut parts = vec![OutcomePart::of(cell).render()];
    if let Some(diagnosis) = &cell.diagnosis {
        parts.push(DiagnosisPart::of(diagnosis).render());
    }
    if let Some(predicted) = &cell.predicted {
        let outcome = words::outcome(&predicted.outcome);
        parts.push(PredictionPart { outcome, predicted }.render());
    }
    let lines = flow::lines(&transcript);
    if !lines.is_empty() {
        parts.push(FlowPart { lines }.render());
    }
    if cell.latency.is_some() || cell.heap_peak_bytes.is_some() {
        parts.push(CostPart::of(cell).render());
    }
    if let Some(hello) = &cell.client_hello {
        parts.push(HelloPart { hello, offers: hello::offers(hello) }.render());
    }
    if log.bytes > 0 {
        parts.push(LogPart { log }.render());
    }
    let path = record::cell_path(&cell.cell);
    let files: Vec<_> = FILES
        .into_iter()
        .filter(|(name, _)| folder.join(name).is_file())
        .map(|(name, what)| (name, what, path.join(name).to_string_lossy().into_owned()))
        .collect();
    if !files.is_empty() {
        parts.push(FilesPart { files }.render());
    }
    parts.into_iter().map(|part| part.map_err(io::Error::other)).collect()
}

impl<'a> OutcomePart<'a> {
    fn of(cell: &'a CellRecord) -> Self {
        let recovery = cell.recovery.as_ref().map(|recovery| {
            let steps: Vec<_> = recovery
                .steps
                .iter()
                .map(|step| match &step.failed {
                    None => format!("{} helped", step.step),
                    Some(_) => format!("{} did not help", step.step),
                })
                .collect();
            let tried =
                if steps.is_empty() { "nothing was tried".to_owned() } else { steps.join(", ") };
            sentence(&format!("The board had to be brought back: {} ({tried}).", recovery.why))
        });
        Self {
            cell,
            mark: Mark::of(cell),
            emulated: words::is_emulated(&cell.board.kind),
            outcome: sentence(words::outcome(&cell.outcome).trim()),
            verdict: words::verdict(cell.verdict),
            note: cell.note.as_deref().map(sentence),
            recovery,
            changes: rows(&cell.changes),
            surprises: rows(&cell.surprises),
        }
    }
}

impl DiagnosisPart {
    fn of(diagnosis: &Diagnosis) -> Self {
        let sentences = |texts: &[String]| texts.iter().map(|text| sentence(text)).collect();
        Self {
            cause: diagnosis.cause.key(),
            summary: sentence(&diagnosis.summary),
            evidence: sentences(&diagnosis.evidence),
            fix: sentences(&diagnosis.fix),
            candidates: diagnosis.candidates.iter().map(|cause| cause.key().to_owned()).collect(),
        }
    }
}

impl CostPart {
    fn of(cell: &CellRecord) -> Self {
        let of = |latency: &Latency| cost::amount(latency.unit, latency.total);
        let wall = cell
            .latency
            .as_ref()
            .map(|latency| cost::amount(wire::message::ClockUnit::Nanoseconds, latency.wall_ns));
        Self {
            total: cell.latency.as_ref().map(of),
            wall: wall.unwrap_or_default(),
            bars: cell.latency.as_ref().map(cost::bars).unwrap_or_default(),
            heap: cell.heap_peak_bytes,
            stack: cell.stack_peak_bytes,
        }
    }
}

/// A suite of the trace by number and name.
fn suite(line: &Elimination) -> String {
    names::cipher_suite(&line.suite).map_or_else(|_| line.suite.clone(), suite_text)
}

/// What became of a suite, in a word.
fn fate(line: &Elimination) -> String {
    line.out.map_or_else(|| "chosen".to_owned(), |filter| filter.name().replace('_', " "))
}

fn step_name(step: &Step) -> String {
    bounded(&step.step, 60).replace('_', " ")
}

fn sentence(text: &str) -> String {
    bounded(text, SENTENCE).into_owned()
}

fn rows(changes: &[Change]) -> Vec<Row> {
    let row = |change: &Change| Row {
        field: sentence(&change.field),
        stated: sentence(&change.expected),
        seen: sentence(&change.seen),
    };
    changes.iter().map(row).collect()
}
