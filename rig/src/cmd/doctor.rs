//! `rig doctor`: what this machine has and lacks for each kind of board, and what a board is like.

use super::{boards, fault};
use crate::bench::Bench;
use crate::bench::lock::Lock;
use crate::board::Kind;
use crate::cli::Format;
use crate::deadline::Interrupt;
use crate::doctor::{Checkup, check, choose};
use crate::exit::Exit;
use crate::first_contact::{self, State, Step};
use crate::project::Project;
use crate::terminal::Terminal;
use anyhow::Result;

/// Looks, and says what it saw. Exit code 3 if no kind of board can run here, or the named board is
/// not as it should be.
pub(super) fn run(board: Option<&str>, format: Format, terminal: &Terminal) -> Result<Exit> {
    let project = Project::find()?;
    let bench = boards::bench(&project)?;
    match board {
        Some(name) => one(name, &bench, format, terminal),
        None => machine(&bench, format, terminal),
    }
}

fn one(name: &str, bench: &Bench, format: Format, terminal: &Terminal) -> Result<Exit> {
    let board = boards::named(bench, name)?;
    let _lock = Lock::take(board).map_err(fault)?;
    let steps = first_contact::look(board, bench, &Interrupt::default());
    super::write(terminal, format, &steps, || steps.iter().map(describe).collect())?;
    let failed = steps.iter().any(|step| step.state == State::Failed);
    Ok(if failed { Exit::RigFault } else { Exit::AsExpected })
}

fn describe(step: &Step) -> String {
    let state = match step.state {
        State::Ok => "ok",
        State::Note => "note",
        State::Failed => "FAILED",
    };
    let mut lines = step.seen.iter();
    let first = lines.next().map(String::as_str).unwrap_or_default();
    let rest: String = lines.map(|line| format!("          {line}\n")).collect();
    format!("  {state:<6}  {}: {first}\n{rest}", step.what)
}

fn machine(bench: &Bench, format: Format, terminal: &Terminal) -> Result<Exit> {
    let checkups: Vec<_> = Kind::ALL.into_iter().map(|kind| check(kind, bench)).collect();
    super::write(terminal, format, &checkups, || text(&checkups, bench))?;
    let any = checkups.iter().any(|checkup| checkup.ready);
    Ok(if any { Exit::AsExpected } else { Exit::RigFault })
}

fn text(checkups: &[Checkup], bench: &Bench) -> String {
    let mut out = String::new();
    for checkup in checkups {
        let state = if checkup.ready { "can run here" } else { "cannot run here yet" };
        out.push_str(&format!("{}: {state} ({})\n", checkup.board, checkup.about));
        for need in &checkup.needs {
            let line = match (&need.found, need.mend) {
                (Some(found), _) => format!("  ok       {}: {found}\n", need.what),
                (None, mend) => {
                    format!("  MISSING  {}: {}\n", need.what, mend.unwrap_or_default())
                }
            };
            out.push_str(&line);
        }
    }
    let (kind, why) = choose(bench);
    out.push_str(&format!("\n`cargo rig run` would take the {kind} board: {why}.\n"));
    out.push_str("`cargo rig doctor --board NAME` looks at a board of the bench. Nothing here was tried on a real one yet.\n");
    out
}
