//! The `ameba1` image, byte for byte what a board would get, on a model of the board.
//!
//! ```text
//! image.elf --load--> SRAM ----------------------+
//! image.elf --image2--+--> flash --ROM, image1 --+--> hello --> one handshake
//! image1.elf --image1-+      or the vendor's image1
//!                       model's LOG UART <--socket--> Link, session <--TCP--> broker
//! ```
//!
//! The model is written from public facts: this proves the image against our reading of them, not
//! against silicon, see the crate `rtl8195a-model`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are test code"
)]

mod common;

use common::{brokers, can_run, job};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, File, Object, ObjectSection, elf};
use reports::transcript::{Seen, Transcript};
use rig::board::Kind;
use rig::boot_image::{BootImage, image1, image2};
use rig::command::{self, LogLines};
use rig::deadline::{Deadline, Interrupt};
use rig::firmware::{Builder, Image, Target};
use rig::link::{DutIdentity, Incoming, Link, LinkError, Port};
use rig::project::Project;
use rig::run::{SEED, with_account};
use rig::session;
use rtl8195a_model::{Board, Fault, Nor, Stop};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use wire::Command;
use wire::message::{CellResult, ClockUnit, Ending};

const BUILD: &str = "mbedtls-2.4.0/rsa-4096";
const CELL: &str = "mbedtls-2.4.0/rsa-4096+default/tls12-rsa-plain";

/// For the image to boot and say hello, and for a cell, on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);

fn image() -> Image {
    let project = Project::find().unwrap();
    let builder = Builder::new(project.root(), &project.cache());
    builder.image(&BUILD.parse().unwrap(), Target::Ameba1, &mut |_| {}).unwrap()
}

/// Method A: a debugger has reset the core, puts the image into SRAM and lets it go.
fn loaded_into_ram(image: &Image) -> Board {
    let mut board = Board::after_reset(Nor::missing(0xff)).unwrap();
    let bytes = fs::read(&image.path).unwrap();
    let header = elf::FileHeader32::<Endianness>::parse(&*bytes).unwrap();
    let endian = header.endian().unwrap();
    for part in header.program_headers(endian, &*bytes).unwrap() {
        if part.p_type(endian) == elf::PT_LOAD {
            board.write(part.p_paddr(endian), part.data(endian, &*bytes).unwrap()).unwrap();
        }
    }
    let file = File::parse(&*bytes).unwrap();
    let vectors = file.section_by_name(".vector_table").unwrap();
    let word =
        |at: usize| u32::from_le_bytes(*vectors.data().unwrap()[at..].first_chunk().unwrap());
    board.start(word(4), word(0), vectors.address() as u32).unwrap();
    board
}

/// What the flash holds after both images were written to a new chip.
fn flash(image: &Image) -> Vec<u8> {
    let first = image1(&fs::read(image.first_stage()).unwrap()).unwrap();
    let second = image2(&fs::read(&image.path).unwrap()).unwrap();
    let mut flash = Vec::new();
    for image in [&first, &second] as [&BootImage; 2] {
        flash.resize(image.offset() as usize, 0xff);
        flash.extend(image.bytes());
    }
    flash
}

/// Both images are ours.
fn booted_from_flash(image: &Image) -> Board {
    Board::from_flash(Nor::holding(&flash(image))).unwrap()
}

/// Only the image2 is ours, as the rig writes a board that has its vendor's image1. That one's code
/// is not here: what it does with an image2 is modelled, and it has the header of ours.
fn started_by_the_vendors_image1(image: &Image) -> Board {
    Board::from_vendor_image1(Nor::holding(&flash(image))).unwrap()
}

/// What is left of a board when its line is closed.
struct Ended {
    fault: Option<Fault>,
    board: Board,
}

/// What the test wants to know of it; the board itself cannot leave its thread.
#[derive(Debug)]
struct Account {
    fault: Option<Fault>,
    instructions: u64,
    seconds: f64,
    hz: u64,
    lost_bytes: usize,
    watchdog_on: bool,
    debug_pins_since: Option<u64>,
}

/// A board in a thread of its own, with its LOG UART on a socket. It ends when the socket is closed.
fn run(boot: impl FnOnce() -> Board + Send + 'static) -> (Link, JoinHandle<Account>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let board = thread::spawn(move || {
        let Ended { fault, board } = carry(boot(), theirs);
        Account {
            fault,
            instructions: board.instructions(),
            seconds: board.now() as f64 / board.hz() as f64,
            hz: board.hz(),
            lost_bytes: board.lost_bytes(),
            watchdog_on: board.watchdog_on(),
            debug_pins_since: board.debug_pins_since(),
        }
    });
    (Link::new(Port::Socket(ours), Interrupt::default()), board)
}

/// Carries bytes both ways until the other end is gone or the image does something wrong.
fn carry(mut board: Board, mut line: UnixStream) -> Ended {
    /// How many instructions pass before the line is looked at.
    const STRETCH: u64 = 20_000;

    let mut buffer = [0; 4096];
    loop {
        let stop = match board.run(STRETCH) {
            Ok(stop) => stop,
            Err(fault) => return Ended { fault: Some(fault), board },
        };
        let gone = line.write_all(&board.take_sent()).is_err();
        // Only the rig can wake an image that waits for input; else it has more to do.
        let patience = Duration::from_millis(if stop == Stop::WaitsForInput { 100 } else { 0 });
        line.set_nonblocking(patience.is_zero()).unwrap();
        line.set_read_timeout(Some(patience.max(Duration::from_millis(1)))).unwrap();
        let read = line.read(&mut buffer);
        line.set_nonblocking(false).unwrap();
        match read {
            Ok(0) => return Ended { fault: None, board },
            Ok(count) => board.send(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return Ended { fault: None, board },
        }
        if gone {
            return Ended { fault: None, board };
        }
    }
}

/// Asks who is there until there is an answer, as the rig does: what comes while the image still
/// boots is lost.
fn hello(link: &mut Link) -> Result<DutIdentity, String> {
    let deadline = Deadline::after(LIMIT);
    while deadline.slice().is_some() {
        link.renew_token();
        link.send(&Command::Identify).map_err(|error| error.to_string())?;
        match link.next(Deadline::after(Duration::from_millis(500))) {
            Ok(Incoming::Identity(identity)) => return Ok(identity),
            Ok(other) => return Err(format!("{other:?}")),
            Err(LinkError::TimedOut(_)) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("no answer within {LIMIT:?}"))
}

fn check_identity(identity: &DutIdentity, image: &Image) {
    assert_eq!((identity.board.as_str(), identity.clock), ("ameba1", ClockUnit::Cycles));
    assert_eq!((&identity.image, identity.build.as_str()), (&image.id, BUILD));
}

/// One cell by the rig's own session, with the broker's word.
fn cell(link: &mut Link) -> Transcript {
    let (job, brokers, interrupt) = (job(CELL), brokers(), Interrupt::default());
    let broker = brokers.start(&job.broker).unwrap();
    let prepared = command::prepare(&job, &brokers, &broker, SEED, LogLines::All).unwrap();
    let address = broker.address();
    let finished =
        session::run(link, "ameba1 (model)", &prepared.command(), address, LIMIT, &interrupt);
    assert!(finished.usable, "{:?}", finished.transcript);
    with_account(finished, &job.broker.name, &broker, Duration::from_secs(12))
}

/// The client's own account. Bytes that are no frame have no place on this line.
fn result(transcript: &Transcript) -> &CellResult {
    let mut result = None;
    for entry in transcript.entries() {
        match &entry.seen {
            Seen::Result(seen) => result = Some(seen),
            Seen::Noise { why, text } => panic!("{why}: {text}"),
            _ => {}
        }
    }
    result.unwrap()
}

#[test]
fn the_image_completes_a_handshake_however_it_is_started() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let image = image();
    let mut computed = Vec::new();
    let ways: [fn(&Image) -> Board; 3] =
        [loaded_into_ram, booted_from_flash, started_by_the_vendors_image1];
    for boot in ways {
        let for_thread = image.clone();
        let (mut link, board) = run(move || boot(&for_thread));
        let ended = |board: JoinHandle<Account>| board.join().unwrap();
        let identity = match hello(&mut link) {
            Ok(identity) => identity,
            Err(why) => {
                drop(link);
                panic!("no hello: {why}; {:?}", ended(board));
            }
        };
        check_identity(&identity, &image);
        let transcript = cell(&mut link);
        let result = result(&transcript);
        assert!(matches!(result.ending, Ending::Connected), "{result:?}");
        assert_eq!(result.connack, Some(0));
        let broker = transcript.entries().iter().find_map(|entry| match &entry.seen {
            Seen::Broker(word) => Some(word),
            _ => None,
        });
        assert_eq!(broker.unwrap().mqtt.as_deref(), Some("connack:0"), "the broker's own word");
        computed.push(result.compute);

        drop(link);
        let account = ended(board);
        assert_eq!(account.fault, None);
        assert_eq!((account.lost_bytes, account.hz), (0, 83_333_333));
        assert!(!account.watchdog_on);
        // Of the handshake 6 million, of two seconds' worth of bytes at 38400 baud a few; the rest
        // of the time passes in waiting, which costs none.
        assert!(account.instructions < 20_000_000 && account.seconds < 40.0, "{account:?}");
        // A debugger must find the chip again: within microseconds, and for good.
        assert!(account.debug_pins_since.unwrap() < 100, "{account:?}");
    }
    // The same bytes do the same. A few cycles depend on the broker's random bytes and on when they
    // come.
    let most = computed.iter().max().unwrap();
    assert!(computed.iter().all(|cycles| most - cycles < most / 10_000), "{computed:?}");
}

#[test]
fn a_flash_that_holds_anything_else_is_not_started() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let sound = flash(&image());
    assert!(rtl8195a_model::rom::load(&sound).is_ok());
    // Length, load address, first slot of the start table, mark.
    for at in [0x12, 0x17, 0x23, 0x34] {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x40;
        assert!(rtl8195a_model::rom::load(&damaged).is_err(), "damaged at {at:#x}");
    }
}

/// Without an image2 the first stage waits for a debugger, who can reach it.
#[test]
fn a_first_stage_alone_waits_for_a_debugger() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let mut flash = flash(&image());
    flash[0xb008] ^= 1;
    let mut board = Board::from_flash(Nor::holding(&flash)).unwrap();
    assert_eq!(board.run(10_000).unwrap(), Stop::Sleeps);
    assert!(board.debug_pins_since().unwrap() < 100 && !board.watchdog_on());
}
