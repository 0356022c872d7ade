//! `rig doctor`: what this machine has and lacks for each kind of board.

use crate::board::Kind;
use crate::cli::Format;
use crate::doctor::{Checkup, check, choose};
use crate::exit::Exit;
use crate::terminal::Terminal;
use anyhow::Result;

/// Looks, and says what it saw. Exit code 3 if no kind of board can run here.
pub(super) fn run(format: Format, terminal: &Terminal) -> Result<Exit> {
    let checkups: Vec<_> = Kind::ALL.into_iter().map(check).collect();
    super::write(terminal, format, &checkups, || text(&checkups))?;
    let any = checkups.iter().any(|checkup| checkup.ready);
    Ok(if any { Exit::AsExpected } else { Exit::RigFault })
}

fn text(checkups: &[Checkup]) -> String {
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
    let (kind, why) = choose();
    out.push_str(&format!("\n`cargo rig run` would take the {kind} board: {why}.\n"));
    out.push_str("Attached Ameba1 boards are not supported by this version, and nothing here was tried on one.\n");
    out
}
