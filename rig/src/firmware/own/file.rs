//! A user's builds file: several builds of their own by name.
//!
//! ```toml
//! stack_dir = "../sdk/component/common/network/ssl/mbedtls-2.4.0"   # or: stack = "mbedtls-2.4.0"
//!
//! [builds.shipped]
//! header = "config_shipped.h"
//!
//! [builds.next]
//! header = "config_next.h"
//! summary = "with ECDHE"
//! ```
//!
//! As `builds.toml` of the rig's own stacks; where that names a crate, this names a folder. Paths are
//! taken from the file's folder on. The content length is the header's.

use super::{OwnError, Sources, Wanted, unreadable};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use suites::file;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    stack_dir: Option<PathBuf>,
    stack: Option<String>,
    builds: BTreeMap<String, RawBuild>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBuild {
    header: PathBuf,
    summary: Option<String>,
}

pub(super) fn read(path: &Path) -> Result<Vec<Wanted>, OwnError> {
    let text = std::fs::read_to_string(path).map_err(unreadable(path))?;
    let shown = path.display().to_string();
    let raw: RawFile = file::parse(&text, &shown)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let sources = match (raw.stack_dir, raw.stack) {
        (Some(tree), None) => Sources::Folder(folder.join(tree)),
        (None, Some(stack)) => Sources::Stack(stack),
        _ => {
            let why = "a builds file of your own says where the C sources come from: either stack_dir = \"DIR\" or stack = \"mbedtls-2.4.0\"";
            return Err(file::refuse(&text, &shown, "stack", why.to_owned()).into());
        }
    };
    if raw.builds.is_empty() {
        let why = "there is no build in it: write [builds.NAME] with header = \"FILE\"";
        return Err(file::refuse(&text, &shown, "builds", why.to_owned()).into());
    }
    let wanted = |(name, raw): (String, RawBuild)| Wanted {
        name,
        header: folder.join(raw.header),
        sources: sources.clone(),
        summary: raw.summary,
    };
    Ok(raw.builds.into_iter().map(wanted).collect())
}
