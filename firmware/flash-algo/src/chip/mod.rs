//! The chip whose flash this is for. One file for each.
//!
//! A chip's file gives `Here`, the routines, and what the device description says of it.

#[cfg(feature = "mps2-an385")]
mod mps2_an385;
#[cfg(feature = "rtl8195a")]
mod rtl8195a;

#[cfg(feature = "mps2-an385")]
pub use mps2_an385::{
    DEVICE_TYPE, FLASH, Mps2An385 as Here, NAME, PROGRAM_LIMIT_MS, SECTOR_LIMIT_MS,
};
#[cfg(feature = "rtl8195a")]
pub use rtl8195a::{DEVICE_TYPE, FLASH, NAME, PROGRAM_LIMIT_MS, Rtl8195a as Here, SECTOR_LIMIT_MS};

use crate::failure::Failure;
use crate::{PAGE, SECTOR};
use core::ops::Range;

/// The offset of a sector in `flash`, if it is one.
fn sector(flash: Range<u32>, address: u32) -> Result<u32, Failure> {
    let offset = within(flash, address, SECTOR)?;
    if offset.is_multiple_of(SECTOR) { Ok(offset) } else { Err(Failure::Unaligned) }
}

/// The offset of what is to be programmed in `flash`: whole words of one page.
fn page(flash: Range<u32>, address: u32, data: &[u8]) -> Result<u32, Failure> {
    let size = u32::try_from(data.len()).map_err(|_| Failure::Outside)?;
    let offset = within(flash, address, size)?;
    let words = offset.is_multiple_of(4) && size.is_multiple_of(4);
    if words && offset % PAGE + size <= PAGE { Ok(offset) } else { Err(Failure::Unaligned) }
}

fn within(flash: Range<u32>, address: u32, size: u32) -> Result<u32, Failure> {
    let end = address.checked_add(size).ok_or(Failure::Outside)?;
    if address < flash.start || end > flash.end {
        return Err(Failure::Outside);
    }
    Ok(address - flash.start)
}
