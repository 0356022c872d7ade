//! `rig capture`: a live server's TLS as a broker profile.

use super::fault;
use crate::capture::{File, Host, Wanted, capture, may_name_a_host};
use crate::cli::{CaptureArgs, CertificateKind, Format};
use crate::exit::Exit;
use crate::project::Project;
use crate::terminal::Terminal;
use anyhow::{Context, Result, bail};
use brokers::capture::{Bounds, CaptureError, Signer};
use std::fs::Permissions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

pub(super) fn run(args: &CaptureArgs, format: Format, terminal: &mut Terminal) -> Result<Exit> {
    let host: Host = args.host.parse()?;
    if let Some(name) = args.server_name.as_deref().filter(|name| !may_name_a_host(name)) {
        bail!("--server-name {name:?}: a name has letters, digits, hyphens and dots, 253 at most");
    }
    let server_name = args.server_name.clone().or_else(|| host.server_name());
    let name = match &args.out {
        // Known before anybody is asked.
        Some(path) if path.exists() => bail!("{}", taken(path)),
        Some(path) => {
            let folder = folder(path);
            if !folder.is_dir() {
                bail!("--out {}: there is no folder {}", path.display(), folder.display());
            }
            stem(path)?
        }
        None => host.file_stem(),
    };
    let addresses = host.addresses()?;
    let bounds = Bounds {
        connections: args.connections,
        per_second: Some(args.rate),
        wait: Duration::from_secs(args.timeout),
    };
    let signer = args.certificate.map(|kind| match kind {
        CertificateKind::Rsa => Signer::Rsa,
        CertificateKind::Ecdsa => Signer::Ecdsa,
    });
    terminal.say(&plan(&host, args, server_name.as_deref()));
    let wanted = Wanted { server_name, signer, name };
    leave_when_interrupted()?;
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let say = &mut |step: &str| terminal.working(&format!("{host}: {step}"));
    let found = capture(&host, &addresses, wanted, &today, bounds, say);
    terminal.done();
    let file = match found {
        Ok(file) => file,
        Err(error @ CaptureError::Front(_)) => return Err(fault(error)),
        Err(error) => {
            let help = help(&error, args, &addresses);
            return Err(anyhow::Error::from(error).context(help));
        }
    };
    terminal.say(&made(&host, &file));
    match &args.out {
        Some(path) => {
            write(path, &file)?;
            terminal.say(&format!("{} written\n{}", path.display(), next(path)));
        }
        None => terminal.say(
            "with --out suites/brokers/NAME.toml it is a broker of every command, called NAME",
        ),
    }
    let shown = || if args.out.is_some() { String::new() } else { file.toml.clone() };
    super::write(terminal, format, &file, shown)?;
    Ok(Exit::AsExpected)
}

/// Between two questions there is nothing to tidy up, and the file is written last and at once.
fn leave_when_interrupted() -> Result<()> {
    let leave = || {
        // A closed standard error must not keep the process.
        let _ = writeln!(std::io::stderr(), "interrupted: nothing is written");
        std::process::exit(Exit::Interrupted.code().into());
    };
    ctrlc::set_handler(leave).context("cannot listen for Ctrl-C")
}

/// How many connections most servers take, from the smallest to those with all there is.
const USUAL: (u32, u32) = (20, 150);

/// What is going to be done to the server.
fn plan(host: &Host, args: &CaptureArgs, server_name: Option<&str>) -> String {
    let named =
        server_name.map_or("naming no server".to_owned(), |name| format!("asking for {name}"));
    let (few, many) = USUAL;
    let time = match (few.div_ceil(args.rate), many.div_ceil(args.rate)) {
        (_, 1) => "about a second".to_owned(),
        (short, long) => format!("{short} to {long} s"),
    };
    format!(
        "{host}: ClientHellos, {named}, and up to four whole handshakes: no credentials, no MQTT\n\
         {host}: as a rule {few} to {many} connections, {} at most, one at a time and no more than {} a \
         second, so {time} if it answers at once; nothing is written before the end",
        args.connections, args.rate,
    )
}

/// What was done, and how much of it is not in the profile.
fn made(host: &Host, file: &File) -> String {
    let mut text = format!("{host}: {} connections were made", file.connections);
    if file.repeated > 0 {
        text += &format!(
            "; {} questions were answered only when asked again: it limits how often it is asked, or \
             drops connections",
            file.repeated
        );
    }
    match file.unknown.len() {
        0 => {}
        1 => {
            text += "; one thing is not as the server has it, and stands in the file as `unknown:`"
        }
        count => {
            text += &format!(
                "; {count} things are not as the server has them, and stand in the file as `unknown:`"
            );
        }
    }
    text
}

/// The commands that take the file.
fn next(path: &Path) -> String {
    let shown = path.display();
    let at_home = Project::find().is_ok_and(|project| {
        let home = project.suites().join("brokers").canonicalize();
        matches!((home, folder(path).canonicalize()), (Ok(home), Ok(own)) if home == own)
    });
    let run = match (at_home, path.file_stem().and_then(|stem| stem.to_str())) {
        (true, Some(name)) => {
            format!("all clients meet it with `cargo rig run full --filter /{name}`")
        }
        _ => "to run cells against it, put it below suites/brokers".to_owned(),
    };
    format!(
        "who connects: `cargo rig advise {shown}`\n\
         one client, and why: `cargo rig predict --client mbedtls-2.4.0/rsa-16384+default --broker {shown}`\n\
         {run}"
    )
}

/// What to try.
fn help(error: &CaptureError, args: &CaptureArgs, addresses: &[SocketAddr]) -> String {
    let host = &args.host;
    let other = match &args.server_name {
        _ if args.certificate.is_some() => {
            "it may have no certificate of the kind that --certificate names"
        }
        None => "if it serves several names, --server-name gives it one",
        Some(_) => "the name that --server-name gives may be none of its own",
    };
    match error {
        CaptureError::Connect { .. } if addresses.len() > 1 => {
            let all: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            format!(
                "nobody takes connections at {host}, which is {}: is the broker running, and is this its port?",
                all.join(" and ")
            )
        }
        CaptureError::Connect { .. } => {
            format!(
                "nobody takes connections at {host}: is the broker running, and is this its port?"
            )
        }
        CaptureError::Connections { .. } => {
            "the server has more to say than the connections allow: raise --connections".to_owned()
        }
        CaptureError::Stopped { .. } => format!(
            "{host} limits how often it is asked, or went away; nothing is written: try again later, with --rate 1"
        ),
        CaptureError::Silent { .. } => format!(
            "{host} does not answer within {} s: is its port for TLS another (8883 as a rule; 1883 is MQTT in the clear), \
             or is it slow? --timeout gives it more",
            args.timeout
        ),
        CaptureError::NotTls { first, .. } => not_tls(host, first, other),
        CaptureError::Refused { .. } => {
            format!(
                "{host} refuses whatever it is offered: {other}; a server that wants a pre-shared key in \
                 TLS1.3 refuses all who have none"
            )
        }
        CaptureError::Strange { .. } | CaptureError::Nothing { .. } | CaptureError::Front(_) => {
            format!("there is no profile of {host}")
        }
    }
}

/// Who answers a ClientHello like this.
fn not_tls(host: &str, first: &[u8], other: &str) -> String {
    let says = |words: &[&[u8]]| words.iter().any(|word| first.starts_with(word));
    if says(&[b"HTTP/"]) {
        format!("{host} speaks HTTP in the clear: HTTPS is on port 443 as a rule")
    } else if says(&[b"SSH-"]) {
        format!("{host} speaks SSH: a broker's port for TLS is 8883 as a rule")
    } else if says(&[b"220", b"+OK", b"* OK"]) {
        format!(
            "{host} speaks first, as mail servers do: STARTTLS is not spoken here, only TLS from the first byte"
        )
    } else if first.is_empty() {
        format!(
            "{host} ends the connection at a ClientHello: a broker's port for TLS is 8883 as a rule, 1883 is \
             MQTT in the clear; or it does not let this machine in; {other}"
        )
    } else {
        format!(
            "{host} does not speak TLS: a broker's port for TLS is 8883 as a rule, 1883 is MQTT in the clear"
        )
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
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

/// A file that is there is somebody's: it is not written over. It is there as a whole or not at all.
fn write(path: &Path, file: &File) -> Result<()> {
    let mut whole = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder(path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    whole.write_all(file.toml.as_bytes())?;
    whole.persist_noclobber(path).map_err(|error| error.error).with_context(|| taken(path))?;
    Ok(())
}

fn taken(path: &Path) -> String {
    format!("cannot write {}: give --out a name that is not taken yet", path.display())
}
