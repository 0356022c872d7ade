//! What the rig costs: cells per second and wall time, each beside the same work without a rig.
//!
//! `cargo bench --bench cells [-- native|emulated]`. Two comparisons, each with one line that begins
//! with `ratio `:
//!
//! * **native**: cells per second through [`rig::run`] with two native boards, records written, debug
//!   output at the level of a normal suite. Beside it the bare rate: the same C library and the same
//!   broker in this process, a TCP connection on loopback between them, two threads, no debug output
//!   ([`bare`]). Ratio = rig / bare; 1 would be a rig that costs nothing.
//! * **emulated**: a cell's wall time through [`rig::run`] with one emulated board. Beside it the time
//!   the emulator needs for the same bytes when a loop writes them that does nothing else
//!   ([`replay`]). Ratio = rig / bare; 1 would be a rig that costs nothing.
//!
//! Both sides of a comparison take turns, so that a busy machine slows both, and the figures are
//! medians. Nothing is asserted about time; a cell that does not connect ends the benchmark.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

mod bare;
mod replay;
mod work;

use anyhow::Result;
use rig::board::Slot;
use std::num::NonZero;
use std::time::Duration;
use work::Work;

/// Cells of one turn of either side. A turn is long beside the start of its boards.
const NATIVE_CELLS: usize = 300;
const EMULATED_CELLS: usize = 12;
/// Turns of each side.
const TURNS: usize = 5;
/// Boards of the native side, and threads of its bare counterpart.
const WORKERS: usize = 2;

fn main() -> Result<()> {
    // `cargo test --benches` runs this file too, unoptimised, where its figures mean nothing.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("figures come from `cargo bench --bench cells`");
        return Ok(());
    }
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    println!("{} against {} on {cores} cores", work::CLIENT, work::BROKER);
    let work = Work::prepare()?;
    if wanted("native") {
        native(&work)?;
    }
    if wanted("emulated") {
        match work.emulated() {
            Ok(image) => emulated(&work, &image)?,
            Err(why) => println!("emulated: left out: {why}"),
        }
    }
    Ok(())
}

/// Whether this comparison was asked for, or none in particular.
fn wanted(comparison: &str) -> bool {
    let mut names =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    names.peek().is_none() || names.any(|name| name == comparison)
}

fn native(work: &Work) -> Result<()> {
    let image = work.native()?;
    let (mut rig, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let took = work.cells(&Slot::Native, &image, NATIVE_CELLS, WORKERS)?;
        rig.push(rate(took.total));
        bare.push(rate(bare::connections(work, NATIVE_CELLS, WORKERS)?));
    }
    let (rig, bare) = (median(rig), median(bare));
    println!("native, {WORKERS} boards: {rig:.0} cells/s; bare client and broker: {bare:.0} /s");
    println!("ratio {:.2}", rig / bare);
    Ok(())
}

fn emulated(work: &Work, image: &rig::firmware::Image) -> Result<()> {
    let tape = replay::record(work, image)?;
    let (mut rig, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let took = work.cells(&Slot::Qemu, image, EMULATED_CELLS, 1)?;
        rig.extend(took.later.iter().map(milliseconds));
        bare.extend(replay::play(&tape, image, EMULATED_CELLS)?.iter().map(milliseconds));
    }
    let (rig, bare) = (median(rig), median(bare));
    println!("emulated, 1 board: {rig:.0} ms per cell; same bytes without a rig: {bare:.0} ms");
    println!("ratio {:.2}", rig / bare);
    Ok(())
}

fn rate(took: Duration) -> f64 {
    NATIVE_CELLS as f64 / took.as_secs_f64()
}

fn milliseconds(took: &Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
