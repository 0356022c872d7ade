//! Images from ELF files made here, with one thing wrong at a time.

use super::*;
use insta::assert_snapshot;

const DUT: u32 = 0x1000_6000;

/// An ELF file of these parts: load address, bytes.
fn elf(parts: &[(u32, &[u8])]) -> Vec<u8> {
    const HEADER: u32 = 52;
    const PART: u32 = 32;
    let count = u16::try_from(parts.len()).unwrap();
    let mut file = b"\x7fELF\x01\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2, 0, 40, 0]);
    file.extend(words([1, 0, HEADER, 0, 0]));
    for half in [52_u16, 32, count, 40, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let mut offset = HEADER + PART * u32::from(count);
    for (address, bytes) in parts {
        let size = length(bytes);
        file.extend(words([1, offset, *address, *address, size, size, 4, 4]));
        offset += size;
    }
    file.extend(parts.iter().flat_map(|(_, bytes)| *bytes));
    file
}

/// A body that starts with this entry, the mark, and holds `size` bytes.
fn dut(entry: u32, size: usize) -> Vec<u8> {
    let mut body: Vec<u8> = words([entry]).collect();
    body.extend(b"RTKWin\0\xff");
    body.resize(size, 0xee);
    body
}

fn first_stage(size: usize) -> Vec<u8> {
    let mut body: Vec<u8> = words([IMAGE1_LOAD + 0x1d; 5]).collect();
    body.extend(IMAGE1_MARK);
    body.resize(size, 0xee);
    body
}

fn hexdump(image: &BootImage, count: usize) -> String {
    let lines = image.bytes()[..count].chunks(16).enumerate().map(|(line, bytes)| {
        let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:06x}  {}\n", image.offset() as usize + line * 16, hex.join(" "))
    });
    lines.collect()
}

#[test]
fn image2_is_header_body_and_an_empty_place_for_what_could_follow() {
    let image = image2(&elf(&[(DUT, &dut(DUT + 0x11, 30))])).unwrap();
    assert_snapshot!(hexdump(&image, image.bytes().len()), @r"
    00b000  20 00 00 00 00 60 00 10 38 31 39 35 38 37 31 31
    00b010  11 60 00 10 52 54 4b 57 69 6e 00 ff ee ee ee ee
    00b020  ee ee ee ee ee ee ee ee ee ee ee ee ee ee ff ff
    00b030  ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff
    ");
}

#[test]
fn image1_is_pattern_header_start_table_and_mark() {
    let image = image1(&elf(&[(IMAGE1_LOAD, &first_stage(0x20))])).unwrap();
    assert_snapshot!(hexdump(&image, image.bytes().len()), @r"
    000000  99 99 96 96 3f cc 66 fc c0 33 cc 03 e5 dc 31 62
    000010  20 00 00 00 c8 0b 00 10 2c 00 ff ff ff ff ff ff
    000020  e5 0b 00 10 e5 0b 00 10 e5 0b 00 10 e5 0b 00 10
    000030  e5 0b 00 10 23 79 16 88 ff ff ff ff ee ee ee ee
    ");
}

#[test]
fn parts_are_put_in_order_at_their_load_addresses() {
    let (first, second) = (dut(DUT + 0x11, 18), [7; 3]);
    let image = image2(&elf(&[(DUT + 24, &second), (DUT, &first)])).unwrap();
    let body = &image.bytes()[16..];
    assert_eq!(body[16..28], [0xee, 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 7, 7, 7, 0xff]);
}

#[test]
fn the_longest_image_fits_and_one_byte_more_does_not() {
    let room = (SRAM_END - DUT) as usize;
    let image = image2(&elf(&[(DUT, &dut(DUT + 1, room))])).unwrap();
    assert!(image.offset() as usize + image.bytes().len() <= 0x7f000);
    assert_snapshot!(image2(&elf(&[(DUT, &dut(DUT + 1, room + 1))])).unwrap_err(), @"this image2 is too long: 434180 bytes, where 434176 fit into SRAM; use a smaller build");

    let room = PROTECTED.start as usize - IMAGE1_HEADER_BYTES;
    let image = image1(&elf(&[(IMAGE1_LOAD, &first_stage(room))])).unwrap();
    assert_eq!(image.bytes().len(), PROTECTED.start as usize);
    assert_snapshot!(image1(&elf(&[(IMAGE1_LOAD, &first_stage(room + 1))])).unwrap_err(), @"this image1 is too long: 32740 bytes, where 32736 fit before the chip's own data in flash; use a smaller build");
}

#[test]
fn what_would_not_start_is_refused() {
    let refused = |elf: &[u8]| image2(elf).unwrap_err().to_string();
    assert_snapshot!(refused(b"MZ"), @"no image2 can be made from this file: it is not a 32-bit ELF file (Invalid ELF header size or alignment); build the firmware for `ameba1`");
    assert_snapshot!(refused(&elf(&[])), @"this image2 would not start: the file loads nothing; was it linked with the board's memory map?");
    assert_snapshot!(refused(&elf(&[(0, &dut(1, 64))])), @"no image2 can be made: the file is linked for 0x00000000, and image2 is loaded at 0x10006000; build the firmware for `ameba1`");
    assert_snapshot!(refused(&elf(&[(DUT, &dut(DUT + 0x10, 64))])), @"this image2 would not start: its first word is not the address of its code; was it linked with the board's memory map?");
    let unmarked: Vec<u8> = words([DUT + 1, 2, 3]).collect();
    assert_snapshot!(refused(&elf(&[(DUT, &unmarked)])), @"this image2 would not start: the mark behind its first word is missing; was it linked with the board's memory map?");
    let far = [(DUT, &dut(DUT + 1, 64)[..]), (0xffff_fff0, &[1])];
    assert_snapshot!(refused(&elf(&far)), @"this image2 is too long: 4026507249 bytes, where 455736 fit into SRAM; use a smaller build");
    let mut whole = elf(&[(DUT, &dut(DUT + 1, 64))]);
    whole.truncate(100);
    assert_snapshot!(refused(&whole), @"no image2 can be made from this file: it is not a 32-bit ELF file (it is cut off); build the firmware for `ameba1`");
    whole[18] = 62;
    assert_snapshot!(refused(&whole), @"no image2 can be made from this file: it is not a 32-bit ELF file (for another processor); build the firmware for `ameba1`");

    let mut unmarked = first_stage(64);
    unmarked[START_TABLE_BYTES] ^= 1;
    assert_snapshot!(image1(&elf(&[(IMAGE1_LOAD, &unmarked)])).unwrap_err(), @"this image1 would not start: the mark behind its start table is missing; was it linked with the board's memory map?");
    let mut wild = first_stage(64);
    wild[16..20].copy_from_slice(&[0; 4]);
    assert_snapshot!(image1(&elf(&[(IMAGE1_LOAD, &wild)])).unwrap_err(), @"this image1 would not start: its start table holds something else than addresses of its code; was it linked with the board's memory map?");
}

#[test]
fn an_image_is_found_again_in_a_flash_that_holds_it() {
    let image = image2(&elf(&[(DUT, &dut(DUT + 0x11, 64))])).unwrap();
    let mut flash = vec![0xff; 0xb000];
    assert!(!image.is_in(&flash), "it ends before the image");
    flash.extend(image.bytes());
    flash.extend([0; 100]);
    assert!(image.is_in(&flash));
    flash[0xb02f] ^= 1;
    assert!(!image.is_in(&flash));
    let other = image2(&elf(&[(DUT, &dut(DUT + 0x13, 64))])).unwrap();
    assert_ne!(image.id(), other.id());
    assert_eq!(image.id().len(), 16);
}
