//! The command line: what may be asked for.

use crate::board::Kind;
use crate::plan::Shard;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Which devices reach which MQTT broker, and why not.
///
/// Runs real TLS client firmware on attached or emulated boards against local brokers with
/// controlled TLS versions and cipher suites, and explains each handshake's outcome.
#[derive(Debug, Parser)]
#[command(name = "rig", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// How data is written to standard output
    #[arg(long, value_enum, global = true, default_value_t)]
    pub format: Format,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 all as expected, 1 some cell not, 2 usage or configuration, 3 fault of the rig,
4 nothing selected, 130 interrupted.

Data goes to standard output, talk to standard error.";

/// How data is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Human,
    /// For programs: one JSON document, or one JSON line for each cell
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run suites of cells and compare each with its snapshot
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// List what there is
    List {
        /// Of which kind
        #[arg(value_enum)]
        what: What,
        /// With `cells`: of these suites; all suites if none is named
        suites: Vec<String>,
        /// With `builds`: build the images that are not in the cache, so that their sizes are known
        #[arg(long)]
        build: bool,
    },
    /// Say what this machine has and lacks for each kind of board, and what mends it
    Doctor,
}

const RUN_EXAMPLES: &str = "\
Examples:
  cargo rig run                              the forum thread's case on the best board there is
  cargo rig run --setup                      install what the emulated board needs, then run
  cargo rig run smoke --board native         one suite on one kind of board
  cargo rig run forum --filter +suiteb/      only the cells of one client profile
  cargo rig run forum --accept               take what was seen as the new expectation
  cargo rig run forum --format json          one JSON line for each finished cell";

/// Arguments of `rig run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Suites to run [default: forum]
    pub suites: Vec<String>,
    /// Kind of board: qemu or native [default: the best that can run here]
    #[arg(long, value_name = "KIND")]
    pub board: Option<String>,
    /// Only cells whose id `<client>/<broker>` contains this text; may be given more than once
    #[arg(long, value_name = "TEXT")]
    pub filter: Vec<String>,
    /// Cells that run side by side [default: the number of processor cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Folder for the run's record [default: a new one under target/rig/runs]
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub out: Option<PathBuf>,
    /// Go on with the run in this folder: cells that it has finished are not run again
    #[arg(long, value_name = "DIR")]
    pub resume: Option<PathBuf>,
    /// Run only this part of the cells, such as 1/4
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
    /// Write what was seen into the snapshots
    #[arg(long)]
    pub accept: bool,
    /// First install what the emulated board needs, printing each command
    #[arg(long)]
    pub setup: bool,
}

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Kinds of board, and whether they can run here
    Boards,
    /// Firmware builds, and what their images take of an ameba1's memory
    Builds,
    /// Clients: builds with profiles
    Clients,
    /// Broker profiles
    Brokers,
    /// Suites
    Suites,
    /// The cells of suites
    Cells,
}

/// The kind of this name.
///
/// # Errors
/// [`suites::Unknown`] with the nearest real name.
pub fn kind(name: &str) -> Result<Kind, suites::Unknown> {
    let known = Kind::ALL.map(Kind::name);
    let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| suites::Unknown::new("board", name, known, "rig list boards"))
}
