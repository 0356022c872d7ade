//! Snapshots: what is expected of one client in one suite.
//!
//! The text of a snapshot is TOML, one table for each broker. Exact fields stand in the table
//! itself and must be equal on every kind of board. Measurements stand in a table of their own for
//! each kind of board, with the tolerance beside them; a kind that was never measured is not
//! compared, nor is an image from other compilers; `native` never is, because a host's nanoseconds
//! repeat too badly.
//!
//! ```toml
//! [hivemq-cloud-2021]
//! result = "failed"
//! stage = "server_hello"
//! error = "-0x7280"
//! close = "fin"
//! cause = "no_ciphersuite_offered"
//!
//! [hivemq-cloud-2021.qemu]
//! unit = "instructions"
//! compilers = "rustc 1.96.0, gcc 12.2.1"
//! tolerance_permille = 1
//! total = 104_512
//! heap_peak_bytes = 40_112
//! ```
//!
//! The snapshot of a survey (see [`crate::Suite`]) says the same of each broker in one line, without
//! figures, so that thousands of cells can be looked through:
//!
//! ```toml
//! hivemq-cloud-2021 = { result = "failed", stage = "server_hello", error = "-0x7280", ... }
//! ```

use crate::outcome::Outcome;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::ser::ValueSerializer;
use wire::message::ClockUnit;

/// Expectations of one client in one suite, by broker name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Snapshot(pub BTreeMap<String, Expected>);

/// What is expected of one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// The outcome, field by field.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The cause that the diagnosis names, `no_failure` if it connected.
    pub cause: String,
    /// Measurements by kind of board.
    #[serde(flatten)]
    pub measured: BTreeMap<String, Measured>,
}

/// What one kind of board measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// What `total` and `phases` count.
    pub unit: ClockUnit,
    /// What the image was compiled with. Another compiler makes other code: figures are compared
    /// only if it is the same.
    pub compilers: String,
    /// How far `total` may be off, in thousandths of itself. A single phase may be off by as much
    /// as the total may, because work moves between neighbouring phases.
    pub tolerance_permille: u64,
    /// Computing time of the whole cell.
    pub total: u64,
    /// Most heap bytes in use; may be off by one part in fifty.
    pub heap_peak_bytes: u64,
    /// Most stack bytes in use, where the board can tell; may be off by one part in fifty.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stack_peak_bytes: Option<u64>,
    /// Computing time by phase.
    pub phases: BTreeMap<String, u64>,
}

/// What any figure may be off by, in its unit. The first cell on a board finds the allocator in
/// another state than the next one: about 80 instructions, too many for a thousandth of a cell that
/// ends after its ClientHello.
const LEAST_SLACK: u64 = 500;

/// Heap and stack vary with the broker's random bytes only a little.
const MEMORY_PERMILLE: u64 = 20;

/// One way in which a cell differs from its snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Dotted name of the field, for example `outcome.error` or `qemu.total`.
    pub field: String,
    /// What the snapshot says.
    pub expected: String,
    /// What was seen.
    pub seen: String,
}

impl Expected {
    /// How `seen` differs from this expectation; empty if it does not.
    #[must_use]
    pub fn changes(&self, seen: &Self) -> Vec<Change> {
        let mut changes = exact_changes(self, seen);
        for (kind, measured) in &seen.measured {
            if let Some(expected) = self.measured.get(kind) {
                expected.compare(kind, measured, &mut changes);
            }
        }
        changes
    }

    /// The same without figures.
    fn bare(&self) -> Self {
        Self { measured: BTreeMap::new(), ..self.clone() }
    }

    /// Takes over what `seen` says, and keeps the measurements of kinds it does not have. Figures of
    /// an image from other compilers do not replace those that are there: two people with two
    /// compilers would undo each other's.
    fn accept(&mut self, seen: Self) {
        self.outcome = seen.outcome;
        self.cause = seen.cause;
        for (kind, measured) in seen.measured {
            match self.measured.get(&kind) {
                // Within tolerance the old figures stay, so that accepting makes no noise.
                Some(old) if old.tolerates(&measured) => {}
                _ => drop(self.measured.insert(kind, measured)),
            }
        }
    }
}

fn exact_changes(expected: &Expected, seen: &Expected) -> Vec<Change> {
    changes_between(&expected.bare(), &seen.bare())
}

/// Field by field, as files show them.
fn changes_between<T: Serialize>(expected: &T, seen: &T) -> Vec<Change> {
    let flat = |value: &T| toml::Table::try_from(value).unwrap_or_default();
    let (expected, seen) = (flat(expected), flat(seen));
    let names: std::collections::BTreeSet<_> = expected.keys().chain(seen.keys()).collect();
    let text = |table: &toml::Table, name: &str| {
        table.get(name).map_or("(nothing)".to_owned(), |value| match value {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    names
        .into_iter()
        .filter(|name| expected.get(*name) != seen.get(*name))
        .map(|name| Change {
            field: name.clone(),
            expected: text(&expected, name),
            seen: text(&seen, name),
        })
        .collect()
}

impl Outcome {
    /// In which fields `seen` differs from this outcome; empty if in none.
    #[must_use]
    pub fn changes(&self, seen: &Self) -> Vec<Change> {
        changes_between(self, seen)
    }
}

/// A figure that is further off than its tolerance allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beyond {
    /// `total`, `phases.<name>`, `heap_peak_bytes` or `stack_peak_bytes`.
    pub figure: String,
    /// What it should be.
    pub expected: u64,
    /// How far it may be off.
    pub slack: u64,
    /// What it is.
    pub seen: u64,
}

impl Measured {
    /// The figures of `seen` that are beyond tolerance; none if the compilers are others, because
    /// then there is nothing to compare.
    #[must_use]
    pub fn beyond(&self, seen: &Self) -> Vec<Beyond> {
        if self.compilers != seen.compilers {
            return Vec::new();
        }
        let slack = permille(self.total, self.tolerance_permille).max(LEAST_SLACK);
        let memory = |bytes| permille(bytes, MEMORY_PERMILLE).max(16);
        let mut figures = vec![("total".to_owned(), self.total, slack, seen.total)];
        let names: std::collections::BTreeSet<_> =
            self.phases.keys().chain(seen.phases.keys()).collect();
        for name in names {
            let of = |measured: &Self| measured.phases.get(name).copied().unwrap_or(0);
            figures.push((format!("phases.{name}"), of(self), slack, of(seen)));
        }
        let heap = self.heap_peak_bytes;
        figures.push(("heap_peak_bytes".to_owned(), heap, memory(heap), seen.heap_peak_bytes));
        if let (Some(stack), Some(seen)) = (self.stack_peak_bytes, seen.stack_peak_bytes) {
            figures.push(("stack_peak_bytes".to_owned(), stack, memory(stack), seen));
        }
        figures
            .into_iter()
            .filter(|(_, expected, slack, seen)| expected.abs_diff(*seen) > *slack)
            .map(|(figure, expected, slack, seen)| Beyond { figure, expected, slack, seen })
            .collect()
    }

    fn tolerates(&self, seen: &Self) -> bool {
        self.beyond(seen).is_empty()
    }

    fn compare(&self, kind: &str, seen: &Self, changes: &mut Vec<Change>) {
        changes.extend(self.beyond(seen).into_iter().map(|beyond| Change {
            field: format!("{kind}.{}", beyond.figure),
            expected: format!("{} +-{}", beyond.expected, beyond.slack),
            seen: beyond.seen.to_string(),
        }));
    }
}

fn permille(value: u64, parts: u64) -> u64 {
    (u128::from(value) * u128::from(parts)).div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

impl Snapshot {
    /// Makes what was `seen` of one broker the expectation.
    pub fn accept(&mut self, broker: &str, seen: Expected) {
        match self.0.get_mut(broker) {
            Some(expected) => expected.accept(seen),
            None => drop(self.0.insert(broker.to_owned(), seen)),
        }
    }

    /// Reads the text that [`Snapshot::text`] writes.
    ///
    /// # Errors
    /// What TOML finds wrong, with the line.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The text of the snapshot, one value on a line, in the order of names; of a survey's, one
    /// broker on a line, figures left out.
    #[must_use]
    pub fn text(&self, survey: bool) -> String {
        if !survey {
            return toml::to_string(self).unwrap_or_default();
        }
        let lines = self.0.iter().map(|(broker, expected)| {
            let mut line = String::new();
            // Writing to a string cannot fail, and an outcome is nothing that TOML has no words for.
            let _ = expected.bare().serialize(ValueSerializer::new(&mut line));
            // A name is made of letters, digits and `-_.`; with a dot in it TOML wants it quoted.
            let quote = if broker.contains('.') { "\"" } else { "" };
            format!("{quote}{broker}{quote} = {line}\n")
        });
        lines.collect()
    }

    /// Where the snapshot of `client` in `suite` lives below the `suites` folder. The file is an
    /// `insta` snapshot: a header between two `---` lines, then the text.
    #[must_use]
    pub fn path(folder: &Path, suite: &str, client: &crate::ClientName) -> PathBuf {
        folder.join("snapshots").join(suite).join(format!("{}.snap", Self::stem(client)))
    }

    /// The snapshot's name as `insta` wants it: a file name without its ending.
    #[must_use]
    pub fn stem(client: &crate::ClientName) -> String {
        client.to_string().replace('/', "__")
    }

    /// Reads the snapshot at `path`; `None` if there is none yet.
    ///
    /// # Errors
    /// [`SnapshotError`] names the file.
    pub fn load(path: &Path) -> Result<Option<Self>, SnapshotError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SnapshotError::File { path: path.to_owned(), source }),
        };
        let body = text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n"));
        let body = body.map_or(text.as_str(), |(_, body)| body);
        Self::parse(body).map(Some).map_err(|source| SnapshotError::Text {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Writes the snapshot to `path` as `insta` would, whole or not at all; in which form, see
    /// [`Snapshot::text`].
    ///
    /// # Errors
    /// [`SnapshotError`] names the file.
    pub fn save(&self, path: &Path, survey: bool) -> Result<(), SnapshotError> {
        let failed = |source| SnapshotError::File { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let text =
            format!("---\nsource: suites/check/tests/snapshots.rs\n---\n{}", self.text(survey));
        let fresh = path.with_extension("snap.tmp");
        std::fs::write(&fresh, text).map_err(failed)?;
        std::fs::rename(&fresh, path).map_err(failed)
    }
}

/// Why a snapshot cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file system says no.
    #[error("cannot use snapshot {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// The text is no snapshot.
    #[error("snapshot {path} cannot be read; restore it or delete it and accept anew: {source}", path = path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// What TOML finds wrong.
        source: Box<toml::de::Error>,
    },
}
