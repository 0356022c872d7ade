//! `rig report`: the reports of a run once more, or of its parts put together.

use super::fault;
use crate::cli::{Format, ReportArgs};
use crate::exit::Exit;
use crate::terminal::Terminal;
use anyhow::{Result, bail};
use reports::merge::{self, MergeError};
use reports::record::RecordError;
use reports::{words, writers};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// The JSON document.
#[derive(Serialize, JsonSchema)]
pub(super) struct Answer {
    /// The run's folder.
    run: PathBuf,
    /// Finished cells in it.
    cells: usize,
    /// The files that were written.
    reports: Vec<PathBuf>,
}

pub(super) fn run(args: &ReportArgs, format: Format, terminal: &mut Terminal) -> Result<Exit> {
    let parts = merge::read(&args.runs).map_err(unreadable)?;
    let folder = match (&args.out, &args.runs[..]) {
        (None, [run]) => run,
        (Some(out), _) => {
            merge::merge(&parts, out).map_err(|error| match error {
                MergeError::Record(error) => fault(error),
                refused => refused.into(),
            })?;
            out
        }
        (None, _) => bail!(
            "{} runs are put together into a folder of their own: name it with --out",
            args.runs.len()
        ),
    };
    let recorded = writers::Recorded::read(folder).map_err(fault)?;
    let reports = writers::write_reports(folder).map_err(fault)?;
    let unfinished = recorded.unfinished().len();
    let answer = Answer { run: folder.clone(), cells: recorded.cells.len(), reports };
    super::write(terminal, format, &answer, || lines(&answer.reports))?;
    terminal.say(&format!("{} cells: {}", answer.cells, words::totals(&recorded.cells)));
    if unfinished > 0 {
        terminal.say(&format!(
            "{unfinished} planned cells are not in it; `cargo rig run --resume {}` goes on with them",
            folder.display()
        ));
    }
    Ok(Exit::AsExpected)
}

fn lines(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("{}\n", path.display())).collect()
}

/// A folder that is no run is a mistake of who named it.
fn unreadable(error: RecordError) -> anyhow::Error {
    anyhow::Error::new(error).context(
        "this is no run that can be reported: a run's folder holds run.json and cells.jsonl",
    )
}
