//! `junit.xml`: a run as Jenkins, GitLab and their kind read it.
//!
//! | in the run | in the file |
//! |---|---|
//! | broker | `testsuite`, with board, kind, seed and images as properties |
//! | cell | `testcase`: its client is the name, kind of board and broker make the class name |
//! | as expected | nothing inside |
//! | changed, not as predicted, new | `failure`, with the verdict as its type |
//! | fault of the rig, planned but not run | `error` |
//! | unsupported, skipped, a known deviation | `skipped`, with the reason |
//! | a first try after which the board did not answer | `flakyError`; `rerunError` if the second one failed, too |
//!
//! A cell's result stays under one name from run to run: neither the run's id nor the name of a
//! board is part of it, but the kind of board is, because emulated and real results have histories
//! of their own.
//!
//! Written to the rules of Jenkins's xUnit plugin (`junit-10.xsd`), the strictest of the readers. The
//! usual crate for it, quick-junit, always gives `testsuites` a `skipped` attribute, which those rules
//! forbid; so this is written with quick-xml, on which that crate stands, too.

use crate::record::{CellRecord, Verdict};
use crate::text::{for_xml, shorten};
use crate::words;
use crate::writers::Recorded;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use suites::cell::CellId;

/// Bytes of one text, at most. A device's log may be large, and servers read the file into memory.
const TEXT_LIMIT: usize = 16 << 10;

/// The bytes of `junit.xml`.
///
/// # Errors
/// None in practice: it writes to memory.
pub fn write(recorded: &Recorded) -> io::Result<Vec<u8>> {
    let suites = suites(recorded);
    let all: Vec<&Case<'_>> = suites.iter().flat_map(|suite| &suite.cases).collect();
    let counts = Counts::of(all.iter().copied());
    let mut out = Writer::new_with_indent(Vec::new(), b' ', 2);
    out.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    out.create_element("testsuites")
        .with_attribute(("name", "rig"))
        .with_attribute(("tests", &*counts.tests.to_string()))
        .with_attribute(("failures", &*counts.failures.to_string()))
        .with_attribute(("errors", &*counts.errors.to_string()))
        .with_attribute(("time", &*seconds(counts.wall_ns)))
        .write_inner_content(|out| {
            suites.iter().try_for_each(|suite| suite.write(recorded, out))
        })?;
    let mut bytes = out.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

/// The cells of one broker.
struct Suite<'a> {
    broker: &'a str,
    cases: Vec<Case<'a>>,
}

/// A cell of the plan.
enum Case<'a> {
    Finished(&'a CellRecord),
    Unfinished(&'a CellId),
}

/// What a reader of the file counts.
enum Status<'a> {
    Passed,
    /// Something that the client or its broker did is not as expected.
    Failure(&'static str, String),
    /// Something of the rig's is not.
    Error(&'static str, String),
    Skipped(&'static str, Cow<'a, str>),
}

/// By broker, in the order of the plan.
fn suites(recorded: &Recorded) -> Vec<Suite<'_>> {
    let finished = recorded.cells.iter().map(Case::Finished);
    let cases = finished.chain(recorded.unfinished().into_iter().map(Case::Unfinished));
    let mut suites: Vec<Suite<'_>> = Vec::new();
    let mut places = BTreeMap::new();
    for case in cases {
        let broker = case.id().broker.as_str();
        let place = *places.entry(broker).or_insert(suites.len());
        match suites.get_mut(place) {
            Some(suite) => suite.cases.push(case),
            None => suites.push(Suite { broker, cases: vec![case] }),
        }
    }
    suites
}

#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    wall_ns: u64,
}

impl Counts {
    fn of<'a>(cases: impl IntoIterator<Item = &'a Case<'a>>) -> Self {
        let mut counts = Self::default();
        for case in cases {
            counts.tests += 1;
            counts.wall_ns = counts.wall_ns.saturating_add(case.wall_ns());
            match case.status() {
                Status::Passed => {}
                Status::Failure(..) => counts.failures += 1,
                Status::Error(..) => counts.errors += 1,
                Status::Skipped(..) => counts.skipped += 1,
            }
        }
        counts
    }
}

impl Suite<'_> {
    fn write(&self, recorded: &Recorded, out: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let counts = Counts::of(&self.cases);
        out.create_element("testsuite")
            .with_attribute(("name", &*attribute(self.broker)))
            .with_attribute(("tests", &*counts.tests.to_string()))
            .with_attribute(("failures", &*counts.failures.to_string()))
            .with_attribute(("errors", &*counts.errors.to_string()))
            .with_attribute(("skipped", &*counts.skipped.to_string()))
            .with_attribute(("time", &*seconds(counts.wall_ns)))
            .with_attribute(("timestamp", &*attribute(&recorded.run.started)))
            .write_inner_content(|out| {
                let properties = self.properties(recorded);
                out.create_element("properties").write_inner_content(|out| {
                    properties.iter().try_for_each(|(name, value)| property(out, name, value))
                })?;
                self.cases.iter().try_for_each(|case| case.write(recorded, out))
            })?;
        Ok(())
    }

    /// What holds for all of its cells.
    fn properties(&self, recorded: &Recorded) -> Vec<(String, String)> {
        let run = &recorded.run;
        let emulated = if words::is_emulated(&run.board.kind) { "yes" } else { "no" };
        let mut properties: Vec<_> = [
            ("rig.run", run.id.clone()),
            ("rig.version", run.rig.clone()),
            ("rig.suites", run.suites.join(" ")),
            ("rig.seed", run.seed.to_string()),
            ("board.name", run.board.name.clone()),
            ("board.kind", run.board.kind.clone()),
            ("board.emulated", emulated.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let images: BTreeMap<_, _> =
            self.cases.iter().filter_map(Case::record).filter_map(image).collect();
        properties.extend(images.into_iter().map(|(build, id)| (format!("image.{build}"), id)));
        properties
    }
}

fn image(cell: &CellRecord) -> Option<(String, String)> {
    let image = cell.image.as_ref()?;
    Some((cell.build.to_string(), image.id.clone()))
}

fn property(out: &mut Writer<Vec<u8>>, name: &str, value: &str) -> io::Result<()> {
    out.create_element("property")
        .with_attribute(("name", &*attribute(name)))
        .with_attribute(("value", &*attribute(value)))
        .write_empty()?;
    Ok(())
}

impl<'a> Case<'a> {
    fn id(&self) -> &'a CellId {
        match self {
            Self::Finished(record) => &record.cell,
            Self::Unfinished(cell) => cell,
        }
    }

    fn record(&self) -> Option<&'a CellRecord> {
        match self {
            Self::Finished(record) => Some(record),
            Self::Unfinished(_) => None,
        }
    }

    fn wall_ns(&self) -> u64 {
        let latency = self.record().and_then(|record| record.latency.as_ref());
        latency.map_or(0, |latency| latency.wall_ns)
    }

    fn status(&self) -> Status<'a> {
        let Some(record) = self.record() else {
            let why =
                "planned, but not run: the run ended before; `cargo rig run --resume` goes on";
            return Status::Error("not_run", why.to_owned());
        };
        if let Some(known) = &record.known {
            let why = format!(
                "known deviation: {}, see {}: {}",
                known.reason,
                known.link,
                match record.verdict {
                    Verdict::Surprise => words::surprises(record),
                    _ => words::changes(record),
                }
            );
            return Status::Skipped("known", why.into());
        }
        let note = record.note.as_deref();
        match record.verdict {
            Verdict::Match => Status::Passed,
            Verdict::Changed => Status::Failure("changed", words::changes(record)),
            Verdict::Surprise => Status::Failure("surprise", words::surprises(record)),
            Verdict::New => {
                let seen = words::outcome(&record.outcome);
                Status::Failure("new", format!("there is no snapshot of this cell yet: {seen}"))
            }
            Verdict::Fault => {
                Status::Error("fault", note.unwrap_or("something of the rig's broke").to_owned())
            }
            Verdict::Unsupported => Status::Skipped(
                "unsupported",
                note.unwrap_or("this build cannot do what the profile asks").into(),
            ),
            Verdict::Skipped => Status::Skipped("skipped", note.unwrap_or("not run here").into()),
        }
    }

    fn write(&self, recorded: &Recorded, out: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let id = self.id();
        let kind = self.record().map_or(&recorded.run.board.kind, |record| &record.board.kind);
        // Jenkins takes what is before the last dot for a package.
        let class = format!("rig.{kind}.{}", id.broker.replace('.', "_"));
        out.create_element("testcase")
            .with_attribute(("name", &*attribute(&id.client.to_string())))
            .with_attribute(("classname", &*attribute(&class)))
            .with_attribute(("time", &*seconds(self.wall_ns())))
            .write_inner_content(|out| {
                let status = self.status();
                match &status {
                    Status::Passed => {}
                    Status::Failure(kind, why) => element(out, "failure", kind, why)?,
                    Status::Error(kind, why) => element(out, "error", kind, why)?,
                    Status::Skipped(kind, why) => element(out, "skipped", kind, why)?,
                }
                let Some(record) = self.record() else { return Ok(()) };
                first_try(out, record, &status)?;
                out.create_element("system-out")
                    .write_text_content(BytesText::new(&body(&said(record, recorded))))?;
                Ok(())
            })?;
        Ok(())
    }
}

/// `failure`, `error` or `skipped`. The whole reason is its text; some servers show the attribute only.
fn element(out: &mut Writer<Vec<u8>>, name: &str, kind: &str, why: &str) -> io::Result<()> {
    out.create_element(name)
        .with_attribute(("type", kind))
        .with_attribute(("message", &*attribute(why)))
        .write_text_content(BytesText::new(&body(why)))?;
    Ok(())
}

/// A cell that was run twice: why once was not enough, and what was done about it.
fn first_try(
    out: &mut Writer<Vec<u8>>,
    record: &CellRecord,
    status: &Status<'_>,
) -> io::Result<()> {
    let (Some(recovery), true) = (&record.recovery, record.tries > 1) else { return Ok(()) };
    let name = if matches!(status, Status::Passed) { "flakyError" } else { "rerunError" };
    let steps = recovery.steps.iter().map(|step| match &step.failed {
        None => format!("{} helped after {} ms\n", step.step, step.took_ms),
        Some(why) => format!("{} did not help: {why}\n", step.step),
    });
    let steps: String = steps.collect();
    out.create_element(name)
        .with_attribute(("type", "board"))
        .with_attribute(("message", &*attribute(&recovery.why)))
        .write_inner_content(|out| {
            out.create_element("stackTrace").write_text_content(BytesText::new(&body(&steps)))?;
            Ok(())
        })?;
    Ok(())
}

/// What a person needs who reads about this cell on the server's page.
fn said(record: &CellRecord, recorded: &Recorded) -> String {
    let mut lines = vec![words::outcome(&record.outcome)];
    let board = &record.board;
    let emulated = if words::is_emulated(&board.kind) { ", emulated" } else { "" };
    lines.push(format!("board: {} ({}{emulated})", board.name, board.kind));
    if let Some(latency) = &record.latency {
        lines.push(format!("computed: {}", words::duration(latency)));
    }
    if let Some(diagnosis) = &record.diagnosis {
        lines.push(format!("{}: {}", diagnosis.cause.key(), diagnosis.summary));
        lines.extend(diagnosis.evidence.iter().map(|seen| format!("evidence: {seen}")));
        lines.extend(diagnosis.fix.iter().map(|fix| format!("fix: {fix}")));
    }
    if let Some(note) = &record.note {
        lines.push(format!("note: {note}"));
    }
    lines.push(format!("files: {}", recorded.cell_folder(&record.cell).display()));
    lines.join("\n")
}

fn seconds(ns: u64) -> String {
    let ms = ns / 1_000_000;
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// Text between tags: of bearable length, one line for each of its own, and nothing in it that a
/// reader cannot see.
fn body(text: &str) -> String {
    let text = shorten(text, TEXT_LIMIT);
    text.split('\n').map(for_xml).collect::<Vec<_>>().join("\n")
}

/// The same for an attribute, in which a reader makes spaces of line feeds.
fn attribute(text: &str) -> String {
    body(text).replace('\n', "; ")
}
