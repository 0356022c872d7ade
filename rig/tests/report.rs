//! `rig report`: the reports of a run again, and the parts of one that was split put together.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use common::Checkout;
use reports::record::{read_cells, read_run};
use rstest::{Context, rstest};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The texts of a run's cells, without what differs from run to run.
fn outcomes(folder: &Path) -> BTreeSet<String> {
    let cells = read_cells(folder).unwrap();
    cells.iter().map(|cell| format!("{} {:?}", cell.cell, cell.outcome)).collect()
}

#[test]
fn a_report_is_made_again_without_a_board() {
    let checkout = Checkout::accepted();
    let page = checkout.path("accepted/report.html");
    let first = fs::read(&page).unwrap();
    fs::remove_file(&page).unwrap();
    let seen = checkout.rig_on_a_bare_machine("report accepted");
    checkout.compare("report_again", seen);
    assert!(fs::read(&page).unwrap() == first, "the same record gives the same page");

    let seen = checkout.rig("--format json report accepted");
    checkout.compare("report_as_json", seen);
}

#[test]
fn shards_are_put_together() {
    let checkout = Checkout::accepted();
    for shard in 1..=2 {
        let line = format!("run smoke --board native --shard {shard}/2 --out part-{shard}");
        let seen = checkout.rig(&line);
        assert_eq!(seen.code, Some(0), "{seen}");
    }
    let seen = checkout.rig("report part-1 part-2 --out together");
    checkout.compare("report_of_shards", seen);

    let (whole, together) = (checkout.path("accepted"), checkout.path("together"));
    assert_eq!(outcomes(&together), outcomes(&whole));
    assert_eq!(read_run(&together).unwrap().plan.len(), 2);
    for cell in read_cells(&together).unwrap() {
        for file in ["device.log", "transcript.jsonl"] {
            let path = reports::record::cell_path(&cell.cell).join(file);
            assert!(together.join(&path).is_file(), "{} was left behind", path.display());
        }
    }

    let seen = checkout.rig("report part-1 part-2 --out together");
    checkout.compare("report_into_a_folder_in_use", seen);
}

#[test]
fn the_later_of_two_results_stands() {
    let checkout = Checkout::accepted();
    fs::create_dir(checkout.path("later")).unwrap();
    for file in ["run.json", "cells.jsonl"] {
        let text = fs::read_to_string(checkout.path("accepted").join(file)).unwrap();
        let text = text.replace("\"verdict\":\"new\"", "\"verdict\":\"changed\"");
        fs::write(checkout.path("later").join(file), text).unwrap();
    }
    let seen = checkout.rig("report later accepted --out together");
    assert_eq!(seen.code, Some(0), "{seen}");
    assert!(seen.stderr.contains("2 new"), "{seen}");
    let seen = checkout.rig("report accepted later --out together-later");
    assert!(seen.stderr.contains("2 changed"), "{seen}");
}

#[rstest]
#[case::report_of_nothing("report nothing")]
#[case::report_of_two_without_a_folder("report accepted accepted")]
#[case::report_of_strangers("report accepted stranger --out together")]
fn runs_that_are_none_or_do_not_fit(#[context] context: Context, #[case] line: &str) {
    let checkout = Checkout::accepted();
    let run = fs::read_to_string(checkout.path("accepted/run.json")).unwrap();
    let run = run.replace("\"kind\": \"native\"", "\"kind\": \"qemu\"");
    fs::create_dir(checkout.path("stranger")).unwrap();
    fs::write(checkout.path("stranger/run.json"), run).unwrap();
    fs::copy(checkout.path("accepted/cells.jsonl"), checkout.path("stranger/cells.jsonl")).unwrap();
    let seen = checkout.rig(line);
    assert_eq!(seen.code, Some(2), "{seen}");
    assert!(!checkout.path("together").exists(), "nothing is written");
    checkout.compare(context.description.unwrap(), seen);
}
