//! The debugger's own way to read an RTL8195A's flash, on the model of its flash controller: a copy
//! is made before anything of ours has run on the chip.

#![allow(clippy::unwrap_used, reason = "helpers of tests are test code")]

use rig::probe::window::{self, FlashChip, Registers, WindowError};
use rtl8195a_model::{Board, Nor, Violation};

/// The model, as a debugger gets at it while the core stands still.
struct Halted(Board);

impl Registers for Halted {
    type Error = Violation;

    fn read(&mut self, address: u32) -> Result<u32, Violation> {
        self.0.read_register(address)
    }

    fn write(&mut self, address: u32, value: u32) -> Result<(), Violation> {
        self.0.write_register(address, 4, value)
    }

    fn write_byte(&mut self, address: u32, value: u8) -> Result<(), Violation> {
        self.0.write_register(address, 1, value.into())
    }
}

const FLASH: u32 = 0x9800_0000;

#[test]
fn flash_is_read_and_nothing_in_it_is_changed() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut held = vec![0; 64 * 1024];
    random.fill(&mut held);
    let mut chip = Halted(Board::after_reset(Nor::holding(&held)).unwrap());
    assert!(chip.read(FLASH).is_err(), "the controller is not set up yet");
    let found = window::open(&mut chip).unwrap();
    assert_eq!(found.size(), Some(2 * 1024 * 1024), "{found:?}");
    for (at, word) in held.chunks(4).enumerate().step_by(97) {
        let read = chip.read(FLASH + at as u32 * 4).unwrap();
        assert_eq!(read.to_le_bytes(), word, "at {at}");
    }
    chip.0.flash(|nor| {
        assert!(nor.done().is_empty(), "{:?}", nor.done());
        assert_eq!(nor.commands(), 1, "the identification and nothing else");
        assert!(nor.bytes().starts_with(&held));
    });
}

/// A unit whose fuses hold other dummy cycles than the usual ones reads garbage without them.
#[test]
fn the_calibration_in_the_fuses_is_followed() {
    let held: Vec<u8> = (0..=255).collect();
    let board = Board::after_reset(Nor::holding(&held)).unwrap().with_flash_calibration(0x2a);
    let mut chip = Halted(board);
    window::open(&mut chip).unwrap();
    assert_eq!(chip.read(FLASH + 64).unwrap().to_le_bytes(), [64, 65, 66, 67]);
}

#[test]
fn a_board_without_a_flash_chip_is_told_from_one_with() {
    for line in [0x00, 0xff] {
        let mut chip = Halted(Board::after_reset(Nor::missing(line)).unwrap());
        let Err(WindowError::Chip(why)) = window::open(&mut chip) else {
            panic!("no chip is there")
        };
        let expected = format!("({line:02x} {line:02x} {line:02x})");
        assert!(why.ends_with(&expected), "{why}");
    }
}

#[test]
fn a_capacity_that_no_chip_has_is_none() {
    assert_eq!(FlashChip { id: [0xc2, 0x20, 0x14] }.size(), Some(1024 * 1024));
    assert_eq!(FlashChip { id: [0xc2, 0x20, 0x40] }.size(), None);
}
