//! What breaks on the rig's side of the table: boards and brokers that are not what they should be.
//!
//! Each gives one message, none passes for an outcome of the client, and no other cell is lost.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use brokers::Broker;
use common::{
    Checkout, Seen, boards, brokers, children, compare, image, images, job, run, signal, workshop,
};
use common::{runs, stopped, until};
use reports::record::{Verdict, read_cells};
use rig::board::{BoardError, Dut, Kind, Limits, Slot};
use rig::command::{self, LogLines};
use rig::deadline::Interrupt;
use rig::firmware::Image;
use rig::plan::Job;
use rig::run::{SEED, with_account};
use rig::session::{self, Finished};
use rig::verdict::{Cell, conclude};
use rstest::{Context, rstest};
use rustix::process::Signal;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use suites::OutcomeKind::{Connected, RigFault, TimedOut};

const CELL: &str = "mbedtls-2.4.0/rsa-16384+default/tls12-rsa-plain";
const BUILD: &str = "mbedtls-2.4.0/rsa-16384";

/// Short, because here things do not come up and cells do not end.
const SHORT: Limits = Limits {
    boot: Duration::from_secs(1),
    cell: Duration::from_secs(3),
    account: Duration::from_millis(200),
};

/// A script in the place of an image.
fn script(name: &str, build: &str) -> Image {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boards").join(name);
    Image { build: build.parse().unwrap(), id: "0000000000000000".to_owned(), path }
}

/// Long, as on a busy machine a real board may take its time.
fn start(kind: Kind, image: &Image) -> Dut {
    Dut::start(&Slot::started(kind).unwrap(), image, kind.limits().boot, &Interrupt::default())
        .unwrap()
}

#[rstest]
#[case::board_prints_garbage("garbage.sh")]
#[case::board_exits("exits.sh")]
#[case::board_is_silent("silent.sh")]
fn a_board_does_not_say_who_it_is(#[context] context: Context, #[case] name: &str) {
    let image = script(name, BUILD);
    let error = Dut::start(&Slot::Native, &image, SHORT.boot, &Interrupt::default()).err().unwrap();
    // However much it prints, the beginning tells enough.
    let message = error.to_string();
    let shown = message.split_once(r"garbage\n").map_or(&*message, |(start, _)| start);
    assert!(message.len() < 500, "{message}");
    compare(context.description.unwrap(), shown, &[]);
    assert!(boards(&image.path).is_empty(), "no process is left");
}

#[test]
fn a_board_runs_another_image() {
    let image = Image { id: "0000000000000000".to_owned(), ..image(Kind::Native, BUILD) };
    let limit = Kind::Native.limits().boot;
    let error = Dut::start(&Slot::Native, &image, limit, &Interrupt::default()).err().unwrap();
    assert!(matches!(error, BoardError::OtherImage { .. }));
    compare("board_runs_another_image", error, &[]);
}

#[test]
fn a_bad_board_costs_its_own_cells_alone() {
    let other = "mbedtls-2.4.0/rsa-4096";
    let images = images([image(Kind::Native, BUILD), script("exits.sh", other)]);
    let (brokers, interrupt) = (brokers(), Interrupt::default());
    let limits = Limits { boot: SHORT.boot, ..Kind::Native.limits() };
    let kind = Kind::Native;
    let shop = workshop(limits, &images, &brokers, &interrupt);
    let bad = |broker: &str| job(&format!("{other}+default/{broker}"));
    let jobs = vec![bad("tls12-rsa-plain"), job(CELL), bad("hivemq-cloud-2021"), job(CELL)];
    let cells = run(&shop, jobs, vec![Slot::started(kind).unwrap()], |_| {});
    assert_eq!(cells.len(), 4);
    for cell in &cells {
        let bad = cell.record.build.as_str() == other;
        assert_eq!(cell.record.outcome.result, if bad { RigFault } else { Connected });
        assert_eq!(cell.record.verdict, if bad { Verdict::Fault } else { Verdict::New });
        if bad {
            compare("bad_board", cell.record.note.as_ref().unwrap(), &[]);
        }
    }
}

/// Runs one cell whose TLS bytes go to `address`.
fn cell_by(
    (kind, dut): (Kind, &mut Dut),
    limits: Limits,
    job: &Job,
    broker: &Broker,
    address: SocketAddr,
) -> Finished {
    let prepared = command::prepare(job, &brokers(), broker, SEED, LogLines::All).unwrap();
    let command = prepared.command();
    let (name, limit) = (kind.name(), limits.cell);
    session::run(&mut dut.link, name, &command, address, limit, &Interrupt::default())
}

/// Stands between client and broker. When the client's first bytes have come it calls `act`, and
/// passes them on only then: whatever `act` does happens in the middle of the handshake.
fn meddle(
    broker: SocketAddr,
    act: impl FnOnce() + Send + 'static,
) -> (SocketAddr, JoinHandle<io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let relay = thread::spawn(move || {
        let (mut client, _) = listener.accept()?;
        let mut first = vec![0; 4096];
        let length = client.read(&mut first)?;
        act();
        let mut broker = TcpStream::connect(broker)?;
        broker.write_all(&first[..length])?;
        let (mut from_broker, mut to_client) = (broker.try_clone()?, client.try_clone()?);
        let back = thread::spawn(move || {
            let copied = io::copy(&mut from_broker, &mut to_client);
            to_client.shutdown(Shutdown::Write).and(copied)
        });
        // An end that was reset is an end all the same.
        let _ = io::copy(&mut client, &mut broker);
        let _ = broker.shutdown(Shutdown::Write);
        let _ = back.join();
        Ok(())
    });
    (address, relay)
}

#[rstest]
fn a_board_hangs_or_dies_in_the_handshake(
    #[values(Kind::Native, Kind::Qemu)] kind: Kind,
    #[values(Signal::STOP, Signal::KILL)] blow: Signal,
) {
    if !common::can_run(kind) {
        return;
    }
    let (job, image) = (job(CELL), image(kind, BUILD));
    let broker = brokers().start(&job.broker).unwrap();
    let mut dut = start(kind, &image);
    let board = dut.process().unwrap().id();
    let (address, relay) = meddle(broker.address(), move || {
        signal(board, blow);
        until("the signal's effect", 10, || (stopped(board) || !runs(board)).then_some(()));
    });
    let finished = cell_by((kind, &mut dut), SHORT, &job, &broker, address);
    relay.join().unwrap().unwrap();
    assert!(!finished.usable && !finished.interrupted);
    drop(dut);
    assert!(!runs(board), "a board that hangs is ended, too");
    let Cell { record, .. } = conclude(&job, kind.board_name(), finished.transcript, None);
    let (result, name) = match blow {
        Signal::STOP => (TimedOut, "hangs"),
        _ => (RigFault, "dies"),
    };
    assert_eq!(record.outcome.result, result);
    assert_ne!(record.verdict, Verdict::Match);
    // The note on the last phase may still be under way when the board is hit.
    let note = record.note.unwrap().replace("phase hello_request", "phase client_hello");
    compare(&format!("{kind}_{name}_in_the_handshake"), note, &[]);

    let mut dut = start(kind, &image);
    let finished = cell_by((kind, &mut dut), kind.limits(), &job, &broker, broker.address());
    assert!(finished.usable);
    let Cell { record, .. } = conclude(&job, kind.board_name(), finished.transcript, None);
    assert_eq!(record.outcome.result, Connected, "the next cell is fine");
}

/// Wherever in its cell a board is hit: the cell is run again on a fresh one, and no result is lost.
#[rstest]
fn a_board_that_hangs_or_dies_costs_no_cell(#[values(Signal::STOP, Signal::KILL)] blow: Signal) {
    const CELLS: usize = 60;
    // Under a name of its own, so that no board of another test is hit.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board");
    let real = image(Kind::Native, BUILD);
    std::os::unix::fs::symlink(&real.path, &path).unwrap();
    let images = images([Image { path: path.clone(), ..real }]);
    let (brokers, interrupt) = (brokers(), Interrupt::default());
    let shop = workshop(
        Limits { cell: SHORT.cell, ..Kind::Native.limits() },
        &images,
        &brokers,
        &interrupt,
    );
    let mut first = None;
    let cells = run(&shop, vec![job(CELL); CELLS], vec![Slot::Native], |_| {
        if first.is_none() {
            let [board] = boards(&path)[..] else { return };
            signal(board, blow);
            first = Some(board);
        }
    });
    assert!(first.is_some_and(|board| !runs(board)));
    let results: Vec<_> = cells.iter().map(|cell| cell.record.outcome.result).collect();
    assert_eq!(results, [Connected; CELLS]);
    let again: Vec<_> = cells.iter().filter(|cell| cell.record.recovery.is_some()).collect();
    let [again] = &again[..] else { panic!("one cell met it: {again:?}") };
    assert_eq!(again.record.tries, 2);
    let steps = &again.record.recovery.as_ref().unwrap().steps;
    let names: Vec<_> = steps.iter().map(|step| (&*step.step, step.failed.is_none())).collect();
    match blow {
        // One that hangs is first asked to end its cell.
        Signal::STOP => assert_eq!(names, [("abort", false), ("restart", true)]),
        _ => assert_eq!(names, [("restart", true)]),
    }
}

#[test]
fn boards_that_die_again_and_again_are_exit_code_3_and_the_other_cells_are_recorded() {
    const CELLS: usize = 60;
    let checkout = Checkout::long(CELLS);
    let rig = checkout.under_way(Kind::Native, 1);
    let fault = || {
        let cells = read_cells(&checkout.path("made")).unwrap();
        cells.iter().any(|cell| cell.verdict == Verdict::Fault)
    };
    until("a cell that fails twice", 60, || {
        for board in children(rig.id()) {
            // It may have ended by itself in the meantime.
            let board = rustix::process::Pid::from_raw(i32::try_from(board).unwrap()).unwrap();
            let _ = rustix::process::kill_process(board, Signal::KILL);
        }
        fault().then_some(())
    });
    let seen = Seen::from(rig.wait_with_output().unwrap());
    assert_eq!(seen.code, Some(3), "{seen}");
    let mut said = seen.stderr.lines().filter(|line| line.contains("(fault of the rig)"));
    assert!(said.all(|line| line.contains("board native ")), "{seen}");
    let cells = read_cells(&checkout.path("made")).unwrap();
    assert_eq!(cells.len(), CELLS);
    let others = cells.iter().filter(|cell| cell.verdict != Verdict::Fault);
    assert!(others.clone().count() > 0, "{seen}");
    assert!(others.clone().all(|cell| cell.outcome.result == Connected), "{seen}");
}

#[test]
fn a_broker_is_gone_before_the_cell() {
    let (job, kind) = (job(CELL), Kind::Native);
    let brokers = brokers();
    let (gone, broker) = (brokers.start(&job.broker).unwrap(), brokers.start(&job.broker).unwrap());
    let address = gone.address();
    drop(gone);
    let mut dut = start(kind, &image(kind, BUILD));
    let finished = cell_by((kind, &mut dut), kind.limits(), &job, &broker, address);
    let Cell { record, .. } = conclude(&job, kind.board_name(), finished.transcript, None);
    assert_eq!((record.outcome.result, record.verdict), (RigFault, Verdict::Fault));
    compare("broker_is_gone", record.note.unwrap(), &[]);
}

/// What the client makes of it (the connection ended) would pass for a broker's refusal.
#[test]
fn a_broker_dies_in_the_handshake() {
    let (job, kind) = (job(CELL), Kind::Native);
    let broker = brokers().start(&job.broker).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let dying = thread::spawn(move || {
        let (mut client, _) = listener.accept()?;
        client.read(&mut [0; 4096])
    });
    let mut dut = start(kind, &image(kind, BUILD));
    let finished = cell_by((kind, &mut dut), kind.limits(), &job, &broker, address);
    assert!(dying.join().unwrap().unwrap() > 0);
    assert!(finished.usable, "the board is not to blame");
    let transcript = with_account(finished, &job.broker.name, &broker, SHORT.account);
    let Cell { record, .. } = conclude(&job, kind.board_name(), transcript, None);
    assert_eq!((record.outcome.result, record.verdict), (RigFault, Verdict::Fault));
    assert_eq!(record.diagnosis, None, "nothing is said about the client");
    compare("broker_dies_in_the_handshake", record.note.unwrap(), &[]);
}

#[test]
fn a_port_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let started = brokers().start_at(&job(CELL).broker, taken.local_addr().unwrap());
    compare("port_is_taken", started.err().unwrap(), &[]);
}
