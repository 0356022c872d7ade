//! Every mistake in a file of the user's gives a message that says where and what to do.

use rstest::rstest;
use suites::suite::SuiteFile;
use suites::{ClientProfile, Library};

#[rstest]
#[case::unknown_key("summary = 'x'\npreste = 'suiteb'\n")]
#[case::unknown_preset("summary = 'x'\npreset = 'suite-b'\n")]
#[case::unknown_version("summary = 'x'\nmin_version = 'TLS1.4'\n")]
#[case::unknown_suite("summary = 'x'\ncipher_suites = ['TLS_RSA_WITH_AES_256_CBC_SHA265']\n")]
#[case::wrong_type("summary = 'x'\ncipher_suites = 'TLS_RSA_WITH_AES_256_CBC_SHA256'\n")]
#[case::missing_summary("preset = 'suiteb'\n")]
#[case::no_toml("summary = \n")]
fn in_a_client_profile(#[case] text: &str) {
    let error = ClientProfile::parse("mine", text, "suites/profiles/mine.toml").unwrap_err();
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    insta::assert_snapshot!(name.rsplit("::").next().unwrap_or_default(), error, text);
}

#[test]
fn in_the_name_of_a_client() {
    let text = "summary = 'x'\n[[cells]]\nclients = ['rsa-16384+suiteb']\nbrokers = ['b']\n";
    let error = SuiteFile::parse("mine", text, "suites/matrix/mine.toml").unwrap_err();
    insta::assert_snapshot!(error);
}

#[test]
fn in_the_name_of_a_broker() {
    let folder = tempfile::tempdir().unwrap();
    let suites = folder.path().join("suites");
    for part in ["profiles", "brokers", "matrix"] {
        std::fs::create_dir_all(suites.join(part)).unwrap();
    }
    std::fs::write(suites.join("profiles/default.toml"), "summary = 'x'\n").unwrap();
    let broker = "summary = 'x'\nsource = 'x'\ncipher_suites = ['0x003d']\n";
    std::fs::write(suites.join("brokers/plain.toml"), broker).unwrap();
    let suite = "summary = 'x'\n[[cells]]\nclients = ['a/b+default']\nbrokers = ['plane']\n";
    std::fs::write(suites.join("matrix/mine.toml"), suite).unwrap();
    insta::assert_snapshot!(Library::load(&suites).unwrap_err());
}

#[test]
fn there_is_no_mistake_in_what_we_ship() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = Library::load(folder).unwrap();
    assert!(library.suites.contains_key("forum"));
    assert_eq!(library.suite("froum").unwrap_err().nearest.as_deref(), Some("forum"));
}
