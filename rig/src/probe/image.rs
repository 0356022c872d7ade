//! What is loaded or flashed: segments of an ELF file, or bytes for given addresses.

use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection, elf};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes for addresses in the flash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlashImage {
    /// Where, and what; no two overlap.
    pub segments: Vec<(u32, Vec<u8>)>,
}

/// Why a file cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be loaded: {why}", path = path.display())]
pub struct ImageError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl FlashImage {
    /// The segments of an ELF file, at the addresses where they are stored.
    ///
    /// # Errors
    /// [`ImageError`] if the file cannot be read or is not one for a 32-bit Arm.
    pub fn from_elf(path: &Path) -> Result<Self, ImageError> {
        let image = RamImage::from_elf(path)?;
        Ok(Self { segments: image.segments })
    }

    /// Bytes in all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// The first byte that is to go where `range` is.
    pub(super) fn touches(&self, range: &Range<u32>) -> Option<u32> {
        self.ranges().find_map(|segment| {
            let first = segment.start.max(range.start.into());
            (first < segment.end.min(range.end.into())).then_some(first as u32)
        })
    }

    /// The first byte that is not to go where `range` is.
    pub(super) fn leaves(&self, range: &Range<u32>) -> Option<u32> {
        outside(self.ranges(), std::slice::from_ref(range))
    }

    fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        ranges(&self.segments)
    }
}

/// An image that a debugger loads and starts.
#[derive(Debug)]
pub(super) struct RamImage {
    pub segments: Vec<(u32, Vec<u8>)>,
    /// Address of the table of vectors.
    pub vectors: u32,
    /// Its first two words: stack pointer and reset handler.
    pub stack: u32,
    pub entry: u32,
}

impl RamImage {
    pub fn from_elf(path: &Path) -> Result<Self, ImageError> {
        let failed = |why: String| ImageError { path: path.to_owned(), why };
        let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        Self::parse(&bytes).map_err(failed)
    }

    /// The first address that is in none of the ranges.
    pub fn outside(&self, allowed: &[Range<u32>]) -> Option<u32> {
        outside(ranges(&self.segments), allowed)
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let word = |error: object::Error| error.to_string();
        let header = elf::FileHeader32::<Endianness>::parse(bytes).map_err(word)?;
        let endian = header.endian().map_err(word)?;
        if header.e_machine(endian) != elf::EM_ARM {
            return Err("it is not for an Arm core".to_owned());
        }
        let mut segments = Vec::new();
        for segment in header.program_headers(endian, bytes).map_err(word)? {
            let content = segment.data(endian, bytes).map_err(|()| "a segment is cut short")?;
            if segment.p_type(endian) == elf::PT_LOAD && !content.is_empty() {
                segments.push((segment.p_paddr(endian), content.to_vec()));
            }
        }
        let file = object::File::parse(bytes).map_err(word)?;
        let vectors = file.section_by_name(".vector_table").ok_or("it has no table of vectors")?;
        let table = vectors.data().map_err(word)?;
        let entry = |at: usize| {
            let bytes = table.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u32::from_le_bytes).ok_or("its table of vectors is cut short")
        };
        let address = u32::try_from(vectors.address()).map_err(|error| error.to_string())?;
        Ok(Self { segments, vectors: address, stack: entry(0)?, entry: entry(4)? })
    }
}

fn ranges(segments: &[(u32, Vec<u8>)]) -> impl Iterator<Item = Range<u64>> {
    segments.iter().map(|(address, bytes)| {
        let start = u64::from(*address);
        start..start + bytes.len() as u64
    })
}

fn outside(mut segments: impl Iterator<Item = Range<u64>>, allowed: &[Range<u32>]) -> Option<u32> {
    segments.find_map(|segment| {
        let home = allowed.iter().find(|range| range.contains(&(segment.start as u32)));
        match home {
            None => Some(segment.start as u32),
            Some(range) if segment.end > range.end.into() => Some(range.end),
            Some(_) => None,
        }
    })
}
