//! The main job: workers with a board each take cells, and tell what became of them.
//!
//! ```text
//! jobs --queue--> worker 1..N --(board, broker, session)--> RunEvent --> one listener
//! ```
//!
//! A worker keeps its board while cells of the same build are left. After any abnormal end the
//! board is started anew; if it does not come up, the cell is a fault of the rig and the worker
//! goes on with a fresh board, so that no other cell's result is lost.

use crate::board::{BoardError, Dut, Kind, Limits};
use crate::command;
use crate::deadline::Interrupt;
use crate::firmware::Image;
use crate::plan::Job;
use crate::session::{self, Finished};
use crate::verdict::{Cell, Clocked, conclude};
use brokers::{Broker, Brokers};
use reports::transcript::{BrokerWord, Seen, Transcript};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;
use suites::cell::BuildName;

/// Seed of every client's random numbers. One number for all runs, so that a run can be repeated.
pub const SEED: u64 = 0x7280;

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum RunEvent {
    /// A worker has taken a cell.
    Started(suites::CellId),
    /// A cell is done.
    Finished(Box<Cell>),
}

/// What workers share.
pub struct Workshop<'a> {
    /// The kind of board.
    pub kind: Kind,
    /// How long it may take for what, as a rule [`Kind::limits`].
    pub limits: Limits,
    /// An image for every build in the plan.
    pub images: &'a BTreeMap<BuildName, Image>,
    /// Starts brokers.
    pub brokers: &'a Brokers,
    /// Seed of every client's random numbers.
    pub seed: u64,
    /// Ctrl-C.
    pub interrupt: &'a Interrupt,
}

/// Runs all jobs on `workers` boards and hands every event to `listen`, on the calling thread.
/// Returns early, with fewer cells, if a person interrupts.
pub fn run(
    workshop: &Workshop<'_>,
    jobs: Vec<Job>,
    workers: usize,
    mut listen: impl FnMut(RunEvent),
) {
    let queue = Mutex::new(VecDeque::from(jobs));
    let fronts = Fronts::default();
    std::thread::scope(|scope| {
        let (sender, events) = mpsc::channel();
        for _ in 0..workers {
            let sender = sender.clone();
            let (queue, fronts) = (&queue, &fronts);
            scope.spawn(move || Worker { workshop, fronts, dut: None }.work(queue, &sender));
        }
        // The loop ends when the last worker drops its sender.
        drop(sender);
        events.into_iter().for_each(&mut listen);
    });
}

struct Worker<'a> {
    workshop: &'a Workshop<'a>,
    fronts: &'a Fronts,
    dut: Option<(BuildName, Dut)>,
}

impl Worker<'_> {
    fn work(mut self, queue: &Mutex<VecDeque<Job>>, events: &mpsc::Sender<RunEvent>) {
        while let Some(job) = self.next_job(queue) {
            // The listener outlives the workers; a failed send has nobody left to tell.
            let _ = events.send(RunEvent::Started(job.cell.clone()));
            let Some(cell) = self.cell(&job) else { return };
            let _ = events.send(RunEvent::Finished(Box::new(cell)));
        }
    }

    /// The first job for the build that is on the board, else the first of all.
    fn next_job(&self, queue: &Mutex<VecDeque<Job>>) -> Option<Job> {
        if self.workshop.interrupt.requested() {
            return None;
        }
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        let same = self
            .dut
            .as_ref()
            .and_then(|(build, _)| queue.iter().position(|job| job.cell.client.build == *build));
        queue.remove(same.unwrap_or(0))
    }

    /// Runs one cell; `None` if a person interrupted it.
    fn cell(&mut self, job: &Job) -> Option<Cell> {
        let fault = |what: String| {
            let mut transcript = Transcript::default();
            transcript.push(0, Seen::Fault { what });
            Some(conclude(job, self.workshop.kind, transcript, None))
        };
        let broker = match self.fronts.get(self.workshop.brokers, job) {
            Ok(broker) => broker,
            Err(what) => return fault(what),
        };
        if let Err(error) = self.bring_up(job) {
            return match error {
                BoardError::Interrupted => None,
                error => fault(error.to_string()),
            };
        }
        let (_, dut) = self.dut.as_mut()?;
        let prepared = command::prepare(job, &broker, self.workshop.seed);
        let kind = self.workshop.kind;
        let finished = session::run(
            &mut dut.link,
            kind.name(),
            &prepared.command(),
            broker.address(),
            self.workshop.limits.cell,
            self.workshop.interrupt,
        );
        if !finished.usable {
            self.dut = None;
        }
        if finished.interrupted {
            return None;
        }
        let wall = finished.wall;
        let clock = self.dut.as_ref().map(|(_, dut)| Clocked {
            unit: dut.identity.clock,
            compilers: dut.identity.compilers.clone(),
            wall,
        });
        let transcript =
            with_account(finished, &job.broker.name, &broker, self.workshop.limits.account);
        Some(conclude(job, kind, transcript, clock))
    }

    fn bring_up(&mut self, job: &Job) -> Result<(), BoardError> {
        let build = &job.cell.client.build;
        if self.dut.as_ref().is_some_and(|(current, _)| current == build) {
            return Ok(());
        }
        self.dut = None;
        let Some(image) = self.workshop.images.get(build) else {
            return Err(BoardError::Silent {
                board: self.workshop.kind,
                reason: format!("no image of {build} was built"),
                said: String::new(),
            });
        };
        let dut = Dut::start(
            self.workshop.kind,
            image,
            self.workshop.limits.boot,
            self.workshop.interrupt,
        )?;
        self.dut = Some((build.clone(), dut));
        Ok(())
    }
}

/// The transcript of a cell with what `broker` says of it, which is waited for `patience` at most.
///
/// A broker that gives no account of a client that did connect has died or hangs. What the client
/// saw then says nothing about the client: the cell is a fault of the rig.
#[must_use]
pub fn with_account(
    finished: Finished,
    name: &str,
    broker: &Broker,
    patience: Duration,
) -> Transcript {
    let Finished { mut transcript, client_port, wall, .. } = finished;
    let Some(port) = client_port else { return transcript };
    let at_ns = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
    let Some(connection) = broker.take(port, patience) else {
        let what = format!(
            "broker {name} died or hung while the client was connected: it gave no account of the connection"
        );
        transcript.push(at_ns, Seen::Fault { what });
        return transcript;
    };
    let word = BrokerWord {
        version: connection.tls.as_ref().map(|tls| tls.version.to_string()),
        cipher_suite: connection.tls.as_ref().map(|tls| tls.suite.to_string()),
        error: connection
            .error
            .as_deref()
            .map(|text| reports::transcript::printable(text.as_bytes())),
        mqtt: connection.mqtt.connack.map(|code| format!("connack:{code}")),
    };
    session::add_broker_word(&mut transcript, at_ns, word);
    transcript
}

/// Brokers of this run by profile name, each started when first needed and kept to the end.
#[derive(Default)]
struct Fronts(Mutex<BTreeMap<String, Arc<Front>>>);

/// A broker, or why it does not start.
type Front = OnceLock<Result<Arc<Broker>, String>>;

impl Fronts {
    fn get(&self, brokers: &Brokers, job: &Job) -> Result<Arc<Broker>, String> {
        let slot = {
            let mut fronts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(fronts.entry(job.broker.name.clone()).or_default())
        };
        // Outside of the lock: making a key takes a second, and other brokers need not wait.
        slot.get_or_init(|| {
            let started = brokers.start(&job.broker).map(Arc::new);
            started.map_err(|error| format!("broker {} does not start: {error}", job.broker.name))
        })
        .clone()
    }
}
