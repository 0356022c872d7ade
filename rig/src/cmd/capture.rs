//! `rig capture`: a live server's TLS as a broker profile.

use super::fault;
use crate::capture::{File, Host, capture};
use crate::cli::{CaptureArgs, Format};
use crate::exit::Exit;
use crate::terminal::Terminal;
use anyhow::{Context, Result, bail};
use brokers::capture::{Bounds, CaptureError};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

pub(super) fn run(args: &CaptureArgs, format: Format, terminal: &mut Terminal) -> Result<Exit> {
    let host: Host = args.host.parse()?;
    let server_name = args.server_name.clone().or_else(|| host.server_name());
    let name = match &args.out {
        // Known before anybody is asked.
        Some(path) if path.exists() => bail!("{}", taken(path)),
        Some(path) => stem(path)?,
        None => host.file_stem(),
    };
    let addresses = host.addresses()?;
    let bounds = Bounds {
        connections: args.connections,
        per_second: Some(args.rate),
        wait: Duration::from_secs(args.timeout),
    };
    let named = server_name
        .as_deref()
        .map_or("naming no server".to_owned(), |name| format!("asking for {name}"));
    terminal.say(&format!(
        "{host}: at most {} connections, one at a time, no more than {} a second, {named}; \
         handshakes alone: no credentials, no MQTT",
        args.connections, args.rate
    ));
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let say = &mut |step: &str| terminal.working(&format!("{host}: {step}"));
    let found = capture(&host, &addresses, server_name, name, &today, bounds, say);
    terminal.done();
    let file = match found {
        Ok(file) => file,
        Err(error @ CaptureError::Front(_)) => return Err(fault(error)),
        Err(error) => {
            let help = help(&error, args);
            return Err(anyhow::Error::from(error).context(help));
        }
    };
    terminal.say(&format!("{host}: {} connections were made", file.connections));
    if let Some(path) = &args.out {
        write(path, &file)?;
        terminal.say(&format!(
            "{} written; below suites/brokers it is a broker of every command, and `cargo rig advise {}` \
             says who connects",
            path.display(),
            path.display()
        ));
    }
    let shown = || if args.out.is_some() { String::new() } else { file.toml.clone() };
    super::write(terminal, format, &file, shown)?;
    Ok(Exit::AsExpected)
}

/// What to try.
fn help(error: &CaptureError, args: &CaptureArgs) -> String {
    let host = &args.host;
    match error {
        CaptureError::Connect { .. } => {
            format!(
                "nobody takes connections at {host}: is the broker running, and is this its port?"
            )
        }
        CaptureError::Connections { .. } => {
            "the server has more to say than the connections allow: raise --connections".to_owned()
        }
        CaptureError::NotTls { .. } => format!(
            "{host} does not speak TLS: a broker's port for TLS is 8883 as a rule, 1883 is MQTT in the clear"
        ),
        CaptureError::Refused { .. } if args.server_name.is_none() => format!(
            "{host} refuses whatever it is offered: if it serves several names, give it one with --server-name"
        ),
        CaptureError::Refused { .. } => format!("{host} refuses whatever it is offered"),
        CaptureError::Strange { .. } | CaptureError::Nothing { .. } | CaptureError::Front(_) => {
            format!("there is no profile of {host}")
        }
    }
}

fn stem(path: &Path) -> Result<String> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    match (stem, path.extension().is_some_and(|ending| ending == "toml")) {
        (Some(stem), true) => Ok(stem.to_owned()),
        _ => bail!(
            "--out {}: a broker's file ends in .toml, and its name is the broker's",
            path.display()
        ),
    }
}

/// A file that is there is somebody's: it is not written over.
fn write(path: &Path, file: &File) -> Result<()> {
    let written =
        std::fs::File::create_new(path).and_then(|mut out| out.write_all(file.toml.as_bytes()));
    written.with_context(|| taken(path))
}

fn taken(path: &Path) -> String {
    format!("cannot write {}: give --out a name that is not taken yet", path.display())
}
