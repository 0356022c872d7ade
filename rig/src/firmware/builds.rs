//! The builds there are: `builds.toml` of each stack.

use super::own::PREFIX;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use suites::BuildName;
use suites::file::{self, FileError};

/// One build of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildInfo {
    /// `<stack>/<variant>`.
    pub name: BuildName,
    /// `MBEDTLS_SSL_MAX_CONTENT_LEN` in bytes.
    pub content_length: u32,
    /// The macro set's header.
    pub header: String,
    /// Why there is no image of it for an ameba1, if there is none.
    pub too_large_for_ameba1: Option<String>,
    /// One line for `rig list builds`.
    pub summary: String,
    /// With a user's own build: a `#define` for each of the library's macros that hold.
    pub macros: Option<String>,
}

impl BuildInfo {
    /// What it is, in one line.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{} ({}, {} byte records)", self.summary, self.header, self.content_length)
    }
}

/// Why the builds cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum BuildsError {
    /// A folder or file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A file says something that it may not.
    #[error(transparent)]
    File(#[from] FileError),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStack {
    /// The crate that carries the C sources, and the folder in it; the build script's business.
    #[serde(rename = "crate")]
    _krate: String,
    #[serde(rename = "sources")]
    _sources: String,
    builds: BTreeMap<String, RawBuild>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBuild {
    header: String,
    content_length: u32,
    too_large_for_ameba1: Option<String>,
    summary: String,
}

/// Reads every stack below `folder`, in the order of names.
pub(super) fn read(folder: &Path) -> Result<Vec<BuildInfo>, BuildsError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| BuildsError::Read { path, source }
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let stack = entry.map_err(failed(folder))?.path();
        let file = stack.join("builds.toml");
        if !file.is_file() {
            continue;
        }
        let text = std::fs::read_to_string(&file).map_err(failed(&file))?;
        let name = stack.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.extend(parse(&name, &text)?);
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn parse(stack: &str, text: &str) -> Result<Vec<BuildInfo>, FileError> {
    let file_name = format!("firmware/mbedtls/stacks/{stack}/builds.toml");
    let raw: RawStack = file::parse(text, &file_name)?;
    let build = |(variant, raw): (String, RawBuild)| {
        if variant.starts_with(PREFIX) {
            let why = format!("names that begin with {PREFIX} are those of a user's own builds");
            return Err(file::refuse(text, &file_name, &format!("builds.{variant}"), why));
        }
        let name = format!("{stack}/{variant}").parse().map_err(|error: suites::NameError| {
            file::refuse(text, &file_name, &variant, error.to_string())
        })?;
        let RawBuild { header, content_length, summary, too_large_for_ameba1 } = raw;
        Ok(BuildInfo { name, content_length, header, summary, too_large_for_ameba1, macros: None })
    };
    raw.builds.into_iter().map(build).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "crate = 'c'\nsources = 's'\n[builds.rsa-4096]\nheader = 'h.h'\n\
                        content_length = 4096\nsummary = 'small'\n";

    #[test]
    fn builds_are_named_after_stack_and_variant() {
        let builds = parse("mbedtls-9", TEXT).unwrap();
        assert_eq!(builds[0].name.as_str(), "mbedtls-9/rsa-4096");
        assert_eq!(builds[0].describe(), "small (h.h, 4096 byte records)");
    }

    #[test]
    fn a_mistyped_key_is_named() {
        let error = parse("mbedtls-9", &TEXT.replace("content_length", "content_lenght"));
        assert!(error.unwrap_err().to_string().contains("did you mean `content_length`?"));
    }
}
