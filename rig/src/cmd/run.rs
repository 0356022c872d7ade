//! `rig run`: suites on a board, each cell beside its snapshot.

use super::{boards, fault, own};
use crate::board::Slot;
use crate::cli::{Format, RunArgs};
use crate::command::LogLines;
use crate::deadline::Interrupt;
use crate::exit::Exit;
use crate::firmware::{Builder, Image, Layout, Target};
use crate::plan::{self, Job};
use crate::predictor::{Hellos, Predictor};
use crate::project::Project;
use crate::run::{RunEvent, SEED, Workshop};
use crate::setup;
use crate::summary;
use crate::terminal::Terminal;
use crate::verdict::Cell;
use anyhow::{Context, Result};
use boards::Chosen;
use brokers::Brokers;
use brokers::product::Product;
use reports::record::{self, BoardName, CellRecord, Run, RunFolder, SCHEMA, Verdict};
use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;
use suites::known::Deviation;
use suites::{BuildName, ClientName, Library, Snapshot};

/// The suite that is run when none is named.
const DEFAULT_SUITE: &str = "forum";

pub(super) fn run(args: &RunArgs, format: Format, terminal: &mut Terminal) -> Result<Exit> {
    let project = Project::find()?;
    let mut library = Library::load(&project.suites())?;
    let builder = own::builder(&project, &args.own, terminal)?;
    own::take_over(&mut library, &builder);
    let suites = match args.suites.is_empty() {
        true => vec![DEFAULT_SUITE.to_owned()],
        false => args.suites.clone(),
    };
    let mut jobs = plan::expand(&library, &builder.builds()?, &suites, &args.filter, args.shard)?;
    if jobs.is_empty() {
        terminal.say("nothing was selected: no cell passes the filters; `cargo rig list cells` shows all of them");
        return Ok(Exit::NothingSelected);
    }
    // Asked for a board that does not exist: said before anything is installed or built.
    let bench = boards::bench(&project)?;
    let mut chosen = boards::choose(&args.board, &bench)?;
    if args.setup {
        setup::install(|line| terminal.say(line)).map_err(fault)?;
        let products = jobs.iter().filter_map(|job| Product::of(job.broker.front)).collect();
        setup::install_products(&products, &project.cache().join("pki"), |line| terminal.say(line))
            .map_err(fault)?;
        chosen = boards::choose(&args.board, &bench)?;
    }
    let kind = chosen.kind;
    say_boards(&chosen, terminal);
    kind.ready().map_err(fault)?;
    let mut snapshots = Snapshots::new(project.suites());
    snapshots.load(&jobs)?;
    // Stated before anything starts, and not touched again.
    let own_hellos = own::hellos(&builder, &project, own::clients(&jobs), terminal)?;
    let predictor = Predictor::new(&builder.builds()?, &project)?.with_own(own_hellos);
    let predictions = predictor.of(&jobs)?;
    let mut hellos = Hellos::new(project.suites());
    let plan: Vec<_> = jobs.iter().map(|job| job.cell.clone()).collect();
    let board = name(&chosen);
    let (folder, mut finished) = run_folder(args, &project, &mut jobs, &board)?;
    let mut run = Run {
        schema: SCHEMA,
        id: folder_name(&folder),
        started: now(),
        finished: None,
        interrupted: false,
        rig: env!("CARGO_PKG_VERSION").to_owned(),
        suites,
        board,
        seed: SEED,
        plan,
        own_builds: Vec::new(),
    };

    let interrupt = Interrupt::default();
    let request = interrupt.clone();
    ctrlc::set_handler(move || request.request())
        .map_err(fault)
        .context("cannot listen for Ctrl-C")?;
    let images = images(&builder, target(&chosen), &jobs, terminal)?;
    let sizes = match target(&chosen) {
        Target::Native => BTreeMap::new(),
        _ => code_sizes(&images).map_err(fault)?,
    };
    run.own_builds = own::record(&builder, target(&chosen))?;
    if args.resume.is_some() {
        own::check_resumed(&record::read_run(&folder)?, &run)?;
    }
    let (slots, _locks) = boards::slots(&chosen, args.jobs, jobs.len(), &builder, terminal)?;
    let brokers = Brokers::new(&project.cache().join("pki")).map_err(fault)?;
    let brokers = brokers.with_logs(&folder.join("brokers"));
    let mut out = RunFolder::open(&folder, &run).map_err(fault)?;
    link_latest(&project, &folder);

    terminal.begin_cells(jobs.len());
    let began = Instant::now();
    let workshop = Workshop {
        limits: kind.limits(),
        log_lines: log_lines(&slots),
        images: &images,
        brokers: &brokers,
        seed: SEED,
        interrupt: &interrupt,
    };
    let mut trouble = None;
    let mut foreign = None;
    crate::run::run(&workshop, jobs, slots, |mut event| {
        if let RunEvent::Finished(cell) = &mut event {
            if let Some(image) = &mut cell.record.image {
                image.code_bytes = sizes.get(&cell.record.build).copied();
            }
            let snapshot = snapshots.of(&cell.suite, &cell.record.client);
            cell.set_beside(predictions.get(&cell.record.cell));
            cell.compare(snapshot, &library.known);
            foreign = foreign.take().or_else(|| cell.other_compilers(snapshot));
            // Of a survey's thousands nobody opens those that are as expected, and running one again
            // alone brings back the same bytes.
            let plain = cell.survey && cell.record.verdict.is_expected();
            if plain && let Some(predicted) = &mut cell.record.predicted {
                predicted.trace.clear();
            }
            let written = match plain {
                true => out.append_line(&cell.record),
                false => out.append(&cell.record, &cell.transcript),
            };
            let written =
                written.map_err(fault).and_then(|()| stream(terminal, format, &cell.record));
            if let Err(error) = written {
                // Going on would only lose more results.
                interrupt.request();
                trouble.get_or_insert(error);
            }
            // What is accepted as a deviation is no new expectation.
            if args.accept && cell.record.known.is_none() {
                snapshots.accept(cell);
                // Those of a user's own builds are made on the spot, whenever they are wanted.
                if !builder.own().iter().any(|own| own.name == cell.record.build) {
                    hellos.accept(&cell.record);
                }
            }
            finished.push(cell.record.clone());
        }
        terminal.show(&event);
    });
    terminal.done();
    run.interrupted = interrupt.requested();
    run.finished = Some(now());
    out.write_run(&run).map_err(fault)?;
    if let Some(error) = trouble {
        return Err(error);
    }
    if args.accept {
        snapshots.save().map_err(fault)?;
        hellos.save().map_err(fault)?;
    }
    let places: HashMap<_, _> =
        run.plan.iter().enumerate().map(|(place, cell)| (cell, place)).collect();
    finished.sort_by_key(|cell| places.get(&cell.cell).copied());
    if format == Format::Human {
        terminal.data(&summary::render(&finished, terminal.paint())).map_err(fault)?;
    }
    if let Some((expected, seen)) = foreign {
        terminal.say(&format!(
            "outcomes were compared, figures were not: the snapshots hold those of {expected}, these images were compiled by {seen}"
        ));
    }
    let reports = reports::writers::write_reports(&folder).map_err(fault)?;
    let stale = stale(&library, &run, &finished)?;
    say_end(terminal, args, &run, &finished, began, &project, &folder);
    for entry in &stale {
        terminal.say(&format!(
            "suites/known.toml: the entry for {:?} is stale: all of its cells were run, and none deviates any more; remove it",
            entry.cell
        ));
    }
    say_reports(terminal, &project, &reports);
    Ok(exit(&run, &finished, args.accept, !stale.is_empty()))
}

/// Entries of `known.toml` that have outlived their deviation, as far as this run can tell.
fn stale<'a>(library: &'a Library, run: &Run, cells: &[CellRecord]) -> Result<Vec<&'a Deviation>> {
    let deviated = |cell: &CellRecord| match cell.verdict {
        Verdict::Match => Some(false),
        verdict => verdict.is_deviation().then_some(true),
    };
    let ended: HashMap<_, _> = cells.iter().map(|cell| (&cell.cell, deviated(cell))).collect();
    let mut all = Vec::new();
    for suite in &run.suites {
        let cells = &library.suite(suite)?.cells;
        all.extend(cells.iter().map(|cell| (cell, ended.get(cell).copied().flatten())));
    }
    Ok(library.known.stale(&run.board.kind, &all))
}

fn say_boards(chosen: &Chosen, terminal: &Terminal) {
    let names: Vec<_> = chosen.boards.iter().map(|board| board.name.as_str()).collect();
    let names = match names.is_empty() {
        true => chosen.kind.name().to_owned(),
        false => format!("{} {}", chosen.kind, names.join(", ")),
    };
    terminal.say(&format!("board: {names}, {} ({})", chosen.kind.describe(), chosen.why));
}

/// What the slowest of the boards' lines has time for.
fn log_lines(slots: &[Slot]) -> LogLines {
    match slots.iter().all(|slot| slot.log_lines() == LogLines::All) {
        true => LogLines::All,
        false => LogLines::Quoted,
    }
}

/// The name of a run's boards: of the board, or of their kind if they are several or nameless.
fn name(chosen: &Chosen) -> BoardName {
    match &chosen.boards[..] {
        [board] => BoardName { name: board.name.clone(), kind: chosen.kind.name().to_owned() },
        _ => chosen.kind.board_name(),
    }
}

/// The folder of this run, and what a run that is continued has finished already.
fn run_folder(
    args: &RunArgs,
    project: &Project,
    jobs: &mut Vec<Job>,
    board: &BoardName,
) -> Result<(PathBuf, Vec<CellRecord>)> {
    if let Some(folder) = &args.resume {
        let before = record::read_run(folder)?;
        if before.board.kind != board.kind {
            anyhow::bail!(
                "the run in {} was on board {}: give `--board {}` to go on with it",
                folder.display(),
                before.board.name,
                before.board.name
            );
        }
        let mut done = record::read_cells(folder)?;
        // What broke on our side is worth another try.
        done.retain(|cell| cell.verdict != Verdict::Fault);
        let known: HashSet<_> = done.iter().map(|cell| &cell.cell).collect();
        jobs.retain(|job| !known.contains(&job.cell));
        return Ok((folder.clone(), done));
    }
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None => {
            let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
            project.runs().join(format!("{time}-{:04x}", fastrand::u16(..)))
        }
    };
    if folder.join("cells.jsonl").exists() {
        anyhow::bail!(
            "{} already holds a run: name another folder, or go on with it by `--resume {}`",
            folder.display(),
            folder.display()
        );
    }
    Ok((folder, Vec::new()))
}

/// What firmware the boards take. Where only some of the emulated ones have the probe as their line,
/// all get the image that listens to both lines.
fn target(chosen: &Chosen) -> Target {
    let usual = chosen.kind.target();
    let targets = chosen.boards.iter().map(|board| board.target());
    targets.into_iter().find(|target| *target != usual).unwrap_or(usual)
}

/// An image for every build that the jobs need; what is not cached is built now.
fn images(
    builder: &Builder,
    target: Target,
    jobs: &[Job],
    terminal: &mut Terminal,
) -> Result<BTreeMap<BuildName, Image>> {
    let builds: BTreeSet<_> = jobs.iter().map(|job| job.cell.client.build.clone()).collect();
    let mut images = BTreeMap::new();
    for build in builds {
        let image = builder
            .image(&build, target, &mut |progress| terminal.working(&progress.to_string()))
            .map_err(own::build_fault)?;
        images.insert(build, image);
    }
    terminal.done();
    Ok(images)
}

/// What each image's code and constants take, in bytes.
fn code_sizes(images: &BTreeMap<BuildName, Image>) -> Result<BTreeMap<BuildName, u64>> {
    let size = |(build, image): (&BuildName, &Image)| {
        let path = image.path.display();
        let bytes = std::fs::read(&image.path).with_context(|| format!("cannot read {path}"))?;
        let layout = Layout::read(&bytes)
            .with_context(|| format!("{path} is no firmware image; remove it"))?;
        Ok((build.clone(), layout.code))
    };
    images.iter().map(size).collect()
}

/// With `--format json`: each finished cell as a line, at once.
fn stream(terminal: &Terminal, format: Format, cell: &CellRecord) -> Result<()> {
    if format == Format::Json {
        let mut line = serde_json::to_string(cell).context("cannot write JSON")?;
        line.push('\n');
        terminal.data(&line).map_err(fault)?;
    }
    Ok(())
}

fn exit(run: &Run, cells: &[CellRecord], accepted: bool, stale: bool) -> Exit {
    let any = |verdict| cells.iter().any(|cell| cell.verdict == verdict);
    if run.interrupted {
        Exit::Interrupted
    } else if any(Verdict::Fault) {
        Exit::RigFault
    } else if cells
        .iter()
        .all(|cell| matches!(cell.verdict, Verdict::Unsupported | Verdict::Skipped))
    {
        Exit::NothingSelected
    } else if stale || !accepted && (any(Verdict::New) || cells.iter().any(CellRecord::is_news)) {
        Exit::Unexpected
    } else {
        Exit::AsExpected
    }
}

fn say_end(
    terminal: &Terminal,
    args: &RunArgs,
    run: &Run,
    cells: &[CellRecord],
    began: Instant,
    project: &Project,
    folder: &Path,
) {
    if run.interrupted {
        terminal.say(&format!(
            "interrupted after {} of {} cells; go on with `cargo rig run --resume {}`",
            cells.len(),
            run.plan.len(),
            folder.display()
        ));
    }
    terminal.say(&format!(
        "{} cells in {:.1} s on {}: {}",
        cells.len(),
        began.elapsed().as_secs_f32(),
        run.board.name,
        summary::totals(cells)
    ));
    let shown = folder.strip_prefix(project.root()).unwrap_or(folder);
    terminal.say(&format!("record: {}", shown.display()));
    let open = |verdict| cells.iter().any(|cell| cell.verdict == verdict && cell.known.is_none());
    let unpredicted = cells.iter().filter(|cell| cell.is_unpredicted()).count();
    if unpredicted > 0 && !args.accept {
        terminal.say(&format!(
            "nothing was predicted for {unpredicted} of {} cells: `cargo rig predict` says why; if it is a client's hello that was never recorded, `--accept` records it",
            cells.len()
        ));
    }
    if !args.accept && (open(Verdict::New) || open(Verdict::Changed)) {
        terminal.say("if what was seen is right, `--accept` makes it the expectation");
    }
    if open(Verdict::Surprise) {
        terminal.say(
            "a cell is not as predicted: `cargo rig predict` shows how the prediction is made; if the client's hello has changed, `--accept` records it anew",
        );
    }
}

/// The last word: the file that a person opens next.
fn say_reports(terminal: &Terminal, project: &Project, reports: &[PathBuf]) {
    if let Some(page) = reports.iter().find(|report| report.ends_with("report.html")) {
        let shown = page.strip_prefix(project.root()).unwrap_or(page);
        terminal.say(&format!("report: {}", shown.display()));
    }
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn folder_name(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// `target/rig/latest` points at the newest run. Only a convenience: failing is not worth a word.
fn link_latest(project: &Project, folder: &Path) {
    let latest = project.cache().join("latest");
    let fresh = project.cache().join(format!("latest.{}", std::process::id()));
    if let Ok(folder) = folder.canonicalize()
        && std::os::unix::fs::symlink(folder, &fresh).is_ok()
    {
        let _ = std::fs::rename(fresh, latest);
    }
}

/// Snapshots of the clients in a run, read once.
struct Snapshots {
    suites: PathBuf,
    held: BTreeMap<PathBuf, Held>,
}

/// One of them.
struct Held {
    snapshot: Option<Snapshot>,
    survey: bool,
    /// Whether it differs from what is on disk.
    dirty: bool,
}

impl Snapshots {
    fn new(suites: PathBuf) -> Self {
        Self { suites, held: BTreeMap::new() }
    }

    /// Reads what the jobs need; a broken snapshot is noticed before anything runs.
    fn load(&mut self, jobs: &[Job]) -> Result<()> {
        for job in jobs {
            let path = Snapshot::path(&self.suites, &job.suite, &job.cell.client);
            if let Entry::Vacant(vacant) = self.held.entry(path) {
                let snapshot = Snapshot::load(vacant.key())?;
                vacant.insert(Held { snapshot, survey: job.survey, dirty: false });
            }
        }
        Ok(())
    }

    fn of(&self, suite: &str, client: &ClientName) -> Option<&Snapshot> {
        self.held.get(&Snapshot::path(&self.suites, suite, client))?.snapshot.as_ref()
    }

    /// Lays what was seen over the snapshot. A cell that matches is laid over it as well: its kind
    /// of board may have been measured for the first time.
    fn accept(&mut self, cell: &Cell) {
        let expectable = cell.record.outcome.result != suites::OutcomeKind::TimedOut;
        let path = Snapshot::path(&self.suites, &cell.suite, &cell.record.client);
        let (Some(seen), true, Some(Held { snapshot, dirty, .. })) =
            (&cell.seen, expectable, self.held.get_mut(&path))
        else {
            return;
        };
        let before = snapshot.clone();
        snapshot.get_or_insert_default().accept(&cell.record.broker, seen.clone());
        *dirty |= *snapshot != before;
    }

    fn save(&self) -> Result<(), suites::snapshot::SnapshotError> {
        for (path, Held { snapshot, survey, dirty }) in &self.held {
            if let (Some(snapshot), true) = (snapshot, dirty) {
                snapshot.save(path, *survey)?;
            }
        }
        Ok(())
    }
}
