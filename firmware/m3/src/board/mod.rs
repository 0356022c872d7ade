//! The board that this image is for, chosen by a cargo feature. One file for each board.
//!
//! A board's file gives `Here`, which is what the firmware needs ([`dut::Board`] on top of
//! [`Machine`]), and holds every register access of the image.

#[cfg(feature = "ameba1")]
mod ameba1;
#[cfg(feature = "mps2-an385")]
mod mps2_an385;
#[cfg(feature = "rtt")]
mod rtt;

#[cfg(feature = "ameba1")]
pub use ameba1::Ameba1 as Here;
#[cfg(feature = "mps2-an385")]
pub use mps2_an385::Mps2An385 as Here;

/// What start-up and fault handlers need of a board beside [`dut::Board`].
pub trait Machine {
    /// Bytes of memory for the heap. Enough for what any build takes, and a limit that a leak
    /// reaches soon.
    const HEAP_BYTES: usize;

    /// Starts serial port and clock, and gives the board. Called once, first thing.
    fn start() -> Self;

    /// Serves interrupt `number`; `false` if the board has no use for it.
    fn interrupt(number: i16) -> bool;

    /// Sends text from wherever the program has failed: needs nothing but [`Machine::start`].
    fn last_words(text: &[u8]);

    /// Stops whatever would keep an idle core busy. The end.
    fn stop();
}
