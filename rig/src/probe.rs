//! Between a debug probe and a running image: attach, load, flash, verify, reset, start.
//!
//! ```text
//! Wiring --attach--> Debugger --load, start----> image in RAM runs
//!   |                   |------flash, verify --> image in flash    (skipped if it is there)
//!   |                   +------rings in memory-> frames while it runs (rtt)
//!   +-- probe: on USB, or an emulated board's    (emulated)
//!   +-- chip: memory map, reset, identity        (chip, sequence)
//! ```
//!
//! probe-rs does the work, the same for a real probe and for the emulated board's. What is ours:
//! chips that it does not know, a check that the chip is the one that was meant before anything is
//! written, and errors that name board and step and say whose matter they are.
//!
//! No real probe was ever attached; all this is proven on the emulated board.

mod algorithm;
mod chip;
mod connect;
pub mod emulated;
mod error;
mod flash;
mod image;
pub mod rtt;
mod sequence;
pub mod window;

pub use crate::firmware::Chip;
pub use algorithm::{Algorithm, AlgorithmError};
pub use chip::Identity;
pub use connect::{AttachedProbe, discover};
pub use error::{Class, ProbeError, Stage, What};
pub use flash::Flashed;
pub use image::{FlashImage, ImageError};

use crate::deadline::Deadline;
use connect::{no_answer_in_time, open};
use probe_rs::architecture::arm::dp::{DPIDR, DpAddress, DpRegister};
use probe_rs::{Core, CoreStatus, MemoryInterface, RegisterId, Session, VectorCatchCondition};
use sequence::{Release, WATCHDOG, WATCHDOG_OFF, WATCHDOG_RESET};
use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// How a board is wired to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wiring {
    /// The probe: `VID:PID:SERIAL`, numbers in hexadecimal, or the serial number alone.
    pub probe: String,
    /// What is on the board.
    pub chip: Chip,
    /// Clock of the debug port; a probe takes the next lower one that it has.
    pub speed_khz: u32,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The step.
    pub stage: Stage,
    /// Bytes done.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Which reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// Of the core; on the RTL8195A peripherals stay as they are.
    Core,
    /// Of the whole chip, by its watchdog where a reset by the debugger is one of the core alone.
    Full,
}

/// What a core does that nobody has halted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoreState {
    /// It runs, or sleeps until an interrupt comes.
    Running,
    /// It is halted.
    Halted,
    /// It met an exception while it could take none (ARMv7-M, B1.5.15).
    LockedUp,
}

/// What a core did when the debugger came, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whereabouts {
    /// What it did.
    pub state: CoreState,
    /// Address of its next instruction.
    pub pc: u32,
}

/// CPUID of the core.
const CPUID: u64 = 0xe000_ed00;
const VTOR: u64 = 0xe000_ed08;
/// Words of a debug component that hold its part number and its maker (ARM IHI 0031, D1).
const ROM_TABLE_PIDR0: u64 = 0xe00f_ffe0;

/// Core registers, by their numbers in the ARMv7-M manual (DCRSR): the stack pointer in use, the
/// program counter, and the word of CONTROL, FAULTMASK, BASEPRI and PRIMASK.
const SP: RegisterId = RegisterId(13);
const PC: RegisterId = RegisterId(15);
const XPSR: RegisterId = RegisterId(16);
const MASKS: RegisterId = RegisterId(20);
const THUMB: u32 = 1 << 24;

/// A core that is told to halt or to reset does so at once.
const CORE_LIMIT: Duration = Duration::from_millis(500);
/// From a reset of the whole chip to a debug port that answers again.
const FULL_RESET_LIMIT: Duration = Duration::from_secs(3);
/// Bytes that are read in one go, so that progress moves.
const READ_STEP: usize = 4096;

/// A connection to a board's chip. Dropping it leaves the core halted: after a failure there is
/// nothing in memory that should run. [`Self::detach`] lets it run; as an [`rtt::Rtt`] it stays attached to
/// a core that runs.
pub struct Debugger {
    board: String,
    wiring: Wiring,
    /// `None` only if opening it again has failed.
    session: Option<Session>,
    release: Release,
    identity: Identity,
    /// What the core did when the debugger came.
    found: CoreState,
}

impl fmt::Debug for Debugger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Debugger").field("board", &self.board).finish_non_exhaustive()
    }
}

impl Debugger {
    /// Opens the probe, connects to the chip, checks that it is the one in the wiring, and halts it.
    /// `board` is its name in messages.
    ///
    /// # Errors
    /// [`ProbeError`]; nothing was written to the chip's memory.
    pub fn attach(board: &str, wiring: &Wiring) -> Result<Self, ProbeError> {
        let release = Release::default();
        let session = Some(open(board, wiring, None, &release)?);
        let identity = Identity { debug_port: 0, core: 0, rom_table_part: 0 };
        let (board, wiring) = (board.to_owned(), wiring.clone());
        let found = CoreState::Halted;
        let mut debugger = Self { board, wiring, session, release, identity, found };
        debugger.identify()?;
        debugger.found = match debugger.with_core(Stage::Attach, |core| core.status())? {
            CoreStatus::LockedUp => CoreState::LockedUp,
            CoreStatus::Halted(_) => CoreState::Halted,
            CoreStatus::Running | CoreStatus::Sleeping | CoreStatus::Unknown => CoreState::Running,
        };
        debugger.halt()?;
        Ok(debugger)
    }

    /// What the core did when the debugger came, and where it is.
    ///
    /// # Errors
    /// [`ProbeError`] if the program counter cannot be read.
    pub fn whereabouts(&mut self) -> Result<Whereabouts, ProbeError> {
        let pc = self.with_core(Stage::Identify, |core| core.read_core_reg(PC))?;
        Ok(Whereabouts { state: self.found, pc })
    }

    /// What the chip says of itself.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Loads the image's segments into RAM after a reset, reads them back, and starts it.
    ///
    /// # Errors
    /// [`ProbeError`] if a segment is not for this chip's RAM, reads back as something else, or the
    /// probe fails.
    pub fn start_from_ram(&mut self, elf: &Path) -> Result<(), ProbeError> {
        let refused =
            |debugger: &Self, why: String| debugger.failed(Stage::Load, What::Refused(why));
        let image =
            image::RamImage::from_elf(elf).map_err(|error| refused(self, error.to_string()))?;
        let chip = self.wiring.chip;
        if let Some(outside) = image.outside(chip.ram()) {
            return Err(refused(
                self,
                format!(
                    "{} is not for {chip}: it has bytes at {:#010x}, where that has no RAM",
                    elf.display(),
                    outside
                ),
            ));
        }
        self.reset_and_halt()?;
        for (address, bytes) in &image.segments {
            self.with_core(Stage::Load, |core| core.write((*address).into(), bytes))?;
        }
        for (address, bytes) in &image.segments {
            let mut found = vec![0; bytes.len()];
            self.with_core(Stage::Verify, |core| core.read((*address).into(), &mut found))?;
            if let Some(at) = bytes.iter().zip(&found).position(|(wrote, read)| wrote != read) {
                let address = Some(address.wrapping_add(at as u32));
                return Err(self.failed(Stage::Verify, What::Different { address }));
            }
        }
        self.with_core(Stage::Start, |core| {
            core.write_word_32(VTOR, image.vectors)?;
            core.write_core_reg(SP, image.stack)?;
            core.write_core_reg(PC, image.entry & !1)?;
            core.write_core_reg(XPSR, THUMB)?;
            core.write_core_reg(MASKS, chip.primask_at_start())?;
            core.run()
        })
    }

    /// Starts what is in the flash, as a reset does.
    ///
    /// # Errors
    /// [`ProbeError`] names the step.
    pub fn start_from_flash(&mut self) -> Result<(), ProbeError> {
        self.with_core(Stage::Start, |core| {
            // May be left from somebody who was ended between a catch and its reset.
            core.disable_vector_catch(VectorCatchCondition::CoreReset)?;
            core.reset()
        })
    }

    /// Resets the chip; the core is halted before its first instruction. After a full reset of an
    /// RTL8195A it is halted as soon as its debug port answers: what halts it at a reset was reset.
    ///
    /// # Errors
    /// [`ProbeError`] names the step.
    pub fn reset(&mut self, reset: Reset) -> Result<(), ProbeError> {
        match (reset, self.wiring.chip) {
            (Reset::Full, Chip::Rtl8195a) => {
                self.with_core(Stage::Reset, |core| {
                    core.write_word_32(WATCHDOG, WATCHDOG_RESET)?;
                    core.flush()
                })?;
                let deadline = Deadline::after(FULL_RESET_LIMIT);
                loop {
                    match self.reopen(None).and_then(|()| self.halt()) {
                        Ok(()) => return Ok(()),
                        Err(_) if !deadline.left().is_zero() => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            // The emulator resets all of its machine.
            (Reset::Core, _) | (Reset::Full, Chip::Mps2An385) => self.reset_and_halt(),
        }
    }

    /// Reads memory, for example all of the flash for a copy to keep. The RTL8195A's flash can be
    /// read after its algorithm or its ROM has set up the flash controller.
    ///
    /// # Errors
    /// [`ProbeError`] names the step.
    pub fn read(
        &mut self,
        range: Range<u32>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<u8>, ProbeError> {
        let mut bytes = vec![0; range.len()];
        let (mut done, total) = (0, bytes.len() as u64);
        for chunk in bytes.chunks_mut(READ_STEP) {
            let address = u64::from(range.start) + done;
            self.with_core(Stage::Read, |core| core.read(address, chunk))?;
            done += chunk.len() as u64;
            progress(Progress { stage: Stage::Read, done, total });
        }
        Ok(bytes)
    }

    /// Ends debugging; the core runs on, or starts to.
    ///
    /// # Errors
    /// [`ProbeError`] if the core may still be halted.
    pub fn detach(mut self) -> Result<(), ProbeError> {
        self.release.want();
        // Closing the session does the rest.
        self.session = None;
        if self.release.done() {
            return Ok(());
        }
        let why = "debugging was not ended, and its core may be halted".to_owned();
        Err(self.failed(Stage::Release, What::NoAnswer(why)))
    }

    fn identify(&mut self) -> Result<(), ProbeError> {
        let debug_port = self.with_session(Stage::Identify, |session| {
            let port = session.get_arm_interface()?;
            port.read_raw_dp_register(DpAddress::Default, DPIDR::ADDRESS)
        })?;
        let (core, part) = self.with_core(Stage::Identify, |core| {
            let mut part = [0; 2];
            let cpuid = core.read_word_32(CPUID)?;
            // A chip may have its table elsewhere, or none. A probe that fails here will fail again.
            let _ = core.read_32(ROM_TABLE_PIDR0, &mut part);
            Ok((cpuid, part))
        })?;
        let [low, high] = part;
        let rom_table_part = (low & 0xff | (high & 0xf) << 8) as u16;
        self.identity = Identity { debug_port, core, rom_table_part };
        let (expected, found) = (self.wiring.chip, self.identity);
        if expected.is(&found) {
            Ok(())
        } else {
            Err(self.failed(Stage::Identify, What::OtherChip { expected, found }))
        }
    }

    /// Halts the core, and keeps an earlier program's watchdog from biting.
    fn halt(&mut self) -> Result<(), ProbeError> {
        let chip = self.wiring.chip;
        self.with_core(Stage::Attach, |core| {
            core.halt(CORE_LIMIT)?;
            if chip == Chip::Rtl8195a {
                core.write_word_32(WATCHDOG, WATCHDOG_OFF)?;
            }
            Ok(())
        })
    }

    fn reset_and_halt(&mut self) -> Result<(), ProbeError> {
        self.with_core(Stage::Reset, |core| core.reset_and_halt(CORE_LIMIT).map(drop))
    }

    /// Opens another session, with this algorithm; the core stays halted in between.
    fn reopen(&mut self, algorithm: Option<&Algorithm>) -> Result<(), ProbeError> {
        // A probe can be opened once only.
        self.session = None;
        self.session = Some(open(&self.board, &self.wiring, algorithm, &self.release)?);
        Ok(())
    }

    fn with_core<T>(
        &mut self,
        stage: Stage,
        work: impl FnOnce(&mut Core<'_>) -> Result<T, probe_rs::Error>,
    ) -> Result<T, ProbeError> {
        self.with_session(stage, |session| work(&mut session.core(0)?))
    }

    fn with_session<T, E: Error + 'static>(
        &mut self,
        stage: Stage,
        work: impl FnOnce(&mut Session) -> Result<T, E>,
    ) -> Result<T, ProbeError> {
        match &mut self.session {
            Some(session) => work(session).map_err(|error| self.explain(stage, &error)),
            None => Err(self.failed(stage, What::ProbeGone("it was closed".to_owned()))),
        }
    }

    fn failed(&self, stage: Stage, what: What) -> ProbeError {
        ProbeError { board: self.board.clone(), stage, what }
    }

    /// Puts an error of probe-rs into our words. Where it does not tell whether probe or chip is at
    /// fault, the core is asked for its identification once more.
    fn explain(&mut self, stage: Stage, error: &(dyn Error + 'static)) -> ProbeError {
        let what = error::judge(error).unwrap_or_else(|| {
            let core = self.session.as_mut().map(|session| session.core(0));
            match core.map(|core| core.and_then(|mut core| core.read_word_32(CPUID))) {
                Some(Ok(_)) => What::Failed(error::too_long(error)),
                Some(Err(error)) => error::judge(&error).unwrap_or_else(no_answer_in_time),
                None => no_answer_in_time(),
            }
        });
        self.failed(stage, what)
    }
}
