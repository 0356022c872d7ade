//! Attached boards: asked by their line what they run, and given an image by the debug probe.
//!
//! ```text
//! running: line --Identify--> the image already? then nothing is loaded
//! start:   power | probe --attach, reset--> RAM or flash --start--> line --> hello
//! ```
//!
//! The line is a serial port, or the debugger itself, which then stays attached while the core runs.
//!
//! A board that was left in the middle of a cell, by a rig that was killed, does not answer
//! Identify: it gets its image anew, which is also what repairs a flash that was half written.

use super::{Attached, BoardError, Rung, Slot, Started, runs};
use crate::backup;
use crate::bench::{Board, Line, Probe, StartFrom, discover};
use crate::boot_image;
use crate::deadline::{Deadline, Interrupt};
use crate::firmware::Image;
use crate::link::{DutIdentity, Incoming, Link, LinkError, Port};
use crate::power;
use crate::probe::emulated::{EmulatedBoard, UART_SOCKET};
use crate::probe::rtt::{Rtt, control_block};
use crate::probe::{Algorithm, Chip, Debugger, FlashImage, Flashed, Progress, Reset, Wiring};
use serialport::TTYPort;
use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// An identity is about a hundred bytes: 30 ms at 38400 baud, and the DUT answers at once.
const ASK_LIMIT: Duration = Duration::from_millis(300);
/// A local socket opens at once, or its emulator is not there.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// The serialport crate wants one at opening; each read and write sets its own.
const OPENING_TIMEOUT: Duration = Duration::from_millis(100);

/// Whether the board says that it runs the image.
///
/// # Errors
/// [`BoardError`] if there is no way to ask.
pub fn already_runs(slot: &Slot, image: &Image, interrupt: &Interrupt) -> Result<bool, BoardError> {
    match slot {
        Slot::Qemu | Slot::Native => Ok(false),
        Slot::Attached(attached) => Ok(running(&attached.board, image, interrupt)?.is_some()),
    }
}

/// Asks the board over its serial port what it runs; `None` if nothing answers that speaks our
/// protocol.
///
/// # Errors
/// [`BoardError`] if there is no way to ask.
pub fn ask(board: &Board, interrupt: &Interrupt) -> Result<Option<DutIdentity>, BoardError> {
    Ok(question(open(board)?, interrupt)?.map(|(_, identity)| identity))
}

/// A link to the board, if it runs the image.
pub(super) fn running(
    board: &Board,
    image: &Image,
    interrupt: &Interrupt,
) -> Result<Option<(Link, DutIdentity)>, BoardError> {
    let port = match board.link {
        Line::Serial => open(board)?,
        Line::Rtt => {
            let block = block_of(board, image)?;
            let mut debugger = attach(board)?;
            debugger.resume()?;
            let mut rtt = Rtt::new(debugger, block);
            if !rtt.is_open()? {
                return Ok(None);
            }
            Port::Rtt(Box::new(rtt))
        }
    };
    Ok(question(port, interrupt)?.filter(|(_, identity)| runs(identity, image)))
}

fn block_of(board: &Board, image: &Image) -> Result<u32, BoardError> {
    control_block(image).map_err(|why| BoardError::Refused { board: board.name.clone(), why })
}

fn question(port: Port, interrupt: &Interrupt) -> Result<Option<(Link, DutIdentity)>, BoardError> {
    let mut link = Link::new(port, interrupt.clone());
    link.renew_token();
    match link.send(&wire::Command::Identify) {
        Ok(()) => {}
        Err(LinkError::Probe(error)) => return Err(error.into()),
        Err(_) => return Ok(None),
    }
    let deadline = Deadline::after(ASK_LIMIT);
    loop {
        match link.next(deadline) {
            Ok(Incoming::Identity(identity)) => return Ok(Some((link, identity))),
            Ok(_) => {}
            Err(LinkError::Interrupted) => return Err(BoardError::Interrupted),
            Err(LinkError::Probe(error)) => return Err(error.into()),
            Err(_) => return Ok(None),
        }
    }
}

/// Gives the board the image by this step, and starts it.
pub(super) fn start(
    rung: Rung,
    attached: &Attached,
    image: &Image,
    interrupt: &Interrupt,
) -> Result<Started, BoardError> {
    let board = &attached.board;
    if rung == Rung::Power {
        let command = board.power.as_deref().unwrap_or_default();
        power::cycle(&board.name, command, interrupt)?;
        // An emulator that lost its power is another process by now.
        if let Probe::Emulator(folder) = &board.probe {
            EMULATORS.lock().unwrap_or_else(PoisonError::into_inner).remove(folder);
        }
    }
    let mut debugger = attach(board)?;
    if rung == Rung::FullReset {
        debugger.reset(Reset::Full)?;
    }
    let port = match board.link {
        Line::Serial => {
            // Opened before the core runs, so that its first words are not lost.
            let port = open(board)?;
            put(&mut debugger, attached, image, None)?;
            debugger.detach()?;
            port
        }
        Line::Rtt => {
            let block = block_of(board, image)?;
            put(&mut debugger, attached, image, Some(block))?;
            Port::Rtt(Box::new(Rtt::new(debugger, block)))
        }
    };
    Ok(Started { link: Link::new(port, interrupt.clone()), process: None, until_hello: None })
}

/// Puts the image where the bench says, and starts it; before that, an RTT control block that is
/// left from an earlier run is forgotten.
fn put(
    debugger: &mut Debugger,
    attached: &Attached,
    image: &Image,
    block: Option<u32>,
) -> Result<(), BoardError> {
    let start = attached.board.start;
    if start == StartFrom::Flash {
        write_flash(debugger, attached, image, &mut |_| {})?;
    }
    if let Some(block) = block {
        debugger.forget_rtt(block)?;
    }
    match start {
        StartFrom::Ram => debugger.start_from_ram(&image.path)?,
        StartFrom::Flash => debugger.start_from_flash()?,
    }
    Ok(())
}

/// Puts the image into the board's flash unless it is there, and verifies it. Refused as long as
/// there is no copy of what the flash held before.
///
/// # Errors
/// [`BoardError`] with the command that makes the copy, or what the probe says.
pub fn write_flash(
    debugger: &mut Debugger,
    attached: &Attached,
    image: &Image,
    progress: &mut dyn FnMut(Progress),
) -> Result<Flashed, BoardError> {
    let board = &attached.board;
    let refused = |why: String| BoardError::Refused { board: board.name.clone(), why };
    if backup::proof(&backup::folder(), board).is_none() {
        return Err(refused(format!(
            "nothing is written to its flash before there is a copy of it: run `cargo rig backup {}` once",
            board.name
        )));
    }
    let path = attached.algorithm.as_ref().ok_or_else(|| {
        refused(format!("no flash algorithm for its chip {} was built", board.chip))
    })?;
    let algorithm = Algorithm::from_elf(path).map_err(|error| refused(error.to_string()))?;
    let content = content(board.chip, &image.path).map_err(refused)?;
    Ok(debugger.flash(&algorithm, &content, progress)?)
}

/// What an image is in this chip's flash.
fn content(chip: Chip, elf: &Path) -> Result<FlashImage, String> {
    match chip {
        Chip::Mps2An385 => FlashImage::from_elf(elf).map_err(|error| error.to_string()),
        Chip::Rtl8195a => {
            let file = std::fs::read(elf).map_err(|error| format!("{}: {error}", elf.display()))?;
            let image = boot_image::image2(&file).map_err(|error| error.to_string())?;
            let address = chip.flash().start + image.offset();
            Ok(FlashImage { segments: vec![(address, image.bytes().to_vec())] })
        }
    }
}

/// Connects the board's probe to its chip, checks that it is the right one, and halts it.
///
/// # Errors
/// [`BoardError`]; nothing was written.
pub fn attach(board: &Board) -> Result<Debugger, BoardError> {
    let probe = match &board.probe {
        Probe::Usb(probe) => probe.to_string(),
        Probe::Emulator(folder) => emulator(board, folder)?,
    };
    let wiring = Wiring { probe, chip: board.chip, speed_khz: board.speed_khz };
    Ok(Debugger::attach(&board.name, &wiring)?)
}

/// Emulators that run by themselves and that this process has found, by folder. A debugger's
/// connection to one is made once: QEMU takes the next one for a new debugger and stops the core.
static EMULATORS: Mutex<BTreeMap<PathBuf, EmulatedBoard>> = Mutex::new(BTreeMap::new());

fn emulator(board: &Board, folder: &Path) -> Result<String, BoardError> {
    let mut emulators = EMULATORS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(emulator) = emulators.get(folder) {
        return Ok(emulator.probe());
    }
    let deadline = Deadline::after(CONNECT_LIMIT);
    // Also a serial number: everything that tells boards apart by it does so here, too.
    let serial = folder.display().to_string();
    let emulator = EmulatedBoard::connect(folder, &serial, deadline, || true)
        .map_err(|source| emulator_error(board, folder, source))?;
    let probe = emulator.probe();
    emulators.insert(folder.to_owned(), emulator);
    Ok(probe)
}

/// The serial line to the DUT.
fn open(board: &Board) -> Result<Port, BoardError> {
    match &board.probe {
        Probe::Emulator(folder) => {
            let path = folder.join(UART_SOCKET);
            let socket = UnixStream::connect(&path)
                .map_err(|source| emulator_error(board, &path, source))?;
            Ok(Port::Socket(socket))
        }
        Probe::Usb(_) => {
            let name = discover::port_of(board).map_err(BoardError::Bench)?;
            let port = serialport::new(&name, board.baud).timeout(OPENING_TIMEOUT);
            let port = TTYPort::open(&port)
                .map_err(|error| port_error(board, name.clone(), error.into()))?;
            Ok(Port::Serial(port))
        }
    }
}

fn port_error(board: &Board, port: String, source: std::io::Error) -> BoardError {
    BoardError::Port { board: board.name.clone(), port, source }
}

fn emulator_error(board: &Board, path: &Path, source: std::io::Error) -> BoardError {
    BoardError::Emulator { board: board.name.clone(), path: path.to_owned(), source }
}
