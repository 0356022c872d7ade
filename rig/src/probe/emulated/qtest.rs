//! A client of QEMU's test protocol: memory, registers of devices and of the system, one line each.
//!
//! ```text
//! b64read 0x20000000 0x100 -->
//!                          <-- OK AAECAw...
//! ```
//!
//! It works beside the running core, as a debug port does. Addresses at which nothing is answer 0.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

/// A connection to an emulator's memory.
#[derive(Debug)]
pub(super) struct Qtest {
    socket: BufReader<UnixStream>,
}

/// Bytes of one access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Byte,
    Half,
    Word,
}

impl Width {
    pub fn bytes(self) -> u32 {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Word => 4,
        }
    }

    fn letter(self) -> char {
        match self {
            Self::Byte => 'b',
            Self::Half => 'w',
            Self::Word => 'l',
        }
    }
}

impl Qtest {
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(LIMIT))?;
        socket.set_write_timeout(Some(LIMIT))?;
        Ok(Self { socket: BufReader::new(socket) })
    }

    /// Reads memory; not for devices, which care how wide an access is.
    pub fn read(&mut self, address: u32, bytes: &mut [u8]) -> io::Result<()> {
        let answer = self.ask(&format!("b64read {address:#x} {:#x}\n", bytes.len()))?;
        let read = data_encoding::BASE64.decode(answer.as_bytes()).map_err(|_| odd(&answer))?;
        if read.len() != bytes.len() {
            return Err(odd(&answer));
        }
        bytes.copy_from_slice(&read);
        Ok(())
    }

    /// Writes memory; not for devices.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> io::Result<()> {
        let text = data_encoding::BASE64.encode(bytes);
        self.ask(&format!("b64write {address:#x} {:#x} {text}\n", bytes.len())).map(drop)
    }

    /// One access of this width.
    pub fn load(&mut self, address: u32, width: Width) -> io::Result<u32> {
        let answer = self.ask(&format!("read{} {address:#x}\n", width.letter()))?;
        let digits = answer.strip_prefix("0x").unwrap_or(&answer);
        let value = u64::from_str_radix(digits, 16).map_err(|_| odd(&answer))?;
        u32::try_from(value).map_err(|_| odd(&answer))
    }

    /// One access of this width.
    pub fn store(&mut self, address: u32, width: Width, value: u32) -> io::Result<()> {
        self.ask(&format!("write{} {address:#x} {value:#x}\n", width.letter())).map(drop)
    }

    /// Sends a line; hands back what stands behind `OK`.
    fn ask(&mut self, line: &str) -> io::Result<String> {
        self.socket.get_mut().write_all(line.as_bytes())?;
        let mut answer = String::new();
        if self.socket.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let content = answer.strip_prefix("OK").ok_or_else(|| odd(&answer))?;
        Ok(content.trim().to_owned())
    }
}

fn odd(answer: &str) -> io::Error {
    io::Error::other(format!("the emulator's test socket answered {:?}", answer.trim()))
}
