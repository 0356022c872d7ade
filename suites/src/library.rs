//! Everything under the `suites/` folder, read and checked together.

use crate::broker::BrokerProfile;
use crate::cell::CellId;
use crate::file::{self, FileError, nearest};
use crate::known::Known;
use crate::profile::ClientProfile;
use crate::suite::{Suite, SuiteFile};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The profiles and suites that there are, by name.
#[derive(Debug, Clone, Default)]
pub struct Library {
    /// Client profiles, `profiles/*.toml`.
    pub profiles: BTreeMap<String, ClientProfile>,
    /// Broker profiles, `brokers/*.toml`.
    pub brokers: BTreeMap<String, BrokerProfile>,
    /// Suites, `matrix/*.toml`.
    pub suites: BTreeMap<String, Suite>,
    /// Accepted deviations, `known.toml`; the file may be missing.
    pub known: Known,
}

/// Why the `suites/` folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
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
    /// A name that nothing has.
    #[error(transparent)]
    Unknown(#[from] Unknown),
}

/// A name that nothing has, with the nearest one that something has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {kind} {name:?}{}{}", hint(.nearest.as_deref()), listing(.list))]
pub struct Unknown {
    /// What was looked for: `broker`, `client profile`, `suite`, `build`, `board`.
    pub kind: &'static str,
    /// The name as given.
    pub name: String,
    /// The nearest real one, if one is near.
    pub nearest: Option<String>,
    /// The command that lists the real ones.
    pub list: &'static str,
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

fn listing(command: &str) -> String {
    if command.is_empty() { String::new() } else { format!(" (`{command}` shows what there is)") }
}

impl Unknown {
    /// Nothing of this `kind` is called `name`; `known` is what there is.
    #[must_use]
    pub fn new<'a>(
        kind: &'static str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
        list: &'static str,
    ) -> Self {
        let nearest = nearest(name, known).map(str::to_owned);
        Self { kind, name: name.to_owned(), nearest, list }
    }
}

impl Library {
    /// Reads `profiles`, `brokers` and `matrix` below `folder`, and checks that every suite's
    /// profiles and brokers exist. Builds are not known here: the caller checks them.
    ///
    /// # Errors
    /// The first thing that is wrong, with file and line where there is one.
    pub fn load(folder: &Path) -> Result<Self, LibraryError> {
        let profiles = read(&folder.join("profiles"), ClientProfile::parse)?;
        let brokers = read(&folder.join("brokers"), BrokerProfile::parse)?;
        let files = read(&folder.join("matrix"), SuiteFile::parse)?;
        let clients: BTreeSet<_> = files.values().flat_map(SuiteFile::clients).collect();
        let names = brokers.keys().map(String::as_str).collect();
        let resolve =
            |(name, file): (String, SuiteFile)| Ok((name, file.resolve(&clients, &names)?));
        let suites = files.into_iter().map(resolve).collect::<Result<_, LibraryError>>()?;
        let known = known(&folder.join("known.toml"), &suites)?;
        let library = Self { profiles, brokers, suites, known };
        for suite in library.suites.values() {
            for cell in &suite.cells {
                library.check(cell).map_err(|unknown| {
                    let path = folder.join("matrix").join(format!("{}.toml", suite.name));
                    let text = std::fs::read_to_string(&path).unwrap_or_default();
                    file::refuse(&text, &show(&path), &unknown.name, unknown.to_string())
                })?;
            }
        }
        Ok(library)
    }

    /// The suite called `name`.
    ///
    /// # Errors
    /// [`Unknown`] with the nearest real name.
    pub fn suite(&self, name: &str) -> Result<&Suite, Unknown> {
        let known = self.suites.keys().map(String::as_str);
        self.suites.get(name).ok_or_else(|| Unknown::new("suite", name, known, "rig list suites"))
    }

    /// The broker profile called `name`.
    ///
    /// # Errors
    /// [`Unknown`] with the nearest real name.
    pub fn broker(&self, name: &str) -> Result<&BrokerProfile, Unknown> {
        let known = self.brokers.keys().map(String::as_str);
        self.brokers
            .get(name)
            .ok_or_else(|| Unknown::new("broker", name, known, "rig list brokers"))
    }

    /// The client profile called `name`.
    ///
    /// # Errors
    /// [`Unknown`] with the nearest real name.
    pub fn profile(&self, name: &str) -> Result<&ClientProfile, Unknown> {
        let known = self.profiles.keys().map(String::as_str);
        self.profiles
            .get(name)
            .ok_or_else(|| Unknown::new("client profile", name, known, "rig list clients"))
    }

    /// Whether the cell's profile and broker exist.
    ///
    /// # Errors
    /// [`Unknown`] names the first that does not.
    pub fn check(&self, cell: &CellId) -> Result<(), Unknown> {
        self.profile(&cell.client.profile)?;
        self.broker(&cell.broker)?;
        Ok(())
    }
}

fn known(path: &Path, suites: &BTreeMap<String, Suite>) -> Result<Known, LibraryError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Known::default()),
        Err(source) => return Err(LibraryError::Read { path: path.to_owned(), source }),
    };
    let cells: BTreeSet<_> =
        suites.values().flat_map(|suite| &suite.cells).map(ToString::to_string).collect();
    Ok(Known::parse(&text, &show(path), cells.iter().map(String::as_str))?)
}

fn read<T>(
    folder: &Path,
    parse: impl Fn(&str, &str, &str) -> Result<T, FileError>,
) -> Result<BTreeMap<String, T>, LibraryError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| LibraryError::Read { path, source }
    };
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(failed(&path))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let parsed = parse(&name, &text, &show(&path))?;
        found.insert(name, parsed);
    }
    Ok(found)
}

/// The path as a user names it: from the `suites` folder on.
fn show(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    let from = parts.iter().rposition(|part| part == "suites").unwrap_or(0);
    parts.get(from..).unwrap_or_default().join("/")
}
