//! One side of a comparison: what is known of each cell.

use super::{Side, brief};
use crate::record::{CellRecord, ImageRecord, Verdict};
use crate::words;
use crate::writers::Recorded;
use std::collections::{BTreeMap, BTreeSet};
use suites::cell::{BuildName, CellId};
use suites::outcome::{Outcome, OutcomeKind};
use suites::snapshot::{Expected, Measured};

/// What is known of each cell.
#[derive(Debug, Clone)]
pub struct Book {
    pub(super) side: Side,
    order: Vec<CellId>,
    cells: BTreeMap<CellId, Entry>,
    images: BTreeMap<BuildName, BTreeSet<String>>,
    /// Whether figures were left out because they do not repeat.
    unsteady: bool,
    /// Suites, seed and rig of a run.
    frame: Option<(Vec<String>, u64, String)>,
}

/// What is known of one cell.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Known(Box<Known>),
    /// No result, and why.
    Nothing(String),
}

/// A result.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub outcome: Outcome,
    pub cause: Option<String>,
    /// By kind of board; empty if they do not repeat.
    pub figures: BTreeMap<String, Measured>,
    /// Whether it is not as predicted.
    pub surprise: bool,
    pub why: Option<String>,
}

impl Book {
    /// What a run saw.
    #[must_use]
    pub fn of_run(recorded: &Recorded) -> Self {
        let run = &recorded.run;
        let mut book = Self {
            side: Side {
                name: run.id.clone(),
                board: Some(run.board.clone()),
                started: Some(run.started.clone()),
                cells: 0,
            },
            order: Vec::new(),
            cells: BTreeMap::new(),
            images: BTreeMap::new(),
            unsteady: false,
            frame: Some((run.suites.clone(), run.seed, run.rig.clone())),
        };
        for record in &recorded.cells {
            if let Some(ImageRecord { id, .. }) = &record.image {
                book.images.entry(record.build.clone()).or_default().insert(id.clone());
            }
            book.unsteady |= record.latency.as_ref().is_some_and(|latency| !latency.repeats());
            book.add(&record.cell, entry(record));
        }
        for cell in recorded.unfinished() {
            book.add(cell, Entry::Nothing("planned, and not run".to_owned()));
        }
        book
    }

    /// What snapshots state of the cells that `run` planned. `expected` looks one up.
    #[must_use]
    pub fn of_snapshots<'a>(
        run: &Recorded,
        expected: impl Fn(&CellId) -> Option<&'a Expected>,
    ) -> Self {
        let name = format!("the snapshots of {}", run.run.suites.join(", "));
        let mut book = Self {
            side: Side { name, board: None, started: None, cells: 0 },
            order: Vec::new(),
            cells: BTreeMap::new(),
            images: BTreeMap::new(),
            unsteady: false,
            frame: None,
        };
        for cell in &run.run.plan {
            let Some(Expected { outcome, cause, measured }) = expected(cell) else { continue };
            let known = Known {
                outcome: outcome.clone(),
                cause: Some(cause.clone()),
                figures: measured.clone(),
                surprise: false,
                why: None,
            };
            book.add(cell, Entry::Known(Box::new(known)));
        }
        book
    }

    fn add(&mut self, cell: &CellId, entry: Entry) {
        if self.cells.insert(cell.clone(), entry).is_none() {
            self.order.push(cell.clone());
            self.side.cells = self.order.len();
        }
    }

    pub(super) fn get(&self, cell: &CellId) -> Option<&Entry> {
        self.cells.get(cell)
    }

    pub(super) fn order(&self) -> impl Iterator<Item = &CellId> {
        self.order.iter()
    }

    /// Whether it holds no cell at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

fn entry(record: &CellRecord) -> Entry {
    let note = || brief(record.note.as_deref().unwrap_or_default());
    match record.verdict {
        Verdict::Fault => Entry::Nothing(format!("fault of the rig: {}", note())),
        Verdict::Skipped => Entry::Nothing(format!("skipped: {}", note())),
        _ => Entry::Known(Box::new(Known {
            outcome: record.outcome.clone(),
            cause: record.diagnosis.as_ref().map(|diagnosis| diagnosis.cause.to_string()),
            figures: record
                .measured()
                .map(|measured| (record.board.kind.clone(), measured))
                .into_iter()
                .collect(),
            surprise: !record.surprises.is_empty(),
            why: match record.outcome.result {
                OutcomeKind::Connected => None,
                _ => record.diagnosis.as_ref().map(|diagnosis| brief(&diagnosis.summary)),
            },
        })),
    }
}

/// What a reader must know to judge the differences.
pub(super) fn notes(before: &Book, after: &Book) -> Vec<String> {
    let mut notes = Vec::new();
    if let (Some(one), Some(two)) = (&before.side.board, &after.side.board)
        && one.kind != two.kind
    {
        notes.push(format!(
            "the boards are of different kinds, {} and {}: outcomes are compared, because they must be the same on all kinds; time and memory are not",
            one.kind, two.kind
        ));
    } else if before.unsteady || after.unsteady {
        notes.push(
            "time and memory are not compared: on a board of kind native they are the host's, and do not repeat".to_owned(),
        );
    }
    let emulated =
        |book: &Book| book.side.board.as_ref().is_some_and(|board| words::is_emulated(&board.kind));
    if emulated(before) || emulated(after) {
        notes.push(
            "results of emulated boards say what the library does, and nothing about Wi-Fi, clocks or timing of a real board".to_owned(),
        );
    }
    let foreign = foreign(before, after);
    if foreign > 0 {
        notes.push(format!(
            "figures of {foreign} cells are not compared: their images come from other compilers"
        ));
    }
    let other = |(build, ids): (&BuildName, &BTreeSet<String>)| {
        let now = after.images.get(build)?;
        (now != ids).then(|| build.to_string())
    };
    let others: Vec<_> = before.images.iter().filter_map(other).collect();
    if !others.is_empty() {
        notes.push(format!("the firmware is not the same: other images of {}", others.join(", ")));
    }
    if let (Some((suites, seed, rig)), Some((suites_now, seed_now, rig_now))) =
        (&before.frame, &after.frame)
    {
        if suites != suites_now {
            notes.push(format!(
                "other suites were run: {}, then {}",
                suites.join(", "),
                suites_now.join(", ")
            ));
        }
        if seed != seed_now {
            notes.push(format!("the clients' seed was {seed} and is {seed_now}"));
        }
        if rig != rig_now {
            notes.push(format!("the rig was version {rig} and is {rig_now}"));
        }
    }
    notes
}

/// How many cells have figures on both sides that may not be compared.
fn foreign(before: &Book, after: &Book) -> usize {
    let figures = |entry: Option<&Entry>| match entry {
        Some(Entry::Known(known)) => known.figures.clone(),
        _ => BTreeMap::new(),
    };
    let differs = |cell: &&CellId| {
        let (one, two) = (figures(before.get(cell)), figures(after.get(cell)));
        two.iter().any(|(kind, seen)| {
            one.get(kind).is_some_and(|before| before.compilers != seen.compilers)
        })
    };
    after.order.iter().filter(differs).count()
}
