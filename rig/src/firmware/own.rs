//! A user's own build: an edited header over an mbedTLS source tree.
//!
//! ```text
//! tree --version.h--> version --> stack of the same line: what is known of it
//! header --C preprocessor--> macros --overrides--> a header of ours that includes the user's and
//!                                                  undoes what cannot run on the DUT
//! tree + that header --build.rs--> image, cached by the bytes of both
//! ```
//!
//! The tree is a user's (an SDK's copy, for example), or that of one of the rig's stacks. What is
//! undone is told before anything is built: with each macro what it was, and why it cannot stay.
//!
//! The name is `<stack>/own-<name>`, where no build of the rig's own can be. It stays the same while
//! the header is edited, so that a snapshot shows what an edit has changed; the image, and the
//! ClientHello that predictions are made from, follow the bytes.

mod file;
mod overrides;
mod survey;
mod tree;

pub use overrides::Override;
pub(super) use survey::first_error;
pub use tree::{Version, of_stack as tree_of_stack};

use super::BuildInfo;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use suites::file::FileError;
use suites::{BuildName, NameError};

/// Stands before the name of every build that is a user's own.
pub const PREFIX: &str = "own-";

/// One build that a user asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name, without what is put before it.
    pub name: String,
    /// The edited header.
    pub header: PathBuf,
    /// Where the C sources come from.
    pub sources: Sources,
    /// One line for `rig list builds`.
    pub summary: Option<String>,
}

/// Where the C sources of a user's own build come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sources {
    /// A folder of the user's that holds `include/mbedtls` and `library`.
    Folder(PathBuf),
    /// One of the rig's stacks.
    Stack(String),
}

impl Wanted {
    /// A build named after its header.
    #[must_use]
    pub fn named_after(header: &Path, sources: Sources) -> Self {
        let stem = header.file_stem().unwrap_or_default().to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name = stem.chars().map(|c| if plain(c) { c } else { '_' }).collect();
        Self { name, header: header.to_owned(), sources, summary: None }
    }

    /// The builds of a user's file.
    ///
    /// # Errors
    /// [`OwnError`] says file and line.
    pub fn read(path: &Path) -> Result<Vec<Self>, OwnError> {
        file::read(path)
    }
}

/// A user's own build, looked at and ready to be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// `<stack>/own-<name>`.
    pub name: BuildName,
    /// What the tree says it is.
    pub version: Version,
    /// The stack of the rig's whose ways the tree is taken to have.
    pub like: String,
    /// Folder of the C sources.
    pub tree: PathBuf,
    /// The edited header.
    pub header: PathBuf,
    /// What is undone or added, in the order of names.
    pub overrides: Vec<Override>,
    /// Bytes of the record buffer for what comes in.
    pub content_length: u32,
    /// A `#define` for each macro of the library's that holds in the end.
    pub macros: String,
    /// One line for `rig list builds`.
    pub summary: String,
    /// The header that the library is compiled with, which includes the user's.
    pub(super) config: String,
    /// The user's header and those that it includes from beside it.
    headers: Vec<PathBuf>,
}

/// Why a user's own build cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// The folder is none of sources.
    #[error(
        "{} is no mbedTLS source tree: it has no {missing}; name the folder that holds include/mbedtls and library (in the Ameba1 SDK: component/common/network/ssl/mbedtls-2.4.0)",
        tree.display()
    )]
    NoTree {
        /// The folder.
        tree: PathBuf,
        /// What is not there.
        missing: &'static str,
    },
    /// The tree does not say its version.
    #[error(
        "{} states no MBEDTLS_VERSION_STRING such as \"2.4.0\": restore it from the tree's origin",
        file.display()
    )]
    NoVersion {
        /// The header that should.
        file: PathBuf,
    },
    /// A version that no stack is like.
    #[error(
        "{} is mbedTLS {version}, and the rig knows no stack like it: it has {known}, and takes other releases of the same lines to be like them; take a tree of one of these, or add a stack below firmware/mbedtls/stacks",
        tree.display()
    )]
    UnknownVersion {
        /// The folder.
        tree: PathBuf,
        /// What it is.
        version: Version,
        /// The stacks that there are.
        known: String,
    },
    /// There is no such stack.
    #[error(transparent)]
    UnknownStack(#[from] suites::Unknown),
    /// The sources of a stack cannot be had.
    #[error("cargo cannot get the sources of {stack}: {why}")]
    Fetch {
        /// Which stack.
        stack: String,
        /// cargo's word.
        why: String,
    },
    /// There is no such header.
    #[error(
        "the header {} cannot be read: {source}; name the edited mbedTLS configuration header, such as config_rsa.h",
        header.display()
    )]
    NoHeader {
        /// The header.
        header: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A header, tree or file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// The path cannot be written into a C source.
    #[error(
        "{path:?} cannot be included by C code: rename what has a quote, a backslash or a line's end in its name"
    )]
    Path {
        /// The header's path.
        path: String,
    },
    /// The header has an error, or one that it includes is missing.
    #[error(
        "{header} cannot be used: {first}; all that the C compiler said is in {log}{hint}",
        header = header.display(), log = log.display(), hint = include_hint(first)
    )]
    Header {
        /// The header.
        header: PathBuf,
        /// The compiler's first complaint.
        first: String,
        /// All that it said.
        log: PathBuf,
    },
    /// The header leaves out what a TLS client is made of.
    #[error(
        "{header} does not define {missing}: the rig's client cannot be built without it",
        header = header.display()
    )]
    Lacks {
        /// The header.
        header: PathBuf,
        /// The macro.
        missing: &'static str,
    },
    /// There is no C compiler.
    #[error(transparent)]
    Tool(#[from] super::MissingTool),
    /// The builds file says something that it may not.
    #[error(transparent)]
    File(#[from] FileError),
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Two builds would have one name.
    #[error("two builds are called {name}: name one of them otherwise")]
    Twice {
        /// The name.
        name: BuildName,
    },
}

fn include_hint(first: &str) -> &'static str {
    match first.contains("No such file") || first.contains("file not found") {
        true => "; a header that it includes must lie beside it or in the tree",
        false => "",
    }
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> OwnError {
    let path = path.to_owned();
    move |source| OwnError::Read { path, source }
}

impl Own {
    /// Looks at the tree and the header. `firmware` is the project's folder of that name; what the
    /// compiler says of a header that is wrong goes below `logs`.
    ///
    /// # Errors
    /// [`OwnError`] says what is wrong with either.
    pub fn look(wanted: &Wanted, firmware: &Path, logs: &Path) -> Result<Self, OwnError> {
        let (tree, origin) = match &wanted.sources {
            Sources::Folder(folder) => {
                (folder.canonicalize().unwrap_or_else(|_| folder.clone()), "a tree of your own")
            }
            Sources::Stack(stack) => (tree::of_stack(firmware, stack)?, "the rig's own sources"),
        };
        let version = tree::version(&tree)?;
        let (stack, like) = tree::stack(firmware, &tree, version)?;
        let name: BuildName = format!("{stack}/{PREFIX}{}", wanted.name).parse()?;
        let header = wanted
            .header
            .canonicalize()
            .map_err(|source| OwnError::NoHeader { header: wanted.header.clone(), source })?;
        let place = survey::Place { tree: &tree, firmware, header: &header, version };
        let log = logs.join(format!("{}.log", name.variant()));
        let defined = survey::defined(&place, &log)?;
        for missing in overrides::NEEDED {
            if !defined.macros.contains_key(missing) {
                return Err(OwnError::Lacks { header, missing });
            }
        }
        let overrides = overrides::of(&defined.macros, version, tree::has_hooks(&tree));
        let config = config(&header, version, &overrides);
        let survey::Outcome { macros, content_length } = survey::outcome(&place, &config, &log)?;
        let shown = header.file_name().unwrap_or_default().to_string_lossy();
        let summary = wanted.summary.clone().unwrap_or_else(|| format!("{shown} over {origin}"));
        Ok(Self {
            name,
            version,
            like,
            tree,
            overrides,
            content_length,
            macros,
            summary,
            config,
            headers: defined.headers,
            header,
        })
    }

    /// As a build among others.
    #[must_use]
    pub fn info(&self) -> BuildInfo {
        BuildInfo {
            name: self.name.clone(),
            content_length: self.content_length,
            header: self.header.display().to_string(),
            too_large_for_ameba1: None,
            summary: self.summary.clone(),
            macros: Some(self.macros.clone()),
        }
    }

    /// Folder of the user's header.
    pub(super) fn folder(&self) -> &Path {
        self.header.parent().unwrap_or(Path::new("/"))
    }

    /// The bytes that make this build what it is, wherever they lie: names and contents.
    ///
    /// # Errors
    /// [`OwnError::Read`] names what cannot be read.
    pub(super) fn bytes(&self) -> Result<Vec<(String, Vec<u8>)>, OwnError> {
        let mut found = Vec::new();
        // The path of the user's header stands in it, and says nothing.
        let config = self.config.replace(&*self.header.to_string_lossy(), "the user's header");
        found.push(("config".to_owned(), config.into_bytes()));
        for header in &self.headers {
            let name = header.strip_prefix(self.folder()).unwrap_or(header);
            let bytes = std::fs::read(header).map_err(unreadable(header))?;
            found.push((name.to_string_lossy().into_owned(), bytes));
        }
        for file in tree::files(&self.tree)? {
            let name = file.strip_prefix(&self.tree).unwrap_or(&file);
            let bytes = std::fs::read(&file).map_err(unreadable(&file))?;
            found.push((name.to_string_lossy().into_owned(), bytes));
        }
        Ok(found)
    }

    /// What it is made of and what was undone, for people, before anything is built.
    #[must_use]
    pub fn describe(&self) -> String {
        let Self { name, version, like, tree, header, content_length, .. } = self;
        let mut out = format!(
            "build {name}: {} over mbedTLS {version} in {}, {content_length} byte records\n",
            header.display(),
            tree.display()
        );
        if name.stack() != like {
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "  the rig knows {like} and takes this tree to be like it; it predicts nothing for {}",
                name.stack()
            );
        }
        for change in &self.overrides {
            let _ = writeln!(out, "  {change}");
        }
        out
    }

    /// The same for programs.
    #[must_use]
    pub fn summary(&self) -> OwnSummary<'_> {
        OwnSummary {
            version: self.version.to_string(),
            like: &self.like,
            tree: &self.tree,
            header: &self.header,
            overrides: &self.overrides,
        }
    }
}

/// What a user's own build is made of, for programs.
#[derive(Debug, Serialize)]
pub struct OwnSummary<'a> {
    /// Version of the tree.
    pub version: String,
    /// The stack that it is taken to be like.
    pub like: &'a str,
    /// Folder of the sources.
    pub tree: &'a Path,
    /// The edited header.
    pub header: &'a Path,
    /// What is undone or added.
    pub overrides: &'a [Override],
}

/// The header that the library is compiled with.
fn config(header: &Path, version: Version, overrides: &[Override]) -> String {
    // Once: every header of the library includes it, and it may not be checked again after some of
    // them have added macros of their own.
    let mut text = format!(
        "/* Made by the rig: a user's header, and what cannot run on the DUT undone. */\n\
         #ifndef RIG_OWN_CONFIG_H\n#define RIG_OWN_CONFIG_H\n#include \"{}\"\n",
        header.display()
    );
    for change in overrides {
        let _ = writeln!(text, "#undef {}", change.name);
        if let Some(value) = &change.now {
            let _ = writeln!(text, "#define {} {value}", change.name);
        }
    }
    // The user's header has been checked as it is; what is left must be sound as well. From 3.0 on
    // the library does so by itself.
    if version.major < 3 {
        text.push_str("#undef MBEDTLS_CHECK_CONFIG_H\n#include \"mbedtls/check_config.h\"\n");
    }
    text.push_str("#endif\n");
    text
}

#[cfg(test)]
mod tests;
