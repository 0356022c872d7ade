//! The whole: a core, its memory, and everything around them, run step by step.

use crate::core::Decoder;
use crate::machine::{Machine, PORTS, Port};
use crate::memory::{Ram, SRAM, TCM};
use crate::nor::Nor;
use crate::{Cycle, Violation, rom};
use armagnac::core::{Config, Emulator, Event, Processor, RunError};
use armagnac::registers::RegisterIndex;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Where the core's vector table address is written.
const VTOR: u32 = 0xe000_ed08;

/// Two breakpoint instructions: what probe-rs puts in front of a flash algorithm.
const BREAKPOINTS: [u8; 4] = [0x00, 0xbe, 0x00, 0xbe];

/// Why the image cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the image, at {pc:#010x}, {what}")]
pub struct Fault {
    /// Address of the instruction.
    pub pc: u32,
    /// What it does, as the rest of a sentence.
    pub what: String,
}

/// Why a run has ended without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// All instructions were executed that it was given.
    Spent,
    /// The image looks for input again and again, and there is none.
    WaitsForInput,
    /// A breakpoint instruction.
    Breakpoint,
    /// The core sleeps; no interrupt will wake it.
    Sleeps,
}

/// An RTL8195A with a flash chip and a line to the test.
pub struct Board {
    processor: Processor,
    machine: Rc<RefCell<Machine>>,
    asleep: Rc<Cell<bool>>,
}

impl Board {
    /// Stopped before the first instruction after a reset, as a debugger finds it: nothing is on,
    /// and memory holds nothing.
    ///
    /// # Errors
    /// [`Violation`] if the address map contradicts itself.
    pub fn after_reset(chip: Nor) -> Result<Self, Violation> {
        Self::new(Machine::after_reset(chip))
    }

    /// As the ROM hands it to what it has found in `chip`.
    ///
    /// # Errors
    /// [`Violation`] says why the ROM would not start it.
    pub fn from_flash(chip: Nor) -> Result<Self, Violation> {
        let image = rom::load(chip.bytes())?;
        Self::new(Machine::after_rom(chip))?.holding(&image)
    }

    /// As the vendor's image1 hands it to the image2 in `chip`.
    ///
    /// # Errors
    /// [`Violation`] says why it would not be started.
    pub fn from_vendor_image1(chip: Nor) -> Result<Self, Violation> {
        let image = rom::load_image2(chip.bytes())?;
        Self::new(Machine::after_image1(chip))?.holding(&image)
    }

    fn holding(mut self, image: &rom::Loaded) -> Result<Self, Violation> {
        self.write(image.address, &image.body)?;
        self.start(image.entry, rom::STACK, rom::VECTORS)?;
        // Interrupts are as whoever called likes them.
        self.processor.registers.primask.set_pm(false);
        Ok(self)
    }

    /// The same unit, whose fuses hold this calibration of its flash: bits 7:5 are dummy cycles more,
    /// bits 4:0 a third of the read delay.
    #[must_use]
    pub fn with_flash_calibration(self, fuses: u8) -> Self {
        self.machine.borrow_mut().system.flash_calibration = Some(fuses);
        self
    }

    fn new(machine: Machine) -> Result<Self, Violation> {
        let conflict = |_| Violation::new("the address map contradicts itself");
        let mut processor = Processor::new(Config::v7m().external_exceptions(64));
        let asleep = Rc::new(Cell::new(false));
        processor.instruction_decoder = Box::new(Decoder::new(Rc::clone(&asleep)));
        let machine = Rc::new(RefCell::new(machine));
        for range in [SRAM, TCM] {
            let ram = Rc::new(RefCell::new(Ram::new(&range)));
            processor.map_iface(range.start, ram).map_err(conflict)?;
        }
        for range in PORTS {
            let start = range.start;
            let port = Port { range, machine: Rc::clone(&machine) };
            processor.map_iface(start, Rc::new(RefCell::new(port))).map_err(conflict)?;
        }
        Ok(Self { processor, machine, asleep })
    }

    /// Writes memory as a debugger does.
    ///
    /// # Errors
    /// [`Violation`] if there is no memory.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), Violation> {
        let written = self.processor.write_bytes_iface(address, bytes);
        written
            .map_err(|_| Violation::new(format!("no memory at {address:#010x} for the debugger")))
    }

    /// Reads a register, or memory-mapped flash, as a debugger does while the core stands still.
    ///
    /// # Errors
    /// [`Violation`] if that may not be done now.
    pub fn read_register(&mut self, address: u32) -> Result<u32, Violation> {
        let executed = self.processor.cycles;
        self.machine.borrow_mut().debugger_reads(address, 4, executed)
    }

    /// Writes a register, or a byte of one, as a debugger does while the core stands still.
    ///
    /// # Errors
    /// [`Violation`] if that may not be done now.
    pub fn write_register(&mut self, address: u32, size: u32, value: u32) -> Result<(), Violation> {
        let executed = self.processor.cycles;
        self.machine.borrow_mut().debugger_writes(address, size, value, executed)
    }

    /// Reads memory as a debugger does; also the flash, if the controller is set up for it.
    ///
    /// # Errors
    /// [`Violation`] if there is nothing to read.
    pub fn read(&mut self, address: u32, length: u32) -> Result<Vec<u8>, Violation> {
        self.processor.read_bytes_iface(address, length).map_err(|_| {
            let why = self.machine.borrow_mut().take_violation();
            why.unwrap_or(Violation::new(format!("nothing at {address:#010x} for the debugger")))
        })
    }

    /// Sets what a debugger sets before it lets the core go: program counter, stack pointer, vector
    /// table, interrupts masked.
    ///
    /// # Errors
    /// [`Violation`] if the vector table cannot lie there.
    pub fn start(&mut self, pc: u32, sp: u32, vectors: u32) -> Result<(), Violation> {
        let wrong = |_| Violation::new(format!("no vector table can lie at {vectors:#010x}"));
        self.processor.write_u32le_iface(VTOR, vectors).map_err(wrong)?;
        self.processor.registers.primask.set_pm(true);
        self.processor.registers.msp = sp;
        self.processor.registers.psr.set_t(true);
        self.processor.set_pc(pc & !1);
        Ok(())
    }

    /// Calls a routine as probe-rs calls those of a flash algorithm, and gives what it returns.
    /// Breakpoints are put at `back`, to which it returns. `limit` instructions at most.
    ///
    /// # Errors
    /// [`Fault`] if it does something wrong, or does not return.
    pub fn call(
        &mut self,
        function: u32,
        arguments: [u32; 3],
        sp: u32,
        back: u32,
        limit: u64,
    ) -> Result<u32, Fault> {
        let fault = |violation: Violation| Fault { pc: function, what: violation.to_string() };
        self.write(back, &BREAKPOINTS).map_err(fault)?;
        let registers = [RegisterIndex::R0, RegisterIndex::R1, RegisterIndex::R2];
        for (register, value) in registers.into_iter().zip(arguments) {
            self.processor.set(register, value);
        }
        self.processor.registers.msp = sp;
        self.processor.registers.psr.set_t(true);
        self.processor.set_lr(back | 1);
        self.processor.set_pc(function & !1);
        match self.run(limit)? {
            Stop::Breakpoint => Ok(self.processor.registers.r0),
            stop => Err(self.fault(format!("has not returned: {stop:?}"))),
        }
    }

    /// Executes up to `limit` instructions.
    ///
    /// # Errors
    /// [`Fault`] if one of them asks for something that the chip would not do.
    pub fn run(&mut self, limit: u64) -> Result<Stop, Fault> {
        // The interpreter leaves some registers of the core open, with a panic.
        let run = catch_unwind(AssertUnwindSafe(|| self.step(limit)));
        run.unwrap_or_else(|_| {
            Err(self.fault("does something that the interpreter does not have".to_owned()))
        })
    }

    fn step(&mut self, limit: u64) -> Result<Stop, Fault> {
        /// How many instructions pass before the line is looked at.
        const STRETCH: u64 = 512;

        for count in 1..=limit {
            let pc = self.processor.pc();
            match self.processor.next_event() {
                Ok(Event::Instruction { .. }) => {}
                Ok(Event::Break(_)) => return Ok(Stop::Breakpoint),
                Ok(_) => return Err(Fault { pc, what: "resets the core".to_owned() }),
                Err(error) => return Err(Fault { pc, what: self.explain(&error) }),
            }
            if self.asleep.get() {
                return Ok(Stop::Sleeps);
            }
            if count % STRETCH == 0 && self.machine.borrow().uart.starving() {
                return Ok(Stop::WaitsForInput);
            }
        }
        Ok(Stop::Spent)
    }

    fn fault(&self, what: String) -> Fault {
        Fault { pc: self.processor.pc(), what }
    }

    fn explain(&self, error: &RunError) -> String {
        let why = self.machine.borrow_mut().take_violation();
        let why = |otherwise: &str| why.map_or(otherwise.to_owned(), |why| why.to_string());
        match error {
            RunError::MemRead { address, size, .. } => {
                let why = why("reads where nothing is mapped");
                format!("{why} ({size} bytes at {address:#010x})")
            }
            RunError::MemWrite { address, size, value, .. } => {
                let why = why("writes where nothing is mapped");
                format!("{why} ({value:#x}, {size} bytes at {address:#010x})")
            }
            other => format!("executes what is no instruction of a Cortex-M3 ({other:?})"),
        }
    }

    /// Sends bytes to the image, as fast as the line allows.
    pub fn send(&mut self, bytes: &[u8]) {
        let now = self.now();
        let mut machine = self.machine.borrow_mut();
        let hz = machine.system.hz();
        machine.uart.receive(bytes, now, hz);
    }

    /// Takes the bytes that the image has sent so far.
    #[must_use]
    pub fn take_sent(&mut self) -> Vec<u8> {
        let now = self.now();
        self.machine.borrow_mut().uart.take_sent(now)
    }

    /// How many bytes the image has lost because it did not take them in time.
    #[must_use]
    pub fn lost_bytes(&self) -> usize {
        self.machine.borrow().uart.lost()
    }

    /// Cycles since the start, with those that the core has waited.
    #[must_use]
    pub fn now(&self) -> Cycle {
        self.machine.borrow().now(self.processor.cycles)
    }

    /// Instructions executed since the start.
    #[must_use]
    pub fn instructions(&self) -> u64 {
        self.processor.cycles
    }

    /// Frequency of the core in Hz.
    #[must_use]
    pub fn hz(&self) -> u64 {
        self.machine.borrow().system.hz()
    }

    /// Since when a debugger can reach the chip, without a break; `None` if it cannot.
    #[must_use]
    pub fn debug_pins_since(&self) -> Option<Cycle> {
        self.machine.borrow().debug_pins_since()
    }

    /// Whether the watchdog would bite. It is on at the start, as an earlier program may have left it.
    #[must_use]
    pub fn watchdog_on(&self) -> bool {
        self.machine.borrow().watchdog_on()
    }

    /// Looks at the flash chip.
    pub fn flash<T>(&self, look: impl FnOnce(&Nor) -> T) -> T {
        look(&self.machine.borrow().spic.chip)
    }
}

#[cfg(test)]
mod tests;
