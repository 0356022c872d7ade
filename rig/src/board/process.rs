//! A child process behind a board: the client itself, or an emulator.

use super::{BoardError, KEPT};
use crate::deadline::Deadline;
use crate::probe::emulated::EmulatedBoard;
use reports::transcript::printable;
use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::Duration;

/// A child process that ends when it is dropped.
pub struct Process {
    child: Child,
    /// Its standard error: a file without a name, because a pipe that nobody empties can block.
    words: File,
    /// The probe of an emulator.
    pub(super) board: Option<EmulatedBoard>,
}

impl Process {
    /// Starts the command with its standard error kept. `program` is for the message.
    pub(super) fn start(
        board: &str,
        mut command: Command,
        program: &str,
    ) -> Result<Self, BoardError> {
        let failed = |source| BoardError::Start {
            board: board.to_owned(),
            program: program.to_owned(),
            source,
        };
        let words = tempfile::tempfile().map_err(failed)?;
        command.stderr(words.try_clone().map_err(failed)?);
        let child = command.spawn().map_err(failed)?;
        // `command` is dropped here, and with it our copies of what the child was given: while they
        // are open, the end of the child would go unnoticed.
        Ok(Self { child, words, board: None })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The board whose emulator this is, with the probe by which it is reached.
    #[must_use]
    pub fn emulated(&self) -> Option<&EmulatedBoard> {
        self.board.as_ref()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// How it ended, of one whose line is closed: the system closes a process's files before it says
    /// that the process is over.
    pub(super) fn ended_by(&mut self, deadline: Deadline) -> Option<ExitStatus> {
        loop {
            match self.ended() {
                None if !deadline.left().is_zero() => thread::sleep(Duration::from_millis(1)),
                ended => return ended,
            }
        }
    }

    /// What the program wrote to standard error, made safe to show.
    pub(super) fn last_words(&mut self) -> String {
        let mut bytes = Vec::new();
        let read = self.words.rewind().and_then(|()| self.words.read_to_end(&mut bytes));
        let text = read.map(|_| printable(bytes.trim_ascii())).unwrap_or_default();
        text.chars().take(KEPT).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
