//! `diff.html`: one file without a script, for a browser.

use super::markdown::headline;
use super::{CellDiff, Diff, Kind, Side};
use crate::alike::Alike;
use crate::transcript::printable;
use askama::Template;

#[derive(Template)]
#[template(path = "diff.html")]
struct Page {
    style: &'static str,
    headline: &'static str,
    before: String,
    after: String,
    totals: String,
    notes: Vec<String>,
    groups: Vec<Group>,
}

/// The cells of one kind.
struct Group {
    title: &'static str,
    class: &'static str,
    cells: usize,
    alike: Vec<Same>,
    rows: Vec<Row>,
}

/// Cells that differ in the same way.
struct Same {
    cells: usize,
    who: String,
    way: String,
    why: Option<String>,
    names: Vec<String>,
}

struct Row {
    cell: String,
    before: String,
    after: String,
    why: Option<String>,
    fields: Vec<[String; 3]>,
}

/// The page. Askama escapes markup; control characters are made visible here.
///
/// # Errors
/// None in practice: the template is compiled in.
pub fn page(diff: &Diff) -> Result<String, askama::Error> {
    let safe = |text: &String| printable(text.as_bytes());
    let same = |alike: &Alike<'_, CellDiff>| Same {
        cells: alike.cells.len(),
        who: safe(&alike.who),
        way: safe(&CellDiff::together(&alike.cells)),
        why: alike.cells.first().and_then(|cell| cell.why.as_ref()).map(safe),
        names: alike.cells.iter().map(|cell| cell.cell.to_string()).collect(),
    };
    let groups = Kind::ALL.into_iter().map(|kind| Group {
        title: kind.title(),
        class: match kind {
            _ if kind.is_worse() => "worse",
            Kind::Fixed | Kind::Faster | Kind::Lighter => "better",
            _ => "neither",
        },
        cells: diff.of(kind).count(),
        alike: diff.alike(kind).iter().filter(|one| one.is_group()).map(same).collect(),
        rows: diff
            .alike(kind)
            .iter()
            .filter(|one| !one.is_group())
            .flat_map(|one| &one.cells)
            .map(|cell| Row {
                cell: cell.cell.to_string(),
                before: safe(&cell.before),
                after: safe(&cell.after),
                why: cell.why.as_ref().map(safe),
                fields: cell
                    .fields
                    .iter()
                    .map(|field| [&field.name, &field.before, &field.after].map(safe))
                    .collect(),
            })
            .collect(),
    });
    Page {
        style: include_str!("../../templates/plain.css"),
        headline: headline(diff),
        before: side(&diff.before),
        after: side(&diff.after),
        totals: diff.totals(),
        notes: diff.notes.iter().map(safe).collect(),
        groups: groups.filter(|group| group.cells > 0).collect(),
    }
    .render()
}

fn side(side: &Side) -> String {
    let board = side.board.as_ref().map(|board| format!(" on {}", board.kind)).unwrap_or_default();
    let started = side.started.as_ref().map(|time| format!(", begun {time}")).unwrap_or_default();
    printable(format!("{}{board}{started}", side.name).as_bytes())
}
