//! What passes between the rig and the device under test (DUT) over a serial line.
//!
//! ```text
//! Command / Event --postcard--> payload --header, CRC--> frame --COBS--> bytes, 0x00
//! ```
//!
//! [`message`] holds the two message enums, one for each direction. [`frame`] packs one message
//! into one frame and finds frames again in a noisy byte stream. [`tls`] holds the TLS code points
//! that both sides speak of.
//!
//! The DUT *pulls*: it asks for network bytes with [`Event::Read`] and gets one [`Command::Data`]
//! in reply, so a slow core with a 16-byte receive FIFO is never sent bytes it is not waiting for.
//!
//! Nothing here allocates, opens anything or depends on an operating system. Bytes from the other
//! side are never trusted: every decoding step answers with an error, not with a panic.

#![no_std]

pub mod frame;
pub mod message;
pub mod tls;

pub use frame::{Decoder, Found, Frame, FrameError, MAX_MESSAGE, PROTOCOL_VERSION, Token, encode};
pub use message::{Command, Event};
