//! Boards: what a firmware image runs on.
//!
//! A [`Kind`] says how an image comes to life, a [`Dut`] is one that is alive: a process, a link to
//! it, and the identity it gave. Every kind is a serial device to the rest of the rig. Attached
//! hardware is a kind of its own once flashing is there; nothing here touches a device.

mod native;
pub mod qemu;

use crate::deadline::{Deadline, Interrupt};
use crate::firmware::{Image, MissingTool, Target, which};
use crate::link::{DutIdentity, Incoming, Link, LinkError};
use crate::probe::ProbeError;
use crate::probe::emulated::EmulatedBoard;
use reports::record::BoardName;
use reports::transcript::printable;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::Duration;
use wire::FrameError;

/// Held while a board's process is started, see [`native`].
static SPAWNING: Mutex<()> = Mutex::new(());

/// Kinds of board, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The firmware on an emulated Cortex-M3: QEMU's `mps2-an385`.
    Qemu,
    /// The same client code as a host process on a pseudo-terminal.
    Native,
}

impl Kind {
    /// Every kind, in the order in which they are tried.
    pub const ALL: [Self; 2] = [Self::Qemu, Self::Native];

    /// Its name in commands and results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu",
            Self::Native => "native",
        }
    }

    /// What it is, for people who read a result.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Qemu => "emulated Cortex-M3 (QEMU mps2-an385), not silicon",
            Self::Native => "the client code as a process of this host, not silicon",
        }
    }

    /// What firmware is compiled for it.
    #[must_use]
    pub fn target(self) -> Target {
        match self {
            Self::Qemu => Target::Mps2An385,
            Self::Native => Target::Native,
        }
    }

    /// Whether the programs that bring it to life are here; those that build its firmware are the
    /// builder's matter.
    ///
    /// # Errors
    /// [`MissingTool`] says what is not here, and how to get it.
    pub fn ready(self) -> Result<(), MissingTool> {
        match self {
            Self::Qemu => match which(qemu::PROGRAM) {
                Some(_) => Ok(()),
                None => Err(qemu::MISSING),
            },
            Self::Native => Ok(()),
        }
    }

    /// What it is given in a run. An RSA handshake takes about 0.1 s on the emulated board, a
    /// P-384 one about 2 s; loaded machines are slower.
    #[must_use]
    pub fn limits(self) -> Limits {
        let (boot, cell) = match self {
            Self::Qemu => (20, 60),
            Self::Native => (10, 20),
        };
        Limits {
            boot: Duration::from_secs(boot),
            cell: Duration::from_secs(cell),
            // More than the broker's own limit for a client that says nothing.
            account: Duration::from_secs(12),
        }
    }

    /// The name under which results of the `number`th board of this kind are kept. Boards of these
    /// kinds are alike, so their results do not tell them apart.
    #[must_use]
    pub fn board_name(self) -> BoardName {
        BoardName { name: self.name().to_owned(), kind: self.name().to_owned() }
    }
}

/// How long what may take before the rig gives it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the board's start to its first frame.
    pub boot: Duration,
    /// One cell, from its command to its result.
    pub cell: Duration,
    /// From the end of a cell to the broker's account of it.
    pub account: Duration,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A DUT that has said hello. Dropping it ends its process.
pub struct Dut {
    /// The line to it. Dropped before the process is ended.
    pub link: Link,
    /// Who it says it is.
    pub identity: DutIdentity,
    process: Process,
}

/// Why a board does not come up.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// No pseudo-terminal or socket to be had.
    #[error("board {board}: no line to it could be opened: {source}")]
    Line {
        /// The board.
        board: Kind,
        /// The system's word.
        source: std::io::Error,
    },
    /// Its program does not start.
    #[error(
        "board {board}: {program} does not start: {source}; `cargo rig doctor` says what is missing"
    )]
    Start {
        /// The board.
        board: Kind,
        /// The program.
        program: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// It runs but does not say who it is.
    #[error("board {board} does not answer: {reason}{said}")]
    Silent {
        /// The board.
        board: Kind,
        /// What came instead.
        reason: String,
        /// What the DUT printed, if anything.
        said: String,
    },
    /// It runs another image than the one it was given.
    #[error("board {board} runs {found} where {expected} was expected; nothing was run on it")]
    OtherImage {
        /// The board.
        board: Kind,
        /// What it says it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// Its probe, or what is behind it.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// A person asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Dut {
    /// Brings `image` to life and waits until it has said who it is, `limit` at most.
    ///
    /// # Errors
    /// [`BoardError`] names the board and the step. No process is left behind.
    pub fn start(
        kind: Kind,
        image: &Image,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<Self, BoardError> {
        let started = match kind {
            Kind::Native => native::start(image, interrupt)?,
            Kind::Qemu => qemu::start(image, interrupt)?,
        };
        let Started { mut link, mut process, until_hello } = started;
        let identity = hello(kind, &mut link, &mut process, limit)?;
        // Held open so far: a pseudo-terminal without an open slave reads as closed.
        drop(until_hello);
        let (expected, found) = (&image.id, &identity.image);
        if expected != found || identity.build != image.build.as_str() {
            return Err(BoardError::OtherImage {
                board: kind,
                found: format!("{} (image {found})", identity.build),
                expected: format!("{} (image {expected})", image.build),
            });
        }
        Ok(Self { link, identity, process })
    }

    /// The process behind the board: the client itself, or the emulator.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its number.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }
}

/// Whatever must stay open until the DUT has opened its own end.
type UntilHello = Option<Box<dyn Send>>;

/// A board whose process runs, before anything was heard from it.
struct Started {
    link: Link,
    process: Process,
    until_hello: UntilHello,
}

/// A child process that ends when it is dropped.
pub struct Process {
    child: Child,
    /// Its standard error: a file without a name, because a pipe that nobody empties can block.
    words: File,
    /// The probe of an emulator.
    board: Option<EmulatedBoard>,
}

impl Process {
    /// Starts the command with its standard error kept. `program` is for the message.
    fn start(kind: Kind, mut command: Command, program: &str) -> Result<Self, BoardError> {
        let failed =
            |source| BoardError::Start { board: kind, program: program.to_owned(), source };
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

    /// What the program wrote to standard error, made safe to show.
    fn last_words(&mut self) -> String {
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

/// How long one Identify is waited for before it is said again: a DUT that was not yet listening
/// has lost the first.
const ASK_AGAIN: Duration = Duration::from_millis(500);

fn hello(
    kind: Kind,
    link: &mut Link,
    process: &mut Process,
    limit: Duration,
) -> Result<DutIdentity, BoardError> {
    let mut said = String::new();
    let silent = |reason: String, said: &str| BoardError::Silent {
        board: kind,
        reason,
        said: if said.is_empty() { String::new() } else { format!("; it said: {said}") },
    };
    let deadline = Deadline::after(limit);
    loop {
        link.renew_token();
        if let Err(error) = link.send(&wire::Command::Identify) {
            return Err(silent(error.to_string(), &said));
        }
        let patience = Deadline::after(ASK_AGAIN.min(deadline.left()));
        loop {
            match link.next(patience) {
                Ok(Incoming::Identity(identity)) => return Ok(identity),
                // Sound frames of another version hold no text to show.
                Ok(Incoming::Noise { why: why @ FrameError::Version(_), .. }) => {
                    keep(&mut said, &why.to_string());
                }
                Ok(Incoming::Noise { text, .. }) => keep(&mut said, &text),
                Ok(_) => {}
                Err(LinkError::TimedOut(_)) => break,
                Err(LinkError::Interrupted) => return Err(BoardError::Interrupted),
                Err(error) => {
                    keep(&mut said, &link.take_partial());
                    keep(&mut said, &process.last_words());
                    let ended = process.child.try_wait().ok().flatten();
                    let ended = ended.map(|status| format!(" ({status})")).unwrap_or_default();
                    return Err(silent(format!("{error}{ended}"), &said));
                }
            }
        }
        if let Ok(Some(status)) = process.child.try_wait() {
            keep(&mut said, &link.take_partial());
            keep(&mut said, &process.last_words());
            return Err(silent(format!("its process ended ({status})"), &said));
        }
        if deadline.slice().is_none() {
            keep(&mut said, &link.take_partial());
            let limit = limit.as_secs();
            return Err(silent(format!("no hello within {limit} s of its start"), &said));
        }
    }
}

/// How many characters of what a DUT printed are kept.
const KEPT: usize = 300;

/// Keeps the first few hundred characters of what a DUT printed.
fn keep(said: &mut String, text: &str) {
    if said.chars().count() < KEPT && !text.is_empty() {
        said.extend(text.chars().take(KEPT));
    }
}
