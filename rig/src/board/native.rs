//! The native board: the client code as a process of this host, on a pseudo-terminal.

use super::{BoardError, Kind, Process, Started};
use crate::deadline::Interrupt;
use crate::firmware::Image;
use crate::link::{Link, Port};
use serialport::{SerialPort, TTYPort};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::PoisonError;

/// Starts the image with the pseudo-terminal's name as its argument. The process ends by itself
/// when the rig's end is closed, even if the rig was killed.
pub(super) fn start(image: &Image, interrupt: &Interrupt) -> Result<Started, BoardError> {
    let line = |source: serialport::Error| BoardError::Line {
        board: Kind::Native.name().to_owned(),
        source: source.into(),
    };
    // `pair` opens both ends so that child processes inherit them, and an inherited end keeps the
    // line from ever looking closed. Clones are not inherited; until the first ones are gone,
    // nobody else may start a process.
    let spawning = super::SPAWNING.lock().unwrap_or_else(PoisonError::into_inner);
    let (master, slave) = {
        let (master, mut slave) = TTYPort::pair().map_err(line)?;
        // The slave must be open to others: the image opens it by name.
        slave.set_exclusive(false).map_err(line)?;
        (master.try_clone_native().map_err(line)?, slave.try_clone_native().map_err(line)?)
    };
    let name = slave.name().ok_or_else(|| {
        line(serialport::Error::new(serialport::ErrorKind::NoDevice, "a terminal without a name"))
    })?;
    let mut command = Command::new(&image.path);
    command
        .arg(name)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Ctrl-C is for the rig, which then ends its boards in good order.
        .process_group(0);
    let process = Process::start(Kind::Native.name(), command, &image.path.display().to_string())?;
    drop(spawning);
    let link = Link::new(Port::Serial(master), interrupt.clone());
    Ok(Started { link, process: Some(process), until_hello: Some(Box::new(slave)) })
}
