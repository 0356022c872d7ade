//! A line to the rig through the debugger: SEGGER's RTT, two rings in SRAM with a control block.
//!
//! ```text
//! rig --probe writes--> down ring --> Board::read
//! rig <--probe reads--- up ring  <--- Board::write_all
//! ```
//!
//! The control block is the symbol `_SEGGER_RTT` of the ELF file. It lies in `.bss`: after a reset
//! it is zero until [`Rtt::start`] has filled it in, its name last, so that a debugger cannot take
//! one that is left over from an earlier run for the new one; the time before start-up has cleared it
//! is the rig's matter, which clears the name before it starts an image. Channel 0 in both directions carries
//! the same frames as the serial port.
//!
//! Through the debugger a byte costs no baud rate, but a probe that reads memory takes the bus for
//! a moment: cycles may come out higher than over the serial port. That was not measured.

use core::sync::atomic::{AtomicBool, Ordering};
use rtt_target::{ChannelMode, DownChannel, UpChannel, rtt_init};

/// Whether anything has come this way since the reset.
static IN_USE: AtomicBool = AtomicBool::new(false);

/// Both rings.
pub struct Rtt {
    up: UpChannel,
    down: DownChannel,
}

impl Rtt {
    /// Fills in the control block. Called once.
    pub fn start() -> Self {
        // The larger of the two takes a whole frame, so that one look of the probe can fetch it.
        let channels = rtt_init! {
            up: { 0: { size: 8192, mode: ChannelMode::BlockIfFull, name: "rig" } }
            down: { 0: { size: 4096, name: "rig" } }
        };
        Self { up: channels.up.0, down: channels.down.0 }
    }

    /// Whether the rig has spoken this way since the reset.
    pub fn is_in_use() -> bool {
        IN_USE.load(Ordering::Relaxed)
    }

    /// Takes what has come, nothing as a rule; does not wait.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let count = self.down.read(buffer);
        if count > 0 {
            IN_USE.store(true, Ordering::Relaxed);
        }
        count
    }

    /// Sends all bytes; waits while the ring is full and the debugger takes nothing out.
    pub fn write(&mut self, bytes: &[u8]) {
        self.up.write(bytes);
    }

    /// For a program that has failed: sends what fits into the ring.
    pub fn last_words(text: &[u8]) {
        // SAFETY: The program is over; whoever else holds the channel never runs again. If the
        // block has not been filled in, there is no channel.
        if let Some(mut up) = unsafe { UpChannel::conjure(0) } {
            up.set_mode(ChannelMode::NoBlockTrim);
            up.write(text);
        }
    }
}
