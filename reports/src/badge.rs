//! `badge.svg`: a run in one line for a README.
//!
//! Self-made: it is two rectangles and two texts, and the crates for it fetch fonts or know only
//! their own texts. `textLength` makes every viewer fit the text to its box, whatever font it has.

use crate::record::Verdict;
use crate::text::{for_xml, shorten};
use crate::words;
use crate::writers::Recorded;
use quick_xml::escape::escape;
use std::io;

/// Width of one character, in pixels of the drawing.
const CHARACTER: usize = 7;
/// Space at each end of a text.
const MARGIN: usize = 6;

// Dark enough for white text at a contrast of 4.5 (WCAG 2.2, 1.4.3).
const GREEN: &str = "#1a7f37";
const RED: &str = "#b42318";
const GREY: &str = "#57606a";

/// The bytes of `badge.svg`: how many of the cells that could be run are as expected, and on what
/// kind of board.
///
/// # Errors
/// None: it writes to memory.
pub fn write(recorded: &Recorded) -> io::Result<Vec<u8>> {
    let kind = &recorded.run.board.kind;
    let emulated = if words::is_emulated(kind) { " (emulated)" } else { "" };
    let label = format!("rig on {kind}{emulated}");
    let count = |verdict| recorded.cells.iter().filter(|cell| cell.verdict == verdict).count();
    let idle = count(Verdict::Skipped) + count(Verdict::Unsupported);
    // A planned cell that a killed run never reached is not as expected.
    let of = recorded.cells.len() - idle + recorded.unfinished().len();
    let good = count(Verdict::Match);
    let known = recorded.cells.iter().filter(|cell| cell.known.is_some()).count();
    let aside = if known > 0 { format!(", {known} known") } else { String::new() };
    let (value, colour) = match (good, of) {
        (_, 0) => ("nothing ran".to_owned(), GREY),
        _ if good + known == of => (format!("{good} of {of} as expected{aside}"), GREEN),
        _ => (format!("{good} of {of} as expected{aside}"), RED),
    };
    Ok(draw(&label, &value, colour).into_bytes())
}

fn draw(label: &str, value: &str, colour: &str) -> String {
    let (left, right) = (width(label), width(value));
    let (label, value) = (safe(label), safe(value));
    let whole = left + right;
    let text = |middle: usize, length: usize, text: &str| {
        format!(
            "<text x=\"{middle}\" y=\"14\" textLength=\"{}\">{text}</text>",
            length - 2 * MARGIN
        )
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole}\" height=\"20\" role=\"img\" \
         aria-label=\"{label}: {value}\">\n<title>{label}: {value}</title>\n\
         <rect width=\"{left}\" height=\"20\" fill=\"#24292f\"/>\n\
         <rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{colour}\"/>\n\
         <g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\" \
         text-anchor=\"middle\">\n{}\n{}\n</g>\n</svg>\n",
        text(left / 2, left, &label),
        text(left + right / 2, right, &value),
    )
}

fn width(text: &str) -> usize {
    text.chars().count().min(LONGEST) * CHARACTER + 2 * MARGIN
}

/// Longer names than this are cut: a badge is a line.
const LONGEST: usize = 60;

fn safe(text: &str) -> String {
    escape(&*shorten(&for_xml(text), LONGEST)).into_owned()
}
