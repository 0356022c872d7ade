//! Suites: which clients meet which brokers.
//!
//! ```text
//! matrix/*.toml --parse--> SuiteFile --resolve(names that there are)--> Suite
//! ```
//!
//! A suite is a TOML file under `suites/matrix/` with one or more `[[cells]]` groups; each group
//! pairs its clients with its brokers. A name with `*` in it stands for all names that fit: of broker
//! files, and of clients that some suite names in full. The order of the file is the order of the
//! cells; names that a `*` stands for come in alphabetical order.

use crate::cell::{CellId, ClientName};
use crate::file::{self, FileError, nearest};
use crate::pairs::pairwise;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};

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
    /// Whether it is a survey: so many cells that of each the outcome alone is kept. Its snapshots
    /// hold no figures, one line for each broker; of the debug output come only the lines that a
    /// diagnosis quotes; and files of its own, and the trace of its prediction in the record, has a
    /// cell only if it is not as expected.
    pub survey: bool,
    /// Every cell once, in file order.
    pub cells: Vec<CellId>,
}

/// State changes and values, without the dumps of whole records: the wire's bytes are recorded
/// anyway.
const LOG_LEVEL: u8 = 3;

/// mbedTLS knows no higher one.
const MAX_LOG_LEVEL: u8 = 4;

/// Stands for any characters, none included.
const ANY: char = '*';

/// How clients and brokers of a group are put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plan {
    /// Each client with each broker.
    #[default]
    All,
    /// As few cells as will do for every build to meet every broker, and every profile every
    /// broker, see [`pairwise`].
    Pairwise,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSuite {
    summary: String,
    #[serde(default = "default_log_level")]
    log_level: u8,
    #[serde(default)]
    survey: bool,
    cells: Vec<RawGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    clients: Vec<String>,
    brokers: Vec<String>,
    #[serde(default)]
    plan: Plan,
}

fn default_log_level() -> u8 {
    LOG_LEVEL
}

/// A suite's file, read but not yet looked up.
#[derive(Debug)]
pub struct SuiteFile {
    name: String,
    file_name: String,
    text: String,
    raw: RawSuite,
}

impl SuiteFile {
    /// Reads one suite from the text of its file.
    ///
    /// # Errors
    /// Says file and line, and the nearest real name where one was mistyped.
    pub fn parse(name: &str, text: &str, file_name: &str) -> Result<Self, FileError> {
        let raw: RawSuite = file::parse(text, file_name)?;
        if raw.log_level > MAX_LOG_LEVEL {
            let why = "log_level is mbedTLS's debug threshold, 0 (nothing) to 4 (everything)";
            return Err(file::refuse(text, file_name, "log_level", why.to_owned()));
        }
        for client in raw.cells.iter().flat_map(|group| &group.clients) {
            if !client.contains(ANY) {
                client
                    .parse::<ClientName>()
                    .map_err(|error| file::refuse(text, file_name, client, error.to_string()))?;
            }
        }
        Ok(Self {
            name: name.to_owned(),
            file_name: file_name.to_owned(),
            text: text.to_owned(),
            raw,
        })
    }

    /// The clients that it names in full.
    pub fn clients(&self) -> impl Iterator<Item = ClientName> {
        let names = self.raw.cells.iter().flat_map(|group| &group.clients);
        names.filter_map(|name| name.parse().ok())
    }

    /// The suite, with `*` replaced by what there is.
    ///
    /// # Errors
    /// A pattern that nothing fits, with file and line.
    pub fn resolve(
        &self,
        clients: &BTreeSet<ClientName>,
        brokers: &BTreeSet<&str>,
    ) -> Result<Suite, FileError> {
        let named: BTreeMap<_, _> =
            clients.iter().map(|client| (client.to_string(), client)).collect();
        let mut cells = Vec::new();
        let mut seen = HashSet::new();
        for group in &self.raw.cells {
            let known = || named.keys().map(String::as_str);
            let own_clients: Vec<_> = self
                .expand(&group.clients, "client", known)?
                .iter()
                .filter_map(|name| named.get(*name).copied())
                .collect();
            let own_brokers = self.expand(&group.brokers, "broker", || brokers.iter().copied())?;
            for cell in combine(group.plan, &own_clients, &own_brokers) {
                if seen.insert(cell.clone()) {
                    cells.push(cell);
                }
            }
        }
        let RawSuite { summary, log_level, survey, .. } = &self.raw;
        Ok(Suite {
            name: self.name.clone(),
            summary: summary.clone(),
            log_level: *log_level,
            survey: *survey,
            cells,
        })
    }

    /// The names of a list, those that a pattern stands for in its place.
    fn expand<'a, K: Iterator<Item = &'a str>>(
        &'a self,
        list: &'a [String],
        kind: &str,
        known: impl Fn() -> K,
    ) -> Result<Vec<&'a str>, FileError> {
        let mut names = Vec::new();
        for name in list {
            if !name.contains(ANY) {
                names.push(name.as_str());
                continue;
            }
            let before = names.len();
            names.extend(known().filter(|known| fits(name, known)));
            if names.len() == before {
                let mut refused = file::refuse(
                    &self.text,
                    &self.file_name,
                    name,
                    format!("no {kind} fits {name:?}"),
                );
                refused.nearest = nearest(name, known()).map(str::to_owned);
                return Err(refused);
            }
        }
        Ok(names)
    }
}

/// Whether a name fits a pattern in which `*` stands for any characters.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split(ANY);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

fn combine(plan: Plan, clients: &[&ClientName], brokers: &[&str]) -> Vec<CellId> {
    let all: Vec<CellId> = clients
        .iter()
        .flat_map(|client| {
            let cell =
                |broker: &&str| CellId { client: (*client).clone(), broker: (*broker).to_owned() };
            brokers.iter().map(cell)
        })
        .collect();
    match plan {
        Plan::All => all,
        Plan::Pairwise => {
            let rows: Vec<_> = all
                .iter()
                .map(|cell| {
                    [cell.client.build.as_str(), cell.client.profile.as_str(), &*cell.broker]
                })
                .collect();
            pairwise(&rows).into_iter().filter_map(|row| all.get(row).cloned()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        let fitting = [
            ("*", "a"),
            ("*", ""),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a*c", "abc"),
            ("a*b*c", "aXbYc"),
        ];
        assert!(fitting.iter().all(|(pattern, name)| fits(pattern, name)));
        // The two ends may not share a character.
        let others = [("a*", "ba"), ("*c", "cb"), ("a*c", "ac2"), ("ab*ba", "aba"), ("abc", "ab")];
        assert!(others.iter().all(|(pattern, name)| !fits(pattern, name)));
    }

    fn resolve(text: &str) -> Result<Vec<String>, String> {
        let clients = ["s/a+p", "s/a+q", "s/b+p", "s/b+q"].map(|name| name.parse().unwrap());
        let brokers = BTreeSet::from(["one", "two", "three"]);
        let file = SuiteFile::parse("x", text, "x.toml").map_err(|error| error.to_string())?;
        let suite = file.resolve(&BTreeSet::from(clients), &brokers);
        let cells = suite.map_err(|error| error.to_string())?.cells;
        Ok(cells.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn patterns_are_replaced_by_what_fits_and_each_cell_comes_once() {
        let text = "summary = ''\n[[cells]]\nclients = ['s/b+p']\nbrokers = ['two', 't*']\n\
                    [[cells]]\nclients = ['*+p']\nbrokers = ['two']\n";
        assert_eq!(resolve(text).unwrap(), ["s/b+p/two", "s/b+p/three", "s/a+p/two"]);
    }

    #[test]
    fn a_pattern_that_nothing_fits_is_refused_with_its_line() {
        let text = "summary = ''\n[[cells]]\nclients = ['*']\nbrokers = ['thre*x']\n";
        let said = resolve(text).unwrap_err();
        assert!(said.starts_with("x.toml:4:"), "{said}");
        assert!(said.contains("no broker fits \"thre*x\""), "{said}");
    }

    #[test]
    fn a_pairwise_group_has_every_build_and_every_profile_with_every_broker() {
        let text = "summary = ''\n[[cells]]\nclients = ['*']\nbrokers = ['*']\nplan = 'pairwise'\n";
        let cells = resolve(text).unwrap();
        assert_eq!(cells.len(), 6, "of 12: {cells:?}");
        for broker in ["one", "two", "three"] {
            for part in ["s/a+", "s/b+", "+p/", "+q/"] {
                let both = |cell: &&String| cell.contains(part) && cell.ends_with(broker);
                assert!(cells.iter().any(|cell| both(&cell)), "{part} {broker}: {cells:?}");
            }
        }
    }
}
