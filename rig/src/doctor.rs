//! What this machine has for each kind of board, what it lacks, and which command mends that.

use crate::bench::{self, Bench, discover};
use crate::board::Kind;
use crate::firmware;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

/// One thing that a kind of board needs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Need {
    /// What it is for.
    pub what: &'static str,
    /// Where it was found; missing if it was not.
    pub found: Option<String>,
    /// The command that gets it, if it is missing.
    pub mend: Option<&'static str>,
}

/// What a kind of board has and lacks here.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Checkup {
    /// The kind's name.
    pub board: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Whether it can run.
    pub ready: bool,
    /// One by one.
    pub needs: Vec<Need>,
}

/// Debian's packages for the emulated board.
pub const QEMU_PACKAGES: [&str; 3] =
    ["qemu-system-arm", "gcc-arm-none-eabi", "libnewlib-arm-none-eabi"];

/// Looks at this machine for one kind of board. Starts no program.
#[must_use]
pub fn check(kind: Kind, bench: &Bench) -> Checkup {
    let mut needs = vec![
        tool("C compiler", &["cc", "gcc", "clang"], "apt-get install gcc"),
        tool("perl, to build OpenSSL for the brokers", &["perl"], "apt-get install perl"),
        tool("make, to build OpenSSL for the brokers", &["make"], "apt-get install make"),
    ];
    if kind == Kind::Qemu {
        needs.push(tool("emulator", &["qemu-system-arm"], "apt-get install qemu-system-arm"));
    }
    if kind != Kind::Native {
        needs.push(tool(
            "C compiler for Cortex-M",
            &["arm-none-eabi-gcc"],
            "apt-get install gcc-arm-none-eabi",
        ));
        needs.push(newlib());
        needs.push(rust_for_m3());
    }
    if kind == Kind::Ameba1 {
        needs.push(board(bench));
    }
    let ready = needs.iter().all(|need| need.found.is_some());
    Checkup { board: kind.name(), about: kind.describe(), ready, needs }
}

fn tool(what: &'static str, names: &[&str], mend: &'static str) -> Need {
    let found = names.iter().find_map(|name| firmware::which(name));
    found_or(what, found.map(|path| path.display().to_string()), mend)
}

fn found_or(what: &'static str, found: Option<String>, mend: &'static str) -> Need {
    let mend = found.is_none().then_some(mend);
    Need { what, found, mend }
}

/// The C library for Cortex-M, wherever this distribution keeps it.
fn newlib() -> Need {
    let places = ["/usr/lib/arm-none-eabi/include", "/usr/arm-none-eabi/include"];
    let beside_gcc = firmware::which("arm-none-eabi-gcc")
        .and_then(|gcc| gcc.canonicalize().ok())
        .and_then(|gcc| Some(gcc.parent()?.parent()?.join("arm-none-eabi/include")));
    let found = places
        .iter()
        .map(PathBuf::from)
        .chain(beside_gcc)
        .map(|folder| folder.join("newlib.h"))
        .find(|header| header.is_file());
    found_or(
        "C library for Cortex-M (newlib)",
        found.map(|path| path.display().to_string()),
        "apt-get install libnewlib-arm-none-eabi",
    )
}

/// The attached boards. Whether they answer is looked at by `rig doctor --board`.
fn board(bench: &Bench) -> Need {
    let attached = match bench.of_kind(Kind::Ameba1).next() {
        // Nobody has to look at USB for that.
        None => Vec::new(),
        Some(_) => discover::attached(bench),
    };
    let plugged_in = |board: &&bench::Board| {
        attached.iter().any(|probe| probe.board.as_ref() == Some(&board.name))
    };
    let (there, away): (Vec<_>, Vec<_>) = bench.of_kind(Kind::Ameba1).partition(plugged_in);
    let names = |boards: &[&bench::Board]| {
        boards.iter().map(|board| board.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let mend = match away.is_empty() {
        true => "plug one in and paste the entry that `cargo rig list boards` prints",
        false => {
            "the probe of no board in bench.toml is plugged in; `cargo rig list boards` shows what is"
        }
    };
    found_or("board in bench.toml", (!there.is_empty()).then(|| names(&there)), mend)
}

fn rust_for_m3() -> Need {
    found_or(
        "Rust for thumbv7m-none-eabi",
        firmware::toolchain().ok().map(|toolchain| toolchain.to_string()),
        "rustup target add thumbv7m-none-eabi (or, on Debian: apt-get install rustc-web cargo-web rust-web-src)",
    )
}

/// The best kind of board that can run here, with the sentence that says which and why.
#[must_use]
pub fn choose(bench: &Bench) -> (Kind, String) {
    let attached = check(Kind::Ameba1, bench);
    if attached.ready {
        return (Kind::Ameba1, "attached hardware tells most".to_owned());
    }
    // A bench without such a board is nothing that anybody misses.
    let why_not = match bench.of_kind(Kind::Ameba1).next() {
        None => "no board is attached".to_owned(),
        Some(_) => format!("the attached board lacks: {}", lacking(&attached)),
    };
    let qemu = check(Kind::Qemu, bench);
    if qemu.ready {
        return (Kind::Qemu, format!("{why_not}; the emulated one can run here"));
    }
    (
        Kind::Native,
        format!(
            "{why_not}; the emulated one lacks: {}; `cargo rig run --setup` installs it, `cargo rig doctor` shows the commands",
            lacking(&qemu)
        ),
    )
}

fn lacking(checkup: &Checkup) -> String {
    let needs = checkup.needs.iter().filter(|need| need.found.is_none());
    needs.map(|need| need.what).collect::<Vec<_>>().join(", ")
}
