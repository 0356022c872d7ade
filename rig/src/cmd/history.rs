//! `rig history`: how the runs in a folder went over time.

use super::fault;
use crate::cli::{Format, HistoryArgs};
use crate::exit::Exit;
use crate::project::Project;
use crate::terminal::Terminal;
use anyhow::{Context, Result};
use reports::history::{self, Edit, History, percent};
use reports::transcript::printable;
use std::fmt::Write as _;

/// Flaky cells that are named on the terminal; the page has them all.
const NAMED: usize = 20;

pub(super) fn run(args: &HistoryArgs, format: Format, terminal: &Terminal) -> Result<Exit> {
    let folder = match &args.runs {
        Some(folder) => folder.clone(),
        None => Project::find()?.runs(),
    };
    if folder.join("run.json").exists() {
        anyhow::bail!(
            "{} is one run: a history is made of a folder with runs in it, name the one above",
            folder.display()
        );
    }
    let history = History::read(&folder)
        .with_context(|| format!("cannot read the folder of runs {}", folder.display()))?;
    for trouble in &history.unreadable {
        terminal.say(&format!("left out: {trouble}"));
    }
    if history.runs.is_empty() {
        terminal.say(&format!(
            "there is no run in {}: `cargo rig run` makes one, `--out` says where",
            folder.display()
        ));
        return Ok(Exit::NothingSelected);
    }
    super::write(terminal, format, &history, || describe(&history))?;
    let out = args.out.as_ref().unwrap_or(&folder);
    let page = history::page(&history).map_err(fault)?;
    super::save(out, "history.html", &page)?;
    super::save(out, "history.json", &serde_json::to_string_pretty(&history).map_err(fault)?)?;
    terminal.say(&format!("page: {}", out.join("history.html").display()));
    Ok(Exit::AsExpected)
}

/// For a person: boards, then flaky cells, the worst first.
fn describe(history: &History) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{} runs, {} cells", history.runs.len(), history.cells.len());
    for board in &history.boards {
        let _ = writeln!(
            out,
            "{} ({}): {} of {} results as expected ({}), {} of {} repeated ones flaky ({}), {} faults of the rig, {} second tries",
            printable(board.name.as_bytes()),
            printable(board.kind.as_bytes()),
            board.tally.as_expected,
            board.tally.results,
            percent(board.tally.as_expected, board.tally.results),
            board.tally.flaky,
            board.tally.repeated,
            percent(board.tally.flaky, board.tally.repeated),
            board.tally.faults,
            board.tally.second_tries,
        );
    }
    for Edit { run, of, profile, cells, changed } in &history.edits {
        let Some(run) = history.runs.get(*run) else { continue };
        let (profile, run) = (printable(profile.as_bytes()), printable(run.id.as_bytes()));
        let _ = writeln!(
            out,
            "edited: {of} profile {profile} before run {run}: {changed} of {cells} cells came to another outcome"
        );
    }
    let mut flaky: Vec<_> = history.cells.iter().filter(|cell| cell.tally.flaky > 0).collect();
    flaky.sort_by_key(|cell| std::cmp::Reverse(cell.tally.flaky));
    for cell in flaky.iter().take(NAMED) {
        let _ = writeln!(
            out,
            "flaky: {} on {}: {} of {} results of the same image and profiles differ",
            cell.cell,
            printable(cell.kind.as_bytes()),
            cell.tally.flaky,
            cell.tally.repeated
        );
    }
    if flaky.len() > NAMED {
        let _ = writeln!(out, "and {} more flaky cells", flaky.len() - NAMED);
    }
    out
}
