//! How a chip is reset and let go: what probe-rs asks its debug sequence for.
//!
//! ```text
//! reset and catch: C_DEBUGEN --> VC_CORERESET --> SYSRESETREQ --> wait --> halted at the vector
//! ```

use crate::deadline::Deadline;
use crate::firmware::Chip;
use probe_rs::CoreType;
use probe_rs::architecture::arm::memory::ArmMemoryInterface;
use probe_rs::architecture::arm::sequences::ArmDebugSequence;
use probe_rs::architecture::arm::{ArmError, DapProbe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Registers of the system control space, by their names in the ARMv7-M manual.
const AIRCR: u64 = 0xe000_ed0c;
const DHCSR: u64 = 0xe000_edf0;
const DEMCR: u64 = 0xe000_edfc;

const DHCSR_KEY: u32 = 0xa05f_0000;
const C_DEBUGEN: u32 = 1 << 0;
const C_HALT: u32 = 1 << 1;
const S_HALT: u32 = 1 << 17;
const S_RESET_ST: u32 = 1 << 25;
const VC_CORERESET: u32 = 1 << 0;
const SYSRESETREQ: u32 = 0x05fa_0004;

/// Of the RTL8195A: clock of the core, and the value for 41.67 MHz [ROM; SDK, sys_api.c].
const SYS_CLK_CTRL1: u64 = 0x4000_0014;
const SLOW_CLOCK: u32 = 0x21;
/// Of the RTL8195A: the watchdog; its byte [23:16] enables it [SDK, rtl8195a_wdt.h]. Its gate is
/// the one that keeps the debug pins alive [ROM], so who is heard can reach it.
pub(super) const WATCHDOG: u64 = 0x4000_2800;
pub(super) const WATCHDOG_OFF: u32 = 0;
/// Resets the whole chip about a millisecond later [SDK, rtl_gdb_ramdebug_jlink.txt].
pub(super) const WATCHDOG_RESET: u32 = 0x41a5_0021;

/// How long a reset may take; debug ports of slow chips need 600 ms.
const RESET_LIMIT: Duration = Duration::from_secs(1);

/// Whether the end of a session lets the core run. Not after a failure: what is in memory then is
/// nothing that should run. And not between two sessions of one job.
#[derive(Debug, Clone, Default)]
pub(super) struct Release(Arc<Letting>);

#[derive(Debug, Default)]
struct Letting {
    wanted: AtomicBool,
    done: AtomicBool,
}

impl Release {
    /// From here on the end of a session lets the core run.
    pub fn want(&self) {
        self.0.wanted.store(true, Ordering::SeqCst);
    }

    /// Whether the end of a session did so: probe-rs keeps to itself what fails there.
    pub fn done(&self) -> bool {
        self.0.done.load(Ordering::SeqCst)
    }

    /// Ends debugging if that is wanted: the core runs on, and no reset is caught any more.
    fn stop(&self, memory: &mut dyn ArmMemoryInterface) -> Result<(), ArmError> {
        if self.0.wanted.load(Ordering::SeqCst) {
            memory.write_word_32(DEMCR, 0)?;
            memory.write_word_32(DHCSR, DHCSR_KEY)?;
            memory.flush()?;
            self.0.done.store(true, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// What is asked of a chip's debug port.
#[derive(Debug)]
pub(super) struct Sequence {
    pub chip: Chip,
    pub release: Release,
}

impl ArmDebugSequence for Sequence {
    /// The boards of the RTL8195A lead the probe's reset pin to the chip's TRST [SDK, doc/UM0048],
    /// the emulated board has none.
    fn reset_hardware_assert(&self, _: &mut dyn DapProbe) -> Result<(), ArmError> {
        Err(NO_RESET_PIN)
    }

    fn reset_catch_set(
        &self,
        memory: &mut dyn ArmMemoryInterface,
        _: CoreType,
        _: Option<u64>,
    ) -> Result<(), ArmError> {
        catch_reset(memory)
    }

    fn reset_system(
        &self,
        memory: &mut dyn ArmMemoryInterface,
        _: CoreType,
        _: Option<u64>,
    ) -> Result<(), ArmError> {
        match self.chip {
            Chip::Mps2An385 => {}
            // This reset leaves peripherals as they are [SDK, doc/UM0101 4.1]: a watchdog goes on,
            // and so does a clock that is too fast for the start.
            Chip::Rtl8195a => {
                memory.write_word_32(WATCHDOG, WATCHDOG_OFF)?;
                slow_down(memory)?;
            }
        }
        reset_core(memory)
    }

    fn debug_core_stop(
        &self,
        memory: &mut dyn ArmMemoryInterface,
        _: CoreType,
    ) -> Result<(), ArmError> {
        self.release.stop(memory)
    }
}

const NO_RESET_PIN: ArmError =
    ArmError::NotImplemented("a reset by the probe's reset pin, which does not reach this chip");

/// Has the next reset end in a halt. Without C_DEBUGEN, which must come first, the catch is ignored.
fn catch_reset(memory: &mut dyn ArmMemoryInterface) -> Result<(), ArmError> {
    let state = memory.read_word_32(DHCSR)?;
    if state & C_DEBUGEN == 0 {
        memory.write_word_32(DHCSR, DHCSR_KEY | C_DEBUGEN)?;
    } else if state & S_HALT != 0 {
        memory.write_word_32(DHCSR, DHCSR_KEY | C_DEBUGEN | C_HALT)?;
    }
    let catches = memory.read_word_32(DEMCR)?;
    memory.write_word_32(DEMCR, catches | VC_CORERESET)?;
    // A reset that happened before is forgotten by being read.
    memory.read_word_32(DHCSR).map(drop)
}

/// Resets the core, and waits until it is out of the reset.
fn reset_core(memory: &mut dyn ArmMemoryInterface) -> Result<(), ArmError> {
    memory.write_word_32(AIRCR, SYSRESETREQ)?;
    memory.flush()?;
    let deadline = Deadline::after(RESET_LIMIT);
    loop {
        match memory.read_word_32(DHCSR) {
            Ok(state) if state & S_RESET_ST == 0 => return Ok(()),
            // The port may be deaf in the meantime.
            Err(error) if deadline.left().is_zero() => return Err(error),
            _ if deadline.left().is_zero() => return Err(ArmError::Timeout),
            _ => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// The vendor's own reset does this first [SDK, sys_api.c]; the register may need some time to keep
/// what is written [DAPLink's blob reads it again up to 20 times].
fn slow_down(memory: &mut dyn ArmMemoryInterface) -> Result<(), ArmError> {
    for _ in 0..20 {
        memory.write_word_32(SYS_CLK_CTRL1, SLOW_CLOCK)?;
        if memory.read_word_32(SYS_CLK_CTRL1)? == SLOW_CLOCK {
            return Ok(());
        }
    }
    Err(ArmError::Timeout)
}

#[cfg(test)]
mod tests;
