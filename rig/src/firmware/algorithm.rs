//! Flash algorithms: what probe-rs runs on a chip to erase and program its flash.
//!
//! `firmware/flash-algo` is their source, and its crate page says what is in the ELF file that
//! [`super::Builder::flash_algorithm`] gives. Here is only what the rig has to know of them.

/// A chip that there is an algorithm for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chip {
    /// Realtek's RTL8195A family with its serial NOR chip.
    Rtl8195a,
    /// QEMU's `mps2-an385`, whose code memory at 0 is treated like flash.
    Mps2An385,
}

impl Chip {
    /// The chip's name; also the cargo feature of `flash-algo`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rtl8195a => "rtl8195a",
            Self::Mps2An385 => "mps2-an385",
        }
    }
}

/// Why a routine of the algorithm gave up, as a clause: the number is what it returned, which
/// probe-rs hands on. `None` for a number that no routine returns.
#[must_use]
pub fn failure(code: u32) -> Option<&'static str> {
    Some(match code {
        1 => "the flash algorithm was not initialised",
        2 => "the address is outside the flash that this chip has",
        3 => "the address is not where a sector or page begins",
        4 => "the address is in the factory data of this unit, which is never written",
        5 => "the chip's clock register does not keep what is written to it",
        6 => "the flash controller stays busy",
        7 => "no flash chip answers",
        8 => "the flash chip stays busy",
        9 => "the flash chip is write-protected (block-protection bits in its status register)",
        10 => "the flash chip does not accept a write enable",
        11 => "the flash chip did not carry out an erase or program command",
        _ => return None,
    })
}
