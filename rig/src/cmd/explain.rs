//! `rig explain`: somebody's log into one sentence, evidence and a fix.

mod log;

use super::broker;
use crate::cli::{ExplainArgs, Format};
use crate::exit::Exit;
use crate::project::Project;
use crate::summary::Paint;
use crate::terminal::Terminal;
use anyhow::{Context, Result, bail};
use reports::Cause;
use reports::explain::{Beside, ErrorTold, Explanation, Named, Offer, explain};
use reports::transcript::printable;
use std::fmt::Write as _;
use std::path::Path;
use suites::Library;

pub(super) fn run(args: &ExplainArgs, format: Format, terminal: &mut Terminal) -> Result<Exit> {
    let log = log::read(args.file.as_deref(), terminal)?;
    let config = args.config.as_deref().map(header).transpose()?;
    let library = match &args.broker {
        Some(_) => Some(Library::load(&Project::find()?.suites())?),
        None => None,
    };
    let broker = match (&library, &args.broker) {
        (Some(library), Some(broker)) => Some(broker::named(broker, library)?),
        _ => None,
    };
    let config = config.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
    let explanation = explain(&log, &Beside { config, broker: broker.as_ref() });
    super::write(terminal, format, &explanation, || describe(&explanation, terminal.paint()))?;
    Ok(Exit::AsExpected)
}

/// File name and text of a configuration header.
fn header(file: &Path) -> Result<(String, String)> {
    let text = std::fs::read(file)
        .with_context(|| format!("cannot read the configuration header {}", file.display()))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    if !text.contains("MBEDTLS_") {
        bail!(
            "{} defines nothing that begins with MBEDTLS_: is it mbedTLS's configuration header?",
            file.display()
        );
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok((printable(name.as_bytes()), text))
}

/// The sentence first, then what it rests on, then what to do.
fn describe(explanation: &Explanation, paint: Paint) -> String {
    let Explanation {
        library,
        debug_level,
        connections,
        state,
        errors,
        offer,
        diagnosis,
        next,
        ..
    } = explanation;
    let mut out = String::new();
    let sentence = format!("{}: {}", paint.bold(diagnosis.cause.key()), diagnosis.summary);
    paint.sentence(&mut out, 0, &sentence);
    let mut list = |title: &str, lines: &[String]| {
        if !lines.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "\n{}", paint.bold(title));
            for line in lines {
                paint.sentence(&mut out, 2, line);
            }
        }
    };
    list("evidence", &diagnosis.evidence);
    list("fix", &diagnosis.fix);
    let candidates: Vec<_> = diagnosis.candidates.iter().map(ToString::to_string).collect();
    let title = match diagnosis.cause {
        Cause::InsufficientEvidence => "may be, the likeliest first",
        _ => "also possible",
    };
    list(title, &candidates);
    let next: Vec<_> = next.iter().map(|next| next.text.clone()).collect();
    list("add to the next log", &next);
    let in_line = |error: &ErrorTold| format!("log line {}: {}", error.line, error.text);
    let errors: Vec<_> = errors.iter().map(in_line).collect();
    list("errors in the log", &errors);
    let mut read = Vec::new();
    read.extend(library.as_ref().map(|library| library.text.clone()));
    read.extend(debug_level.map(|level| format!("debug level {level}")));
    if *connections > 1 {
        read.push(format!(
            "{connections} connections, of which the last one that ended is explained"
        ));
    }
    read.extend(state.as_ref().map(|state| format!("last state: {state}")));
    read.extend(offer.as_ref().map(offered));
    list("read from the log", &read);
    out
}

fn offered(offer: &Offer) -> String {
    /// Longer lists are for JSON.
    const SHOWN: usize = 6;
    let Offer { version, suites, server_name, .. } = offer;
    let mut text = format!("ClientHello: at most {version}, ");
    match suites.len() {
        0 => text.push_str("no cipher suite"),
        count => {
            let named = |suite: &Named| match &suite.name {
                Some(name) => format!("{name} ({})", suite.code),
                None => suite.code.clone(),
            };
            let shown: Vec<_> = suites.iter().take(SHOWN).map(named).collect();
            let _ = write!(text, "{count} cipher suites: {}", shown.join(", "));
            if count > SHOWN {
                text.push_str(", ...");
            }
        }
    }
    match server_name {
        Some(name) => {
            let _ = write!(text, "; server name {name}");
        }
        None => text.push_str("; no server name"),
    }
    text
}
