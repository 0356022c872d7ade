//! The flash algorithm of the RTL8195A: the machine code that a board would get, called as probe-rs
//! calls it, on a model of the flash controller and its chip that checks every command.
//!
//! ```text
//! 0x10007000  breakpoint | PrgCode | page | ... stack
//! ```

#![allow(clippy::unwrap_used, reason = "helpers of tests are test code")]

mod common;

use common::can_run;
use object::{File, Object, ObjectSection, ObjectSymbol};
use rig::board::Kind;
use rig::firmware::algorithm::failure;
use rig::firmware::{Builder, Chip};
use rig::project::Project;
use rstest::rstest;
use rtl8195a_model::nor::{Done, PAGE, SECTOR};
use rtl8195a_model::{Board, Nor};

const FLASH: u32 = 0x9800_0000;
/// Where DAPLink loads its algorithm.
const LOAD: u32 = 0x1000_7000;
const ERASE: u32 = 1;
const PROGRAM: u32 = 2;
/// Instructions: more than any routine takes, the one that waits in vain included.
const LIMIT: u64 = 100_000_000;

/// What a chip with the algorithm loaded can do.
struct Flasher {
    board: Board,
    code: Vec<u8>,
    load: u32,
    routines: [u32; 4],
    buffer: u32,
}

/// `None` where the algorithm cannot be built: it takes the same compilers as the emulated board.
fn flasher(chip: Nor, load: u32) -> Option<Flasher> {
    if !can_run(Kind::Qemu) {
        return None;
    }
    let project = Project::find().unwrap();
    let builder = Builder::new(project.root(), &project.cache());
    let path = builder.flash_algorithm(Chip::Rtl8195a, &mut |_| {}).unwrap();
    let bytes = std::fs::read(path).unwrap();
    let file = File::parse(&*bytes).unwrap();
    let code = file.section_by_name("PrgCode").unwrap();
    assert_eq!(code.address(), 0);
    let entry = |name| file.symbol_by_name(name).unwrap().address() as u32 + load + 4;
    let routines = ["Init", "UnInit", "EraseSector", "ProgramPage"].map(entry);
    let buffer = load + 4 + (code.size() as u32).next_multiple_of(8);
    let code = code.data().unwrap().to_vec();
    let board = Board::after_reset(chip).unwrap();
    let mut flasher = Flasher { board, code, load, routines, buffer };
    flasher.load();
    Some(flasher)
}

impl Flasher {
    fn load(&mut self) {
        self.board.write(self.load + 4, &self.code).unwrap();
    }

    fn call(&mut self, function: u32, arguments: [u32; 3]) -> u32 {
        // As little stack as the crate page promises to use, above two pages.
        let stack = self.buffer + 2 * PAGE as u32 + 256;
        self.board.call(function, arguments, stack, self.load, LIMIT).unwrap()
    }

    fn init(&mut self, function: u32) -> u32 {
        self.call(self.routines[0], [FLASH, 0, function])
    }

    fn uninit(&mut self) -> u32 {
        self.call(self.routines[1], [0; 3])
    }

    fn erase(&mut self, offset: u32) -> u32 {
        self.call(self.routines[2], [FLASH.wrapping_add(offset), 0, 0])
    }

    fn program(&mut self, offset: u32, data: &[u8]) -> u32 {
        self.board.write(self.buffer, data).unwrap();
        let arguments = [FLASH.wrapping_add(offset), data.len() as u32, self.buffer];
        self.call(self.routines[3], arguments)
    }
}

/// Bytes that look like an image and repeat themselves nowhere.
fn image(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

#[test]
fn an_algorithm_is_built_once() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let project = Project::find().unwrap();
    let builder = Builder::new(project.root(), &project.cache());
    for chip in [Chip::Rtl8195a, Chip::Mps2An385] {
        let path = builder.flash_algorithm(chip, &mut |_| {}).unwrap();
        let again = builder.flash_algorithm(chip, &mut |what| unreachable!("{what}")).unwrap();
        assert_eq!(path, again);
    }
}

/// In SRAM and in TCM: the code must not care where it is. Both times on a chip that holds bits
/// which only an erase can set.
#[rstest]
#[case::sram(LOAD)]
#[case::tcm(0x1fff_1234)]
fn sixteen_sectors_are_erased_programmed_and_read_back(#[case] load: u32) {
    const FIRST: u32 = 0xb000;
    let Some(mut flasher) = flasher(Nor::holding(&[0; 0x2_0000]), load) else { return };
    let image = image(16 * SECTOR);
    assert_eq!(flasher.init(ERASE), 0);
    let sectors: Vec<_> = (FIRST..).step_by(SECTOR).take(16).collect();
    for sector in &sectors {
        assert_eq!(flasher.erase(*sector), 0);
    }
    assert_eq!(flasher.uninit(), 0);
    assert_eq!(flasher.init(PROGRAM), 0);
    let pages: Vec<_> = (FIRST..).step_by(PAGE).zip(image.chunks(PAGE)).collect();
    for (offset, page) in &pages {
        assert_eq!(flasher.program(*offset, page), 0);
    }
    assert_eq!(flasher.uninit(), 0);

    let read = flasher.board.read(FLASH + FIRST, image.len() as u32).unwrap();
    assert!(read == image, "what a debugger reads through the memory window is the image");
    let mut expected: Vec<_> = sectors.into_iter().map(Done::Erased).collect();
    expected.extend(pages.iter().map(|(at, page)| Done::Programmed(*at..at + page.len() as u32)));
    // The second page's buffer lies below the 256 bytes that the stack may take.
    let below_stack = flasher.board.read(flasher.buffer + PAGE as u32, PAGE as u32).unwrap();
    assert_eq!(below_stack, [0xa5; PAGE], "untouched");
    flasher.board.flash(|chip| {
        assert_eq!(chip.done(), expected);
        let end = FIRST as usize + image.len();
        assert!(chip.bytes()[..FIRST as usize].iter().all(|byte| *byte == 0), "below");
        assert!(chip.bytes()[end..0x2_0000].iter().all(|byte| *byte == 0), "above");
    });
}

#[test]
fn factory_data_is_refused_and_the_chip_hears_nothing_of_it() {
    let Some(mut flasher) = flasher(Nor::holding(&[0; 0x1_0000]), LOAD) else { return };
    let page = [0; PAGE];
    assert_eq!(flasher.init(ERASE), 0);
    let before = flasher.board.flash(Nor::commands);
    for sector in [0x8000, 0x9000, 0xa000] {
        assert_eq!(flasher.erase(sector), 4);
        for offset in (sector..).step_by(PAGE).take(SECTOR / PAGE) {
            assert_eq!(flasher.program(offset, &page), 4);
        }
    }
    flasher.board.flash(|chip| assert_eq!((chip.commands(), chip.done()), (before, &[][..])));
    // Its neighbours on both sides are free.
    for offset in [0x7000, 0xb000] {
        assert_eq!(flasher.erase(offset), 0);
    }
    for offset in [0x7f00, 0xb000] {
        assert_eq!(flasher.program(offset, &page), 0);
    }
    flasher.board.flash(|chip| {
        assert!(chip.bytes()[0x8000..0xb000].iter().all(|byte| *byte == 0), "as it was");
    });
}

#[test]
fn what_is_no_sector_or_page_of_this_flash_is_refused() {
    let Some(mut flasher) = flasher(Nor::holding(&[]), LOAD) else { return };
    assert_eq!(flasher.erase(0), 1, "not initialised");
    assert_eq!(flasher.init(ERASE), 0);
    let before = flasher.board.flash(Nor::commands);
    let end = 2 << 20;
    assert_eq!(flasher.erase(end), 2);
    assert_eq!(flasher.erase(0_u32.wrapping_sub(SECTOR as u32)), 2);
    assert_eq!(flasher.erase(0x100), 3);
    assert_eq!(flasher.program(end - 4, &[0; 8]), 2);
    assert_eq!(flasher.program(0xfc, &[0; 8]), 3, "over a page's end");
    assert_eq!(flasher.program(0, &[0; 7]), 3, "not whole words");
    assert_eq!(flasher.board.flash(Nor::commands), before);
    assert_eq!(flasher.program(end - 4, &[0; 4]), 0, "the last word");
}

#[rstest]
#[case::line_high(Nor::missing(0xff), 7)]
#[case::line_low(Nor::missing(0), 7)]
#[case::stuck(Nor::stuck(), 8)]
#[case::protected(Nor::holding(&[]).protected(), 9)]
fn a_chip_that_cannot_be_written_is_told_at_init(#[case] chip: Nor, #[case] code: u32) {
    let Some(mut flasher) = flasher(chip, LOAD) else { return };
    for _ in 0..2 {
        assert_eq!(flasher.init(ERASE), code, "{:?}", failure(code));
        assert_eq!(flasher.erase(0), 2, "and there is no flash to erase then");
    }
    assert_eq!(flasher.uninit(), 0);
    assert_eq!(flasher.board.flash(|chip| chip.done().len()), 0);
}

#[test]
fn a_chip_that_takes_commands_and_does_nothing_is_noticed() {
    let Some(mut flasher) = flasher(Nor::idle(), LOAD) else { return };
    assert_eq!(flasher.init(ERASE), 0);
    assert_eq!(flasher.erase(0), 11);
    assert_eq!(flasher.program(0, &[0; PAGE]), 11);
}

/// As long as the slowest chips take for a sector: 0.4 s at 41.67 MHz.
#[test]
fn an_erase_that_an_earlier_run_began_is_waited_for() {
    const SLOWEST: u64 = 16_700_000;
    let Some(mut flasher) = flasher(Nor::holding(&[]).busy(SLOWEST), LOAD) else { return };
    assert_eq!(flasher.init(ERASE), 0);
    assert!(flasher.board.now() > SLOWEST);
    assert_eq!(flasher.erase(0), 0);
}

/// A debugger that goes away leaves the controller in any state; the next one starts with Init, and
/// may load the algorithm again or not.
#[test]
fn a_run_that_was_stopped_anywhere_can_be_begun_anew() {
    let Some(mut flasher) = flasher(Nor::holding(&[]), LOAD) else { return };
    let (page, stack) = ([0x5a; PAGE], flasher.buffer + 1024);
    for instructions in (1..1500).step_by(37) {
        if instructions % 2 == 0 {
            flasher.load();
        }
        assert_eq!(flasher.init(PROGRAM), 0, "after {instructions} instructions");
        flasher.board.write(flasher.buffer, &page).unwrap();
        let (function, load) = (flasher.routines[3], flasher.load);
        let arguments = [FLASH, PAGE as u32, flasher.buffer];
        let stopped = flasher.board.call(function, arguments, stack, load, instructions);
        assert!(stopped.unwrap_err().what.contains("has not returned"));
    }
    assert_eq!(flasher.init(ERASE), 0);
    assert_eq!(flasher.erase(0), 0);
    assert_eq!(flasher.program(0, &page), 0);
    assert_eq!(flasher.board.flash(|chip| chip.bytes()[..PAGE].to_vec()), page);
}

#[test]
fn the_units_own_flash_calibration_is_used() {
    let Some(mut flasher) = flasher(Nor::holding(&[7]), LOAD) else { return };
    flasher.board = flasher.board.with_flash_calibration(0b001_01010);
    // The model refuses any transfer with other dummy cycles and delay.
    assert_eq!(flasher.init(ERASE), 0);
    assert_eq!(flasher.uninit(), 0);
    assert_eq!(flasher.board.read(FLASH, 1).unwrap(), [7]);
}

/// What the rig tells people for each number must be what the routines mean by it.
#[test]
fn every_failure_has_a_clause_and_nothing_else_has() {
    let clauses: Vec<_> = (1..=11).map(|code| failure(code).unwrap()).collect();
    insta::assert_snapshot!(clauses.join("\n"), @r"
    the flash algorithm was not initialised
    the address is outside the flash that this chip has
    the address is not where a sector or page begins
    the address is in the factory data of this unit, which is never written
    the chip's clock register does not keep what is written to it
    the flash controller stays busy
    no flash chip answers
    the flash chip stays busy
    the flash chip is write-protected (block-protection bits in its status register)
    the flash chip does not accept a write enable
    the flash chip did not carry out an erase or program command
    ");
    assert_eq!((failure(0), failure(12)), (None, None));
}
