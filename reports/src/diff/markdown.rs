//! `diff.md`: for a pull request or a step summary.

use super::{CellDiff, Diff, Kind, Side};
use crate::alike::EXAMPLES;
use crate::markdown::LIMIT;
use crate::markdown::page::{Page, code, plain};

/// The page, at most as long as a pull request's comment may be.
#[must_use]
pub fn markdown(diff: &Diff) -> String {
    let mut page = Page::new(LIMIT, "diff.json");
    page.heading(2, headline(diff));
    page.paragraph(&format!(
        "From {} to {}: {}.",
        side(&diff.before),
        side(&diff.after),
        plain(&diff.totals())
    ));
    for note in &diff.notes {
        page.paragraph(&format!("Note: {}.", plain(note)));
    }
    for kind in Kind::ALL {
        let cells: Vec<_> = diff.of(kind).collect();
        if cells.is_empty() {
            continue;
        }
        page.heading(3, &format!("{} ({})", kind.title(), cells.len()));
        let alike = diff.alike(kind);
        let (groups, single): (Vec<_>, Vec<_>) = alike.iter().partition(|one| one.is_group());
        let rows = groups.iter().map(|group| {
            let way = CellDiff::together(&group.cells);
            let names = group.cells.iter().take(EXAMPLES).map(|cell| code(&cell.cell.to_string()));
            let names: Vec<_> = names.collect();
            vec![group.cells.len().to_string(), plain(&group.who), plain(&way), names.join("<br>")]
        });
        if !groups.is_empty() {
            page.table(&["cells", "which", "in what way", "for example"], rows);
            if !single.is_empty() {
                page.paragraph("The others, one by one:");
            }
        }
        let single: Vec<_> = single.iter().flat_map(|one| &one.cells).collect();
        let rows = single.into_iter().map(|cell| {
            let fields: Vec<_> = cell
                .fields
                .iter()
                .map(|field| {
                    format!(
                        "{}: {} → {}",
                        plain(&field.name),
                        code(&field.before),
                        code(&field.after)
                    )
                })
                .collect();
            let (before, after) = (plain(&cell.before), plain(&cell.after));
            vec![code(&cell.cell.to_string()), before, after, fields.join("<br>")]
        });
        if rows.len() > 0 {
            page.table(&["cell", "before", "after", "fields"], rows);
        }
    }
    page.finish()
}

/// The first thing that a reader sees.
pub(super) fn headline(diff: &Diff) -> &'static str {
    match (diff.is_worse(), diff.is_undecided(), diff.cells.is_empty()) {
        (true, _, _) => "rig: worse than before",
        (_, true, _) => "rig: some cells have no result any more",
        (_, _, true) => "rig: nothing has changed",
        _ => "rig: changed, nothing worse",
    }
}

fn side(side: &Side) -> String {
    match &side.board {
        Some(board) => format!("{} on {}", code(&side.name), code(&board.kind)),
        None => plain(&side.name),
    }
}
