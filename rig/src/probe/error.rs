//! What went wrong between a probe and a running image, and whose matter that is.
//!
//! probe-rs hands up an error with its causes; the one at the bottom says most:
//!
//! ```text
//! page write failed <- access port <- debug probe <- USB: no such device     the bench
//! page write failed <- routine returned 7                                    the board
//! page write failed <- timed out       either: the core's identification is asked for once more
//! ```

use super::chip::Identity;
use crate::firmware::{Chip, algorithm};
use probe_rs::architecture::arm::{ArmError, DapError};
use probe_rs::config::RegistryError;
use probe_rs::flashing::FlashError;
use probe_rs::probe::{DebugProbeError, ProbeCreationError};
use std::error::Error;
use std::fmt;

/// Whose matter an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Probe, cable, power, emulator: nothing that the image or the chip did.
    Infrastructure,
    /// What was asked for does not fit what is there.
    Setup,
    /// The chip or what runs on it.
    Target,
}

/// What the debugger does; shown as progress, and named when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Opens the probe and connects to the debug port.
    Attach,
    /// Asks the chip which one it is.
    Identify,
    /// Resets the chip.
    Reset,
    /// Fills RAM.
    Load,
    /// Reads RAM or flash back.
    Verify,
    /// Lets the core run.
    Start,
    /// Ends debugging.
    Release,
    /// Looks whether the flash already holds the image.
    Compare,
    /// Erases sectors.
    Erase,
    /// Programs pages.
    Program,
    /// Reads memory for a copy of it.
    Read,
    /// Carries frames between rig and DUT.
    Carry,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Attach => "attaching",
            Self::Identify => "identifying the chip",
            Self::Reset => "resetting",
            Self::Load => "loading RAM",
            Self::Verify => "verifying",
            Self::Start => "starting",
            Self::Release => "letting the core go",
            Self::Compare => "comparing the flash",
            Self::Erase => "erasing the flash",
            Self::Program => "programming the flash",
            Self::Read => "reading",
            Self::Carry => "carrying frames",
        })
    }
}

/// Something between a probe and a running image failed.
#[derive(Debug)]
pub struct ProbeError {
    /// The board's name.
    pub board: String,
    /// What was being done.
    pub stage: Stage,
    /// What happened.
    pub what: What,
}

/// What can happen.
#[derive(Debug)]
pub enum What {
    /// No attached probe is the one in the wiring.
    NoProbe(String),
    /// The name of a probe is not `VID:PID:SERIAL`.
    ProbeName(String),
    /// The probe is there and cannot be used.
    NotOpened(String),
    /// The probe does not answer any more.
    ProbeGone(String),
    /// The probe answers, the chip does not.
    NoAnswer(String),
    /// Another chip than the one in the wiring.
    OtherChip {
        /// The one in the wiring.
        expected: Chip,
        /// What the chip says of itself.
        found: Identity,
    },
    /// Something that is not for this chip's memory, or must not be written.
    Refused(String),
    /// What was written reads back as something else.
    Different {
        /// The first address at which it does; unknown of the flash as a whole.
        address: Option<u32>,
    },
    /// The core hangs, or its flash algorithm gives up.
    Failed(String),
}

impl ProbeError {
    /// Whose matter it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self.what {
            What::ProbeGone(_) | What::NoAnswer(_) | What::NotOpened(_) => Class::Infrastructure,
            What::NoProbe(_) | What::ProbeName(_) | What::OtherChip { .. } | What::Refused(_) => {
                Class::Setup
            }
            What::Different { .. } | What::Failed(_) => Class::Target,
        }
    }
}

impl Error for ProbeError {}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { board, stage, what } = self;
        write!(f, "board {board}: {stage} failed: {what}")
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProbe(probe) => write!(
                f,
                "no probe {probe} is attached; plug it in, or look with `cargo rig list boards` \
                 which there are"
            ),
            Self::ProbeName(probe) => {
                write!(
                    f,
                    "{probe:?} names no probe; write it as VID:PID:SERIAL or as the serial number"
                )
            }
            Self::NotOpened(why) => write!(
                f,
                "the probe cannot be opened ({why}); end the program that uses it, or let this \
                 user use it (udev rule in rig/FIRST_BOARD.md)"
            ),
            Self::ProbeGone(why) => {
                write!(f, "the probe does not answer any more ({why}); plug it in again")
            }
            Self::NoAnswer(why) => write!(
                f,
                "the probe is there, but the chip does not answer it ({why}); look at the board's \
                 power and at the wires SWDIO, SWCLK and ground"
            ),
            Self::OtherChip { expected, found } => write!(
                f,
                "this is no {expected} ({found}); nothing was written. Correct the chip or the \
                 probe in bench.toml"
            ),
            Self::Refused(why) => write!(f, "{why}; nothing was written"),
            Self::Different { address: Some(address) } => write!(
                f,
                "what was written reads back as something else, first at {address:#010x}; try a \
                 lower speed, then suspect the board's memory"
            ),
            Self::Different { address: None } => write!(
                f,
                "what was written reads back as something else; try a lower speed, then suspect \
                 the board's flash"
            ),
            Self::Failed(why) => write!(
                f,
                "the chip does not do what it is told ({why}); reset the board or take its power \
                 away for a moment, then try again"
            ),
        }
    }
}

/// What an error of probe-rs means; `None` if only the core can tell, see the module.
pub(super) fn judge(error: &(dyn Error + 'static)) -> Option<What> {
    let mut links = vec![error];
    while let Some(cause) = links.last().copied().and_then(Error::source) {
        links.push(cause);
    }
    let told = || chain_text(&links);
    let cause = || links.last().map(|error| sentence(*error)).unwrap_or_default();
    // The deepest cause that means something.
    for link in links.iter().rev() {
        if let Some(error) = link.downcast_ref::<DebugProbeError>() {
            match error {
                DebugProbeError::Timeout => return None,
                DebugProbeError::TargetNotFound => return Some(What::NoAnswer(cause())),
                DebugProbeError::UnsupportedSpeed(_) | DebugProbeError::UnsupportedProtocol(_) => {
                    return Some(What::Refused(told()));
                }
                DebugProbeError::ProbeCouldNotBeCreated(_) => {}
                _ => return Some(What::ProbeGone(cause())),
            }
        }
        if link.is::<ProbeCreationError>() {
            return Some(What::NotOpened(cause()));
        }
        if let Some(error) = link.downcast_ref::<DapError>() {
            return Some(match error {
                DapError::FaultResponse => What::Failed(told()),
                _ => What::NoAnswer(cause()),
            });
        }
        if let Some(error) = link.downcast_ref::<ArmError>() {
            match error {
                ArmError::Timeout => return None,
                ArmError::NoTargetResponse { .. } => return Some(What::NoAnswer(cause())),
                _ => {}
            }
        }
        if matches!(link.downcast_ref::<probe_rs::Error>(), Some(probe_rs::Error::Timeout)) {
            return None;
        }
        if link.is::<RegistryError>() {
            return Some(What::Refused(told()));
        }
        if let Some(error) = link.downcast_ref::<FlashError>()
            && let Some(what) = judge_flash(error, &told)
        {
            return Some(what);
        }
    }
    Some(What::Failed(told()))
}

/// Codes of a flash algorithm that does not do what it was asked for, see [`algorithm::failure`].
const OUTSIDE: u32 = 2;
const UNALIGNED: u32 = 3;
const FACTORY_DATA: u32 = 4;

fn judge_flash(error: &FlashError, told: &dyn Fn() -> String) -> Option<What> {
    match error {
        FlashError::Verify => Some(What::Different { address: None }),
        FlashError::RoutineCallFailed { name, error_code } => {
            let why = algorithm::failure(*error_code);
            let why = why.map_or_else(|| format!("code {error_code}"), str::to_owned);
            let said = format!("{name} of the flash algorithm: {why}");
            let refused = [OUTSIDE, UNALIGNED, FACTORY_DATA].contains(error_code);
            Some(if refused { What::Refused(said) } else { What::Failed(said) })
        }
        FlashError::UnexpectedCoreStatus { .. }
        | FlashError::StackOverflowDetected { .. }
        | FlashError::FlashAlgorithmNotLoaded => Some(What::Failed(told())),
        FlashError::NoSuitableNvm { .. }
        | FlashError::AddressNotInRegion { .. }
        | FlashError::DataOverlaps { .. }
        | FlashError::NoFlashLoaderAlgorithmAttached { .. }
        | FlashError::InvalidFlashAlgorithmLoadAddress { .. }
        | FlashError::InvalidFlashAlgorithmStackSize { .. }
        | FlashError::InvalidFlashAlgorithmLength { .. } => Some(What::Refused(told())),
        _ => None,
    }
}

/// What was tried and what came of it: the ends of the chain.
fn chain_text(links: &[&(dyn Error + 'static)]) -> String {
    let mut text: Vec<String> = links.iter().map(|link| sentence(*link)).collect();
    text.dedup();
    match &text[..] {
        [first, .., last] => format!("{first}: {last}"),
        _ => text.concat(),
    }
}

/// What is said of a chip that answers, but takes too long.
pub(super) fn too_long(error: &(dyn Error + 'static)) -> String {
    format!("{}: it takes too long", sentence(error))
}

/// An error's own words, as a part of a sentence of ours.
fn sentence(error: &(dyn Error + 'static)) -> String {
    error.to_string().trim().trim_end_matches('.').to_owned()
}
