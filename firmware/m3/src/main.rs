//! The DUT on a Cortex-M3.
//!
//! ```text
//! reset --> cortex-m-rt --> main: board, heap --> dut::serve --serial port--> rig
//!                            |
//!                  board/<name>.rs: UART, clock, interrupts
//! ```
//!
//! [`board`] has one file for each board and [`stack`] measures the stack; [`fault`] is where a
//! program that went wrong ends, [`libc`] what the C library under mbedTLS wants. The image has no
//! end of its own: when the rig goes away it waits for the next one.

#![no_std]
#![no_main]

mod board;
mod fault;
mod libc;
mod stack;

use board::{Here, Machine};
use core::mem::MaybeUninit;
use cortex_m_rt::entry;
use dut::LineClosed;
use embedded_alloc::TlsfHeap;

#[global_allocator]
static HEAP: TlsfHeap = TlsfHeap::empty();

#[entry]
fn main() -> ! {
    let mut board = Here::start();
    start_heap();
    match dut::serve(&mut board) {
        LineClosed => fault::end(format_args!("the serial port says that it is closed")),
    }
}

fn start_heap() {
    /// Left as it is at boot: zeroing it would take longer than all the rest of start-up.
    #[unsafe(link_section = ".uninit.heap")]
    static mut MEMORY: MaybeUninit<[u8; Here::HEAP_BYTES]> = MaybeUninit::uninit();

    // SAFETY: Called once, by `main`; nobody else can name the memory.
    unsafe { HEAP.init((&raw mut MEMORY).addr(), Here::HEAP_BYTES) }
}
