//! Where the project's folders are.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The checkout that this run works on.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// The checkout around the current folder; else the one that the rig was built from.
    ///
    /// # Errors
    /// If neither has the rig's folders.
    pub fn find() -> Result<Self> {
        let current = std::env::current_dir().context("there is no current folder")?;
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        let root = current.ancestors().chain(built_from).find(|folder| is_root(folder));
        let Some(root) = root else {
            bail!(
                "neither {} nor a folder above it is a checkout of the rig: change into one (it holds suites/matrix and firmware/wire)",
                current.display()
            );
        };
        Ok(Self { root: root.to_owned() })
    }

    /// The top of the checkout.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Profiles, suites and snapshots.
    #[must_use]
    pub fn suites(&self) -> PathBuf {
        self.root.join("suites")
    }

    /// The boards of this desk. `RIG_BENCH` names a file that several checkouts share.
    #[must_use]
    pub fn bench(&self) -> PathBuf {
        let shared = std::env::var_os("RIG_BENCH").map(PathBuf::from);
        shared.unwrap_or_else(|| self.root.join(crate::bench::FILE))
    }

    /// What the rig makes and may make again: images, keys, runs. Below cargo's target folder, so
    /// that `cargo clean` removes it.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        match std::env::var_os("CARGO_TARGET_DIR") {
            Some(target) => self.root.join(target).join("rig"),
            None => self.root.join("target").join("rig"),
        }
    }

    /// One folder for each run.
    #[must_use]
    pub fn runs(&self) -> PathBuf {
        self.cache().join("runs")
    }
}

fn is_root(folder: &Path) -> bool {
    folder.join("suites/matrix").is_dir() && folder.join("firmware/wire").is_dir()
}
