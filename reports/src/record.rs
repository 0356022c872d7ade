//! A run's folder: the one record from which every report is made.
//!
//! ```text
//! <run>/run.json                      what was to be run, on what; rewritten once at the end
//! <run>/cells.jsonl                   one line for each finished cell, written as it finishes
//! <run>/cells/<client>/<broker>/      device.log, transcript.jsonl and capture.pcapng of one cell; of a
//!                                     survey's cells only of those that are not as expected
//! ```
//!
//! A line is written with one call, so a run that is killed leaves whole lines and at most one torn
//! one, which [`read_cells`] leaves out.

use crate::diagnosis::Diagnosis;
use crate::pcapng;
use crate::transcript::Transcript;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use suites::cell::{BuildName, CellId, ClientName};
use suites::known::Deviation;
use suites::outcome::Outcome;
use suites::predict::Predicted;
use suites::snapshot::Change;
use wire::message::ClockUnit;

/// Version of the layout of `run.json` and of the lines of `cells.jsonl`. Members that were added since
/// and may be missing leave it as it is: `profiles` of a cell is one.
pub const SCHEMA: u32 = 1;

/// `run.json`: the frame around the cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// [`SCHEMA`] of the rig that wrote it.
    pub schema: u32,
    /// The run's name: time of its start, and a random tail.
    pub id: String,
    /// When it started, RFC 3339, UTC.
    pub started: String,
    /// When it ended; missing if it was killed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub finished: Option<String>,
    /// Whether a person interrupted it.
    #[serde(default)]
    pub interrupted: bool,
    /// Version of the rig.
    pub rig: String,
    /// The suites asked for.
    pub suites: Vec<String>,
    /// The board that the cells ran on.
    pub board: BoardName,
    /// Seed of the clients' random numbers.
    pub seed: u64,
    /// Every cell that was to be run, in order.
    pub plan: Vec<CellId>,
    /// Builds of the user's own, which no other checkout knows.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub own_builds: Vec<OwnBuild>,
}

/// What a build of the user's own was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OwnBuild {
    /// Its name in the cells.
    pub name: BuildName,
    /// Content hash of the image: another one for another tree or header.
    pub image: String,
    /// Version that the source tree states.
    pub version: String,
    /// Folder of the C sources.
    pub tree: String,
    /// The edited header.
    pub header: String,
    /// What of the header was undone or added, one sentence for each macro.
    pub overrides: Vec<String>,
}

/// Which board, and of which kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoardName {
    /// Its name on this bench.
    pub name: String,
    /// Its kind; every result says it, because emulated is not silicon.
    pub kind: String,
}

/// One line of `cells.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CellRecord {
    /// The cell's identity.
    pub cell: CellId,
    /// The board it ran on.
    pub board: BoardName,
    /// The client's build.
    pub build: BuildName,
    /// The image of it that the cell was for; missing if the cell was skipped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub image: Option<ImageRecord>,
    /// The client.
    pub client: ClientName,
    /// The broker profile.
    pub broker: String,
    /// What both profiles were; missing in records of a rig that did not note it yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub profiles: Option<ProfilesRecord>,
    /// How the outcome compares with what was expected.
    pub verdict: Verdict,
    /// How it differs from the snapshot; empty unless the verdict is `changed`, or `surprise`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub changes: Vec<Change>,
    /// What became of it.
    pub outcome: Outcome,
    /// What was stated beforehand; missing where nothing could be, and for a fault of the rig.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub predicted: Option<Predicted>,
    /// How the outcome differs from the prediction; empty unless the verdict is `surprise`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub surprises: Vec<Change>,
    /// The entry of `known.toml` that accepts this deviation; only if the verdict is `changed` or
    /// `surprise`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub known: Option<Deviation>,
    /// Why; missing where there is nothing to explain about the client.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub diagnosis: Option<Diagnosis>,
    /// How often it was run: twice, if the board did not answer any more after the first time.
    #[serde(skip_serializing_if = "is_one", default = "one")]
    pub tries: u32,
    /// How the board was brought back before this try, if it had to be.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recovery: Option<Recovery>,
    /// What the rig itself has to say: why a cell was skipped, or what broke.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
    /// What the client offered; missing if it sent no ClientHello.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_hello: Option<HelloRecord>,
    /// How long the client needed; missing if it came to no result.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latency: Option<Latency>,
    /// Most heap bytes in use at one time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub heap_peak_bytes: Option<u64>,
    /// Most stack bytes in use, where the board can tell.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stack_peak_bytes: Option<u64>,
}

/// Content of a cell's profiles, as ids: another one after an edit that matters. The build's content is
/// [`ImageRecord::id`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ProfilesRecord {
    /// Of the client's profile.
    pub client: String,
    /// Of the broker's profile.
    pub broker: String,
}

impl CellRecord {
    /// Whether the cell deviates from snapshot or prediction, and nobody has accepted that.
    #[must_use]
    pub fn is_news(&self) -> bool {
        self.verdict.is_deviation() && self.known.is_none()
    }

    /// Whether the cell has an outcome of its client's, and nobody stated it beforehand.
    #[must_use]
    pub fn is_unpredicted(&self) -> bool {
        self.predicted.is_none() && !matches!(self.verdict, Verdict::Fault | Verdict::Skipped)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it by reference")]
fn is_one(tries: &u32) -> bool {
    *tries == 1
}

fn one() -> u32 {
    1
}

/// How a board that no longer answered was brought back, or was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recovery {
    /// What was wrong.
    pub why: String,
    /// What was tried, in order; the last step helped unless it says otherwise.
    pub steps: Vec<RecoveryStep>,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryStep {
    /// `abort` (asked by frame), `restart` (a new process), `reset`, `full_reset` or `power`.
    pub step: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Why it did not help.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failed: Option<String>,
}

impl Recovery {
    /// One that has not begun.
    #[must_use]
    pub fn of(why: String) -> Self {
        Self { why, steps: Vec::new() }
    }

    /// Why the last thing that was tried did not help; what was wrong, if nothing was tried.
    #[must_use]
    pub fn last_word(&self) -> &str {
        self.steps.iter().rev().find_map(|step| step.failed.as_deref()).unwrap_or(&self.why)
    }
}

/// How an outcome compares with what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As the snapshot says.
    Match,
    /// Not as the snapshot says.
    Changed,
    /// There is no snapshot of this cell yet.
    New,
    /// Not as the prediction says, whatever the snapshot says.
    Surprise,
    /// The build cannot do what the profile asks.
    Unsupported,
    /// Not run, for a stated reason.
    Skipped,
    /// Something of the rig's broke.
    Fault,
}

/// Which image of a build a board ran. The same id is the same bytes: what differs between two of its
/// cells is no change of the firmware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageRecord {
    /// Hash of everything that it was made from.
    pub id: String,
    /// What it was compiled with, as it says itself; missing if it no longer answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub compilers: Option<String>,
    /// Bytes of its code and constants; missing for a program of the host, where they mean little.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code_bytes: Option<u64>,
}

impl Verdict {
    /// Whether the outcome was to be expected and is another one.
    #[must_use]
    pub fn is_deviation(self) -> bool {
        matches!(self, Self::Changed | Self::Surprise)
    }

    /// Whether there is nothing to look into: as the snapshot says, or nothing was to be seen.
    #[must_use]
    pub fn is_expected(self) -> bool {
        matches!(self, Self::Match | Self::Unsupported | Self::Skipped)
    }
}

/// The ClientHello of a cell, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HelloRecord {
    /// The record as sent, in hexadecimal.
    pub record_hex: String,
    /// Versions offered: the highest, or the list of supported_versions.
    pub versions: Vec<String>,
    /// The cipher suite list, markers included.
    pub suites: Vec<String>,
    /// Extension types in the order sent, by name.
    pub extensions: Vec<String>,
    /// The server_name, if one is sent.
    pub sni: Option<String>,
    /// JA3 of it, see `suites::fingerprint`; empty in records of older rigs.
    #[serde(default)]
    pub ja3: String,
    /// JA4 of it; empty in records of older rigs.
    #[serde(default)]
    pub ja4: String,
}

/// How long the client needed, by phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// What `total`, `compute` and `wait` count.
    #[schemars(with = "String")]
    pub unit: ClockUnit,
    /// Computing time of all phases.
    pub total: u64,
    /// Host time from the start command to the result, in nanoseconds.
    pub wall_ns: u64,
    /// One by one, in order.
    pub phases: Vec<PhaseLatency>,
}

/// How long one phase took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseLatency {
    /// The phase.
    pub name: String,
    /// What the client computed, in the unit of [`Latency`].
    pub compute: u64,
    /// What the client spent in the link, in the unit of [`Latency`].
    pub wait: u64,
}

/// A run's folder that is being written.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    cells: File,
}

/// Why a run's folder cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {path}: {source}", path = path.display())]
pub struct RecordError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

pub(crate) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    let path = path.to_owned();
    move |source| RecordError { what, path, source }
}

impl RunFolder {
    /// Creates the folder, or opens the one of a run to be continued, and writes `run.json`.
    ///
    /// # Errors
    /// [`RecordError`] names the file.
    pub fn open(path: &Path, run: &Run) -> Result<Self, RecordError> {
        std::fs::create_dir_all(path).map_err(failed("create", path))?;
        let file = path.join("cells.jsonl");
        let mut options = OpenOptions::new();
        let mut cells = options
            .create(true)
            .append(true)
            .read(true)
            .open(&file)
            .map_err(failed("open", &file))?;
        end_torn_line(&mut cells).map_err(failed("repair", &file))?;
        let folder = Self { path: path.to_owned(), cells };
        folder.write_run(run)?;
        Ok(folder)
    }

    /// The folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces `run.json`, whole or not at all.
    ///
    /// # Errors
    /// [`RecordError`] names the file.
    pub fn write_run(&self, run: &Run) -> Result<(), RecordError> {
        let path = self.path.join("run.json");
        let text = serde_json::to_vec_pretty(run).map_err(io::Error::other);
        let fresh = self.path.join("run.json.tmp");
        text.and_then(|text| std::fs::write(&fresh, text))
            .and_then(|()| std::fs::rename(&fresh, &path))
            .map_err(failed("write", &path))
    }

    /// Writes the files of one cell, then its line. The line comes last: whoever sees it finds the
    /// files.
    ///
    /// # Errors
    /// [`RecordError`] names the file.
    pub fn append(
        &mut self,
        cell: &CellRecord,
        transcript: &Transcript,
    ) -> Result<(), RecordError> {
        let folder = self.cell_folder(&cell.cell);
        std::fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
        let log = folder.join("device.log");
        std::fs::write(&log, transcript.device_log()).map_err(failed("write", &log))?;
        let entries = folder.join("transcript.jsonl");
        let text = transcript.to_jsonl().map_err(io::Error::other);
        text.and_then(|text| std::fs::write(&entries, text)).map_err(failed("write", &entries))?;
        pcapng::write(&folder.join(pcapng::FILE), cell, transcript)?;
        self.append_line(cell)
    }

    /// Takes over a finished cell of another run, with a copy of its files; see [`crate::merge`].
    ///
    /// # Errors
    /// [`RecordError`] names the file.
    pub fn adopt(&mut self, cell: &CellRecord, files: &Path) -> Result<(), RecordError> {
        let folder = self.cell_folder(&cell.cell);
        // A cell without files, as one of a survey or of a run of which somebody kept the lines alone,
        // stays one.
        if files.is_dir() {
            std::fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
        }
        for file in std::fs::read_dir(files).into_iter().flatten().flatten() {
            let path = file.path();
            if path.is_file() {
                let copy = folder.join(file.file_name());
                std::fs::copy(&path, &copy).map_err(failed("copy to", &copy))?;
            }
        }
        self.append_line(cell)
    }

    /// Writes the line of one cell alone: of a cell that is not worth files of its own.
    ///
    /// # Errors
    /// [`RecordError`] names the file.
    pub fn append_line(&mut self, cell: &CellRecord) -> Result<(), RecordError> {
        let line = self.path.join("cells.jsonl");
        let text = serde_json::to_vec(cell).map_err(io::Error::other);
        text.and_then(|mut text| {
            text.push(b'\n');
            self.cells.write_all(&text)
        })
        .map_err(failed("write", &line))
    }

    /// The folder of one cell's files.
    #[must_use]
    pub fn cell_folder(&self, cell: &CellId) -> PathBuf {
        self.path.join(cell_path(cell))
    }
}

/// The folder of one cell's files, seen from the run's folder.
#[must_use]
pub fn cell_path(cell: &CellId) -> PathBuf {
    Path::new("cells").join(cell.client.to_string()).join(&cell.broker)
}

/// A line that a killed run left torn must not swallow the next one.
fn end_torn_line(cells: &mut File) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    if cells.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    cells.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    cells.read_exact(&mut last)?;
    if last != *b"\n" { cells.write_all(b"\n") } else { Ok(()) }
}

/// Reads `run.json` of a run's folder.
///
/// # Errors
/// [`RecordError`] names the file.
pub fn read_run(folder: &Path) -> Result<Run, RecordError> {
    let path = folder.join("run.json");
    let text = std::fs::read(&path).map_err(failed("read", &path))?;
    serde_json::from_slice(&text).map_err(|error| failed("read", &path)(io::Error::other(error)))
}

/// Reads the finished cells of a run's folder in the order in which they finished. Lines that are
/// torn are left out; where a cell stands twice, the later line holds.
///
/// # Errors
/// [`RecordError`] names the file.
pub fn read_cells(folder: &Path) -> Result<Vec<CellRecord>, RecordError> {
    let path = folder.join("cells.jsonl");
    let text = std::fs::read(&path).map_err(failed("read", &path))?;
    let mut cells: Vec<Option<CellRecord>> = Vec::new();
    let mut places: HashMap<CellId, usize> = HashMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let Ok(cell) = serde_json::from_slice::<CellRecord>(line) else { continue };
        let earlier = places.insert(cell.cell.clone(), cells.len());
        if let Some(earlier) = earlier.and_then(|place| cells.get_mut(place)) {
            *earlier = None;
        }
        cells.push(Some(cell));
    }
    Ok(cells.into_iter().flatten().collect())
}
