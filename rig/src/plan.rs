//! What is to be run: cells with everything they need, in an order that changes boards rarely.

use crate::firmware::BuildInfo;
use std::collections::{HashMap, HashSet};
use suites::broker::BrokerProfile;
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
    /// The client's profile.
    pub profile: ClientProfile,
    /// The broker's profile.
    pub broker: BrokerProfile,
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

/// The jobs of the named suites that pass every filter, each cell once, grouped by build.
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
    let mut jobs: Vec<Job> = Vec::new();
    for name in suites {
        let suite = library.suite(name)?;
        for cell in &suite.cells {
            let build = cell.client.build.as_str();
            if !known.contains(build) {
                let known = builds.iter().map(|build| build.name.as_str());
                return Err(Unknown::new("build", build, known, "rig list builds"));
            }
            let id = cell.to_string();
            let wanted = filters.is_empty() || filters.iter().any(|filter| filter.passes(&id));
            if wanted && planned.insert(id) {
                jobs.push(Job {
                    cell: cell.clone(),
                    suite: suite.name.clone(),
                    log_level: suite.log_level,
                    profile: library.profile(&cell.client.profile)?.clone(),
                    broker: library.broker(&cell.broker)?.clone(),
                });
            }
        }
    }
    // A stable sort keeps the file's order within a build, and the builds' order as they appear.
    let mut order = HashMap::new();
    for job in &jobs {
        let next = order.len();
        order.entry(job.cell.client.build.clone()).or_insert(next);
    }
    jobs.sort_by_key(|job| order.get(&job.cell.client.build).copied());
    if let Some(shard) = shard {
        let mut number = 0;
        jobs.retain(|_| {
            number += 1;
            (number - 1) % shard.of == shard.index - 1
        });
    }
    Ok(jobs)
}
