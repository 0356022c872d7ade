//! ClientHellos, recorded once for each client, so that a prediction needs nothing started.
//!
//! `hellos/<client>.hex` below the `suites` folder holds one record in hexadecimal digits, 32 bytes
//! on a line, after lines that begin with `#`. Its random bytes (RFC 5246 7.4.1.2) are zeros: they
//! are another in each run and say nothing.

use crate::cell::ClientName;
use crate::hello::ClientHello;
use crate::snapshot::Snapshot;
use crate::stream::{RECORD_HEADER, Stream};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Where the random stands in a record: behind its header, the message's header and the version.
const RANDOM: Range<usize> = RECORD_HEADER + 6..RECORD_HEADER + 38;

/// key_share, RFC 8446 4.2.8.
const KEY_SHARE: u16 = 51;

const BYTES_ON_A_LINE: usize = 32;

/// A ClientHello and the record that it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    record: Vec<u8>,
    hello: ClientHello,
}

/// Why a recorded hello cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    /// The file system says no.
    #[error("cannot use recorded hello {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// It is no ClientHello in hexadecimal digits.
    #[error(
        "{path} holds no ClientHello; delete it and record it anew with `cargo rig run --accept`",
        path = path.display()
    )]
    Text {
        /// The file.
        path: PathBuf,
    },
}

impl Recorded {
    /// Takes the record of a ClientHello; `None` if it is none, or not all of one.
    #[must_use]
    pub fn new(record: &[u8]) -> Option<Self> {
        let mut record = record.to_vec();
        record.get_mut(RANDOM)?.fill(0);
        let hello = Stream::parse(&record).client_hello?;
        Some(Self { record, hello })
    }

    /// What the client offers.
    #[must_use]
    pub fn hello(&self) -> &ClientHello {
        &self.hello
    }

    /// Whether another cell's hello is the same apart from what differs from cell to cell: random
    /// bytes, and the broker's name in server_name.
    #[must_use]
    pub fn same_offer(&self, other: &Self) -> bool {
        let nameless = |hello: &ClientHello| ClientHello {
            server_name: hello.server_name.as_ref().map(|_| String::new()),
            ..hello.clone()
        };
        nameless(&self.hello) == nameless(&other.hello)
            && (self.varies() || self.record == other.record)
    }

    /// Whether more than the random is another each time: the names of different brokers, or the key
    /// share of TLS 1.3 (RFC 8446 4.2.8).
    fn varies(&self) -> bool {
        self.hello.server_name.is_some() || self.hello.extensions.contains(&KEY_SHARE)
    }

    /// Where the hello of `client` lives below the `suites` folder.
    #[must_use]
    pub fn path(folder: &Path, client: &ClientName) -> PathBuf {
        folder.join("hellos").join(format!("{}.hex", Snapshot::stem(client)))
    }

    /// Reads the file at `path`; `None` if there is none.
    ///
    /// # Errors
    /// [`RecordedError`] names the file.
    pub fn load(path: &Path) -> Result<Option<Self>, RecordedError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RecordedError::File { path: path.to_owned(), source }),
        };
        let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        let record = data_encoding::HEXLOWER_PERMISSIVE.decode(digits.trim().as_bytes()).ok();
        record
            .and_then(|record| Self::new(&record))
            .map(Some)
            .ok_or_else(|| RecordedError::Text { path: path.to_owned() })
    }

    /// Writes the file at `path`, whole or not at all.
    ///
    /// # Errors
    /// [`RecordedError`] names the file.
    pub fn save(&self, path: &Path, client: &ClientName) -> Result<(), RecordedError> {
        let failed = |source| RecordedError::File { path: path.to_owned(), source };
        let mut text = format!("# ClientHello of {client}, its random bytes set to zero\n");
        for line in self.record.chunks(BYTES_ON_A_LINE) {
            text.push_str(&data_encoding::HEXLOWER.encode(line));
            text.push('\n');
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let fresh = path.with_extension("hex.tmp");
        std::fs::write(&fresh, text).map_err(failed)?;
        std::fs::rename(&fresh, path).map_err(failed)
    }
}
