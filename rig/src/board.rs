//! Boards: what a firmware image runs on.
//!
//! ```text
//! bench.toml --> Slot --start(image)--> Dut --link--> session
//!                  ^                      |
//!                  +------recovery--------+ hung
//! ```
//!
//! A [`Slot`] is a place where one DUT can live, a [`Dut`] is one that is alive there: a link to it,
//! and the identity it gave. Every kind is a serial device to the rest of the rig.

pub mod attached;
mod native;
mod process;
pub mod qemu;
mod silence;
mod slot;

pub use process::Process;
pub use slot::{Attached, Rung, Slot};

use crate::deadline::{Deadline, Interrupt};
use crate::firmware::{Image, MissingTool, Target, which};
use crate::link::{DutIdentity, Incoming, Link, LinkError};
use crate::probe::ProbeError;
use reports::record::BoardName;
use std::fmt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;
use wire::FrameError;

/// Held while a board's process is started, see [`native`].
static SPAWNING: Mutex<()> = Mutex::new(());

/// Kinds of board, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An attached Ameba1 board: an RTL8195A behind a debug probe and a serial port.
    Ameba1,
    /// The firmware on an emulated Cortex-M3: QEMU's `mps2-an385`.
    Qemu,
    /// The same client code as a host process on a pseudo-terminal.
    Native,
}

impl Kind {
    /// Every kind, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Ameba1, Self::Qemu, Self::Native];

    /// Its name in commands and results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ameba1 => "ameba1",
            Self::Qemu => "qemu",
            Self::Native => "native",
        }
    }

    /// What results call a board that has no name of its own, or several boards.
    #[must_use]
    pub fn board_name(self) -> BoardName {
        BoardName { name: self.name().to_owned(), kind: self.name().to_owned() }
    }

    /// What it is, for people who read a result.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Ameba1 => "attached Ameba1 board (RTL8195A), by debug probe and serial port",
            Self::Qemu => "emulated Cortex-M3 (QEMU mps2-an385), not silicon",
            Self::Native => "the client code as a process of this host, not silicon",
        }
    }

    /// What firmware is compiled for it.
    #[must_use]
    pub fn target(self) -> Target {
        match self {
            Self::Ameba1 => Target::Ameba1,
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
            Self::Ameba1 | Self::Native => Ok(()),
        }
    }

    /// What it is given in a run. An RSA handshake takes about 0.1 s on the emulated board, a
    /// P-384 one about 2 s; loaded machines are slower.
    #[must_use]
    pub fn limits(self) -> Limits {
        let (boot, cell) = match self {
            // At 38400 baud a cell's bytes alone take two seconds, and nobody has measured one yet.
            Self::Ameba1 => (20, 120),
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

/// A DUT that has said hello. Dropping it ends its process, if it has one.
pub struct Dut {
    /// The line to it. Dropped before the process is ended.
    pub link: Link,
    /// Who it says it is.
    pub identity: DutIdentity,
    process: Option<Process>,
}

/// Why a board does not come up.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// No pseudo-terminal or socket to be had.
    #[error("board {board}: no line to it could be opened: {source}")]
    Line {
        /// The board.
        board: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// Its program does not start.
    #[error(
        "board {board}: {program} does not start: {source}; `cargo rig doctor` says what is missing"
    )]
    Start {
        /// The board.
        board: String,
        /// The program.
        program: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// It runs but does not say who it is.
    #[error("board {board} does not answer: {reason}{said}")]
    Silent {
        /// The board.
        board: String,
        /// What came instead.
        reason: String,
        /// What the DUT printed, if anything.
        said: String,
    },
    /// It runs another image than the one it was given.
    #[error("board {board} runs {found} where {expected} was expected; nothing was run on it")]
    OtherImage {
        /// The board.
        board: String,
        /// What it says it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The serial port cannot be used.
    #[error(
        "board {board}: serial port {port}: {source}; is it plugged in, and may you open it (on Debian: group dialout)?"
    )]
    Port {
        /// The board.
        board: String,
        /// The port's path.
        port: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// The board's emulator does not answer.
    #[error("board {board}: its emulator cannot be reached through {path}: {source}; is it running?", path = path.display())]
    Emulator {
        /// The board.
        board: String,
        /// The socket, or the folder with the sockets.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// The bench does not say enough to find something.
    #[error("{0}")]
    Bench(String),
    /// The debug probe, or the board behind it, says no.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// Something that is not done on this board.
    #[error("board {board}: {why}")]
    Refused {
        /// The board.
        board: String,
        /// Why not.
        why: String,
    },
    /// A person asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Dut {
    /// Brings `image` to life on `slot` and waits until it has said who it is, `limit` at most.
    /// A board that runs the image already is left as it is.
    ///
    /// # Errors
    /// [`BoardError`] names the board and the step. No process is left behind.
    pub fn start(
        slot: &Slot,
        image: &Image,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<Self, BoardError> {
        if let Slot::Attached(attached) = slot
            && let Some((link, identity)) = attached::running(&attached.board, image, interrupt)?
        {
            return Ok(Self { link, identity, process: None });
        }
        Self::start_by(Rung::Load, slot, image, limit, interrupt)
    }

    /// The same by one step of the recovery ladder, whatever the board runs now.
    ///
    /// # Errors
    /// As for [`Dut::start`].
    pub fn start_by(
        rung: Rung,
        slot: &Slot,
        image: &Image,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<Self, BoardError> {
        let Started { mut link, mut process, until_hello } = match slot {
            Slot::Qemu => qemu::start(image, interrupt)?,
            Slot::Native => native::start(image, interrupt)?,
            Slot::Attached(attached) => attached::start(rung, attached, image, interrupt)?,
        };
        let board = slot.name().name;
        let identity = match hello(&board, &mut link, &mut process, limit) {
            Ok(identity) => identity,
            Err(error) => {
                // A probe that carries the frames has to be free to look.
                drop(link);
                return Err(silence::look(error, slot, image, process.as_mut()));
            }
        };
        // Held open so far: a pseudo-terminal without an open slave reads as closed.
        drop(until_hello);
        if !runs(&identity, image) {
            return Err(BoardError::OtherImage {
                board,
                found: format!("{} (image {})", identity.build, identity.image),
                expected: format!("{} (image {})", image.build, image.id),
            });
        }
        Ok(Self { link, identity, process })
    }

    /// The process behind the board: the client itself, or the emulator; an attached board has
    /// none.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }
}

/// Whether a DUT that says this of itself runs the image.
fn runs(identity: &DutIdentity, image: &Image) -> bool {
    identity.image == image.id && identity.build == image.build.as_str()
}

/// Whatever must stay open until the DUT has opened its own end.
type UntilHello = Option<Box<dyn Send>>;

/// A board whose image runs, before anything was heard from it.
struct Started {
    link: Link,
    process: Option<Process>,
    until_hello: UntilHello,
}

/// How long one Identify is waited for before it is said again: a DUT that was not yet listening
/// has lost the first.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// From the end of a process's line to its own.
const CLOSED_LIMIT: Duration = Duration::from_secs(1);

fn hello(
    board: &str,
    link: &mut Link,
    process: &mut Option<Process>,
    limit: Duration,
) -> Result<DutIdentity, BoardError> {
    let mut said = String::new();
    let silent = |reason: String, said: &str| BoardError::Silent {
        board: board.to_owned(),
        reason,
        said: if said.is_empty() { String::new() } else { format!("; it said: {said}") },
    };
    let deadline = Deadline::after(limit);
    loop {
        link.renew_token();
        match link.send(&wire::Command::Identify) {
            Ok(()) => {}
            Err(LinkError::Probe(error)) => return Err(error.into()),
            Err(error) => return Err(silent(error.to_string(), &said)),
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
                Err(LinkError::Probe(error)) => return Err(error.into()),
                Err(error) => {
                    keep(&mut said, &link.take_partial());
                    let mut ended = String::new();
                    if let Some(process) = process {
                        keep(&mut said, &process.last_words());
                        let status = process.ended_by(Deadline::after(match error {
                            LinkError::Closed => CLOSED_LIMIT,
                            _ => Duration::ZERO,
                        }));
                        ended = status.map(|status| format!(" ({status})")).unwrap_or_default();
                    }
                    return Err(silent(format!("{error}{ended}"), &said));
                }
            }
        }
        if let Some(process) = process
            && let Some(status) = process.ended()
        {
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
