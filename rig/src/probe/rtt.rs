//! The line to a DUT through its debug probe: SEGGER's RTT, two rings in the chip's memory.
//!
//! ```text
//! Link --bytes--> down ring --> DUT        the probe reads and writes the rings' memory
//! Link <--looks-- up ring   <-- DUT        while the core runs
//! ```
//!
//! probe-rs knows the rings; where their control block is, the image's ELF file says
//! ([`control_block`]). Nothing tells the host that bytes have come: it has to look, after an eighth
//! of the silence so far each time (`pause`). The DUT's end is `firmware/m3/src/board/rtt.rs`.
//!
//! No real probe was ever used this way; it is proven on the emulated board.

use super::{Debugger, ProbeError, Stage, What};
use crate::deadline::Deadline;
use crate::firmware::Image;
use probe_rs::rtt::{self, find_rtt_control_block_in_raw_file};
use probe_rs::{Core, MemoryInterface};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of a control block's name, without which it is none.
const NAME_BYTES: usize = 16;
/// The channel of the frames, in both directions.
const CHANNEL: usize = 0;

/// Shortest and longest time from one look to the next. A look through a CMSIS-DAP probe takes a
/// millisecond of USB anyway, so the first costs little more than none; the last is what an answer
/// after a long silence may be late at most, and leaves a core that computes for seconds with two
/// hundred looks a second at two words of its memory.
const PAUSES: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(5));
/// Part of the silence so far that the next pause lasts.
const PAUSE_PART: u32 = 8;

/// Where the image has its control block.
///
/// # Errors
/// A sentence if it has none, or its file cannot be read.
pub fn control_block(image: &Image) -> Result<u32, String> {
    let path = image.path.display();
    let file = std::fs::read(&image.path).map_err(|error| format!("{path}: {error}"))?;
    let found = find_rtt_control_block_in_raw_file(&file);
    let block = found.map_err(|error| format!("{path}: {error}"))?;
    block.and_then(|address| u32::try_from(address).ok()).ok_or_else(|| {
        format!("the image of {} has no RTT: set link = \"serial\" in bench.toml", image.build)
    })
}

/// A debugger whose core runs, as the line to the DUT. Dropping it lets the core run on.
pub struct Rtt {
    debugger: Debugger,
    block: u32,
    /// Missing until the DUT has filled in its control block.
    channels: Option<rtt::Rtt>,
    /// When bytes last went either way.
    last: Instant,
}

impl std::fmt::Debug for Rtt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rtt").field("debugger", &self.debugger).finish_non_exhaustive()
    }
}

impl Rtt {
    /// The line through the control block at this address. The core must run, or be about to.
    #[must_use]
    pub fn new(debugger: Debugger, block: u32) -> Self {
        debugger.release.want();
        Self { debugger, block, channels: None, last: Instant::now() }
    }

    /// Whether the DUT has filled in its control block.
    ///
    /// # Errors
    /// [`ProbeError`] at [`Stage::Carry`].
    pub fn is_open(&mut self) -> Result<bool, ProbeError> {
        if self.channels.is_none() {
            let block = self.block.into();
            let found = self.carry(|core, _| match rtt::Rtt::attach_at(core, block) {
                Ok(channels) => Ok(Some(channels)),
                Err(error @ rtt::Error::Probe(_)) => Err(error),
                // Not there yet, or in the middle of being filled in.
                Err(_) => Ok(None),
            })?;
            self.channels = found
                .filter(|rtt| rtt.up_channels.len() > CHANNEL && rtt.down_channels.len() > CHANNEL);
        }
        Ok(self.channels.is_some())
    }

    /// Takes what has come, and waits for it `patience` at most. 0 if nothing has.
    ///
    /// # Errors
    /// [`ProbeError`] at [`Stage::Carry`].
    pub fn read(&mut self, buffer: &mut [u8], patience: Duration) -> Result<usize, ProbeError> {
        self.wait(patience, |core, channels| match channels.up_channels.get_mut(CHANNEL) {
            Some(up) => up.read(core, buffer),
            None => Ok(0),
        })
    }

    /// Hands bytes over, as many as there is room for; waits for room `patience` at most. 0 if
    /// there was none.
    ///
    /// # Errors
    /// [`ProbeError`] at [`Stage::Carry`].
    pub fn write(&mut self, bytes: &[u8], patience: Duration) -> Result<usize, ProbeError> {
        self.wait(patience, |core, channels| match channels.down_channels.get_mut(CHANNEL) {
            Some(down) => {
                let count = down.write(core, bytes)?;
                // A probe may keep writes back until something is read.
                core.flush()?;
                Ok(count)
            }
            None => Ok(0),
        })
    }

    /// Looks until bytes went this way or patience is at its end.
    fn wait(
        &mut self,
        patience: Duration,
        mut look: impl FnMut(&mut Core<'_>, &mut rtt::Rtt) -> Result<usize, rtt::Error>,
    ) -> Result<usize, ProbeError> {
        let deadline = Deadline::after(patience);
        loop {
            let count = match self.is_open()? {
                true => self.carry(|core, channels| match channels {
                    Some(channels) => look(core, channels),
                    None => Ok(0),
                })?,
                false => 0,
            };
            let left = deadline.left();
            if count > 0 || left.is_zero() {
                if count > 0 {
                    self.last = Instant::now();
                }
                return Ok(count);
            }
            thread::sleep(pause(self.last.elapsed()).min(left));
        }
    }

    fn carry<T>(
        &mut self,
        work: impl FnOnce(&mut Core<'_>, Option<&mut rtt::Rtt>) -> Result<T, rtt::Error>,
    ) -> Result<T, ProbeError> {
        let channels = self.channels.as_mut();
        let done = self.debugger.with_core(Stage::Carry, |core| match work(core, channels) {
            Ok(done) => Ok(Ok(done)),
            Err(rtt::Error::Probe(error)) => Err(error),
            Err(error) => Ok(Err(error)),
        })?;
        done.map_err(|error| {
            let why = format!("its RTT control block has changed, as by a restart: {error}");
            self.debugger.failed(Stage::Carry, What::Failed(why))
        })
    }
}

impl Debugger {
    /// Forgets a control block that an earlier run has left: at the start of an image it would be
    /// taken for the new one until start-up has cleared it. The core must be halted.
    ///
    /// # Errors
    /// [`ProbeError`] names the step.
    pub fn forget_rtt(&mut self, block: u32) -> Result<(), ProbeError> {
        self.with_core(Stage::Load, |core| core.write(block.into(), &[0; NAME_BYTES]))
    }

    /// Lets the halted core go on, with the debugger attached.
    ///
    /// # Errors
    /// [`ProbeError`] names the step.
    pub fn resume(&mut self) -> Result<(), ProbeError> {
        self.with_core(Stage::Start, |core| core.run())
    }
}

/// From one look to the next: an eighth of the silence so far. Bytes are then noticed at most an
/// eighth later than they came, as long as that is below the longest pause, and a long wait takes
/// few looks: some 50 until the pauses are at their longest, after 40 ms, and 200 a second then.
fn pause(silence: Duration) -> Duration {
    let (shortest, longest) = PAUSES;
    (silence / PAUSE_PART).clamp(shortest, longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_the_silence_and_stay_within_their_limits() {
        let ms = Duration::from_millis;
        let pauses = [ms(0), ms(4), ms(20), ms(40), ms(10_000)].map(pause);
        assert_eq!(pauses, [PAUSES.0, ms(4) / 8, ms(20) / 8, ms(5), ms(5)]);
        let (mut silence, mut looks) = (Duration::ZERO, 0);
        while silence < ms(40) {
            silence += pause(silence);
            looks += 1;
        }
        assert!((30..60).contains(&looks), "{looks} looks in the first 40 ms");
    }
}
