//! One file for each command; here is what they share.

mod advise;
mod boards;
mod broker;
mod capture;
mod diff;
mod doctor;
mod explain;
mod flash;
mod history;
mod list;
mod own;
mod predict;
mod report;
mod run;
#[cfg(test)]
mod schemas;

use crate::board::BoardError;
use crate::cli::{Cli, Command, Format};
use crate::exit::Exit;
use crate::probe::Class;
use crate::terminal::Terminal;
use anyhow::{Context, Result};
use serde::Serialize;
use std::path::Path;

/// An error that is a fault of the rig or of the machine, not of what was asked for.
#[derive(Debug)]
struct Fault(anyhow::Error);

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// Marks an error as a fault of the rig, exit code 3.
fn fault(error: impl Into<anyhow::Error>) -> anyhow::Error {
    anyhow::Error::new(Fault(error.into()))
}

/// Marks what a board's error is: what was asked for does not fit (exit code 2), or something of the
/// bench or the board broke (3).
fn board_fault(error: BoardError) -> anyhow::Error {
    let asked_for = match &error {
        BoardError::Refused { .. } | BoardError::Bench(_) => true,
        BoardError::Probe(error) => error.class() == Class::Setup,
        _ => false,
    };
    if asked_for { error.into() } else { fault(error) }
}

/// Runs the command and says what went wrong, if something did.
pub fn dispatch(cli: &Cli, terminal: &mut Terminal) -> Exit {
    let result = match &cli.command {
        Command::Run(args) => run::run(args, cli.format, terminal),
        Command::List { what, suites, build, own } => {
            list::run(*what, suites, *build, own, cli.format, terminal)
        }
        Command::Predict(args) => predict::run(args, cli.format, terminal),
        Command::Report(args) => report::run(args, cli.format, terminal),
        Command::Explain(args) => explain::run(args, cli.format, terminal),
        Command::Flash(args) => flash::flash(args, cli.format, terminal),
        Command::Backup(args) => flash::back_up(args, cli.format, terminal),
        Command::Advise(args) => advise::run(args, cli.format, terminal),
        Command::Capture(args) => capture::run(args, cli.format, terminal),
        Command::Doctor { board } => doctor::run(board.as_deref(), cli.format, terminal),
        Command::Diff(args) => diff::run(args, cli.format, terminal),
        Command::History(args) => history::run(args, cli.format, terminal),
    };
    result.unwrap_or_else(|error| {
        terminal.done();
        terminal.say(&format!("error: {error}"));
        // A cause that its parent already quotes would be said twice.
        let mut said = error.to_string();
        for cause in error.chain().skip(1) {
            let text = cause.to_string();
            if !said.contains(&text) {
                terminal.say(&format!("  caused by: {text}"));
                said = text;
            }
        }
        if error.is::<Fault>() { Exit::RigFault } else { Exit::Usage }
    })
}

/// Writes one JSON document or the text for people to standard output.
fn write<T: Serialize>(
    terminal: &Terminal,
    format: Format,
    value: &T,
    human: impl FnOnce() -> String,
) -> Result<()> {
    let text = match format {
        Format::Human => human(),
        Format::Json => {
            let mut text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
            text.push('\n');
            text
        }
    };
    terminal.data(&text).map_err(fault).context("cannot write to standard output")
}

/// Lines of two columns, the first padded to its widest entry.
fn columns(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(left, right)| format!("{left:width$}  {right}\n")).collect()
}

/// Writes one file of a report, whole or not at all, and its folder if there is none.
fn save(folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join(name);
    let fresh = folder.join(format!("{name}.tmp"));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&fresh, text))
        .and_then(|()| std::fs::rename(&fresh, &path))
        .map_err(fault)
        .with_context(|| format!("cannot write {}", path.display()))
}
