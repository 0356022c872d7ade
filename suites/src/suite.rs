//! Suites: which clients meet which brokers.
//!
//! A suite is a TOML file under `suites/matrix/` with one or more `[[cells]]` groups; each group
//! pairs all its clients with all its brokers. The order of the file is the order of the cells.

use crate::cell::{CellId, ClientName};
use crate::file::{self, FileError};
use serde::Deserialize;

/// A suite, checked and expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// File name without its ending.
    pub name: String,
    /// One line for `rig list suites`.
    pub summary: String,
    /// mbedTLS debug threshold of its clients, 0 to 4. It costs time on the link, and none of what
    /// is measured.
    pub log_level: u8,
    /// Every cell once, in file order.
    pub cells: Vec<CellId>,
}

/// State changes and values, without the dumps of whole records: the wire's bytes are recorded
/// anyway.
const LOG_LEVEL: u8 = 3;

/// mbedTLS knows no higher one.
const MAX_LOG_LEVEL: u8 = 4;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSuite {
    summary: String,
    #[serde(default = "default_log_level")]
    log_level: u8,
    cells: Vec<RawGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    clients: Vec<String>,
    brokers: Vec<String>,
}

fn default_log_level() -> u8 {
    LOG_LEVEL
}

impl Suite {
    /// Reads one suite from the text of its file. Whether its clients and brokers exist is asked
    /// by [`Library::load`](crate::Library::load).
    ///
    /// # Errors
    /// Says file and line, and the nearest real name where one was mistyped.
    pub fn parse(name: &str, text: &str, file_name: &str) -> Result<Self, FileError> {
        let raw: RawSuite = file::parse(text, file_name)?;
        if raw.log_level > MAX_LOG_LEVEL {
            let why = "log_level is mbedTLS's debug threshold, 0 (nothing) to 4 (everything)";
            return Err(file::refuse(text, file_name, "log_level", why.to_owned()));
        }
        let mut cells = Vec::new();
        for group in &raw.cells {
            for client in &group.clients {
                let parsed: ClientName = client.parse().map_err(|error: crate::NameError| {
                    file::refuse(text, file_name, client, error.to_string())
                })?;
                for broker in &group.brokers {
                    let cell = CellId { client: parsed.clone(), broker: broker.clone() };
                    if !cells.contains(&cell) {
                        cells.push(cell);
                    }
                }
            }
        }
        let RawSuite { summary, log_level, .. } = raw;
        Ok(Self { name: name.to_owned(), summary, log_level, cells })
    }
}
