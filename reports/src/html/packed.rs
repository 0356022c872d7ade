//! The panels of one matrix row, packed.
//!
//! A row is one JSON document: the parts that its panels are made of, each once, and for each broker
//! which of them make up its panel. Cells of one client share most parts, and what is alike in the
//! others lies close together, so that zlib finds it. The page unpacks a row when one of its cells is
//! opened ([`DecompressionStream`]); Base64 needs no escaping in markup.
//!
//! [`DecompressionStream`]: https://compression.spec.whatwg.org/

use super::panel;
use crate::record::CellRecord;
use crate::writers::Recorded;
use data_encoding::BASE64;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Default, Serialize)]
struct Panels<'a> {
    parts: Vec<String>,
    /// By broker.
    cells: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Panels<'a> {
    fn of(recorded: &Recorded, cells: &[&'a CellRecord]) -> io::Result<Self> {
        let mut panels = Self::default();
        let mut places: HashMap<String, usize> = HashMap::new();
        for cell in cells {
            let mut places_of_cell = Vec::new();
            for part in panel::parts(recorded, cell)? {
                // Once for all that leaves this module: see the page's own pass.
                let part = super::text::visible(part);
                let place = *places.entry(part).or_insert_with_key(|part| {
                    panels.parts.push(part.clone());
                    panels.parts.len() - 1
                });
                places_of_cell.push(place);
            }
            panels.cells.insert(&cell.broker, places_of_cell);
        }
        Ok(panels)
    }

    fn pack(&self) -> io::Result<String> {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&serde_json::to_vec(self)?)?;
        Ok(BASE64.encode(&packed.finish()?))
    }
}

/// Packs the panels of each row. Reading and drawing 10,000 transcripts takes seconds, so every
/// processor core takes rows from the same list.
pub(super) fn rows(recorded: &Recorded, rows: &[Vec<&CellRecord>]) -> io::Result<Vec<String>> {
    let next = AtomicUsize::new(0);
    let work = || -> io::Result<Vec<(usize, String)>> {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(cells) = rows.get(place) else { return Ok(done) };
            done.push((place, Panels::of(recorded, cells)?.pack()?));
        }
    };
    let threads =
        std::thread::available_parallelism().map_or(1, usize::from).min(rows.len().max(1));
    let mut packed = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut packed = Vec::new();
        for worker in workers {
            let done = worker.join().map_err(|_| io::Error::other("a panel cannot be drawn"))?;
            packed.extend(done?);
        }
        io::Result::Ok(packed)
    })?;
    packed.sort_by_key(|(place, _)| *place);
    Ok(packed.into_iter().map(|(_, row)| row).collect())
}
