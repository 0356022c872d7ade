//! How runs went over time.
//!
//! ```text
//! <folder>/*/run.json, cells.jsonl --> History --> console, history.json, history.html
//! ```
//!
//! A **result** is what a cell came to, whether as expected or not; faults of the rig, skipped and
//! unsupported cells are none. A result is **repeated** if there is another one of the same cell on
//! the same kind of board with the same image and the same profiles, and **flaky** if most of those
//! came to another outcome. The same image is the same bytes and the same id of a profile the same
//! content, so a flake is no change of the firmware, of the client's profile or of the broker's. A
//! record of an older rig does not say what its profiles were; such are compared among each other.
//!
//! Where a profile is another one than in the run before, that is an [`Edit`], with how many cells came
//! to another outcome along with it.

mod page;

pub use page::page;

use crate::record::{BoardName, CellRecord, ProfilesRecord, Verdict};
use crate::text::shorten;
use crate::words;
use crate::writers::Recorded;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use suites::cell::CellId;
use wire::message::ClockUnit;

/// Version of the layout of `history.json`.
pub const SCHEMA: u32 = 1;

/// Runs, boards and cells over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// [`SCHEMA`] of the rig that wrote it.
    pub schema: u32,
    /// The runs, the oldest first.
    pub runs: Vec<RunPoint>,
    /// Each board, over all runs.
    pub boards: Vec<BoardHistory>,
    /// Each cell on each kind of board, over all runs.
    pub cells: Vec<CellHistory>,
    /// Profiles that were another one than in the run before, in the order of time.
    #[serde(default)]
    pub edits: Vec<Edit>,
    /// Folders that look like runs and cannot be read, with the reason.
    pub unreadable: Vec<String>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunPoint {
    /// Its id.
    pub id: String,
    /// When it started, RFC 3339.
    pub started: String,
    /// Its board.
    pub board: BoardName,
    /// Version of the rig.
    pub rig: String,
    /// Its cells.
    pub tally: Tally,
    /// Cells that were planned and not run.
    pub unfinished: usize,
}

/// Counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// Results.
    pub results: usize,
    /// Results that are as expected, or whose deviation is a known one.
    pub as_expected: usize,
    /// Faults of the rig.
    pub faults: usize,
    /// Cells that were run a second time, because the board did not answer after the first.
    pub second_tries: usize,
    /// Results with another one of the same image beside them.
    pub repeated: usize,
    /// Repeated results that differ from most of the others.
    pub flaky: usize,
}

/// One board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoardHistory {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Over all runs.
    pub tally: Tally,
}

/// One cell on one kind of board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CellHistory {
    /// Which.
    pub cell: CellId,
    /// On what kind of board.
    pub kind: String,
    /// Over all runs.
    pub tally: Tally,
    /// What it came to, the oldest first.
    pub points: Vec<Point>,
}

/// A profile that was edited between two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edit {
    /// Place of the first run with the new content in [`History::runs`], from 0.
    pub run: usize,
    /// `broker` or `client`.
    pub of: String,
    /// Name of the profile.
    pub profile: String,
    /// Cells that ran with the old content and with the new one, with the same image.
    pub cells: usize,
    /// Those of them that came to another outcome.
    pub changed: usize,
}

/// What a cell came to in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Point {
    /// Place of the run in [`History::runs`], from 0.
    pub run: usize,
    /// The board's name.
    pub board: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The outcome in a few words.
    pub outcome: String,
    /// Whether it is a flake.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub flake: bool,
    /// Id of the image that ran.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<String>,
    /// What the profiles were.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub profiles: Option<ProfilesRecord>,
    /// Computing time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub total: Option<u64>,
    /// What it counts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Option<String>")]
    pub unit: Option<ClockUnit>,
    /// Most heap bytes in use.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub heap_peak_bytes: Option<u64>,
}

impl Point {
    fn is_result(&self) -> bool {
        !matches!(self.verdict, Verdict::Fault | Verdict::Skipped | Verdict::Unsupported)
    }
}

impl History {
    /// Reads every run in a folder.
    ///
    /// # Errors
    /// If the folder cannot be listed. A run that cannot be read is left out and named.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut runs = Vec::new();
        let mut unreadable = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if !path.join("run.json").exists() {
                continue;
            }
            // The frame alone: runs are large, and one at a time is enough.
            match crate::record::read_run(&path) {
                Ok(run) => runs.push((run.started, run.id, path)),
                Err(error) => unreadable.push(error.to_string()),
            }
        }
        runs.sort();
        let read = runs.into_iter().filter_map(|(_, _, path)| {
            Recorded::read(&path).map_err(|error| unreadable.push(error.to_string())).ok()
        });
        let mut history = Self::of(read);
        unreadable.sort();
        history.unreadable = unreadable;
        Ok(history)
    }

    /// Takes runs in the order of time, one after the other.
    pub fn of(runs: impl IntoIterator<Item = Recorded>) -> Self {
        let mut history = Self {
            schema: SCHEMA,
            runs: Vec::new(),
            boards: Vec::new(),
            cells: Vec::new(),
            edits: Vec::new(),
            unreadable: Vec::new(),
        };
        let mut cells: BTreeMap<(CellId, String), Seen> = BTreeMap::new();
        for recorded in runs {
            history.add(&recorded, &mut cells);
        }
        let mut edits = BTreeMap::new();
        for ((cell, kind), seen) in cells {
            seen.edits(&cell, &mut edits);
            history.conclude(cell, kind, seen);
        }
        let edit = |((run, of, profile), (cells, changed)): ((usize, &str, String), _)| Edit {
            run,
            of: of.to_owned(),
            profile,
            cells,
            changed,
        };
        history.edits = edits.into_iter().map(edit).collect();
        history.boards.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
        history
    }

    fn add(&mut self, recorded: &Recorded, cells: &mut BTreeMap<(CellId, String), Seen>) {
        let run = &recorded.run;
        let place = self.runs.len();
        let mut tally = Tally::default();
        for record in &recorded.cells {
            let point = point(record, place);
            tally.count(record, &point);
            let board = self.board(&record.board);
            board.tally.count(record, &point);
            let seen = cells.entry((record.cell.clone(), record.board.kind.clone())).or_default();
            seen.tally.count(record, &point);
            // Two outcomes may read the same in a few words, and differ all the same.
            let cause = record.diagnosis.as_ref().map(|diagnosis| diagnosis.cause);
            let exact = serde_json::to_string(&(&record.outcome, cause)).unwrap_or_default();
            seen.exact.push(exact);
            seen.points.push(point);
        }
        self.runs.push(RunPoint {
            id: run.id.clone(),
            started: run.started.clone(),
            board: run.board.clone(),
            rig: run.rig.clone(),
            tally,
            unfinished: recorded.unfinished().len(),
        });
    }

    fn board(&mut self, name: &BoardName) -> &mut BoardHistory {
        let known = |board: &BoardHistory| board.name == name.name && board.kind == name.kind;
        let place = self.boards.iter().position(known).unwrap_or_else(|| {
            let (name, kind) = (name.name.clone(), name.kind.clone());
            self.boards.push(BoardHistory { name, kind, tally: Tally::default() });
            self.boards.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found, or pushed just now")]
        &mut self.boards[place]
    }

    /// Finds the flakes of a cell, and books them on it, on its boards and on its runs.
    fn conclude(&mut self, cell: CellId, kind: String, mut seen: Seen) {
        let (repeated, flakes) = seen.flakes();
        seen.tally.repeated = repeated.len();
        seen.tally.flaky = flakes.len();
        for place in repeated {
            let Some(point) = seen.points.get_mut(place) else { continue };
            point.flake = flakes.contains(&place);
            let flaky = usize::from(point.flake);
            if let Some(run) = self.runs.get_mut(point.run) {
                run.tally.repeated += 1;
                run.tally.flaky += flaky;
            }
            let name = BoardName { name: point.board.clone(), kind: kind.clone() };
            let board = self.board(&name);
            board.tally.repeated += 1;
            board.tally.flaky += flaky;
        }
        self.cells.push(CellHistory { cell, kind, tally: seen.tally, points: seen.points });
    }
}

/// A cell while runs are read.
#[derive(Default)]
struct Seen {
    tally: Tally,
    points: Vec<Point>,
    /// The exact outcome of each point.
    exact: Vec<String>,
}

/// By run, kind of profile and its name: cells with another content than before, and those of them with
/// another outcome.
type Edits = BTreeMap<(usize, &'static str, String), (usize, usize)>;

impl Seen {
    /// Books where a profile of this cell is another one than in its result before.
    fn edits(&self, cell: &CellId, edits: &mut Edits) {
        let known = self.points.iter().zip(&self.exact).filter(|(point, _)| point.is_result());
        let known: Vec<_> = known.collect();
        for pair in known.windows(2) {
            let [(before, was), (now, is)] = pair else { continue };
            let (Some(old), Some(new)) = (&before.profiles, &now.profiles) else { continue };
            if before.image != now.image {
                continue;
            }
            let profiles = [
                ("broker", &cell.broker, old.broker != new.broker),
                ("client", &cell.client.profile, old.client != new.client),
            ];
            for (of, profile, _) in profiles.into_iter().filter(|(_, _, edited)| *edited) {
                let (cells, changed) = edits.entry((now.run, of, profile.clone())).or_default();
                *cells += 1;
                *changed += usize::from(was != is);
            }
        }
    }

    /// Places of the points that are repeated, and of those among them that are flakes.
    fn flakes(&self) -> (BTreeSet<usize>, BTreeSet<usize>) {
        type Outcomes<'a> = BTreeMap<&'a str, Vec<usize>>;
        let mut images: BTreeMap<(&str, &Option<ProfilesRecord>), Outcomes<'_>> = BTreeMap::new();
        for (place, (point, exact)) in self.points.iter().zip(&self.exact).enumerate() {
            if let (true, Some(image)) = (point.is_result(), &point.image) {
                let outcomes = images.entry((image, &point.profiles)).or_default();
                outcomes.entry(exact).or_default().push(place);
            }
        }
        let (mut repeated, mut flakes) = (BTreeSet::new(), BTreeSet::new());
        for outcomes in images.values() {
            if outcomes.values().map(Vec::len).sum::<usize>() < 2 {
                continue;
            }
            repeated.extend(outcomes.values().flatten());
            // Of two that are as frequent the one that came first is what the cell does.
            let usual = outcomes
                .values()
                .max_by_key(|places| (places.len(), std::cmp::Reverse(places.first())));
            flakes.extend(outcomes.values().filter(|places| Some(*places) != usual).flatten());
        }
        (repeated, flakes)
    }
}

impl Tally {
    fn count(&mut self, record: &CellRecord, point: &Point) {
        self.results += usize::from(point.is_result());
        self.as_expected += usize::from(point.verdict == Verdict::Match || record.known.is_some());
        self.faults += usize::from(point.verdict == Verdict::Fault);
        self.second_tries += usize::from(record.tries > 1);
    }
}

fn point(record: &CellRecord, run: usize) -> Point {
    Point {
        run,
        board: record.board.name.clone(),
        verdict: record.verdict,
        outcome: shorten(&words::outcome(&record.outcome), 200).into_owned(),
        flake: false,
        image: record.image.as_ref().map(|image| image.id.clone()),
        profiles: record.profiles.clone(),
        total: record.latency.as_ref().map(|latency| latency.total),
        unit: record.latency.as_ref().map(|latency| latency.unit),
        heap_peak_bytes: record.heap_peak_bytes,
    }
}

/// A part of a whole in percent; a dash if there is no whole.
#[must_use]
pub fn percent(part: usize, whole: usize) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
    let percent = 100.0 * part as f64 / whole as f64;
    format!("{percent:.1} %")
}
