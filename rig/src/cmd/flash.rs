//! `rig flash` and `rig backup`: one board, one image or one copy.

use super::{board_fault, boards, fault, own};
use crate::backup;
use crate::bench::lock::Lock;
use crate::bench::{self, StartFrom};
use crate::board::{BoardError, Dut, Rung, Slot, attached};
use crate::cli::{BackupArgs, FlashArgs, Format};
use crate::deadline::Interrupt;
use crate::exit::Exit;
use crate::firmware::{Builder, Image};
use crate::probe::Flashed;
use crate::project::Project;
use crate::terminal::Terminal;
use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};
use suites::{BuildName, Unknown};

/// What became of `rig flash`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Report {
    board: String,
    build: BuildName,
    image: String,
    /// `ram` or `flash`.
    into: &'static str,
    /// Bytes that were written; 0 if the image was there already. Missing for RAM.
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<u64>,
    /// Whether the board ran the image before.
    already_running: bool,
    /// What it says of itself.
    library: String,
    took_ms: u64,
}

pub(super) fn flash(args: &FlashArgs, format: Format, terminal: &mut Terminal) -> Result<Exit> {
    let project = Project::find()?;
    let bench = boards::bench(&project)?;
    let builder = own::builder(&project, &args.own, terminal)?;
    let board = boards::named(&bench, &args.board)?;
    let build = build(&builder, &args.build)?;
    let start = args.into.unwrap_or(board.start);
    let image = builder
        .image(&build, board.target(), &mut |progress| terminal.working(&progress.to_string()))
        .map_err(own::build_fault)?;
    terminal.done();
    let _lock = Lock::take(board).map_err(fault)?;
    let slot = boards::slot(board, start, &builder, terminal)?;
    let began = Instant::now();
    let report = put(&slot, &image, start, terminal).map_err(board_fault);
    terminal.done();
    let report = Report { took_ms: millis(began.elapsed()), ..report? };
    super::write(terminal, format, &report, || text(&report))?;
    Ok(Exit::AsExpected)
}

fn put(
    slot: &Slot,
    image: &Image,
    start: StartFrom,
    terminal: &mut Terminal,
) -> Result<Report, BoardError> {
    let (limit, interrupt) = (slot.limits().boot, Interrupt::default());
    let report = |dut: &Dut, written, already_running| Report {
        board: slot.name().name,
        build: image.build.clone(),
        image: image.id.clone(),
        into: match start {
            StartFrom::Ram => "ram",
            StartFrom::Flash => "flash",
        },
        written,
        already_running,
        library: dut.identity.library.clone(),
        took_ms: 0,
    };
    match (slot, start) {
        (Slot::Attached(attached), StartFrom::Flash) => {
            let mut debugger = attached::attach(&attached.board)?;
            let mut show = |progress| terminal.step(&attached.board.name, progress);
            let flashed = attached::write_flash(&mut debugger, attached, image, &mut show)?;
            drop(debugger);
            let dut = Dut::start_by(Rung::Load, slot, image, limit, &interrupt)?;
            let written = match flashed {
                Flashed::AlreadyThere => 0,
                Flashed::Written { bytes } => bytes,
            };
            Ok(report(&dut, Some(written), false))
        }
        _ => {
            let running = attached::already_runs(slot, image, &interrupt)?;
            let dut = Dut::start(slot, image, limit, &interrupt)?;
            Ok(report(&dut, None, running))
        }
    }
}

fn text(report: &Report) -> String {
    let Report { board, build, image, library, took_ms, .. } = report;
    let done = match (report.written, report.already_running) {
        (Some(0), _) => "holds it already; nothing was written".to_owned(),
        (Some(bytes), _) => format!("{bytes} bytes were written to its flash and verified"),
        (None, true) => "ran it already; nothing was loaded".to_owned(),
        (None, false) => {
            "it was loaded into memory and verified; its flash is as it was".to_owned()
        }
    };
    format!(
        "board {board}: {build} (image {image}): {done}\nit runs and says: {library}\n({took_ms} ms)\n"
    )
}

pub(super) fn back_up(args: &BackupArgs, format: Format, terminal: &mut Terminal) -> Result<Exit> {
    let project = Project::find()?;
    let bench = boards::bench(&project)?;
    let board = boards::named(&bench, &args.board)?;
    let _lock = Lock::take(board).map_err(fault)?;
    let folder = args.folder.clone().unwrap_or_else(backup::folder);
    let copied = copy(board, &folder, terminal);
    terminal.done();
    let copied = copied?;
    super::write(terminal, format, &copied, || {
        format!(
            "board {}: {} bytes of flash are kept in {}\nsha256 {}\n",
            board.name,
            copied.bytes,
            copied.path.display(),
            copied.sha256
        )
    })?;
    if args.folder.is_some() {
        terminal.say(&format!(
            "the rig looks for copies in {}: one elsewhere does not allow it to write to the board",
            backup::folder().display()
        ));
    }
    Ok(Exit::AsExpected)
}

fn copy(board: &bench::Board, folder: &Path, terminal: &mut Terminal) -> Result<backup::Copy> {
    let mut debugger = attached::attach(board).map_err(board_fault)?;
    let flash = debugger
        .read_flash(&mut |progress| terminal.step(&board.name, progress))
        .map_err(|error| board_fault(error.into()))?;
    // What the board ran before starts again.
    let let_go = debugger.detach();
    let kept = backup::keep(folder, board, &flash).with_context(|| {
        format!(
            "board {}: its flash was read, and no copy could be kept in {}",
            board.name,
            folder.display()
        )
    });
    let kept = kept.map_err(fault)?;
    let_go.map_err(|error| board_fault(error.into()))?;
    Ok(kept)
}

fn build(builder: &Builder, name: &str) -> Result<BuildName> {
    let builds = builder.builds()?;
    let known = builds.iter().map(|build| build.name.as_str());
    let found = builds.iter().find(|build| build.name.as_str() == name);
    Ok(found.ok_or_else(|| Unknown::new("build", name, known, "rig list builds"))?.name.clone())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
