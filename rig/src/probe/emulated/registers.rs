//! Registers of a Cortex-M3 that a debugger uses, and their bits (ARMv7-M, B3.2 and C1.6).

/// Where a register of the system control space is, by its name in the ARMv7-M manual.
pub(super) mod address {
    pub const FP_CTRL: u32 = 0xe000_2000;
    pub const FP_COMP0: u32 = 0xe000_2008;
    pub const VTOR: u32 = 0xe000_ed08;
    pub const AIRCR: u32 = 0xe000_ed0c;
    pub const DFSR: u32 = 0xe000_ed30;
    pub const DHCSR: u32 = 0xe000_edf0;
    pub const DCRSR: u32 = 0xe000_edf4;
    pub const DCRDR: u32 = 0xe000_edf8;
    pub const DEMCR: u32 = 0xe000_edfc;
}

pub(super) const C_DEBUGEN: u32 = 1 << 0;
pub(super) const C_HALT: u32 = 1 << 1;
pub(super) const C_STEP: u32 = 1 << 2;
pub(super) const C_MASKINTS: u32 = 1 << 3;
pub(super) const S_REGRDY: u32 = 1 << 16;
pub(super) const S_HALT: u32 = 1 << 17;
pub(super) const S_LOCKUP: u32 = 1 << 19;
pub(super) const S_RESET_ST: u32 = 1 << 25;
/// A write to DHCSR counts only with this in its upper half.
pub(super) const DHCSR_KEY: u32 = 0xa05f;

pub(super) const DFSR_HALTED: u32 = 1 << 0;
pub(super) const DFSR_BKPT: u32 = 1 << 1;
pub(super) const DFSR_VCATCH: u32 = 1 << 3;

pub(super) const VC_CORERESET: u32 = 1 << 0;

pub(super) const AIRCR_KEY: u32 = 0x05fa;
pub(super) const SYSRESETREQ: u32 = 1 << 2;

/// Comparators of the breakpoint unit; a Cortex-M3 has six.
pub(super) const COMPARATORS: usize = 6;
