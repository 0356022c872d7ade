//! The JSON schemas of what the rig writes, made from the types that write it.
//!
//! They are shipped as files in `reports/schema`, for programs that read a run and for people who
//! write those; a test fails if a file and its type drift apart. A schema's version is the `schema`
//! of the document that it describes. It goes up when a field goes away, is renamed or means
//! something else; a reader ignores fields that it does not know, so a new one changes no version.

use crate::{diff, explain, history, record, upgrade};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

/// Name of the file and schema of each document that is made in this crate.
#[must_use]
pub fn files() -> Vec<(&'static str, Value)> {
    vec![
        ("run", document::<record::Run>("run", record::SCHEMA)),
        ("cell", document::<record::CellRecord>("cell", record::SCHEMA)),
        ("diff", document::<diff::Diff>("diff", diff::SCHEMA)),
        ("history", document::<history::History>("history", history::SCHEMA)),
        ("upgrades", document::<upgrade::Upgrades>("upgrades", 1)),
        ("explain", document::<explain::Explanation>("explain", explain::SCHEMA)),
    ]
}

/// The schema of one document. Where it has a field `schema`, that is its version.
#[must_use]
pub fn document<T: JsonSchema>(name: &str, version: u32) -> Value {
    // What the rig itself reads: a field that came later is not in every record of this version.
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let mut schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), json!(format!("urn:rig:{name}:{version}")));
    if let Some(field) = schema.pointer_mut("/properties/schema") {
        *field = json!({ "const": version, "description": "Version of this layout." });
    }
    schema.to_value()
}
