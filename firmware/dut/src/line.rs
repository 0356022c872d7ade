//! Frames over a board's serial line, in both directions, without a system call for each.
//!
//! What is sent is collected and goes out when the buffer is full or when the DUT has to wait for
//! the rig. The rig learns nothing later by that: it acts on `Connect`, `Read` and `Done`, and
//! after each of them the DUT waits.

use crate::board::{Board, LineClosed};
use alloc::{boxed::Box, vec};
use wire::frame::{MAX_FRAME, Scratch, encode};
use wire::{Decoder, Event, Found, Frame, Token};

/// Bytes taken from the board at once.
const INPUT: usize = 1024;

/// The line to the rig.
pub struct Line<'b, B> {
    board: &'b mut B,
    /// Received, and taken up to `start`.
    input: Box<[u8]>,
    start: usize,
    end: usize,
    /// Encoded frames that have not been sent.
    output: Box<[u8]>,
    used: usize,
    scratch: Box<Scratch>,
    dropped: u32,
}

impl<'b, B: Board> Line<'b, B> {
    /// The line of this board, empty.
    pub fn new(board: &'b mut B) -> Self {
        Self {
            board,
            input: vec![0; INPUT].into_boxed_slice(),
            start: 0,
            end: 0,
            output: vec![0; MAX_FRAME].into_boxed_slice(),
            used: 0,
            scratch: scratch(),
            dropped: 0,
        }
    }

    /// The board below.
    pub fn board(&mut self) -> &mut B {
        self.board
    }

    /// Queues one event.
    pub fn send(&mut self, token: Token, event: &Event<'_>) -> Result<(), LineClosed> {
        if self.queue(token, event) {
            return Ok(());
        }
        self.flush()?;
        // An empty buffer holds any message there is, because every part of an event that could be
        // long is cut to size where the event is made.
        self.queue(token, event);
        Ok(())
    }

    fn queue(&mut self, token: Token, event: &Event<'_>) -> bool {
        let room = self.output.get_mut(self.used..).unwrap_or_default();
        match encode(token, event, &mut self.scratch, room) {
            Ok(length) => {
                self.used += length;
                true
            }
            Err(_) => false,
        }
    }

    /// Sends what is queued.
    pub fn flush(&mut self) -> Result<(), LineClosed> {
        let used = core::mem::take(&mut self.used);
        match self.output.get(..used) {
            Some(bytes) if !bytes.is_empty() => self.board.write_all(bytes),
            _ => Ok(()),
        }
    }

    /// Takes the next frame, or `None` if what came was not yet one; call it again then.
    ///
    /// It does not loop by itself, so that a frame may be kept while the line goes on.
    pub fn next<'d>(&mut self, decoder: &'d mut Decoder) -> Result<Option<Frame<'d>>, LineClosed> {
        if self.start == self.end {
            self.flush()?;
            self.start = 0;
            self.end = self.board.read(&mut self.input)?.min(self.input.len());
        }
        let mut rest = self.input.get(self.start..self.end).unwrap_or_default();
        let found = decoder.next(&mut rest);
        self.start = self.end - rest.len();
        match found {
            Some(Found::Frame(frame)) => Ok(Some(frame)),
            Some(Found::Noise(..)) => {
                self.drop_frame();
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Counts a frame that is of no use.
    pub fn drop_frame(&mut self) {
        self.dropped = self.dropped.saturating_add(1);
    }

    /// Frames dropped since this was last asked.
    pub fn take_dropped(&mut self) -> u32 {
        core::mem::take(&mut self.dropped)
    }
}

/// A decoder on the heap: kilobytes that a small stack must not carry.
///
/// Not inlined, so that what the compiler may put on the stack to fill the box is gone again
/// before a cell runs.
#[inline(never)]
pub fn decoder() -> Box<Decoder> {
    Box::new(Decoder::new())
}

#[inline(never)]
fn scratch() -> Box<Scratch> {
    Box::new(Scratch::new())
}
