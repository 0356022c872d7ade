//! The debug port: what a probe's wires lead to, register by register (ARM IHI 0031, ADIv5).
//!
//! ```text
//! DP: DPIDR  CTRL/STAT  SELECT --chooses--> AP 0: CSW  TAR  DRW --access--> machine
//! ```

use super::machine::{BusError, Machine};
use super::qtest::Width;

/// Debug ROM of a Cortex-M3, "entries present".
const BASE: u32 = 0xe00f_f003;
/// An AHB access port of ARM's.
const IDR: u32 = 0x2477_0011;
/// Requests to power up, each with its acknowledgement one bit above.
const POWER_REQUESTS: u32 = 1 << 30 | 1 << 28;
/// CSW after a reset: words, debugging enabled.
const CSW_RESET: u32 = 0x2300_0042;
/// Which bits of TAR count upwards.
const COUNTING: u32 = 0x3ff;

/// A register, by port, bank and address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Register {
    Debug(u8),
    Access(u8),
}

/// The state behind the wires.
#[derive(Debug)]
pub(super) struct Dap {
    control: u32,
    select: u32,
    csw: u32,
    tar: u32,
}

impl Dap {
    pub fn new() -> Self {
        Self { control: 0, select: 0, csw: CSW_RESET, tar: 0 }
    }

    /// Reads the register once for each value.
    pub fn read(
        &mut self,
        machine: &mut Machine,
        id: u32,
        register: Register,
        values: &mut [u32],
    ) -> Result<(), BusError> {
        values.fill(0);
        let constant = match self.banked(register) {
            Register::Debug(0x0) => id,
            Register::Debug(0x4) => {
                let bank = self.select & 0xf;
                let granted = self.control & POWER_REQUESTS;
                if bank == 0 { self.control | granted << 1 } else { 0 }
            }
            Register::Debug(_) => 0,
            Register::Access(_) if self.select >> 24 != 0 => 0,
            Register::Access(0x00) => self.csw,
            Register::Access(0x04) => self.tar,
            Register::Access(0xf8) => BASE,
            Register::Access(0xfc) => IDR,
            Register::Access(0x0c) => {
                return self.transfer(values, |at, width, values| machine.read(at, width, values));
            }
            Register::Access(_) => 0,
        };
        values.fill(constant);
        Ok(())
    }

    /// Writes the values to the register, one after the other.
    pub fn write(
        &mut self,
        machine: &mut Machine,
        register: Register,
        values: &[u32],
    ) -> Result<(), BusError> {
        let Some(last) = values.last().copied() else { return Ok(()) };
        match self.banked(register) {
            Register::Debug(0x4) if self.select & 0xf == 0 => self.control = last,
            Register::Debug(0x8) => self.select = last,
            Register::Debug(_) => {}
            Register::Access(_) if self.select >> 24 != 0 => {}
            Register::Access(0x00) => self.csw = last,
            Register::Access(0x04) => self.tar = last,
            Register::Access(0x0c) => {
                let mut values = values.to_vec();
                return self
                    .transfer(&mut values, |at, width, values| machine.write(at, width, values));
            }
            Register::Access(_) => {}
        }
        Ok(())
    }

    /// The address at which a read of this register starts in the machine's memory, if it does.
    pub fn address_of(&self, register: Register) -> Option<u32> {
        let words = self.csw & 7 == 2;
        (words && self.banked(register) == Register::Access(0x0c)).then_some(self.tar)
    }

    /// An access port has sixteen banks, chosen by SELECT.
    fn banked(&self, register: Register) -> Register {
        match register {
            Register::Debug(at) => Register::Debug(at & 0xc),
            Register::Access(at) => Register::Access((self.select & 0xf0) as u8 | at & 0xc),
        }
    }

    /// Accesses through DRW at the address in TAR, which counts on.
    fn transfer(
        &mut self,
        values: &mut [u32],
        access: impl FnOnce(u32, Width, &mut [u32]) -> Result<(), BusError>,
    ) -> Result<(), BusError> {
        let width = match self.csw & 7 {
            0 => Width::Byte,
            1 => Width::Half,
            _ => Width::Word,
        };
        access(self.tar, width, values)?;
        let moved = (values.len() as u32).wrapping_mul(width.bytes());
        self.tar = self.tar & !COUNTING | self.tar.wrapping_add(moved) & COUNTING;
        Ok(())
    }
}
