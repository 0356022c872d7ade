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
#[error("{what} is missing here: {mend}, or let `cargo rig run --setup` do it")]
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
        mend: "run `rustup target add thumbv7m-none-eabi` (or, on Debian, `apt-get install rustc-web cargo-web rust-web-src`)",
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

fn choose(prefixes: &[PathBuf]) -> Option<Toolchain> {
    let usable: Vec<_> = prefixes.iter().filter_map(|prefix| look(prefix)).collect();
    let with_target = usable.iter().find(|toolchain| !toolchain.build_core);
    with_target.or(usable.first()).cloned()
}

/// What the installation at `prefix` can do.
fn look(prefix: &Path) -> Option<Toolchain> {
    let (rustc, cargo) = (prefix.join("bin/rustc"), prefix.join("bin/cargo"));
    let libraries = prefix.join("lib/rustlib");
    let target = libraries.join(THUMB).join("lib").is_dir();
    let source = libraries.join("src/rust/library/core/Cargo.toml").is_file();
    let complete = rustc.is_file() && cargo.is_file() && (target || source);
    complete.then_some(Toolchain { rustc, cargo, build_core: !target })
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
        assert_eq!(choose(&[bare.clone()]), None);
        let chosen = choose(&[bare.clone(), source.clone()]).unwrap();
        assert!(chosen.build_core && chosen.rustc.starts_with(&source));
        let chosen = choose(&[bare, source, target.clone()]).unwrap();
        assert!(!chosen.build_core && chosen.rustc.starts_with(&target));
    }
}
