//! The debug probe as the line to a board: cells over RTT, on the emulated board.
//!
//! ```text
//! session --frames--> Link --> Rtt --> virtual probe --> rings in the emulator's memory --> DUT
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are test code"
)]

mod common;

use common::bench::{BUILD, Bench as Emulator};
use common::{brokers, can_run, compare, images, job, run, until};
use reports::record::CellRecord;
use rig::bench::Bench;
use rig::board::{Attached, BoardError, Dut, Kind, Limits, Slot, attached};
use rig::command::{self, LogLines};
use rig::deadline::{Deadline, Interrupt};
use rig::firmware::{Builder, Image, Target};
use rig::link::LinkError;
use rig::probe::emulated::Trouble;
use rig::project::Project;
use rig::run::{SEED, Workshop};
use rig::session::{self, Finished};
use std::fs;
use std::time::{Duration, Instant};
use suites::outcome::{Outcome, OutcomeKind};

const CELL: &str = "mbedtls-2.4.0/rsa-16384+default/tls12-rsa-plain";

/// A board of a bench whose probe is the emulated board's, named as one on USB is.
fn slot(emulator: &Emulator, more: &str) -> Slot {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bench.toml");
    let probe = emulator.board().probe();
    let entry = format!("[boards.desk-1]\nkind = 'qemu'\nprobe = '{probe}'\nlink = 'rtt'\n{more}");
    fs::write(&file, entry).unwrap();
    let board = Bench::load(&file).unwrap().boards.remove(0);
    Slot::Attached(Box::new(Attached { board, algorithm: None }))
}

fn image(target: Target) -> Image {
    let project = Project::find().unwrap();
    let builder = Builder::new(project.root(), &project.cache());
    builder.image(&BUILD.parse().unwrap(), target, &mut |_| {}).unwrap()
}

fn start(slot: &Slot, image: &Image) -> Dut {
    Dut::start(slot, image, slot.limits().boot, &Interrupt::default()).unwrap()
}

/// One cell with the whole log.
fn cell(dut: &mut Dut, slot: &Slot) -> (Finished, Outcome) {
    let (job, brokers) = (job(CELL), brokers());
    let broker = brokers.start(&job.broker).unwrap();
    let prepared = command::prepare(&job, &brokers, &broker, SEED, slot.log_lines()).unwrap();
    let (name, limit) = (slot.name().name, slot.limits().cell);
    let interrupt = Interrupt::default();
    let command = prepared.command();
    let finished =
        session::run(&mut dut.link, &name, &command, broker.address(), limit, &interrupt);
    let outcome = reports::judge(&finished.transcript);
    (finished, outcome)
}

/// Bytes a second over the whole cell, the client's computing included.
fn rate(finished: &Finished) -> f64 {
    finished.carried as f64 / finished.wall.as_secs_f64()
}

#[test]
fn a_cell_over_rtt_ends_as_over_the_serial_line_and_is_faster_than_the_on_board_port() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let serial = Slot::Qemu;
    let (by_serial, expected) = cell(&mut start(&serial, &image(Target::Mps2An385)), &serial);
    assert_eq!(expected.result, OutcomeKind::Connected, "{expected:?}");

    let emulator = Emulator::new();
    let slot = slot(&emulator, "");
    assert_eq!(slot.log_lines(), LogLines::All);
    let image = image(slot.target());
    let mut dut = start(&slot, &image);
    let (by_rtt, outcome) = cell(&mut dut, &slot);
    assert_eq!(outcome, expected);
    assert!(by_rtt.usable);
    // A millisecond for each operation, a block counting as one: USB at full speed has packets of 64
    // bytes in that time, so that a real probe may be slower on long blocks.
    emulator.board().trouble(Trouble::Slow(Duration::from_millis(1)));
    let (by_slow_rtt, outcome) = cell(&mut dut, &slot);
    assert_eq!(outcome, expected);
    for (line, finished) in [("socket", &by_serial), ("rtt", &by_rtt), ("slow rtt", &by_slow_rtt)] {
        let (bytes, seconds) = (finished.carried, finished.wall.as_secs_f32());
        let compute = finished.transcript.result().unwrap().compute;
        let rate = rate(finished);
        eprintln!(
            "{line}: {bytes} bytes in {seconds:.2} s, {rate:.0} bytes/s; {compute} instructions"
        );
        // 38400 baud, ten bits to a byte.
        assert!(rate > 3840.0);
        // The line is no part of what is counted: as close as two runs over one line.
        let of_serial = by_serial.transcript.result().unwrap().compute;
        assert!(compute.abs_diff(of_serial) * 1000 < of_serial, "{compute}, {of_serial}");
    }
}

#[test]
fn a_board_that_runs_the_image_is_asked_through_its_probe_and_left_as_it_is() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let emulator = Emulator::new();
    let (slot, interrupt) = (slot(&emulator, ""), Interrupt::default());
    let image = image(slot.target());
    let runs = || attached::already_runs(&slot, &image, &interrupt).unwrap();
    assert!(!runs(), "an empty memory");
    let dut = start(&slot, &image);
    assert_eq!(dut.identity.image, image.id);
    drop(dut);
    assert!(runs(), "the line was closed, and the core runs on");
    assert!(runs(), "asking changes nothing");
    // Loaded once more over a control block that the first run has left.
    let limit = slot.limits().boot;
    let dut = Dut::start_by(slot.rungs()[0], &slot, &image, limit, &interrupt).unwrap();
    assert_eq!(dut.identity.image, image.id);
}

#[test]
fn a_wait_ends_at_its_deadline_and_at_ctrl_c() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let emulator = Emulator::new();
    let (slot, interrupt) = (slot(&emulator, ""), Interrupt::default());
    let limit = slot.limits().boot;
    let mut dut = Dut::start(&slot, &image(slot.target()), limit, &interrupt).unwrap();
    let timed_out = dut.link.next(Deadline::after(Duration::from_millis(50)));
    assert!(matches!(timed_out, Err(LinkError::TimedOut(_))), "{timed_out:?}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| dut.link.next(Deadline::after(Duration::from_secs(60))));
        interrupt.request();
        let began = Instant::now();
        assert!(matches!(waiting.join().unwrap(), Err(LinkError::Interrupted)));
        assert!(began.elapsed() < Duration::from_secs(10));
    });
}

#[test]
fn an_image_without_rtt_is_refused_with_what_to_do() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let emulator = Emulator::new();
    let (slot, image) = (slot(&emulator, ""), image(Target::Mps2An385));
    let limit = slot.limits().boot;
    let error = Dut::start(&slot, &image, limit, &Interrupt::default()).err().unwrap();
    assert!(matches!(error, BoardError::Refused { .. }));
    compare("rtt_without", &error, &[]);
}

/// Three cells, with the probe pulled out in the second; `replug` is at work beside them.
fn run_unplugged(emulator: &Emulator, slot: &Slot, replug: impl Fn() + Send) -> Vec<CellRecord> {
    let images = images([image(slot.target())]);
    let (brokers, interrupt) = (brokers(), Interrupt::default());
    let workshop = Workshop {
        limits: Limits { cell: Duration::from_secs(20), ..slot.limits() },
        log_lines: slot.log_lines(),
        images: &images,
        brokers: &brokers,
        seed: SEED,
        interrupt: &interrupt,
    };
    let mut done = 0;
    std::thread::scope(|scope| {
        scope.spawn(replug);
        let cells = run(&workshop, vec![job(CELL); 3], vec![slot.clone()], |_| {
            done += 1;
            if done == 1 {
                // A cell takes thousands of operations.
                emulator.board().trouble(Trouble::Unplugged { after: 500 });
            }
        });
        cells.into_iter().map(|cell| cell.record).collect()
    })
}

/// The sentence without what differs between two runs: how far the cell was, and the probe.
fn shown(emulator: &Emulator, text: &str) -> String {
    let serial = emulator.board().probe();
    let text = text.replace(serial.rsplit(':').next().unwrap(), "[serial]");
    match (text.find(", after phase "), text.find(": carrying")) {
        (Some(from), Some(to)) if from < to => {
            format!("{}, [position]{}", &text[..from], &text[to..])
        }
        _ => text,
    }
}

#[test]
fn a_probe_pulled_out_in_mid_cell_is_a_fault_of_the_rig_and_the_ladder_recovers() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let emulator = Emulator::new();
    // Whoever gives the power back leaves a note; the thread is who plugs the probe in again.
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("power");
    let script =
        format!("touch {note}; while [ -e {note} ]; do sleep 0.01; done", note = note.display());
    let slot = slot(&emulator, &format!("power = ['sh', '-c', '{script}']\n"));
    let cells = run_unplugged(&emulator, &slot, || {
        until("the power command", 60, || note.exists().then_some(()));
        emulator.board().mend().unwrap();
        fs::remove_file(&note).unwrap();
    });
    let results: Vec<_> = cells.iter().map(|cell| cell.outcome.result).collect();
    assert_eq!(results, [OutcomeKind::Connected; 3], "{cells:?}");
    let again: Vec<_> = cells.iter().filter(|cell| cell.tries == 2).collect();
    let [again] = again[..] else { panic!("one cell was run twice: {cells:?}") };
    let recovery = again.recovery.as_ref().unwrap();
    let steps: Vec<_> =
        recovery.steps.iter().map(|step| (step.step.as_str(), step.failed.is_none())).collect();
    assert_eq!(steps, [("reset", false), ("full_reset", false), ("power", true)], "{recovery:?}");
    compare("rtt_unplugged", shown(&emulator, &recovery.why), &[]);
}

#[test]
fn a_probe_that_stays_away_gives_faults_and_never_a_failure_of_the_device() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let emulator = Emulator::new();
    let slot = slot(&emulator, "");
    let cells = run_unplugged(&emulator, &slot, || {});
    let results: Vec<_> = cells.iter().map(|cell| cell.outcome.result).collect();
    let (first, rest) = results.split_first().unwrap();
    assert_eq!(*first, OutcomeKind::Connected);
    assert_eq!(rest, [OutcomeKind::RigFault; 2], "{cells:?}");
    compare("rtt_stays_away", shown(&emulator, cells[1].note.as_ref().unwrap()), &[]);
}
