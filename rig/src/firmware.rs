//! Firmware images: built when first needed, then kept by content.
//!
//! ```text
//! build + target + sources + toolchain --hash--> id --in the cache?--yes--> image
//!                                                        |
//!                                                        no --cargo build--> image
//! ```
//!
//! The id is compiled into the image, which tells it when asked, so that a board that already runs
//! an image need not be given it again. A lookup that finds the image starts no program.
//!
//! A user's [own builds](own) stand beside those of the checkout.
//!
//! The [flash algorithms](algorithm) that probe-rs needs are made and kept in the same way.

pub mod algorithm;
mod builds;
mod cargo;
mod content;
mod layout;
pub mod own;
mod toolchain;

pub use algorithm::Chip;
pub use builds::{BuildInfo, BuildsError};
pub use layout::{Area, Layout};
pub use toolchain::{MissingTool, Toolchain, toolchain, which};

use crate::deadline::Deadline;
use own::{Own, OwnError, Wanted};
use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use suites::BuildName;

/// What firmware is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// This host, as a process.
    Native,
    /// QEMU's Cortex-M3 board `mps2-an385`.
    Mps2An385,
    /// The same with a line through the debugger beside the serial one. An image for the RTL8195A
    /// always has both.
    Mps2An385Rtt,
    /// Realtek's RTL8195A family.
    Ameba1,
}

impl Target {
    /// The name of the board, which the image gives when asked.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Mps2An385 | Self::Mps2An385Rtt => "mps2-an385",
            Self::Ameba1 => "ameba1",
        }
    }

    /// Cargo features of the package, for anything but the host.
    fn features(self) -> &'static str {
        match self {
            Self::Mps2An385Rtt => "mps2-an385,rtt",
            Self::Native | Self::Mps2An385 | Self::Ameba1 => self.name(),
        }
    }

    /// The package that makes the image.
    fn package(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Mps2An385 | Self::Mps2An385Rtt | Self::Ameba1 => "m3",
        }
    }
}

/// Something that cargo makes of the firmware's workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Product {
    /// A firmware image.
    Image {
        /// Which build.
        build: BuildName,
        /// What for.
        target: Target,
    },
    /// What probe-rs runs to write a chip's flash.
    FlashAlgorithm(Chip),
}

impl Product {
    /// The package that makes it.
    fn package(&self) -> &'static str {
        match self {
            Self::Image { target, .. } => target.package(),
            Self::FlashAlgorithm(_) => "flash-algo",
        }
    }

    /// What it is for; for anything but the host also the package's cargo features.
    fn for_what(&self) -> &'static str {
        match self {
            Self::Image { target, .. } => target.features(),
            Self::FlashAlgorithm(chip) => chip.name(),
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image { build, target } => write!(f, "firmware {build} for {}", target.name()),
            Self::FlashAlgorithm(chip) => write!(f, "the flash algorithm for {}", chip.name()),
        }
    }
}

/// A firmware image on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The build it holds.
    pub build: BuildName,
    /// Hash of everything it was made from; compiled into it.
    pub id: String,
    /// The executable file, ELF.
    pub path: PathBuf,
}

/// See [`Image::first_stage`].
const FIRST_STAGE: &str = "image1.elf";

impl Image {
    /// The small program that starts an `ameba1` image from flash where the vendor's does not, ELF.
    /// Only there for [`Target::Ameba1`].
    #[must_use]
    pub fn first_stage(&self) -> PathBuf {
        self.path.with_file_name(FIRST_STAGE)
    }
}

/// What the builder is doing, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Another process builds; this one goes on when that is done.
    Waiting,
    /// Something is being built.
    Building {
        /// What.
        product: Product,
        /// Whether everything below it is built for the first time, too.
        first: bool,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting for another rig that is building firmware"),
            Self::Building { product, first } => {
                let expect = match product {
                    Product::FlashAlgorithm(_) if *first => "first time, about half a minute",
                    Product::FlashAlgorithm(_) => "a few seconds",
                    Product::Image { .. } if *first => "first time, about a minute",
                    Product::Image { .. } => "about 20 seconds",
                };
                write!(f, "building {product} ({expect})")
            }
        }
    }
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Nothing here can compile for the target.
    #[error(transparent)]
    Toolchain(#[from] MissingTool),
    /// A file of the firmware or of the cache cannot be used.
    #[error("cannot use {path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// Another process has been building for longer than any build takes.
    #[error("another rig has been building firmware for {minutes} minutes; end it, then run again")]
    Busy {
        /// How long it was waited for.
        minutes: u64,
    },
    /// cargo says no.
    #[error("{product} does not build ({why}); the whole output is in {log}\n{tail}", log = log.display())]
    Cargo {
        /// What was to be built.
        product: Product,
        /// How cargo ended.
        why: String,
        /// Its output.
        log: PathBuf,
        /// The end of its output.
        tail: String,
    },
    /// The C compiler refuses a user's own tree or header.
    #[error("{product} does not compile: {first}; all that the compiler said is in {log}", log = log.display())]
    Own {
        /// What was to be built.
        product: Product,
        /// The first complaint.
        first: String,
        /// cargo's output.
        log: PathBuf,
    },
    /// A user's own tree or header cannot be read.
    #[error(transparent)]
    OwnFile(#[from] OwnError),
}

impl BuildError {
    /// Whether it is what was asked for that is wrong, not this machine or the rig.
    #[must_use]
    pub fn is_the_users(&self) -> bool {
        matches!(self, Self::Own { .. } | Self::OwnFile(_))
    }
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> BuildError {
    let path = path.to_owned();
    move |source| BuildError::File { path, source }
}

/// Makes images.
#[derive(Debug, Clone)]
pub struct Builder {
    firmware: PathBuf,
    cache: PathBuf,
    own: Vec<Own>,
}

impl Builder {
    /// A builder for the checkout at `root` that keeps its images below `cache`.
    #[must_use]
    pub fn new(root: &Path, cache: &Path) -> Self {
        Self { firmware: root.join("firmware"), cache: cache.to_owned(), own: Vec::new() }
    }

    /// Looks at a user's own builds and takes them in.
    ///
    /// # Errors
    /// [`OwnError`] says what is wrong with a tree or a header.
    pub fn with_own(mut self, wanted: &[Wanted]) -> Result<Self, OwnError> {
        for wanted in wanted {
            let own = Own::look(wanted, &self.firmware, &self.cache.join("own-builds"))?;
            if self.own.iter().any(|other| other.name == own.name) {
                return Err(OwnError::Twice { name: own.name });
            }
            self.own.push(own);
        }
        Ok(self)
    }

    /// The user's own builds.
    #[must_use]
    pub fn own(&self) -> &[Own] {
        &self.own
    }

    /// Every build there is: from `firmware/mbedtls/stacks/*/builds.toml`, then the user's own.
    ///
    /// # Errors
    /// [`BuildsError`] names the file.
    pub fn builds(&self) -> Result<Vec<BuildInfo>, BuildsError> {
        let mut builds = builds::read(&self.firmware.join("mbedtls/stacks"))?;
        builds.extend(self.own.iter().map(Own::info));
        Ok(builds)
    }

    /// The user's own build that this product is of.
    fn own_of(&self, product: &Product) -> Option<&Own> {
        match product {
            Product::Image { build, .. } => self.own.iter().find(|own| own.name == *build),
            Product::FlashAlgorithm(_) => None,
        }
    }

    /// The image of `build` for `target`; `progress` is told if it has to be built.
    ///
    /// # Errors
    /// [`BuildError`] says what is missing or what cargo said.
    pub fn image(
        &self,
        build: &BuildName,
        target: Target,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Image, BuildError> {
        let product = Product::Image { build: build.clone(), target };
        let (id, path) = self.make(product, progress)?;
        Ok(Image { build: build.clone(), id, path })
    }

    /// The image of `build` for `target` if it has been built. Starts no program.
    ///
    /// # Errors
    /// [`BuildError`] says what is missing or cannot be read.
    pub fn find(&self, build: &BuildName, target: Target) -> Result<Option<Image>, BuildError> {
        let product = Product::Image { build: build.clone(), target };
        let (id, path) = self.place(&product, &cargo::Recipe::of(&product)?)?;
        Ok(Some(Image { build: build.clone(), id, path }).filter(|image| image.path.is_file()))
    }

    /// The content hash of the image of `build` for `target`, built or not. Starts no program.
    ///
    /// # Errors
    /// [`BuildError`] says what is missing or cannot be read.
    pub fn id(&self, build: &BuildName, target: Target) -> Result<String, BuildError> {
        let product = Product::Image { build: build.clone(), target };
        Ok(self.place(&product, &cargo::Recipe::of(&product)?)?.0)
    }

    /// The ELF file of `chip`'s flash algorithm; `progress` is told if it has to be built.
    ///
    /// # Errors
    /// [`BuildError`] says what is missing or what cargo said.
    pub fn flash_algorithm(
        &self,
        chip: Chip,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf, BuildError> {
        self.make(Product::FlashAlgorithm(chip), progress).map(|(_, path)| path)
    }

    /// The product's id and file, which is there by then.
    fn make(
        &self,
        product: Product,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(String, PathBuf), BuildError> {
        let recipe = cargo::Recipe::of(&product)?;
        let (id, path) = self.place(&product, &recipe)?;
        if path.is_file() {
            return Ok((id, path));
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(file_error(folder))?;
        }
        // One build at a time, also among processes: two would only fight for cargo's own lock.
        let _lock = self.lock(progress)?;
        if !path.is_file() {
            let first = !recipe.built_before(&self.cache);
            let own = self.own_of(&product);
            progress(Progress::Building { product: product.clone(), first });
            recipe.build(&self.firmware, &self.cache, own, &id, &path)?;
        }
        Ok((id, path))
    }

    /// The product's id, and where its file lies or will.
    fn place(
        &self,
        product: &Product,
        recipe: &cargo::Recipe,
    ) -> Result<(String, PathBuf), BuildError> {
        let id = content::id(&self.firmware, product, recipe, self.own_of(product))?;
        let (shelf, file) = match product {
            Product::Image { .. } => ("images", "image.elf"),
            Product::FlashAlgorithm(_) => ("flash-algorithms", "algorithm.elf"),
        };
        let path = self.cache.join(shelf).join(&id).join(file);
        Ok((id, path))
    }

    /// The operating system gives it back when the file is closed, whatever ends the process.
    fn lock(&self, progress: &mut dyn FnMut(Progress)) -> Result<File, BuildError> {
        let path = self.cache.join("firmware.lock");
        let lock = File::create(&path).map_err(file_error(&path))?;
        let deadline = Deadline::after(cargo::BUILD_LIMIT);
        let mut said = false;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) if deadline.left().is_zero() => {
                    return Err(BuildError::Busy { minutes: deadline.limit().as_secs() / 60 });
                }
                Err(TryLockError::WouldBlock) => {
                    if !std::mem::replace(&mut said, true) {
                        progress(Progress::Waiting);
                    }
                    std::thread::sleep(cargo::BUILD_GLANCE);
                }
                Err(TryLockError::Error(source)) => return Err(file_error(&path)(source)),
            }
        }
    }
}
