//! Every client profile on every build against every broker profile of the library, on `native`, each
//! cell set beside its prediction: a sample of them, and all on demand.
//!
//! ```text
//! RIG_SWEEP=all       cargo test -p rig --test predict_sweep -- --nocapture
//! RIG_SWEEP='3.6/all +default/'   only cells whose id holds every word; words behind ! must not be in it
//! RIG_SWEEP_AGAIN=1   run nothing: what an earlier sweep saw, beside what is stated now
//! ```
//!
//! What was asked for so is kept in `target/rig/sweep/<client>.jsonl`, so that a rule can be mended and
//! tried again in a second. All of it is some hundred thousand handshakes, a quarter of an hour on two cores.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are test code"
)]

mod common;

use common::{brokers, can_run, image, images};
use reports::CellRecord;
use reports::record::Verdict;
use rig::board::{Kind, Slot};
use rig::command::LogLines;
use rig::deadline::Interrupt;
use rig::firmware::Builder;
use rig::plan::Job;
use rig::predictor::{Predictor, hello_of};
use rig::project::Project;
use rig::run::{RunEvent, SEED, Workshop};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use suites::predict::recorded::Recorded;
use suites::{CellId, ClientName, Library};

/// The clients and brokers of the library whose cell's id fits `wanted`, client by client.
fn jobs(library: &Library, build: &str, wanted: &str) -> Vec<(ClientName, Vec<Job>)> {
    let fits = |cell: &str| {
        wanted.split_whitespace().filter(|word| *word != "all").all(|word| {
            match word.strip_prefix('!') {
                Some(word) => !cell.contains(word),
                None => cell.contains(word),
            }
        })
    };
    let mut clients = Vec::new();
    for profile in library.profiles.values() {
        let jobs = library.brokers.values().filter_map(|broker| {
            let cell = format!("{build}+{}/{}", profile.name, broker.name);
            let (profile, broker) = (profile.clone(), broker.clone());
            let suite = "sweep".to_owned();
            fits(&cell).then(|| Job {
                cell: cell.parse().unwrap(),
                suite,
                survey: true,
                log_level: 1,
                profile,
                broker,
            })
        });
        let jobs: Vec<_> = jobs.collect();
        if let Some(first) = jobs.first() {
            clients.push((first.cell.client.clone(), jobs));
        }
    }
    clients
}

fn kept(folder: &Path, client: &ClientName) -> PathBuf {
    folder.join(format!("{}.jsonl", client.to_string().replace('/', "__")))
}

fn load(path: &Path) -> Vec<CellRecord> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// More than there are cores: some brokers fall silent for a while, on purpose.
const SLOTS: usize = 6;

/// Runs cells, and keeps what was seen of each client in a file of its own.
fn see(workshop: &Workshop<'_>, jobs: Vec<Job>, folder: &Path) {
    let mut seen: BTreeMap<ClientName, String> = BTreeMap::new();
    rig::run::run(workshop, jobs, vec![Slot::Native; SLOTS], |event| {
        let RunEvent::Finished(cell) = event else { return };
        let text = seen.entry(cell.record.client.clone()).or_default();
        writeln!(text, "{}", serde_json::to_string(&cell.record).unwrap()).unwrap();
    });
    for (client, text) in seen {
        std::fs::write(kept(folder, &client), text).unwrap();
    }
}

/// What the sweep comes to.
#[derive(Default)]
struct Tally {
    cells: usize,
    predicted: usize,
    skipped: usize,
    unpredicted: BTreeMap<String, usize>,
    surprises: BTreeMap<CellId, String>,
}

impl Tally {
    fn take(&mut self, predictor: &Predictor, jobs: &BTreeMap<CellId, Job>, seen: &[CellRecord]) {
        let hello = seen.iter().find_map(hello_of);
        for record in seen {
            let Some(job) = jobs.get(&record.cell) else { continue };
            if matches!(record.verdict, Verdict::Skipped) {
                self.skipped += 1;
                continue;
            }
            self.cells += 1;
            self.judge(predictor, job, record, hello.as_ref());
        }
    }

    fn judge(
        &mut self,
        predictor: &Predictor,
        job: &Job,
        record: &CellRecord,
        hello: Option<&Recorded>,
    ) {
        let client = &job.cell.client;
        match predictor.predict_with(client, &job.profile, &job.broker, hello) {
            Err(error) => *self.unpredicted.entry(error.to_string()).or_default() += 1,
            Ok(predicted) => {
                self.predicted += 1;
                let differs = predicted.differs(&record.outcome);
                if !differs.is_empty() {
                    let field = |change: &suites::snapshot::Change| {
                        format!("{}: {} -> {}", change.field, change.expected, change.seen)
                    };
                    let mut text = differs.iter().map(field).collect::<Vec<_>>().join("; ");
                    if let Some(note) = &record.note {
                        write!(text, " ({note})").unwrap();
                    }
                    self.surprises.insert(job.cell.clone(), text);
                }
            }
        }
    }
}

/// Without RIG_SWEEP every so many-th cell is run; a prime, so that neither the same broker nor the
/// same client comes again and again.
const SAMPLE: usize = 211;

#[test]
fn the_matrix_ends_as_predicted() {
    if !can_run(Kind::Native) {
        return;
    }
    let project = Project::find().unwrap();
    let asked = std::env::var("RIG_SWEEP").ok();
    let wanted = asked.as_deref().unwrap_or("all");
    let again = std::env::var_os("RIG_SWEEP_AGAIN").is_some();
    let library = Library::load(&project.suites()).unwrap();
    let infos = Builder::new(project.root(), &project.cache()).builds().unwrap();
    let predictor = Predictor::new(&infos, &project).unwrap();
    let builds: Vec<_> = infos.iter().map(|info| info.name.to_string()).collect();
    let sample = tempfile::tempdir().unwrap();
    let folder = match asked {
        Some(_) => project.cache().join("sweep"),
        None => sample.path().to_owned(),
    };
    std::fs::create_dir_all(&folder).unwrap();
    let mut place = 0;
    let mut in_sample = |_: &Job| {
        place += 1;
        asked.is_some() || place % SAMPLE == 0
    };
    let (brokers, interrupt) = (brokers(), Interrupt::default());
    let mut tally = Tally::default();
    // Whoever runs all wants to see how far it is; a few cells are run at once, so that no build waits
    // for the last one's slow brokers.
    let part = if asked.is_some() { 1 } else { builds.len() };
    for part in builds.chunks(part) {
        let mut clients: Vec<_> =
            part.iter().flat_map(|build| jobs(&library, build, wanted)).collect();
        clients.iter_mut().for_each(|(_, jobs)| jobs.retain(&mut in_sample));
        clients.retain(|(_, jobs)| !jobs.is_empty());
        if !again && !clients.is_empty() {
            let workshop = Workshop {
                limits: Kind::Native.limits(),
                log_lines: LogLines::All,
                images: &images(part.iter().map(|build| image(Kind::Native, build))),
                brokers: &brokers,
                seed: SEED,
                interrupt: &interrupt,
            };
            see(&workshop, clients.iter().flat_map(|(_, jobs)| jobs).cloned().collect(), &folder);
            eprintln!("{}: done", part.join(", "));
        }
        for (client, jobs) in clients {
            let by_cell = jobs.into_iter().map(|job| (job.cell.clone(), job)).collect();
            tally.take(&predictor, &by_cell, &load(&kept(&folder, &client)));
        }
    }
    for (cell, text) in &tally.surprises {
        eprintln!("{cell}: {text}");
    }
    for (why, count) in &tally.unpredicted {
        eprintln!("{count:6} without prediction: {why}");
    }
    let Tally { cells, predicted, skipped, surprises, .. } = &tally;
    eprintln!(
        "{cells} cells, {predicted} predicted, {} surprises, {skipped} skipped",
        surprises.len()
    );
    assert!(*cells > 0, "no cell fits RIG_SWEEP={wanted}");
    assert!(surprises.is_empty());
}
