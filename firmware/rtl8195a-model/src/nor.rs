//! The serial NOR chip behind the flash controller (DS; opcodes in PLAT, DL, RB).
//!
//! It takes a whole command, from chip select to its release, and keeps a log of what it did. What a
//! real chip would ignore or do wrongly, the image asking for it, is a [`Violation`]: a write without
//! the write enable before it, a page that would wrap, anything but a look at the status while busy.

use crate::{Cycle, Violation};
use std::ops::Range;

/// Bytes that one erase sets to 0xff, and that one program can change.
pub const SECTOR: usize = 4096;
/// See [`SECTOR`].
pub const PAGE: usize = 256;

mod opcode {
    pub const PAGE_PROGRAM: u8 = 0x02;
    pub const READ: u8 = 0x03;
    pub const READ_STATUS: u8 = 0x05;
    pub const WRITE_ENABLE: u8 = 0x06;
    pub const SECTOR_ERASE: u8 = 0x20;
    pub const READ_IDENTIFICATION: u8 = 0x9f;
}

const WRITE_IN_PROGRESS: u8 = 1 << 0;
const WRITE_ENABLE_LATCH: u8 = 1 << 1;
const BLOCK_PROTECTION: u8 = 0b111 << 2;

/// Macronix, serial flash, 2 MB: the size on the RTL8195AM's boards (DL `target.c`).
const IDENTIFICATION: [u8; 3] = [0xc2, 0x20, 0x15];

/// What the chip has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The sector at this offset was erased.
    Erased(u32),
    /// These offsets were programmed.
    Programmed(Range<u32>),
}

/// What is wrong with a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Sound,
    /// No chip: the line reads as ones, or as zeros.
    Missing(u8),
    /// It never gets ready.
    Stuck,
    /// It takes commands and does nothing.
    Idle,
}

/// A chip and what it holds.
#[derive(Debug, Clone)]
pub struct Nor {
    health: Health,
    bytes: Vec<u8>,
    status: u8,
    busy_until: Cycle,
    erase_time: Cycle,
    program_time: Cycle,
    done: Vec<Done>,
    commands: usize,
}

impl Nor {
    /// A sound chip that holds `bytes`, then 0xff up to its 2 MB. Times are those of a quick chip,
    /// shortened a hundredfold: long enough that nobody gets by without waiting.
    #[must_use]
    pub fn holding(bytes: &[u8]) -> Self {
        let mut bytes = bytes.to_vec();
        bytes.resize(1 << IDENTIFICATION[2], 0xff);
        Self {
            health: Health::Sound,
            bytes,
            status: 0,
            busy_until: 0,
            erase_time: 12_500,
            program_time: 2_000,
            done: Vec::new(),
            commands: 0,
        }
    }

    /// No chip at all: whatever is read is this byte.
    #[must_use]
    pub fn missing(reads: u8) -> Self {
        Self { health: Health::Missing(reads), ..Self::holding(&[]) }
    }

    /// A chip that never gets ready.
    #[must_use]
    pub fn stuck() -> Self {
        Self { health: Health::Stuck, ..Self::holding(&[]) }
    }

    /// A chip that answers and takes commands but changes nothing.
    #[must_use]
    pub fn idle() -> Self {
        Self { health: Health::Idle, ..Self::holding(&[]) }
    }

    /// The same chip with its block-protection bits set.
    #[must_use]
    pub fn protected(mut self) -> Self {
        self.status |= BLOCK_PROTECTION;
        self
    }

    /// The same chip in the middle of something that takes so many cycles more.
    #[must_use]
    pub fn busy(mut self, cycles: Cycle) -> Self {
        self.busy_until = cycles;
        self.status |= WRITE_ENABLE_LATCH;
        self
    }

    /// What it holds.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it has done, in order.
    #[must_use]
    pub fn done(&self) -> &[Done] {
        &self.done
    }

    /// How many commands it was sent, looks at its status included.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.commands
    }

    fn is_busy(&mut self, now: Cycle) -> bool {
        let busy = self.health == Health::Stuck || now < self.busy_until;
        if !busy && self.busy_until > 0 {
            // The latch falls when the chip is through.
            self.busy_until = 0;
            self.status &= !WRITE_ENABLE_LATCH;
        }
        busy
    }

    /// A byte through the controller's memory window.
    pub(crate) fn read(&mut self, offset: u32, now: Cycle) -> Result<u8, Violation> {
        if let Health::Missing(reads) = self.health {
            return Ok(reads);
        }
        if self.is_busy(now) {
            return Err(Violation::new("reads the flash chip while it is busy"));
        }
        let byte = self.bytes.get(offset as usize);
        byte.copied().ok_or(Violation::new("reads flash beyond the chip's end"))
    }

    /// One command: what is sent, and how many bytes are read after that.
    pub(crate) fn command(
        &mut self,
        sent: &[u8],
        count: usize,
        now: Cycle,
    ) -> Result<Vec<u8>, Violation> {
        self.commands += 1;
        if let Health::Missing(reads) = self.health {
            return Ok(vec![reads; count]);
        }
        let Some((opcode, rest)) = sent.split_first() else {
            return Err(Violation::new("selects the flash chip and sends nothing"));
        };
        let busy = self.is_busy(now);
        if busy && *opcode != opcode::READ_STATUS {
            return Err(Violation::new(format!(
                "sends command {opcode:#04x} to the flash chip while it is busy"
            )));
        }
        match (*opcode, rest) {
            (opcode::READ_STATUS, []) => {
                let status = self.status | if busy { WRITE_IN_PROGRESS } else { 0 };
                Ok(vec![status; count])
            }
            (opcode::READ_IDENTIFICATION, []) => {
                Ok(IDENTIFICATION.into_iter().cycle().take(count).collect())
            }
            (opcode::WRITE_ENABLE, []) if count == 0 => {
                self.status |= WRITE_ENABLE_LATCH;
                Ok(Vec::new())
            }
            (opcode::READ, [high, middle, low]) => {
                let from = offset(*high, *middle, *low);
                let bytes = self.bytes.iter().cycle().skip(from);
                Ok(bytes.take(count).copied().collect())
            }
            (opcode::SECTOR_ERASE, [high, middle, low]) if count == 0 => {
                self.erase(offset(*high, *middle, *low), now)?;
                Ok(Vec::new())
            }
            (opcode::PAGE_PROGRAM, [high, middle, low, data @ ..]) if count == 0 => {
                self.program(offset(*high, *middle, *low), data, now)?;
                Ok(Vec::new())
            }
            _ => Err(Violation::new(format!(
                "sends the flash chip {sent:02x?} and reads {count} bytes, which is no command that it needs"
            ))),
        }
    }

    fn begin(&mut self, what: &str, time: Cycle, now: Cycle) -> Result<bool, Violation> {
        if self.status & WRITE_ENABLE_LATCH == 0 {
            return Err(Violation::new(format!("{what} flash without a write enable before")));
        }
        let acts = self.health == Health::Sound && self.status & BLOCK_PROTECTION == 0;
        if acts {
            self.busy_until = now + time;
        }
        Ok(acts)
    }

    fn erase(&mut self, at: usize, now: Cycle) -> Result<(), Violation> {
        let at = at / SECTOR * SECTOR;
        if !self.begin("erases", self.erase_time, now)? {
            return Ok(());
        }
        let sector = self.bytes.get_mut(at..at + SECTOR);
        sector.ok_or(Violation::new("erases beyond the flash chip's end"))?.fill(0xff);
        self.done.push(Done::Erased(at as u32));
        Ok(())
    }

    fn program(&mut self, at: usize, data: &[u8], now: Cycle) -> Result<(), Violation> {
        if data.is_empty() || at % PAGE + data.len() > PAGE {
            return Err(Violation::new(format!(
                "programs {} bytes at flash offset {at:#x}, which would wrap within its page",
                data.len()
            )));
        }
        if !self.begin("programs", self.program_time, now)? {
            return Ok(());
        }
        let page = self.bytes.get_mut(at..at + data.len());
        let page = page.ok_or(Violation::new("programs beyond the flash chip's end"))?;
        for (held, byte) in page.iter_mut().zip(data) {
            *held &= byte;
        }
        self.done.push(Done::Programmed(at as u32..(at + data.len()) as u32));
        Ok(())
    }
}

fn offset(high: u8, middle: u8, low: u8) -> usize {
    u32::from_be_bytes([0, high, middle, low]) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENABLE: &[u8] = &[opcode::WRITE_ENABLE];

    fn refused(chip: &mut Nor, sent: &[u8], now: Cycle) -> String {
        chip.command(sent, 0, now).unwrap_err().to_string()
    }

    fn status(chip: &mut Nor, now: Cycle) -> u8 {
        chip.command(&[opcode::READ_STATUS], 1, now).unwrap()[0]
    }

    #[test]
    fn a_page_is_enabled_programmed_and_waited_for() {
        let mut chip = Nor::holding(&[0xf0]);
        let program = [opcode::PAGE_PROGRAM, 0, 0, 0, 0x3c];
        assert!(refused(&mut chip, &program, 0).contains("without a write enable"));
        chip.command(ENABLE, 0, 0).unwrap();
        assert_eq!(status(&mut chip, 0), WRITE_ENABLE_LATCH);
        chip.command(&program, 0, 0).unwrap();
        assert_eq!(chip.bytes()[0], 0x30, "bits are only cleared");
        assert_eq!(status(&mut chip, 1), WRITE_ENABLE_LATCH | WRITE_IN_PROGRESS);
        assert!(refused(&mut chip, ENABLE, 1).contains("while it is busy"));
        assert!(chip.read(0, 1).unwrap_err().to_string().contains("while it is busy"));
        assert_eq!(status(&mut chip, 2_000), 0, "through, and the latch has fallen");
        assert_eq!(chip.done(), [Done::Programmed(0..1)]);
    }

    #[test]
    fn a_page_that_wraps_and_a_chip_erase_are_refused() {
        let mut chip = Nor::holding(&[]);
        chip.command(ENABLE, 0, 0).unwrap();
        let wraps = [opcode::PAGE_PROGRAM, 0, 0, 0xff, 1, 2];
        assert!(refused(&mut chip, &wraps, 0).contains("wrap"));
        assert!(refused(&mut chip, &[0xc7], 0).contains("no command that it needs"));
        assert_eq!(chip.done(), []);
    }
}
