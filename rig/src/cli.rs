//! The command line: what may be asked for.

use crate::bench::StartFrom;
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
        /// With `cells`: of these suites; all suites if none is named. With `upgrades`: the folder of
        /// a run; the newest run if none is named
        suites: Vec<String>,
        /// With `builds`: build the images that are not in the cache, so that their sizes are known
        #[arg(long)]
        build: bool,
        /// Builds of the user's own
        #[command(flatten)]
        own: OwnArgs,
    },
    /// State what becomes of a cell, and which suites fall out where; nothing is started
    #[command(after_help = PREDICT_EXAMPLES)]
    Predict(PredictArgs),
    /// Make the reports of a run again, or of the parts of one that was split among machines
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportArgs),
    /// Explain a device's log: mbedTLS debug output, or a single error line, as pasted in a forum
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Load or flash one build on a board of the bench, verify it, and let it say hello
    #[command(after_help = FLASH_EXAMPLES)]
    Flash(FlashArgs),
    /// Keep a copy of all of a board's flash; demanded before anything is written to it
    Backup(BackupArgs),
    /// Say which clients connect to all of these brokers, and the smallest change that gets one there
    #[command(after_help = ADVISE_EXAMPLES)]
    Advise(AdviseArgs),
    /// Ask a live server what TLS it speaks, and write that as a broker profile
    #[command(after_help = CAPTURE_EXAMPLES)]
    Capture(CaptureArgs),
    /// Say what this machine has and lacks for each kind of board, and what mends it
    Doctor {
        /// Look at this board of the bench, too, step by step and without changing anything on it
        #[arg(long, value_name = "NAME")]
        board: Option<String>,
    },
    /// Say what changed between two runs, or between the snapshots and a run
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),
    /// Say how runs went over time: what passes, what is flaky, what became slower
    #[command(after_help = HISTORY_EXAMPLES)]
    History(HistoryArgs),
}

const RUN_EXAMPLES: &str = "\
Examples:
  cargo rig run                              the forum thread's case on the best board there is
  cargo rig run --setup                      install what the emulated board needs, then run
  cargo rig run smoke --board native         one suite on one kind of board
  cargo rig run forum --filter +suiteb/      only the cells of one client profile
  cargo rig run forum --accept               take what was seen as the new expectation
  cargo rig run forum --format json          one JSON line for each finished cell
  cargo rig run forum --config my_config.h --stack-dir sdk/component/common/network/ssl/mbedtls-2.4.0
                                             the suite's profiles on firmware with your own header";

const PREDICT_EXAMPLES: &str = "\
Examples:
  cargo rig predict --client mbedtls-2.4.0/rsa-16384+suiteb --broker hivemq-cloud-2021
  cargo rig predict --format json --client mbedtls-2.4.0/all-16384+suiteb --broker ec-certificate
  cargo rig predict --config my_config.h --stack mbedtls-2.4.0 --profile suiteb --broker ec-certificate

It is made from the client's ClientHello, recorded once under suites/hellos, and from the profiles.
Of a header of your own the hello is made on the spot, by the library itself as a process of this
machine, and kept until the header changes.
Exit codes: 0 the outcome is stated, 2 it cannot be: a name is unknown or the hello is missing.";

/// Arguments of `rig predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Who connects: build and profile, as `cargo rig list clients` shows them
    #[arg(long, value_name = "CLIENT", required_unless_present = "profile")]
    pub client: Option<String>,
    /// With a header of your own: the client's profile, in place of --client
    #[arg(long, value_name = "PROFILE", conflicts_with = "client")]
    pub profile: Option<String>,
    /// To whom: a broker profile, as `cargo rig list brokers` shows them, or a file
    #[arg(long, value_name = "BROKER")]
    pub broker: String,
    /// Builds of the user's own
    #[command(flatten)]
    pub own: OwnArgs,
}

/// Which builds of the user's own there are; see rig/YOUR_OWN_TREE.md.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Your own build (rig/YOUR_OWN_TREE.md)")]
pub struct OwnArgs {
    /// Edited configuration header; the build is called after it, and takes the place of the
    /// suites' builds
    #[arg(long, value_name = "HEADER")]
    pub config: Option<PathBuf>,
    /// mbedTLS source tree that goes with it: holds include/mbedtls and library
    #[arg(long, value_name = "DIR", requires = "config")]
    pub stack_dir: Option<PathBuf>,
    /// In place of a tree: the sources of one of the rig's stacks, such as mbedtls-2.4.0
    #[arg(long, value_name = "STACK", requires = "config", conflicts_with = "stack_dir")]
    pub stack: Option<String>,
    /// TOML file that names several builds
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "stack_dir", "stack"])]
    pub builds: Option<PathBuf>,
}

const REPORT_EXAMPLES: &str = "\
Examples:
  cargo rig report target/rig/latest                    make report.html and its like again
  cargo rig report part-1 part-2 part-3 --out together  one run out of those of --shard 1/3 to 3/3

It needs no board and no network. Exit codes: 0 the reports are written, 2 the runs cannot be read or
do not belong together, 3 the reports cannot be written.";

/// Arguments of `rig report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Folder of a run; several are put together into the folder that `--out` names
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Folder for the run that several are put together to
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  cargo rig explain device.log                       why the connection in this log failed
  tail -c 1M device.log | cargo rig explain          the same of what comes through a pipe
  cargo rig explain device.log --config config_rsa.h --broker mosquitto-2.0-default

A log proves the more the higher its debug level: 1 shows errors alone, 4 every byte of the
handshake. What a log does not prove is not guessed: the cause is then insufficient_evidence.
Text may be UTF-8 or, as Windows' PowerShell writes it, UTF-16; at most 64 MB are read.
Exit codes: 0 the log was read, whatever it shows; 2 the log, the header or the broker profile
cannot be read.";

/// Arguments of `rig explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The log; standard input for - and if none is named
    pub file: Option<PathBuf>,
    /// The mbedTLS configuration header that the firmware was built with
    #[arg(long, value_name = "HEADER")]
    pub config: Option<PathBuf>,
    /// The broker that the client met, as `cargo rig list brokers` shows them, or a file
    #[arg(long, value_name = "PROFILE")]
    pub broker: Option<String>,
}

const FLASH_EXAMPLES: &str = "\
Examples:
  cargo rig flash desk-1 mbedtls-2.4.0/rsa-4096                load it into memory and start it
  cargo rig backup desk-1                                      needed once, before the first write
  cargo rig flash desk-1 mbedtls-2.4.0/rsa-4096 --into flash   write it to the flash";

/// Arguments of `rig flash`.
#[derive(Debug, Args)]
pub struct FlashArgs {
    /// Board of the bench
    pub board: String,
    /// Firmware build
    pub build: String,
    /// Where it goes [default: as the board's entry in bench.toml says]
    #[arg(long, value_enum)]
    pub into: Option<StartFrom>,
    /// Builds of the user's own
    #[command(flatten)]
    pub own: OwnArgs,
}

/// Arguments of `rig backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Board of the bench
    pub board: String,
    /// Folder for the copy [default: rig/backups in the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// Arguments of `rig run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Suites to run [default: forum]
    pub suites: Vec<String>,
    /// Board of the bench, kind of board, or tag:NAME; may be given more than once [default: the
    /// best that can run here]
    #[arg(long, value_name = "KIND_OR_NAME")]
    pub board: Vec<String>,
    /// Only cells whose id `<client>/<broker>` contains this text; of several words all must be in
    /// it, and those behind ! must not; given more than once, one is enough
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
    /// Builds of the user's own
    #[command(flatten)]
    pub own: OwnArgs,
}

/// What can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Kinds of board, the boards of the bench, and what is plugged in
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
    /// Who connects to whom with which version of the TLS library, at what cost: from the record of a
    /// run, as a rule of `cargo rig run upgrades --board qemu`
    Upgrades,
}

const CAPTURE_EXAMPLES: &str = "\
Examples:
  cargo rig capture broker.example.com                        the profile to standard output
  cargo rig capture broker.example.com:443 --out suites/brokers/ours.toml
  cargo rig capture 192.0.2.7 --server-name broker.example.com --rate 2
  cargo rig capture broker.example.com --format json          profile, text and what is unknown

Only servers that you may test: it makes some 20 to 150 connections, one at a time, and breaks
each off in the handshake; up to four handshakes are finished. It needs no credentials and sends
no MQTT. A server that drops connections or stops answering is asked again, more slowly, and given
--timeout to recover.

The file is a broker profile: versions, suites in the server's order, groups, the certificate's
shape, and manners, with what is the default left out (suites/src/broker.rs). A replay has keys of
the same kind, made for it. What cannot be found out or replayed stands in the file as a comment
that begins with `unknown:`. It is written when all is answered; a capture that fails writes
nothing, since a list without its end makes false predictions, and says which question is open.

`cargo rig advise FILE` and `cargo rig predict --broker FILE` take the file as it is. Below
suites/brokers it is a broker like any other: `cargo rig run full --filter /NAME` has all clients
meet it.

Exit codes: 0 the profile is made, 2 there is none: the reason is told, 3 a fault of the rig.";

/// Kind of a server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CertificateKind {
    /// With an RSA key
    Rsa,
    /// With a key for ECDSA or EdDSA
    Ecdsa,
}

/// Arguments of `rig capture`.
#[derive(Debug, Args)]
pub struct CaptureArgs {
    /// The server; port 8883 if none is given
    #[arg(value_name = "HOST:PORT")]
    pub host: String,
    /// File for the profile; it must not be there yet [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Name to ask for [default: HOST, unless it is an address]
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
    /// Of a server with two certificates, the kind to ask for [default: what it shows by itself]
    #[arg(long, value_name = "KIND")]
    pub certificate: Option<CertificateKind>,
    /// Connections, at most
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: u32,
    /// Connections a second, at most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// Seconds to wait for a connection, for an answer, and for a server that stopped answering
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
}

const ADVISE_EXAMPLES: &str = "\
Examples:
  cargo rig advise hivemq-cloud-2021                          who connects to it, cheapest first
  cargo rig advise hivemq-cloud-2021 ec-certificate           who connects to both
  cargo rig advise ours.toml --from mbedtls-2.4.0/rsa-16384+suiteb
  cargo rig advise emqx-5 --format json

Nothing is started: snapshots say who was seen to connect, prediction says it of the rest.
Figures are instructions and heap on the emulated Cortex-M3, and code of the ameba1's image if it
is in the cache: `cargo rig list builds --build` puts it there. The change is worked out from the
macros that the broker's suites need, and what comes of it is predicted.
Exit codes: 0 a client connects or a change helps, 1 neither, 2 a name is unknown.";

/// Arguments of `rig advise`.
#[derive(Debug, Args)]
pub struct AdviseArgs {
    /// Brokers: names as `cargo rig list brokers` shows them, or files
    #[arg(required = true, value_name = "BROKER")]
    pub brokers: Vec<String>,
    /// The client that there is, and that is to be changed if it does not connect
    #[arg(long, value_name = "CLIENT", default_value = "mbedtls-2.4.0/rsa-4096+default")]
    pub from: String,
    /// List all clients that connect, and not just the first ten
    #[arg(long)]
    pub all: bool,
}

const DIFF_EXAMPLES: &str = "\
Examples:
  cargo rig diff target/rig/latest                     the snapshots, then the newest run
  cargo rig diff main-run target/rig/latest            two runs, the older one first
  cargo rig diff main-run my-run --out target/rig/diff and diff.html, diff.md and diff.json of it

Exit codes: 1 something is worse: no longer connects, changed, slower, heavier or gone; 3 nothing is,
but the rig broke where there was a result before; 4 neither run has a cell; 0 nothing of that, though
cells may be new or better.";

/// Arguments of `rig diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Folders of two runs, the older one first; of one run alone to compare it with the snapshots
    #[arg(required = true, num_args = 1..=2, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Folder for diff.html, diff.md and diff.json
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

const HISTORY_EXAMPLES: &str = "\
Examples:
  cargo rig history                    of the runs under target/rig/runs
  cargo rig history nightly --out www  of those in a folder; history.html and history.json into another

A cell is flaky if the same image on the same kind of board came to different outcomes. Exit codes:
0 the history is written, 4 there is no run in the folder.";

/// Arguments of `rig history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Folder with the folders of runs in it [default: target/rig/runs]
    #[arg(value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// Folder for history.html and history.json [default: that of the runs]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
