//! The library's memory: Rust's global allocator, with a count of what is in use.
//!
//! C frees without telling a size, so each block begins with one.

use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Enough for any C type that the library stores, and room for the size in front.
const HEADER: usize = 2 * size_of::<usize>();

/// Bytes that the library holds now, without the sizes in front of the blocks.
#[must_use]
pub fn in_use() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

/// Most bytes held at one time since [`reset_peak`].
#[must_use]
pub fn peak() -> usize {
    PEAK.load(Ordering::Relaxed)
}

/// Begins a new measurement of [`peak`].
pub fn reset_peak() {
    PEAK.store(in_use(), Ordering::Relaxed);
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEADER)?, HEADER).ok()
}

/// `calloc` for the library; like the SDK's, it hands out zeroed memory.
///
/// A DUT has one thread, so load and store need not be one step; the native board runs one session
/// at a time as well.
pub(crate) unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    let Some((size, layout)) = count.checked_mul(size).and_then(|size| Some((size, layout(size)?)))
    else {
        return ptr::null_mut();
    };
    // SAFETY: the layout is never of size 0, because it includes the header.
    let block = unsafe { alloc_zeroed(layout) };
    if block.is_null() {
        return ptr::null_mut();
    }
    let now = in_use().saturating_add(size);
    IN_USE.store(now, Ordering::Relaxed);
    PEAK.fetch_max(now, Ordering::Relaxed);
    // SAFETY: the block holds HEADER bytes and more, and is aligned to HEADER, so a usize fits at
    // its start and what follows the header lies within it.
    unsafe {
        block.cast::<usize>().write(size);
        block.add(HEADER).cast()
    }
}

/// `free` for the library.
pub(crate) unsafe extern "C" fn free(memory: *mut c_void) {
    if memory.is_null() {
        return;
    }
    // SAFETY: the library frees only what `calloc` handed out, which lies behind a header that
    // holds the size the block was allocated with.
    unsafe {
        let block = memory.cast::<u8>().sub(HEADER);
        let size = block.cast::<usize>().read();
        if let Some(layout) = layout(size) {
            IN_USE.store(in_use().saturating_sub(size), Ordering::Relaxed);
            dealloc(block, layout);
        }
    }
}
