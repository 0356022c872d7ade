//! The upgrade tables of a real run: suite `upgrades` on the emulated board, eight of its brokers; what
//! the tables do not read was cut out of the record.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

use reports::record::{read_cells, read_run};
use reports::upgrade::Upgrades;
use std::path::Path;
use suites::OutcomeKind;

fn recorded() -> (reports::Run, Vec<reports::CellRecord>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrades");
    (read_run(&folder).unwrap(), read_cells(&folder).unwrap())
}

#[test]
fn the_tables_of_a_real_run() {
    let (run, cells) = recorded();
    insta::assert_snapshot!(Upgrades::of(&run, &cells).text());
}

/// Cells come as boards finish them; tables come as the plan has them.
#[test]
fn the_order_in_which_cells_finished_does_not_matter() {
    let (run, mut cells) = recorded();
    let tables = Upgrades::of(&run, &cells);
    cells.reverse();
    assert_eq!(Upgrades::of(&run, &cells), tables);
}

#[test]
fn a_cell_that_was_not_run_leaves_a_gap_in_its_row_alone() {
    let (run, mut cells) = recorded();
    let gone = "mbedtls-2.28/all-16384+default/emqx-5";
    cells.retain(|cell| cell.cell.to_string() != gone);
    let Upgrades(tables) = Upgrades::of(&run, &cells);
    let gaps = tables.iter().flat_map(|table| {
        let names = |row: &reports::upgrade::Row| {
            let gap = row.met.iter().position(Option::is_none)?;
            let (stack, broker) = (&table.stacks[gap].name, &row.broker);
            Some(format!("{stack}/{}+{}/{broker}", table.variant, table.profile))
        };
        table.brokers.iter().filter_map(names).collect::<Vec<_>>()
    });
    assert_eq!(gaps.collect::<Vec<_>>(), [gone]);
    assert!(tables.iter().flat_map(|table| &table.stacks).all(|stack| stack.code_bytes.is_some()));
}

/// Figures of a host's clock are no instructions, and are not shown as such.
#[test]
fn nanoseconds_are_not_instructions() {
    let (run, mut cells) = recorded();
    for cell in &mut cells {
        if let Some(latency) = &mut cell.latency {
            latency.unit = wire::message::ClockUnit::Nanoseconds;
        }
    }
    let Upgrades(tables) = Upgrades::of(&run, &cells);
    let met = tables.iter().flat_map(|table| &table.brokers).flat_map(|row| &row.met).flatten();
    let connected: Vec<_> = met.filter(|met| met.result == OutcomeKind::Connected).collect();
    assert!(!connected.is_empty());
    assert!(connected.iter().all(|met| met.instructions.is_none()));
}
