//! The path from a probe to a running image, on the emulated board: by the code that drives a real
//! probe.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are test code"
)]

mod common;

use common::bench::{
    AT, BUILD, Bench, CORTEX_M4, RTL8195A, algorithm, hello, identity, large, small,
};
use common::{can_run, compare, image};
use rig::board::{Dut, Kind, Slot, qemu};
use rig::deadline::{Deadline, Interrupt};
use rig::firmware::Chip;
use rig::probe::emulated::{EmulatedBoard, Trouble};
use rig::probe::{Class, Debugger, FlashImage, Flashed, Progress, Reset, Stage, Wiring, discover};
use std::os::unix::net::UnixStream;
use std::time::Duration;

#[test]
fn a_real_build_is_loaded_and_says_hello() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let image = image(Kind::Qemu, BUILD);
    let dut =
        Dut::start(&Slot::Qemu, &image, Kind::Qemu.limits().boot, &Interrupt::default()).unwrap();
    assert_eq!(dut.identity.image, image.id);
    let probe = dut.process().unwrap().emulated().unwrap().probe();
    let serial = probe.rsplit(':').next().unwrap();
    let found = discover();
    assert!(found.iter().any(|found| found.serial.as_deref() == Some(serial)), "{found:?}");
}

#[test]
fn a_running_dut_is_started_anew_through_its_probe() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let image = image(Kind::Qemu, BUILD);
    let limit = Kind::Qemu.limits().boot;
    let mut dut = Dut::start(&Slot::Qemu, &image, limit, &Interrupt::default()).unwrap();
    let wiring = qemu::wiring(dut.process().unwrap().emulated().unwrap());
    let mut debugger = Debugger::attach("qemu", &wiring).unwrap();
    // Halted: it does not answer.
    dut.link.renew_token();
    dut.link.send(&wire::Command::Identify).unwrap();
    assert!(dut.link.next(Deadline::after(Duration::from_millis(200))).is_err());
    debugger.start_from_ram(&image.path).unwrap();
    debugger.detach().unwrap();
    assert_eq!(identity(&mut dut.link), image.id);
}

#[test]
fn a_real_build_is_flashed_and_says_hello() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (bench, image) = (Bench::new(), image(Kind::Qemu, BUILD));
    let mut debugger = bench.attach().unwrap();
    let content = FlashImage::from_elf(&image.path).unwrap();
    let done = debugger.flash(&algorithm(Chip::Mps2An385), &content, &mut |_| {}).unwrap();
    assert_eq!(done, Flashed::Written { bytes: content.bytes() });
    debugger.start_from_flash().unwrap();
    debugger.detach().unwrap();
    assert_eq!(hello(bench.line), image.id);
}

#[test]
fn flash_is_written_once_and_then_found_to_be_there() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (bench, image) = (Bench::new(), large());
    let size = image.bytes();
    let mut debugger = bench.attach().unwrap();
    let mut steps: Vec<Progress> = Vec::new();
    let algorithm = algorithm(Chip::Mps2An385);
    let written = debugger.flash(&algorithm, &image, &mut |step| steps.push(step)).unwrap();
    assert_eq!(written, Flashed::Written { bytes: size });
    let last_of = |stage| steps.iter().rev().find(|step| step.stage == stage).copied();
    for stage in [Stage::Erase, Stage::Program, Stage::Verify] {
        assert_eq!(last_of(stage), Some(Progress { stage, done: size, total: size }));
    }
    let read = debugger.read(AT..AT + size as u32, &mut |_| {}).unwrap();
    assert_eq!(read, image.segments[0].1);
    let mut steps = Vec::new();
    let again = debugger.flash(&algorithm, &image, &mut |step| steps.push(step.stage)).unwrap();
    assert_eq!(again, Flashed::AlreadyThere);
    assert!(steps.iter().all(|stage| *stage == Stage::Compare), "{steps:?}");
}

#[test]
fn what_the_image_does_not_name_is_kept() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let bench = Bench::new();
    bench.flash(&large()).unwrap();
    let bytes = 100;
    let patch = FlashImage { segments: vec![(AT + 5000, vec![0xa5; bytes])] };
    bench.flash(&patch).unwrap();
    let mut expected = large().segments.remove(0).1;
    expected[5000..5000 + bytes].fill(0xa5);
    let mut debugger = bench.attach().unwrap();
    let end = AT + expected.len() as u32;
    assert!(debugger.read(AT..end, &mut |_| {}).unwrap() == expected);
}

#[test]
fn two_boards_are_flashed_side_by_side() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let benches = [Bench::new(), Bench::new()];
    std::thread::scope(|scope| {
        for (number, bench) in benches.iter().enumerate() {
            scope.spawn(move || bench.flash(&small(AT + number as u32 * 0x1000)).unwrap());
        }
    });
    for (number, bench) in benches.iter().enumerate() {
        let mut debugger = bench.attach().unwrap();
        let found = debugger.read(AT..AT + 4, &mut |_| {}).unwrap();
        assert_eq!(found, if number == 0 { [0x5a; 4] } else { [0; 4] });
    }
}

#[test]
fn the_wrong_chip_is_refused_before_anything_is_written() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let bench = Bench::new();
    bench.board().trouble(CORTEX_M4);
    let error = bench.flash(&small(AT)).unwrap_err();
    assert_eq!(error.class(), Class::Setup);
    let mut shown = vec![bench.shown(&error)];
    bench.board().mend().unwrap();
    let other = Wiring { chip: Chip::Rtl8195a, ..bench.wiring() };
    let error = Debugger::attach("left", &other).unwrap_err();
    assert_eq!(error.class(), Class::Setup);
    shown.push(bench.shown(&error));
    let mut debugger = bench.attach().unwrap();
    assert_eq!(debugger.read(AT..AT + 4, &mut |_| {}).unwrap(), [0; 4]);
    let error = debugger.flash(&algorithm(Chip::Rtl8195a), &small(AT), &mut |_| {}).unwrap_err();
    assert_eq!(error.class(), Class::Setup);
    shown.push(bench.shown(&error));
    compare("probe-wrong-chip", shown.join("\n"), &[]);
}

#[test]
fn what_must_not_be_written_is_refused() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let bench = Bench::new();
    bench.board().trouble(RTL8195A);
    let wiring = Wiring { chip: Chip::Rtl8195a, ..bench.wiring() };
    let mut debugger = Debugger::attach("left", &wiring).unwrap();
    let algorithm = algorithm(Chip::Rtl8195a);
    let mut refused = |image: FlashImage| {
        let error = debugger.flash(&algorithm, &image, &mut |_| {}).unwrap_err();
        assert_eq!(error.class(), Class::Setup);
        bench.shown(&error)
    };
    // 0x9800_8000 to 0x9800_afff: the first and the last byte, from both sides and from within.
    let byte = |address: u32| FlashImage { segments: vec![(address, vec![0])] };
    let mut shown = vec![refused(small(0x9800_7000)), refused(byte(0x9800_afff))];
    shown.push(refused(byte(0x9800_9000)));
    shown.push(refused(small(0x9820_0000 - 4096)));
    shown.push(refused(byte(0x1000_0000)));
    compare("probe-refused", shown.join("\n"), &[]);
}

#[test]
fn a_probe_is_named_by_its_serial_number_or_refused() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let bench = Bench::new();
    let full = bench.wiring();
    let serial = full.probe.rsplit(':').next().unwrap().to_owned();
    let first = Debugger::attach("left", &Wiring { probe: serial, ..full.clone() }).unwrap();
    let second = bench.attach().unwrap_err();
    assert_eq!(second.class(), Class::Infrastructure);
    let mut shown = vec![bench.shown(&second)];
    drop(first);
    for probe in ["1209:0001:nobody", "nobody", "not:a:probe", ""] {
        let wiring = Wiring { probe: probe.to_owned(), ..full.clone() };
        let error = Debugger::attach("left", &wiring).unwrap_err();
        assert_eq!(error.class(), Class::Setup);
        shown.push(error.to_string());
    }
    let error = Debugger::attach("left", &Wiring { speed_khz: 0, ..full }).unwrap_err();
    assert_eq!(error.class(), Class::Setup);
    shown.push(error.to_string());
    compare("probe-names", shown.join("\n"), &[]);
}

/// What the watchdog does is the chip's; here is shown that the rig is connected again afterwards.
#[test]
fn after_a_full_reset_there_is_a_new_connection_and_the_core_is_halted() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let bench = Bench::new();
    bench.board().trouble(RTL8195A);
    let wiring = Wiring { chip: Chip::Rtl8195a, ..bench.wiring() };
    let mut debugger = Debugger::attach("left", &wiring).unwrap();
    debugger.reset(Reset::Full).unwrap();
    const DHCSR: u32 = 0xe000_edf0;
    let state = debugger.read(DHCSR..DHCSR + 4, &mut |_| {}).unwrap();
    assert_eq!(state[2] & 2, 2, "halted: {state:x?}");
}

/// An emulator that is not the rig's: ended when the test is over.
struct Standalone(std::process::Child);

impl Drop for Standalone {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_board_that_runs_by_itself_outlives_who_flashes_it() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let _emulator = Standalone(qemu::standalone(folder.path()).spawn().unwrap());
    let limit = || Deadline::after(Duration::from_secs(20));
    let connect = || EmulatedBoard::connect(folder.path(), "alone", limit(), || false).unwrap();
    let build = image(Kind::Qemu, BUILD);
    let content = FlashImage::from_elf(&build.path).unwrap();
    let algorithm = algorithm(Chip::Mps2An385);
    let first = connect();
    let mut pull = |step: Progress| {
        if step.stage == Stage::Program && step.done > step.total / 2 {
            first.trouble(Trouble::Unplugged { after: 0 });
        }
    };
    let wiring = qemu::wiring(&first);
    let mut debugger = Debugger::attach("left", &wiring).unwrap();
    debugger.flash(&algorithm, &content, &mut pull).unwrap_err();
    // The sockets are closed here, wherever they were, as by a signal that ends the rig.
    drop((debugger, first));
    let _second = connect();
    let mut debugger = Debugger::attach("left", &wiring).unwrap();
    let done = debugger.flash(&algorithm, &content, &mut |_| {}).unwrap();
    assert_eq!(done, Flashed::Written { bytes: content.bytes() });
    debugger.start_from_flash().unwrap();
    debugger.detach().unwrap();
    let line = folder.path().join(rig::probe::emulated::UART_SOCKET);
    assert_eq!(hello(UnixStream::connect(line).unwrap()), build.id);
}
