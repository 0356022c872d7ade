//! The parts of a run that was split among machines, made into one run again.
//!
//! `rig run --shard 2/4` leaves a run's folder of its own on each machine. Put together they are a
//! run like any other: one plan, one `cells.jsonl`, the files of every cell. Only parts that belong
//! together are put together, because a matrix whose squares come from different kinds of board or
//! from different seeds would say something that nobody saw.

use crate::record::{BoardName, CellRecord, RecordError, Run, RunFolder};
use crate::writers::Recorded;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use suites::cell::CellId;

/// Why runs are not put together.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// There is nothing to put together.
    #[error("no run was named")]
    Nothing,
    /// The results would not be comparable.
    #[error(
        "{first} and {other} are not parts of one run: their {what} differ ({left}, {right})",
        first = first.display(),
        other = other.display()
    )]
    Differ {
        /// The folder of the first part.
        first: PathBuf,
        /// The folder of the part that does not fit.
        other: PathBuf,
        /// In what.
        what: &'static str,
        /// What the first part has.
        left: String,
        /// What the other one has.
        right: String,
    },
    /// The folder for the result is in use.
    #[error("{} already holds a run: name another folder with --out", .0.display())]
    InUse(PathBuf),
    /// A file.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Puts the parts together in the folder `out`, which holds no run yet, and returns that run. Where
/// two parts hold the same cell, the later part's result stands.
///
/// # Errors
/// [`MergeError`] names what does not fit, or the file.
pub fn merge(parts: &[Recorded], out: &Path) -> Result<Run, MergeError> {
    let (first, others) = parts.split_first().ok_or(MergeError::Nothing)?;
    for other in others {
        fits(first, other)?;
    }
    if out.join("cells.jsonl").exists() {
        return Err(MergeError::InUse(out.to_owned()));
    }
    let run = joined(first, parts, out);
    let mut latest: HashMap<&CellId, (&Recorded, &CellRecord)> = HashMap::new();
    for part in parts {
        latest.extend(part.cells.iter().map(|cell| (&cell.cell, (part, cell))));
    }
    let mut folder = RunFolder::open(out, &run)?;
    // In the order of the parts and of their cells; a HashMap has none.
    for cell in parts.iter().flat_map(|part| &part.cells) {
        if let Some((part, cell)) = latest.remove(&cell.cell) {
            folder.adopt(cell, &part.cell_folder(&cell.cell))?;
        }
    }
    folder.write_run(&run)?;
    Ok(run)
}

fn fits(first: &Recorded, other: &Recorded) -> Result<(), MergeError> {
    let (left, right) = (&first.run, &other.run);
    let facts = [
        ("schemas", left.schema.to_string(), right.schema.to_string()),
        ("kinds of board", left.board.kind.clone(), right.board.kind.clone()),
        ("seeds", left.seed.to_string(), right.seed.to_string()),
        ("suites", left.suites.join(" "), right.suites.join(" ")),
        ("versions of the rig", left.rig.clone(), right.rig.clone()),
    ];
    match facts.into_iter().find(|(_, left, right)| left != right) {
        None => Ok(()),
        Some((what, left, right)) => Err(MergeError::Differ {
            first: first.folder.clone(),
            other: other.folder.clone(),
            what,
            left,
            right,
        }),
    }
}

/// The run of which all are parts: begun with the first, ended with the last.
fn joined(first: &Recorded, parts: &[Recorded], out: &Path) -> Run {
    let mut planned = HashSet::new();
    let plan = parts.iter().flat_map(|part| &part.run.plan).filter(|cell| planned.insert(*cell));
    let names: Vec<&str> = parts.iter().map(|part| part.run.board.name.as_str()).collect();
    let one = names.iter().all(|name| *name == first.run.board.name);
    let name = if one { first.run.board.name.clone() } else { first.run.board.kind.clone() };
    // Times are RFC 3339 in UTC, which sort as text; a part that was killed has no end.
    let ends: Option<Vec<&String>> = parts.iter().map(|part| part.run.finished.as_ref()).collect();
    Run {
        id: out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        started: parts.iter().map(|part| part.run.started.clone()).min().unwrap_or_default(),
        finished: ends.and_then(|ends| ends.into_iter().max().cloned()),
        interrupted: parts.iter().any(|part| part.run.interrupted),
        board: BoardName { name, kind: first.run.board.kind.clone() },
        plan: plan.cloned().collect(),
        ..first.run.clone()
    }
}

/// Reads every part.
///
/// # Errors
/// [`RecordError`] names the file.
pub fn read(folders: &[PathBuf]) -> Result<Vec<Recorded>, RecordError> {
    folders.iter().map(|folder| Recorded::read(folder)).collect()
}
