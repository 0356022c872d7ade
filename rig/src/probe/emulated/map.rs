//! What is at which address of the emulated machine `mps2-an385`.

use std::ops::Range;

/// Where the table of debug components is, and the part number that it gives for this machine.
pub(super) const ROM_TABLE: Range<u32> = 0xe00f_f000..0xe010_0000;
/// See [`ROM_TABLE`].
pub(in crate::probe) const ROM_TABLE_PART: u16 = 0x385;

/// `mps2-an385`: where something answers [QEMU, hw/arm/mps2.c; ARM DAI0385].
const MEMORY: [Range<u32>; 4] = [
    0x0000_0000..0x0080_0000,
    0x0100_0000..0x0101_0000,
    0x2000_0000..0x2080_0000,
    0x2100_0000..0x2200_0000,
];
const DEVICES: [Range<u32>; 2] = [0x4000_0000..0x4040_0000, 0xe000_0000..0xe010_0000];

/// Whether all of this is memory.
pub(super) fn is_memory(range: Range<u32>) -> bool {
    MEMORY.iter().any(|memory| memory.start <= range.start && range.end <= memory.end)
}

/// Whether anything answers here.
pub(super) fn answers(at: u32) -> bool {
    MEMORY.iter().chain(&DEVICES).any(|range| range.contains(&at))
}

/// Whether a program can run here.
pub(super) fn executable(at: u32) -> bool {
    MEMORY.iter().any(|range| range.contains(&at))
}

/// The table of debug components (ARM IHI 0031, D3): who made the chip and which one it is.
pub(super) fn rom_table(offset: u32) -> u32 {
    let part = u32::from(ROM_TABLE_PART);
    match offset {
        // System control space, watchpoint unit, breakpoint unit; then the end.
        0x000 => 0xfff0_f003,
        0x004 => 0xfff0_2003,
        0x008 => 0xfff0_3003,
        // CIDR: a table of class 1.
        0xff0 => 0x0d,
        0xff4 => 0x10,
        0xff8 => 0x05,
        0xffc => 0xb1,
        // PIDR: part number and ARM's code, bank 4, number 0x3b.
        0xfe0 => part & 0xff,
        0xfe4 => 0xb0 | part >> 8,
        0xfe8 => 0x0b,
        0xfd0 => 0x04,
        _ => 0,
    }
}
