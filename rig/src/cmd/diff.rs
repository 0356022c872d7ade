//! `rig diff`: what changed between two runs, or between the snapshots and a run.

use super::fault;
use crate::cli::{DiffArgs, Format};
use crate::exit::Exit;
use crate::project::Project;
use crate::summary::Paint;
use crate::terminal::Terminal;
use anyhow::{Context, Result};
use reports::alike::{Alike, EXAMPLES};
use reports::diff::{self, Book, CellDiff, Diff, Kind, Side};
use reports::transcript::printable;
use reports::writers::Recorded;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use suites::{CellId, Snapshot};

pub(super) fn run(args: &DiffArgs, format: Format, terminal: &Terminal) -> Result<Exit> {
    let books = match &args.runs[..] {
        [before, after] => {
            let (before, after) = (read(before)?, read(after)?);
            (Book::of_run(&before), Book::of_run(&after))
        }
        runs => {
            let run = read(runs.first().context("no run is named")?)?;
            let snapshots = snapshots(&run)?;
            // The first suite that has it, as in a run.
            let expected = |cell: &CellId| {
                let client = cell.client.to_string();
                let mut places = (0..run.run.suites.len()).map(|place| (place, client.clone()));
                places.find_map(|key| snapshots.get(&key)?.0.get(&cell.broker))
            };
            (Book::of_snapshots(&run, expected), Book::of_run(&run))
        }
    };
    let (before, after) = books;
    if before.is_empty() && after.is_empty() {
        terminal.say("there is nothing to compare: neither side has a cell");
        return Ok(Exit::NothingSelected);
    }
    let diff = Diff::between(&before, &after);
    super::write(terminal, format, &diff, || describe(&diff, terminal.paint()))?;
    if let Some(folder) = &args.out {
        let page = diff::page(&diff).map_err(fault)?;
        let json = serde_json::to_string_pretty(&diff).map_err(fault)?;
        for (name, text) in
            [("diff.html", page), ("diff.md", diff::markdown(&diff)), ("diff.json", json)]
        {
            super::save(folder, name, &text)?;
        }
        terminal.say(&format!("page: {}", folder.join("diff.html").display()));
    }
    Ok(if diff.is_worse() {
        Exit::Unexpected
    } else if diff.is_undecided() {
        Exit::RigFault
    } else {
        Exit::AsExpected
    })
}

fn read(folder: &Path) -> Result<Recorded> {
    let recorded = Recorded::read(folder);
    recorded.with_context(|| format!("{} is not the folder of a run", folder.display()))
}

/// The snapshots that a run's cells were held against, in the order of its suites.
type Snapshots = BTreeMap<(usize, String), Snapshot>;

fn snapshots(run: &Recorded) -> Result<Snapshots> {
    let project = Project::find()?;
    let mut held = Snapshots::new();
    for cell in &run.run.plan {
        for (place, suite) in run.run.suites.iter().enumerate() {
            let key = (place, cell.client.to_string());
            if held.contains_key(&key) {
                continue;
            }
            let path: PathBuf = Snapshot::path(&project.suites(), suite, &cell.client);
            held.insert(key, Snapshot::load(&path)?.unwrap_or_default());
        }
    }
    Ok(held)
}

/// For a person: the worst first.
fn describe(diff: &Diff, paint: Paint) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "before: {}", side(&diff.before));
    let _ = writeln!(out, "after:  {}", side(&diff.after));
    for note in &diff.notes {
        paint.sentence(&mut out, 0, &format!("note: {}", shown(note)));
    }
    for kind in Kind::ALL {
        let cells: Vec<_> = diff.of(kind).collect();
        if cells.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{}", paint.bold(&format!("{} ({})", kind.title(), cells.len())));
        for alike in diff.alike(kind) {
            let Some(cell) = alike.cells.first() else { continue };
            if alike.is_group() {
                describe_group(&mut out, &alike, paint);
                continue;
            }
            let _ = writeln!(out, "    {}", cell.cell);
            if cell.fields.is_empty() {
                let (before, after) = (shown(&cell.before), shown(&cell.after));
                paint.sentence(&mut out, 8, &format!("{before} -> {after}"));
            }
            for field in &cell.fields {
                let (name, before) = (shown(&field.name), shown(&field.before));
                let _ = writeln!(out, "        {name}: {before} -> {}", shown(&field.after));
            }
            if let Some(why) = &cell.why {
                paint.sentence(&mut out, 8, &shown(why));
            }
        }
    }
    let _ = writeln!(out, "{}", diff.totals());
    out
}

/// What happened to many cells, once.
fn describe_group(out: &mut String, alike: &Alike<'_, CellDiff>, paint: Paint) {
    let Some(first) = alike.cells.first() else { return };
    paint.sentence(out, 4, &paint.bold(&format!("{}:", shown(&alike.who))));
    paint.sentence(out, 8, &shown(&CellDiff::together(&alike.cells)));
    if let Some(why) = &first.why {
        paint.sentence(out, 8, &format!("for example: {}", shown(why)));
    }
    for cell in alike.cells.iter().take(EXAMPLES) {
        let _ = writeln!(out, "        {}", cell.cell);
    }
    let _ = writeln!(out, "        and {} more; --format json has them all", alike.more());
}

fn side(side: &Side) -> String {
    let board = side.board.as_ref().map(|board| format!(" on {}", board.name)).unwrap_or_default();
    let begun = side.started.as_ref().map(|time| format!(", begun {time}")).unwrap_or_default();
    shown(&format!("{}{board}{begun}, {} cells", side.name, side.cells))
}

/// A record may come from another machine: nothing in it steers this terminal.
fn shown(text: &str) -> String {
    printable(text.as_bytes())
}
