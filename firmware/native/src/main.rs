//! The DUT as a host process: `native <terminal>` serves the rig on a pseudo-terminal.
//!
//! ```text
//! rig --master--> pseudo-terminal --slave--> Terminal (Board) --> dut::serve
//! ```
//!
//! It ends when the rig closes its side.

mod terminal;

use std::io::Write as _;
use std::process::ExitCode;
use terminal::Terminal;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        return fail(&"usage: native <terminal>, the path of a pseudo-terminal's slave side");
    };
    match Terminal::open(path.as_ref()) {
        Ok(mut terminal) => {
            dut::serve(&mut terminal);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn fail(why: &dyn std::fmt::Display) -> ExitCode {
    // Nothing is left to do if standard error is closed, too.
    let _ = writeln!(std::io::stderr(), "native: {why}");
    ExitCode::from(2)
}
