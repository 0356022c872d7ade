//! The `ameba1` image on a model of the board, with a debugger as its line to the rig.
//!
//! ```text
//! image's rings in SRAM <--memory accesses-- the test as a probe <--socket--> Link, session <--TCP--> broker
//! ```
//!
//! What the model is worth is said in the crate `rtl8195a-model`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use common::{brokers, can_run, job};
use object::{File, Object, ObjectSymbol};
use rig::board::Kind;
use rig::boot_image::{image1, image2};
use rig::command::{self, LogLines};
use rig::deadline::{Deadline, Interrupt};
use rig::firmware::{Builder, Target};
use rig::link::{Incoming, Link, Port};
use rig::project::Project;
use rig::run::SEED;
use rig::session;
use rtl8195a_model::{Board, Nor};
use std::collections::VecDeque;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;
use suites::outcome::OutcomeKind;
use wire::{Command, Decoder, Event, Found, Token};

const BUILD: &str = "mbedtls-2.4.0/rsa-4096";
const CELL: &str = "mbedtls-2.4.0/rsa-4096+default/tls12-rsa-plain";
const LIMIT: Duration = Duration::from_secs(60);

/// One ring as SEGGER's control block describes it: name, buffer, size, write, read, flags.
struct Ring {
    at: u32,
}

impl Ring {
    fn field(&self, board: &mut Board, index: u32) -> u32 {
        word(board, self.at + 4 * index)
    }

    /// The host's end of the ring from the image.
    fn take(&self, board: &mut Board) -> Vec<u8> {
        let [buffer, size, write, mut read] = [1, 2, 3, 4].map(|index| self.field(board, index));
        let mut bytes = Vec::new();
        while read != write {
            let end = if write > read { write } else { size };
            bytes.extend(board.read(buffer + read, end - read).unwrap());
            read = end % size;
        }
        board.write(self.at + 16, &read.to_le_bytes()).unwrap();
        bytes
    }

    /// The host's end of the ring to the image. What does not fit is left.
    fn put(&self, board: &mut Board, bytes: &mut VecDeque<u8>) {
        let [buffer, size, mut write, read] = [1, 2, 3, 4].map(|index| self.field(board, index));
        while (write + 1) % size != read {
            let Some(byte) = bytes.pop_front() else { break };
            board.write(buffer + write, &[byte]).unwrap();
            write = (write + 1) % size;
        }
        board.write(self.at + 12, &write.to_le_bytes()).unwrap();
    }
}

fn word(board: &mut Board, address: u32) -> u32 {
    u32::from_le_bytes(*board.read(address, 4).unwrap().first_chunk().unwrap())
}

/// Carries bytes between socket and rings until the socket is closed; gives what the image has sent
/// over its LOG UART meanwhile.
fn carry(mut board: Board, block: u32, mut line: UnixStream) -> Vec<u8> {
    let (up, down) = (Ring { at: block + 24 }, Ring { at: block + 48 });
    let (mut waiting, mut buffer) = (VecDeque::new(), [0; 4096]);
    line.set_nonblocking(true).unwrap();
    loop {
        board.run(20_000).unwrap();
        match line.read(&mut buffer) {
            Ok(0) => return board.take_sent(),
            Ok(count) => waiting.extend(&buffer[..count]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        if board.read(block, 16).unwrap() != *b"SEGGER RTT\0\0\0\0\0\0" {
            // Not yet filled in.
            continue;
        }
        down.put(&mut board, &mut waiting);
        line.write_all(&up.take(&mut board)).unwrap();
    }
}

#[test]
fn a_cell_runs_through_the_debugger() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let project = Project::find().unwrap();
    let builder = Builder::new(project.root(), &project.cache());
    let image = builder.image(&BUILD.parse().unwrap(), Target::Ameba1, &mut |_| {}).unwrap();
    let elf = fs::read(&image.path).unwrap();
    let file = File::parse(&*elf).unwrap();
    let block = file.symbol_by_name("_SEGGER_RTT").unwrap().address() as u32;
    let (first, second) = (image1(&fs::read(image.first_stage()).unwrap()), image2(&elf));
    let mut flash = first.unwrap().bytes().to_vec();
    flash.resize(second.as_ref().unwrap().offset() as usize, 0xff);
    flash.extend(second.unwrap().bytes());

    let (ours, theirs) = UnixStream::pair().unwrap();
    let board = thread::spawn(move || {
        carry(Board::from_flash(Nor::holding(&flash)).unwrap(), block, theirs)
    });
    let interrupt = Interrupt::default();
    let mut link = Link::new(Port::Socket(ours), interrupt.clone());
    link.renew_token();
    link.send(&Command::Identify).unwrap();
    let Incoming::Identity(identity) = link.next(Deadline::after(LIMIT)).unwrap() else {
        panic!("something else than an identity")
    };
    assert_eq!(identity.image, image.id);

    let (job, brokers) = (job(CELL), brokers());
    let broker = brokers.start(&job.broker).unwrap();
    // The whole log: it is longer than the ring by far.
    let prepared = command::prepare(&job, &brokers, &broker, SEED, LogLines::All).unwrap();
    let (command, address) = (prepared.command(), broker.address());
    let name = "ameba1 (model)";
    let finished = session::run(&mut link, name, &command, address, LIMIT, &interrupt);
    let outcome = reports::judge(&finished.transcript);
    assert_eq!(outcome.result, OutcomeKind::Connected, "{outcome:?}");
    assert!(finished.carried > 3 * 8192, "{} bytes", finished.carried);

    drop(link);
    // At boot the image cannot know who listens; after that its UART is silent.
    let sent = board.join().unwrap();
    let (mut decoder, mut sent) = (Decoder::new(), &*sent);
    let Some(Found::Frame(hello)) = decoder.next(&mut sent) else { panic!("no hello") };
    assert_eq!(hello.token, Token::NONE);
    assert!(matches!(hello.message(), Ok(Event::Identity(_))));
    assert!(decoder.next(&mut sent).is_none() && decoder.take_partial().is_empty());
}
