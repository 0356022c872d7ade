//! The RTL8195A's sequence against registers on paper: there is no emulator of the chip's debug port.

use super::*;
use probe_rs::MemoryInterface;
use probe_rs::architecture::arm::ap::CSW;
use probe_rs::architecture::arm::{ArmDebugInterface, FullyQualifiedApAddress};
use probe_rs::probe::DebugProbeError;
use std::collections::BTreeMap;

/// Words by address; a reset as a Cortex-M3 does it.
#[derive(Default)]
struct Paper {
    words: BTreeMap<u64, u32>,
    written: Vec<(u64, u32)>,
    reset_seen: bool,
    /// How often the clock register still forgets what it is told.
    forgets: u32,
}

impl Paper {
    fn halted(&self) -> bool {
        self.words.get(&DHCSR).is_some_and(|state| state & S_HALT != 0)
    }

    fn store(&mut self, address: u64, value: u32) {
        self.written.push((address, value));
        match address {
            DHCSR => {
                let halt = if value & C_HALT != 0 { S_HALT } else { 0 };
                self.words.insert(DHCSR, value & 0xf | halt);
            }
            AIRCR => {
                let (state, catch) = (self.load(DHCSR), self.load(DEMCR));
                let caught = state & C_DEBUGEN != 0 && catch & VC_CORERESET != 0;
                let halt = if caught { S_HALT } else { 0 };
                self.words.insert(DHCSR, state & C_DEBUGEN | halt);
                self.reset_seen = true;
            }
            SYS_CLK_CTRL1 if self.forgets > 0 => self.forgets -= 1,
            _ => {
                self.words.insert(address, value);
            }
        }
    }

    fn load(&self, address: u64) -> u32 {
        self.words.get(&address).copied().unwrap_or_default()
    }
}

impl MemoryInterface<ArmError> for Paper {
    fn supports_native_64bit_access(&mut self) -> bool {
        false
    }

    fn read_32(&mut self, address: u64, data: &mut [u32]) -> Result<(), ArmError> {
        for (place, value) in (address..).step_by(4).zip(data) {
            let reset = place == DHCSR && std::mem::take(&mut self.reset_seen);
            *value = self.load(place) | if reset { S_RESET_ST } else { 0 };
        }
        Ok(())
    }

    fn write_32(&mut self, address: u64, data: &[u32]) -> Result<(), ArmError> {
        for (place, value) in (address..).step_by(4).zip(data) {
            self.store(place, *value);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ArmError> {
        Ok(())
    }

    fn supports_8bit_transfers(&self) -> Result<bool, ArmError> {
        Ok(false)
    }

    fn read_64(&mut self, _: u64, _: &mut [u64]) -> Result<(), ArmError> {
        Err(ArmError::UnsupportedTransferWidth(64))
    }

    fn read_16(&mut self, _: u64, _: &mut [u16]) -> Result<(), ArmError> {
        Err(ArmError::UnsupportedTransferWidth(16))
    }

    fn read_8(&mut self, _: u64, _: &mut [u8]) -> Result<(), ArmError> {
        Err(ArmError::UnsupportedTransferWidth(8))
    }

    fn write_64(&mut self, _: u64, _: &[u64]) -> Result<(), ArmError> {
        Err(ArmError::UnsupportedTransferWidth(64))
    }

    fn write_16(&mut self, _: u64, _: &[u16]) -> Result<(), ArmError> {
        Err(ArmError::UnsupportedTransferWidth(16))
    }

    fn write_8(&mut self, _: u64, _: &[u8]) -> Result<(), ArmError> {
        Err(ArmError::UnsupportedTransferWidth(8))
    }
}

impl ArmMemoryInterface for Paper {
    fn fully_qualified_address(&self) -> FullyQualifiedApAddress {
        FullyQualifiedApAddress::v1_with_default_dp(0)
    }

    fn base_address(&mut self) -> Result<u64, ArmError> {
        Err(ArmError::NoArmTarget)
    }

    fn get_arm_debug_interface(&mut self) -> Result<&mut dyn ArmDebugInterface, DebugProbeError> {
        Err(DebugProbeError::NotAttached)
    }

    fn generic_status(&mut self) -> Result<CSW, ArmError> {
        Err(ArmError::NoArmTarget)
    }
}

fn sequence() -> Sequence {
    Sequence { chip: Chip::Rtl8195a, release: Release::default() }
}

const CORE: CoreType = CoreType::Armv7m;

#[test]
fn a_reset_is_caught_also_from_a_core_that_knows_no_debugger() {
    let (mut chip, sequence) = (Paper::default(), sequence());
    sequence.reset_catch_set(&mut chip, CORE, None).unwrap();
    sequence.reset_system(&mut chip, CORE, None).unwrap();
    assert!(chip.halted());
    let order: Vec<_> = chip.written.iter().map(|(address, _)| *address).collect();
    assert_eq!(order, [DHCSR, DEMCR, WATCHDOG, SYS_CLK_CTRL1, AIRCR]);
    assert_eq!((chip.load(WATCHDOG), chip.load(SYS_CLK_CTRL1)), (0, 0x21));
}

#[test]
fn a_halted_core_stays_halted_while_the_catch_is_set() {
    let (mut chip, sequence) = (Paper::default(), sequence());
    chip.words.insert(DHCSR, C_DEBUGEN | C_HALT | S_HALT);
    sequence.reset_catch_set(&mut chip, CORE, None).unwrap();
    assert!(chip.halted());
}

#[test]
fn the_slow_clock_is_asked_for_until_it_is_there_but_not_for_ever() {
    let sequence = sequence();
    let mut late = Paper { forgets: 19, ..Paper::default() };
    sequence.reset_system(&mut late, CORE, None).unwrap();
    let mut never = Paper { forgets: 20, ..Paper::default() };
    assert!(matches!(sequence.reset_system(&mut never, CORE, None), Err(ArmError::Timeout)));
    assert!(!never.written.iter().any(|(address, _)| *address == AIRCR), "reset at full speed");
}

#[test]
fn only_a_release_lets_the_core_run() {
    let (mut chip, sequence) = (Paper::default(), sequence());
    chip.words.insert(DHCSR, C_DEBUGEN | C_HALT | S_HALT);
    sequence.debug_core_stop(&mut chip, CORE).unwrap();
    assert!(chip.halted() && chip.written.is_empty());
    sequence.release.want();
    sequence.debug_core_stop(&mut chip, CORE).unwrap();
    assert_eq!((chip.load(DHCSR) & C_DEBUGEN, chip.load(DEMCR)), (0, 0));
}
