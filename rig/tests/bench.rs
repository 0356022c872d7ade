//! A bench with boards on it: emulators that run by themselves, so that they live on when a rig is
//! killed, as real boards do.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are test code"
)]

mod common;

use common::bench::{BUILD, image_that_begins};
use common::{
    Checkout, Seen, brokers, can_run, compare, image, images, job, signal, until, workshop,
};
use rig::bench::Bench;
use rig::board::{Attached, Dut, Kind, Limits, Slot, qemu};
use rig::deadline::Interrupt;
use rig::plan::Job;
use rig::run::RunEvent;
use rustix::process::Signal;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use suites::{CellId, OutcomeKind};

const CELL: &str = "mbedtls-2.4.0/rsa-16384+default/tls12-rsa-plain";

const SOCKETS: [&str; 4] = ["gdb.sock", "qtest.sock", "uart.sock", "control.sock"];

/// An emulator with its sockets in a folder of the checkout; ends with this.
struct Emulator {
    process: Child,
    folder: PathBuf,
}

impl Emulator {
    fn start(checkout: &Checkout, name: &str) -> Self {
        let folder = checkout.path(name);
        fs::create_dir_all(&folder).unwrap();
        Self::start_in(folder)
    }

    fn start_in(folder: PathBuf) -> Self {
        let control = "unix:control.sock,server=on,wait=off";
        let process = qemu::standalone(&folder)
            .args(["-qmp", control])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let emulator = Self { process, folder };
        // The last socket that it opens is there when all are.
        until("the emulator's sockets", 20, || {
            SOCKETS.iter().all(|name| emulator.folder.join(name).exists()).then_some(())
        });
        emulator
    }

    /// Stops its processor, as a board that hangs.
    fn hang(&self) {
        let mut control = UnixStream::connect(self.folder.join("control.sock")).unwrap();
        for command in ["qmp_capabilities", "stop"] {
            writeln!(control, "{{\"execute\": \"{command}\"}}").unwrap();
        }
        let mut said = BufReader::new(control);
        let mut line = String::new();
        while !line.contains("STOP") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "the emulator is gone");
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A checkout with a bench of one emulated board, `desk-1`.
fn desk() -> (Checkout, Emulator) {
    let checkout = Checkout::new();
    let emulator = Emulator::start(&checkout, "board-1");
    fs::write(
        checkout.path("bench.toml"),
        "[boards.desk-1]\nkind = 'qemu'\nemulator = 'board-1'\ntags = ['left']\n",
    )
    .unwrap();
    (checkout, emulator)
}

/// Runs a command with a data folder of the checkout's own.
fn rig(checkout: &Checkout, line: &str) -> Seen {
    command(checkout, line).output().unwrap().into()
}

fn command(checkout: &Checkout, line: &str) -> std::process::Command {
    let mut command = checkout.command(line);
    command.env("XDG_DATA_HOME", checkout.path("data"));
    command
}

fn json(seen: &Seen) -> serde_json::Value {
    assert_eq!(seen.code, Some(0), "{seen}");
    serde_json::from_str(&seen.stdout).unwrap()
}

#[test]
fn a_build_is_loaded_once_and_the_board_says_hello() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (checkout, _emulator) = desk();
    let line = format!("flash desk-1 {BUILD} --format json");
    let first = json(&rig(&checkout, &line));
    assert_eq!((&first["into"], &first["already_running"]), (&"ram".into(), &false.into()));
    assert_eq!(first["library"], "mbed TLS 2.4.0");
    common::check("flash", &first);
    let second = json(&rig(&checkout, &line));
    assert_eq!(second["already_running"], true);
    // The other build takes its place.
    let other = json(&rig(&checkout, "flash desk-1 mbedtls-2.4.0/rsa-4096 --format json"));
    assert_eq!(other["already_running"], false);
}

#[test]
fn flash_is_written_after_a_copy_was_kept_and_only_if_it_has_to() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (checkout, _emulator) = desk();
    let line = format!("flash desk-1 {BUILD} --into flash");
    let refused = rig(&checkout, &line);
    assert_eq!(refused.code, Some(2));
    checkout.compare("flash_without_a_copy", &refused);
    let copy = json(&rig(&checkout, "backup desk-1 --format json"));
    assert_eq!(copy["bytes"], 4 * 1024 * 1024);
    common::check("backup", &copy);
    let first = json(&rig(&checkout, &format!("{line} --format json")));
    assert!(first["written"].as_u64().unwrap() > 50_000, "{first}");
    common::check("flash", &first);
    let second = json(&rig(&checkout, &format!("{line} --format json")));
    assert_eq!(second["written"], 0);
    // A run finds the board as it wants it.
    let seen = rig(&checkout, "run smoke --board desk-1 --accept --out made");
    assert_eq!(seen.code, Some(0), "{seen}");
    let cells = reports::record::read_cells(&checkout.path("made")).unwrap();
    assert!(cells.iter().all(|cell| cell.board.name == "desk-1" && cell.board.kind == "qemu"));
}

/// The board lives on, half written; the next rig gets it and repairs it.
#[test]
fn a_rig_that_is_killed_in_mid_flash_leaves_a_board_that_the_next_one_repairs() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (checkout, _emulator) = desk();
    assert_eq!(rig(&checkout, "backup desk-1").code, Some(0));
    let line = format!("flash desk-1 {BUILD} --into flash --format json");
    let mut victim = command(&checkout, &line).spawn().unwrap();
    let mut words = BufReader::new(victim.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("programming the flash") {
        assert!(words.read_line(&mut said).unwrap() > 0, "it ended before it wrote: {said}");
    }
    signal(victim.id(), Signal::KILL);
    victim.wait().unwrap();
    let began = Instant::now();
    let repaired = json(&rig(&checkout, &line));
    assert!(repaired["written"].as_u64().unwrap() > 50_000, "{repaired}");
    // The lock was free at once: else this would have been refused, after its patience.
    assert!(began.elapsed() < Duration::from_secs(60));
}

/// As a probe that is pulled out: the command says which board and in which step, the fault is the
/// rig's, and the next command recovers.
#[test]
fn a_board_that_goes_away_in_mid_flash_is_exit_code_3() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (checkout, emulator) = desk();
    assert_eq!(rig(&checkout, "backup desk-1").code, Some(0));
    let line = format!("flash desk-1 {BUILD} --into flash");
    let mut flashing = command(&checkout, &line).spawn().unwrap();
    let mut words = BufReader::new(flashing.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("programming the flash") {
        assert!(words.read_line(&mut said).unwrap() > 0, "it ended before it wrote: {said}");
    }
    let folder = emulator.folder.clone();
    drop(emulator);
    words.read_to_string(&mut said).unwrap();
    assert_eq!(flashing.wait().unwrap().code(), Some(3), "{said}");
    let last = said.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(last.starts_with("error: board desk-1: programming the flash failed: "), "{last}");
    for socket in SOCKETS {
        fs::remove_file(folder.join(socket)).unwrap();
    }
    let _emulator = Emulator::start_in(folder);
    let seen = rig(&checkout, &line);
    assert_eq!(seen.code, Some(0), "{seen}");
    assert!(seen.stdout.contains("bytes were written to its flash and verified"), "{seen}");
}

#[test]
fn a_board_in_use_is_refused_with_its_owner() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (checkout, _emulator) = desk();
    let bench = Bench::load(&checkout.path("bench.toml")).unwrap();
    let _lock = rig::bench::lock::Lock::take(&bench.boards[0]).unwrap();
    let seen = rig(&checkout, &format!("flash desk-1 {BUILD}"));
    assert_eq!(seen.code, Some(3), "{seen}");
    let owner = format!("board desk-1 is in use by rig, process {}, since", std::process::id());
    assert!(seen.stderr.contains(&owner), "{seen}");
}

#[test]
fn what_is_on_the_bench_is_listed_and_looked_at() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (checkout, emulator) = desk();
    let listed = json(&rig(&checkout, "list boards --format json"));
    assert_eq!(listed["bench"][0]["name"], "desk-1");
    assert_eq!(listed["bench"][0]["plugged_in"], true);
    common::check("boards", &listed);
    common::check("doctor-board", &json(&rig(&checkout, "doctor --board desk-1 --format json")));
    let looked = rig(&checkout, "doctor --board desk-1");
    assert_eq!(looked.code, Some(0), "{looked}");
    checkout.compare("doctor_board", &looked);
    drop(emulator);
    let looked = rig(&checkout, "doctor --board desk-1");
    assert_eq!(looked.code, Some(3), "{looked}");
    checkout.compare("doctor_board_gone", &looked);
}

#[test]
fn a_run_goes_through_the_probe_alone_where_the_bench_says_so() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (checkout, emulator) = desk();
    let mut bench = fs::read_to_string(checkout.path("bench.toml")).unwrap();
    bench.push_str("link = 'rtt'\n");
    fs::write(checkout.path("bench.toml"), bench).unwrap();
    let over_the_port = rig(&checkout, "run smoke --board qemu --accept --out port");
    assert_eq!(over_the_port.code, Some(0), "{over_the_port}");
    // Not there any more, and not missed.
    fs::remove_file(emulator.folder.join("uart.sock")).unwrap();
    // Against the snapshots of the other line, figures included.
    let seen = rig(&checkout, "run smoke --board desk-1 --out probe");
    assert_eq!(seen.code, Some(0), "{seen}");
    let line = format!("flash desk-1 {BUILD} --format json");
    assert_eq!(json(&rig(&checkout, &line))["library"], "mbed TLS 2.4.0");
    assert_eq!(json(&rig(&checkout, &line))["already_running"], true);
    let looked = rig(&checkout, "doctor --board desk-1");
    assert!(looked.stdout.contains("the probe carries the frames"), "{looked}");
}

#[test]
fn names_that_are_no_boards_are_refused() {
    let checkout = Checkout::new();
    let entry = "[boards.desk-1]\nkind = 'ameba1'\nprobe = '0d28:0204:none'\ntags = ['left']\n";
    fs::write(checkout.path("bench.toml"), entry).unwrap();
    let said: String = [
        "run smoke --board desk-2",
        "run smoke --board tag:lefd",
        "run smoke --board desk-1 --board native",
        "flash desk-3 mbedtls-2.4.0/rsa-4096",
        "flash desk-1 mbedtls-2.4.0/rsa-4097",
        "doctor --board desk",
    ]
    .iter()
    .map(|line| {
        let seen = rig(&checkout, line);
        assert_eq!(seen.code, Some(2), "{line}: {seen}");
        format!("$ rig {line}\n{}", seen.stderr)
    })
    .collect();
    checkout.compare("no_such_board", said);
}

#[test]
fn a_bench_file_with_a_mistake_is_said_before_anything_starts() {
    let checkout = Checkout::new();
    fs::write(checkout.path("bench.toml"), "[boards.a]\nkind = 'ameba1'\nprob = 'x'\n").unwrap();
    let seen = rig(&checkout, "run smoke --board native --out made");
    assert_eq!(seen.code, Some(2), "{seen}");
    assert!(!checkout.path("made").exists());
    checkout.compare("bench_mistake", seen);
}

/// The board of a bench with one, as a slot.
fn slot(checkout: &Checkout, name: &str) -> Slot {
    let bench = Bench::load(&checkout.path("bench.toml")).unwrap();
    let board = bench.board(name).unwrap().clone();
    Slot::Attached(Box::new(Attached { board, algorithm: None }))
}

/// Time for a cell, so short that nobody has to wait for one that hangs.
const SHORT: Limits = Limits {
    boot: Duration::from_secs(10),
    cell: Duration::from_secs(4),
    account: Duration::from_secs(5),
};

#[test]
fn a_board_that_hangs_is_reset_by_its_probe_and_its_cell_is_run_again() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (checkout, emulator) = desk();
    let images = images([image(Kind::Qemu, BUILD)]);
    let (brokers, interrupt) = (brokers(), Interrupt::default());
    let shop = workshop(SHORT, &images, &brokers, &interrupt);
    let mut started = 0;
    let mut cells = Vec::new();
    rig::run::run(&shop, vec![job(CELL); 3], vec![slot(&checkout, "desk-1")], |event| {
        match event {
            // The first cell has brought the board up; the second one meets a board that hangs.
            RunEvent::Started(_) => started += 1,
            RunEvent::Finished(cell) => {
                if cells.is_empty() {
                    emulator.hang();
                }
                cells.push(cell.record);
            }
            RunEvent::OutOfService { why, .. } => panic!("{why}"),
        }
    });
    assert_eq!((started, cells.len()), (3, 3));
    for cell in &cells {
        assert_eq!(cell.outcome.result, OutcomeKind::Connected, "{cell:?}");
    }
    let again = cells.iter().find(|cell| cell.tries == 2).expect("one cell was run twice");
    let recovery = again.recovery.as_ref().unwrap();
    let steps: Vec<_> =
        recovery.steps.iter().map(|step| (step.step.as_str(), step.failed.is_none())).collect();
    assert_eq!(steps, [("abort", false), ("reset", true)], "{recovery:?}");
}

#[test]
fn a_board_that_says_nothing_is_looked_at_by_its_probe() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (checkout, _emulator) = desk();
    // A branch to itself.
    let hangs = image_that_begins(BUILD, &checkout.path(""), [0xfe, 0xe7, 0x00, 0xbf]);
    let (limit, interrupt) = (Duration::from_secs(1), Interrupt::default());
    let error = Dut::start(&slot(&checkout, "desk-1"), &hangs, limit, &interrupt).err().unwrap();
    checkout.compare("board_says_nothing", error);
}

#[test]
fn cells_of_a_board_that_is_out_of_service_are_taken_by_another_one() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (checkout, first) = desk();
    let _second = Emulator::start(&checkout, "board-2");
    let mut bench = fs::read_to_string(checkout.path("bench.toml")).unwrap();
    bench.push_str("[boards.desk-2]\nkind = 'qemu'\nemulator = 'board-2'\n");
    fs::write(checkout.path("bench.toml"), bench).unwrap();
    let images = images([image(Kind::Qemu, BUILD)]);
    let (brokers, interrupt) = (brokers(), Interrupt::default());
    let shop = workshop(Kind::Qemu.limits(), &images, &brokers, &interrupt);
    let slots = vec![slot(&checkout, "desk-1"), slot(&checkout, "desk-2")];
    let mut lost = Vec::new();
    let mut cells = Vec::new();
    let mut first = Some(first);
    // Two boards at one broker: each cell has a name of its own in MQTT, so it must be another cell.
    let jobs = (0..8).map(|number| {
        let job = job(CELL);
        let broker = format!("{}-{number}", job.cell.broker);
        Job { cell: CellId { broker, ..job.cell.clone() }, ..job }
    });
    rig::run::run(&shop, jobs.collect(), slots, |event| match event {
        RunEvent::Started(_) => {}
        RunEvent::Finished(cell) => {
            if cell.record.board.name == "desk-1" {
                // For good: its emulator ends.
                first = None;
            }
            cells.push(cell.record);
        }
        RunEvent::OutOfService { board, why, .. } => lost.push((board, why)),
    });
    assert_eq!(cells.len(), 8, "every cell has a result");
    for cell in &cells {
        assert_eq!(cell.outcome.result, OutcomeKind::Connected, "{cell:?}");
    }
    assert!(first.is_none());
    assert_eq!(lost.iter().map(|(board, _)| board.as_str()).collect::<Vec<_>>(), ["desk-1"]);
    compare("out_of_service", &lost[0].1, &[&fs::canonicalize(checkout.path("")).unwrap()]);
}

#[test]
fn a_bench_whose_only_board_dies_gives_faults_and_never_a_failure_of_the_device() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (checkout, emulator) = desk();
    let mut rig = command(&checkout, "run smoke --board desk-1 --out made").spawn().unwrap();
    // It has the board when the first cell is done.
    let cells = checkout.path("made/cells.jsonl");
    until("the first cell", 60, || {
        let text = fs::read(&cells).unwrap_or_default();
        text.contains(&b'\n').then_some(())
    });
    drop(emulator);
    let mut said = String::new();
    rig.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    // With luck for it, the second cell was faster.
    let code = rig.wait().unwrap().code();
    let cells = reports::record::read_cells(&checkout.path("made")).unwrap();
    let ends: Vec<_> = cells.iter().map(|cell| cell.outcome.result).collect();
    match ends[..] {
        [_, OutcomeKind::RigFault] => assert_eq!(code, Some(3), "{said}"),
        [_, _] => assert!(!ends.contains(&OutcomeKind::TimedOut), "{ends:?}"),
        _ => panic!("{ends:?}"),
    }
}

#[test]
fn a_power_command_brings_back_what_a_probe_cannot() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (checkout, emulator) = desk();
    // Whoever switches the power leaves a note; this thread is the power supply.
    let note = checkout.path("power");
    let mut bench = fs::read_to_string(checkout.path("bench.toml")).unwrap();
    let script =
        format!("touch {note}; while [ -e {note} ]; do sleep 0.01; done", note = note.display());
    bench.push_str(&format!("power = ['sh', '-c', '{script}']\n"));
    fs::write(checkout.path("bench.toml"), bench).unwrap();
    let images = images([image(Kind::Qemu, BUILD)]);
    let (brokers, interrupt) = (brokers(), Interrupt::default());
    let shop = workshop(Kind::Qemu.limits(), &images, &brokers, &interrupt);
    let folder = emulator.folder.clone();
    let mut emulator = Some(emulator);
    let mut cells = Vec::new();
    std::thread::scope(|scope| {
        let supply = scope.spawn(|| {
            until("the power command", 60, || note.exists().then_some(()));
            // The board may be asked for before all of the old one is gone.
            let gone = || SOCKETS.iter().all(|socket| !folder.join(socket).exists());
            until("the old board's end", 60, || gone().then_some(()));
            let revived = Emulator::start_in(folder.clone());
            fs::remove_file(&note).unwrap();
            revived
        });
        let jobs = vec![job(CELL); 2];
        rig::run::run(&shop, jobs, vec![slot(&checkout, "desk-1")], |event| {
            if let RunEvent::Finished(cell) = event {
                if let Some(emulator) = emulator.take() {
                    let folder = emulator.folder.clone();
                    drop(emulator);
                    for socket in SOCKETS {
                        fs::remove_file(folder.join(socket)).unwrap();
                    }
                }
                cells.push(cell.record);
            }
        });
        drop(supply.join().unwrap());
    });
    let results: Vec<_> = cells.iter().map(|cell| cell.outcome.result).collect();
    assert_eq!(results, [OutcomeKind::Connected; 2], "{cells:?}");
    let steps: Vec<_> = cells
        .iter()
        .flat_map(|cell| &cell.recovery)
        .flat_map(|recovery| &recovery.steps)
        .map(|step| (step.step.as_str(), step.failed.is_none()))
        .collect();
    assert_eq!(steps, [("reset", false), ("full_reset", false), ("power", true)], "{cells:#?}");
}
