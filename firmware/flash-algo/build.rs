//! Checks that one chip is chosen and says how the algorithm is linked.

use std::{env, error::Error};

/// Cargo features that name a chip.
const CHIPS: [&str; 2] = ["CARGO_FEATURE_RTL8195A", "CARGO_FEATURE_MPS2_AN385"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=link.x");
    if CHIPS.iter().filter(|feature| env::var_os(feature).is_some()).count() != 1 {
        return Err("choose exactly one chip by its cargo feature".into());
    }
    let folder = env::var("CARGO_MANIFEST_DIR")?;
    for argument in ["-nostartfiles", "-mcpu=cortex-m3", "-mthumb", "-Wl,--gc-sections"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rustc-link-arg-bins=-T{folder}/link.x");
    Ok(())
}
