//! What the firmware needs from the machine it runs on, and nothing more.

pub use wire::message::ClockUnit;

/// The line to the rig is gone: hung up, or broken beyond use. Only a host can notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineClosed;

/// One board: a serial line to the rig, a clock, and its stack.
pub trait Board {
    /// What [`Board::clock`] counts.
    const CLOCK: ClockUnit;
    /// The board's name for the identity, for example `native` or `mps2-an385`.
    const NAME: &'static str;

    /// Takes what has arrived from the rig and returns how much, at least one byte of a buffer
    /// that is not empty. Waits while there is nothing.
    ///
    /// # Errors
    /// [`LineClosed`] if nothing will ever come again.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, LineClosed>;

    /// Sends all bytes to the rig.
    ///
    /// # Errors
    /// [`LineClosed`] if nobody listens any more.
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), LineClosed>;

    /// The clock, which never runs backwards. Where it starts means nothing.
    fn clock(&mut self) -> u64;

    /// Marks the unused stack, so that [`Board::stack_peak`] can tell how deep a cell went.
    fn paint_stack(&mut self);

    /// Most stack bytes in use since [`Board::paint_stack`]; `None` if the board cannot tell.
    fn stack_peak(&mut self) -> Option<u32>;
}
