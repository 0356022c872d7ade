//! A pseudo-terminal as a board.

use dut::{Board, ClockUnit, LineClosed};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::termios::{OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The terminal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// It cannot be opened.
    #[error("cannot open the terminal {}: {source}", path.display())]
    Open {
        /// What was to be opened.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not a terminal, or does not take raw mode.
    #[error("cannot put {} into raw mode: {source}", path.display())]
    RawMode {
        /// What was opened.
        path: PathBuf,
        /// Why not.
        source: Errno,
    },
}

/// An open terminal in raw mode.
pub struct Terminal {
    file: File,
    start: Instant,
}

impl Terminal {
    /// Opens a terminal so that bytes pass unchanged and a read waits for one byte at least.
    ///
    /// # Errors
    /// [`TerminalError`] if it is not there, not a terminal, or not ours to open.
    pub fn open(path: &Path) -> Result<Self, TerminalError> {
        // It must not become the controlling terminal: its hang-up would kill instead of tell.
        let flags = OFlags::NOCTTY.bits().cast_signed();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(path)
            .map_err(|source| TerminalError::Open { path: path.into(), source })?;
        raw(&file).map_err(|source| TerminalError::RawMode { path: path.into(), source })?;
        Ok(Self { file, start: Instant::now() })
    }
}

fn raw(file: &File) -> Result<(), Errno> {
    let mut modes = tcgetattr(file)?;
    modes.make_raw();
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(file, OptionalActions::Now, &modes)
}

impl Board for Terminal {
    const CLOCK: ClockUnit = ClockUnit::Nanoseconds;
    const NAME: &'static str = "native";

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, LineClosed> {
        loop {
            match self.file.read(buffer) {
                // End of file and EIO are both how a hang-up looks.
                Ok(0) => return Err(LineClosed),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(LineClosed),
            }
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), LineClosed> {
        self.file.write_all(bytes).map_err(|_| LineClosed)
    }

    fn clock(&mut self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn paint_stack(&mut self) {
        // The system grows a host's stack as needed; its depth would say nothing about a board.
    }

    fn stack_peak(&mut self) -> Option<u32> {
        None
    }
}
