//! The trouble that a real board, its probe and its cables make, wished on the emulated one: what is
//! said, whose matter it is, and that the next run mends it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are test code"
)]

mod common;

use common::bench::{AT, BUILD, Bench, algorithm_file, hello, image_that_begins, large, small};
use common::{can_run, compare, image};
use object::{Object, ObjectSection, ObjectSymbol};
use rig::board::{Dut, Kind, Slot};
use rig::deadline::Interrupt;
use rig::firmware::Chip;
use rig::probe::emulated::Trouble;
use rig::probe::{Algorithm, Class, FlashImage, Flashed, Reset, Stage, discover};
use std::time::Duration;

#[test]
fn a_write_that_reads_back_wrong_is_found() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let bench = Bench::new();
    bench.board().trouble(Trouble::BadBit { word: AT + 0x1234 });
    let error = bench.flash(&large()).unwrap_err();
    assert_eq!((error.class(), error.stage), (Class::Target, Stage::Verify));
    let mut shown = vec![bench.shown(&error)];
    bench.board().mend().unwrap();
    bench.board().trouble(Trouble::BadBit { word: 0x440 });
    let build = image(Kind::Qemu, BUILD);
    let error = bench.attach().unwrap().start_from_ram(&build.path).unwrap_err();
    assert_eq!((error.class(), error.stage), (Class::Target, Stage::Verify));
    shown.push(bench.shown(&error));
    compare("probe-reads-back-wrong", shown.join("\n"), &[]);
}

#[test]
fn a_probe_pulled_out_in_mid_flash_is_named_and_the_next_run_repairs() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let bench = Bench::new();
    let mut shown = Vec::new();
    for stage in [Stage::Erase, Stage::Program, Stage::Verify] {
        let error = bench.flash_with(Trouble::Unplugged { after: 10 }, stage);
        assert_eq!((error.class(), error.stage), (Class::Infrastructure, stage));
        shown.push(bench.shown(&error));
        let serial = bench.board().probe();
        let listed = discover().into_iter().filter_map(|found| found.serial);
        assert!(!listed.into_iter().any(|found| serial.ends_with(&found)));
        let error = bench.attach().unwrap_err();
        assert_eq!(error.class(), Class::Setup);
        shown.push(bench.shown(&error));
        bench.board().mend().unwrap();
        // As it was when the probe was pulled out in the last step: whole.
        let repaired = bench.flash(&large()).unwrap();
        if stage != Stage::Verify {
            assert_eq!(repaired, Flashed::Written { bytes: large().bytes() });
        }
        assert_eq!(bench.flash(&large()).unwrap(), Flashed::AlreadyThere);
        bench.flash(&small(AT)).unwrap();
    }
    compare("probe-unplugged", shown.join("\n"), &[]);
}

#[test]
fn a_board_that_loses_power_or_its_emulator_is_told_from_one_that_fails() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let bench = Bench::new();
    let error = bench.flash_with(Trouble::PowerLost { after: 10 }, Stage::Program);
    assert_eq!((error.class(), error.stage), (Class::Infrastructure, Stage::Program));
    let mut shown = vec![bench.shown(&error)];
    bench.board().mend().unwrap();
    assert_eq!(bench.flash(&small(AT)).unwrap(), Flashed::Written { bytes: 5000 });
    let mut debugger = bench.attach().unwrap();
    common::signal(bench.process.id(), rustix::process::Signal::KILL);
    let error = debugger.reset(Reset::Core).unwrap_err();
    assert_eq!((error.class(), error.stage), (Class::Infrastructure, Stage::Reset));
    shown.push(bench.shown(&error));
    compare("probe-power", shown.join("\n"), &[]);
}

#[test]
fn a_flash_algorithm_that_hangs_is_the_boards_matter() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let bench = Bench::new();
    // The routine's second instruction becomes a branch to itself.
    let path = algorithm_file(Chip::Mps2An385);
    let mut bytes = std::fs::read(path).unwrap();
    let at = {
        let file = object::File::parse(&*bytes).unwrap();
        let routine = file.symbols().find(|symbol| symbol.name() == Ok("EraseSector")).unwrap();
        let section = file.section_by_name("PrgCode").unwrap().file_range().unwrap().0;
        (section + (routine.address() & !1)) as usize + 2
    };
    bytes[at..at + 2].copy_from_slice(&[0xfe, 0xe7]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hangs.elf");
    std::fs::write(&file, bytes).unwrap();
    let hangs = Algorithm::from_elf(&file).unwrap();
    let error = bench.attach().unwrap().flash(&hangs, &small(AT), &mut |_| {}).unwrap_err();
    assert_eq!((error.class(), error.stage), (Class::Target, Stage::Erase));
    compare("probe-hangs", bench.shown(&error), &[]);
    assert_eq!(bench.flash(&small(AT)).unwrap(), Flashed::Written { bytes: 5000 });
}

#[test]
fn a_core_that_locks_up_does_not_take_the_emulator_with_it() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let bench = Bench::new();
    // Nothing there; then a program whose first instruction is undefined and that has no handlers.
    let mut program = vec![0xff; 0x104];
    program[..8].copy_from_slice(&[0, 0, 0x10, 0x20, 0x01, 0x01, 0, 0]);
    program[0x100..0x102].copy_from_slice(&[0x00, 0xde]);
    for content in [None, Some(FlashImage { segments: vec![(0, program)] })] {
        if let Some(image) = content {
            bench.flash(&image).unwrap();
        }
        let mut debugger = bench.attach().unwrap();
        debugger.start_from_flash().unwrap();
        debugger.detach().unwrap();
    }
    let build = image(Kind::Qemu, BUILD);
    let mut debugger = bench.attach().unwrap();
    debugger.start_from_ram(&build.path).unwrap();
    debugger.detach().unwrap();
    assert_eq!(hello(bench.line), build.id);
}

/// The emulator does not come back from a single step onto a WFI. A core that is halted while it
/// boots may be there, and probe-rs steps once before it lets a core run.
#[test]
fn a_core_halted_before_it_sleeps_is_let_go() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // WFI and NOP.
    let sleeps = image_that_begins(BUILD, folder.path(), [0x30, 0xbf, 0x00, 0xbf]);
    let bench = Bench::new();
    let mut debugger = bench.attach().unwrap();
    debugger.start_from_ram(&sleeps.path).unwrap();
    debugger.detach().unwrap();
    assert_eq!(hello(bench.line), sleeps.id);
}

#[test]
fn of_a_silent_board_its_probe_says_where_its_core_is() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // A branch to itself.
    let hangs = image_that_begins(BUILD, folder.path(), [0xfe, 0xe7, 0x00, 0xbf]);
    let limit = Duration::from_secs(1);
    let error = Dut::start(&Slot::Qemu, &hangs, limit, &Interrupt::default()).err().unwrap();
    compare("probe-silence", error, &[]);
}

/// There is nothing left to look at, and no probe to plug in again.
#[test]
fn of_an_emulator_that_ended_it_is_said_how() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let hangs = image_that_begins(BUILD, folder.path(), [0xfe, 0xe7, 0x00, 0xbf]);
    let limit = Duration::from_secs(60);
    let error = std::thread::scope(|scope| {
        let started =
            scope.spawn(|| Dut::start(&Slot::Qemu, &hangs, limit, &Interrupt::default()).err());
        // Loading takes a tenth of that; whoever has taken this much runs in a circle.
        let id = common::until("the image runs", 60, || {
            let running = common::boards(&hangs.path);
            running
                .into_iter()
                .find(|id| common::processor_time(*id) > Some(Duration::from_secs(1)))
        });
        common::signal(id, rustix::process::Signal::KILL);
        started.join().unwrap().unwrap()
    });
    // What the emulator itself said before depends on its version.
    let message = error.to_string();
    assert!(message.contains("(signal: 9 (SIGKILL))"), "{message}");
    assert!(!message.contains("plug it in"), "{message}");
}

#[test]
fn a_core_that_is_not_let_go_is_told() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let bench = Bench::new();
    let mut debugger = bench.attach().unwrap();
    debugger.start_from_ram(&image(Kind::Qemu, BUILD).path).unwrap();
    bench.board().trouble(Trouble::PowerLost { after: 0 });
    let error = debugger.detach().unwrap_err();
    assert_eq!((error.class(), error.stage), (Class::Infrastructure, Stage::Release));
    compare("probe-release", bench.shown(&error), &[]);
}

#[test]
fn a_slow_probe_is_slow_and_nothing_else() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let bench = Bench::new();
    bench.board().trouble(Trouble::Slow(Duration::from_millis(1)));
    assert_eq!(bench.flash(&small(AT)).unwrap(), Flashed::Written { bytes: 5000 });
}
