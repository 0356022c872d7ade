//! `report.html`: one file that opens from disk, with no network, and holds a whole run.
//!
//! ```text
//! Recorded --+-- words     what connects to what, what would have to change --+
//!            +-- matrix    clients by brokers, a square for each cell --------+-- page.html
//!            +-- plots     cost across builds --------------------------------+
//!            +-- panel     one cell in full, packed row by row ---------------+
//! ```
//!
//! The page is complete markup: without its script it still reads from top to bottom. The script
//! (`page.js`) filters, moves the focus through the matrix and opens panels. A panel is markup, too,
//! made here and kept compressed until somebody asks for its cell, because a run may have 10,000.
//!
//! Nothing from a device or a broker is trusted. The templates escape every value, [`text::visible`]
//! makes control characters and the like visible in whatever they made, and a policy in the page's
//! head lets nothing run, load or be sent but the script and the style that stand in it, by their
//! hashes.

mod matrix;
mod text;

use crate::words;
use crate::writers::Recorded;
use askama::Template;
use matrix::{Matrix, Square};
use sha2::{Digest, Sha256};
use std::io;

/// The page's style and script; plain text, no build step.
const STYLE: &str = include_str!("../templates/page.css");
const SCRIPT: &str = include_str!("../templates/page.js");

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    policy: String,
    style: &'static str,
    script: &'static str,
    run: &'a crate::Run,
    totals: String,
    emulated: bool,
    matrix: Matrix<'a>,
}

/// The page of one run.
///
/// # Errors
/// If a cell's files cannot be read.
pub fn page(recorded: &Recorded) -> io::Result<Vec<u8>> {
    let page = Page {
        policy: policy(),
        style: STYLE,
        script: SCRIPT,
        run: &recorded.run,
        totals: words::totals(&recorded.cells),
        emulated: words::is_emulated(&recorded.run.board.kind),
        matrix: Matrix::of(recorded),
    };
    let page = page.render().map_err(io::Error::other)?;
    Ok(text::visible(page).into_bytes())
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
