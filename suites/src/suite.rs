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
    /// Every cell once, in file order.
    pub cells: Vec<CellId>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSuite {
    summary: String,
    cells: Vec<RawGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    clients: Vec<String>,
    brokers: Vec<String>,
}

impl Suite {
    /// Reads one suite from the text of its file. Whether its clients and brokers exist is asked
    /// by [`Library::load`](crate::Library::load).
    ///
    /// # Errors
    /// Says file and line, and the nearest real name where one was mistyped.
    pub fn parse(name: &str, text: &str, file_name: &str) -> Result<Self, FileError> {
        let raw: RawSuite = file::parse(text, file_name)?;
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
        Ok(Self { name: name.to_owned(), summary: raw.summary, cells })
    }
}
