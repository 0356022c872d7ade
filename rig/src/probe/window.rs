//! The RTL8195A's flash as memory, set up by the debugger alone: no code runs on the chip, and no
//! command is sent that could change what the flash holds.
//!
//! ```text
//! clock 41.67 MHz --> gates, pins --> controller, one bit --> identification --> size
//!                                                              from now on: memory at 0x98000000
//! ```
//!
//! The flash algorithm does the same on the chip before it writes. Copies are made without it, so
//! that a first look at a board needs nothing of ours to run there. Registers and values are those
//! that `firmware/flash-algo` names with their sources (SDK, ROM, PLAT, DL in its crate page). No
//! board has been read by this.

use super::{Chip, Debugger, PC, ProbeError, Progress, SP, Stage, What};
use probe_rs::{Core, MemoryInterface};
use std::ops::Range;

/// Registers of a chip: through a debugger, or of a model.
pub trait Registers {
    /// Why one cannot be got at.
    type Error;

    /// Reads a word.
    ///
    /// # Errors
    /// What stands in the way.
    fn read(&mut self, address: u32) -> Result<u32, Self::Error>;

    /// Writes a word.
    ///
    /// # Errors
    /// What stands in the way.
    fn write(&mut self, address: u32, value: u32) -> Result<(), Self::Error>;

    /// Writes one byte.
    ///
    /// # Errors
    /// What stands in the way.
    fn write_byte(&mut self, address: u32, value: u8) -> Result<(), Self::Error>;
}

/// Why the flash cannot be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WindowError<E> {
    /// A register cannot be got at.
    Register(E),
    /// The chip does not do what it is told.
    Chip(String),
}

impl<E> From<E> for WindowError<E> {
    fn from(error: E) -> Self {
        Self::Register(error)
    }
}

/// What a flash chip says of itself (command 0x9f).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlashChip {
    /// Maker, kind, and capacity as a power of two.
    pub id: [u8; 3],
}

impl FlashChip {
    /// Bytes that it holds.
    #[must_use]
    pub fn size(self) -> Option<u32> {
        let [_, _, power] = self.id;
        // 64 KB to 16 MB: what three bytes of address can reach, and what was ever sold.
        (16..=24).contains(&power).then(|| 1 << power)
    }
}

impl Debugger {
    /// Reads all of the flash, for a copy to keep. The core is reset and stays halted; nothing that
    /// the flash holds is changed.
    ///
    /// # Errors
    /// [`ProbeError`] names the step.
    pub fn read_flash(
        &mut self,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<u8>, ProbeError> {
        self.reset_and_halt()?;
        let (_, range) = self.open_flash()?;
        self.read(range, progress)
    }

    /// Makes the flash readable, and tells where it is and what chip it is, if it is one. The core
    /// must be halted.
    ///
    /// # Errors
    /// [`ProbeError`] names the step.
    pub fn open_flash(&mut self) -> Result<(Option<FlashChip>, Range<u32>), ProbeError> {
        let mut range = self.wiring.chip.flash();
        if self.wiring.chip != Chip::Rtl8195a {
            return Ok((None, range));
        }
        let opened = self.with_core(Stage::Read, |core| match open(&mut DebuggedCore(core)) {
            Ok(chip) => Ok(Ok(chip)),
            Err(WindowError::Chip(why)) => Ok(Err(why)),
            Err(WindowError::Register(error)) => Err(error),
        })?;
        let chip = opened.map_err(|why| self.failed(Stage::Read, What::Failed(why)))?;
        range.end = range.start + chip.size().unwrap_or_default();
        Ok((Some(chip), range))
    }

    /// One word of memory, or one register.
    ///
    /// # Errors
    /// [`ProbeError`] names the step.
    pub fn word(&mut self, address: u32) -> Result<u32, ProbeError> {
        self.with_core(Stage::Read, |core| core.read_word_32(address.into()))
    }

    /// Program counter and stack pointer of the halted core.
    ///
    /// # Errors
    /// [`ProbeError`] names the step.
    pub fn place(&mut self) -> Result<(u32, u32), ProbeError> {
        self.with_core(Stage::Read, |core| Ok((core.read_core_reg(PC)?, core.read_core_reg(SP)?)))
    }
}

struct DebuggedCore<'a, 'p>(&'a mut Core<'p>);

impl Registers for DebuggedCore<'_, '_> {
    type Error = probe_rs::Error;

    fn read(&mut self, address: u32) -> Result<u32, Self::Error> {
        self.0.read_word_32(address.into())
    }

    fn write(&mut self, address: u32, value: u32) -> Result<(), Self::Error> {
        self.0.write_word_32(address.into(), value)
    }

    fn write_byte(&mut self, address: u32, value: u8) -> Result<(), Self::Error> {
        self.0.write_word_8(address.into(), value)
    }
}

const CLOCK: u32 = 0x4000_0014;
const CLOCK_INDEX_2: u32 = 0x21;
const EFUSE_SYSTEM_3: u32 = 0x4000_0038;
const EFUSE_TEST: u32 = 0x4000_00e0;
const SYSTEM_STATUS: u32 = 0x4000_01f4;
const FUNCTIONS: u32 = 0x4000_0210;
const CLOCKS: u32 = 0x4000_0230;
const PINS: u32 = 0x4000_02c0;
const DELAY: u32 = 0x4000_0300;
const PORTS: u32 = 0x4000_0320;

const CONTROL_0: u32 = 0x4000_6000;
const RECEIVE_COUNT: u32 = 0x4000_6004;
const ENABLE: u32 = 0x4000_6008;
const CHIP_SELECT: u32 = 0x4000_6010;
const DIVIDER: u32 = 0x4000_6014;
const STATE: u32 = 0x4000_6028;
const INTERRUPTS: u32 = 0x4000_602c;
const DMA: u32 = 0x4000_604c;
const DATA: u32 = 0x4000_6060;
const ADDRESS_LENGTH: u32 = 0x4000_6118;
const AUTO_LENGTH: u32 = 0x4000_611c;
const AUTO_COMMANDS: u32 = 0x4000_6120;
const FLUSH: u32 = 0x4000_6128;

const CHANNELS: u32 = 0x003f_0000;
const TRANSFER: u32 = 0x300;
const RECEIVE: u32 = 0x300;
const BUSY: u32 = 1;
const READ_IDENTIFICATION: u8 = 0x9f;

/// A debugger is slower than the controller: a few looks are many.
const LOOKS: u32 = 100;
const TRIES: u32 = 3;

/// Makes the flash readable at its address, and asks it how large it is. The core must be halted.
///
/// # Errors
/// [`WindowError`].
pub fn open<R: Registers>(chip: &mut R) -> Result<FlashChip, WindowError<R::Error>> {
    start_system(chip)?;
    start_controller(chip)?;
    let mut id = [0; 3];
    for _ in 0..TRIES {
        id = identification(chip)?;
        // What a line reads as that nobody drives.
        if !matches!(id[0], 0x00 | 0xff) {
            break;
        }
    }
    chip.write(ENABLE, 0)?;
    chip.write(ADDRESS_LENGTH, 3)?;
    chip.write(FLUSH, 1)?;
    let found = FlashChip { id };
    match (id[0], found.size()) {
        (0x00 | 0xff, _) | (_, None) => Err(WindowError::Chip(format!(
            "its flash chip gives no sensible identification ({:02x} {:02x} {:02x})",
            id[0], id[1], id[2]
        ))),
        _ => Ok(found),
    }
}

fn start_system<R: Registers>(chip: &mut R) -> Result<(), WindowError<R::Error>> {
    chip.write(CLOCK, CLOCK_INDEX_2)?;
    look(chip, CLOCK, |value| value == CLOCK_INDEX_2, "its clock register does not keep a value")?;
    modify(chip, FUNCTIONS, 0, 1 << 4)?;
    modify(chip, CLOCKS, 0, 0x300)?;
    modify(chip, PORTS, 0, 1 << 5)?;
    // Pin set 0, where the chip inside the package and on the boards is.
    modify(chip, PINS, 0b110, 1)?;
    Ok(())
}

fn start_controller<R: Registers>(chip: &mut R) -> Result<(), WindowError<R::Error>> {
    // For clock index 2, unless this unit's fuses say better.
    let (mut delay, mut dummy) = (0x23, 2);
    let fuses = chip.read(EFUSE_SYSTEM_3)?;
    let calibrated = chip.read(SYSTEM_STATUS)? & 1 != 0
        && chip.read(EFUSE_TEST)? & 1 << 5 != 0
        && fuses & 1 << 24 != 0;
    if calibrated {
        delay = (fuses >> 16 & 0x1f) * 3;
        dummy += fuses >> 21 & 0b111;
    }
    modify(chip, DELAY, 0xff, delay)?;
    look(chip, STATE, |state| state & BUSY == 0, "its flash controller stays busy")?;
    for (register, value) in
        [(ENABLE, 0), (FLUSH, 1), (INTERRUPTS, 0), (DMA, 0), (DIVIDER, 1), (CHIP_SELECT, 1)]
    {
        chip.write(register, value)?;
    }
    modify(chip, AUTO_LENGTH, 0xffff, dummy)?;
    modify(chip, CONTROL_0, CHANNELS, 0)?;
    // No automatic command over several lines.
    modify(chip, AUTO_COMMANDS, 0x1fe, 0)?;
    Ok(())
}

fn identification<R: Registers>(chip: &mut R) -> Result<[u8; 3], WindowError<R::Error>> {
    chip.write(ENABLE, 0)?;
    modify(chip, CONTROL_0, CHANNELS | TRANSFER, RECEIVE)?;
    chip.write(ADDRESS_LENGTH, 0)?;
    chip.write(RECEIVE_COUNT, 3)?;
    chip.write_byte(DATA, READ_IDENTIFICATION)?;
    chip.write(ENABLE, 1)?;
    look(chip, STATE, |state| state & BUSY == 0, "its flash controller stays busy")?;
    // One read of a word takes all that came.
    let [first, second, third, _] = chip.read(DATA)?.to_le_bytes();
    chip.write(ENABLE, 0)?;
    Ok([first, second, third])
}

fn modify<R: Registers>(chip: &mut R, address: u32, clear: u32, set: u32) -> Result<(), R::Error> {
    let value = chip.read(address)?;
    chip.write(address, value & !clear | set)
}

fn look<R: Registers>(
    chip: &mut R,
    address: u32,
    done: impl Fn(u32) -> bool,
    otherwise: &str,
) -> Result<(), WindowError<R::Error>> {
    for _ in 0..LOOKS {
        if done(chip.read(address)?) {
            return Ok(());
        }
    }
    Err(WindowError::Chip(otherwise.to_owned()))
}
