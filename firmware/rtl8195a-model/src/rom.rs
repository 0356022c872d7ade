//! From flash to the first instruction of an image: the ROM's way to an image1 (ROM), and the
//! vendor's image1's way to an image2 (PLAT `startup.o`; SDK UM0034).
//!
//! ```text
//! flash 0x10: length   0x14: address   0x20...: body --copied--> address          load
//! memory 0x10000bdc: 23 79 16 88? --yes--> debug pins off, call the word at 0x10000bc8
//!                                 --no---> the ROM's console
//!
//! flash 0x18: image2's offset / 1024                                               load_image2
//! there: length, address, "81958711", body --copied--> address, call its first word
//! ```
//!
//! Neither checks a sum. Of the vendor's image1 only the plain case is here: no second image2 from
//! an update over the air, no part for SDRAM.

use crate::Violation;
use crate::memory::SRAM;

/// The five words of which the first is the entry after a boot from flash.
const START_TABLE: u32 = 0x1000_0bc8;
const MARK_PLACE: u32 = 0x1000_0bdc;
/// The ROM compares until it meets 0xff in its own copy.
const MARK: [u8; 4] = [0x23, 0x79, 0x16, 0x88];
/// Where the ROM's stack begins, and where its vector table lies by then.
pub(crate) const STACK: u32 = 0x1fff_fffc;
pub(crate) const VECTORS: u32 = 0x1000_0000;

/// Where the vendor's image1 lets an image2 be loaded, and how long it may be.
const IMAGE2_PLACE: std::ops::RangeInclusive<u32> = 0x1000_6000..=0x1000_a000;
const IMAGE2_LIMIT: u32 = 0x8_0000;
const IMAGE2_VALID: [u8; 8] = *b"81958711";
/// Word that names a second image2; all ones if there is none.
const UPDATE: usize = 0x9000;

/// An image that would be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Where its body is copied to.
    pub address: u32,
    /// Its body.
    pub body: Vec<u8>,
    /// What is called, with the bit that says "Thumb".
    pub entry: u32,
}

/// What the ROM makes of a flash with this content, read from its start.
///
/// # Errors
/// [`Violation`] says why the ROM would end in its console, or worse.
pub fn load(flash: &[u8]) -> Result<Loaded, Violation> {
    let (length, address) = (word(flash, 0x10)?, word(flash, 0x14)?);
    // The ROM checks nothing; these would be a fault, or a console with its own data overwritten.
    let end = address.checked_add(length).filter(|end| *end <= SRAM.end);
    if length == 0 || !length.is_multiple_of(4) || end.is_none() || address < START_TABLE {
        return Err(Violation::new(format!(
            "the header wants {length} bytes at {address:#010x}, which is not a place for an image1"
        )));
    }
    let body = flash.get(0x20..).and_then(|rest| rest.get(..length as usize));
    let body = body.ok_or(Violation::new("the body is longer than the flash"))?;
    let memory = |at: u32| body.get(at.checked_sub(address)? as usize..)?.first_chunk::<4>();
    if memory(MARK_PLACE) != Some(&MARK) {
        return Err(Violation::new(format!(
            "the mark is not at {MARK_PLACE:#010x}: the ROM would end in its console"
        )));
    }
    let entry = memory(START_TABLE).map(|bytes| u32::from_le_bytes(*bytes)).unwrap_or_default();
    if entry & 1 == 0 || !(address..address + length).contains(&entry) {
        return Err(Violation::new(format!(
            "the start table's first word {entry:#010x} is no Thumb code of the image"
        )));
    }
    Ok(Loaded { address, body: body.to_vec(), entry })
}

/// What the vendor's image1 makes of the same flash, once the ROM has started it.
///
/// # Errors
/// [`Violation`] says why it would start nothing, or something that is not modelled.
pub fn load_image2(flash: &[u8]) -> Result<Loaded, Violation> {
    if word(flash, UPDATE)? != u32::MAX {
        return Err(Violation::new(
            "the flash names an image2 from an update, which is not modelled",
        ));
    }
    let offset = match word(flash, 0x18)? & 0xffff {
        0 => word(flash, 0x10)?.saturating_add(0x20),
        kilobytes => kilobytes * 1024,
    } as usize;
    let header = flash.get(offset..).ok_or(Violation::new("image2 is beyond the flash"))?;
    let (length, address) = (word(header, 0)?, word(header, 4)?);
    if header.get(8..16) != Some(&IMAGE2_VALID) {
        return Err(Violation::new(format!("no valid image2 is at flash offset {offset:#x}")));
    }
    if length == 0 || length > IMAGE2_LIMIT || !IMAGE2_PLACE.contains(&address) {
        return Err(Violation::new(format!(
            "image2 wants {length} bytes at {address:#010x}, which image1 does not allow"
        )));
    }
    let body = header.get(16..).and_then(|rest| rest.get(..length as usize));
    let body = body.ok_or(Violation::new("image2 is longer than the flash"))?;
    let entry = word(body, 0)?;
    if entry & 1 == 0 || !(address..address + length).contains(&entry) {
        return Err(Violation::new(format!(
            "image2's first word {entry:#010x} is no Thumb code of it"
        )));
    }
    Ok(Loaded { address, body: body.to_vec(), entry })
}

fn word(bytes: &[u8], at: usize) -> Result<u32, Violation> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map(|bytes| u32::from_le_bytes(*bytes)).ok_or(Violation::new("the flash is too short"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image1 of three words after its mark.
    fn flash() -> Vec<u8> {
        let mut flash = vec![0xff; 0x100];
        flash[0x10..0x14].copy_from_slice(&0x28_u32.to_le_bytes());
        flash[0x14..0x18].copy_from_slice(&START_TABLE.to_le_bytes());
        flash[0x20..0x24].copy_from_slice(&(START_TABLE + 0x1d).to_le_bytes());
        flash[0x34..0x38].copy_from_slice(&MARK);
        flash
    }

    #[test]
    fn an_image1_is_found_and_what_is_wrong_with_one_is_said() {
        let loaded = load(&flash()).unwrap();
        assert_eq!((loaded.address, loaded.entry), (START_TABLE, START_TABLE + 0x1d));
        assert_eq!(loaded.body.len(), 0x28);
        let refused = |at: usize, byte: u8| {
            let mut flash = flash();
            flash[at] = byte;
            load(&flash).unwrap_err().to_string()
        };
        assert!(refused(0x34, 0).contains("console"));
        assert!(refused(0x20, 0).contains("no Thumb code"));
        assert!(refused(0x13, 0xff).contains("not a place"));
        assert!(load(&[0xff; 0x1000]).unwrap_err().to_string().contains("not a place"));
    }

    #[test]
    fn an_image2_is_found_where_the_header_says() {
        let mut flash = flash();
        flash.resize(0x10000, 0xff);
        flash[0x18..0x1a].copy_from_slice(&[0x2c, 0]);
        let image2: Vec<u8> = [8, 0x1000_6000, 0x3539_3138, 0x3131_3738, 0x1000_6005, 0]
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect();
        flash[0xb000..0xb018].copy_from_slice(&image2);
        let loaded = load_image2(&flash).unwrap();
        assert_eq!(
            (loaded.address, loaded.entry, loaded.body.len()),
            (0x1000_6000, 0x1000_6005, 8)
        );
        flash[0xb008] = b'0';
        assert!(load_image2(&flash).unwrap_err().to_string().contains("no valid image2"));
        flash[0x9000] = 0;
        assert!(load_image2(&flash).unwrap_err().to_string().contains("not modelled"));
    }
}
