//! The cycle counter of the core's trace unit (ARMv7-M architecture manual, C1.8).

use crate::{Cycle, Violation};
use std::ops::Range;

pub(crate) const DWT: Range<u32> = 0xe000_1000..0xe000_1008;
/// Debug registers of the core, of which an image of ours uses the last.
pub(crate) const CORE_DEBUG: Range<u32> = 0xe000_edf0..0xe000_ee00;

const CTRL: u32 = 0xe000_1000;
const CYCCNT: u32 = 0xe000_1004;
const DEMCR: u32 = 0xe000_edfc;
const TRACE_ENABLE: u32 = 1 << 24;
const CYCLE_COUNTER_ENABLE: u32 = 1;
/// Four comparators; a cycle counter is there.
const CTRL_FIXED: u32 = 4 << 28;

#[derive(Debug, Clone, Default)]
pub(crate) struct Debug {
    demcr: u32,
    ctrl: u32,
    /// What the counter held when it was last set, started or stopped, and when that was.
    count: u32,
    since: Cycle,
}

impl Debug {
    fn cycle_count(&self, now: Cycle) -> u32 {
        if self.ctrl & CYCLE_COUNTER_ENABLE == 0 {
            return self.count;
        }
        // Its 32 bits run over, as on the chip.
        self.count.wrapping_add((now - self.since) as u32)
    }

    pub(crate) fn read(&self, address: u32, now: Cycle) -> Result<u32, Violation> {
        match address {
            DEMCR => Ok(self.demcr),
            CTRL => self.traced().map(|()| CTRL_FIXED | self.ctrl),
            CYCCNT => self.traced().map(|()| self.cycle_count(now)),
            _ => Err(Violation::new(format!("reads {address:#010x}, a debug register"))),
        }
    }

    pub(crate) fn write(&mut self, address: u32, value: u32, now: Cycle) -> Result<(), Violation> {
        match address {
            DEMCR => self.demcr = value,
            CTRL => {
                self.traced()?;
                self.count = self.cycle_count(now);
                self.since = now;
                self.ctrl = value & CYCLE_COUNTER_ENABLE;
            }
            CYCCNT => {
                self.traced()?;
                self.count = value;
                self.since = now;
            }
            _ => return Err(Violation::new(format!("writes {address:#010x}, a debug register"))),
        }
        Ok(())
    }

    fn traced(&self) -> Result<(), Violation> {
        if self.demcr & TRACE_ENABLE != 0 {
            return Ok(());
        }
        Err(Violation::new("uses the cycle counter before tracing is on (DEMCR bit 24)"))
    }
}
