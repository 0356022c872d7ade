//! The one cell that is measured, as often as wanted, through the rig as `rig run` goes about it.

use anyhow::{Result, ensure};
use brokers::Brokers;
use reports::record::{Run, RunFolder, SCHEMA};
use rig::board::{Kind, Slot};
use rig::command::LogLines;
use rig::deadline::Interrupt;
use rig::firmware::{Builder, Image};
use rig::link::{Link, Port};
use rig::plan::Job;
use rig::project::Project;
use rig::run::{RunEvent, SEED, Workshop};
use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use suites::{CellId, ClientName, Library, OutcomeKind};
use wire::message::Ending;

/// Static RSA: the cheapest handshake there is, so that the rig's share shows.
pub const CLIENT: &str = "mbedtls-2.4.0/rsa-16384+default";
pub const BROKER: &str = "hivemq-cloud-2021";
/// What a suite has that asks for nothing else.
const LOG_LEVEL: u8 = 3;

pub struct Work {
    pub brokers: Brokers,
    builder: Builder,
    project: Project,
    job: Job,
}

/// How long a turn took.
pub struct Took {
    /// From the first board's start to the last cell's record.
    pub total: Duration,
    /// From each cell's end to the next one's: with one board, a whole cell without its boot.
    pub later: Vec<Duration>,
}

impl Work {
    pub fn prepare() -> Result<Self> {
        let project = Project::find()?;
        let library = Library::load(&project.suites())?;
        let builder = Builder::new(project.root(), &project.cache());
        let client: ClientName = CLIENT.parse()?;
        let bare = mbedtls::BUILD;
        ensure!(client.build.as_str() == bare, "RIG_BUILD made the bare client one of {bare}");
        let job = Job {
            profile: library.profile(&client.profile)?.clone(),
            broker: library.broker(BROKER)?.clone(),
            cell: CellId { client, broker: BROKER.to_owned() },
            suite: "bench".to_owned(),
            log_level: LOG_LEVEL,
            survey: false,
        };
        let brokers = Brokers::new(&project.cache().join("pki"))?;
        // Makes the broker's keys if there are none yet.
        drop(brokers.start(&job.broker)?);
        Ok(Self { brokers, builder, project, job })
    }

    pub fn native(&self) -> Result<Image> {
        self.image(Kind::Native)
    }

    /// The emulated board's image, or what this machine lacks for it.
    pub fn emulated(&self) -> Result<Image> {
        Kind::Qemu.ready()?;
        self.image(Kind::Qemu)
    }

    fn image(&self, kind: Kind) -> Result<Image> {
        let build = &self.job.cell.client.build;
        let image = self.builder.image(build, kind.target(), &mut |what| println!("{what}"))?;
        Ok(image)
    }

    /// The cell under a name of its own: at one broker no two clients may be called the same, and
    /// each cell of a run has a folder.
    pub fn job(&self, number: usize) -> Job {
        let broker = format!("{BROKER}-{number}");
        Job { cell: CellId { broker, ..self.job.cell.clone() }, ..self.job.clone() }
    }

    /// Runs `count` cells on `workers` boards, judged and recorded, and says how long it took.
    pub fn cells(&self, slot: &Slot, image: &Image, count: usize, workers: usize) -> Result<Took> {
        let jobs: Vec<Job> = (0..count).map(|number| self.job(number)).collect();
        let path = self.project.cache().join("bench");
        let mut folder = RunFolder::open(&path, &self.description(slot, &jobs))?;
        let images = BTreeMap::from([(image.build.clone(), image.clone())]);
        let interrupt = Interrupt::default();
        let workshop = Workshop {
            limits: slot.limits(),
            log_lines: LogLines::All,
            images: &images,
            brokers: &self.brokers,
            seed: SEED,
            interrupt: &interrupt,
        };
        let began = Instant::now();
        let mut ends = Vec::new();
        let mut trouble = Ok(());
        rig::run::run(&workshop, jobs, vec![slot.clone(); workers], |event| {
            if let RunEvent::Finished(cell) = event {
                ends.push(Instant::now());
                let written = folder.append(&cell.record, &cell.transcript);
                let result = written.map_err(anyhow::Error::from).and_then(|()| {
                    let result = cell.record.outcome.result;
                    ensure!(
                        result == OutcomeKind::Connected,
                        "{} ended with {result:?}: {:?}",
                        cell.record.cell,
                        cell.record.note
                    );
                    Ok(())
                });
                if trouble.is_ok() && result.is_err() {
                    trouble = result;
                    interrupt.request();
                }
            }
        });
        let total = began.elapsed();
        trouble?;
        std::fs::remove_dir_all(&path)?;
        let later = ends.windows(2).map(|pair| match pair {
            [earlier, later] => *later - *earlier,
            _ => Duration::ZERO,
        });
        Ok(Took { total, later: later.collect() })
    }

    /// Runs the cell once on the emulated board at the other end of `line`, without a record.
    pub fn session(&self, line: UnixStream) -> Result<()> {
        let job = self.job(0);
        let broker = self.brokers.start(&job.broker)?;
        let interrupt = Interrupt::default();
        let mut link = Link::new(Port::Socket(line), interrupt.clone());
        let finished = rig::session::run(
            &mut link,
            Kind::Qemu.name(),
            &rig::command::prepare(&job, &self.brokers, &broker, SEED, LogLines::All)?.command(),
            broker.address(),
            Kind::Qemu.limits().cell,
            &interrupt,
        );
        let ending = finished.transcript.result().map(|result| result.ending);
        ensure!(ending == Some(Ending::Connected), "the cell to be replayed ended with {ending:?}");
        Ok(())
    }

    fn description(&self, slot: &Slot, jobs: &[Job]) -> Run {
        Run {
            schema: SCHEMA,
            id: "bench".to_owned(),
            started: String::new(),
            finished: None,
            interrupted: false,
            rig: env!("CARGO_PKG_VERSION").to_owned(),
            suites: Vec::new(),
            board: slot.name(),
            seed: SEED,
            plan: jobs.iter().map(|job| job.cell.clone()).collect(),
            own_builds: Vec::new(),
        }
    }
}
