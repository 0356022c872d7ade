//! Where each cause of the closed list is proven: by cells that real handshakes made, by logs that real
//! programs wrote. The few that neither has are named here, with the reason.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

use reports::Cause;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Causes that no real handshake was seen to have.
const UNSEEN: [(Cause, &str); 2] = [
    (
        Cause::HardwareCryptoFault,
        "no crypto engine was ever attached; the rule rests on the library's error alone (single_lines)",
    ),
    (
        Cause::HandshakeCpuStarvation,
        "never proven, only a candidate: a broker that gives up on a slow client does not say so (single_lines)",
    ),
];

fn reports() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    files
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// For each key the suites in whose snapshots a cell has that cause; surveys have shorter ones and
/// no cells that other suites have not.
fn suites() -> BTreeMap<String, BTreeSet<String>> {
    let mut suites: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for suite in files(&reports().join("../suites/snapshots")) {
        for file in files(&suite) {
            let text = fs::read_to_string(&file).unwrap();
            for key in text.lines().filter_map(|line| line.strip_prefix("cause = ")) {
                suites.entry(key.trim_matches('"').to_owned()).or_default().insert(stem(&suite));
            }
        }
    }
    suites
}

/// For each key the logs whose snapshot has that cause.
fn logs() -> BTreeMap<String, Vec<String>> {
    let mut logs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files(&reports().join("tests/logs")).iter().filter(|file| file.is_file()) {
        let name = stem(file);
        let snapshot = reports().join(format!("tests/snapshots/explain/{name}.snap"));
        let text = fs::read_to_string(snapshot).unwrap();
        let line = text.lines().find_map(|line| line.trim().strip_prefix("\"cause\": ")).unwrap();
        logs.entry(line.trim_matches(['"', ',']).to_owned()).or_default().push(name);
    }
    logs
}

#[test]
fn every_cause_is_proven_or_said_to_be_unseen() {
    let (suites, logs) = (suites(), logs());
    let mut table = String::new();
    for cause in Cause::ALL {
        let seen: Vec<_> = suites.get(cause.key()).into_iter().flatten().cloned().collect();
        let told = logs.get(cause.key()).map_or(&[][..], Vec::as_slice);
        let unseen = UNSEEN.iter().find(|(unseen, _)| unseen == cause);
        let _ = writeln!(table, "{cause}");
        for (what, names) in [("cells of the suites", &seen[..]), ("logs", told)] {
            if !names.is_empty() {
                let _ = writeln!(table, "  {what}: {}", names.join(", "));
            }
        }
        if let Some((_, why)) = unseen {
            let _ = writeln!(table, "  unseen: {why}");
        }
        let proven = !seen.is_empty() || !told.is_empty();
        assert_ne!(proven, unseen.is_some(), "{cause}: suites {seen:?}, logs {told:?}, {unseen:?}");
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("causes", table));
}

/// What is unseen is named all the same where it is possible.
#[test]
fn what_is_unseen_is_in_the_snapshot_of_single_lines() {
    let file = reports().join("tests/snapshots/explain/single_lines.snap");
    let lines = fs::read_to_string(file).unwrap();
    for (cause, _) in UNSEEN {
        assert!(lines.contains(cause.key()), "{cause}");
    }
}
