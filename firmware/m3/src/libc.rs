//! What newlib asks of the system below it.
//!
//! mbedTLS takes memory through the hooks of the `mbedtls` crate and prints into buffers, so no
//! call below should ever happen; they are here because the linker wants their names. Each says
//! "no" in the way that newlib expects.

use crate::fault;
use core::ffi::{c_int, c_void};
use core::ptr;

/// newlib's own heap has no memory: there is one heap in this image, and its use is measured.
#[unsafe(no_mangle)]
extern "C" fn _sbrk(_increment: isize) -> *mut c_void {
    ptr::without_provenance_mut(usize::MAX)
}

/// `abort` and failed assertions of the C library end here.
#[unsafe(no_mangle)]
extern "C" fn _exit(status: c_int) -> ! {
    fault::end(format_args!("the C library gave up with status {status}"))
}

/// There are no files.
#[unsafe(no_mangle)]
extern "C" fn _write(_file: c_int, _bytes: *const c_void, _length: usize) -> c_int {
    -1
}

/// There are no files; `printf`, which newer versions name in code that this image never calls, wants
/// the whole of them.
#[unsafe(no_mangle)]
extern "C" fn _read(_file: c_int, _bytes: *mut c_void, _length: usize) -> c_int {
    -1
}

/// There are no files.
#[unsafe(no_mangle)]
extern "C" fn _lseek(_file: c_int, _offset: c_int, _whence: c_int) -> c_int {
    -1
}

/// There are no files.
#[unsafe(no_mangle)]
extern "C" fn _close(_file: c_int) -> c_int {
    -1
}

/// There are no files.
#[unsafe(no_mangle)]
extern "C" fn _fstat(_file: c_int, _status: *mut c_void) -> c_int {
    -1
}

/// There are no terminals.
#[unsafe(no_mangle)]
extern "C" fn _isatty(_file: c_int) -> c_int {
    0
}
