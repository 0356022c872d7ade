//! What is to be run: cells with everything they need, in an order that changes boards rarely.
//!
//! ```text
//! suites --filters--> cells --by build, then by broker--> jobs --shard--> this machine's part
//! ```
//!
//! Builds and brokers come in the order in which the suites name them first. A board is loaded anew
//! only where the build changes, and cells of one broker are neighbours. A shard is one stretch of
//! that order, so that at most its first and its last build are shared with another machine.

use crate::firmware::BuildInfo;
use brokers::product::Product;
use std::collections::{HashMap, HashSet};
use suites::broker::{BrokerProfile, Fault};
use suites::cell::CellId;
use suites::library::{Library, Unknown};
use suites::profile::ClientProfile;

/// One cell with its profiles looked up.
#[derive(Debug, Clone)]
pub struct Job {
    /// The cell.
    pub cell: CellId,
    /// The suites it was taken from, the first one's snapshot is its expectation.
    pub suite: String,
    /// mbedTLS debug threshold, from the suite.
    pub log_level: u8,
    /// Whether the suite is a survey: only the outcome is kept, see [`suites::Suite`].
    pub survey: bool,
    /// The client's profile.
    pub profile: ClientProfile,
    /// The broker's profile.
    pub broker: BrokerProfile,
}

impl Job {
    /// Whether the cell's client mostly waits, so that it needs hardly any of a core: for a broker
    /// that is silent or slow on purpose, or for a product's program, whose start takes seconds.
    #[must_use]
    pub fn waits(&self) -> bool {
        let slow = self.broker.misbehave.is_some_and(|misbehave| match misbehave.does {
            Fault::Stall { ms } => ms > 0,
            Fault::ByteByByte { pause_ms } => pause_ms > 0,
            _ => false,
        });
        slow || Product::of(self.broker.front).is_some()
    }
}

/// One part of a plan that is split among several machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 1.
    pub index: usize,
    /// How many parts.
    pub of: usize,
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(index, of)| {
            let shard = Self { index: index.parse().ok()?, of: of.parse().ok()? };
            (1..=shard.of).contains(&shard.index).then_some(shard)
        });
        parsed.ok_or_else(|| "a shard looks like 1/4: part 1 of 4".to_owned())
    }
}

/// Which cells are wanted: words that must all fit, those behind `!` must not.
struct Filter<'a>(Vec<(bool, &'a str)>);

impl<'a> Filter<'a> {
    fn of(text: &'a str) -> Self {
        Self(
            text.split_whitespace()
                .map(|word| match word.strip_prefix('!') {
                    Some(word) => (false, word),
                    None => (true, word),
                })
                .collect(),
        )
    }

    fn passes(&self, id: &str) -> bool {
        self.0.iter().all(|(wanted, word)| id.contains(word) == *wanted)
    }
}

/// The jobs of the named suites that pass every filter, each cell once, by build and then by broker.
///
/// The order is stable: the same suites and filters always give the same list.
///
/// # Errors
/// [`Unknown`] for a suite, broker, profile or build that does not exist.
pub fn expand(
    library: &Library,
    builds: &[BuildInfo],
    suites: &[String],
    filters: &[String],
    shard: Option<Shard>,
) -> Result<Vec<Job>, Unknown> {
    let filters: Vec<Filter> = filters.iter().map(|text| Filter::of(text)).collect();
    let known: HashSet<&str> = builds.iter().map(|build| build.name.as_str()).collect();
    let mut planned = HashSet::new();
    // Counted before the filters, so that what passes them keeps its order.
    let (mut build_places, mut broker_places) = (Places::default(), Places::default());
    let mut jobs: Vec<((usize, usize), Job)> = Vec::new();
    for name in suites {
        let suite = library.suite(name)?;
        for cell in &suite.cells {
            let build = cell.client.build.as_str();
            if !known.contains(build) {
                let known = builds.iter().map(|build| build.name.as_str());
                return Err(Unknown::new("build", build, known, "rig list builds"));
            }
            let place = (build_places.of(build), broker_places.of(&cell.broker));
            let id = cell.to_string();
            let wanted = filters.is_empty() || filters.iter().any(|filter| filter.passes(&id));
            if wanted && planned.insert(id) {
                let job = Job {
                    cell: cell.clone(),
                    suite: suite.name.clone(),
                    log_level: suite.log_level,
                    survey: suite.survey,
                    profile: library.profile(&cell.client.profile)?.clone(),
                    broker: library.broker(&cell.broker)?.clone(),
                };
                jobs.push((place, job));
            }
        }
    }
    // A stable sort: clients of one build at one broker stay in the suite's order.
    jobs.sort_by_key(|(place, _)| *place);
    let part = match shard {
        Some(Shard { index, of }) => {
            let cut = |part: usize| (jobs.len() * part).div_ceil(of);
            cut(index - 1)..cut(index)
        }
        None => 0..jobs.len(),
    };
    Ok(jobs.drain(part).map(|(_, job)| job).collect())
}

/// Names numbered in the order in which they are met.
#[derive(Default)]
struct Places<'a>(HashMap<&'a str, usize>);

impl<'a> Places<'a> {
    fn of(&mut self, name: &'a str) -> usize {
        let next = self.0.len();
        *self.0.entry(name).or_insert(next)
    }
}
