//! The schema files are those of the types, and what real runs wrote keeps to them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use common::{hostile, recorded, troubled};
use jsonschema::Validator;
use reports::diff::{Book, Diff};
use reports::history::History;
use reports::schema;
use rstest::rstest;
use serde::Serialize;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(format!("{name}.schema.json"))
}

/// The shipped schema, which forbids fields that it does not name: a reader may ignore those, but
/// here each would be one that the schema forgot.
fn strict(name: &str) -> Validator {
    let mut schema: Value = serde_json::from_slice(&fs::read(file(name)).unwrap()).unwrap();
    forbid_others(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
}

fn forbid_others(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") {
                fields.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
            }
            fields.values_mut().for_each(forbid_others);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_others),
        _ => {}
    }
}

#[test]
fn files_and_types_have_not_drifted_apart() {
    for (name, schema) in schema::files() {
        let mut text = serde_json::to_string_pretty(&schema).unwrap();
        text.push('\n');
        if std::env::var_os("RIG_WRITE_SCHEMAS").is_some() {
            fs::create_dir_all(file(name).parent().unwrap()).unwrap();
            fs::write(file(name), &text).unwrap();
        }
        let shipped = fs::read_to_string(file(name)).unwrap_or_default();
        assert!(
            shipped == text,
            "reports/schema/{name}.schema.json is not that of its type: if a field went away or means something else, raise its SCHEMA; then RIG_WRITE_SCHEMAS=1 cargo test -p reports --test schema writes the file"
        );
    }
}

#[test]
fn the_index_names_every_schema_and_no_other() {
    let folder = file("run").parent().unwrap().to_owned();
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    let named =
        |name: &str| index.lines().filter(|line| line.contains(&format!("`{name}`"))).count();
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".schema.json") {
            files += 1;
            assert_eq!(named(&name), 1, "{name} in {}/README.md", folder.display());
        }
    }
    assert_eq!(index.matches(".schema.json").count(), files);
}

fn check(validator: &Validator, document: &impl Serialize) {
    let value = serde_json::to_value(document).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn what_real_runs_wrote_keeps_to_the_schemas() {
    let (run, cell) = (strict("run"), strict("cell"));
    for kind in ["native", "qemu"] {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs").join(format!("forum-{kind}"));
        // The files as they are, not what a reader makes of them.
        let frame: Value =
            serde_json::from_slice(&fs::read(folder.join("run.json")).unwrap()).unwrap();
        check(&run, &frame);
        let text = fs::read_to_string(folder.join("cells.jsonl")).unwrap();
        assert_eq!(text.lines().count(), 20);
        for line in text.lines() {
            check(&cell, &serde_json::from_str::<Value>(line).unwrap());
        }
    }
}

#[test]
fn every_verdict_and_hostile_text_keep_to_the_schemas() {
    let (run, cell) = (strict("run"), strict("cell"));
    for recorded in [troubled(), hostile()] {
        check(&run, &recorded.run);
        recorded.cells.iter().for_each(|record| check(&cell, record));
    }
    let (before, after) = (recorded("qemu"), troubled());
    let diff = Diff::between(&Book::of_run(&before), &Book::of_run(&after));
    assert!(diff.cells.len() > 3);
    check(&strict("diff"), &diff);
    check(&strict("history"), &History::of([before, after, hostile()]));
}

#[rstest]
#[case::another_version("run", "/schema", "2")]
#[case::no_number("run", "/seed", "\"7\"")]
#[case::no_verdict("cell", "/verdict", "\"splendid\"")]
#[case::no_cause("cell", "/diagnosis/cause", "\"bad luck\"")]
#[case::no_result("cell", "/outcome/result", "null")]
#[case::a_number("cell", "/latency/total", "-1")]
fn what_is_no_record_is_refused(#[case] name: &str, #[case] field: &str, #[case] value: &str) {
    let recorded = recorded("qemu");
    let mut document = match name {
        "run" => serde_json::to_value(&recorded.run).unwrap(),
        _ => serde_json::to_value(&recorded.cells[0]).unwrap(),
    };
    let validator = strict(name);
    check(&validator, &document);
    *document.pointer_mut(field).unwrap() = serde_json::from_str(value).unwrap();
    assert!(!validator.is_valid(&document), "{field} = {value}");
}
