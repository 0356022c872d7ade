//! An mbedTLS source tree: where it is, which version it is, and which stack it is like.

use super::{OwnError, unreadable};
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use suites::Unknown;

/// What has to be in a tree.
const PARTS: [&str; 2] = ["include/mbedtls", "library"];

/// Headers that state the version: up to 2.28, and from 3.0 on.
const VERSION_HEADERS: [&str; 2] = ["include/mbedtls/build_info.h", "include/mbedtls/version.h"];

/// Version of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
    /// The third.
    pub patch: u32,
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.').map(|part| part.parse().ok());
        let (major, minor) = (parts.next()??, parts.next()??);
        Some(Self { major, minor, patch: parts.next()?? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The version of the tree, from its own headers.
pub(super) fn version(tree: &Path) -> Result<Version, OwnError> {
    for missing in PARTS {
        if !tree.join(missing).is_dir() {
            return Err(OwnError::NoTree { tree: tree.to_owned(), missing });
        }
    }
    // Version 3 has both, and the number in the first.
    let file = VERSION_HEADERS.iter().map(|file| tree.join(file)).find(|file| file.is_file());
    let Some(file) = file else {
        let missing = "include/mbedtls/version.h";
        return Err(OwnError::NoTree { tree: tree.to_owned(), missing });
    };
    let text = std::fs::read(&file).map_err(unreadable(&file))?;
    let text = String::from_utf8_lossy(&text);
    let stated = text.lines().find_map(|line| {
        let mut words = line.trim_start().strip_prefix('#')?.split_whitespace();
        let is_it =
            words.next() == Some("define") && words.next() == Some("MBEDTLS_VERSION_STRING");
        Version::parse(words.next().filter(|_| is_it)?.trim_matches('"'))
    });
    stated.ok_or(OwnError::NoVersion { file })
}

/// The stack's part of the build's name, and the stack of the rig's that the tree is like: one of
/// the same line, such as 2.4 or 2.28.
///
/// A stack that is named after a line (`mbedtls-2.28`) stands for every release of it. One that is
/// named after a release (`mbedtls-2.4.0`) does not: another release has a name of its own, of which
/// nothing is predicted.
pub(super) fn stack(
    firmware: &Path,
    tree: &Path,
    version: Version,
) -> Result<(String, String), OwnError> {
    let line = format!("mbedtls-{}.{}", version.major, version.minor);
    let release = format!("mbedtls-{version}");
    let known = stacks(firmware)?;
    let of_line = |name: &&String| {
        **name == line || name.strip_prefix(&line).is_some_and(|rest| rest.starts_with('.'))
    };
    let like = known.iter().find(|name| **name == release).or_else(|| known.iter().find(of_line));
    match like {
        Some(like) if *like == line => Ok((like.clone(), like.clone())),
        Some(like) => Ok((release, like.clone())),
        None => {
            let known = known.join(", ");
            Err(OwnError::UnknownVersion { tree: tree.to_owned(), version, known })
        }
    }
}

/// The stacks that there are, in the order of names.
fn stacks(firmware: &Path) -> Result<Vec<String>, OwnError> {
    let folder = firmware.join("mbedtls/stacks");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unreadable(&folder))? {
        let entry = entry.map_err(unreadable(&folder))?;
        if entry.path().join("builds.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Where cargo keeps the sources of one of the rig's stacks, of which `firmware` is the project's
/// folder. It downloads them if it has to.
///
/// # Errors
/// [`OwnError`] if there is no such stack, or cargo cannot get it.
pub fn of_stack(firmware: &Path, stack: &str) -> Result<PathBuf, OwnError> {
    let known = stacks(firmware)?;
    if !known.iter().any(|name| name == stack) {
        let known = known.iter().map(String::as_str);
        return Err(Unknown::new("stack", stack, known, "rig list builds").into());
    }
    let folder = firmware.join("mbedtls/stacks").join(stack);
    let failed = |why: String| OwnError::Fetch { stack: stack.to_owned(), why };
    let file = folder.join("builds.toml");
    let text = std::fs::read_to_string(&file).map_err(unreadable(&file))?;
    let table: toml::Table = text.parse().map_err(|error| failed(format!("{error}")))?;
    let text_of = |key: &str| table.get(key).and_then(toml::Value::as_str);
    let (Some(krate), Some(sources)) = (text_of("crate"), text_of("sources")) else {
        return Err(failed("its builds.toml names no crate".to_owned()));
    };
    let mut command = super::super::cargo::metadata(&folder.join("Cargo.toml"))?;
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(reports::transcript::printable(&output.stderr)));
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
    let packages = metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
    let manifest = packages
        .filter(|package| package.get("name").and_then(Value::as_str) == Some(krate))
        .find_map(|package| package.get("manifest_path").and_then(Value::as_str));
    let root = manifest.and_then(|manifest| Path::new(manifest).parent());
    let root = root.ok_or_else(|| failed(format!("cargo does not know where {krate} is")))?;
    Ok(root.join(sources))
}

/// Whether the tree has the Ameba SDKs' hooks for the chip's crypto engine.
pub(super) fn has_hooks(tree: &Path) -> bool {
    let text = std::fs::read(tree.join("library/aes.c")).unwrap_or_default();
    let hook = b"RTL_HW_CRYPTO";
    text.windows(hook.len()).any(|window| window == hook)
}

/// The files of a tree that can reach an image, in the order of names.
pub(super) fn files(tree: &Path) -> Result<Vec<PathBuf>, OwnError> {
    let mut found = Vec::new();
    for part in ["include", "library"] {
        for entry in walkdir::WalkDir::new(tree.join(part)).follow_links(true) {
            let entry = entry.map_err(|error| unreadable(tree)(error.into()))?;
            let ending = entry.path().extension().and_then(|ending| ending.to_str());
            if entry.file_type().is_file() && matches!(ending, Some("c" | "h")) {
                found.push(entry.into_path());
            }
        }
    }
    found.sort();
    Ok(found)
}
