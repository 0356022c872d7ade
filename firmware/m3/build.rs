//! Chooses the board's memory map and says how the image is linked.

use std::path::PathBuf;
use std::{env, error::Error, fs};

/// Cargo features that name a board, each with its linker script under `memory/`.
const BOARDS: [(&str, &str); 2] = [
    ("CARGO_FEATURE_AMEBA1", "memory/ameba1.x"),
    ("CARGO_FEATURE_MPS2_AN385", "memory/mps2_an385.x"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=memory");
    let mut chosen = BOARDS.iter().filter(|(feature, _)| env::var_os(feature).is_some());
    let (Some((_, script)), None) = (chosen.next(), chosen.next()) else {
        return Err("choose exactly one board by its cargo feature".into());
    };

    // The link script of cortex-m-rt includes a file of this name from the search path.
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::copy(script, out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());

    // rustc asks gcc for no libraries at all (-nodefaultlibs), so newlib-nano and libgcc are named.
    // They refer to each other, hence the group.
    for argument in [
        "-nostartfiles",
        "-mcpu=cortex-m3",
        "-mthumb",
        "--specs=nano.specs",
        "-Wl,--gc-sections",
        "-Wl,--start-group",
        "-lc_nano",
        "-lgcc",
        "-Wl,--end-group",
    ] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rustc-link-arg-bin=m3=-Tlink.x");
    let image1 = fs::canonicalize("memory/ameba1_image1.x")?;
    println!("cargo::rustc-link-arg-bin=ameba1_image1=-T{}", image1.display());
    Ok(())
}
