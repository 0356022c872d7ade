//! What a cell costs on the line to its board: at the 38400 baud of an Ameba1's own USB serial, a
//! byte is 0.26 ms. And what is left out for that is missed by nobody.

#![allow(clippy::unwrap_used, reason = "helpers of tests are test code")]

mod common;

use common::{brokers, image, images, job, run};
use reports::Diagnosis;
use reports::transcript::Seen;
use rig::board::{Dut, Kind, Slot};
use rig::command::{self, LogLines};
use rig::deadline::Interrupt;
use rig::firmware::Builder;
use rig::plan;
use rig::project::Project;
use rig::run::{SEED, Workshop};
use rig::session;
use rstest::rstest;
use suites::outcome::{Outcome, OutcomeKind};
use suites::{CellId, Library};

/// Bytes of a whole cell, frames and all, in both directions: 2.1 s at 38400 baud.
const MOST: u64 = 8192;

/// Bytes on the line for one cell that connects.
fn carried(client: &str, log_lines: LogLines) -> u64 {
    let job = job(&format!("{client}/hivemq-cloud-2021"));
    let (kind, interrupt) = (Kind::Native, Interrupt::default());
    let image = image(kind, job.cell.client.build.as_str());
    let mut dut =
        Dut::start(&Slot::started(kind).unwrap(), &image, kind.limits().boot, &interrupt).unwrap();
    let brokers = brokers();
    let broker = brokers.start(&job.broker).unwrap();
    let prepared = command::prepare(&job, &brokers, &broker, SEED, log_lines).unwrap();
    let finished = session::run(
        &mut dut.link,
        kind.name(),
        &prepared.command(),
        broker.address(),
        kind.limits().cell,
        &interrupt,
    );
    let outcome = reports::judge(&finished.transcript);
    assert_eq!(outcome.result, OutcomeKind::Connected, "{outcome:?}");
    finished.carried
}

#[rstest]
fn a_whole_rsa_cell_takes_less_than_8_kb(
    #[values("mbedtls-2.4.0/rsa-16384+default", "mbedtls-2.4.0/rsa-4096+default")] client: &str,
) {
    let (all, quoted) = (carried(client, LogLines::All), carried(client, LogLines::Quoted));
    assert!(quoted < MOST, "{quoted} bytes, {all} with the whole log");
    // Else the filter would be for nothing.
    assert!(all > MOST, "{all} bytes with the whole log");
}

/// Every cell of the suite: its outcome and its diagnosis, and how many lines its log has.
fn forum(log_lines: LogLines) -> Vec<(CellId, Outcome, Option<Diagnosis>, usize)> {
    let project = Project::find().unwrap();
    let library = Library::load(&project.suites()).unwrap();
    let builds = Builder::new(project.root(), &project.cache()).builds().unwrap();
    let jobs = plan::expand(&library, &builds, &["forum".to_owned()], &[], None).unwrap();
    let kind = Kind::Native;
    let images = images(jobs.iter().map(|job| image(kind, job.cell.client.build.as_str())));
    let (brokers, interrupt) = (brokers(), Interrupt::default());
    let workshop = Workshop {
        limits: kind.limits(),
        log_lines,
        images: &images,
        brokers: &brokers,
        seed: SEED,
        interrupt: &interrupt,
    };
    let cells =
        run(&workshop, jobs, vec![Slot::started(kind).unwrap()], |_| {}).into_iter().map(|cell| {
            let lines = cell.transcript.seen().filter(|seen| matches!(seen, Seen::Log(_))).count();
            (cell.record.cell, cell.record.outcome, cell.record.diagnosis, lines)
        });
    cells.collect()
}

#[test]
fn a_log_of_quoted_lines_alone_leads_to_the_same_diagnosis() {
    let (all, quoted) = (forum(LogLines::All), forum(LogLines::Quoted));
    assert!(all.len() >= 20);
    assert_eq!(all.len(), quoted.len());
    for (all, quoted) in all.iter().zip(&quoted) {
        assert_eq!((&all.0, &all.1, &all.2), (&quoted.0, &quoted.1, &quoted.2));
        assert!(quoted.3 < all.3, "{}: {} of {} lines", all.0, quoted.3, all.3);
    }
    // A line is quoted in some diagnosis of this suite: one that was lost would be missed.
    let evidence = quoted.iter().flat_map(|cell| &cell.2).flat_map(|found| &found.evidence);
    assert!(evidence.clone().any(|text| text.starts_with("client log: ")));
    assert!(evidence.clone().any(|text| text.contains("MBEDTLS_ERR_")), "the error by name");
}
