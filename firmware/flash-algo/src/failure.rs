//! Why a routine gives up: the number that it returns, which probe-rs reports as it is.

use flash_algorithm::ErrorCode;

/// The reasons. Zero means done; one is the `flash-algorithm` crate's own, "Init was not called".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[cfg_attr(feature = "mps2-an385", allow(dead_code, reason = "an emulator's memory never fails"))]
pub enum Failure {
    /// Not within this chip's flash. A chip may be smaller than the region that was asked for.
    Outside = 2,
    /// Not a sector's start; or a page that is not made of whole words or crosses a boundary.
    Unaligned = 3,
    /// Factory data: calibration and addresses of this one unit. Nothing was sent to the chip.
    FactoryData = 4,
    /// The clock register does not keep what was written.
    Clock = 5,
    /// The flash controller stays busy.
    ControllerBusy = 6,
    /// No flash chip answers: its identification is all zeros or all ones.
    NoChip = 7,
    /// The flash chip stays busy.
    ChipBusy = 8,
    /// The flash chip's block-protection bits are set.
    WriteProtected = 9,
    /// The flash chip does not accept that it may be written.
    NotEnabled = 10,
    /// The flash chip did not act on the erase or program command.
    NotDone = 11,
}

impl From<Failure> for ErrorCode {
    fn from(failure: Failure) -> Self {
        ErrorCode::MIN.saturating_add(failure as u32 - 1)
    }
}
