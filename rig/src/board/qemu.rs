//! The emulated board: the Cortex-M3 image on QEMU's `mps2-an385`.
//!
//! ```text
//! QEMU, stopped, its memory empty --debug sockets--> emulated board's probe --+
//!   ^                                                                         | attach, load, start
//!   +--------------------------------- Debugger <-----------------------------+
//! ```
//!
//! The image gets there as it gets to a real board: through a probe. QEMU's standard input and
//! output are one end of a socket pair and carry the board's UART: no file to name, no port to find,
//! and about twice as fast as a pseudo-terminal.

use super::{BoardError, Kind, Process, Started};
use crate::deadline::{Deadline, Interrupt};
use crate::firmware::{Image, MissingTool, which};
use crate::link::{Link, Port};
use crate::probe::emulated::{self, EmulatedBoard};
use crate::probe::{Chip, Debugger, Wiring};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::time::Duration;

/// QEMU's program for 32-bit Arm.
pub const PROGRAM: &str = "qemu-system-arm";

/// What is said where there is none.
pub(super) const MISSING: MissingTool = MissingTool {
    what: "the emulator (qemu-system-arm)",
    mend: "run `apt-get install qemu-system-arm`, or let `cargo rig run --setup` do it",
};

/// One instruction lasts 2^6 ns of the emulated clock, and the clock does not sleep while the core
/// idles: time is a count of instructions, whatever the host is doing.
const ICOUNT: &str = "shift=6,sleep=off";

/// QEMU has its sockets after some 50 ms; loaded machines are slower.
const SOCKETS_LIMIT: Duration = Duration::from_secs(20);

/// There is no wire that could be too long for it.
const SPEED_KHZ: u32 = 10_000;

pub(super) fn start(image: &Image, interrupt: &Interrupt) -> Result<Started, BoardError> {
    let (process, socket) = boot(image)?;
    let link = Link::new(Port::Socket(socket), interrupt.clone());
    Ok(Started { link, process: Some(process), until_hello: None })
}

/// Starts QEMU, and through its probe the image. The socket carries the board's UART; the emulator
/// ends when its process is dropped.
///
/// # Errors
/// [`BoardError`] if there is no socket to be had, no QEMU, or its probe fails.
pub fn boot(image: &Image) -> Result<(Process, UnixStream), BoardError> {
    let (process, socket) = power_up(&image.path)?;
    if let Some(board) = &process.board {
        let mut debugger = Debugger::attach(Kind::Qemu.name(), &wiring(board))?;
        debugger.start_from_ram(&image.path)?;
        debugger.detach()?;
    }
    Ok((process, socket))
}

/// Starts QEMU with nothing in its memory and its core halted. `title` stands in its command line
/// for whoever looks at a list of processes.
///
/// # Errors
/// [`BoardError`] if there is no socket to be had, or no QEMU.
pub fn power_up(title: &Path) -> Result<(Process, UnixStream), BoardError> {
    let line = |source| BoardError::Line { board: Kind::Qemu.name().to_owned(), source };
    let folder = tempfile::tempdir().map_err(line)?;
    let (ours, theirs) = UnixStream::pair().map_err(line)?;
    let input = OwnedFd::from(theirs.try_clone().map_err(line)?);
    let output = OwnedFd::from(theirs);
    let mut command = guarded();
    machine(&mut command, folder.path());
    command
        .args(["-chardev", "stdio,id=uart,signal=off"])
        .arg("-name")
        // A comma would begin the next option.
        .arg(title.to_string_lossy().replace(',', ",,"))
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        // Ctrl-C is for the rig, which then ends its boards in good order.
        .process_group(0);
    let mut process = {
        let _spawning = super::SPAWNING.lock().unwrap_or_else(PoisonError::into_inner);
        Process::start(Kind::Qemu.name(), command, PROGRAM)?
    };
    let serial = format!("qemu-{}", process.id());
    let gone = || process.ended().is_some();
    let board =
        EmulatedBoard::connect(folder.path(), &serial, Deadline::after(SOCKETS_LIMIT), gone);
    // Once connected, the sockets' names are not needed any more, and the folder may go.
    process.board = Some(board.map_err(|error| BoardError::Silent {
        board: Kind::Qemu.name().to_owned(),
        reason: format!("the emulator's debug sockets do not open ({error})"),
        said: match process.last_words() {
            words if words.is_empty() => words,
            words => format!("; it said: {words}"),
        },
    })?);
    Ok((process, ours))
}

/// A board that runs by itself, not as a part of the rig: its UART is a socket in the folder, too.
/// Whoever starts it has to end it.
#[must_use]
pub fn standalone(folder: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    machine(&mut command, folder);
    let uart = format!("socket,id=uart,path={},server=on,wait=off", emulated::UART_SOCKET);
    command.args(["-chardev", &uart]);
    command
}

/// How the emulated board's probe and chip are described.
#[must_use]
pub fn wiring(board: &EmulatedBoard) -> Wiring {
    Wiring { probe: board.probe(), chip: Chip::Mps2An385, speed_khz: SPEED_KHZ }
}

/// The machine: stopped, nothing in its memory, its debug sockets in the folder.
fn machine(command: &mut Command, folder: &Path) {
    let socket = |name: &str| format!("unix:{name},server=on,wait=off");
    command
        // A socket's name may only be about 100 bytes long.
        .current_dir(folder)
        .args(["-machine", "mps2-an385", "-nodefaults", "-display", "none", "-monitor", "none"])
        .args(["-icount", ICOUNT, "-serial", "chardev:uart", "-S"])
        .args(["-gdb", &socket(emulated::GDB_SOCKET)])
        .args(["-qtest", &socket(emulated::QTEST_SOCKET), "-qtest-log", "none"]);
}

/// QEMU does not notice that its terminal is gone. Where util-linux's `setpriv` is there (every
/// Debian has it), the kernel ends QEMU when the rig dies, be it by `kill -9`.
fn guarded() -> Command {
    match which("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--", PROGRAM]);
            command
        }
        None => Command::new(PROGRAM),
    }
}
