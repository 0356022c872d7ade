//! A broker that a command is given: by its name in the library, or as a file, such as a capture makes.

use anyhow::{Context, Result};
use std::path::Path;
use suites::{BrokerProfile, Library};

/// What has a slash in it or ends in `.toml` is a file, anything else a name.
pub(super) fn named(broker: &str, library: &Library) -> Result<BrokerProfile> {
    let path = Path::new(broker);
    if !broker.contains('/') && path.extension().is_none_or(|ending| ending != "toml") {
        return Ok(library.broker(broker)?.clone());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {broker}"))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok(BrokerProfile::parse(&name, &text, broker)?)
}
