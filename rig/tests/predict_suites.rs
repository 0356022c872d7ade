//! Every cell of every suite has a prediction, and it is what the cell's snapshot holds: two accounts
//! of one thing that were made apart, from rules and from what was seen. Nothing is run, so that all
//! of suite `full` takes seconds.

#![allow(clippy::unwrap_used, reason = "helpers of tests are test code")]

use rig::firmware::Builder;
use rig::plan::expand;
use rig::predictor::Predictor;
use rig::project::Project;
use std::collections::BTreeMap;
use suites::snapshot::Snapshot;
use suites::{ClientName, Library};

#[test]
fn every_cell_of_every_suite_is_stated_as_its_snapshot_has_it() {
    let project = Project::find().unwrap();
    let library = Library::load(&project.suites()).unwrap();
    let builds = Builder::new(project.root(), &project.cache()).builds().unwrap();
    let predictor = Predictor::new(&builds, &project).unwrap();
    let (mut stated, mut compared, mut wrong) = (0, 0, Vec::new());
    for suite in library.suites.keys() {
        let jobs = expand(&library, &builds, std::slice::from_ref(suite), &[], None).unwrap();
        let predictions = predictor.of(&jobs).unwrap();
        let mut snapshots: BTreeMap<ClientName, Option<Snapshot>> = BTreeMap::new();
        for job in jobs {
            let cell = &job.cell;
            let Some(predicted) = predictions.get(cell) else {
                wrong.push(format!("{suite}: {cell}: no prediction"));
                continue;
            };
            stated += 1;
            let snapshot = snapshots.entry(cell.client.clone()).or_insert_with(|| {
                let path = Snapshot::path(&project.suites(), suite, &cell.client);
                Snapshot::load(&path).unwrap()
            });
            let expected = snapshot.as_ref().and_then(|snapshot| snapshot.0.get(&cell.broker));
            // What was not accepted yet, or cannot be done by the build, is not kept.
            let Some(expected) = expected else { continue };
            compared += 1;
            for change in predicted.differs(&expected.outcome) {
                let (field, was, is) = (change.field, change.expected, change.seen);
                wrong.push(format!("{suite}: {cell}: {field}: stated {was}, kept {is}"));
            }
        }
    }
    let shown: Vec<_> = wrong.iter().take(40).cloned().collect();
    assert!(wrong.is_empty(), "{} of {stated}:\n{}", wrong.len(), shown.join("\n"));
    assert!(compared > 15_000, "{compared} of {stated} cells have a snapshot");
}
