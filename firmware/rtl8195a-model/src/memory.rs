//! What is mapped where (SDK UM0034, `hal_platform.h`, linker scripts).

use armagnac::memory::{
    Env, MemoryAccessError, MemoryInterface, MemoryReadResult, MemoryWriteResult,
};
use std::ops::Range;

pub(crate) const SRAM: Range<u32> = 0x1000_0000..0x1007_0000;
pub(crate) const TCM: Range<u32> = 0x1fff_0000..0x2000_0000;
pub(crate) const PERIPHERALS: Range<u32> = 0x4000_0000..0x4010_0000;
/// Where the flash is read as memory; the chip's size decides how much of it exists.
pub(crate) const FLASH_WINDOW: Range<u32> = 0x9800_0000..0xa000_0000;

/// SRAM or TCM. Faster than the interpreter's own.
pub(crate) struct Ram(Vec<u8>);

impl Ram {
    /// Filled with a pattern: memory that nobody has written holds nothing to rely on.
    pub(crate) fn new(range: &Range<u32>) -> Self {
        Self(vec![0xa5; range.len()])
    }

    fn read<const N: usize>(&self, at: u32) -> MemoryReadResult<[u8; N]> {
        let bytes = self.0.get(at as usize..).and_then(|rest| rest.first_chunk());
        bytes.copied().ok_or(MemoryAccessError::InvalidAddress)
    }

    fn write<const N: usize>(&mut self, at: u32, bytes: [u8; N]) -> MemoryWriteResult {
        let place = self.0.get_mut(at as usize..).and_then(|rest| rest.first_chunk_mut());
        *place.ok_or(MemoryAccessError::InvalidAddress)? = bytes;
        Ok(())
    }
}

impl MemoryInterface for Ram {
    fn read_u8(&mut self, at: u32, _: &mut Env) -> MemoryReadResult<u8> {
        self.read(at).map(u8::from_le_bytes)
    }

    fn read_u16le(&mut self, at: u32, _: &mut Env) -> MemoryReadResult<u16> {
        self.read(at).map(u16::from_le_bytes)
    }

    fn read_u32le(&mut self, at: u32, _: &mut Env) -> MemoryReadResult<u32> {
        self.read(at).map(u32::from_le_bytes)
    }

    fn write_u8(&mut self, at: u32, value: u8, _: &mut Env) -> MemoryWriteResult {
        self.write(at, value.to_le_bytes())
    }

    fn write_u16le(&mut self, at: u32, value: u16, _: &mut Env) -> MemoryWriteResult {
        self.write(at, value.to_le_bytes())
    }

    fn write_u32le(&mut self, at: u32, value: u32, _: &mut Env) -> MemoryWriteResult {
        self.write(at, value.to_le_bytes())
    }

    fn size(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
}
