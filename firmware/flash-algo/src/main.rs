//! What probe-rs runs on a board to erase and program its flash.
//!
//! ```text
//! probe-rs --copies--> RAM: | breakpoint | PrgCode | page | page | stack |
//!    |                                      ^
//!    +--r0..r2, lr = breakpoint, pc --------+--> r0: 0 or why not
//!
//!    Init(flash, 0, 1)  EraseSector(sector)...            UnInit()
//!    Init(flash, 0, 2)  ProgramPage(page, size, data)...  UnInit()
//! ```
//!
//! [`chip`] has one file for each chip, chosen by a cargo feature; [`failure`] lists what a routine
//! can return. There is no routine that erases a whole chip: on an RTL8195A it would take factory
//! data with it that nobody can make again.
//!
//! # The ELF file, for whoever makes a `RawFlashAlgorithm` of it
//!
//! * Section `PrgCode`, linked at 0, is all that is to be copied: code, constants, variables (as
//!   stored zeros). It runs at any address that is a multiple of 4. There is no `PrgData`, no
//!   dynamic relocation and no use of r9, so `data_section_offset` may be anything.
//! * Symbols `Init`, `UnInit`, `EraseSector` and `ProgramPage` are offsets into it with the Thumb
//!   bit set, as probe-rs wants them. `EraseChip`, `Verify` and `BlankCheck` do not exist.
//! * Section `DeviceData`, symbol `FlashDevice`: the device description of CMSIS-Pack, little-endian
//!   (offset: 0 version u16, 2 name 128 bytes, 130 type u16, 132 address u32, 136 size u32, 140 page
//!   size u32, 144 reserved, 148 erased byte u8, 152 page timeout u32 ms, 156 sector timeout u32 ms,
//!   160 pairs of sector size and offset u32 that end with a pair of 0xffffffff).
//! * It uses less than 256 bytes of stack and does not allocate.

#![no_std]
#![no_main]

mod chip;
mod failure;

/// Bytes that one erase sets to 0xff, and that one program can change.
const SECTOR: u32 = 4096;
const PAGE: u32 = 256;

/// The entry points and the device description.
mod entry {
    #![allow(missing_docs, reason = "the macro makes these items")]

    use crate::chip::{DEVICE_TYPE, FLASH, Here, NAME, PROGRAM_LIMIT_MS, SECTOR_LIMIT_MS};
    use crate::{PAGE, SECTOR};

    flash_algorithm::algorithm!(Here, {
        device_name: NAME,
        device_type: DEVICE_TYPE,
        flash_address: FLASH.start,
        flash_size: FLASH.end - FLASH.start,
        page_size: PAGE,
        empty_value: 0xff,
        program_time_out: PROGRAM_LIMIT_MS,
        erase_time_out: SECTOR_LIMIT_MS,
        sectors: [{
            size: SECTOR,
            address: 0,
        }]
    });
}
