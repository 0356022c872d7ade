//! `rig predict` and what becomes of predictions in a run, through the built binary.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use common::{Checkout, compare};
use reports::record::{Verdict, read_cells};
use rstest::{Context, rstest};
use std::fs;
use std::path::Path;

const THREAD: &str = "predict --client mbedtls-2.4.0/rsa-16384+suiteb --broker tls12-rsa-plain";
const FIX: &str = "predict --client mbedtls-2.4.0/rsa-16384+default --broker tls12-rsa-plain";
const HELLOS: &str = "suites/hellos/mbedtls-2.4.0__rsa-16384";

#[rstest]
#[case::predict_the_thread(THREAD)]
#[case::predict_the_fix(FIX)]
#[case::predict_help("predict --help")]
fn for_people(#[context] context: Context, #[case] line: &str) {
    let checkout = Checkout::accepted();
    let seen = checkout.rig(line);
    assert_eq!((seen.code, &*seen.stderr), (Some(0), ""), "{seen}");
    checkout.compare(context.description.unwrap(), seen);
}

#[rstest]
#[case::predict_no_client("predict --client rsa-16384+suiteb --broker tls12-rsa-plain")]
#[case::predict_unknown_build(
    "predict --client mbedtls-2.4.0/rsa-1638+suiteb --broker tls12-rsa-plain"
)]
#[case::predict_unknown_profile(
    "predict --client mbedtls-2.4.0/rsa-16384+suite --broker tls12-rsa-plain"
)]
#[case::predict_unknown_broker(
    "predict --client mbedtls-2.4.0/rsa-16384+suiteb --broker tls12-rsa"
)]
#[case::predict_without_a_hello(THREAD)]
fn cannot_be_said(#[context] context: Context, #[case] line: &str) {
    let checkout = Checkout::new();
    let seen = checkout.rig(line);
    assert_eq!((seen.code, &*seen.stdout), (Some(2), ""), "{seen}");
    checkout.compare(context.description.unwrap(), seen);
}

#[test]
fn a_damaged_hello_is_named() {
    let checkout = Checkout::accepted();
    let file = checkout.path(&format!("{HELLOS}+suiteb.hex"));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, &text[..text.len() / 2]).unwrap();
    let seen = checkout.rig(THREAD);
    assert_eq!(seen.code, Some(2), "{seen}");
    checkout.compare("predict_damaged_hello", seen);
}

/// A checkout in which a cell of the project's own can be predicted, and the command that does it.
fn with_cell(client: &str, broker: &str) -> (Checkout, String) {
    let checkout = Checkout::accepted();
    let profile = client.rsplit_once('+').unwrap().1;
    let hello = format!("hellos/{}.hex", client.replace('/', "__"));
    for file in [&format!("profiles/{profile}.toml"), &format!("brokers/{broker}.toml"), &hello] {
        let (from, to) = (format!("../suites/{file}"), checkout.path(&format!("suites/{file}")));
        // Some clients never send a hello.
        if Path::new(&from).exists() {
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(from, to).unwrap();
        }
    }
    (checkout, format!("predict --client {client} --broker {broker}"))
}

#[rstest]
#[case::predict_tls13("mbedtls-3.6/all-16384+tls13-cap", "hivemq-4-java11")]
#[case::predict_tls13_ends_early("mbedtls-3.6/all-4096+default", "only-tls1.3")]
#[case::predict_no_hello_is_written("mbedtls-3.6/rsa-16384+suiteb", "hivemq-4-java11")]
fn tls13_and_newer_stacks(#[context] context: Context, #[case] client: &str, #[case] broker: &str) {
    let (checkout, line) = with_cell(client, broker);
    let seen = checkout.rig(&line);
    assert_eq!((seen.code, &*seen.stderr), (Some(0), ""), "{seen}");
    checkout.compare(context.description.unwrap(), seen);
}

#[test]
fn tls13_for_programs() {
    let (checkout, line) = with_cell("mbedtls-3.6/all-16384+tls13-only", "hivemq-4-java11");
    let seen = checkout.rig(&format!("{line} --format json"));
    let document: serde_json::Value = serde_json::from_str(&seen.stdout).unwrap();
    let text = serde_json::to_string_pretty(&document).unwrap();
    checkout.compare("predict_tls13_json", text);
}

/// What people are not shown is in the document, line for line.
#[test]
fn programs_are_told_of_every_suite() {
    let (checkout, line) = with_cell("mbedtls-3.6/all-16384+tls13-cap", "hivemq-4-java11");
    let seen = checkout.rig(&format!("{line} --format json"));
    let document: serde_json::Value = serde_json::from_str(&seen.stdout).unwrap();
    let trace = document["predicted"]["trace"].as_array().unwrap();
    let idle = trace.iter().filter(|line| line["out"] == "not_served").count();
    let people = checkout.rig(&line).stdout;
    assert!(people.contains(&format!("and {idle} that the client offers")), "{people}");
    let shown = people.lines().filter(|line| line.trim_start().starts_with("0x")).count();
    assert_eq!(shown + idle, trace.len());
}

#[test]
fn a_key_that_no_rule_reads_is_named_and_predicts_nothing() {
    let checkout = Checkout::accepted();
    let broker = checkout.path("suites/brokers/tls12-rsa-plain.toml");
    let text = fs::read_to_string(&broker).unwrap();
    let stall = "misbehave = { at = 'connect', does = 'stall', pause_ms = 30_000 }";
    fs::write(&broker, format!("{stall}\n{text}")).unwrap();
    let seen = checkout.rig(FIX);
    assert_eq!((seen.code, &*seen.stdout), (Some(2), ""), "{seen}");
    let json = checkout.rig(&format!("{FIX} --format json"));
    assert_eq!((json.code, &json.stderr), (seen.code, &seen.stderr));
    checkout.compare("predict_unknown_key", seen);
}

#[test]
fn a_run_states_what_predict_states() {
    let checkout = Checkout::accepted();
    assert_eq!(checkout.rig("run smoke --board native --out made").code, Some(0));
    let cells = read_cells(&checkout.path("made")).unwrap();
    assert_eq!(cells.len(), 2);
    checkout.compare("list_clients_with_fingerprints", checkout.rig("list clients"));
    let listed = checkout.rig("list clients --format json");
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    for cell in cells {
        let line = format!("predict --client {} --broker {}", cell.client, cell.broker);
        let seen = checkout.rig(&format!("{line} --format json"));
        let stated: serde_json::Value = serde_json::from_str(&seen.stdout).unwrap();
        assert_eq!(stated["predicted"], serde_json::to_value(&cell.predicted).unwrap());
        assert_eq!(stated["cell"], cell.cell.to_string());
        assert!(!stated["predicted"]["trace"].as_array().unwrap().is_empty());
        assert_eq!(cell.verdict, Verdict::Match);
        assert!(cell.surprises.is_empty());
        // The recorded hello, from which that was stated, and the one of the run are one client's.
        let hello = cell.client_hello.unwrap();
        let listed = listed.as_array().unwrap();
        let row = listed.iter().find(|row| row["name"] == cell.client.to_string()).unwrap();
        assert_eq!((&row["ja3"], &row["ja4"]), (&hello.ja3.into(), &hello.ja4.into()));
    }
}

/// The prediction is made from the recorded hello: with the hello of another client it is wrong,
/// although the snapshot holds.
#[test]
fn a_cell_that_is_not_as_predicted_comes_first_and_is_exit_code_1() {
    let checkout = Checkout::accepted();
    let (ours, theirs) = (format!("{HELLOS}+default.hex"), format!("{HELLOS}+suiteb.hex"));
    fs::copy(checkout.path(&theirs), checkout.path(&ours)).unwrap();
    let seen = checkout.rig("run smoke --board native --jobs 1 --out made");
    assert_eq!(seen.code, Some(1), "{seen}");
    checkout.compare("surprise", &seen);
    let cells = read_cells(&checkout.path("made")).unwrap();
    let surprise = cells.iter().find(|cell| cell.verdict == Verdict::Surprise).unwrap();
    assert!(surprise.changes.is_empty(), "the snapshot agrees");
    let fields: Vec<_> = surprise.surprises.iter().map(|change| &*change.field).collect();
    assert!(fields.contains(&"result") && fields.contains(&"cipher_suite"), "{fields:?}");
    // Accepting records the hello anew, and there is nothing left to be surprised at.
    assert_eq!(checkout.rig("run smoke --board native --accept").code, Some(0));
    let seen = checkout.rig("run smoke --board native");
    assert_eq!(seen.code, Some(0), "{seen}");
}

#[test]
fn without_a_hello_nothing_is_predicted_and_the_run_says_so() {
    let checkout = Checkout::accepted();
    fs::remove_file(checkout.path(&format!("{HELLOS}+suiteb.hex"))).unwrap();
    let seen = checkout.rig("run smoke --board native --jobs 1 --out made");
    assert_eq!(seen.code, Some(0), "{seen}");
    let said: Vec<_> = seen.stderr.lines().filter(|line| line.contains("predicted")).collect();
    compare("nothing_predicted", said.join("\n"), &[]);
    let cells = read_cells(&checkout.path("made")).unwrap();
    let predicted = |cell: &&reports::CellRecord| cell.predicted.is_some();
    assert_eq!(cells.iter().filter(predicted).count(), 1);
}
