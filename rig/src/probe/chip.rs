//! The chips: what probe-rs is told of each, and how a wrong one is noticed.
//!
//! Facts of the RTL8195A family ("Ameba1": RTL8195AM, RTL8711AF/AM, RTL8710AF) carry the tag of
//! their source: SDK for the vendor's headers and scripts, ROM for its mask ROM's machine code, RB
//! and RR for public flashers and their logs. None was tried on a board by us.

use super::algorithm::Algorithm;
use super::emulated::ROM_TABLE_PART;
use super::sequence::{Release, Sequence};
use crate::firmware::Chip;
use probe_rs::Target;
use probe_rs::config::{
    self, ChipFamily, CoreType, DebugSequence, MemoryRegion, NvmRegion, RamRegion, Registry,
    RegistryError, TargetDescriptionSource,
};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// What a chip says of itself through the debug port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// DPIDR: which debug port.
    pub debug_port: u32,
    /// CPUID: which core.
    pub core: u32,
    /// Part number in the table of debug components, 12 bits.
    pub rom_table_part: u16,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { debug_port, core, rom_table_part } = self;
        write!(f, "DPIDR {debug_port:#010x}, CPUID {core:#010x}, part {rom_table_part:#05x}")
    }
}

/// Implementer ARM, architecture ARMv7-M, part Cortex-M3; revisions may differ.
const CORTEX_M3: u32 = 0x410f_c230;
const REVISION: u32 = 0x00f0_000f;
/// The serial wire debug port of a Cortex-M3 [RR, log/openocd.log].
const DEBUG_PORT: u32 = 0x2ba0_1477;

impl Chip {
    /// Every chip.
    pub const ALL: [Self; 2] = [Self::Mps2An385, Self::Rtl8195a];

    /// The chip of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|chip| chip.name() == name)
    }

    /// Whether this is the chip, as far as it can be told. The part number of the RTL8195A's table
    /// is not known; noting it down is a step for the first board.
    #[must_use]
    pub fn is(self, found: &Identity) -> bool {
        let core = found.core & !REVISION == CORTEX_M3 && found.debug_port == DEBUG_PORT;
        match self {
            Self::Mps2An385 => core && found.rom_table_part == ROM_TABLE_PART,
            Self::Rtl8195a => core && found.rom_table_part != ROM_TABLE_PART,
        }
    }

    /// Memory that the debugger fills and the core executes from.
    #[must_use]
    pub fn ram(self) -> &'static [Range<u32>] {
        match self {
            // The code memory is the same as the flash.
            Self::Mps2An385 => &[0x2000_0000..0x2040_0000, 0x0000_0000..0x0040_0000],
            // SRAM and TCM [SDK, doc/UM0034, image2.icf].
            Self::Rtl8195a => &[0x1000_0000..0x1007_0000, 0x1fff_0000..0x2000_0000],
        }
    }

    /// Where the flash is seen in memory, as far as it may be read. Parts of the RTL8195A family
    /// carry 1 or 2 MB [RR log; SDK, doc/UM0034]; the flash algorithm asks the flash chip.
    #[must_use]
    pub fn flash(self) -> Range<u32> {
        match self {
            Self::Mps2An385 => 0x0000_0000..0x0040_0000,
            Self::Rtl8195a => 0x9800_0000..0x9820_0000,
        }
    }

    /// Flash that is never erased or written: on the RTL8195A the sectors 8 to 10 hold each unit's
    /// own calibration and address, which nobody can make again [SDK, doc/UM0034 5, doc/AN0033].
    #[must_use]
    pub fn factory_data(self) -> Option<Range<u32>> {
        match self {
            Self::Mps2An385 => None,
            Self::Rtl8195a => Some(0x9800_8000..0x9800_b000),
        }
    }

    /// Where a flash algorithm is put; on the RTL8195A behind what the ROM keeps in SRAM and an
    /// image1 uses, as others do [SDK, image2.icf; RB].
    pub(super) fn algorithm_at(self) -> u32 {
        match self {
            Self::Mps2An385 => 0x2000_0000,
            Self::Rtl8195a => 0x1000_7000,
        }
    }

    /// What PRIMASK is when an image is started from RAM: as a reset leaves it on the emulated
    /// board, whose image works with interrupts; 1 on the RTL8195A, where a peripheral may be going
    /// on that an earlier program has started, because a reset by the debugger is one of the core
    /// alone [SDK, doc/UM0101 4.1].
    pub(super) fn primask_at_start(self) -> u32 {
        match self {
            Self::Mps2An385 => 0,
            Self::Rtl8195a => 1,
        }
    }

    /// What probe-rs is told. `release` says whether closing the session lets the core run.
    pub(super) fn target(
        self,
        algorithm: Option<&Algorithm>,
        release: Release,
    ) -> Result<Target, RegistryError> {
        let mut chip = config::Chip::generic_arm(self.name(), CoreType::Armv7m);
        let cores: Vec<_> = chip.cores.iter().map(|core| core.name.clone()).collect();
        let flash = algorithm.map_or_else(|| wide(&self.flash()), Algorithm::range);
        let outside = |range: &&Range<u32>| range.start != self.flash().start;
        chip.memory_map = self
            .ram()
            .iter()
            .filter(outside)
            .map(|range| {
                MemoryRegion::Ram(RamRegion {
                    name: None,
                    range: wide(range),
                    cores: cores.clone(),
                    is_alias: false,
                    access: None,
                })
            })
            .collect();
        chip.memory_map.push(MemoryRegion::Nvm(NvmRegion {
            name: None,
            range: flash,
            cores,
            is_alias: false,
            access: None,
        }));
        chip.flash_algorithms =
            algorithm.map(|algorithm| algorithm.name().to_owned()).into_iter().collect();
        let mut registry = Registry::new();
        registry.add_target_family(ChipFamily {
            name: self.name().to_owned(),
            manufacturer: None,
            chip_detection: Vec::new(),
            generated_from_pack: false,
            pack_file_release: None,
            variants: vec![chip],
            flash_algorithms: algorithm.map(|algorithm| algorithm.raw(self)).into_iter().collect(),
            source: TargetDescriptionSource::Generic,
        })?;
        let mut target = registry.get_target_by_name(self.name())?;
        target.debug_sequence = DebugSequence::Arm(Arc::new(Sequence { chip: self, release }));
        Ok(target)
    }
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

fn wide(range: &Range<u32>) -> Range<u64> {
    u64::from(range.start)..u64::from(range.end)
}
