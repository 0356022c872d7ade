//! The table of errors against the headers that it was made from: those of the project's own stacks,
//! as cargo unpacked them to build the firmware.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests are test code, and a skipped one must say so"
)]

use reports::explain::errors;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The stacks in the order of the table's columns, each with the folder of its C sources.
const STACKS: [(&str, &str); 4] = [
    ("mbedtls-2.4.0", "vendor"),
    ("mbedtls-2.16.0", "vendor"),
    ("mbedtls-2.28", "vendor"),
    ("mbedtls-3.6", "mbedtls"),
];

/// Where cargo has the sources of a stack, if it has them: this test downloads nothing.
fn headers(stack: &str, sources: &str) -> Option<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../firmware/mbedtls/stacks")
        .join(stack)
        .join("Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let packages = metadata["packages"].as_array()?;
    let found = packages.iter().find(|package| {
        let name = package["name"].as_str().unwrap_or_default();
        name == "mbedtls-sys-auto" || name == "mbedtls-rs-sys"
    })?;
    let root = Path::new(found["manifest_path"].as_str()?).parent()?.join(sources);
    Some(root.join("include/mbedtls")).filter(|folder| folder.is_dir())
}

/// Names and numbers of the macros in a folder of headers.
fn defined(folder: &Path) -> BTreeSet<(i32, String)> {
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text =
            String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()).into_owned();
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let ["#define", name, value, ..] = words[..] else { continue };
            let number = value.trim_matches(['(', ')']).strip_prefix("-0x");
            let number = number.and_then(|hex| i32::from_str_radix(hex, 16).ok());
            if let (Some(number), Some(name)) = (number, name.strip_prefix("MBEDTLS_ERR_")) {
                found.insert((number, name.to_owned()));
            }
        }
    }
    found
}

#[test]
fn every_error_of_every_stack_is_in_the_table_and_no_other() {
    for (at, (stack, sources)) in STACKS.iter().enumerate() {
        let Some(folder) = headers(stack, sources) else {
            assert!(std::env::var_os("RIG_NO_SKIP").is_none(), "cargo has no sources of {stack}");
            eprintln!("skipped: cargo has not unpacked the sources of {stack} yet");
            continue;
        };
        let table: BTreeSet<_> = errors::all()
            .filter(|(_, _, versions)| versions[at])
            .map(|(number, name, _)| (number, name.to_owned()))
            .collect();
        let defined = defined(&folder);
        assert!(defined.len() > 150, "{stack}: {} errors", defined.len());
        let missing: Vec<_> = defined.difference(&table).collect();
        let added: Vec<_> = table.difference(&defined).collect();
        assert!(
            missing.is_empty() && added.is_empty(),
            "{stack}: missing {missing:?}, added {added:?}"
        );
    }
}
