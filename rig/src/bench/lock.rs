//! One rig at a time on a board: a lock that the operating system gives back.
//!
//! The lock is a file for each probe, in a folder that all checkouts of this machine share. It is
//! held by an open file, so whatever ends the process also frees the board. The owner writes its
//! name into it, for the refusal that the next one gets.

use super::{Board, Probe};
use crate::deadline::Deadline;
use reports::transcript::printable;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

/// How long the owner is given to go away. One that was killed is gone at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is tried.
const GLANCE: Duration = Duration::from_millis(20);
/// More of what another process wrote is not worth showing.
const SHOWN: u64 = 200;

/// The right to use a board, for as long as this lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why a board cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("board {board} is in use by {owner}: wait for it, or end that process")]
    Busy {
        /// The board.
        board: String,
        /// What the owner wrote.
        owner: String,
    },
    /// The file cannot be used.
    #[error("board {board} cannot be locked by {path}: {source}", path = path.display())]
    File {
        /// The board.
        board: String,
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
}

impl Lock {
    /// Takes the board, after a few seconds of waiting if need be.
    ///
    /// # Errors
    /// [`LockError::Busy`] names the owner.
    pub fn take(board: &Board) -> Result<Self, LockError> {
        Self::take_within(board, PATIENCE)
    }

    fn take_within(board: &Board, patience: Duration) -> Result<Self, LockError> {
        let path = path(board);
        let failed =
            |source| LockError::File { board: board.name.clone(), path: path.clone(), source };
        // A file that another user made can still be locked, though not written.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .or_else(|_| File::open(&path))
            .map_err(failed)?;
        let deadline = Deadline::after(patience);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if deadline.left().is_zero() => {
                    let owner = owner(&mut file);
                    return Err(LockError::Busy { board: board.name.clone(), owner });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(GLANCE),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        // Only for the refusal: a lock without a name is a lock.
        let _ = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "{}", this_process()));
        Ok(Self { _file: file })
    }
}

fn this_process() -> String {
    let since = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    format!("rig, process {}, since {since}", std::process::id())
}

fn owner(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let _ = file.seek(SeekFrom::Start(0));
    let _ = file.take(SHOWN).read_to_end(&mut bytes);
    match printable(bytes.trim_ascii()) {
        text if text.is_empty() => "a process that gave no name".to_owned(),
        text => text,
    }
}

/// The same for every checkout and every name that the board may have.
fn path(board: &Board) -> PathBuf {
    let probe = match &board.probe {
        Probe::Usb(probe) => probe.to_string(),
        Probe::Emulator(folder) => {
            folder.canonicalize().unwrap_or_else(|_| folder.clone()).display().to_string()
        }
    };
    let name: String =
        probe.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    // Debian's folder for locks of devices, writable by all and empty after a boot.
    let shared = PathBuf::from("/run/lock");
    let folder = if shared.is_dir() { shared } else { std::env::temp_dir() };
    folder.join(format!("rig-{name}.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::parse_for_tests;

    fn board() -> Board {
        // A serial number of this process alone: other tests, and other checkouts, lock as well.
        let serial = format!("lock-test-{}-{}", std::process::id(), fastrand::u64(..));
        let text = format!("[boards.desk-1]\nkind = 'ameba1'\nprobe = '1:2:{serial}'\n");
        parse_for_tests(&text).remove(0)
    }

    #[test]
    fn the_second_one_is_told_who_has_the_board_and_gets_it_afterwards() {
        let board = board();
        let held = Lock::take(&board).unwrap();
        let refusal = Lock::take_within(&board, Duration::ZERO).unwrap_err().to_string();
        let mine = format!("board desk-1 is in use by rig, process {}, since ", std::process::id());
        assert!(refusal.starts_with(&mine), "{refusal}");
        assert!(refusal.ends_with("Z: wait for it, or end that process"), "{refusal}");
        drop(held);
        assert!(Lock::take_within(&board, Duration::ZERO).is_ok());
        let _ = std::fs::remove_file(path(&board));
    }
}
