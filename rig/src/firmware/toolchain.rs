//! Which compiler here can build for the Cortex-M3.
//!
//! Two kinds will do: one whose core library for the target is installed (rustup's target), and one
//! that carries the core library's source, which cargo then builds as well (Debian's `rust-web-src`,
//! rustup's `rust-src`). Looking starts no program: everything is told by files.

use std::fmt;
use std::path::{Path, PathBuf};

/// The target's name, as rustc knows it.
pub(super) const THUMB: &str = "thumbv7m-none-eabi";

/// A compiler that can build for the Cortex-M3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler.
    pub rustc: PathBuf,
    /// The cargo that belongs to it.
    pub cargo: PathBuf,
    /// Whether the core library has to be built from source.
    pub build_core: bool,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how =
            if self.build_core { "with the core library's source" } else { "with its target" };
        write!(f, "{} ({how})", self.rustc.display())
    }
}

/// Something that a build needs and this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is missing here: {mend}")]
pub struct MissingTool {
    /// What.
    pub what: &'static str,
    /// The command that gets it.
    pub mend: &'static str,
}

/// The program of this name on the search path.
#[must_use]
pub fn which(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The best compiler here for the Cortex-M3: one with the target, else one with the source.
///
/// # Errors
/// [`MissingTool`] with the commands that get one.
pub fn toolchain() -> Result<Toolchain, MissingTool> {
    choose(&candidates()).ok_or(MissingTool {
        what: "a Rust compiler for thumbv7m-none-eabi",
        mend: "run `rustup target add thumbv7m-none-eabi` (or, on Debian, `apt-get install rustc-web cargo-web rust-web-src`), or let `cargo rig run --setup` do it",
    })
}

/// Every installation that might do, as the folder that holds `bin` and `lib`, best first.
fn candidates() -> Vec<PathBuf> {
    let mut prefixes = Vec::new();
    // The toolchain that runs us: what a user has chosen.
    if let Some(cargo) = std::env::var_os("CARGO") {
        prefixes.extend(prefix_of(Path::new(&cargo)));
    }
    prefixes.extend(rustup_toolchains());
    if let Some(path) = std::env::var_os("PATH") {
        let compilers = std::env::split_paths(&path).map(|folder| folder.join("rustc"));
        prefixes.extend(compilers.filter_map(|rustc| prefix_of(&rustc)));
    }
    prefixes.push(PathBuf::from("/usr"));
    prefixes
}

fn prefix_of(program: &Path) -> Option<PathBuf> {
    Some(program.canonicalize().ok()?.parent()?.parent()?.to_owned())
}

fn rustup_toolchains() -> Vec<PathBuf> {
    let home = std::env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".rustup")));
    let folders = home.and_then(|home| std::fs::read_dir(home.join("toolchains")).ok());
    let mut found: Vec<_> = folders.into_iter().flatten().flatten().map(|e| e.path()).collect();
    found.sort();
    found
}

fn choose(prefixes: &[impl AsRef<Path>]) -> Option<Toolchain> {
    let usable: Vec<_> = prefixes.iter().filter_map(|prefix| look(prefix.as_ref())).collect();
    let with_target = usable.iter().find(|toolchain| !toolchain.build_core);
    with_target.or(usable.first()).cloned()
}

/// What the installation at `prefix` can do; `None` if it cannot build the firmware.
fn look(prefix: &Path) -> Option<Toolchain> {
    let (rustc, cargo) = (prefix.join("bin/rustc"), prefix.join("bin/cargo"));
    let libraries = prefix.join("lib/rustlib");
    let target = libraries.join(THUMB).join("lib").is_dir();
    let source = libraries.join("src/rust/library/core/Cargo.toml");
    let complete = rustc.is_file() && cargo.is_file() && (target || source.is_file());
    let fit = complete && !is_old(&libraries.join("multirust-channel-manifest.toml"), &source);
    fit.then_some(Toolchain { rustc, cargo, build_core: !target })
}

/// Whether a compiler is known to be older than the firmware allows. It would be slow to ask it, so
/// rustup's record of what it installed must do. A distribution has no such record: there the core
/// library's source tells, which has been of edition 2024 for about as long as the firmware needs.
/// Where nothing tells, cargo will, with a clear message.
fn is_old(rustup_record: &Path, core_manifest: &Path) -> bool {
    if let Ok(record) = std::fs::read_to_string(rustup_record) {
        let version = record.split_once("[pkg.rustc]\nversion = \"").map(|(_, rest)| rest);
        let needed = number(env!("CARGO_PKG_RUST_VERSION"));
        return version.and_then(number).is_some_and(|version| Some(version) < needed);
    }
    let manifest = std::fs::read_to_string(core_manifest).unwrap_or_default();
    manifest.contains("edition = \"2018\"") || manifest.contains("edition = \"2021\"")
}

/// Major and minor number at the start of a version, for example (1, 95) of `1.95.0 (5980761 ...`.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn install(root: &Path, name: &str, files: &[&str]) -> PathBuf {
        let prefix = root.join(name);
        for file in ["bin/rustc", "bin/cargo"].iter().chain(files) {
            let path = prefix.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        prefix
    }

    #[test]
    fn a_compiler_with_the_target_is_better_than_one_with_the_source() {
        let root = tempfile::tempdir().unwrap();
        let bare = install(root.path(), "bare", &[]);
        let source = install(root.path(), "src", &["lib/rustlib/src/rust/library/core/Cargo.toml"]);
        let target =
            install(root.path(), "t", &["lib/rustlib/thumbv7m-none-eabi/lib/libcore.rlib"]);
        assert_eq!(choose(&[&bare]), None);
        let chosen = choose(&[&bare, &source]).unwrap();
        assert!(chosen.build_core && chosen.rustc.starts_with(&source));
        let chosen = choose(&[&bare, &source, &target]).unwrap();
        assert!(!chosen.build_core && chosen.rustc.starts_with(&target));
    }

    #[test]
    fn an_old_compiler_is_passed_over_without_being_asked() {
        let root = tempfile::tempdir().unwrap();
        let library = "lib/rustlib/thumbv7m-none-eabi/lib/libcore.rlib";
        let record = "lib/rustlib/multirust-channel-manifest.toml";
        let write = |prefix: &Path, file: &str, text: &str| {
            fs::write(prefix.join(file), text).unwrap();
        };
        let old = install(root.path(), "old", &[library, record]);
        write(
            &old,
            record,
            "[pkg.rust]\nversion = \"9.9\"\n[pkg.rustc]\nversion = \"1.70.0 (x)\"\n",
        );
        assert_eq!(choose(&[&old]), None);
        let core = "lib/rustlib/src/rust/library/core/Cargo.toml";
        let distribution = install(root.path(), "usr", &[core]);
        write(&distribution, core, "[package]\nedition = \"2021\"\n");
        assert_eq!(choose(&[&distribution]), None);
        write(&distribution, core, "[package]\nedition = \"2024\"\n");
        write(&old, record, "[pkg.rustc]\nversion = \"1.100.0 (x)\"\n");
        assert!(choose(&[&distribution]).unwrap().build_core);
        assert!(choose(&[&distribution, &old]).unwrap().rustc.starts_with(&old));
    }
}
