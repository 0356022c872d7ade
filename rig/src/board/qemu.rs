//! The emulated board: the Cortex-M3 image on QEMU's `mps2-an385`.
//!
//! QEMU's standard input and output are one end of a socket pair and carry the board's UART: no
//! file to name, no port to find, and about twice as fast as a pseudo-terminal.

use super::{BoardError, Kind, Process, Started};
use crate::deadline::Interrupt;
use crate::firmware::{Image, MissingTool, which};
use crate::link::{Link, Port};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::PoisonError;

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

pub(super) fn start(image: &Image, interrupt: &Interrupt) -> Result<Started, BoardError> {
    let (process, socket) = boot(image)?;
    let link = Link::new(Port::Socket(socket), interrupt.clone());
    Ok(Started { link, process, until_hello: None })
}

/// Starts QEMU with the image in its memory. The socket carries the board's UART; the emulator ends
/// when its process is dropped.
///
/// # Errors
/// [`BoardError`] if there is no socket to be had, or no QEMU.
pub fn boot(image: &Image) -> Result<(Process, UnixStream), BoardError> {
    let line = |source| BoardError::Line { board: Kind::Qemu, source };
    let (ours, theirs) = UnixStream::pair().map_err(line)?;
    let input = OwnedFd::from(theirs.try_clone().map_err(line)?);
    let output = OwnedFd::from(theirs);
    let mut command = guarded();
    command
        .args(["-machine", "mps2-an385", "-nodefaults", "-display", "none", "-monitor", "none"])
        .args([
            "-icount",
            ICOUNT,
            "-chardev",
            "stdio,id=uart,signal=off",
            "-serial",
            "chardev:uart",
        ])
        .arg("-kernel")
        .arg(&image.path)
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        // Ctrl-C is for the rig, which then ends its boards in good order.
        .process_group(0);
    let process = {
        let _spawning = super::SPAWNING.lock().unwrap_or_else(PoisonError::into_inner);
        Process::start(Kind::Qemu, command, PROGRAM)?
    };
    Ok((process, ours))
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
