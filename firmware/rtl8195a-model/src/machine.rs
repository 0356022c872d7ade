//! All of the chip but its core and its memory, and how both are joined.

use crate::debug::{CORE_DEBUG, DWT, Debug};
use crate::memory::{FLASH_WINDOW, PERIPHERALS};
use crate::nor::Nor;
use crate::spic::Spic;
use crate::system::{System, register};
use crate::uart::{LogUart, Polled};
use crate::{Cycle, Violation};
use armagnac::memory::{
    Env, MemoryAccessError, MemoryInterface, MemoryReadResult, MemoryWriteResult,
};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

// (SDK `hal_platform.h`)
const SYSTEM: Range<u32> = 0x4000_0000..0x4000_0400;
const WATCHDOG: u32 = 0x4000_2800;
const LOG_UART: Range<u32> = 0x4000_3000..0x4000_3100;
const SPIC: Range<u32> = 0x4000_6000..0x4000_6200;

/// The byte of the watchdog's register that turns it on; any other value than 0 is undefined.
const WATCHDOG_ENABLE: u32 = 0xff << 16;

/// Parts of the address space that lead here, apart from memory.
pub(crate) const PORTS: [Range<u32>; 4] = [PERIPHERALS, FLASH_WINDOW, DWT, CORE_DEBUG];

pub(crate) struct Machine {
    pub(crate) system: System,
    pub(crate) uart: LogUart,
    pub(crate) spic: Spic,
    debug: Debug,
    watchdog: u32,
    /// Cycles that went by while the core waited, beside those that it executed.
    waited: Cycle,
    /// When a debugger could reach the chip for the first time.
    debug_pins_since: Option<Cycle>,
    violation: Option<Violation>,
}

/// Cycles that pass for each access of a debugger: more than 40 bits on the wire at 12 MHz, the
/// fastest that anybody uses, while the core's clock is at 41.67 MHz. Real ones are slower.
const DEBUGGER_ACCESS: Cycle = 140;

impl Machine {
    pub(crate) fn after_reset(chip: Nor) -> Self {
        let system = System::after_reset();
        Self::new(system, LogUart::default(), Spic::after_reset(chip))
    }

    pub(crate) fn after_rom(chip: Nor) -> Self {
        Self::new(System::after_rom(), LogUart::after_rom(), Spic::after_rom(chip))
    }

    pub(crate) fn after_image1(chip: Nor) -> Self {
        Self::new(System::after_image1(), LogUart::after_image1(), Spic::after_image1(chip))
    }

    fn new(system: System, uart: LogUart, spic: Spic) -> Self {
        Self {
            system,
            uart,
            spic,
            debug: Debug::default(),
            // On, as an earlier program may have left it: a reset of the core does not stop it, and
            // neither ROM nor image1 touches it (ROM, PLAT).
            watchdog: 0x00a5_0000,
            waited: 0,
            debug_pins_since: None,
            violation: None,
        }
    }

    /// The time when the core has executed so many cycles.
    pub(crate) fn now(&self, executed: Cycle) -> Cycle {
        executed + self.waited
    }

    pub(crate) fn debug_pins_since(&self) -> Option<Cycle> {
        self.debug_pins_since
    }

    pub(crate) fn watchdog_on(&self) -> bool {
        self.watchdog & WATCHDOG_ENABLE != 0
    }

    pub(crate) fn take_violation(&mut self) -> Option<Violation> {
        self.violation.take()
    }

    /// A debugger's access while the core stands still.
    pub(crate) fn debugger_reads(
        &mut self,
        address: u32,
        size: u32,
        executed: Cycle,
    ) -> Result<u32, Violation> {
        self.waited += DEBUGGER_ACCESS;
        self.read(address, size, executed)
    }

    /// See [`Machine::debugger_reads`].
    pub(crate) fn debugger_writes(
        &mut self,
        address: u32,
        size: u32,
        value: u32,
        executed: Cycle,
    ) -> Result<(), Violation> {
        self.waited += DEBUGGER_ACCESS;
        self.write(address, size, value, executed)
    }

    fn read(&mut self, address: u32, size: u32, executed: Cycle) -> Result<u32, Violation> {
        let now = self.now(executed);
        if FLASH_WINDOW.contains(&address) {
            return self.read_flash(address, size, now);
        }
        if SPIC.contains(&address) {
            self.system.check_flash()?;
            return self.spic.read(address - SPIC.start, size, now);
        }
        if size != 4 {
            return Err(Violation::new(format!("reads {size} bytes of a register of 4")));
        }
        if SYSTEM.contains(&address) {
            return self.system.read(address - SYSTEM.start);
        }
        if address == WATCHDOG {
            return self.system.check_vendor().map(|()| self.watchdog);
        }
        if LOG_UART.contains(&address) {
            self.system.check_log_uart()?;
            let Polled { value, until } = self.uart.read(address - LOG_UART.start, now)?;
            if let Some(until) = until {
                self.waited += until - now;
            }
            return Ok(value);
        }
        if DWT.contains(&address) || CORE_DEBUG.contains(&address) {
            return self.debug.read(address, now);
        }
        Err(Violation::new("reads where this model has no peripheral"))
    }

    fn read_flash(&mut self, address: u32, size: u32, now: Cycle) -> Result<u32, Violation> {
        self.system.check_flash()?;
        let mut bytes = [0; 4];
        for (byte, at) in bytes.iter_mut().zip(0..size) {
            *byte = self.spic.mapped(address - FLASH_WINDOW.start + at, now, &self.system)?;
        }
        Ok(u32::from_le_bytes(bytes))
    }

    fn write(
        &mut self,
        address: u32,
        size: u32,
        value: u32,
        executed: Cycle,
    ) -> Result<(), Violation> {
        let now = self.now(executed);
        if SPIC.contains(&address) {
            self.system.check_flash()?;
            let offset = address - SPIC.start;
            self.waited += self.spic.write(offset, size, value, now, &self.system)?;
            return Ok(());
        }
        if size != 4 {
            return Err(Violation::new(format!("writes {size} bytes of a register of 4")));
        }
        if SYSTEM.contains(&address) {
            return self.write_system(address - SYSTEM.start, value, now);
        }
        if address == WATCHDOG {
            self.system.check_vendor()?;
            self.watchdog = value;
            return Ok(());
        }
        if LOG_UART.contains(&address) {
            self.system.check_log_uart()?;
            let offset = address - LOG_UART.start;
            self.uart.write(offset, value, now, self.system.hz())?;
            if self.uart.sending(now) {
                self.system.check_log_uart_pins()?;
            }
            return Ok(());
        }
        if DWT.contains(&address) || CORE_DEBUG.contains(&address) {
            return self.debug.write(address, value, now);
        }
        Err(Violation::new("writes where this model has no peripheral"))
    }

    fn write_system(&mut self, offset: u32, value: u32, now: Cycle) -> Result<(), Violation> {
        let before = self.system.hz();
        self.system.write(offset, value)?;
        if offset == register::CLOCK && self.system.hz() != before && self.uart.sending(now) {
            return Err(Violation::new("changes the clock while the LOG UART sends a byte"));
        }
        if self.system.debug_pins_on() {
            self.debug_pins_since.get_or_insert(now);
        } else {
            self.debug_pins_since = None;
        }
        Ok(())
    }
}

/// One stretch of the address space, as the interpreter sees it.
pub(crate) struct Port {
    pub(crate) range: Range<u32>,
    pub(crate) machine: Rc<RefCell<Machine>>,
}

impl Port {
    fn read(&mut self, at: u32, size: u32, env: &Env) -> MemoryReadResult<u32> {
        let mut machine = self.machine.borrow_mut();
        let read = machine.read(self.range.start + at, size, env.cycles);
        read.map_err(|violation| {
            machine.violation = Some(violation);
            MemoryAccessError::Illegal
        })
    }

    fn write(&mut self, at: u32, size: u32, value: u32, env: &Env) -> MemoryWriteResult {
        let mut machine = self.machine.borrow_mut();
        let written = machine.write(self.range.start + at, size, value, env.cycles);
        written.map_err(|violation| {
            machine.violation = Some(violation);
            MemoryAccessError::Illegal
        })
    }
}

impl MemoryInterface for Port {
    fn read_u8(&mut self, at: u32, env: &mut Env) -> MemoryReadResult<u8> {
        self.read(at, 1, env).map(|value| value as u8)
    }

    fn read_u16le(&mut self, at: u32, env: &mut Env) -> MemoryReadResult<u16> {
        self.read(at, 2, env).map(|value| value as u16)
    }

    fn read_u32le(&mut self, at: u32, env: &mut Env) -> MemoryReadResult<u32> {
        self.read(at, 4, env)
    }

    fn write_u8(&mut self, at: u32, value: u8, env: &mut Env) -> MemoryWriteResult {
        self.write(at, 1, value.into(), env)
    }

    fn write_u16le(&mut self, at: u32, value: u16, env: &mut Env) -> MemoryWriteResult {
        self.write(at, 2, value.into(), env)
    }

    fn write_u32le(&mut self, at: u32, value: u32, env: &mut Env) -> MemoryWriteResult {
        self.write(at, 4, value, env)
    }

    fn size(&self) -> u32 {
        self.range.end - self.range.start
    }
}
