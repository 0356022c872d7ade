//! `rig advise`: which clients connect to these brokers, and what to change in the one there is.

use super::fault;
use crate::advise::{Advice, Asked, Basis, Candidate, Cell, Change, Known, advise};
use crate::cli::{AdviseArgs, Format};
use crate::exit::Exit;
use crate::firmware::Builder;
use crate::predictor::Predictor;
use crate::project::Project;
use crate::summary::{self, Paint};
use crate::terminal::Terminal;
use anyhow::Result;
use std::fmt::Write as _;
use suites::{ClientName, Library};

pub(super) fn run(args: &AdviseArgs, format: Format, terminal: &mut Terminal) -> Result<Exit> {
    let project = Project::find()?;
    let library = Library::load(&project.suites())?;
    let base: ClientName = args.from.parse()?;
    let brokers: Vec<_> =
        args.brokers.iter().map(|broker| asked(broker, &library)).collect::<Result<_>>()?;
    let builder = Builder::new(project.root(), &project.cache());
    let builds = builder.builds()?;
    let predictor = Predictor::new(&builds, &project)?;
    let known = Known::load(&project, &library, &builds, predictor)?;
    known.profile(&base)?;
    let advice = advise(&known, &builder, &brokers, &base).map_err(fault)?;
    let shown = if args.all { usize::MAX } else { SHOWN };
    super::write(terminal, format, &advice, || describe(&advice, shown, terminal.paint()))?;
    let helps = !advice.connect.is_empty() || advice.base.connects || advice.change.is_some();
    Ok(if helps { Exit::AsExpected } else { Exit::Unexpected })
}

/// So many clients are listed without `--all`.
const SHOWN: usize = 10;

/// A broker of the library, or one from a file.
fn asked(broker: &str, library: &Library) -> Result<Asked> {
    let profile = super::broker::named(broker, library)?;
    let recorded = library.brokers.get(&profile.name) == Some(&profile);
    Ok(Asked { profile, recorded })
}

fn describe(advice: &Advice, shown: usize, paint: Paint) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let all = if advice.brokers.len() > 1 { " to all of them" } else { "" };
    let _ = writeln!(out, "{}", paint.bold(&advice.brokers.join(", ")));
    let _ = writeln!(
        out,
        "{} of {} clients connect{all}",
        advice.connect.len(),
        advice.clients - advice.unsaid
    );
    if advice.brokers.len() > 1 {
        for (broker, count) in &advice.each {
            let _ = writeln!(out, "  {count} to {broker}");
        }
    }
    if let Some(why) = &advice.why_unsaid {
        let count = advice.unsaid;
        paint.sentence(
            &mut out,
            0,
            &format!("of {count} more nothing can be said, for example: {why}"),
        );
    }
    if !advice.connect.is_empty() {
        let _ = writeln!(out, "\n{}", paint.bold("cheapest first"));
        for line in table(advice.connect.iter().take(shown)) {
            let _ = writeln!(out, "  {line}");
        }
        if advice
            .connect
            .iter()
            .take(shown)
            .any(|one| one.instructions.is_some() && !one.is_measured())
        {
            let _ = writeln!(out, "  ~ measured with another broker, same version and suite");
        }
        if advice.connect.len() > shown {
            let _ = writeln!(out, "  and {} more: --all lists them", advice.connect.len() - shown);
        }
    }
    describe_base(&mut out, advice, paint);
    out
}

fn describe_base(out: &mut String, advice: &Advice, paint: Paint) {
    let base = &advice.base;
    let _ = writeln!(out, "\n{}", paint.bold(&base.client.to_string()));
    if base.connects {
        let _ = writeln!(out, "  connects as it is: nothing to change");
        return;
    }
    for cell in &base.cells {
        let line = format!("{}: {}, {}", cell.broker, said(cell), cell.why);
        paint.sentence(out, 2, &line);
    }
    match &advice.change {
        None => {
            let _ = writeln!(out, "  no change that the rig knows of gets it there");
        }
        Some(Change { lines, like, is_like, too_large_for_ameba1, cells, .. }) => {
            let _ = writeln!(out, "{}", paint.bold("smallest change that gets it there"));
            for line in lines {
                paint.sentence(out, 2, &format!("* {line}"));
            }
            for cell in cells {
                let _ = writeln!(out, "  then {}: {}", cell.broker, said(cell));
            }
            let near = match is_like {
                true => "is that client",
                false => "has these macros, and more",
            };
            paint.sentence(out, 2, &format!("to try it: {like} {near}"));
            if let Some(why) = too_large_for_ameba1 {
                let line = format!("there is no room for {} in an ameba1: {why}", like.build);
                paint.sentence(out, 2, &line);
            }
        }
    }
}

fn said(cell: &Cell) -> String {
    let basis = match cell.basis {
        Basis::Seen => "seen",
        Basis::Predicted => "predicted",
    };
    format!("{} ({basis}) {}", cell.outcome.result, summary::outcome(&cell.outcome).trim())
}

fn table<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> Vec<String> {
    let head = ["client", "instructions", "heap", "code", ""].map(str::to_owned);
    let rows = candidates.map(|one| {
        let about = if one.is_measured() { "" } else { "~" };
        let figure = |figure: Option<u64>, text: fn(u64) -> String| {
            figure.map_or_else(
                || "not measured".to_owned(),
                |value| format!("{about}{}", text(value)),
            )
        };
        [
            one.client.to_string(),
            figure(one.instructions, millions),
            figure(one.heap_peak_bytes, kilobytes),
            match one.too_large_for_ameba1 {
                Some(_) => "no room in an ameba1".to_owned(),
                None => one.code_bytes.map_or_else(|| "not built".to_owned(), kilobytes),
            },
            if one.verifies { String::new() } else { "does not verify the broker".to_owned() },
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.len()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..4).map(width).collect();
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(widths.iter().chain(&[0]));
        let cells: Vec<_> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn millions(count: u64) -> String {
    format!("{}.{:02} M", count / 1_000_000, count % 1_000_000 / 10_000)
}

fn kilobytes(bytes: u64) -> String {
    format!("{}.{} KB", bytes / 1024, bytes % 1024 * 10 / 1024)
}
