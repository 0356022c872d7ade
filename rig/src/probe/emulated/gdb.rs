//! A client of QEMU's debugger stub: run control and core registers.
//!
//! ```text
//! $g#67 -->      command, with its check sum
//!       <-- +    heard
//!       <-- $...#xx  answer
//!     + -->
//! ```
//!
//! Memory is not this one's business: the stub takes a write to a system register and ignores it.

use crate::deadline::Deadline;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// An emulator that answers takes microseconds; one that is stopped by a signal never does.
const LIMIT: Duration = Duration::from_secs(5);

/// Numbers of registers in the stub: 0 to 15 are those of the core.
pub(super) const XPSR: u8 = 25;

/// A connection to a stub.
#[derive(Debug)]
pub(super) struct Gdb {
    socket: UnixStream,
    input: Vec<u8>,
    /// Registers as they are while the core stands still: each question costs 50 us.
    known: BTreeMap<u8, u32>,
}

impl Gdb {
    /// Connects, which stops the machine, and takes away the breakpoints of whoever was connected
    /// before.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let mut gdb =
            Self { socket: UnixStream::connect(path)?, input: Vec::new(), known: BTreeMap::new() };
        gdb.socket.set_write_timeout(Some(LIMIT))?;
        gdb.send("qC")?;
        // A machine that was running says that it has stopped, before or after it answers.
        while !gdb.packet()?.starts_with("QC") {}
        // Registers can be asked for one by one only by those who know the description.
        gdb.ask("qXfer:features:read:target.xml:0,ffb")?;
        gdb.ask("?")?;
        Ok(gdb)
    }

    /// One register; see [`XPSR`] for the numbers.
    pub fn register(&mut self, number: u8) -> io::Result<u32> {
        if let Some(value) = self.known.get(&number) {
            return Ok(*value);
        }
        let answer = self.ask(&format!("p{number:x}"))?;
        // Little-endian bytes, as they lie in memory.
        let value = u32::from_str_radix(&answer, 16).map_err(|_| odd(&answer))?.swap_bytes();
        self.known.insert(number, value);
        Ok(value)
    }

    /// Sets one register.
    pub fn set_register(&mut self, number: u8, value: u32) -> io::Result<()> {
        // Not every bit of every register can be written.
        self.known.remove(&number);
        self.order(&format!("P{number:x}={:08x}", value.swap_bytes()))
    }

    /// Sets or takes away a breakpoint.
    pub fn breakpoint(&mut self, address: u32, set: bool) -> io::Result<()> {
        let letter = if set { 'Z' } else { 'z' };
        self.order(&format!("{letter}1,{address:x},2"))
    }

    /// Resets the machine; it stays stopped.
    pub fn reset(&mut self) -> io::Result<()> {
        self.known.clear();
        let command = data_encoding::HEXLOWER.encode(b"system_reset");
        self.order(&format!("qRcmd,{command}"))
    }

    /// Executes one instruction, without interrupts.
    pub fn step(&mut self) -> io::Result<()> {
        self.known.clear();
        self.send("s")?;
        self.packet().map(drop)
    }

    /// Lets the core run.
    pub fn resume(&mut self) -> io::Result<()> {
        self.known.clear();
        self.send("c")?;
        // The answer comes when the core stops. That the command was heard is said at once, and what
        // is asked on another socket from now on is asked of a running core.
        self.heard()
    }

    /// Whether a running core has stopped; waits for that a moment.
    pub fn stopped(&mut self, patience: Duration) -> io::Result<bool> {
        match self.packet_within(Deadline::after(patience)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Stops a running core. One that has just stopped by itself will do as well.
    pub fn interrupt(&mut self) -> io::Result<()> {
        self.socket.write_all(&[3])?;
        self.packet().map(drop)
    }

    fn order(&mut self, command: &str) -> io::Result<()> {
        let answer = self.ask(command)?;
        if answer == "OK" { Ok(()) } else { Err(odd(&answer)) }
    }

    fn ask(&mut self, command: &str) -> io::Result<String> {
        self.send(command)?;
        self.packet()
    }

    fn send(&mut self, command: &str) -> io::Result<()> {
        let sum = command.bytes().fold(0_u8, u8::wrapping_add);
        self.socket.write_all(format!("${command}#{sum:02x}").as_bytes())
    }

    fn heard(&mut self) -> io::Result<()> {
        let deadline = Deadline::after(LIMIT);
        loop {
            if let Some(at) = self.input.iter().position(|byte| *byte == b'+') {
                self.input.drain(..=at);
                return Ok(());
            }
            self.receive(deadline)?;
        }
    }

    fn packet(&mut self) -> io::Result<String> {
        self.packet_within(Deadline::after(LIMIT))
    }

    /// The next packet's content. Sockets lose nothing, so the check sum is not looked at.
    fn packet_within(&mut self, deadline: Deadline) -> io::Result<String> {
        loop {
            let start = self.input.iter().position(|byte| *byte == b'$');
            let end = self.input.iter().position(|byte| *byte == b'#');
            if let (Some(start), Some(end)) = (start, end)
                && self.input.len() >= end + 3
            {
                let packet: Vec<u8> = self.input.drain(..end + 3).collect();
                self.socket.write_all(b"+")?;
                let content = packet.get(start + 1..end).unwrap_or_default();
                return Ok(String::from_utf8_lossy(content).into_owned());
            }
            self.receive(deadline)?;
        }
    }

    fn receive(&mut self, deadline: Deadline) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let Some(slice) = deadline.slice() else {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the emulator does not answer"));
        };
        self.socket.set_read_timeout(Some(slice))?;
        match self.socket.read(&mut buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.input.extend(buffer.iter().take(count));
                Ok(())
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

fn odd(answer: &str) -> io::Error {
    io::Error::other(format!("the emulator's debugger stub answered {answer:?}"))
}
