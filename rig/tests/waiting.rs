//! Cells whose clients mostly wait hold up nobody.

#![allow(clippy::unwrap_used, reason = "helpers of tests are test code")]

mod common;

use common::{brokers, image, images, job, run, workshop};
use rig::board::{Kind, Slot};
use rig::deadline::Interrupt;
use rstest::rstest;

const CLIENT: &str = "mbedtls-2.4.0/rsa-16384+default";

/// Silent for a second and a half each; no wait in the rig is anywhere near as short.
const SILENT: [&str; 3] = ["stall-accept", "stall-client-hello", "stall-finished"];

/// Runs the silent ones and then a cell that connects, and says which finished first.
fn first(workers: usize) -> String {
    let brokers_of_run = SILENT.into_iter().chain(["tls12-rsa-plain"]);
    let jobs = brokers_of_run.map(|broker| job(&format!("{CLIENT}/{broker}"))).collect();
    let images = images([image(Kind::Native, "mbedtls-2.4.0/rsa-16384")]);
    let (brokers, interrupt) = (brokers(), Interrupt::default());
    let shop = workshop(Kind::Native.limits(), &images, &brokers, &interrupt);
    let cells = run(&shop, jobs, vec![Slot::Native; workers], |_| {});
    assert_eq!(cells.len(), SILENT.len() + 1);
    cells.first().unwrap().record.broker.clone()
}

#[test]
fn a_cell_that_computes_does_not_stand_in_line_behind_those_that_wait() {
    assert_eq!(first(2), "tls12-rsa-plain");
}

/// Whoever asks for one cell at a time gets them in the order of the plan.
#[test]
fn one_worker_takes_them_in_order() {
    assert_eq!(first(1), SILENT[0]);
}

#[rstest]
#[case::silent("stall-accept", true)]
#[case::slow("slow-drip", true)]
#[case::a_program_of_its_own("rabbitmq-3.10-default", true)]
#[case::plain("tls12-rsa-plain", false)]
#[case::in_pieces_at_full_speed("byte-by-byte", false)]
#[case::gone("close-accept", false)]
fn which_cells_mostly_wait(#[case] broker: &str, #[case] waits: bool) {
    assert_eq!(job(&format!("{CLIENT}/{broker}")).waits(), waits);
}
