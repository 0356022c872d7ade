//! The bench's power command: what takes a board's power away and gives it back.
//!
//! It is a program of the user's (a switchable hub, a relay, a laboratory supply) named in
//! `bench.toml`; it ends when the power is back.

use crate::board::BoardError;
use crate::deadline::{Deadline, Interrupt};
use reports::transcript::printable;
use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// A hub is done in a second or two; more than this is a program that hangs.
const LIMIT: Duration = Duration::from_secs(30);
/// How often it is looked at.
const GLANCE: Duration = Duration::from_millis(10);
/// How much of what it says is shown.
const SHOWN: usize = 200;

/// Runs the command of the board to its end.
///
/// # Errors
/// [`BoardError::Refused`] with what the command said.
pub fn cycle(board: &str, command: &[String], interrupt: &Interrupt) -> Result<(), BoardError> {
    let failed = |why: String| BoardError::Refused { board: board.to_owned(), why };
    let Some((program, arguments)) = command.split_first() else {
        return Err(failed("bench.toml names no `power` command for it".to_owned()));
    };
    let mut words = tempfile::tempfile().map_err(|error| failed(error.to_string()))?;
    let copy = |words: &File| words.try_clone().map_err(|error| failed(error.to_string()));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(copy(&words)?)
        .stderr(copy(&words)?)
        .spawn()
        .map_err(|error| {
            failed(format!("its power command {program:?} does not start: {error}"))
        })?;
    let deadline = Deadline::after(LIMIT);
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => break format!("failed ({status})"),
            Ok(None) if interrupt.requested() => break "was interrupted".to_owned(),
            Ok(None) if deadline.left().is_zero() => {
                break format!("is not done after {} s", LIMIT.as_secs());
            }
            Ok(None) => thread::sleep(GLANCE),
            Err(error) => break format!("cannot be waited for: {error}"),
        }
    };
    // Both fail only if it has ended.
    let _ = child.kill();
    let _ = child.wait();
    let said = said(&mut words);
    Err(failed(format!("its power command {program:?} {ended}{said}; run it by hand to see why")))
}

fn said(words: &mut File) -> String {
    let mut bytes = Vec::new();
    let read = words.rewind().and_then(|()| words.read_to_end(&mut bytes));
    let text = read.map(|_| printable(bytes.trim_ascii())).unwrap_or_default();
    match text.is_empty() {
        true => String::new(),
        false => format!("; it said: {}", text.chars().take(SHOWN).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &[&str]) -> Result<(), String> {
        let command: Vec<_> = command.iter().map(|part| (*part).to_owned()).collect();
        cycle("desk-1", &command, &Interrupt::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_command_that_ends_well_is_enough() {
        assert_eq!(run(&["true"]), Ok(()));
    }

    #[test]
    fn one_that_does_not_is_quoted_without_its_colours() {
        let said = run(&["sh", "-c", "printf '\\033[31mno hub'; exit 3"]).unwrap_err();
        assert_eq!(
            said,
            "board desk-1: its power command \"sh\" failed (exit status: 3); it said: \\u{1b}[31mno hub; run it by hand to see why"
        );
        let said = run(&["/no/such/program"]).unwrap_err();
        assert!(said.contains("\"/no/such/program\" does not start"), "{said}");
        let said = run(&[]).unwrap_err();
        assert_eq!(said, "board desk-1: bench.toml names no `power` command for it");
    }

    #[test]
    fn one_that_hangs_ends_with_the_interrupt() {
        let interrupt = Interrupt::default();
        interrupt.request();
        let command = ["sleep", "60"].map(str::to_owned);
        let said = cycle("desk-1", &command, &interrupt).unwrap_err().to_string();
        assert!(said.contains("was interrupted"), "{said}");
    }
}
