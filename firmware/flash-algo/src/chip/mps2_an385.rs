//! QEMU's `mps2-an385`, which has no flash: its 4 MB of code memory at 0 are treated like one.
//!
//! Erasing fills a sector with 0xff, programming can only clear bits. So an image gets there, and a
//! forgotten erase shows, as on a board with a flash chip.

use super::{page, sector};
use crate::SECTOR;
use core::arch::asm;
use core::ops::Range;
use flash_algorithm::{ErrorCode, FlashAlgorithm, Function};

/// For the device description.
pub const NAME: &str = "QEMU mps2-an385";
/// On-chip flash, as CMSIS-Pack numbers it.
pub const DEVICE_TYPE: u16 = 1;
/// Addresses of the flash.
pub const FLASH: Range<u32> = 0..0x40_0000;
/// Milliseconds; the memory itself takes no time.
pub const PROGRAM_LIMIT_MS: u32 = 1000;
/// Milliseconds for a sector.
pub const SECTOR_LIMIT_MS: u32 = 1000;

/// The routines.
pub struct Mps2An385(());

impl FlashAlgorithm for Mps2An385 {
    fn new(_address: u32, _clock: u32, _function: Function) -> Result<Self, ErrorCode> {
        cortex_m::interrupt::disable();
        Ok(Self(()))
    }

    fn erase_sector(&mut self, address: u32) -> Result<(), ErrorCode> {
        sector(FLASH, address)?;
        for word in (address..address + SECTOR).step_by(4) {
            write(word, u32::MAX);
        }
        Ok(())
    }

    fn program_page(&mut self, address: u32, data: &[u8]) -> Result<(), ErrorCode> {
        page(FLASH, address, data)?;
        let (words, _) = data.as_chunks();
        for (place, word) in (address..).step_by(4).zip(words) {
            write(place, read(place) & u32::from_le_bytes(*word));
        }
        Ok(())
    }
}

/// Address 0 is memory like any other here, but Rust's pointers may not point there: hence the
/// instructions themselves.
fn read(address: u32) -> u32 {
    let word;
    // SAFETY: The caller has checked that the address is a word of the code memory, which nothing
    // else uses while this runs.
    unsafe { asm!("ldr {}, [{}]", out(reg) word, in(reg) address, options(nostack, readonly)) };
    word
}

fn write(address: u32, word: u32) {
    // SAFETY: As in `read`.
    unsafe { asm!("str {}, [{}]", in(reg) word, in(reg) address, options(nostack)) };
}
