//! `rig list builds`: every build, and what its image takes of an `ameba1`'s memory.
//!
//! Sizes are those of images that are in the cache; `--build` makes those that are not.

use crate::firmware::{BuildError, Builder, Image, Layout, Target};
use crate::terminal::Terminal;
use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::Serialize;
use suites::BuildName;

/// The board whose memory is scarce: an image for it has to fit.
const TARGET: Target = Target::Ameba1;

/// One build.
#[derive(Serialize, JsonSchema)]
pub(in crate::cmd) struct Build {
    name: String,
    about: String,
    ameba1: Memory,
    /// With a user's own build: what it is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    own: Option<serde_json::Value>,
}

/// What is known of its image.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Memory {
    /// There is one.
    Built {
        /// Its content hash, as the board tells it.
        image: String,
        #[serde(flatten)]
        layout: Layout,
    },
    /// There is none in the cache.
    NotBuilt,
    /// There can be none.
    CannotBuild { why: String },
}

/// Looks at every build; makes the missing images if `build` says so.
pub(super) fn rows(builder: &Builder, build: bool, terminal: &mut Terminal) -> Result<Vec<Build>> {
    let mut rows = Vec::new();
    for info in builder.builds()? {
        let (name, about) = (info.name.to_string(), info.describe());
        let ameba1 = match info.too_large_for_ameba1 {
            Some(why) => Memory::CannotBuild { why },
            None => memory(builder, &info.name, build, terminal)?,
        };
        let own = builder.own().iter().find(|own| own.name == info.name);
        let own = own.map(|own| serde_json::to_value(own.summary())).transpose()?;
        rows.push(Build { name, about, ameba1, own });
    }
    terminal.done();
    Ok(rows)
}

fn memory(
    builder: &Builder,
    name: &BuildName,
    build: bool,
    terminal: &mut Terminal,
) -> Result<Memory> {
    let found = if build {
        let progress = &mut |progress: crate::firmware::Progress| {
            terminal.working(&progress.to_string());
        };
        builder.image(name, TARGET, progress).map(Some)
    } else {
        builder.find(name, TARGET)
    };
    match found {
        Ok(Some(image)) => {
            let layout = read(&image)?;
            Ok(Memory::Built { image: image.id, layout })
        }
        Ok(None) => Ok(Memory::NotBuilt),
        // Only asked for by the way; whoever wants an image is told by an error.
        Err(error @ BuildError::Toolchain(_)) if !build => {
            Ok(Memory::CannotBuild { why: error.to_string() })
        }
        Err(error) => Err(error.into()),
    }
}

fn read(image: &Image) -> Result<Layout> {
    let path = image.path.display();
    let bytes = std::fs::read(&image.path).with_context(|| format!("cannot read {path}"))?;
    Layout::read(&bytes).with_context(|| format!("{path} is no firmware image; remove it"))
}

/// For people: the build, and below it the board's memory.
pub(super) fn describe(rows: &[Build]) -> String {
    let heads: Vec<_> = rows.iter().map(|row| (row.name.clone(), row.about.clone())).collect();
    let heads = crate::cmd::columns(&heads);
    let lines = heads.lines().zip(rows).map(|(head, row)| {
        let below = match &row.ameba1 {
            Memory::Built { layout, .. } => layout.describe().join("\n            "),
            Memory::NotBuilt => {
                "not built yet: `cargo rig list builds --build` makes it and prints its memory map"
                    .to_owned()
            }
            Memory::CannotBuild { why } => why.clone(),
        };
        format!("{head}\n    {}: {below}\n", TARGET.name())
    });
    lines.collect()
}
