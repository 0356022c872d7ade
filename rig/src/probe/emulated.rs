//! The emulated board's probe: registered with probe-rs, it is listed and opened like one on USB.
//!
//! ```text
//! Lister --> Factory --> VirtualProbe --wires--> Dap --> Machine ==sockets==> QEMU
//!                           ^                            |
//!                        Trouble                 EmulatedBoard: stays when a probe is closed
//! ```
//!
//! A probe is a thing of a moment, opened and closed; the board behind it goes on. So the sockets
//! belong to the board, in a table by the probe's serial number, and as many boards as wanted live
//! side by side. The emulator may be the rig's own process or one that runs by itself: both have
//! their sockets `gdb.sock` and `qtest.sock` in a folder.
//!
//! [`Trouble`] is what tests of the rig wish on a board: from cable to chip, as probe-rs would tell
//! it of a real one.

mod dap;
mod gdb;
mod machine;
mod map;
mod probe;
mod qtest;
mod registers;

pub(super) use map::ROM_TABLE_PART;
pub(super) use probe::OnlyEmulated;

use crate::deadline::Deadline;
use dap::Dap;
use machine::Machine;
use probe::Factory;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

/// USB numbers of the probe: pid.codes' number for private testing.
pub const VENDOR: u16 = 0x1209;
/// See [`VENDOR`].
pub const PRODUCT: u16 = 0x0001;

/// Names of the sockets in a board's folder.
pub const GDB_SOCKET: &str = "gdb.sock";
/// See [`GDB_SOCKET`].
pub const QTEST_SOCKET: &str = "qtest.sock";
/// The DUT's serial port, of a board that runs by itself.
pub const UART_SOCKET: &str = "uart.sock";

/// What can be wrong with a board, its probe or the way there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The probe is pulled out of its USB port after so many operations.
    Unplugged {
        /// Operations that still work.
        after: u32,
    },
    /// The board loses power after so many operations; the probe goes on.
    PowerLost {
        /// Operations that still work.
        after: u32,
    },
    /// The chip says that it is another one.
    OtherChip {
        /// CPUID.
        core: u32,
        /// Part number in the table of debug components.
        rom_table_part: u16,
    },
    /// A bit of this word reads back other than it was written.
    BadBit {
        /// Address of the word.
        word: u32,
    },
    /// Each operation takes this long.
    Slow(Duration),
}

/// A board and its wires.
#[derive(Debug)]
struct Board {
    machine: Machine,
    dap: Dap,
    troubles: Vec<Trouble>,
    operations: u32,
    /// Whether somebody has the probe open.
    in_use: bool,
}

impl Board {
    fn unplugged(&self) -> bool {
        self.has(
            |trouble| matches!(trouble, Trouble::Unplugged { after } if self.operations >= after),
        )
    }

    fn without_power(&self) -> bool {
        self.has(
            |trouble| matches!(trouble, Trouble::PowerLost { after } if self.operations >= after),
        )
    }

    fn has(&self, test: impl Fn(Trouble) -> bool) -> bool {
        self.troubles.iter().any(|trouble| test(*trouble))
    }
}

type Shared = Arc<Mutex<Board>>;

/// Every emulated board of this process, by its probe's serial number.
static BOARDS: Mutex<BTreeMap<String, Shared>> = Mutex::new(BTreeMap::new());

fn boards() -> MutexGuard<'static, BTreeMap<String, Shared>> {
    BOARDS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lock(board: &Shared) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An emulated board whose probe can be found by its serial number, until this is dropped. The
/// emulator itself is not ended by that.
#[derive(Debug)]
pub struct EmulatedBoard {
    serial: String,
    board: Shared,
}

impl EmulatedBoard {
    /// Connects to an emulator whose sockets are in `folder`, or will be before the deadline is
    /// over; its core is halted from then on. `serial` is the probe's serial number; a board of the
    /// same number is replaced. `gone` tells that the emulator has ended.
    ///
    /// # Errors
    /// The system's word if there are no sockets, or nobody answers at them.
    pub fn connect(
        folder: &Path,
        serial: &str,
        deadline: Deadline,
        mut gone: impl FnMut() -> bool,
    ) -> io::Result<Self> {
        static REGISTERED: Once = Once::new();
        REGISTERED.call_once(|| {
            probe_rs::plugin::register_plugin(probe_rs::plugin::Plugin {
                probe_drivers: &[&Factory],
                ..Default::default()
            });
        });
        let machine = loop {
            match Machine::connect(folder) {
                Ok(machine) => break machine,
                // The emulator has not come that far yet.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                    ) && !gone()
                        && !deadline.left().is_zero() =>
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error),
            }
        };
        let (dap, troubles) = (Dap::new(), Vec::new());
        let board = Board { machine, dap, troubles, operations: 0, in_use: false };
        let board = Arc::new(Mutex::new(board));
        boards().insert(serial.to_owned(), Arc::clone(&board));
        Ok(Self { serial: serial.to_owned(), board })
    }

    /// How its probe is named in a wiring: `VID:PID:SERIAL`.
    #[must_use]
    pub fn probe(&self) -> String {
        format!("{VENDOR:04x}:{PRODUCT:04x}:{}", self.serial)
    }

    /// Wishes trouble on it; operations are counted from here.
    pub fn trouble(&self, trouble: Trouble) {
        let mut board = lock(&self.board);
        board.operations = 0;
        board.troubles.push(trouble);
    }

    /// Ends all trouble. If power was lost, the core is reset, and halted.
    ///
    /// # Errors
    /// The system's word if the emulator is gone.
    pub fn mend(&self) -> io::Result<()> {
        let mut board = lock(&self.board);
        let power = board.without_power();
        board.troubles.clear();
        if power {
            board.dap = Dap::new();
            board.machine.power_cycle()?;
        }
        Ok(())
    }
}

impl Drop for EmulatedBoard {
    fn drop(&mut self) {
        let mut boards = boards();
        // Not one that has taken its place.
        if boards.get(&self.serial).is_some_and(|board| Arc::ptr_eq(board, &self.board)) {
            boards.remove(&self.serial);
        }
    }
}
