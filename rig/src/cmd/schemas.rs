//! The shipped schemas of what commands print are those of their types, see [`reports::schema`].

use super::{flash, list, predict, report};
use crate::advise::Advice;
use crate::{backup, capture, doctor, first_contact};
use reports::schema::document;
use std::fs;
use std::path::Path;

#[test]
fn files_and_types_have_not_drifted_apart() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports/schema");
    for (name, schema) in [
        ("list", document::<Vec<list::Row>>("list", 1)),
        ("predict", document::<predict::Answer>("predict", 1)),
        ("boards", document::<list::boards::Boards>("boards", 1)),
        ("builds", document::<Vec<list::builds::Build>>("builds", 1)),
        ("clients", document::<Vec<list::ClientRow>>("clients", 1)),
        ("advise", document::<Advice>("advise", 1)),
        ("capture", document::<capture::File>("capture", 1)),
        ("report", document::<report::Answer>("report", 1)),
        ("flash", document::<flash::Report>("flash", 1)),
        ("backup", document::<backup::Copy>("backup", 1)),
        ("doctor", document::<Vec<doctor::Checkup>>("doctor", 1)),
        ("doctor-board", document::<Vec<first_contact::Step>>("doctor-board", 1)),
    ] {
        let mut text = serde_json::to_string_pretty(&schema).unwrap();
        text.push('\n');
        let file = folder.join(format!("{name}.schema.json"));
        if std::env::var_os("RIG_WRITE_SCHEMAS").is_some() {
            fs::write(&file, &text).unwrap();
        }
        let shipped = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            shipped == text,
            "reports/schema/{name}.schema.json is not that of its type: RIG_WRITE_SCHEMAS=1 cargo test -p rig --lib schemas writes it"
        );
    }
}
