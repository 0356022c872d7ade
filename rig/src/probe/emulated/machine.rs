//! The emulated machine as a debug port sees it: a memory bus, and a Cortex-M3's debug registers.
//!
//! ```text
//! access --> debug registers (ARMv7-M, C1.6) --> debugger stub: halt, step, run, core registers
//!        --> tables of the debug system ------->  constants
//!        --> memory, devices ----------------->  test socket
//!        --> nothing there ------------------->  fault
//! ```
//!
//! What is the emulator's and not the core's: it stops its machine when a debugger connects, so a
//! fresh connection finds the core halted.

use super::gdb::{Gdb, XPSR};
use super::map::{ROM_TABLE, answers, executable, is_memory, rom_table};
use super::qtest::{Qtest, Width};
use super::registers::*;
use std::io;
use std::path::Path;
use std::time::Duration;

/// At the end of the big memory, which no image here uses: what runs when the core would lock up,
/// see [`Machine::guard`], and where single instructions are executed.
const GUARD: u32 = 0x21ff_ff00;
const PARKED: u32 = GUARD + 0x80;
const SCRATCH: u32 = GUARD + 0x90;

/// The instruction that puts the core to sleep.
const WFI: u32 = 0xbf30;

/// How long a look at a running core waits for it to stop, so that who polls leaves the host's
/// processor to the emulator.
const GLANCE: Duration = Duration::from_millis(1);

/// Why an access was not done.
#[derive(Debug)]
pub(super) enum BusError {
    /// Nothing is at the address.
    Fault,
    /// The emulator does not answer any more.
    Gone(io::Error),
}

impl From<io::Error> for BusError {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Core {
    Halted,
    Running,
    /// An exception while none could be taken; the emulator has been kept from it.
    LockedUp,
}

/// One emulated machine.
#[derive(Debug)]
pub(super) struct Machine {
    gdb: Gdb,
    qtest: Qtest,
    core: Core,
    /// C_DEBUGEN, C_STEP, C_MASKINTS as written.
    control: u32,
    /// DFSR, DEMCR, DCRDR as in the manual.
    halted_by: u32,
    catch: u32,
    transfer: u32,
    was_reset: bool,
    /// Whether the core has been led past a WFI, see [`Machine::step`].
    led_past: bool,
    breakpoints_on: bool,
    comparators: [u32; COMPARATORS],
    /// Breakpoints that the stub knows.
    planted: Vec<u32>,
}

impl Machine {
    /// Connects to the sockets `gdb` and `qtest` in the folder, which stops the machine.
    pub fn connect(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            qtest: Qtest::connect(&folder.join(super::QTEST_SOCKET))?,
            gdb: Gdb::connect(&folder.join(super::GDB_SOCKET))?,
            core: Core::Halted,
            control: C_DEBUGEN,
            halted_by: 0,
            catch: 0,
            transfer: 0,
            was_reset: false,
            led_past: false,
            breakpoints_on: false,
            comparators: [0; COMPARATORS],
            planted: Vec::new(),
        })
    }

    /// Reads values of one width at rising addresses, each in its byte lane of a word.
    pub fn read(&mut self, at: u32, width: Width, values: &mut [u32]) -> Result<(), BusError> {
        let end = end_of(at, width, values.len())?;
        if is_memory(at..end) {
            let mut bytes = vec![0; (end - at) as usize];
            self.qtest.read(at, &mut bytes)?;
            for (index, byte) in bytes.iter().enumerate() {
                let place = at.wrapping_add(index as u32);
                if let Some(value) = values.get_mut(index / width.bytes() as usize) {
                    *value |= u32::from(*byte) << (place % 4 * 8);
                }
            }
            return Ok(());
        }
        for (place, value) in (at..).step_by(width.bytes() as usize).zip(values) {
            *value = self.load(place, width)? << (place % 4 * 8);
        }
        Ok(())
    }

    /// Writes values as [`Self::read`] reads them.
    pub fn write(&mut self, at: u32, width: Width, values: &[u32]) -> Result<(), BusError> {
        let end = end_of(at, width, values.len())?;
        let places = (at..).step_by(width.bytes() as usize).zip(values);
        let values = places.map(|(place, value)| (place, value >> (place % 4 * 8)));
        if is_memory(at..end) {
            let bytes: Vec<u8> = values
                .flat_map(|(_, value)| value.to_le_bytes().into_iter().take(width.bytes() as usize))
                .collect();
            self.qtest.write(at, &bytes)?;
            return Ok(());
        }
        for (place, value) in values {
            self.store(place, width, value)?;
        }
        Ok(())
    }

    /// As after power was lost and came back: reset, and no debugger knows the core.
    pub fn power_cycle(&mut self) -> io::Result<()> {
        self.halt()?;
        self.gdb.reset()?;
        (self.control, self.catch) = (C_DEBUGEN, 0);
        Ok(())
    }

    fn load(&mut self, at: u32, width: Width) -> Result<u32, BusError> {
        Ok(match at {
            address::DHCSR => self.status()?,
            address::DCRSR => 0,
            address::DCRDR => self.transfer,
            address::DEMCR => self.catch,
            address::DFSR => self.halted_by,
            // Revision 1 of the unit, which has breakpoints below 0x20000000 only.
            address::FP_CTRL => (COMPARATORS as u32) << 4 | u32::from(self.breakpoints_on),
            _ if ROM_TABLE.contains(&at) => rom_table(at - ROM_TABLE.start),
            _ => match self.comparator(at) {
                Some(comparator) => *comparator,
                None if answers(at) => self.qtest.load(at, width)?,
                None => return Err(BusError::Fault),
            },
        })
    }

    fn store(&mut self, at: u32, width: Width, value: u32) -> Result<(), BusError> {
        match at {
            address::DHCSR if value >> 16 == DHCSR_KEY => self.command(value)?,
            address::DHCSR => {}
            address::DCRSR => self.transfer(value)?,
            address::DCRDR => self.transfer = value,
            address::DEMCR => self.catch = value,
            address::DFSR => self.halted_by &= !value,
            address::FP_CTRL if value & 2 != 0 => self.breakpoints_on = value & 1 != 0,
            address::FP_CTRL => {}
            address::AIRCR if value >> 16 == AIRCR_KEY && value & SYSRESETREQ != 0 => {
                self.reset()?;
            }
            _ => match self.comparator(at) {
                Some(comparator) => *comparator = value,
                None if answers(at) => self.qtest.store(at, width, value)?,
                None => return Err(BusError::Fault),
            },
        }
        Ok(())
    }

    fn comparator(&mut self, at: u32) -> Option<&mut u32> {
        let index = at.checked_sub(address::FP_COMP0)? / 4;
        self.comparators.get_mut(index as usize)
    }

    /// What DHCSR reads as.
    fn status(&mut self) -> Result<u32, BusError> {
        if self.core == Core::Running && self.gdb.stopped(GLANCE)? {
            self.stopped(DFSR_BKPT)?;
        }
        let state = match self.core {
            Core::Halted => S_HALT | C_HALT,
            Core::Running => 0,
            Core::LockedUp => S_LOCKUP,
        };
        let reset = if std::mem::take(&mut self.was_reset) { S_RESET_ST } else { 0 };
        Ok(self.control | S_REGRDY | state | reset)
    }

    /// A write to DHCSR.
    fn command(&mut self, value: u32) -> Result<(), BusError> {
        self.control = value & (C_DEBUGEN | C_STEP | C_MASKINTS);
        let debug = value & C_DEBUGEN != 0;
        if debug && value & C_HALT != 0 {
            if self.core != Core::Halted {
                self.halt()?;
                self.halted_by |= DFSR_HALTED;
            }
        } else if self.core == Core::Halted {
            if debug && value & C_STEP != 0 {
                self.step()?;
            } else {
                self.resume()?;
            }
        }
        Ok(())
    }

    fn halt(&mut self) -> io::Result<()> {
        if self.core == Core::Running {
            self.gdb.interrupt()?;
        }
        self.core = Core::Halted;
        Ok(())
    }

    /// The stub says that a running core has stopped.
    fn stopped(&mut self, why: u32) -> Result<(), BusError> {
        self.core = if self.gdb.register(15)? == PARKED { Core::LockedUp } else { Core::Halted };
        self.halted_by |= why;
        Ok(())
    }

    /// A system reset: of core and devices here, of the core alone on some chips.
    fn reset(&mut self) -> Result<(), BusError> {
        self.halt()?;
        self.gdb.reset()?;
        (self.was_reset, self.led_past) = (true, false);
        (self.halted_by, self.comparators, self.breakpoints_on) = (0, [0; COMPARATORS], false);
        if self.control & C_DEBUGEN != 0 && self.catch & VC_CORERESET != 0 {
            self.halted_by |= DFSR_VCATCH;
            Ok(())
        } else {
            self.resume()
        }
    }

    fn step(&mut self) -> Result<(), BusError> {
        if !self.can_run()? {
            return Ok(());
        }
        self.guard()?;
        let at = self.gdb.register(15)?;
        if self.qtest.load(at, Width::Half)? == WFI {
            // The emulator would not come back from a step that puts the core to sleep. A WFI is
            // a hint and may end at once; a halt by the debugger ends it in any case.
            self.gdb.set_register(15, at.wrapping_add(2))?;
            self.led_past = true;
        } else if !self.sleeps()? {
            // Nor would it step a core that sleeps, but wait until it wakes up.
            self.gdb.step()?;
            self.led_past = false;
        }
        self.stopped(DFSR_HALTED)?;
        Ok(())
    }

    /// Whether the last instruction was one that waits for an interrupt.
    fn sleeps(&mut self) -> Result<bool, BusError> {
        if self.led_past {
            return Ok(false);
        }
        let before = self.gdb.register(15)?.wrapping_sub(2);
        Ok(executable(before) && self.qtest.load(before, Width::Half)? == WFI)
    }

    fn resume(&mut self) -> Result<(), BusError> {
        if !self.can_run()? {
            return Ok(());
        }
        let mut wanted = Vec::new();
        if self.control & C_DEBUGEN != 0 {
            wanted.extend(self.guard()?);
            wanted.extend(self.return_to_breakpoint()?);
            if self.breakpoints_on {
                let enabled = self.comparators.iter().filter(|value| **value & 1 != 0);
                wanted.extend(enabled.map(|value| value & 0x1fff_fffc | (value >> 30 & 2)));
            }
        }
        // One that stays is not taken away and set again: the emulator would forget its translated
        // code each time.
        for old in self.planted.iter().filter(|place| !wanted.contains(place)) {
            self.gdb.breakpoint(*old, false)?;
        }
        for new in wanted.iter().filter(|place| !self.planted.contains(place)) {
            self.gdb.breakpoint(*new, true)?;
        }
        self.planted = wanted;
        self.gdb.resume()?;
        (self.core, self.led_past) = (Core::Running, false);
        Ok(())
    }

    /// A core with the reset vector of an empty or erased memory locks up at once.
    fn can_run(&mut self) -> Result<bool, BusError> {
        let (thumb, at) = (self.gdb.register(XPSR)? & 1 << 24 != 0, self.gdb.register(15)?);
        let can = thumb && executable(at);
        if !can {
            self.core = Core::LockedUp;
        }
        Ok(can)
    }

    /// The emulator takes a BKPT instruction for a hard fault, also with a debugger connected. The
    /// one that counts is the one to which a flash routine returns.
    fn return_to_breakpoint(&mut self) -> Result<Option<u32>, BusError> {
        let back = self.gdb.register(14)? & !1;
        if !executable(back) {
            return Ok(None);
        }
        let is_breakpoint = self.qtest.load(back, Width::Half)? >> 8 == 0xbe;
        Ok(is_breakpoint.then_some(back))
    }

    /// The emulator ends its process when the core locks up. Where the table of vectors has no
    /// handler for a hard fault, one of ours stands in, at the place handed back: the debugger is
    /// told of a lockup when it gets there.
    fn guard(&mut self) -> Result<Option<u32>, BusError> {
        let table = self.qtest.load(address::VTOR, Width::Word)?;
        if table != GUARD {
            let handler = table.wrapping_add(12);
            let handler =
                if executable(handler) { self.qtest.load(handler, Width::Word)? } else { 0 };
            if handler & 1 != 0 && executable(handler & !1) {
                return Ok(None);
            }
            let vectors = [PARKED | 1; 16].map(u32::to_le_bytes).concat();
            self.qtest.write(GUARD, &vectors)?;
            // Branch to itself.
            self.qtest.store(PARKED, Width::Half, 0xe7fe)?;
            self.qtest.store(address::VTOR, Width::Word, GUARD)?;
        }
        Ok(Some(PARKED))
    }

    /// A write to DCRSR: moves a core register from or to DCRDR.
    fn transfer(&mut self, request: u32) -> Result<(), BusError> {
        let (register, write) = ((request & 0x7f) as u8, request & 1 << 16 != 0);
        let number = match register {
            0..=15 => register,
            16 => XPSR,
            // The main stack's pointer is the one in use, unless a program has switched.
            17 => 13,
            20 => return self.transfer_masks(write),
            _ => {
                self.transfer = 0;
                return Ok(());
            }
        };
        if write {
            self.gdb.set_register(number, self.transfer)?;
        } else {
            self.transfer = self.gdb.register(number)?;
        }
        Ok(())
    }

    /// CONTROL, FAULTMASK, BASEPRI, PRIMASK, from the highest byte to the lowest. The stub does not
    /// know them; the core itself does, when it is given the instruction and is awake.
    fn transfer_masks(&mut self, write: bool) -> Result<(), BusError> {
        const NUMBERS: [u16; 4] = [0x10, 0x11, 0x13, 0x14];
        if self.sleeps()? {
            return Err(BusError::Fault);
        }
        let saved = [0, 15, XPSR].map(|number| (number, self.gdb.register(number)));
        let mut bytes = self.transfer.to_le_bytes();
        for (byte, number) in bytes.iter_mut().zip(NUMBERS) {
            // MSR <number>, r0 and MRS r0, <number>: ARMv7-M, A7.7.83 and A7.7.82.
            let halves = if write { [0xf380, 0x8800 | number] } else { [0xf3ef, 0x8000 | number] };
            self.gdb.set_register(0, u32::from(*byte))?;
            self.qtest.write(SCRATCH, &halves.map(u16::to_le_bytes).concat())?;
            self.gdb.set_register(15, SCRATCH)?;
            self.gdb.step()?;
            let value = self.gdb.register(0)?;
            if !write {
                *byte = value as u8;
            }
        }
        self.transfer = u32::from_le_bytes(bytes);
        for (number, value) in saved {
            self.gdb.set_register(number, value?)?;
        }
        Ok(())
    }
}

fn end_of(at: u32, width: Width, count: usize) -> Result<u32, BusError> {
    let bytes = u32::try_from(count).ok().and_then(|count| count.checked_mul(width.bytes()));
    bytes.and_then(|bytes| at.checked_add(bytes)).ok_or(BusError::Fault)
}
