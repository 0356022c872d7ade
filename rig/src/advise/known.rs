//! What is known of each client with each broker: seen in snapshots, else predicted; and what it cost.

use super::Asked;
use crate::firmware::BuildInfo;
use crate::predictor::{Predictor, PredictorError};
use crate::project::Project;
use anyhow::Result;
use reports::record::read_cells;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use suites::outcome::{Outcome, OutcomeKind};
use suites::predict::recorded::Recorded;
use suites::profile::ClientProfile;
use suites::{BuildName, CellId, ClientName, Library, Snapshot, Unknown};
use wire::message::ClockUnit;
use wire::tls::{CipherSuite, ProtocolVersion};

/// The kind of board whose figures repeat: it counts instructions.
const MEASURED_ON: &str = "qemu";

/// What a cell cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Figures {
    /// Instructions on the emulated Cortex-M3.
    pub instructions: u64,
    /// Most heap bytes in use.
    pub heap_peak_bytes: u64,
}

/// On what a statement rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// A snapshot holds it.
    Seen,
    /// It was worked out from hello and profiles.
    Predicted,
}

/// What becomes of a client with one broker.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Cell {
    /// The broker.
    pub broker: String,
    /// How that is known.
    pub basis: Basis,
    /// What becomes of it.
    pub outcome: Outcome,
    /// Why; a cause of the diagnosis where it was seen, a clause where it was predicted.
    pub why: String,
    /// What it costs, if that was ever measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// The broker with which it was measured, if that is another one: version and suite are the same
    /// there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub like: Option<String>,
}

/// Nothing is known, and why.
#[derive(Debug, Clone)]
pub struct Unsaid {
    /// What would have to be there.
    pub why: String,
}

/// What is known of a build, beside what a prediction is made from.
struct Made {
    /// Its configuration header, as the SDK calls it.
    header: String,
    /// Why there is no image of it for an ameba1, if there is none.
    too_large_for_ameba1: Option<String>,
}

/// Everything on disk that an advice is made from.
pub struct Known<'a> {
    library: &'a Library,
    builds: BTreeMap<BuildName, Made>,
    pub(super) predictor: Predictor,
    hellos: BTreeMap<ClientName, Recorded>,
    seen: BTreeMap<CellId, (Outcome, String)>,
    figures: BTreeMap<CellId, Figures>,
    /// Outcomes to which figures belong, for cells that were run and stand in no snapshot.
    agreed: BTreeMap<CellId, Outcome>,
}

impl<'a> Known<'a> {
    /// Reads snapshots, hellos and the folders of runs.
    ///
    /// # Errors
    /// The file that cannot be read.
    pub fn load(
        project: &Project,
        library: &'a Library,
        builds: &[BuildInfo],
        predictor: Predictor,
    ) -> Result<Self> {
        // The rig's own headers are called after those of the SDK.
        let made = |build: &BuildInfo| Made {
            header: build.header.trim_start_matches("rig_").to_owned(),
            too_large_for_ameba1: build.too_large_for_ameba1.clone(),
        };
        let builds = builds.iter().map(|build| (build.name.clone(), made(build))).collect();
        let mut known = Self {
            library,
            builds,
            predictor,
            hellos: BTreeMap::new(),
            seen: BTreeMap::new(),
            figures: BTreeMap::new(),
            agreed: BTreeMap::new(),
        };
        for build in known.builds.keys() {
            for profile in library.profiles.keys() {
                let client = ClientName { build: build.clone(), profile: profile.clone() };
                let path = Recorded::path(&project.suites(), &client);
                known.hellos.extend(Recorded::load(&path)?.map(|hello| (client, hello)));
            }
        }
        known.read_runs(&project.runs());
        known.read_snapshots(&project.suites())?;
        Ok(known)
    }

    /// Figures of earlier runs, the newest last. Folders that are none are left alone.
    fn read_runs(&mut self, runs: &Path) {
        let entries = std::fs::read_dir(runs).into_iter().flatten().flatten();
        let mut folders: Vec<_> = entries.map(|entry| entry.path()).collect();
        folders.sort();
        for cell in folders.iter().filter_map(|folder| read_cells(folder).ok()).flatten() {
            let unit = cell.latency.as_ref().map(|latency| latency.unit);
            let connected = cell.outcome.result == OutcomeKind::Connected;
            if let (Some(latency), Some(heap_peak_bytes)) = (&cell.latency, cell.heap_peak_bytes)
                && unit == Some(ClockUnit::Instructions)
                && connected
            {
                let figures = Figures { instructions: latency.total, heap_peak_bytes };
                self.figures.insert(cell.cell.clone(), figures);
                self.agreed.insert(cell.cell, cell.outcome);
            }
        }
    }

    /// Outcomes, and figures in place of those of runs: what is accepted counts more than what was
    /// tried.
    fn read_snapshots(&mut self, folder: &Path) -> Result<()> {
        for suite in self.library.suites.values() {
            let clients: BTreeSet<_> = suite.cells.iter().map(|cell| &cell.client).collect();
            for client in clients {
                let path = Snapshot::path(folder, &suite.name, client);
                let Some(snapshot) = Snapshot::load(&path)? else { continue };
                for (broker, expected) in snapshot.0 {
                    let cell = CellId { client: client.clone(), broker };
                    if let Some(measured) = expected.measured.get(MEASURED_ON)
                        && measured.unit == ClockUnit::Instructions
                    {
                        let heap_peak_bytes = measured.heap_peak_bytes;
                        let figures = Figures { instructions: measured.total, heap_peak_bytes };
                        self.figures.insert(cell.clone(), figures);
                        self.agreed.insert(cell.clone(), expected.outcome.clone());
                    }
                    self.seen.insert(cell, (expected.outcome, expected.cause));
                }
            }
        }
        Ok(())
    }

    /// Every client that has a hello or stands in a snapshot, with its profile.
    #[must_use]
    pub fn clients(&self) -> Vec<(ClientName, &'a ClientProfile)> {
        let seen = self.seen.keys().map(|cell| &cell.client);
        let all: BTreeSet<_> = self.hellos.keys().chain(seen).collect();
        let with_profile = |client: &ClientName| {
            let profile = self.library.profiles.get(&client.profile)?;
            self.builds.contains_key(&client.build).then(|| (client.clone(), profile))
        };
        all.into_iter().filter_map(with_profile).collect()
    }

    /// The profile of `client`.
    ///
    /// # Errors
    /// [`Unknown`] with the nearest build or profile.
    pub fn profile(&self, client: &ClientName) -> Result<&'a ClientProfile, Unknown> {
        if !self.builds.contains_key(&client.build) {
            let known = self.builds.keys().map(BuildName::as_str);
            return Err(Unknown::new("build", client.build.as_str(), known, "rig list builds"));
        }
        self.library.profile(&client.profile)
    }

    /// The configuration header of a build, as the SDK calls it.
    pub(super) fn header(&self, build: &BuildName) -> &str {
        self.builds.get(build).map_or("the configuration header", |made| &made.header)
    }

    /// Why there is no image of this build for an ameba1, if there is none.
    pub(super) fn too_large_for_ameba1(&self, build: &BuildName) -> Option<String> {
        self.builds.get(build)?.too_large_for_ameba1.clone()
    }

    /// The profiles that there are.
    pub(super) fn profiles(&self) -> impl Iterator<Item = &'a ClientProfile> + use<'a> {
        self.library.profiles.values()
    }

    /// The recorded hello of `client`.
    pub(super) fn hello(&self, client: &ClientName) -> Option<&Recorded> {
        self.hellos.get(client)
    }

    /// What becomes of `client` with each broker.
    ///
    /// # Errors
    /// A hello that cannot be read.
    pub fn cells(
        &self,
        client: &ClientName,
        profile: &ClientProfile,
        brokers: &[Asked],
    ) -> Result<Vec<Result<Cell, Unsaid>>, PredictorError> {
        brokers.iter().map(|asked| self.cell(client, profile, asked)).collect()
    }

    fn cell(
        &self,
        client: &ClientName,
        profile: &ClientProfile,
        asked: &Asked,
    ) -> Result<Result<Cell, Unsaid>, PredictorError> {
        let broker = asked.profile.name.clone();
        let id = CellId { client: client.clone(), broker: broker.clone() };
        let seen = asked.recorded.then(|| self.seen.get(&id)).flatten();
        let (basis, outcome, why) = match seen {
            Some((outcome, cause)) => (Basis::Seen, outcome.clone(), cause.clone()),
            None => {
                let hello = self.hello(client);
                match self.predictor.predict_with(client, profile, &asked.profile, hello) {
                    Ok(predicted) => (Basis::Predicted, predicted.outcome, predicted.why),
                    Err(PredictorError::None(none)) => {
                        return Ok(Err(Unsaid { why: none.to_string() }));
                    }
                    Err(other) => return Err(other),
                }
            }
        };
        let (figures, like) = match self.figures(&id, &outcome, asked.recorded) {
            Some((figures, like)) => (Some(figures), like),
            None => (None, None),
        };
        Ok(Ok(Cell { broker, basis, outcome, why, figures, like }))
    }

    /// What the cell cost; else the most that the same client needed where it agreed on the same
    /// version and suite, and with whom.
    fn figures(
        &self,
        id: &CellId,
        outcome: &Outcome,
        recorded: bool,
    ) -> Option<(Figures, Option<String>)> {
        if let Some(figures) = self.figures.get(id).filter(|_| recorded) {
            return Some((*figures, None));
        }
        let wanted = agreement(outcome)?;
        let same = self.figures.iter().filter(|(other, _)| {
            other.client == id.client && self.agreed.get(*other).and_then(agreement) == Some(wanted)
        });
        let (other, figures) = same.max_by_key(|(_, figures)| figures.instructions)?;
        Some((*figures, Some(other.broker.clone())))
    }
}

fn agreement(outcome: &Outcome) -> Option<(ProtocolVersion, CipherSuite)> {
    let connected = outcome.result == OutcomeKind::Connected;
    connected.then_some(outcome.version.zip(outcome.cipher_suite)).flatten()
}
