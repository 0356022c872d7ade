//! Runs cells of one suite on one kind of board, for the tests in `tests/`.
//!
//! The tests and `rig run` read the same snapshots. Here a difference shows as insta shows it: what
//! was seen is laid over the snapshot, with figures within their tolerance left as they stand, so
//! that the text changes only where the outcome has.

use reports::record::Verdict;
use rig::bench::Bench;
use rig::board::{Kind, Slot};
use rig::command::LogLines;
use rig::deadline::Interrupt;
use rig::doctor;
use rig::firmware::Builder;
use rig::plan;
use rig::predictor::{Predictor, PredictorError, hello_of};
use rig::project::Project;
use rig::run::{RunEvent, Workshop, run};
use rig::verdict::Cell;
use std::collections::BTreeMap;
use std::error::Error;
use suites::predict::NoPrediction;
use suites::predict::recorded::Recorded;
use suites::snapshot::Change;
use suites::{ClientName, Library, Snapshot};

/// Every test uses the seed of `rig run`.
pub use rig::run::SEED;

/// Whether tests may leave out what this machine cannot do; CI sets `RIG_NO_SKIP`.
#[must_use]
pub fn may_skip() -> bool {
    std::env::var_os("RIG_NO_SKIP").is_none()
}

/// Whether this kind of board can run here; says so on standard error if it cannot.
///
/// # Panics
/// If it cannot, and nothing may be skipped.
#[must_use]
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
pub fn can_run(kind: Kind) -> bool {
    let checkup = doctor::check(kind, &Bench::default());
    let lacks: Vec<_> =
        checkup.needs.iter().filter(|need| need.found.is_none()).map(|need| need.what).collect();
    assert!(
        checkup.ready || may_skip(),
        "RIG_NO_SKIP is set, and the {kind} board lacks: {}",
        lacks.join(", ")
    );
    if !checkup.ready {
        eprintln!("skipped: the {kind} board lacks: {}", lacks.join(", "));
    }
    checkup.ready
}

/// The project that these tests belong to, with its library.
///
/// # Errors
/// What is wrong with its files.
pub fn open() -> Result<(Project, Library), Box<dyn Error>> {
    let project = Project::find()?;
    let library = Library::load(&project.suites())?;
    Ok((project, library))
}

/// Runs the cells of `suite` that pass `filter` (as in `rig run --filter`), each beside its
/// prediction; they come back in the order of the plan.
///
/// # Errors
/// What cannot be built or started; a kind of board that has to be attached. A fault within a cell is in the cell.
pub fn cells(suite: &str, filter: &str, kind: Kind) -> Result<Vec<Cell>, Box<dyn Error>> {
    let slot = Slot::started(kind).ok_or("a board of this kind has to be attached")?;
    let (project, library) = open()?;
    let builder = Builder::new(project.root(), &project.cache());
    let builds = builder.builds()?;
    let jobs = plan::expand(&library, &builds, &[suite.to_owned()], &[filter.to_owned()], None)?;
    let predictions = Predictor::new(&builds, &project)?.of(&jobs)?;
    let order: Vec<_> = jobs.iter().map(|job| job.cell.clone()).collect();
    let mut images = BTreeMap::new();
    for build in jobs.iter().map(|job| &job.cell.client.build) {
        if !images.contains_key(build) {
            let image = builder.image(build, kind.target(), &mut |_| {})?;
            images.insert(build.clone(), image);
        }
    }
    let brokers = brokers::Brokers::new(&project.cache().join("pki"))?;
    let interrupt = Interrupt::default();
    let workshop = Workshop {
        limits: kind.limits(),
        log_lines: LogLines::All,
        images: &images,
        brokers: &brokers,
        seed: SEED,
        interrupt: &interrupt,
    };
    let mut cells = Vec::new();
    run(&workshop, jobs, vec![slot], |event| {
        if let RunEvent::Finished(mut cell) = event {
            cell.set_beside(predictions.get(&cell.record.cell));
            cells.push(*cell);
        }
    });
    cells.sort_by_key(|cell| order.iter().position(|id| *id == cell.record.cell));
    Ok(cells)
}

/// The cells that are not as predicted, in which fields, and those of which nothing was predicted
/// although the predictor knows their stack and all keys of their profiles.
///
/// # Errors
/// What cannot be read.
pub fn surprises(cells: &[Cell]) -> Result<String, Box<dyn Error>> {
    let (project, library) = open()?;
    let builds = Builder::new(project.root(), &project.cache()).builds()?;
    let predictor = Predictor::new(&builds, &project)?;
    let mut text = String::new();
    for Cell { record, .. } in cells {
        let cell = &record.cell;
        if record.predicted.is_none() && record.verdict != Verdict::Skipped {
            let profile = library.profile(&record.client.profile)?;
            let stated = predictor.predict(&record.client, profile, library.broker(&cell.broker)?);
            match stated {
                // Said by `rig predict`, too; the snapshot holds for such a cell.
                Err(PredictorError::None(
                    NoPrediction::UnknownStack { .. } | NoPrediction::UnknownKey { .. },
                )) => {}
                Err(why) => text.push_str(&format!("{cell}: nothing was predicted: {why}\n")),
                Ok(_) => text.push_str(&format!("{cell}: its prediction was not laid down\n")),
            }
        }
        // An accepted deviation is no surprise to anybody.
        if library.known.of(cell, &record.board.kind).is_some() {
            continue;
        }
        for change in &record.surprises {
            let Change { field, expected, seen } = change;
            text.push_str(&format!("{cell}: {field}: predicted {expected}, saw {seen}\n"));
        }
    }
    Ok(text)
}

/// Hellos that differ from the recorded one of their client in more than random bytes.
///
/// # Errors
/// A recorded hello that is damaged.
pub fn other_hellos(cells: &[Cell]) -> Result<String, Box<dyn Error>> {
    let (project, _) = open()?;
    let mut text = String::new();
    for Cell { record, .. } in cells {
        let recorded = Recorded::load(&Recorded::path(&project.suites(), &record.client))?;
        let sent = hello_of(record);
        // A client that gave up before it spoke, for example over its CA file, has sent none.
        if sent.is_none() {
            continue;
        }
        let same =
            matches!((&recorded, &sent), (Some(recorded), Some(sent)) if recorded.same_offer(sent));
        if !same {
            let cell = &record.cell;
            text.push_str(&format!("{cell}: recorded {recorded:?}, sent {sent:?}\n"));
        }
    }
    Ok(text)
}

/// The snapshot of `client` in `suite` with what was seen laid over it.
///
/// # Errors
/// A snapshot that cannot be read, or a cell that says nothing about the client: a fault of the rig
/// or a timeout can never be an expectation. Of an accepted deviation the snapshot stays as it is;
/// whether its entry is stale, `rig run` says. A broker that is not installed here keeps what the
/// snapshot says of it, and that is said on standard error.
#[expect(clippy::print_stderr, reason = "a skipped cell must say so")]
pub fn laid_over(
    suite: &str,
    client: &ClientName,
    cells: Vec<Cell>,
) -> Result<String, Box<dyn Error>> {
    let (project, library) = open()?;
    let survey = library.suite(suite)?.survey;
    let path = Snapshot::path(&project.suites(), suite, client);
    let mut snapshot = Snapshot::load(&path)?.unwrap_or_default();
    // A broker that the suite no longer names must not live on in the snapshot.
    snapshot.0.retain(|broker, _| cells.iter().any(|cell| cell.record.broker == *broker));
    for cell in cells {
        if cell.record.verdict == Verdict::Skipped && may_skip() {
            let note = cell.record.note.unwrap_or_default();
            eprintln!("skipped: {}: {note}", cell.record.cell);
            continue;
        }
        if library.known.of(&cell.record.cell, &cell.record.board.kind).is_some() {
            continue;
        }
        let outcome = cell.record.outcome.result;
        match cell.seen {
            Some(seen) if outcome != suites::OutcomeKind::TimedOut => {
                snapshot.accept(&cell.record.broker, seen);
            }
            _ => {
                let note = cell.record.note.unwrap_or_default();
                return Err(format!("{}: {outcome}: {note}", cell.record.cell).into());
            }
        }
    }
    Ok(snapshot.text(survey))
}
