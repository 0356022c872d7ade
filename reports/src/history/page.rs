//! `history.html`: one file without a script, with its curves drawn in it.

use super::{CellHistory, Edit, History, Tally, percent};
use crate::record::Latency;
use crate::transcript::printable;
use crate::words;
use askama::Template;

/// Cells on the page. With more, the page would take a browser seconds; `history.json` has them all.
const CELLS: usize = 500;
/// Runs in the table; the curve has them all.
const RUNS: usize = 50;

#[derive(Template)]
#[template(path = "history.html")]
struct Page {
    style: &'static str,
    runs: usize,
    curve: String,
    boards: Vec<Line>,
    recent: Vec<Line>,
    edits: Vec<String>,
    cells: Vec<Cell>,
    left_out: usize,
    unreadable: Vec<String>,
    emulated: bool,
}

/// A board, or a run.
struct Line {
    name: String,
    about: String,
    passes: String,
    flakes: String,
    faults: usize,
    second_tries: usize,
}

struct Cell {
    name: String,
    kind: String,
    passes: String,
    flakes: String,
    outcomes: Vec<String>,
    curve: String,
    cost: String,
}

/// A profile that was edited, in one line.
fn edit(history: &History, edit: &Edit) -> String {
    let Edit { of, profile, cells, changed, .. } = edit;
    let run = history.runs.get(edit.run).map(|run| run.id.as_str()).unwrap_or_default();
    let text = format!(
        "{of} profile {profile}, before run {run}: {changed} of {cells} cells came to another outcome"
    );
    printable(text.as_bytes())
}

/// The page. Askama escapes markup; control characters are made visible here.
///
/// # Errors
/// None in practice: the template is compiled in.
pub fn page(history: &History) -> Result<String, askama::Error> {
    let mut cells: Vec<&CellHistory> = history.cells.iter().collect();
    // What somebody should look at comes first: flaky, then failing, then what moved most.
    cells.sort_by_key(|cell| {
        let Tally { flaky, results, as_expected, .. } = cell.tally;
        std::cmp::Reverse((flaky, results - as_expected.min(results), moved(cell)))
    });
    let rates: Vec<_> = history
        .runs
        .iter()
        .map(|run| permille(run.tally.as_expected, run.tally.results + run.unfinished))
        .collect();
    Page {
        style: include_str!("../../templates/plain.css"),
        runs: history.runs.len(),
        curve: points(&rates, 0, 1000),
        boards: history
            .boards
            .iter()
            .map(|board| line(&board.name, &board.kind, &board.tally))
            .collect(),
        edits: history.edits.iter().rev().take(RUNS).map(|one| edit(history, one)).collect(),
        recent: history
            .runs
            .iter()
            .rev()
            .take(RUNS)
            .map(|run| {
                let begun = format!("{}, on {} ({})", run.started, run.board.name, run.board.kind);
                line(&run.id, &begun, &run.tally)
            })
            .collect(),
        left_out: cells.len().saturating_sub(CELLS),
        cells: cells.into_iter().take(CELLS).map(cell).collect(),
        unreadable: history.unreadable.iter().map(|why| printable(why.as_bytes())).collect(),
        emulated: history.boards.iter().any(|board| words::is_emulated(&board.kind)),
    }
    .render()
}

fn line(name: &str, about: &str, tally: &Tally) -> Line {
    Line {
        name: printable(name.as_bytes()),
        about: printable(about.as_bytes()),
        passes: rate(tally.as_expected, tally.results),
        flakes: rate(tally.flaky, tally.repeated),
        faults: tally.faults,
        second_tries: tally.second_tries,
    }
}

fn rate(part: usize, whole: usize) -> String {
    format!("{} ({part} of {whole})", percent(part, whole))
}

fn cell(cell: &CellHistory) -> Cell {
    let mut outcomes: Vec<String> = Vec::new();
    for point in &cell.points {
        let seen = printable(point.outcome.as_bytes());
        if !outcomes.contains(&seen) {
            outcomes.push(seen);
        }
    }
    let totals = totals(cell);
    let (least, most) = (totals.iter().min().copied(), totals.iter().max().copied());
    let curve = match (least, most) {
        (Some(least), Some(most)) if totals.len() > 1 => {
            // A curve of noise should look flat: it spans at least a tenth of the figure.
            points(&totals, least, most.max(least.saturating_add(least / 10)))
        }
        _ => String::new(),
    };
    let unit = cell.points.iter().rev().find_map(|point| point.unit);
    let said = |total: Option<&u64>| {
        let (Some(total), Some(unit)) = (total, unit) else { return String::new() };
        words::duration(&Latency { unit, total: *total, wall_ns: 0, phases: Vec::new() })
    };
    let (first, last) = (said(totals.first()), said(totals.last()));
    Cell {
        name: cell.cell.to_string(),
        kind: printable(cell.kind.as_bytes()),
        passes: rate(cell.tally.as_expected, cell.tally.results),
        flakes: rate(cell.tally.flaky, cell.tally.repeated),
        outcomes,
        curve,
        cost: if first == last { last } else { format!("{first} → {last}") },
    }
}

/// What a cell cost, run by run, as long as it counts in the unit of the last.
fn totals(cell: &CellHistory) -> Vec<u64> {
    let unit = cell.points.iter().rev().find_map(|point| point.unit);
    cell.points.iter().filter(|point| point.unit == unit).filter_map(|point| point.total).collect()
}

/// How far the cost has moved between the first and the last run, in thousandths.
fn moved(cell: &CellHistory) -> u64 {
    let totals = totals(cell);
    let (Some(first), Some(last)) = (totals.first(), totals.last()) else { return 0 };
    first.abs_diff(*last).saturating_mul(1000) / (*first).max(1)
}

fn permille(part: usize, whole: usize) -> u64 {
    u64::try_from(part * 1000 / whole.max(1)).unwrap_or(0)
}

/// The points of an SVG curve in a box of 200 by 40, a value of `most` at its top.
fn points(values: &[u64], least: u64, most: u64) -> String {
    let span = (most - least.min(most)).max(1);
    let last = values.len().saturating_sub(1).max(1);
    let point = |(place, value): (usize, &u64)| {
        let x = 2 + 196 * place / last;
        let up = u128::from(value.saturating_sub(least)) * 36 / u128::from(span);
        format!("{x},{}", 38 - up.min(36))
    };
    values.iter().enumerate().map(point).collect::<Vec<_>>().join(" ")
}
