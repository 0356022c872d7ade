//! The flash controller SPIC (SDK `rtl8195a_spi_flash.h`; use: PLAT `hal_spi_flash_ram.o`, DL, RB).
//!
//! ```text
//! user mode     DATA --> FIFO --8 bits each 16 x divider cycles--> chip, until the FIFO is empty
//! (enable = 1)  DATA <-- FIFO <-- the bytes that were asked for <-- chip
//! memory mode   0x98000000 + offset --> read command --> chip
//! (enable = 0)
//! ```
//!
//! A transfer in user mode is one command for the chip: it begins when the controller is enabled,
//! and ends, with the chip released, when its FIFO has run dry.

use crate::nor::Nor;
use crate::system::System;
use crate::{Cycle, Violation};
use std::collections::VecDeque;

const FIFO: usize = 32;

mod register {
    pub const CONTROL_0: u32 = 0x00;
    pub const RECEIVE_COUNT: u32 = 0x04;
    pub const ENABLE: u32 = 0x08;
    pub const CHIP_SELECT: u32 = 0x10;
    pub const DIVIDER: u32 = 0x14;
    pub const STATE: u32 = 0x28;
    pub const INTERRUPTS: u32 = 0x2c;
    pub const DMA: u32 = 0x4c;
    pub const DATA: u32 = 0x60;
    pub const ADDRESS_LENGTH: u32 = 0x118;
    pub const AUTO_LENGTH: u32 = 0x11c;
    pub const AUTO_COMMANDS: u32 = 0x120;
    pub const FLUSH: u32 = 0x128;
}

const TRANSFER: u32 = 0b11 << 8;
const SEND: u32 = 0;
const RECEIVE: u32 = 0b11 << 8;
/// How many lines for address, data and command; 0 is one.
const CHANNELS: u32 = 0b11_1111 << 16;
const MULTI_BIT: u32 = 0xff << 1;
const STATE_BUSY: u32 = 1 << 0;
const STATE_ROOM: u32 = 1 << 1;
const STATE_ALL_SENT: u32 = 1 << 2;
const STATE_RECEIVED: u32 = 1 << 3;

/// A transfer that has begun.
#[derive(Debug, Clone, Copy)]
struct Transfer {
    began: Cycle,
    /// Cycles for one byte.
    byte_time: Cycle,
}

#[derive(Debug, Clone)]
pub(crate) struct Spic {
    pub(crate) chip: Nor,
    control_0: u32,
    receive_count: u32,
    enabled: bool,
    chip_select: u32,
    divider: u32,
    address_length: u32,
    auto_length: u32,
    auto_commands: u32,
    /// All that was put in for this transfer, or for the next.
    sent: Vec<u8>,
    received: VecDeque<u8>,
    transfer: Option<Transfer>,
}

impl Spic {
    /// As after a reset that nobody has followed up: nothing is set.
    pub(crate) fn after_reset(chip: Nor) -> Self {
        Self {
            chip,
            control_0: 0,
            receive_count: 0,
            enabled: false,
            chip_select: 0,
            divider: 0,
            address_length: 0,
            auto_length: 0,
            auto_commands: 0,
            sent: Vec::new(),
            received: VecDeque::new(),
            transfer: None,
        }
    }

    /// As the ROM leaves it after it has read an image through it (ROM).
    pub(crate) fn after_rom(chip: Nor) -> Self {
        Self {
            chip_select: 1,
            divider: 1,
            receive_count: 4,
            address_length: 3,
            auto_length: 2,
            ..Self::after_reset(chip)
        }
    }

    /// As the vendor's image1 leaves it, which has set it up for full speed (PLAT `startup.o`).
    pub(crate) fn after_image1(chip: Nor) -> Self {
        Self { auto_length: 1, ..Self::after_rom(chip) }
    }

    /// Ends the transfer if its time has come: the chip gets the command.
    fn catch_up(&mut self, now: Cycle) -> Result<(), Violation> {
        let Some(Transfer { began, byte_time }) = self.transfer else { return Ok(()) };
        let count = self.count();
        let end = began + (self.sent.len() + count) as Cycle * byte_time;
        if now < end {
            return Ok(());
        }
        self.transfer = None;
        let sent = std::mem::take(&mut self.sent);
        // Erase and program: the address must be announced as one.
        if sent.len() >= 4 && self.address_length != 3 {
            return Err(Violation::new(format!(
                "sends the flash chip an address with ADDR_LENGTH {}",
                self.address_length
            )));
        }
        self.received.extend(self.chip.command(&sent, count, end)?);
        Ok(())
    }

    /// Bytes to be received in a transfer of the kind that is set.
    fn count(&self) -> usize {
        if self.control_0 & TRANSFER == RECEIVE { self.receive_count as usize } else { 0 }
    }

    pub(crate) fn read(&mut self, offset: u32, size: u32, now: Cycle) -> Result<u32, Violation> {
        self.catch_up(now)?;
        Ok(match offset {
            register::DATA => return self.take(size),
            register::CONTROL_0 => self.control_0,
            register::RECEIVE_COUNT => self.receive_count,
            register::ENABLE => u32::from(self.enabled),
            register::CHIP_SELECT => self.chip_select,
            register::DIVIDER => self.divider,
            register::STATE => self.state(now),
            register::ADDRESS_LENGTH => self.address_length,
            register::AUTO_LENGTH => self.auto_length,
            register::AUTO_COMMANDS => self.auto_commands,
            _ => return Err(unknown(offset)),
        })
    }

    fn state(&self, now: Cycle) -> u32 {
        let unsent = self.unsent(now);
        let mut state = 0;
        for (bit, set) in [
            (STATE_BUSY, self.transfer.is_some()),
            (STATE_ROOM, unsent < FIFO),
            (STATE_ALL_SENT, unsent == 0),
            (STATE_RECEIVED, !self.received.is_empty()),
        ] {
            state |= if set { bit } else { 0 };
        }
        state
    }

    /// Bytes that are still in the FIFO.
    fn unsent(&self, now: Cycle) -> usize {
        let gone = self.transfer.map_or(0, |transfer| (now - transfer.began) / transfer.byte_time);
        self.sent.len().saturating_sub(gone as usize)
    }

    fn take(&mut self, size: u32) -> Result<u32, Violation> {
        if self.transfer.is_some() || self.received.is_empty() {
            return Err(Violation::new("reads the flash controller's FIFO when nothing is there"));
        }
        let mut bytes = [0; 4];
        for (byte, _) in bytes.iter_mut().zip(0..size) {
            *byte = self.received.pop_front().unwrap_or_default();
        }
        Ok(u32::from_le_bytes(bytes))
    }

    /// Gives the cycles that the bus makes the core wait.
    pub(crate) fn write(
        &mut self,
        offset: u32,
        size: u32,
        value: u32,
        now: Cycle,
        system: &System,
    ) -> Result<Cycle, Violation> {
        self.catch_up(now)?;
        match offset {
            register::DATA => return self.put(size, value, now),
            register::ENABLE => return self.enable(value & 1 != 0, now, system).map(|()| 0),
            // That it empties both is told by its name alone.
            register::FLUSH => {
                self.received.clear();
                if self.transfer.is_none() {
                    self.sent.clear();
                }
            }
            _ if self.enabled => {
                return Err(Violation::new(format!(
                    "sets flash controller register {offset:#05x} while it is enabled"
                )));
            }
            register::CONTROL_0 => self.control_0 = value,
            register::RECEIVE_COUNT => self.receive_count = value,
            register::CHIP_SELECT => self.chip_select = value,
            register::DIVIDER => self.divider = value,
            register::ADDRESS_LENGTH => self.address_length = value,
            register::AUTO_LENGTH => self.auto_length = value,
            register::AUTO_COMMANDS => self.auto_commands = value,
            register::INTERRUPTS | register::DMA if value == 0 => {}
            _ => return Err(unknown(offset)),
        }
        Ok(0)
    }

    fn put(&mut self, size: u32, value: u32, now: Cycle) -> Result<Cycle, Violation> {
        if self.enabled && self.transfer.is_none() {
            return Err(Violation::new(
                "puts a byte into the flash controller after its command has ended: the FIFO ran dry",
            ));
        }
        let bytes = value.to_le_bytes();
        let bytes = bytes.get(..size as usize).unwrap_or_default();
        let over = (self.unsent(now) + bytes.len()).saturating_sub(FIFO);
        let wait = match self.transfer {
            _ if over == 0 => 0,
            Some(transfer) => over as Cycle * transfer.byte_time,
            None => {
                return Err(Violation::new(
                    "fills the flash controller's FIFO before it is enabled: the core would hang",
                ));
            }
        };
        self.sent.extend(bytes);
        Ok(wait)
    }

    fn enable(&mut self, on: bool, now: Cycle, system: &System) -> Result<(), Violation> {
        if !on && self.transfer.is_some() {
            return Err(Violation::new("disables the flash controller in mid-transfer"));
        }
        if on && !self.enabled {
            self.check_settings(system)?;
            if !self.received.is_empty() {
                return Err(Violation::new(
                    "starts a flash command with bytes of an older answer still in the FIFO",
                ));
            }
            if self.count() > FIFO {
                return Err(Violation::new(
                    "asks for more bytes than the flash controller's FIFO holds",
                ));
            }
            if ![SEND, RECEIVE].contains(&(self.control_0 & TRANSFER)) {
                return Err(Violation::new(
                    "starts a kind of flash transfer that is not known to work",
                ));
            }
            let byte_time = Cycle::from(self.divider) * 2 * 8;
            self.transfer = Some(Transfer { began: now, byte_time });
        }
        self.enabled = on;
        Ok(())
    }

    /// A byte through the memory window.
    pub(crate) fn mapped(
        &mut self,
        offset: u32,
        now: Cycle,
        system: &System,
    ) -> Result<u8, Violation> {
        self.catch_up(now)?;
        if self.enabled {
            return Err(Violation::new(
                "reads flash as memory while the controller is in user mode",
            ));
        }
        self.check_settings(system)?;
        self.chip.read(offset, now)
    }

    /// What both modes need: pins, one line, and settings that go with the clock.
    fn check_settings(&self, system: &System) -> Result<(), Violation> {
        system.check_flash_pins()?;
        let set = (self.divider, self.auto_length & 0xffff, system.flash_delay());
        let right = system.flash_settings();
        if right != Some(set) {
            return Err(Violation::new(format!(
                "uses flash with divider, dummy cycles and delay {set:?} where clock index {} wants {right:?}",
                system.clock_index()
            )));
        }
        if self.chip_select != 1 {
            return Err(Violation::new("uses flash without chip select 0"));
        }
        if self.control_0 & CHANNELS != 0 || self.auto_commands & MULTI_BIT != 0 {
            return Err(Violation::new("uses flash over more than one line"));
        }
        Ok(())
    }
}

fn unknown(offset: u32) -> Violation {
    Violation::new(format!(
        "touches flash controller register {offset:#05x} in a way that this model does not have"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system;

    fn command(
        spic: &mut Spic,
        system: &System,
        bytes: &[u8],
        now: Cycle,
    ) -> Result<(), Violation> {
        for byte in bytes {
            spic.write(register::DATA, 1, u32::from(*byte), now, system)?;
        }
        spic.write(register::ENABLE, 4, 1, now, system)?;
        spic.read(register::STATE, 4, now + 16 * 16 * bytes.len() as u64)?;
        spic.write(register::ENABLE, 4, 0, now + 1_000_000, system).map(|_| ())
    }

    #[test]
    fn a_status_is_read_in_user_mode() {
        let system = System::after_rom();
        let mut spic = Spic::after_rom(Nor::holding(&[]));
        spic.write(register::CONTROL_0, 4, RECEIVE, 0, &system).unwrap();
        spic.write(register::RECEIVE_COUNT, 4, 1, 0, &system).unwrap();
        spic.write(register::DATA, 1, 0x05, 0, &system).unwrap();
        spic.write(register::ENABLE, 4, 1, 0, &system).unwrap();
        assert_eq!(spic.read(register::STATE, 4, 31).unwrap() & STATE_BUSY, STATE_BUSY);
        assert_eq!(spic.read(register::STATE, 4, 32).unwrap() & STATE_BUSY, 0);
        assert_eq!(spic.read(register::DATA, 1, 33).unwrap(), 0);
        spic.write(register::ENABLE, 4, 0, 34, &system).unwrap();
        assert_eq!(spic.chip.commands(), 1);
    }

    #[test]
    fn an_erase_without_write_enable_or_address_length_is_caught() {
        let system = System::after_rom();
        let mut spic = Spic::after_rom(Nor::holding(&[]));
        let erase = [0x20, 0, 0x10, 0];
        let refused = command(&mut spic, &system, &erase, 0).unwrap_err().to_string();
        assert!(refused.contains("without a write enable"), "{refused}");
        let mut spic = Spic::after_rom(Nor::holding(&[]));
        spic.write(register::ADDRESS_LENGTH, 4, 0, 0, &system).unwrap();
        command(&mut spic, &system, &[0x06], 0).unwrap();
        let refused = command(&mut spic, &system, &erase, 2_000_000).unwrap_err().to_string();
        assert!(refused.contains("ADDR_LENGTH 0"), "{refused}");
    }

    #[test]
    fn memory_reads_want_pins_settings_and_a_controller_out_of_user_mode() {
        let refused =
            |spic: &mut Spic, system: &System| spic.mapped(0, 0, system).unwrap_err().to_string();
        let mut system = System::after_rom();
        let mut spic = Spic::after_rom(Nor::holding(&[0x99]));
        assert_eq!(spic.mapped(0, 0, &system).unwrap(), 0x99);
        system.write(system::register::CLOCK, 0x11).unwrap();
        assert!(refused(&mut spic, &system).contains("clock index 1 wants Some((1, 1, 0))"));
        system.write(system::register::CLOCK, 0x21).unwrap();
        system.write(system::register::PINS, 0).unwrap();
        assert!(refused(&mut spic, &system).contains("its pins"));
        let system = System::after_rom();
        let mut unset = Spic::after_reset(Nor::holding(&[]));
        assert!(refused(&mut unset, &system).contains("(0, 0, 35)"));
    }
}
