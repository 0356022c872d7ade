//! The end of a program that went wrong: one line of plain text to the rig, then nothing more.
//!
//! Plain text is no frame, so the rig reports it as what it is. It is short on purpose: the line
//! may be slow, and whoever reads it needs the place, not a novel.

use crate::board::{Here, Machine};
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, exception};

/// Text straight to the serial port.
struct LastWords;

impl Write for LastWords {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        Here::last_words(text.as_bytes());
        Ok(())
    }
}

/// Says why and halts. The 0x00 ends a frame that was under way, and the line ends with another,
/// so that the rig has the text at once.
pub fn end(why: fmt::Arguments<'_>) -> ! {
    cortex_m::interrupt::disable();
    // Nobody is left to tell if this fails.
    let _ = LastWords.write_fmt(format_args!("\0dut: {why}\n\0"));
    Here::stop();
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(place) => {
            end(format_args!("panic in {} line {}: {}", place.file(), place.line(), info.message()))
        }
        None => end(format_args!("panic: {}", info.message())),
    }
}

// SAFETY: The attribute asks for `unsafe` because memory may be in any state by now; `end` relies
// on nothing but the serial port.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    end(format_args!("hard fault at {:#010x}, called from {:#010x}", frame.pc(), frame.lr()))
}

// SAFETY: The attribute asks for `unsafe` because the handler may break into a critical section of
// a masked level; interrupts are served by the board's own code, which shares atomics only.
#[exception]
unsafe fn DefaultHandler(number: i16) {
    if !Here::interrupt(number) {
        end(format_args!("interrupt {number} has no handler"));
    }
}
