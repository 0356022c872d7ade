//! `report.html`: one file that opens from disk, with no network, and holds a whole run.
//!
//! ```text
//! Recorded --+-- words     what connects to what, what would have to change --+
//!            +-- matrix    clients by brokers, a square for each cell --------+-- page.html
//!            +-- upgrade   who still connects with another mbedTLS -----------+
//!            +-- plots     cost across builds --------------------------------+
//!            +-- panel     one cell in full, packed row by row ---------------+
//! ```
//!
//! The page is complete markup: without its script it still reads from top to bottom. The script
//! (`page.js`) filters, moves the focus through the matrix and opens panels. A panel is markup, too,
//! made here and kept compressed until somebody asks for its cell, because a run may have 10,000.
//!
//! Nothing from a device or a broker is trusted. The templates escape every value, `text::visible`
//! makes control characters and the like visible in whatever they made, and a policy in the page's
//! head lets nothing run, load or be sent but the script and the style that stand in it, by their
//! hashes.

mod cost;
mod files;
mod findings;
mod flow;
mod hello;
mod matrix;
mod packed;
mod panel;
mod plots;
mod text;

use crate::record::{CellRecord, Run};
use crate::upgrade::{Met, Stack, Table, Upgrades, kilobytes};
use crate::words;
use crate::writers::Recorded;
use askama::Template;
use findings::Findings;
use matrix::{Matrix, Square};
use plots::Plot;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io;
use suites::outcome::OutcomeKind;

/// The page's style and script; plain text, no build step.
const STYLE: &str = include_str!("../templates/page.css");
const SCRIPT: &str = include_str!("../templates/page.js");

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    policy: String,
    style: &'static str,
    script: &'static str,
    run: &'a Run,
    emulated: bool,
    /// How many cells of each verdict there are, the bad ones first.
    totals: Vec<Total>,
    /// Every cause that occurs, the most frequent first.
    causes: Vec<(&'static str, usize)>,
    findings: Findings<'a>,
    matrix: Matrix<'a>,
    plots: Vec<Plot<'a>>,
    /// Clients that differ in nothing but the stack, side by side.
    upgrades: Vec<Table>,
    /// For each row of the matrix its panels, see [`packed`].
    panels: Vec<String>,
}

/// How many cells have a verdict.
struct Total {
    key: &'static str,
    words: &'static str,
    count: usize,
}

/// The page of one run.
///
/// # Errors
/// If a cell's files cannot be read.
pub fn page(recorded: &Recorded) -> io::Result<Vec<u8>> {
    let matrix = Matrix::of(recorded);
    let page = Page {
        policy: policy(),
        style: STYLE,
        script: SCRIPT,
        run: &recorded.run,
        emulated: words::is_emulated(&recorded.run.board.kind),
        totals: totals(&recorded.cells),
        causes: causes(&recorded.cells),
        findings: Findings::of(recorded),
        panels: packed::rows(recorded, &matrix.records())?,
        plots: plots::plots(&recorded.cells),
        upgrades: upgrades(recorded),
        matrix,
    };
    let page = page.render().map_err(io::Error::other)?;
    Ok(text::visible(page).into_bytes())
}

/// The tables that compare something: with more than one stack.
fn upgrades(recorded: &Recorded) -> Vec<Table> {
    let Upgrades(mut tables) = Upgrades::of(&recorded.run, &recorded.cells);
    tables.retain(|table| table.stacks.len() > 1);
    tables
}

/// How large a stack's image is.
fn code(stack: &Stack) -> String {
    stack.code_bytes.map(|bytes| format!("code {}", kilobytes(bytes))).unwrap_or_default()
}

/// The style of what a stack met.
fn met_class(met: &Met) -> &'static str {
    match met.result {
        _ if met.skipped => "skipped",
        OutcomeKind::Connected => "connected",
        OutcomeKind::Failed => "failed",
        OutcomeKind::TimedOut => "timed_out",
        OutcomeKind::RigFault => "rig_fault",
        OutcomeKind::Unsupported => "unsupported",
    }
}

fn totals(cells: &[CellRecord]) -> Vec<Total> {
    let total = |verdict| Total {
        key: matrix::verdict_key(verdict),
        words: words::verdict(verdict),
        count: cells.iter().filter(|cell| cell.verdict == verdict).count(),
    };
    words::VERDICTS.into_iter().map(total).filter(|total| total.count > 0).collect()
}

fn causes(cells: &[CellRecord]) -> Vec<(&'static str, usize)> {
    let mut counts: HashMap<&'static str, usize> = HashMap::new();
    for diagnosis in cells.iter().filter_map(|cell| cell.diagnosis.as_ref()) {
        *counts.entry(diagnosis.cause.key()).or_default() += 1;
    }
    let mut causes: Vec<_> = counts.into_iter().collect();
    causes.sort_by_key(|(cause, count)| (std::cmp::Reverse(*count), *cause));
    causes
}

/// The outline of a plot's mark around its middle: kinds differ in shape, and not in colour alone.
fn mark_path(kind: &str) -> &'static str {
    match kind {
        "RSA" => "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
        "ECDHE" => "M0-6l6 10.5h-12z",
        "DHE" => "M0-6l6 6l-6 6l-6-6z",
        "TLS1.3" => "M-4.5-4.5h9v9h-9z",
        _ => "M-6-2h4v-4h4v4h4v4h-4v4h-4v-4h-4z",
    }
}

/// The page's content security policy: this style, this script, pictures that stand in the page, and
/// nothing else from anywhere.
fn policy() -> String {
    let hash = |text: &str| data_encoding::BASE64.encode(&Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}
