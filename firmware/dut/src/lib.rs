//! The device program: take one cell from the rig, run it against the broker, tell all.
//!
//! ```text
//! rig <--bytes--> Board <--frames--> line <--events, answers--> link <--send, recv--> mbedtls
//!                                     ^                          ^                       ^
//!                                   serve: one command         phases, time            cell, mqtt
//! ```
//!
//! [`serve`] waits for a command. `Run` hands a `link` (the cell's socket, log and stopwatch, all
//! through frames) to `cell`, which drives the TLS library step by step and then MQTT over it.
//! [`Board`] is the only thing that differs between a microcontroller and a host process.
//!
//! Between two cells nothing stays: the buffers are emptied, the TLS library's heap is as it was.

#![no_std]

extern crate alloc;

mod board;
mod cell;
mod line;
mod link;
mod mqtt;
mod serve;

pub use board::{Board, ClockUnit, LineClosed};
pub use serve::serve;
