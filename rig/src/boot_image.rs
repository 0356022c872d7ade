//! What lies in the flash of an RTL8195A, made from the ELF files that the linker wrote.
//!
//! ```text
//! 0x0000  image1: header | start table, mark, code          ROM copies it to 0x10000bc8, calls it
//! 0x8000  the chip's own calibration and addresses          never written, never erased
//! 0xb000  image2: header | entry, "RTKWin", code ...        image1 copies it to 0x10006000, calls it
//! ```
//!
//! An image2 alone, started by the image1 that the board came with, is the default: a mistake there
//! leaves a board that still boots its first stage. Writing image1 as well is for a board that has
//! none, or mbed's, which starts other images (its image2 has another header).
//!
//! Everything here is a pure function from bytes to bytes. Formats are as the ROM and the vendor's
//! image1 read them and as the vendor's tools write them (SDK UM0034 section 5, `application.mk`,
//! `pick`); neither checks a sum, so [`BootImage::id`] is ours. No board has ever booted one.

use object::elf::{FileHeader32, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, elf};
use sha2::{Digest, Sha256};
use std::fmt;
use std::ops::Range;

/// What must never be written or erased: reserve, system data, calibration of this very chip, MAC
/// address. Nobody can make them again [SDK UM0034 section 5, AN0033].
pub const PROTECTED: Range<u32> = 0x8000..0xb000;
/// Where an image2 lies, as image1's header and the vendor's tools have it.
pub const IMAGE2_OFFSET: u32 = PROTECTED.end;

/// Where the ROM copies image1's body to, and where its mark is looked for in the body.
const IMAGE1_LOAD: u32 = 0x1000_0bc8;
const IMAGE1_MARK: [u8; 8] = [0x23, 0x79, 0x16, 0x88, 0xff, 0xff, 0xff, 0xff];
const START_TABLE_BYTES: usize = 5 * 4;
const IMAGE1_HEADER_BYTES: usize = 0x20;
/// First in flash: the flash controller's calibration compares what it reads with this.
pub(crate) const PATTERN: [u8; 16] = [
    0x99, 0x99, 0x96, 0x96, 0x3f, 0xcc, 0x66, 0xfc, 0xc0, 0x33, 0xcc, 0x03, 0xe5, 0xdc, 0x31, 0x62,
];

/// Load addresses that the vendor's image1 accepts for an image2, both included.
const IMAGE2_LOAD: Range<u32> = 0x1000_6000..0x1000_a001;
/// Says that an image2 is valid; of two, the one that is marked so is started.
pub(crate) const IMAGE2_VALID: [u8; 8] = *b"81958711";
/// Where it lies: behind the header's length and load address.
pub(crate) const IMAGE2_VALID_OFFSET: u32 = IMAGE2_OFFSET + 8;
/// Behind the entry at the start of an image2's body.
const IMAGE2_MARK: [u8; 7] = *b"RTKWin\0";
/// Where image1 looks for a further part, for SDRAM: as if the flash were empty there.
const NO_FURTHER_PART: [u8; 16] = [0xff; 16];

/// End of the SRAM that images are loaded into. An image2 that fits there ends before 0x7f000 in
/// flash, where the products of the vendor's SDK begin to keep things of theirs.
const SRAM_END: u32 = 0x1007_0000;

/// Bytes of one image and where in flash they belong.
#[derive(Clone, PartialEq, Eq)]
pub struct BootImage {
    kind: Kind,
    bytes: Vec<u8>,
}

/// Which of the two images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first stage, at the start of flash.
    Image1,
    /// What the first stage starts.
    Image2,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image1 => "image1",
            Self::Image2 => "image2",
        })
    }
}

/// Why no image can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootImageError {
    /// The file is no ELF file for a 32-bit core.
    #[error(
        "no {kind} can be made from this file: it is not a 32-bit ELF file ({why}); build the firmware for `ameba1`"
    )]
    NotElf {
        /// What was to be made.
        kind: Kind,
        /// The parser's word.
        why: String,
    },
    /// It is linked for another place.
    #[error(
        "no {kind} can be made: the file is linked for {found:#010x}, and {kind} is loaded at {expected:#010x}; build the firmware for `ameba1`"
    )]
    Address {
        /// What was to be made.
        kind: Kind,
        /// Its lowest address.
        found: u32,
        /// Where it is loaded (the lowest of the addresses that are allowed).
        expected: u32,
    },
    /// It is longer than its place.
    #[error(
        "this {kind} is too long: {bytes} bytes, where {limit} fit {place}; use a smaller build"
    )]
    TooLong {
        /// What was to be made.
        kind: Kind,
        /// Its length.
        bytes: usize,
        /// The longest that fits.
        limit: usize,
        /// Into what.
        place: &'static str,
    },
    /// Its first bytes are not what starts it.
    #[error("this {kind} would not start: {what}; was it linked with the board's memory map?")]
    Head {
        /// What was to be made.
        kind: Kind,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl BootImage {
    /// Where its first byte lies, from the start of flash.
    #[must_use]
    pub fn offset(&self) -> u32 {
        match self.kind {
            Kind::Image1 => 0,
            Kind::Image2 => IMAGE2_OFFSET,
        }
    }

    /// Its bytes, header first; a whole number of words.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Names the content: 16 hexadecimal digits of its SHA-256.
    #[must_use]
    pub fn id(&self) -> String {
        let hex = data_encoding::HEXLOWER.encode(&Sha256::digest(&self.bytes));
        hex.chars().take(16).collect()
    }

    /// Whether a flash with this content, read from its start, holds the image already.
    #[must_use]
    pub fn is_in(&self, flash: &[u8]) -> bool {
        let held =
            flash.get(self.offset() as usize..).and_then(|rest| rest.get(..self.bytes.len()));
        held == Some(self.bytes.as_slice())
    }
}

impl fmt::Debug for BootImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, bytes } = self;
        write!(f, "{kind} at {:#x}, {} bytes, id {}", self.offset(), bytes.len(), self.id())
    }
}

/// Makes the image2 of a DUT's `image.elf`.
///
/// # Errors
/// [`BootImageError`] if it is not linked for SRAM, does not fit there, or would not start.
pub fn image2(elf: &[u8]) -> Result<BootImage, BootImageError> {
    const KIND: Kind = Kind::Image2;
    let (load, body) = body(KIND, elf)?;
    if !IMAGE2_LOAD.contains(&load) {
        return Err(BootImageError::Address {
            kind: KIND,
            found: load,
            expected: IMAGE2_LOAD.start,
        });
    }
    fits(KIND, &body, (SRAM_END - load) as usize, "into SRAM")?;
    let wrong = |what| BootImageError::Head { kind: KIND, what };
    let (entry, rest) = body.split_first_chunk().ok_or(wrong("it is empty"))?;
    if !is_code(u32::from_le_bytes(*entry), load, &body) {
        return Err(wrong("its first word is not the address of its code"));
    }
    if !rest.starts_with(&IMAGE2_MARK) {
        return Err(wrong("the mark behind its first word is missing"));
    }
    let mut bytes = Vec::with_capacity(body.len() + 32);
    bytes.extend(words([length(&body), load]));
    bytes.extend(IMAGE2_VALID);
    bytes.extend(body);
    bytes.extend(NO_FURTHER_PART);
    Ok(BootImage { kind: KIND, bytes })
}

/// Makes the image1 of a first stage's `image1.elf`. Its header says that an image2 follows at
/// [`IMAGE2_OFFSET`].
///
/// # Errors
/// [`BootImageError`] if it is not linked for the ROM's place, does not end before [`PROTECTED`] in
/// flash, or would not be taken by the ROM.
pub fn image1(elf: &[u8]) -> Result<BootImage, BootImageError> {
    const KIND: Kind = Kind::Image1;
    let (load, body) = body(KIND, elf)?;
    if load != IMAGE1_LOAD {
        return Err(BootImageError::Address { kind: KIND, found: load, expected: IMAGE1_LOAD });
    }
    let room = PROTECTED.start as usize - IMAGE1_HEADER_BYTES;
    fits(KIND, &body, room, "before the chip's own data in flash")?;
    let wrong = |what| BootImageError::Head { kind: KIND, what };
    let (table, rest) =
        body.split_first_chunk::<START_TABLE_BYTES>().ok_or(wrong("it has no start table"))?;
    let (slots, _) = table.as_chunks::<4>();
    if !slots.iter().all(|slot| is_code(u32::from_le_bytes(*slot), load, &body)) {
        return Err(wrong("its start table holds something else than addresses of its code"));
    }
    if !rest.starts_with(&IMAGE1_MARK) {
        return Err(wrong("the mark behind its start table is missing"));
    }
    let mut bytes = Vec::with_capacity(IMAGE1_HEADER_BYTES + body.len());
    bytes.extend(PATTERN);
    let image2 = 0xffff_0000 | (IMAGE2_OFFSET / 1024);
    bytes.extend(words([length(&body), load, image2, u32::MAX]));
    bytes.extend(body);
    Ok(BootImage { kind: KIND, bytes })
}

fn words<const N: usize>(words: [u32; N]) -> impl Iterator<Item = u8> {
    words.into_iter().flat_map(u32::to_le_bytes)
}

/// Callers have checked that the body is shorter than SRAM.
fn length(body: &[u8]) -> u32 {
    u32::try_from(body.len()).unwrap_or(u32::MAX)
}

fn fits(kind: Kind, body: &[u8], limit: usize, place: &'static str) -> Result<(), BootImageError> {
    if body.len() > limit {
        return Err(BootImageError::TooLong { kind, bytes: body.len(), limit, place });
    }
    Ok(())
}

/// Whether this is the address of code in the body, with the bit that says "Thumb".
fn is_code(address: u32, load: u32, body: &[u8]) -> bool {
    address & 1 == 1 && (load..load + length(body)).contains(&address)
}

/// Everything that is loaded, in one piece from the lowest address on; gaps read as empty flash.
fn body(kind: Kind, file: &[u8]) -> Result<(u32, Vec<u8>), BootImageError> {
    let not_elf = |why: object::Error| BootImageError::NotElf { kind, why: why.to_string() };
    let header = FileHeader32::<Endianness>::parse(file).map_err(not_elf)?;
    let endian = header.endian().map_err(not_elf)?;
    if header.e_machine(endian) != elf::EM_ARM {
        return Err(BootImageError::NotElf { kind, why: "for another processor".to_owned() });
    }
    let mut parts = Vec::new();
    for part in header.program_headers(endian, file).map_err(not_elf)? {
        if part.p_type(endian) == PT_LOAD && part.p_filesz(endian) > 0 {
            let cut_off = || BootImageError::NotElf { kind, why: "it is cut off".to_owned() };
            let bytes = part.data(endian, file).map_err(|()| cut_off())?;
            // The physical address: where it is loaded, not where it works.
            parts.push((part.p_paddr(endian), bytes));
        }
    }
    parts.sort_by_key(|(address, _)| *address);
    let Some((load, _)) = parts.first().copied() else {
        return Err(BootImageError::Head { kind, what: "the file loads nothing" });
    };
    let mut body: Vec<u8> = Vec::new();
    for (address, bytes) in parts {
        // A gap wider than SRAM is refused before it is filled.
        let at = (address - load) as usize;
        if at + bytes.len() > (SRAM_END - IMAGE1_LOAD) as usize {
            let (bytes, limit) = (at + bytes.len(), (SRAM_END - IMAGE1_LOAD) as usize);
            return Err(BootImageError::TooLong { kind, bytes, limit, place: "into SRAM" });
        }
        body.truncate(at);
        body.resize(at, 0xff);
        body.extend(bytes);
    }
    body.resize(body.len().next_multiple_of(4), 0xff);
    Ok((load, body))
}

#[cfg(test)]
mod tests;
