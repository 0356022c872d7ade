//! `rig advise` through the built binary, on suites, hellos and figures of the test's own.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use common::Checkout;
use rig::advise::calls;
use rig::project::Project;
use rstest::{Context, rstest};
use std::fs;
use suites::{ClientProfile, Library};

/// One client needs less than another where it was measured, and one that verifies nothing least.
const FIGURES: [(&str, u64, u64); 4] = [
    ("mbedtls-2.4.0/rsa-4096+default", 5_800_000, 18_000),
    ("mbedtls-2.4.0/rsa-16384+default", 5_820_000, 42_000),
    ("mbedtls-2.4.0/all-16384+default", 72_000_000, 50_000),
    ("mbedtls-2.4.0/all-16384+verify-none", 1_000_000, 1_000),
];

/// A checkout with what an advice is made from, and nothing else.
fn checkout() -> Checkout {
    let checkout = Checkout::new();
    let real = Project::find().unwrap().suites();
    let mut files: Vec<String> = ["ec-certificate", "tls12-only-ecdhe", "only-tls1.3"]
        .map(|broker| format!("brokers/{broker}.toml"))
        .into();
    files.push("profiles/verify-none.toml".to_owned());
    for client in ["rsa-16384+suiteb"].iter().copied().chain(FIGURES.iter().map(|row| &row.0[14..]))
    {
        files.push(format!("hellos/mbedtls-2.4.0__{client}.hex"));
    }
    fs::create_dir_all(checkout.path("suites/hellos")).unwrap();
    for file in files {
        fs::copy(real.join(&file), checkout.path(&format!("suites/{file}"))).unwrap();
    }
    // No image: what this machine happens to have in its cache is no part of the test.
    fs::remove_file(checkout.path("target/rig/images")).unwrap();
    let clients: Vec<_> = FIGURES.iter().map(|row| row.0).collect();
    let suite = format!(
        "summary = 'figures'\n[[cells]]\nclients = {clients:?}\nbrokers = ['tls12-rsa-plain']\n"
    );
    fs::write(checkout.path("suites/matrix/figures.toml"), suite).unwrap();
    let folder = checkout.path("suites/snapshots/figures");
    fs::create_dir_all(&folder).unwrap();
    for (client, total, heap) in FIGURES {
        let text = format!(
            "---\nsource: x\n---\n[tls12-rsa-plain]\nresult = 'connected'\nstage = 'over'\n\
             version = 'TLS1.2'\ncipher_suite = '0x003d'\nclose = 'none'\nmqtt = 'connack:0'\n\
             cause = 'no_failure'\n\n[tls12-rsa-plain.qemu]\nunit = 'instructions'\n\
             compilers = 'x'\ntolerance_permille = 1\ntotal = {total}\nheap_peak_bytes = {heap}\n\
             [tls12-rsa-plain.qemu.phases]\n"
        );
        let name = client.replace('/', "__");
        fs::write(folder.join(format!("{name}.snap")), text).unwrap();
    }
    checkout
}

#[rstest]
#[case::advise_one("tls12-rsa-plain", 0)]
#[case::advise_macros("tls12-rsa-plain tls12-only-ecdhe", 0)]
#[case::advise_an_ec_certificate("ec-certificate", 0)]
#[case::advise_a_call("tls12-rsa-plain --from mbedtls-2.4.0/rsa-16384+suiteb", 0)]
#[case::advise_nothing_helps("only-tls1.3", 1)]
#[case::advise_unknown_broker("tls12-rsa-plane", 2)]
#[case::advise_unknown_build("tls12-rsa-plain --from mbedtls-2.4.0/rsa-409+default", 2)]
#[case::advise_no_file("suites/brokers/live.toml", 2)]
#[case::advise_help("--help", 0)]
fn for_people(#[context] context: Context, #[case] line: &str, #[case] code: i32) {
    let checkout = checkout();
    let seen = checkout.rig(&format!("advise {line}"));
    assert_eq!(seen.code, Some(code), "{seen}");
    checkout.compare(context.description.unwrap(), seen);
}

/// A file is a broker that nobody ever met, even if the library has one of that name: prediction
/// alone speaks of it, and figures are those of the like.
#[test]
fn of_a_file_nothing_was_seen() {
    let checkout = checkout();
    let text = fs::read_to_string(checkout.path("suites/brokers/tls12-rsa-plain.toml")).unwrap();
    let other = text.replacen("cipher_suites", "tickets = false\ncipher_suites", 1);
    fs::write(checkout.path("tls12-rsa-plain.toml"), other).unwrap();
    let advice = |broker: &str| -> serde_json::Value {
        let seen = checkout.rig(&format!("advise {broker} --format json"));
        assert_eq!(seen.code, Some(0), "{seen}");
        serde_json::from_str(&seen.stdout).unwrap()
    };
    let (known, file) = (advice("tls12-rsa-plain"), advice("./tls12-rsa-plain.toml"));
    let first = |advice: &serde_json::Value| advice["connect"][0].clone();
    assert_eq!(first(&known)["client"], "mbedtls-2.4.0/rsa-4096+default");
    assert_eq!(first(&known)["cells"][0]["basis"], "seen");
    assert_eq!(first(&known)["cells"][0].get("like"), None);
    assert_eq!(first(&file)["cells"][0]["basis"], "predicted");
    assert_eq!(first(&file)["cells"][0]["like"], "tls12-rsa-plain");
    assert_eq!(first(&file)["instructions"], first(&known)["instructions"]);
    // The same file as the library's is the library's broker.
    let same = advice("suites/brokers/tls12-rsa-plain.toml");
    assert_eq!(same, known);
}

/// Whatever tells two profiles apart that an application can do has a call.
#[test]
fn every_difference_has_a_line() {
    let library = Library::load(&Project::find().unwrap().suites()).unwrap();
    let essence = |profile: &ClientProfile| ClientProfile {
        name: String::new(),
        summary: String::new(),
        // Another connection, and not another call.
        reconnect: false,
        ..profile.clone()
    };
    for from in library.profiles.values() {
        for to in library.profiles.values() {
            let lines = calls::between(from, to);
            let same = essence(from) == essence(to);
            assert_eq!(lines.is_empty(), same, "{} -> {}: {lines:?}", from.name, to.name);
        }
    }
}
