//! `report.md`: a run for a pull request or a step summary, what is not as expected first.
//!
//! It fits into a comment of a pull request, 65,536 characters, and so into everything that is
//! larger (a step's summary: 1 MiB). Where rows are left out, the page says how many.

pub(crate) mod page;

use crate::alike::{Alike, EXAMPLES, alike};
use crate::record::{CellRecord, Verdict};
use crate::words::{self, VERDICTS};
use crate::writers::Recorded;
use page::{Page, code, plain};
use std::collections::BTreeMap;
use std::io;
use suites::cell::ClientName;
use suites::outcome::OutcomeKind;
use suites::snapshot::Change;

/// Bytes of a page, at most: a comment's characters with a little room for what a person adds.
pub(crate) const LIMIT: usize = 60_000;

/// The bytes of `report.md`.
///
/// # Errors
/// None: it writes to memory.
pub fn write(recorded: &Recorded) -> io::Result<Vec<u8>> {
    Ok(render(recorded, LIMIT).into_bytes())
}

fn render(recorded: &Recorded, limit: usize) -> String {
    let mut page = Page::new(limit, "cells.jsonl");
    head(&mut page, recorded);
    let cells = &recorded.cells;
    let of = |verdict| -> Vec<&CellRecord> {
        cells.iter().filter(|cell| cell.verdict == verdict && cell.known.is_none()).collect()
    };
    let fields = |cells: &[Alike<'_, CellRecord>], of: fn(&CellRecord) -> &[Change]| {
        let single = cells.iter().filter(|one| !one.is_group()).flat_map(|one| &one.cells);
        let rows = single.flat_map(|cell| {
            let name = code(&cell.cell.to_string());
            of(cell).iter().map(move |change| (name.clone(), change))
        });
        let rows = rows.map(|(name, Change { field, expected, seen })| {
            vec![name, plain(field), code(expected), code(seen)]
        });
        rows.collect::<Vec<_>>()
    };
    let changed = of(Verdict::Changed);
    if !changed.is_empty() {
        page.heading(3, &format!("Changed since the snapshot ({})", changed.len()));
        let changed = alike(changed, |cell| &cell.cell, words::way);
        groups(&mut page, &changed);
        let mut rows = fields(&changed, |cell| &cell.changes);
        // A timeout is a change even where the snapshot has one.
        let single = changed.iter().filter(|one| !one.is_group()).flat_map(|one| &one.cells);
        rows.extend(single.filter(|cell| cell.changes.is_empty()).map(|cell| {
            let name = code(&cell.cell.to_string());
            vec![name, "result".to_owned(), String::new(), plain(&words::outcome(&cell.outcome))]
        }));
        if !rows.is_empty() {
            page.table(&["cell", "field", "expected", "seen"], rows.into_iter());
        }
    }
    let surprises = of(Verdict::Surprise);
    if !surprises.is_empty() {
        page.heading(3, &format!("Not as predicted ({})", surprises.len()));
        let surprises = alike(surprises, |cell| &cell.cell, words::way);
        groups(&mut page, &surprises);
        let rows = fields(&surprises, |cell| &cell.surprises);
        if !rows.is_empty() {
            page.table(&["cell", "field", "predicted", "seen"], rows.into_iter());
        }
    }
    notes(&mut page, "Faults of the rig", "what broke", &of(Verdict::Fault));
    let new = of(Verdict::New);
    if !new.is_empty() {
        page.heading(3, &format!("New, without a snapshot ({})", new.len()));
        let rows = new
            .iter()
            .map(|cell| vec![code(&cell.cell.to_string()), plain(&words::outcome(&cell.outcome))]);
        page.table(&["cell", "outcome"], rows);
    }
    known(&mut page, cells);
    counts(&mut page, recorded);
    reasons(&mut page, cells);
    clients(&mut page, cells);
    notes(&mut page, "Skipped", "why", &of(Verdict::Skipped));
    page.finish()
}

/// What happened to many cells in the same way, a line for each way.
fn groups(page: &mut Page, cells: &[Alike<'_, CellRecord>]) {
    let rows = cells.iter().filter(|one| one.is_group()).map(|one| {
        let first = one.cells.first();
        let cause = first.and_then(|cell| cell.diagnosis.as_ref());
        let cause = cause.map(|diagnosis| code(diagnosis.cause.key())).unwrap_or_default();
        let said = plain(&words::together(&one.cells));
        let names = one.cells.iter().take(EXAMPLES).map(|cell| code(&cell.cell.to_string()));
        let names = names.collect::<Vec<_>>().join("<br>");
        vec![one.cells.len().to_string(), plain(&one.who), said, cause, names]
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        page.table(&["cells", "which", "in what way", "cause", "for example"], rows.into_iter());
        if cells.iter().any(|one| !one.is_group()) {
            page.paragraph("The others, one by one:");
        }
    }
}

fn head(page: &mut Page, recorded: &Recorded) {
    let run = &recorded.run;
    let count = |verdict| recorded.cells.iter().filter(|cell| cell.verdict == verdict).count();
    let idle = count(Verdict::Skipped) + count(Verdict::Unsupported);
    let of = recorded.cells.len() - idle + recorded.unfinished().len();
    let known = recorded.cells.iter().filter(|cell| cell.known.is_some()).count();
    let bad = of - count(Verdict::Match) - known;
    let known = match known {
        0 => String::new(),
        count => format!(", {count} of a known deviation aside"),
    };
    page.heading(
        2,
        &match (bad, of) {
            (_, 0) => "rig: nothing was run".to_owned(),
            (0, _) => format!("rig: all of {of} cells are as expected{known}"),
            (1, _) => format!("rig: 1 of {of} cells is not as expected{known}"),
            _ => format!("rig: {bad} of {of} cells are not as expected{known}"),
        },
    );
    let suites: Vec<_> = run.suites.iter().map(|suite| code(suite)).collect();
    let emulated = match words::is_emulated(&run.board.kind) {
        true => {
            ", **emulated**: this says what the library does, and nothing about Wi-Fi, clocks or timing of a real board"
        }
        false => "",
    };
    page.paragraph(&format!(
        "Suite {} on board {} of kind {}{emulated}. Run {}, begun {}, rig {}, seed {}.",
        suites.join(", "),
        code(&run.board.name),
        code(&run.board.kind),
        code(&run.id),
        plain(&run.started),
        plain(&run.rig),
        run.seed,
    ));
    let unfinished = recorded.unfinished().len();
    if unfinished > 0 {
        page.paragraph(&format!(
            "**Planned, but not run: {unfinished}**, because the run ended before: {} goes on.",
            code("cargo rig run --resume"),
        ));
    }
}

/// Cells of which there is nothing but what the rig says.
fn notes(page: &mut Page, title: &str, column: &str, cells: &[&CellRecord]) {
    if cells.is_empty() {
        return;
    }
    page.heading(3, &format!("{title} ({})", cells.len()));
    let rows = cells.iter().map(|cell| {
        vec![code(&cell.cell.to_string()), plain(cell.note.as_deref().unwrap_or_default())]
    });
    page.table(&["cell", column], rows);
}

/// Deviations that are no news, with where they are dealt with.
fn known(page: &mut Page, cells: &[CellRecord]) {
    let known: Vec<_> =
        cells.iter().filter_map(|cell| cell.known.as_ref().map(|known| (cell, known))).collect();
    if known.is_empty() {
        return;
    }
    page.heading(3, &format!("Known deviations ({})", known.len()));
    let rows = known.iter().map(|(cell, known)| {
        let outcome = plain(&words::outcome(&cell.outcome));
        vec![code(&cell.cell.to_string()), outcome, plain(&known.reason), plain(&known.link)]
    });
    page.table(&["cell", "outcome", "why it is accepted", "see"], rows);
}

fn counts(page: &mut Page, recorded: &Recorded) {
    page.heading(3, "Counts");
    let mut rows = Vec::new();
    for verdict in VERDICTS {
        for (known, mark) in [(false, ""), (true, " (known)")] {
            let is = |cell: &&CellRecord| cell.verdict == verdict && cell.known.is_some() == known;
            let count = recorded.cells.iter().filter(is).count();
            if count > 0 {
                rows.push(vec![format!("{}{mark}", words::verdict(verdict)), count.to_string()]);
            }
        }
    }
    let unfinished = recorded.unfinished().len();
    if unfinished > 0 {
        rows.push(vec!["planned, not run".to_owned(), unfinished.to_string()]);
    }
    page.table(&["verdict", "cells"], rows.into_iter());
}

/// Why cells do not connect, each reason once, with what to change.
fn reasons(page: &mut Page, cells: &[CellRecord]) {
    let mut reasons: BTreeMap<&str, (usize, &CellRecord)> = BTreeMap::new();
    for cell in cells.iter().filter(|cell| cell.outcome.result != OutcomeKind::Connected) {
        let Some(diagnosis) = &cell.diagnosis else { continue };
        reasons.entry(&diagnosis.summary).or_insert((0, cell)).0 += 1;
    }
    if reasons.is_empty() {
        return;
    }
    let mut reasons: Vec<_> = reasons.into_values().collect();
    reasons.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    page.heading(3, "Why cells do not connect");
    let rows = reasons.into_iter().map(|(count, cell)| {
        let diagnosis = cell.diagnosis.as_ref();
        let cause = diagnosis.map(|diagnosis| code(diagnosis.cause.key()));
        let summary = diagnosis.map(|diagnosis| plain(&diagnosis.summary));
        let fix = diagnosis.and_then(|diagnosis| diagnosis.fix.first()).map(|fix| plain(fix));
        let mut row: Vec<_> = [cause, summary, fix].map(Option::unwrap_or_default).into();
        row.insert(0, count.to_string());
        row
    });
    page.table(&["cells", "cause", "what happens", "what to change"], rows);
}

/// What each client reaches.
fn clients(page: &mut Page, cells: &[CellRecord]) {
    let mut order: Vec<&ClientName> = Vec::new();
    let mut of: BTreeMap<&ClientName, [Vec<&str>; 3]> = BTreeMap::new();
    for cell in cells {
        let lists = of.entry(&cell.client).or_insert_with(|| {
            order.push(&cell.client);
            Default::default()
        });
        let [connects, fails, nothing] = lists;
        let list = match cell.outcome.result {
            OutcomeKind::Connected => connects,
            OutcomeKind::Failed | OutcomeKind::TimedOut => fails,
            OutcomeKind::Unsupported | OutcomeKind::RigFault => nothing,
        };
        list.push(&cell.broker);
    }
    if order.is_empty() {
        return;
    }
    page.heading(3, "What connects to what");
    let rows: Vec<_> = order
        .into_iter()
        .filter_map(|client| {
            let lists = of.get(client)?;
            let mut row = vec![code(&client.to_string())];
            row.extend(lists.iter().map(|brokers| names(brokers)));
            Some(row)
        })
        .collect();
    page.table(&["client", "connects to", "does not connect to", "no result"], rows.into_iter());
}

/// A few names, and how many more there are.
fn names(brokers: &[&str]) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<_> = brokers.iter().take(SHOWN).map(|broker| code(broker)).collect();
    let more = match brokers.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}
