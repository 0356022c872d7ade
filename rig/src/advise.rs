//! Which client to take for given brokers, and what to change in the one there is.
//!
//! ```text
//! snapshots ------------------+                     +--> who connects to all of them, cheapest first
//! prediction, where none is --+--> known --> rank --+
//! figures of recorded runs ---+                     +--> the smallest change that gets the SDK's own
//!                                                        client there, macro by macro  (change)
//! ```
//!
//! Nothing is started. What a snapshot holds was seen; a broker that comes from a file was never met,
//! so there prediction is all there is, and the advice says which of the two it rests on.

pub mod calls;
mod change;
mod known;

pub use change::{Change, reduced, smallest, with_enabled};
pub use known::{Basis, Cell, Figures, Known, Unsaid};

use crate::firmware::{Builder, Layout, Target};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use suites::outcome::OutcomeKind;
use suites::profile::{ClientCa, ClientProfile};
use suites::{BrokerProfile, BuildName, ClientName};
use wire::message::Verify;

/// What is advised.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Advice {
    /// The brokers, in the order asked.
    pub brokers: Vec<String>,
    /// How many clients were looked at.
    pub clients: usize,
    /// Of how many of them nothing can be said for one broker or more.
    pub unsaid: usize,
    /// Why, for the first of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_unsaid: Option<String>,
    /// Those that connect to all: with verification before those without, those that an ameba1 has
    /// room for before those that it has not, cheapest first.
    pub connect: Vec<Candidate>,
    /// How many clients connect to each broker.
    pub each: BTreeMap<String, usize>,
    /// The client there is.
    pub base: Base,
    /// What to change in it, if it does not connect to all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
}

/// The client there is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Base {
    /// Its name.
    pub client: ClientName,
    /// Whether it connects to all.
    pub connects: bool,
    /// What becomes of it, broker by broker.
    pub cells: Vec<Cell>,
}

/// A client that connects to all brokers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Candidate {
    /// Its name.
    pub client: ClientName,
    /// Whether it knows whom it speaks to: it has a CA and refuses a certificate that does not fit.
    pub verifies: bool,
    /// Instructions on the emulated Cortex-M3, with the broker that takes the most.
    pub instructions: Option<u64>,
    /// Heap bytes, with the broker that takes the most.
    pub heap_peak_bytes: Option<u64>,
    /// Code and constants of its image for an ameba1, if that is in the cache.
    pub code_bytes: Option<u64>,
    /// Why there is no image of it for an ameba1, if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub too_large_for_ameba1: Option<String>,
    /// Broker by broker.
    pub cells: Vec<Cell>,
}

impl Candidate {
    /// Whether every figure is of the very broker, and not of another with the same suite.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.cells.iter().all(|cell| cell.figures.is_some() && cell.like.is_none())
    }
}

/// Whether a client with this profile refuses a broker that it cannot tell from another.
#[must_use]
pub fn verifies(profile: &ClientProfile) -> bool {
    profile.verify == Verify::Required && profile.ca == ClientCa::Broker
}

/// Looks at every client of which something is known.
///
/// # Errors
/// What is on disk and cannot be read.
pub fn advise(
    known: &Known<'_>,
    builder: &Builder,
    brokers: &[Asked],
    base: &ClientName,
) -> anyhow::Result<Advice> {
    let (mut connect, mut each) = (Vec::new(), BTreeMap::new());
    let (mut unsaid, mut why_unsaid) = (0, None);
    let clients = known.clients();
    let mut sizes = BTreeMap::new();
    for (client, profile) in &clients {
        let cells = known.cells(client, profile, brokers)?;
        let mut said = Vec::new();
        for (cell, broker) in cells.into_iter().zip(brokers) {
            match cell {
                Ok(cell) => {
                    let connects = cell.outcome.result == OutcomeKind::Connected;
                    *each.entry(broker.profile.name.clone()).or_insert(0) += usize::from(connects);
                    said.push(cell);
                }
                Err(Unsaid { why }) => {
                    why_unsaid.get_or_insert(why);
                }
            }
        }
        if said.len() < brokers.len() {
            unsaid += 1;
        } else if said.iter().all(|cell| cell.outcome.result == OutcomeKind::Connected) {
            let code = sizes.entry(client.build.clone());
            let code = *code.or_insert_with_key(|build| code_bytes(builder, build));
            let mut candidate = candidate(client, profile, said, code);
            candidate.too_large_for_ameba1 = known.too_large_for_ameba1(&client.build);
            connect.push(candidate);
        }
    }
    connect.sort_by_key(rank);
    let base = self::base(known, brokers, base)?;
    let change = match base.connects {
        true => None,
        false => smallest(known, &base.client, brokers, &connect)?,
    };
    let brokers = brokers.iter().map(|asked| asked.profile.name.clone()).collect();
    Ok(Advice { brokers, clients: clients.len(), unsaid, why_unsaid, connect, each, base, change })
}

/// A broker that is asked about.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its profile.
    pub profile: BrokerProfile,
    /// Whether it is the library's, so that snapshots speak of it.
    pub recorded: bool,
}

fn base(known: &Known<'_>, brokers: &[Asked], client: &ClientName) -> anyhow::Result<Base> {
    let profile = known.profile(client)?;
    let cells = known.cells(client, profile, brokers)?;
    let cells: Vec<_> = cells.into_iter().flatten().collect();
    let connects = cells.len() == brokers.len()
        && cells.iter().all(|cell| cell.outcome.result == OutcomeKind::Connected);
    Ok(Base { client: client.clone(), connects, cells })
}

fn candidate(
    client: &ClientName,
    profile: &ClientProfile,
    cells: Vec<Cell>,
    code_bytes: Option<u64>,
) -> Candidate {
    let most = |figure: fn(&Figures) -> u64| {
        let all: Option<Vec<_>> =
            cells.iter().map(|cell| cell.figures.as_ref().map(figure)).collect();
        all.and_then(|all| all.into_iter().max())
    };
    Candidate {
        client: client.clone(),
        verifies: verifies(profile),
        instructions: most(|figures| figures.instructions),
        heap_peak_bytes: most(|figures| figures.heap_peak_bytes),
        code_bytes,
        too_large_for_ameba1: None,
        cells,
    }
}

/// Safe before unsafe, what fits before what does not, measured before not measured; then instructions, heap, code, name.
fn rank(candidate: &Candidate) -> impl Ord + use<> {
    let last = |figure: Option<u64>| figure.unwrap_or(u64::MAX);
    (
        !candidate.verifies,
        candidate.too_large_for_ameba1.is_some(),
        last(candidate.instructions),
        last(candidate.heap_peak_bytes),
        last(candidate.code_bytes),
        candidate.client.to_string(),
    )
}

/// What the image takes of the flash of the board for which it has to be small.
fn code_bytes(builder: &Builder, build: &BuildName) -> Option<u64> {
    let image = builder.find(build, Target::Ameba1).ok().flatten()?;
    let elf = std::fs::read(image.path).ok()?;
    Layout::read(&elf).ok().map(|layout| layout.code)
}
