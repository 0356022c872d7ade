//! A first stage for an RTL8195A without the vendor's: starts the DUT's image from flash.
//!
//! ```text
//! reset --> ROM: copies this from flash 0x20 to 0x10000bc8, debug pins off, calls table[0]
//!             --> debug pins on, watchdog off
//!             --> flash 0xb000: header, body --copied--> 0x10006000 --> the body's first word
//! ```
//!
//! For a board whose own image1 is gone, or is one of mbed's, which starts other images. Where the
//! vendor's image1 is in place it does the same, and leaving it there is the smaller risk.
//!
//! The ROM has set the flash controller up to read this very code, and nothing here changes the
//! clock that those settings belong to, so flash can be read as memory. If no image of ours lies in
//! flash, the core waits for a debugger, to which the pins are open.
//!
//! It was never tried on silicon. Facts are from reading the ROM and the vendor's SDK.

#![no_std]
#![no_main]

use core::arch::global_asm;
use core::panic::PanicInfo;
use core::ptr;

global_asm!(include_str!("../board/ameba1_start.s"));

// The start table: slot 0 is called after a boot from flash, the others when certain bits are set
// that ask the ROM to start what is in SRAM. All five come to the same place. The mark is what the
// ROM compares before it calls slot 0.
global_asm!(
    "    .section .start_table, \"a\"
    .word start_from_flash, start_from_flash, start_from_flash, start_from_flash, start_from_flash
    .byte 0x23, 0x79, 0x16, 0x88, 0xff, 0xff, 0xff, 0xff

    .section .text.reset, \"ax\"
    .global Reset
    .type Reset, %function
    .thumb_func
Reset:
    bl __pre_init
    b start_dut"
);

/// Where flash is read as memory, plus the place of an image2.
const HEADER: *const u32 = ptr::without_provenance(0x9800_b000);
/// The header: length, load address, and eight bytes that say that it is valid.
const HEADER_WORDS: usize = 4;
/// "81958711" in two words.
const VALID: [u32; 2] = [0x3539_3138, 0x3131_3738];
/// Where the DUT's image is linked, and the end of SRAM.
const LOAD: u32 = 0x1000_6000;
const SRAM_END: u32 = 0x1007_0000;

#[unsafe(no_mangle)]
extern "C" fn start_dut() -> ! {
    // SAFETY: The ROM reads flash through these addresses before it comes here.
    let word = |index: usize| unsafe { HEADER.add(index).read_volatile() };
    let (length, load) = (word(0), word(1));
    let fits = length >= 4 && length <= SRAM_END - LOAD;
    if load == LOAD && fits && [word(2), word(3)] == VALID {
        let to = ptr::without_provenance_mut::<u32>(LOAD as usize);
        for index in 0..length.div_ceil(4) as usize {
            // SAFETY: SRAM that nobody uses: this program lies below it, its stack is in TCM.
            unsafe { to.add(index).write_volatile(word(HEADER_WORDS + index)) };
        }
        cortex_m::asm::dsb();
        cortex_m::asm::isb();
        // SAFETY: The first word of an image2 is its entry.
        let entry: extern "C" fn() -> ! = unsafe { core::mem::transmute(to.read_volatile()) };
        entry()
    }
    wait_for_debugger()
}

fn wait_for_debugger() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}

/// Nothing above can panic; the language wants this.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    wait_for_debugger()
}
