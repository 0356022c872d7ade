//! The `rig` command: arguments in, one command, exit code out.

use clap::Parser;
use rig::cli::Cli;
use rig::cmd;
use rig::terminal::Terminal;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut terminal = Terminal::new();
    cmd::dispatch(&cli, &mut terminal).into()
}
