//! How deep the stack has been: unused stack is painted, and what lost its paint was used.

use core::ptr;

/// A word that no address and no small number looks like.
const PAINT: u32 = 0xc0de_57ac;

/// Words left alone below the caller's frame, for the frames of this module itself.
const MARGIN: usize = 32;

unsafe extern "C" {
    /// First word of the stack, above its highest address; from the board's memory map.
    static _stack_start: u32;
    /// Lowest word of the stack; from the board's memory map.
    static _stack_end: u32;
}

/// Paints all of the stack below this call.
#[inline(never)]
pub fn paint() {
    let lowest = (&raw const _stack_end).cast_mut();
    let here = cortex_m::register::msp::read() as usize;
    let words = here.saturating_sub(lowest.addr()) / size_of::<u32>();
    for index in 0..words.saturating_sub(MARGIN) {
        // SAFETY: The linker gave this memory to the stack alone, and the stack pointer is above
        // it. An interrupt that comes now puts its frame right below the stack pointer, which the
        // margin keeps clear.
        unsafe { ptr::write_volatile(lowest.add(index), PAINT) };
    }
}

/// Most bytes in use since [`paint`].
#[inline(never)]
pub fn peak() -> u32 {
    let lowest = &raw const _stack_end;
    let size = (&raw const _stack_start).addr() - lowest.addr();
    let words = size / size_of::<u32>();
    // SAFETY: All of these words are the stack's, and reading one that is in use does no harm.
    let painted = |index: &usize| unsafe { ptr::read_volatile(lowest.add(*index)) } == PAINT;
    let untouched = (0..words).take_while(painted).count() * size_of::<u32>();
    u32::try_from(size - untouched).unwrap_or(u32::MAX)
}
