//! The reports that are made of a run's folder, and the one call that makes them all.
//!
//! ```text
//! run.json, cells.jsonl, cells/*/* --> Recorded --> one file for each line of WRITERS
//! ```
//!
//! `rig run` calls [`write_reports`] at its end, `rig report` at any later time. A new kind of
//! report is one line in [`WRITERS`]: a file name, and a function from the record to its bytes. It
//! needs no board and no network, and it may be called again and again.

use crate::record::{self, CellRecord, RecordError, Run};
use crate::{badge, html, junit, markdown, pcapng, record::failed};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use suites::cell::CellId;

/// A run as its folder holds it: what every writer is given.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The run's folder.
    pub folder: PathBuf,
    /// What was to be run.
    pub run: Run,
    /// The finished cells in the order of the plan.
    pub cells: Vec<CellRecord>,
}

impl Recorded {
    /// Reads a run's folder.
    ///
    /// # Errors
    /// [`RecordError`] names the file.
    pub fn read(folder: &Path) -> Result<Self, RecordError> {
        let run = record::read_run(folder)?;
        let mut cells = record::read_cells(folder)?;
        let order: HashMap<&CellId, usize> =
            run.plan.iter().enumerate().map(|(place, cell)| (cell, place)).collect();
        // A cell that the plan does not name, as after `--resume` with other filters, comes last.
        cells.sort_by_key(|cell| order.get(&cell.cell).copied().unwrap_or(usize::MAX));
        Ok(Self { folder: folder.to_owned(), run, cells })
    }

    /// The cells that were to be run and are not finished.
    #[must_use]
    pub fn unfinished(&self) -> Vec<&CellId> {
        let finished: HashSet<_> = self.cells.iter().map(|cell| &cell.cell).collect();
        self.run.plan.iter().filter(|cell| !finished.contains(cell)).collect()
    }

    /// The folder of one cell's files.
    #[must_use]
    pub fn cell_folder(&self, cell: &CellId) -> PathBuf {
        self.folder.join(record::cell_path(cell))
    }
}

/// Makes one report of a run.
pub type Writer = fn(&Recorded) -> io::Result<Vec<u8>>;

/// Every report by its file name, in the order in which they are written. `report.html` links to
/// what the others wrote, so it stays last.
pub const WRITERS: &[(&str, Writer)] = &[
    ("junit.xml", junit::write),
    ("report.md", markdown::write),
    ("badge.svg", badge::write),
    ("report.html", html::page),
];

/// Writes every report of the run in `folder` into that folder, and returns the files.
///
/// # Errors
/// [`RecordError`] names the file that cannot be read or written.
pub fn write_reports(folder: &Path) -> Result<Vec<PathBuf>, RecordError> {
    let recorded = Recorded::read(folder)?;
    pcapng::write_missing(&recorded)?;
    let mut written = Vec::new();
    for (name, writer) in WRITERS {
        let path = folder.join(name);
        // A reader never finds half a report.
        let fresh = folder.join(format!("{name}.tmp"));
        writer(&recorded)
            .and_then(|bytes| std::fs::write(&fresh, bytes))
            .and_then(|()| std::fs::rename(&fresh, &path))
            .map_err(failed("write", &path))?;
        written.push(path);
    }
    Ok(written)
}
