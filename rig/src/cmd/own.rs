//! A user's own builds on the command line: which, what is undone in them, and in which cells.

use super::fault;
use crate::cli::OwnArgs;
use crate::firmware::own::{Own, Sources, Wanted};
use crate::firmware::{BuildError, Builder, Target};
use crate::own_hellos::{OwnHellos, OwnHellosError};
use crate::plan::Job;
use crate::project::Project;
use crate::terminal::Terminal;
use anyhow::{Result, bail};
use reports::record::{OwnBuild, Run};
use std::collections::HashSet;
use suites::{CellId, ClientName, ClientProfile, Library};

/// The project's builder with the user's own builds taken in; says what they are made of.
pub(super) fn builder(project: &Project, args: &OwnArgs, terminal: &Terminal) -> Result<Builder> {
    let wanted = wanted(args)?;
    let builder = Builder::new(project.root(), &project.cache()).with_own(&wanted)?;
    for own in builder.own() {
        terminal.say(own.describe().trim_end());
    }
    Ok(builder)
}

fn wanted(args: &OwnArgs) -> Result<Vec<Wanted>> {
    let OwnArgs { stack_dir, stack, config, builds } = args;
    if let Some(file) = builds {
        return Ok(Wanted::read(file)?);
    }
    let Some(header) = config else { return Ok(Vec::new()) };
    let sources = match (stack_dir, stack) {
        (Some(tree), _) => Sources::Folder(tree.clone()),
        (None, Some(stack)) => Sources::Stack(stack.clone()),
        (None, None) => bail!(
            "--config needs C sources to go with the header: add `--stack-dir DIR` for a tree of your own, or `--stack mbedtls-2.4.0` for what the rig has"
        ),
    };
    Ok(vec![Wanted::named_after(header, sources)])
}

/// Puts the user's own builds in the place of the suites' builds: each profile of a suite meets the
/// same brokers, once for each of the user's builds. Without any, suites stay as they are.
pub(super) fn take_over(library: &mut Library, builder: &Builder) {
    if builder.own().is_empty() {
        return;
    }
    for suite in library.suites.values_mut() {
        let mut seen = HashSet::new();
        let cells = builder.own().iter().flat_map(|own| {
            suite.cells.iter().map(|cell| {
                let profile = cell.client.profile.clone();
                let client = ClientName { build: own.name.clone(), profile };
                CellId { client, broker: cell.broker.clone() }
            })
        });
        suite.cells = cells.filter(|cell| seen.insert(cell.clone())).collect();
    }
}

/// The hellos of these clients, those of a user's own builds made on the spot.
pub(super) fn hellos<'a>(
    builder: &Builder,
    project: &Project,
    clients: impl IntoIterator<Item = (&'a ClientName, &'a ClientProfile)>,
    terminal: &mut Terminal,
) -> Result<OwnHellos> {
    if builder.own().is_empty() {
        return Ok(OwnHellos::default());
    }
    let progress = &mut |progress: crate::firmware::Progress| {
        terminal.working(&progress.to_string());
    };
    let made = OwnHellos::make(builder, &project.cache().join("pki"), clients, progress);
    terminal.done();
    made.map_err(|error| match error {
        OwnHellosError::Build(error) => build_fault(error),
        other => fault(other),
    })
}

/// The clients of a run.
pub(super) fn clients(jobs: &[Job]) -> impl Iterator<Item = (&ClientName, &ClientProfile)> {
    jobs.iter().map(|job| (&job.cell.client, &job.profile))
}

/// Marks a failed build as a fault of the rig, unless it is the user's own source that is wrong.
pub(super) fn build_fault(error: BuildError) -> anyhow::Error {
    if error.is_the_users() { error.into() } else { fault(error) }
}

/// What the images of a run's own builds are made of, built or not.
pub(super) fn record(builder: &Builder, target: Target) -> Result<Vec<OwnBuild>> {
    let record = |own: &Own| {
        Ok(OwnBuild {
            name: own.name.clone(),
            image: builder.id(&own.name, target).map_err(build_fault)?,
            version: own.version.to_string(),
            tree: own.tree.display().to_string(),
            header: own.header.display().to_string(),
            overrides: own.overrides.iter().map(ToString::to_string).collect(),
        })
    };
    builder.own().iter().map(record).collect()
}

/// Refuses to mix cells of two headers in one record.
pub(super) fn check_resumed(before: &Run, now: &Run) -> Result<()> {
    let names = |run: &Run| {
        let names: Vec<_> = run.own_builds.iter().map(|own| own.name.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let (then, given) = (names(before), names(now));
    if then != given {
        bail!(
            "the run was begun with other builds of your own (then {then}, now {given}): give the same --config or --builds, or start a new run"
        );
    }
    let mut pairs = before.own_builds.iter().zip(&now.own_builds);
    if let Some((before, now)) = pairs.find(|(before, now)| before.image != now.image) {
        bail!(
            "{} is no longer what the run was begun with: its tree, its header or the firmware has changed since (image {}, now {}); start a new run",
            now.name,
            before.image,
            now.image
        );
    }
    Ok(())
}
