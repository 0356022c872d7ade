//! What a debug probe sees of a board that does not say hello: where its core is.
//!
//! ```text
//! silent --attach--> halted, running, locked up? --program counter--> function of the image
//! ```
//!
//! Silence itself says nothing: an image that hangs, one that never came to run, and a wire that is in
//! the wrong pin all look the same from the line.

use super::{BoardError, Process, Slot, attached, qemu};
use crate::bench::Line;
use crate::firmware::Image;
use crate::probe::{CoreState, Debugger, Whereabouts};
use object::{Object, ObjectSymbol, SymbolKind};
use rustc_demangle::demangle;
use std::path::Path;

/// The error, and what the probe sees; the same error if it is no silence, or there is no probe. The
/// core is halted for the look and let go afterwards.
pub(super) fn look(
    error: BoardError,
    slot: &Slot,
    image: &Image,
    mut process: Option<&mut Process>,
) -> BoardError {
    let BoardError::Silent { board, reason, said } = error else { return error };
    if let Some(process) = &mut process
        && process.ended().is_some()
    {
        // Nothing is left to be looked at, and how it ended is said already.
        return BoardError::Silent { board, reason, said };
    }
    let seen = match attach(slot, process.as_deref()) {
        Some(Ok(debugger)) => see(debugger, slot, &image.path),
        // A probe that fails now is worth a word, too.
        Some(Err(error)) => format!("; {error}"),
        None => String::new(),
    };
    BoardError::Silent { board, reason: reason + &seen, said }
}

fn attach(slot: &Slot, process: Option<&Process>) -> Option<Result<Debugger, BoardError>> {
    match slot {
        Slot::Native => None,
        Slot::Qemu => {
            let wiring = qemu::wiring(process?.emulated()?);
            Some(Debugger::attach(slot.kind().name(), &wiring).map_err(BoardError::from))
        }
        Slot::Attached(attached) => Some(attached::attach(&attached.board)),
    }
}

fn see(mut debugger: Debugger, slot: &Slot, image: &Path) -> String {
    let seen = match debugger.whereabouts() {
        Ok(found) => tell(found, function(image, found.pc).as_deref(), line(slot)),
        Err(error) => error.to_string(),
    };
    match debugger.detach() {
        Ok(()) => format!("; {seen}"),
        Err(error) => format!("; {seen}; {error}"),
    }
}

/// The line that a person may have wired wrong.
fn line(slot: &Slot) -> Option<Line> {
    match slot {
        Slot::Qemu | Slot::Native => None,
        Slot::Attached(attached) => Some(attached.board.link),
    }
}

/// A sentence of what was found. `function` is the image's at that place.
fn tell(found: Whereabouts, function: Option<&str>, line: Option<Line>) -> String {
    let Whereabouts { state, pc } = found;
    let place = match function {
        Some(function) => format!("in {function} of the image"),
        None => format!("at {pc:#010x}, outside the image"),
    };
    let hint = match (state, function, line) {
        (CoreState::Running, Some(_), Some(Line::Serial)) => {
            "; if it waits there for the rig, look at the serial line: its port and its speed in bench.toml, and whether TX and RX are swapped"
        }
        (CoreState::Running, None, Some(_)) => {
            "; the image was not started, or has jumped out of itself; `cargo rig doctor` looks at the chip"
        }
        (CoreState::Halted, _, Some(_)) => {
            "; end other programs that use the probe, then try again"
        }
        (CoreState::LockedUp, _, Some(_)) => "; take its power away for a moment, then try again",
        _ => "",
    };
    let what = match state {
        CoreState::Running => "its core runs",
        CoreState::Halted => "its core is halted",
        CoreState::LockedUp => "its core is locked up",
    };
    format!("{what} {place}{hint}")
}

/// The function of an ELF file in which this address is.
fn function(elf: &Path, pc: u32) -> Option<String> {
    let bytes = std::fs::read(elf).ok()?;
    let file = object::File::parse(&*bytes).ok()?;
    let found = file.symbols().find(|symbol| {
        let start = symbol.address() & !1;
        symbol.kind() == SymbolKind::Text && (start..start + symbol.size()).contains(&u64::from(pc))
    })?;
    Some(format!("{:#}", demangle(found.name().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_each_state() {
        let mut said = String::new();
        for state in [CoreState::Running, CoreState::Halted, CoreState::LockedUp] {
            for (pc, function) in [(0x412, Some("dut::serve")), (0x0100_0100, None)] {
                for line in [None, Some(Line::Serial), Some(Line::Rtt)] {
                    let text = tell(Whereabouts { state, pc }, function, line);
                    said += &format!("{line:?}: {text}\n");
                }
            }
        }
        insta::assert_snapshot!(said);
    }
}
