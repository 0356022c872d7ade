//! A model of what an image on an RTL8195A touches, around an interpreted Cortex-M3.
//!
//! ```text
//! armagnac: core, SysTick --+--> SRAM, TCM                                 memory
//!   executes the image's    +--> clock, gates, pins, watchdog              system
//!   own machine code        +--> LOG UART <--bytes, paced--> the test      uart
//!                           +--> SPIC --commands--> NOR chip --> log       spic, nor
//!                           +--> DWT cycle counter                         debug
//!                           +--> anything else: a fault, with its address
//! ```
//!
//! **What it is good for.** The model is written from public facts, not from a chip. It shows that
//! an image does what our reading of those facts asks for, not that silicon does what we read. Each
//! fact is named by its source: SDK (`ambiot/amb1_sdk`, register headers), ROM (machine code of its
//! `rom.a`), PLAT (machine code of its `lib_platform.a`), DL (`ARMmbed/DAPLink`), RB
//! (`sandeepmistry/rtl8710-openocd`), DS (what data sheets of serial NOR chips have in common).
//!
//! **It is stricter than hardware.** What a chip would leave to luck ends the run with a [`Fault`]:
//! an access where nothing is, a peripheral used before its function, clock and pins are on, a
//! baud rate that the host cannot read, a byte written to a full FIFO, a flash command that the
//! chip is not ready for. What no image of ours uses does not exist here: interrupts, DMA, SDRAM,
//! the ROM's code, writing through the flash's memory window.
//!
//! **Time** is the number of executed instructions, one cycle each. While the core does nothing but
//! look at the UART's status again and again, time jumps to the next byte on the line: the image
//! cannot tell, and a test does not wait for 260 µs of looking.
//!
//! [`Board`] is the whole; [`rom`] is the way from flash to an image's first instruction, as pure
//! functions.

mod board;
mod core;
mod debug;
mod machine;
mod memory;
pub mod nor;
pub mod rom;
mod spic;
mod system;
mod uart;

pub use board::{Board, Fault, Stop};
pub use nor::Nor;
pub use uart::HOST_BAUD;

/// Why a chip would not do what was asked of it, as a sentence about the image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

impl Violation {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Cycles of the core, from the start of the run.
type Cycle = u64;
