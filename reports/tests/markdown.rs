//! `report.md` and `badge.svg`: what is not as expected first, never too long, and never a trap.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are test code"
)]

mod common;

use common::{compare, hostile, recorded, troubled};
use pulldown_cmark::{Event, Options, Parser};
use quick_xml::Reader;
use reports::writers::{Recorded, write_reports};
use reports::{RunFolder, Transcript, badge, markdown};
use std::fs;

/// Characters that a comment of a GitHub pull request may have.
const COMMENT: usize = 65_536;

fn page(recorded: &Recorded) -> String {
    let page = String::from_utf8(markdown::write(recorded).unwrap()).unwrap();
    assert!(page.len() < COMMENT, "{} bytes", page.len());
    page
}

fn drawn(recorded: &Recorded) -> String {
    String::from_utf8(badge::write(recorded).unwrap()).unwrap()
}

#[test]
fn a_run_in_trouble() {
    compare("markdown", &page(&troubled()));
}

#[test]
fn a_run_as_expected() {
    let page = page(&recorded("native"));
    assert!(page.starts_with("## rig: all of 20 cells are as expected\n"), "{page}");
    compare("markdown_as_expected", &page);
}

#[test]
fn changes_stand_before_surprises_faults_counts_and_the_table() {
    let page = page(&troubled());
    let places: Vec<_> = [
        "### Changed since the snapshot (2)",
        "### Not as predicted (1)",
        "### Faults of the rig (1)",
        "### New, without a snapshot (1)",
        "### Known deviations (1)",
        "### Counts",
        "### Why cells do not connect",
        "### What connects to what",
    ]
    .iter()
    .map(|heading| page.find(heading).unwrap_or_else(|| panic!("{heading} in {page}")))
    .collect();
    assert!(places.is_sorted(), "{places:?}");
}

/// As many cells as the largest suites have, all of them changed.
#[test]
fn ten_thousand_changes_fit_and_the_page_says_what_is_missing() {
    let mut recorded = troubled();
    let (changed, plan) = (recorded.cells[0].clone(), recorded.run.plan[0].clone());
    for number in 0..10_000 {
        let mut cell = changed.clone();
        cell.changes[0].seen = format!("-0x{number:04x}");
        cell.cell.broker = format!("broker-{number}");
        cell.broker.clone_from(&cell.cell.broker);
        recorded.cells.push(cell);
        let mut planned = plan.clone();
        planned.broker = format!("broker-{number}");
        recorded.run.plan.push(planned);
    }
    let page = page(&recorded);
    assert!(
        page.starts_with(
            "## rig: 10006 of 10018 cells are not as expected, 1 of a known deviation aside\n"
        ),
        "{page}"
    );
    let rows = page.matches("| error |").count();
    // Two fields of each changed cell, and the cell that timed out.
    let missing =
        2 * 10_001 + 1 - 2 * rows + usize::from(page.matches("| close |").count() != rows);
    assert!(page.contains(&format!("\n{missing} more rows left out")), "{rows} {missing} {page}");
    assert!(page.contains("| changed | 10002 |"), "the counts are there all the same: {page}");
    assert!(page.contains("### What connects to what\n\n"), "{page}");
}

#[test]
fn ten_thousand_changes_of_one_kind_are_one_line() {
    let mut recorded = troubled();
    let changed = recorded.cells[0].clone();
    for number in 0..10_000 {
        let mut cell = changed.clone();
        cell.cell.broker = format!("broker-{number}");
        cell.broker.clone_from(&cell.cell.broker);
        recorded.cells.push(cell);
    }
    let page = page(&recorded);
    let client = &changed.client;
    let line = format!("| 10001 | client {client} with 10001 brokers | error: expected ");
    assert!(page.contains(&line), "{page}");
    assert_eq!(page.matches("| error |").count(), 0, "{page}");
    assert!(page.len() < 20_000, "{page}");
}

#[test]
fn hostile_text_is_neither_markup_nor_a_link_nor_a_mention() {
    let page = page(&hostile());
    for event in Parser::new_ext(&page, Options::all()) {
        match event {
            Event::Html(_) | Event::InlineHtml(_) => panic!("{event:?}"),
            Event::Start(tag) => assert!(
                !matches!(
                    tag,
                    pulldown_cmark::Tag::Link { .. } | pulldown_cmark::Tag::Image { .. }
                ),
                "{tag:?}"
            ),
            // In code nothing is looked for.
            Event::Text(text) => {
                for mark in ["@o", "#1", "://", "www."] {
                    assert!(!text.contains(mark), "{text}");
                }
            }
            _ => {}
        }
    }
    assert!(!page.contains(|c: char| c.is_control() && c != '\n'), "{page}");
}

#[test]
fn a_badge_says_how_many_and_on_what_kind_of_board() {
    let good = drawn(&recorded("native"));
    assert!(
        good.contains("aria-label=\"rig on native (emulated): 20 of 20 as expected\""),
        "{good}"
    );
    let bad = drawn(&troubled());
    assert!(bad.contains("11 of 18 as expected, 1 known"), "one was not run, two could not: {bad}");
    let colour =
        |badge: &str| badge.rsplit_once("fill=\"#fff\"").map(|(start, _)| start.to_owned());
    assert_ne!(colour(&good), colour(&bad));
    let mut real = recorded("native");
    real.run.board.kind = "ameba1".to_owned();
    assert!(drawn(&real).contains("rig on ameba1: 20 of 20"), "nothing is emulated");
    real.cells.clear();
    real.run.plan.clear();
    assert!(drawn(&real).contains("nothing ran"));
    compare("badge", &good);
}

#[test]
fn a_hostile_badge_is_a_badge() {
    let text = drawn(&hostile());
    assert!(!text.contains("<script"), "{text}");
    let mut reader = Reader::from_str(&text);
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Eof => break,
            quick_xml::events::Event::Start(start) | quick_xml::events::Event::Empty(start) => {
                let name = start.name().as_ref().to_owned();
                assert!(["svg", "title", "rect", "g", "text"].contains(&&*name), "{name}");
            }
            _ => {}
        }
    }
}

#[test]
fn the_files_are_in_the_runs_folder_and_may_be_made_again() {
    let (folder, of) = (tempfile::tempdir().unwrap(), recorded("native"));
    let mut open = RunFolder::open(folder.path(), &of.run).unwrap();
    for cell in &of.cells {
        open.append(cell, &Transcript::default()).unwrap();
    }
    for _ in 0..2 {
        write_reports(folder.path()).unwrap();
        for file in ["junit.xml", "report.md", "badge.svg"] {
            assert!(fs::metadata(folder.path().join(file)).unwrap().len() > 100, "{file}");
        }
    }
    let read = fs::read_to_string(folder.path().join("report.md")).unwrap();
    assert_eq!(read, page(&of));
}
