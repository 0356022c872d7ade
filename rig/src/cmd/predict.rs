//! `rig predict`: what becomes of a cell, with nothing started but a user's own build, and that only
//! to hear its ClientHello.

use super::{broker, columns, own};
use crate::cli::{Format, PredictArgs};
use crate::exit::Exit;
use crate::firmware::Builder;
use crate::predictor::Predictor;
use crate::project::Project;
use crate::summary::{self, Paint};
use crate::terminal::Terminal;
use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write as _;
use suites::predict::{Elimination, Filter, Predicted, Step};
use suites::{CellId, ClientName, Library, Unknown, names};

/// The JSON document.
#[derive(Serialize, JsonSchema)]
pub(super) struct Answer {
    /// The cell.
    cell: CellId,
    /// What becomes of it.
    predicted: Predicted,
    /// With a build of the user's own: what it is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    own: Option<serde_json::Value>,
}

pub(super) fn run(args: &PredictArgs, format: Format, terminal: &mut Terminal) -> Result<Exit> {
    let project = Project::find()?;
    let library = Library::load(&project.suites())?;
    let builder = own::builder(&project, &args.own, terminal)?;
    let client = client(args, &builder)?;
    let builds = builder.builds()?;
    let known = builds.iter().map(|build| build.name.as_str());
    if !known.clone().any(|build| build == client.build.as_str()) {
        return Err(Unknown::new("build", client.build.as_str(), known, "rig list builds").into());
    }
    let profile = library.profile(&client.profile)?;
    let broker = &broker::named(&args.broker, &library)?;
    let hellos = own::hellos(&builder, &project, [(&client, profile)], terminal)?;
    let predictor = Predictor::new(&builds, &project)?.with_own(hellos);
    let predicted = predictor.predict(&client, profile, broker)?;
    let own = builder.own().iter().find(|own| own.name == client.build);
    let own = own.map(|own| serde_json::to_value(own.summary())).transpose()?;
    let answer = Answer { cell: CellId { client, broker: broker.name.clone() }, predicted, own };
    super::write(terminal, format, &answer, || describe(&answer, terminal.paint()))?;
    Ok(Exit::AsExpected)
}

/// The client that is asked for by name, or by its profile alone for the one build of the user's own.
fn client(args: &PredictArgs, builder: &Builder) -> Result<ClientName> {
    match (&args.client, &args.profile, builder.own()) {
        (None, Some(profile), [own]) => Ok(format!("{}+{profile}", own.name).parse()?),
        (None, Some(profile), many) => {
            let names: Vec<_> = many.iter().map(|own| format!("{}+{profile}", own.name)).collect();
            bail!(
                "--profile is enough for one build of your own, and there are {}: give --client, one of {}",
                many.len(),
                names.join(", ")
            )
        }
        (client, ..) => Ok(client.as_deref().unwrap_or_default().parse()?),
    }
}

/// The outcome, then suite by suite and message by message what leads to it.
fn describe(answer: &Answer, paint: Paint) -> String {
    let Answer { cell, predicted, .. } = answer;
    let Predicted { outcome, why, trace, steps } = predicted;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{} -> {}", cell.client, cell.broker);
    let result = summary::outcome(outcome);
    let _ = writeln!(out, "{}: {}", paint.bold(&outcome.result.to_string()), result.trim());
    paint.sentence(&mut out, 0, &format!("because {why}"));
    if !trace.is_empty() {
        let _ = writeln!(out, "\n{}", paint.bold("suites"));
        let (told, rest) = told(trace);
        for line in table(told.into_iter().map(suite)) {
            let _ = writeln!(out, "  {line}");
        }
        if rest > 0 {
            let _ = writeln!(
                out,
                "  and {rest} that the client offers and the broker does not serve (--format json names them)"
            );
        }
    }
    if !steps.is_empty() {
        let _ = writeln!(out, "\n{}", paint.bold("steps"));
        for line in table(steps.iter().map(step)) {
            let _ = writeln!(out, "  {line}");
        }
    }
    out
}

/// Suites that the broker does not serve say little, and a client may offer seventy of them: more
/// than these are only counted.
const NOT_SERVED_TOLD: usize = 6;

/// The lines for people, and how many are left out.
fn told(trace: &[Elimination]) -> (Vec<&Elimination>, usize) {
    let idle = |line: &&Elimination| line.out == Some(Filter::NotServed);
    let rest = trace.iter().filter(idle).count();
    match rest > NOT_SERVED_TOLD {
        true => (trace.iter().filter(|line| !idle(line)).collect(), rest),
        false => (trace.iter().collect(), 0),
    }
}

fn table(rows: impl Iterator<Item = [String; 3]>) -> Vec<String> {
    let rows: Vec<_> = rows.collect();
    let width = rows.iter().map(|[first, ..]| first.len()).max().unwrap_or(0);
    let rest: Vec<_> =
        rows.iter().map(|[_, middle, last]| (middle.clone(), last.clone())).collect();
    let rest = columns(&rest);
    rows.iter()
        .zip(rest.lines())
        .map(|([first, ..], rest)| format!("{first:width$}  {rest}"))
        .collect()
}

fn suite(line: &Elimination) -> [String; 3] {
    let Elimination { suite, out, why } = line;
    let name = names::cipher_suite(suite).ok().and_then(names::cipher_suite_name);
    let out = out.map_or("chosen", |filter| filter.name());
    let why = if out == "chosen" { why.trim_start_matches("chosen: ") } else { why };
    [format!("{suite} {}", name.unwrap_or("?")), out.to_owned(), why.to_owned()]
}

fn step(step: &Step) -> [String; 3] {
    let goes_on = if step.passes { "passes" } else { "ends" };
    [step.step.clone(), goes_on.to_owned(), step.why.clone()]
}
