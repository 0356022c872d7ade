//! The main job: workers with a board each take cells, and tell what became of them.
//!
//! ```text
//! jobs --queue--> worker 1..N --(board, broker, session)--> RunEvent --> one listener
//! ```
//!
//! A worker keeps its board while cells of the same build are left. Beside the workers that were
//! asked for there are patient ones, which cost no core: they take the cells whose clients mostly
//! wait. A board that no longer answers
//! is brought back ([`crate::station`]) and its cell is run once more. One that the rig starts by
//! itself and that does not come up makes the cell a fault of the rig; an attached one is out of
//! service then, and another board takes its cells. No other cell's result is lost.

mod queue;

use crate::account;
use crate::board::{Limits, Slot};
use crate::command::{self, LogLines, Prepared};
use crate::deadline::Interrupt;
use crate::firmware::Image;
use crate::plan::Job;
use crate::session::{self, Finished};
use crate::station::{Down, Station};
use crate::verdict::{Cell, Clocked, conclude, skip};
use brokers::product::ProductError;
use brokers::{Broker, BrokerError, Brokers};
use queue::Queue;
use reports::record::{ImageRecord, Recovery};
use reports::transcript::{Seen, Transcript};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;
use suites::cell::{BuildName, CellId};

/// Seed of every client's random numbers. One number for all runs, so that a run can be repeated.
pub const SEED: u64 = 0x7280;

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum RunEvent {
    /// A worker has taken a cell.
    Started(CellId),
    /// A cell is done.
    Finished(Box<Cell>),
    /// A board that cannot be brought back takes no part any more; its cell goes to another one.
    OutOfService {
        /// The board.
        board: String,
        /// The cell that it had taken.
        cell: CellId,
        /// Why.
        why: String,
    },
}

/// What workers share.
pub struct Workshop<'a> {
    /// How long it may take for what, as a rule [`Slot::limits`].
    pub limits: Limits,
    /// Which log lines the boards' lines have time for, see [`Slot::log_lines`].
    pub log_lines: LogLines,
    /// An image for every build in the plan.
    pub images: &'a BTreeMap<BuildName, Image>,
    /// Starts brokers.
    pub brokers: &'a Brokers,
    /// Seed of every client's random numbers.
    pub seed: u64,
    /// Ctrl-C.
    pub interrupt: &'a Interrupt,
}

/// Runs all jobs, one worker for each slot, and hands every event to `listen`, on the calling
/// thread. Returns early, with fewer cells, if a person interrupts.
pub fn run(
    workshop: &Workshop<'_>,
    jobs: Vec<Job>,
    slots: Vec<Slot>,
    mut listen: impl FnMut(RunEvent),
) {
    let patient = patient(&jobs, &slots);
    let queue = Queue::new(jobs, slots.len(), patient.len());
    let fronts = Fronts::default();
    std::thread::scope(|scope| {
        let (sender, events) = mpsc::channel();
        let places = slots.into_iter().map(|slot| (slot, false));
        for (slot, patient) in places.chain(patient.into_iter().map(|slot| (slot, true))) {
            let sender = sender.clone();
            let (queue, fronts) = (&queue, &fronts);
            scope.spawn(move || {
                let station = Station::new(slot);
                Worker { workshop, fronts, station, patient }.work(queue, &sender);
            });
        }
        // The loop ends when the last worker drops its sender.
        drop(sender);
        events.into_iter().for_each(&mut listen);
    });
}

/// Most workers for cells that mostly wait. A few processes more cost nothing; at a product this
/// many clients connect at once.
const PATIENT: usize = 16;

/// Boards for the cells that mostly wait: a waiting process costs no core, so they need not stand in
/// line with those that compute. An emulated core that waits does cost one, and of attached boards
/// there are as many as there are. Where one cell is wanted at a time there are none either.
fn patient(jobs: &[Job], slots: &[Slot]) -> Vec<Slot> {
    if slots.len() < 2 || !slots.iter().all(|slot| *slot == Slot::Native) {
        return Vec::new();
    }
    let waiting = jobs.iter().filter(|job| job.waits()).count();
    vec![Slot::Native; waiting.min(PATIENT)]
}

struct Worker<'a> {
    workshop: &'a Workshop<'a>,
    fronts: &'a Fronts,
    station: Station,
    /// Whether it is there for cells that mostly wait.
    patient: bool,
}

/// What became of a cell that a worker took.
enum Taken {
    Done(Box<Cell>),
    Interrupted,
    /// The board cannot be brought back.
    Lost(Recovery),
}

/// One try of a cell.
struct Attempt {
    transcript: Transcript,
    clock: Option<Clocked>,
    /// Whether the board can take another cell.
    usable: bool,
}

impl Worker<'_> {
    fn work(mut self, queue: &Queue, events: &mpsc::Sender<RunEvent>) {
        // The listener outlives the workers; a failed send has nobody left to tell.
        let tell = |event| {
            let _ = events.send(event);
        };
        let interrupt = self.workshop.interrupt;
        while let Some(job) = queue.take(self.station.build(), self.patient, interrupt) {
            tell(RunEvent::Started(job.cell.clone()));
            match self.cell(&job) {
                Taken::Done(cell) => tell(RunEvent::Finished(cell)),
                Taken::Interrupted => return queue.done(),
                Taken::Lost(recovery) => {
                    let (board, cell) = (self.station.name().name, job.cell.clone());
                    let why = recovery.last_word().to_owned();
                    let orphans = queue.give_back(job);
                    tell(RunEvent::OutOfService { board: board.clone(), cell, why: why.clone() });
                    for job in orphans.into_iter().flatten() {
                        let what = format!("board {board} is out of service: {why}");
                        let cell = self.fault(&job, what, Some(recovery.clone()));
                        tell(RunEvent::Finished(Box::new(cell)));
                    }
                    return;
                }
            }
            queue.done();
        }
    }

    /// Runs one cell; a second time, if its board does not answer after the first.
    fn cell(&mut self, job: &Job) -> Taken {
        let broker = match self.fronts.get(self.workshop.brokers, job) {
            Ok(broker) => broker,
            Err(NoBroker::Missing(why)) => {
                return Taken::Done(Box::new(skip(job, self.station.name(), why)));
            }
            Err(NoBroker::Fault(what)) => {
                return Taken::Done(Box::new(self.fault(job, what, None)));
            }
        };
        let workshop = self.workshop;
        let log_lines = if job.survey { LogLines::Quoted } else { workshop.log_lines };
        let prepared = command::prepare(job, workshop.brokers, &broker, workshop.seed, log_lines);
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                let what = format!("the client's certificate cannot be had: {error}");
                return Taken::Done(Box::new(self.fault(job, what, None)));
            }
        };
        let mut first = None;
        loop {
            let recovery = match self.station.bring_up(&job.cell.client.build, self.workshop) {
                Ok(recovery) => recovery,
                Err(Down::Interrupted) => return Taken::Interrupted,
                Err(Down::Out(recovery)) if self.station.can_be_lost() => {
                    return Taken::Lost(recovery);
                }
                Err(Down::Out(recovery)) => {
                    return Taken::Done(Box::new(match first {
                        Some(first) => self.finish(job, first, 1, Some(recovery)),
                        None => self.fault(job, recovery.last_word().to_owned(), None),
                    }));
                }
            };
            let Some(attempt) = self.attempt(job, &broker, &prepared) else {
                return Taken::Interrupted;
            };
            let tries = if first.is_some() { 2 } else { 1 };
            if attempt.usable || tries == 2 {
                return Taken::Done(Box::new(self.finish(job, attempt, tries, recovery)));
            }
            first = Some(attempt);
        }
    }

    /// One try; `None` if a person interrupted it.
    fn attempt(&mut self, job: &Job, broker: &Broker, prepared: &Prepared<'_>) -> Option<Attempt> {
        let name = self.station.name().name;
        let dut = self.station.dut()?;
        let finished = session::run(
            &mut dut.link,
            &name,
            &prepared.command(),
            broker.address(),
            self.workshop.limits.cell,
            self.workshop.interrupt,
        );
        let clock = finished.usable.then(|| Clocked {
            unit: dut.identity.clock,
            compilers: dut.identity.compilers.clone(),
            wall: finished.wall,
        });
        if !finished.usable {
            self.station.give_up(trouble(&finished.transcript), finished.tried.clone());
        }
        if finished.interrupted {
            return None;
        }
        let usable = finished.usable;
        let patience = self.workshop.limits.account;
        let transcript = with_account(finished, &job.broker.name, broker, patience);
        Some(Attempt { transcript, clock, usable })
    }

    fn finish(&self, job: &Job, attempt: Attempt, tries: u32, recovery: Option<Recovery>) -> Cell {
        let Attempt { transcript, clock, .. } = attempt;
        let compilers = clock.as_ref().map(|clock| clock.compilers.clone());
        let mut cell = conclude(job, self.station.name(), transcript, clock);
        let image = self.workshop.images.get(&job.cell.client.build);
        cell.record.image =
            image.map(|image| ImageRecord { id: image.id.clone(), compilers, code_bytes: None });
        cell.record.tries = tries;
        cell.record.recovery = recovery;
        cell
    }

    fn fault(&self, job: &Job, what: String, recovery: Option<Recovery>) -> Cell {
        let mut transcript = Transcript::default();
        transcript.push(0, Seen::Fault { what });
        self.finish(job, Attempt { transcript, clock: None, usable: false }, 1, recovery)
    }
}

/// Why a board was given up after a cell.
fn trouble(transcript: &Transcript) -> String {
    let why = transcript.seen().find_map(|seen| match seen {
        Seen::Fault { what } => Some(what.clone()),
        Seen::TimedOut { waiting_for, .. } => {
            Some(format!("it hung while the rig waited for {waiting_for}"))
        }
        _ => None,
    });
    why.unwrap_or_else(|| "it no longer answers".to_owned())
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
    let Finished { mut transcript, started, wall, .. } = finished;
    for port in transcript.client_ports() {
        let Some(connection) = broker.take(port, patience) else {
            let what = format!(
                "broker {name} died or hung while the client was connected: it gave no account of the connection"
            );
            let at_ns = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
            transcript.push(at_ns, Seen::Fault { what });
            return transcript;
        };
        account::add(&mut transcript, started, &connection);
    }
    transcript
}

/// Brokers of this run by profile name, each started when first needed and kept to the end.
#[derive(Default)]
struct Fronts(Mutex<BTreeMap<String, Arc<Front>>>);

type Front = OnceLock<Result<Arc<Broker>, NoBroker>>;

/// Why there is no broker.
#[derive(Debug, Clone)]
enum NoBroker {
    /// Its program is not on this machine: nothing is wrong, and nothing is run.
    Missing(String),
    /// It does not start.
    Fault(String),
}

impl Fronts {
    fn get(&self, brokers: &Brokers, job: &Job) -> Result<Arc<Broker>, NoBroker> {
        let slot = {
            let mut fronts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(fronts.entry(job.broker.name.clone()).or_default())
        };
        // Outside of the lock: making a key takes a second, and other brokers need not wait.
        slot.get_or_init(|| {
            brokers.start(&job.broker).map(Arc::new).map_err(|error| match error {
                BrokerError::Product(missing @ ProductError::Missing { .. }) => {
                    NoBroker::Missing(missing.to_string())
                }
                error => {
                    let name = &job.broker.name;
                    NoBroker::Fault(format!("broker {name} does not start: {error}"))
                }
            })
        })
        .clone()
    }
}
