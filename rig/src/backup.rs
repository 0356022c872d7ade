//! Copies of a board's flash, kept before anything is written to it.
//!
//! ```text
//! Debugger --read all--> <folder>/<probe>-<time>.bin, .sha256 --proof--> first write allowed
//! ```
//!
//! A flash holds data of this very unit (calibration, MAC address) that nobody can make again, so
//! the rig writes to a board only if a whole copy of its flash is there. Copies are kept outside of
//! the checkout, where no `cargo clean` reaches them.

use crate::bench::{Board, Probe};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A copy that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Copy {
    /// The file.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// Where copies are kept unless a file is named: the user's data folder (XDG base directories).
#[must_use]
pub fn folder() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let data =
        std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    data.or_else(home).unwrap_or_else(std::env::temp_dir).join("rig/backups")
}

/// Writes the copy below `folder`, whole or not at all.
///
/// # Errors
/// What the system says.
pub fn keep(folder: &Path, board: &Board, flash: &[u8]) -> io::Result<Copy> {
    fs::create_dir_all(folder)?;
    let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    let path = folder.join(format!("{}-{time}.bin", unit(board)));
    let sha256 = digest(flash);
    let fresh = path.with_extension("tmp");
    fs::write(&fresh, flash)?;
    // What is on the disk is what counts; a copy in memory proves nothing.
    fs::File::open(&fresh)?.sync_all()?;
    if digest(&fs::read(&fresh)?) != sha256 {
        return Err(io::Error::other("what was written reads back as something else"));
    }
    fs::write(path.with_extension("sha256"), format!("{sha256}\n"))?;
    fs::rename(&fresh, &path)?;
    Ok(Copy { path, bytes: flash.len() as u64, sha256 })
}

/// The newest copy of this board's flash that is whole.
#[must_use]
pub fn proof(folder: &Path, board: &Board) -> Option<Copy> {
    let prefix = format!("{}-", unit(board));
    let mut files: Vec<_> = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let time = name(path).strip_prefix(&prefix).map(str::len);
            time == Some("20260101-000000.bin".len())
        })
        .collect();
    files.sort();
    files.into_iter().rev().find_map(|path| {
        let expected = fs::read_to_string(path.with_extension("sha256")).ok()?;
        let bytes = fs::read(&path).ok()?;
        let sha256 = digest(&bytes);
        let whole = !bytes.is_empty() && expected.trim() == sha256;
        whole.then_some(Copy { path, bytes: bytes.len() as u64, sha256 })
    })
}

/// The file name's part that tells boards apart: the probe, because names on a bench may change.
fn unit(board: &Board) -> String {
    let probe = match &board.probe {
        Probe::Usb(probe) => probe.to_string(),
        Probe::Emulator(folder) => folder.display().to_string(),
    };
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("{}-{}", board.chip.name(), probe.chars().map(plain).collect::<String>())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn digest(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::parse_for_tests;

    #[test]
    fn only_a_whole_copy_of_the_same_board_is_a_proof() {
        let folder = tempfile::tempdir().unwrap();
        let boards = parse_for_tests(
            "[boards.a]\nkind = 'ameba1'\nprobe = '1:2:a'\n[boards.b]\nkind = 'ameba1'\nprobe = '1:2:b'\n",
        );
        let (a, b) = (&boards[0], &boards[1]);
        assert_eq!(proof(folder.path(), a), None);
        let copy = keep(folder.path(), a, &[0x55; 4096]).unwrap();
        assert_eq!(proof(folder.path(), a).as_ref(), Some(&copy));
        assert_eq!(proof(folder.path(), b), None, "another board");
        fs::write(&copy.path, [0x55; 4095]).unwrap();
        assert_eq!(proof(folder.path(), a), None, "cut short");
    }
}
