//! `rig list boards`: kinds of board, the boards of the bench, and what is plugged in.

use super::super::{boards, columns, write};
use crate::bench::discover::{self, Attached};
use crate::bench::{Bench, Board, Probe};
use crate::board::Kind;
use crate::cli::Format;
use crate::doctor;
use crate::exit::Exit;
use crate::project::Project;
use crate::terminal::Terminal;
use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
pub(in crate::cmd) struct Boards {
    kinds: Vec<KindRow>,
    bench: Vec<BenchRow>,
    /// Probes that are plugged in.
    attached: Vec<Attached>,
    /// Ready for `bench.toml`: one entry for each probe that no board has.
    entries: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct KindRow {
    name: &'static str,
    about: &'static str,
    ready: bool,
}

#[derive(Serialize, JsonSchema)]
struct BenchRow {
    name: String,
    kind: &'static str,
    chip: &'static str,
    probe: String,
    port: Option<String>,
    plugged_in: bool,
    tags: Vec<String>,
}

pub(super) fn run(project: &Project, format: Format, terminal: &Terminal) -> Result<Exit> {
    let bench = boards::bench(project)?;
    let boards = collect(&bench);
    write(terminal, format, &boards, || text(&boards, &bench))?;
    Ok(Exit::AsExpected)
}

fn collect(bench: &Bench) -> Boards {
    let attached = discover::attached(bench);
    let kind = |kind: Kind| KindRow {
        name: kind.name(),
        about: kind.describe(),
        ready: doctor::check(kind, bench).ready,
    };
    // Each entry has a name of its own, also among themselves.
    let mut taken: Vec<_> = bench.boards.iter().map(|board| board.name.clone()).collect();
    let entries = attached.iter().filter_map(|probe| probe.entry(&mut taken)).collect();
    Boards {
        kinds: Kind::ALL.into_iter().map(kind).collect(),
        bench: bench.boards.iter().map(|board| row(board, &attached)).collect(),
        entries,
        attached,
    }
}

fn row(board: &Board, attached: &[Attached]) -> BenchRow {
    let seen = attached.iter().find(|probe| probe.board.as_ref() == Some(&board.name));
    let (probe, plugged_in) = match &board.probe {
        Probe::Usb(probe) => (probe.to_string(), seen.is_some()),
        Probe::Emulator(folder) => (folder.display().to_string(), folder.is_dir()),
    };
    BenchRow {
        name: board.name.clone(),
        kind: board.kind.name(),
        chip: board.chip.name(),
        probe,
        port: board.port.clone().or_else(|| seen.and_then(|probe| probe.port.clone())),
        plugged_in,
        tags: board.tags.clone(),
    }
}

fn text(boards: &Boards, bench: &Bench) -> String {
    let kinds: Vec<_> = boards
        .kinds
        .iter()
        .map(|kind| {
            let state = match kind.ready {
                true => "can run here",
                false => "cannot run here; see `cargo rig doctor`",
            };
            (kind.name.to_owned(), format!("{}; {state}", kind.about))
        })
        .collect();
    let mut out = columns(&kinds);
    if let Some(file) = &bench.file {
        out.push_str(&format!("\non this bench ({}):\n", file.display()));
        let rows: Vec<_> = boards.bench.iter().map(describe).collect();
        out.push_str(&columns(&rows));
    }
    for probe in &boards.attached {
        let why = match (probe.accessible, probe.usable) {
            (false, _) => "; you may not open it: install the udev rule in rig/FIRST_BOARD.md",
            (true, false) => "; it gives no serial number, so it cannot be told from others",
            (true, true) => "",
        };
        if probe.board.is_none() {
            let port = probe.port.as_deref().unwrap_or("no serial port");
            out.push_str(&format!(
                "\nplugged in: {} ({}), {port}{why}\n",
                probe.product, probe.probe
            ));
        }
    }
    match (boards.attached.is_empty(), boards.entries.is_empty()) {
        (true, _) => out.push_str("\nno debug probe is plugged in\n"),
        (false, true) => {}
        (false, false) => {
            out.push_str(&format!("\nfor {}:\n\n", crate::bench::FILE));
            out.push_str(&boards.entries.join("\n"));
        }
    }
    out
}

fn describe(board: &BenchRow) -> (String, String) {
    let state = if board.plugged_in { "plugged in" } else { "NOT PLUGGED IN" };
    let port = board.port.as_ref().map(|port| format!(", {port}")).unwrap_or_default();
    let tags = match board.tags.is_empty() {
        true => String::new(),
        false => format!(", tags {}", board.tags.join(" ")),
    };
    (
        board.name.clone(),
        format!("{} {}, {state}, probe {}{port}{tags}", board.kind, board.chip, board.probe),
    )
}
