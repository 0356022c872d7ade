//! The panels of one matrix row, packed.
//!
//! A row is one JSON document: the parts that its panels are made of, each once, and for each broker
//! which of them make up its panel. Cells of one client share most parts, and what is alike in the
//! others lies close together, so that zlib finds it. The page unpacks a row when one of its cells is
//! opened ([`DecompressionStream`]); Base64 needs no escaping in markup.
//!
//! [`DecompressionStream`]: https://compression.spec.whatwg.org/

use super::panel::{self, Part};
use super::text;
use crate::record::CellRecord;
use crate::writers::Recorded;
use data_encoding::BASE64;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Serialize)]
struct Panels<'a> {
    parts: Vec<String>,
    /// By broker.
    cells: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Panels<'a> {
    fn of(recorded: &Recorded, cells: &[&'a CellRecord]) -> io::Result<Self> {
        let mut parts: Vec<Part> = Vec::new();
        let mut places: HashMap<Part, usize> = HashMap::new();
        let mut made: Vec<(&str, Vec<usize>)> = Vec::new();
        for cell in cells {
            let mut of_cell = Vec::new();
            for part in panel::parts(recorded, cell)? {
                let part = Part { markup: text::visible(part.markup), ..part };
                let place = *places.entry(part).or_insert_with_key(|part| {
                    parts.push(part.clone());
                    parts.len() - 1
                });
                of_cell.push(place);
            }
            made.push((&cell.broker, of_cell));
        }
        // zlib looks back 32 KiB: parts of one kind are the most alike, and go side by side.
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|place| parts.get(*place).map(|part| part.kind));
        let mut moved = vec![0; parts.len()];
        for (to, from) in order.iter().enumerate() {
            if let Some(place) = moved.get_mut(*from) {
                *place = to;
            }
        }
        parts.sort_by_key(|part| part.kind);
        let now_at = |place: usize| moved.get(place).copied().unwrap_or_default();
        Ok(Self {
            parts: parts.into_iter().map(|part| part.markup).collect(),
            cells: made
                .into_iter()
                .map(|(broker, places)| (broker, places.into_iter().map(now_at).collect()))
                .collect(),
        })
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
