//! Which boards a command is about: names and kinds into slots, locked for as long as they are used.

use super::fault;
use crate::bench::lock::Lock;
use crate::bench::{self, Bench, StartFrom};
use crate::board::{Attached, Kind, Slot};
use crate::doctor;
use crate::firmware::Builder;
use crate::project::Project;
use crate::terminal::Terminal;
use anyhow::{Result, bail};
use std::num::NonZero;

/// How a board is asked for by what it can do.
const TAG: &str = "tag:";

/// Boards of one kind, and why these.
#[derive(Debug)]
pub(super) struct Chosen {
    pub kind: Kind,
    /// The boards of the bench that were chosen; empty for what the rig starts by itself.
    pub boards: Vec<bench::Board>,
    pub why: String,
}

/// The bench of this checkout.
pub(super) fn bench(project: &Project) -> Result<Bench> {
    Ok(Bench::load(&project.bench())?)
}

/// The board of this name, which must be on the bench.
///
/// # Errors
/// [`suites::Unknown`] with the nearest real name.
pub(super) fn named<'a>(bench: &'a Bench, name: &str) -> Result<&'a bench::Board> {
    let known = bench.boards.iter().map(|board| board.name.as_str());
    let found = bench.board(name);
    Ok(found.ok_or_else(|| suites::Unknown::new("board", name, known, "rig list boards"))?)
}

/// The boards that are asked for; without a wish the best that there are.
///
/// # Errors
/// If a name is nobody's, or the wishes are not of one kind.
pub(super) fn choose(wishes: &[String], bench: &Bench) -> Result<Chosen> {
    if wishes.is_empty() {
        let (kind, why) = doctor::choose(bench);
        let boards = match kind {
            Kind::Ameba1 => bench.of_kind(kind).cloned().collect(),
            Kind::Qemu | Kind::Native => Vec::new(),
        };
        return Ok(Chosen { kind, boards, why });
    }
    let mut chosen: Option<Chosen> = None;
    for wish in wishes {
        let (kind, boards) = one(wish, bench)?;
        let chosen = chosen.get_or_insert_with(|| Chosen {
            kind,
            boards: Vec::new(),
            why: "as asked".to_owned(),
        });
        if chosen.kind != kind {
            bail!(
                "one run is on one kind of board, and these are {} and {kind}: start two runs",
                chosen.kind
            );
        }
        for board in boards {
            if !chosen.boards.contains(&board) {
                chosen.boards.push(board);
            }
        }
    }
    chosen.ok_or_else(|| anyhow::anyhow!("no board was named"))
}

fn one(wish: &str, bench: &Bench) -> Result<(Kind, Vec<bench::Board>)> {
    if let Some(tag) = wish.strip_prefix(TAG) {
        let boards: Vec<_> = bench
            .boards
            .iter()
            .filter(|board| board.tags.iter().any(|own| own == tag))
            .cloned()
            .collect();
        let tags = bench.boards.iter().flat_map(|board| &board.tags).map(String::as_str);
        let Some(first) = boards.first() else {
            return Err(suites::Unknown::new("tag", tag, tags, "rig list boards").into());
        };
        return Ok((first.kind, boards));
    }
    if let Some(board) = bench.board(wish) {
        return Ok((board.kind, vec![board.clone()]));
    }
    let known = Kind::ALL.map(Kind::name).into_iter();
    let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == wish) else {
        let known = known.chain(bench.boards.iter().map(|board| board.name.as_str()));
        return Err(suites::Unknown::new("board", wish, known, "rig list boards").into());
    };
    let boards: Vec<_> = match kind {
        Kind::Ameba1 => bench.of_kind(kind).cloned().collect(),
        // The kind's name means those that the rig starts by itself.
        Kind::Qemu | Kind::Native => Vec::new(),
    };
    if kind == Kind::Ameba1 && boards.is_empty() {
        bail!(
            "no {kind} board is on this bench: plug one in, and `cargo rig list boards` prints the entry for {}",
            bench::FILE
        );
    }
    Ok((kind, boards))
}

/// Slots to run on, and the locks that keep other rigs off them.
///
/// # Errors
/// If a board is in use, or the flash algorithm that it needs cannot be built.
pub(super) fn slots(
    chosen: &Chosen,
    jobs: Option<u16>,
    cells: usize,
    builder: &Builder,
    terminal: &mut Terminal,
) -> Result<(Vec<Slot>, Vec<Lock>)> {
    if let Some(slot) = Slot::started(chosen.kind).filter(|_| chosen.boards.is_empty()) {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let wanted = jobs.map_or(cores, usize::from);
        return Ok((vec![slot; wanted.min(cells)], Vec::new()));
    }
    let limit = jobs.map_or(usize::MAX, usize::from).min(cells);
    let mut slots = Vec::new();
    let mut locks = Vec::new();
    for board in chosen.boards.iter().take(limit) {
        locks.push(Lock::take(board).map_err(fault)?);
        slots.push(slot(board, board.start, builder, terminal)?);
    }
    Ok((slots, locks))
}

/// The slot of one board; its flash algorithm is built if its flash is to be written.
pub(super) fn slot(
    board: &bench::Board,
    start: StartFrom,
    builder: &Builder,
    terminal: &mut Terminal,
) -> Result<Slot> {
    let algorithm = match start {
        StartFrom::Ram => None,
        StartFrom::Flash => {
            let said =
                &mut |progress: crate::firmware::Progress| terminal.working(&progress.to_string());
            let path = builder.flash_algorithm(board.chip, said).map_err(fault)?;
            terminal.done();
            Some(path)
        }
    };
    let board = bench::Board { start, ..board.clone() };
    Ok(Slot::Attached(Box::new(Attached { board, algorithm })))
}
