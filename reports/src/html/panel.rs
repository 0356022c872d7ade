//! One cell in full, as markup in parts. Cells of one client share many of them: its hello, a
//! prediction, a diagnosis.

use super::cost::{self, Bars};
use super::files::{self, LogEnd};
use super::flow::{self, Line};
use super::hello::{self, Offer};
use super::matrix::Mark;
use crate::diagnosis::{Diagnosis, suite_text};
use crate::record::{self, CellRecord, HelloRecord, Latency};
use crate::text::shorten;
use crate::words;
use crate::writers::Recorded;
use askama::Template;
use std::io;
use std::path::Path;
use suites::names;
use suites::outcome::OutcomeKind;
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
    image: Option<String>,
    compilers: Option<String>,
    /// Runs the cell once more.
    again: String,
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

/// A part of a panel.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Part {
    /// Which part it is: parts of one kind are alike.
    pub kind: u8,
    pub markup: String,
}

/// The parts of one cell's panel, in the order in which they are read.
pub(super) fn parts(recorded: &Recorded, cell: &CellRecord) -> io::Result<Vec<Part>> {
    let folder = recorded.cell_folder(&cell.cell);
    let transcript = files::transcript(&folder.join("transcript.jsonl"))?;
    let log = LogEnd::read(&folder.join("device.log"), log_lines(cell))?;
    let lines = flow::lines(&transcript);
    let cost = cell.latency.is_some() || cell.heap_peak_bytes.is_some();
    let files = links(&folder, cell);
    let parts = [
        Some(OutcomePart::of(cell).render()),
        cell.diagnosis.as_ref().map(|diagnosis| DiagnosisPart::of(diagnosis).render()),
        cell.predicted.as_ref().map(|predicted| {
            PredictionPart { outcome: words::outcome(&predicted.outcome), predicted }.render()
        }),
        (!lines.is_empty()).then(|| FlowPart { lines }.render()),
        cost.then(|| CostPart::of(cell).render()),
        cell.client_hello
            .as_ref()
            .map(|hello| HelloPart { hello, offers: hello::offers(hello) }.render()),
        (log.bytes > 0).then(|| LogPart { log }.render()),
        Some(FilesPart::of(recorded, cell, files).render()),
    ];
    let parts = (0..).zip(parts).filter_map(|(kind, part)| Some((kind, part?)));
    parts.map(|(kind, part)| Ok(Part { kind, markup: part.map_err(io::Error::other)? })).collect()
}

/// How many lines of the log's end tell the story: few where nothing failed.
fn log_lines(cell: &CellRecord) -> usize {
    if cell.outcome.result == OutcomeKind::Connected { 10 } else { 30 }
}

/// The files that are there, what each is, and where, seen from the report.
fn links(folder: &Path, cell: &CellRecord) -> Vec<(&'static str, &'static str, String)> {
    let path = record::cell_path(&cell.cell);
    FILES
        .into_iter()
        .filter(|(name, _)| folder.join(name).is_file())
        .map(|(name, what)| (name, what, path.join(name).to_string_lossy().into_owned()))
        .collect()
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

impl FilesPart {
    fn of(
        recorded: &Recorded,
        cell: &CellRecord,
        files: Vec<(&'static str, &'static str, String)>,
    ) -> Self {
        let image = cell.image.as_ref();
        let compilers = image.and_then(|image| image.compilers.as_deref());
        let Recorded { run, .. } = recorded;
        Self {
            files,
            image: image.map(|image| sentence(&image.id)),
            compilers: compilers.map(sentence),
            again: format!(
                "cargo rig run {} --board {} --filter {}",
                run.suites.join(" "),
                run.board.name,
                cell.cell
            ),
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
    shorten(&step.step, 60).replace('_', " ")
}

fn sentence(text: &str) -> String {
    shorten(text, SENTENCE).into_owned()
}

fn rows(changes: &[Change]) -> Vec<Row> {
    let row = |change: &Change| Row {
        field: sentence(&change.field),
        stated: sentence(&change.expected),
        seen: sentence(&change.seen),
    };
    changes.iter().map(row).collect()
}
