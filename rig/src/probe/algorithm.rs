//! A flash algorithm out of its ELF file: `firmware/flash-algo`, or any other of CMSIS-Pack's form.
//!
//! ```text
//! PrgCode, PrgData  --> what is copied to RAM
//! Init, UnInit, EraseSector, ProgramPage --> where it is entered
//! FlashDevice       --> which memory, in sectors and pages of what size, how slow
//! ```

use crate::firmware::Chip;
use object::{Object, ObjectSection, ObjectSymbol};
use probe_rs::config::{FlashProperties, RawFlashAlgorithm, SectorDescription};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A flash algorithm, for whatever chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithm(RawFlashAlgorithm);

/// Why a file is no flash algorithm.
#[derive(Debug, thiserror::Error)]
#[error("{path} is no flash algorithm: {why}", path = path.display())]
pub struct AlgorithmError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// Where fields of `FlashDevice` are: ARM, CMSIS-Pack, "Flash Programming Algorithm".
mod offset {
    pub const NAME: usize = 2;
    pub const ADDRESS: usize = 132;
    pub const SIZE: usize = 136;
    pub const PAGE: usize = 140;
    pub const ERASED: usize = 148;
    pub const PROGRAM_LIMIT: usize = 152;
    pub const ERASE_LIMIT: usize = 156;
    pub const SECTORS: usize = 160;
}

const NAME_BYTES: usize = 128;
/// Ends the list of sectors.
const NO_SECTOR: u32 = u32::MAX;

impl Algorithm {
    /// Reads the ELF file.
    ///
    /// # Errors
    /// [`AlgorithmError`] says what the file lacks. One with a routine that erases the whole chip is
    /// refused: factory data would go with it.
    pub fn from_elf(path: &Path) -> Result<Self, AlgorithmError> {
        let failed = |why: String| AlgorithmError { path: path.to_owned(), why };
        let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        parse(&bytes).map(Self).map_err(failed)
    }

    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    /// The memory that it erases and programs.
    pub(super) fn range(&self) -> Range<u64> {
        self.0.flash_properties.address_range.clone()
    }

    pub(super) fn raw(&self, chip: Chip) -> RawFlashAlgorithm {
        // In front of it probe-rs puts one word, to which the routines return.
        let load_address = Some(u64::from(chip.algorithm_at()) + 4);
        RawFlashAlgorithm { load_address, ..self.0.clone() }
    }
}

fn parse(bytes: &[u8]) -> Result<RawFlashAlgorithm, String> {
    let file = object::File::parse(bytes).map_err(|error| error.to_string())?;
    let section = |name: &str| file.section_by_name(name).and_then(|found| found.data().ok());
    let symbol = |name: &str| {
        file.symbols().find(|symbol| symbol.name() == Ok(name)).map(|symbol| symbol.address())
    };
    let routine = |name: &str| symbol(name).ok_or_else(|| format!("it has no routine {name}"));
    if symbol("EraseChip").is_some() {
        return Err("it can erase a whole chip, which would take factory data with it".to_owned());
    }
    let code = section("PrgCode").ok_or("it has no section PrgCode")?;
    let data = section("PrgData").unwrap_or_default();
    let device = section("DeviceData").ok_or("it has no section DeviceData")?;
    Ok(RawFlashAlgorithm {
        name: text(device.get(offset::NAME..).unwrap_or_default()),
        default: true,
        instructions: [code, data].concat(),
        pc_init: Some(routine("Init")?),
        pc_uninit: Some(routine("UnInit")?),
        pc_erase_sector: routine("EraseSector")?,
        pc_program_page: routine("ProgramPage")?,
        pc_verify: symbol("Verify"),
        data_section_offset: code.len() as u64,
        flash_properties: properties(device).ok_or("its section DeviceData is cut short")?,
        ..RawFlashAlgorithm::default()
    })
}

fn properties(device: &[u8]) -> Option<FlashProperties> {
    let word = |at: usize| {
        let bytes = device.get(at..at.checked_add(4)?)?;
        bytes.try_into().ok().map(u32::from_le_bytes)
    };
    let mut sectors = Vec::new();
    for at in (offset::SECTORS..).step_by(8) {
        let (size, address) = (word(at)?, word(at + 4)?);
        if size == NO_SECTOR {
            break;
        }
        sectors.push(SectorDescription { size: size.into(), address: address.into() });
    }
    let start = u64::from(word(offset::ADDRESS)?);
    Some(FlashProperties {
        address_range: start..start + u64::from(word(offset::SIZE)?),
        page_size: word(offset::PAGE)?,
        erased_byte_value: *device.get(offset::ERASED)?,
        program_page_timeout: word(offset::PROGRAM_LIMIT)?,
        erase_sector_timeout: word(offset::ERASE_LIMIT)?,
        sectors,
    })
}

/// The text up to its zero.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.iter().take(NAME_BYTES).take_while(|byte| **byte != 0);
    reports::transcript::printable(&bytes.copied().collect::<Vec<_>>())
}
