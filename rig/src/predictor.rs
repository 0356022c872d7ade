//! What [`suites::predict()`] needs, from where it lies on disk: macro sets and recorded ClientHellos.
//!
//! ```text
//! firmware/mbedtls/stacks/<stack>/<header> --> Build  --+
//! suites/hellos/<client>.hex ----------------> hello  --+--> predict --> one Predicted for each cell
//! the job's two profiles -------------------------------+
//! ```
//!
//! A run that is accepted records the hello of a client that has none yet, or another one now.

use crate::firmware::BuildInfo;
use crate::own_hellos::OwnHellos;
use crate::plan::Job;
use crate::project::Project;
use reports::CellRecord;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use suites::predict::recorded::{Recorded, RecordedError};
use suites::predict::stack::{Build, Macros};
use suites::predict::{NoPrediction, Predicted, Subject, predict};
use suites::{BrokerProfile, BuildName, CellId, ClientName, ClientProfile};

/// Makes predictions of the project's clients.
#[derive(Debug, Clone)]
pub struct Predictor {
    builds: BTreeMap<BuildName, Build>,
    suites: PathBuf,
    own: OwnHellos,
}

/// Why there is no predictor, or no prediction.
#[derive(Debug, thiserror::Error)]
pub enum PredictorError {
    /// A macro set cannot be read.
    #[error("cannot read macro set {path}: {source}", path = path.display())]
    Header {
        /// The header.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A recorded hello cannot be read.
    #[error(transparent)]
    Hello(#[from] RecordedError),
    /// Nothing can be said.
    #[error(transparent)]
    None(#[from] NoPrediction),
}

impl Predictor {
    /// For these builds of `project`.
    ///
    /// # Errors
    /// [`PredictorError::Header`] names a macro set that cannot be read.
    pub fn new(builds: &[BuildInfo], project: &Project) -> Result<Self, PredictorError> {
        let firmware = project.root().join("firmware/mbedtls");
        let read = |info: &BuildInfo| {
            if let Some(text) = &info.macros {
                let macros = Macros::parse(text, &mut |_| None);
                let build =
                    Build { name: info.name.clone(), content_length: info.content_length, macros };
                return Ok((info.name.clone(), build));
            }
            let folder = firmware.join("stacks").join(info.name.stack());
            let path = folder.join(&info.header);
            let text = std::fs::read_to_string(&path)
                .map_err(|source| PredictorError::Header { path, source })?;
            // As the build looks for them: beside the header, then among what stacks share. Headers
            // of the library itself lie elsewhere and define nothing of the macro set.
            let folders = [folder, firmware.join("sets")];
            let macros = Macros::parse(&text, &mut |file| {
                folders.iter().find_map(|folder| std::fs::read_to_string(folder.join(file)).ok())
            });
            let build =
                Build { name: info.name.clone(), content_length: info.content_length, macros };
            Ok((info.name.clone(), build))
        };
        let builds = builds.iter().map(read).collect::<Result<_, PredictorError>>()?;
        Ok(Self { builds, suites: project.suites(), own: OwnHellos::default() })
    }

    /// The same with the hellos of a user's own builds, of which none is recorded.
    #[must_use]
    pub fn with_own(self, own: OwnHellos) -> Self {
        Self { own, ..self }
    }

    /// The hello of `client`, made on the spot or recorded.
    fn recorded(&self, client: &ClientName) -> Result<Option<Recorded>, RecordedError> {
        match self.own.of(client) {
            Some(own) => Ok(own.cloned()),
            None => Recorded::load(&Recorded::path(&self.suites, client)),
        }
    }

    /// What is known of a build.
    #[must_use]
    pub fn build(&self, name: &BuildName) -> Option<&Build> {
        self.builds.get(name)
    }

    /// The builds of one stack.
    pub fn builds(&self, stack: &str) -> impl Iterator<Item = &Build> {
        self.builds.values().filter(move |build| build.name.stack() == stack)
    }

    /// What becomes of the cell of `client`, which has `profile`, and `broker`.
    ///
    /// # Errors
    /// [`PredictorError`] says what has to be there first.
    pub fn predict(
        &self,
        client: &ClientName,
        profile: &ClientProfile,
        broker: &BrokerProfile,
    ) -> Result<Predicted, PredictorError> {
        let recorded = self.recorded(client)?;
        self.predict_with(client, profile, broker, recorded.as_ref())
    }

    /// The same with a hello at hand.
    ///
    /// # Errors
    /// [`PredictorError::None`] if nothing can be said.
    pub fn predict_with(
        &self,
        client: &ClientName,
        profile: &ClientProfile,
        broker: &BrokerProfile,
        recorded: Option<&Recorded>,
    ) -> Result<Predicted, PredictorError> {
        let build = self
            .builds
            .get(&client.build)
            .ok_or_else(|| NoPrediction::UnknownStack { stack: client.build.to_string() })?;
        let hello = recorded.map(Recorded::hello);
        Ok(predict(&Subject { build, profile, hello, broker })?)
    }

    /// The predictions of `jobs`. Cells of which nothing can be said are left out.
    ///
    /// # Errors
    /// [`PredictorError::Hello`] if a recorded hello is damaged.
    pub fn of(&self, jobs: &[Job]) -> Result<BTreeMap<CellId, Predicted>, PredictorError> {
        let mut predictions = BTreeMap::new();
        let mut hellos = BTreeMap::new();
        for job in jobs {
            let client = &job.cell.client;
            if !hellos.contains_key(client) {
                let recorded = self.recorded(client)?;
                hellos.insert(client.clone(), recorded);
            }
            let recorded = hellos.get(client).and_then(Option::as_ref);
            match self.predict_with(client, &job.profile, &job.broker, recorded) {
                Ok(predicted) => drop(predictions.insert(job.cell.clone(), predicted)),
                Err(PredictorError::None(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(predictions)
    }
}

/// The hello that a cell's record holds; `None` if its client sent none.
#[must_use]
pub fn hello_of(cell: &CellRecord) -> Option<Recorded> {
    let digits = &cell.client_hello.as_ref()?.record_hex;
    Recorded::new(&data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()?)
}

/// Hellos that a run has seen and that are to be recorded.
#[derive(Debug)]
pub struct Hellos {
    suites: PathBuf,
    seen: BTreeMap<ClientName, Recorded>,
}

impl Hellos {
    /// None so far; they will go below the folder `suites`.
    #[must_use]
    pub fn new(suites: PathBuf) -> Self {
        Self { suites, seen: BTreeMap::new() }
    }

    /// Takes the hello of a finished cell; of a client with several cells the first.
    pub fn accept(&mut self, cell: &CellRecord) {
        if let Some(recorded) = hello_of(cell) {
            self.seen.entry(cell.client.clone()).or_insert(recorded);
        }
    }

    /// Writes those that offer something else than what is recorded.
    ///
    /// # Errors
    /// [`RecordedError`] names the file.
    pub fn save(&self) -> Result<(), RecordedError> {
        for (client, seen) in &self.seen {
            let path = Recorded::path(&self.suites, client);
            if !is_recorded(&path, seen) {
                seen.save(&path, client)?;
            }
        }
        Ok(())
    }
}

/// A damaged file is written anew.
fn is_recorded(path: &Path, seen: &Recorded) -> bool {
    Recorded::load(path).ok().flatten().is_some_and(|before| before.same_offer(seen))
}
