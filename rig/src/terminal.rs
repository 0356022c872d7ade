//! What a person sees while the rig works: the only place that writes to the terminal.
//!
//! Talk goes to standard error: a progress bar where that is a terminal, else one line for each
//! cell. Data goes to standard output through [`Terminal::data`].

use crate::probe::Progress;
use crate::run::RunEvent;
use crate::summary::{self, Paint};
use crate::verdict::Cell;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reports::record::Verdict;
use reports::transcript::printable;
use reports::words;
use std::io::{self, Write};
use std::time::Duration;
use suites::CellId;

/// Standard output and standard error.
pub struct Terminal {
    bar: ProgressBar,
    interactive: bool,
    running: Vec<CellId>,
    /// Cells of the run, and how many of them are finished and not as expected.
    count: usize,
    finished: usize,
    unexpected: usize,
}

/// After so many cells of a survey a log says how far it is.
const WORD_EVERY: usize = 1000;

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Terminal {
    /// The terminal as it is.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            interactive: console::Term::stderr().features().is_attended(),
            running: Vec::new(),
            count: 0,
            finished: 0,
            unexpected: 0,
        }
    }

    /// Says something to the person. Whatever it quotes cannot steer the terminal.
    pub fn say(&self, text: &str) {
        let lines: Vec<_> = text.lines().map(|line| printable(line.as_bytes())).collect();
        let text = lines.join("\n");
        // Suspended, so that the bar does not end up in the middle of the line. A closed standard
        // error must not end a run.
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "{text}");
        });
    }

    /// Writes data to standard output.
    ///
    /// # Errors
    /// What the system says, for example that the reader is gone.
    pub fn data(&self, text: &str) -> io::Result<()> {
        self.bar.suspend(|| {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()
        })
    }

    /// How text for standard output is marked up.
    #[must_use]
    pub fn paint(&self) -> Paint {
        let size = console::Term::stdout().size_checked();
        Paint {
            colours: console::colors_enabled(),
            width: size.map(|(_, columns)| usize::from(columns)),
        }
    }

    /// Shows that something is being done that takes a while.
    pub fn working(&mut self, text: &str) {
        if self.interactive {
            self.bar.finish_and_clear();
            self.bar = ProgressBar::new_spinner();
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                self.bar.set_style(style);
            }
            self.bar.set_message(text.to_owned());
            self.bar.enable_steady_tick(Duration::from_millis(120));
        } else {
            self.say(text);
        }
    }

    /// Ends what [`Terminal::working`] began.
    pub fn done(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
    }

    /// Shows how far a debugger is: a bar on a terminal, else a line for each step.
    pub fn step(&mut self, board: &str, progress: Progress) {
        let Progress { stage, done, total } = progress;
        let what = format!("board {board}: {stage}");
        if self.bar.message() != what {
            self.done();
            if !self.interactive {
                self.say(&what);
            }
            self.bar = ProgressBar::new(total);
            if self.interactive {
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
            } else {
                self.bar.set_draw_target(ProgressDrawTarget::hidden());
            }
            let template = "[{bar:24}] {bytes}/{total_bytes}, {eta} left  {wide_msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style.progress_chars("=> "));
            }
            self.bar.set_message(what);
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    /// Begins to show the progress of this many cells.
    pub fn begin_cells(&mut self, count: usize) {
        self.done();
        self.count = count;
        if self.interactive {
            self.bar = ProgressBar::new(count as u64);
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            let template = "[{bar:24}] {pos}/{len} cells, {elapsed}, {eta} left  {wide_msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style.progress_chars("=> "));
            }
        }
    }

    /// Shows an event; the cell's verdict is set.
    pub fn show(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Started(cell) => self.running.push(cell.clone()),
            RunEvent::Finished(cell) => self.finished(cell),
            RunEvent::OutOfService { board, cell, why } => {
                self.running.retain(|running| running != cell);
                self.say(&format!(
                    "board {board} is out of service: {why}; other boards take its cells, if there are any"
                ));
            }
        }
        let running: Vec<_> = self.running.iter().map(ToString::to_string).collect();
        let bad = match self.unexpected {
            0 => String::new(),
            count => format!("{count} not as expected; "),
        };
        self.bar.set_message(format!("{bad}{}", running.join("  ")));
    }

    fn finished(&mut self, cell: &Cell) {
        self.running.retain(|running| *running != cell.record.cell);
        self.bar.inc(1);
        let unexpected = cell.record.is_news() || cell.record.verdict == Verdict::Fault;
        self.unexpected += usize::from(unexpected);
        self.finished += 1;
        // On a terminal the bar is enough for cells in order; in a log every line counts, but for a
        // survey's: there a word now and then says that it goes on.
        let plain = cell.survey && cell.record.verdict.is_expected();
        if plain && !self.interactive && self.finished.is_multiple_of(WORD_EVERY) {
            self.say(&format!("{} of {} cells done", self.finished, self.count));
        }
        if unexpected || !(self.interactive || plain) {
            let record = &cell.record;
            let note = record.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
            let known = if record.known.is_some() { ", known" } else { "" };
            let verdict = words::verdict(record.verdict);
            self.say(&format!(
                "{}: {} ({verdict}{known}){note}",
                record.cell,
                summary::outcome(&record.outcome)
            ));
        }
    }
}
