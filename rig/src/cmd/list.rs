//! `rig list`: what there is.

pub(super) mod boards;
pub(super) mod builds;

use super::{columns, own};
use crate::cli::{Format, OwnArgs, What};
use crate::exit::Exit;
use crate::firmware::Builder;
use crate::plan;
use crate::project::Project;
use crate::terminal::Terminal;
use anyhow::{Context, Result, bail};
use reports::record::{read_cells, read_run};
use reports::upgrade::Upgrades;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use suites::Library;
use suites::fingerprint::Fingerprint;
use suites::predict::recorded::Recorded;
use suites::suite::Suite;

/// One thing in a list.
#[derive(Serialize, JsonSchema)]
pub(super) struct Row {
    /// What commands and files call it.
    name: String,
    /// A sentence about it.
    about: String,
}

pub(super) fn run(
    what: What,
    suites: &[String],
    build: bool,
    own: &OwnArgs,
    format: Format,
    terminal: &mut Terminal,
) -> Result<Exit> {
    let project = Project::find()?;
    let builder = own::builder(&project, own, terminal)?;
    let library = || -> Result<Library> {
        let mut library = Library::load(&project.suites())?;
        own::take_over(&mut library, &builder);
        Ok(library)
    };
    let rows = match what {
        What::Boards => return boards::run(&project, format, terminal),
        What::Builds => {
            let rows = builds::rows(&builder, build, terminal)?;
            super::write(terminal, format, &rows, || builds::describe(&rows))?;
            return Ok(if rows.is_empty() { Exit::NothingSelected } else { Exit::AsExpected });
        }
        What::Clients => {
            let rows = clients(&project, &builder, &library()?)?;
            super::write(terminal, format, &rows, || describe_clients(&rows))?;
            return Ok(if rows.is_empty() { Exit::NothingSelected } else { Exit::AsExpected });
        }
        What::Brokers => {
            let library = library()?;
            of(library.brokers.values().map(|broker| (&broker.name, &broker.summary)))
        }
        What::Suites => suites_of(&library()?),
        What::Upgrades => return upgrades(&project, suites, format, terminal),
        What::Cells => cells(&builder, &library()?, suites)?,
    };
    let empty = rows.is_empty();
    super::write(terminal, format, &rows, || {
        let rows: Vec<_> = rows.iter().map(|row| (row.name.clone(), row.about.clone())).collect();
        columns(&rows)
    })?;
    Ok(if empty { Exit::NothingSelected } else { Exit::AsExpected })
}

/// The tables of one run.
fn upgrades(
    project: &Project,
    folders: &[String],
    format: Format,
    terminal: &mut Terminal,
) -> Result<Exit> {
    let folder = match folders {
        [] => project.cache().join("latest"),
        [folder] => PathBuf::from(folder),
        _ => bail!("one table is of one run: name one folder"),
    };
    let run = read_run(&folder).with_context(
        || "no run to show: `cargo rig run upgrades --board qemu` makes the one that this is for",
    )?;
    let upgrades = Upgrades::of(&run, &read_cells(&folder)?);
    super::write(terminal, format, &upgrades, || upgrades.text())?;
    Ok(Exit::AsExpected)
}

fn row(name: &str, about: &str) -> Row {
    Row { name: name.to_owned(), about: about.to_owned() }
}

fn of<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<Row> {
    pairs.map(|(name, about)| row(name, about)).collect()
}

fn suites_of(library: &Library) -> Vec<Row> {
    let about = |suite: &Suite| format!("{} ({} cells)", suite.summary, suite.cells.len());
    library.suites.values().map(|suite| row(&suite.name, &about(suite))).collect()
}

/// A client and its fingerprints.
#[derive(Serialize, JsonSchema)]
pub(super) struct ClientRow {
    #[serde(flatten)]
    row: Row,
    /// Of the hello under `suites/hellos`; missing if none is recorded yet.
    #[serde(flatten)]
    fingerprint: Option<Fingerprint>,
}

/// Each client on a line, and its fingerprints below it.
fn describe_clients(rows: &[ClientRow]) -> String {
    let names: Vec<_> =
        rows.iter().map(|client| (client.row.name.clone(), client.row.about.clone())).collect();
    let lines = columns(&names);
    let prints = rows.iter().map(|client| match &client.fingerprint {
        Some(Fingerprint { ja3, ja4 }) => format!("  ja4 {ja4}  ja3 {ja3}\n"),
        None => String::new(),
    });
    lines.lines().zip(prints).map(|(line, print)| format!("{line}\n{print}")).collect()
}

/// Every client that some suite uses.
fn clients(project: &Project, builder: &Builder, library: &Library) -> Result<Vec<ClientRow>> {
    let used: BTreeSet<_> = library
        .suites
        .values()
        .flat_map(|suite| suite.cells.iter().map(|cell| cell.client.clone()))
        .collect();
    let known = builder.builds()?;
    used.into_iter()
        .map(|client| {
            let profile = library.profile(&client.profile)?;
            let missing = !known.iter().any(|build| build.name == client.build);
            let note = if missing { " (no such build)" } else { "" };
            let recorded = Recorded::load(&Recorded::path(&project.suites(), &client))?;
            Ok(ClientRow {
                row: row(&client.to_string(), &format!("{}{note}", profile.summary)),
                fingerprint: recorded.map(|recorded| Fingerprint::of(recorded.hello())),
            })
        })
        .collect()
}

fn cells(builder: &Builder, library: &Library, suites: &[String]) -> Result<Vec<Row>> {
    let all: Vec<_> = library.suites.keys().cloned().collect();
    let suites = if suites.is_empty() { &all } else { suites };
    let jobs = plan::expand(library, &builder.builds()?, suites, &[], None)?;
    Ok(jobs.iter().map(|job| row(&job.cell.to_string(), &format!("suite {}", job.suite))).collect())
}
