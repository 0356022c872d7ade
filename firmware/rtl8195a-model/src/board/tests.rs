//! A few instructions each, so that what is wrong with them is certain to be found.

use super::*;

const CODE: u32 = 0x1000_6000;

/// A board with this code, about to run it. Halfwords of Thumb code, then words that it loads.
fn board(code: &[u16]) -> Board {
    let mut board = Board::after_reset(Nor::holding(&[])).unwrap();
    let bytes: Vec<_> = code.iter().flat_map(|half| half.to_le_bytes()).collect();
    board.write(CODE, &bytes).unwrap();
    board.start(CODE | 1, 0x1fff_8000, 0x1000_6400).unwrap();
    board
}

/// `ldr r0, [pc, #4]; ldr r1, [r0]; bkpt; nop`, and the address.
fn read_from(address: u32) -> Board {
    board(&[0x4801, 0x6801, 0xbe00, 0xbf00, address as u16, (address >> 16) as u16])
}

#[test]
fn memory_can_be_read_and_nothing_else() {
    assert_eq!(read_from(0x1006_fffc).run(10).unwrap(), Stop::Breakpoint);
    let fault = |address| read_from(address).run(10).unwrap_err().to_string();
    assert_eq!(
        fault(0x1007_0000),
        "the image, at 0x10006002, reads where nothing is mapped (4 bytes at 0x10070000)"
    );
    assert!(fault(0).contains("reads where nothing is mapped"), "the ROM's code is not used");
    assert!(fault(0x4000_1000).contains("no peripheral (4 bytes at 0x40001000)"));
    assert!(fault(0x4000_3014).contains("LOG UART without its function (0x40000210 bit 12)"));
    assert!(fault(0x4000_6028).contains("flash controller without its function"));
    assert!(fault(0x9800_0000).contains("flash controller without its function"));
    assert!(fault(0xe000_1004).contains("before tracing is on"));
    assert!(fault(0x4000_2800).contains("watchdog without its clock"));
}

#[test]
fn what_the_interpreter_lacks_is_a_fault_and_no_panic() {
    // The interrupt control and state register.
    let fault = read_from(0xe000_ed04).run(10).unwrap_err();
    assert!(fault.what.contains("the interpreter does not have"), "{fault}");
}

#[test]
fn a_core_that_sleeps_is_noticed() {
    assert_eq!(board(&[0xbf00, 0xbf30, 0xbf00]).run(10).unwrap(), Stop::Sleeps);
}
