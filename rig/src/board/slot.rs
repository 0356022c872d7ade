//! Places where a DUT can live, and the ladder that brings one back.

use super::{Kind, Limits};
use crate::bench;
use crate::command::LogLines;
use crate::firmware::Target;
use reports::record::BoardName;
use std::path::PathBuf;

/// A place where one DUT can live.
///
/// What the rig starts when it needs one, and ends, there is as often as is wanted, and one is like the
/// other: results do not tell them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// An emulator.
    Qemu,
    /// A process.
    Native,
    /// A board of the bench; there is one.
    Attached(Box<Attached>),
}

/// A board of the bench, with what it takes to write its flash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The board.
    pub board: bench::Board,
    /// The flash algorithm for its chip, an ELF file; needed only to write flash.
    pub algorithm: Option<PathBuf>,
}

/// A step of the recovery ladder: what is done to a board so that it runs an image afterwards.
/// Each takes more away from the board than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// Stop the core, put the image in place and start it. What a fresh board gets, too. For a
    /// board that the rig starts by itself: a new process.
    Load,
    /// The same after a reset of the whole chip, peripherals included.
    FullReset,
    /// The same after its power was taken away and given back by the bench's command.
    Power,
}

impl Rung {
    /// Its name in records and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "reset",
            Self::FullReset => "full_reset",
            Self::Power => "power",
        }
    }
}

impl Slot {
    /// Where boards of this kind live that the rig starts; `None` of a kind that is attached.
    #[must_use]
    pub fn started(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Qemu => Some(Self::Qemu),
            Kind::Native => Some(Self::Native),
            Kind::Ameba1 => None,
        }
    }

    /// What kind of board lives here.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Qemu => Kind::Qemu,
            Self::Native => Kind::Native,
            Self::Attached(attached) => attached.board.kind,
        }
    }

    /// What firmware is compiled for it.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            Self::Qemu | Self::Native => self.kind().target(),
            Self::Attached(attached) => attached.board.target(),
        }
    }

    /// The name under which results are kept.
    #[must_use]
    pub fn name(&self) -> BoardName {
        match self {
            Self::Qemu | Self::Native => self.kind().board_name(),
            Self::Attached(attached) => {
                BoardName { name: attached.board.name.clone(), kind: self.kind().name().to_owned() }
            }
        }
    }

    /// What may be tried, in this order, when the DUT here no longer answers.
    #[must_use]
    pub fn rungs(&self) -> Vec<Rung> {
        match self {
            Self::Qemu | Self::Native => vec![Rung::Load],
            Self::Attached(attached) => {
                let power = attached.board.power.is_some().then_some(Rung::Power);
                [Rung::Load, Rung::FullReset].into_iter().chain(power).collect()
            }
        }
    }

    /// Which log lines the line to this board has time for.
    #[must_use]
    pub fn log_lines(&self) -> LogLines {
        match self {
            Self::Qemu | Self::Native => LogLines::All,
            Self::Attached(attached) => match (attached.board.link, &attached.board.probe) {
                (bench::Line::Serial, bench::Probe::Usb(_)) => {
                    LogLines::at_baud(attached.board.baud)
                }
                (bench::Line::Rtt, _) | (_, bench::Probe::Emulator(_)) => LogLines::All,
            },
        }
    }

    /// How long what may take here.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.kind().limits()
    }
}
