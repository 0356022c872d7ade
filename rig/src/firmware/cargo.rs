//! The build itself: a cargo of its own for the firmware's workspace.

use super::own::{Own, first_error};
use super::toolchain::THUMB;
use super::{BuildError, FIRST_STAGE, MissingTool, Product, Target, file_error, toolchain, which};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A build downloads and compiles about thirty crates and the C library; more than this is a hang.
pub(super) const BUILD_LIMIT: Duration = Duration::from_secs(15 * 60);
/// How often the build is looked at. It takes seconds, so nobody waits for this.
pub(super) const BUILD_GLANCE: Duration = Duration::from_millis(50);
/// The header that a user's own build is compiled with, beside its image.
const OWN_CONFIG: &str = "own_config.h";
/// How many lines of a failed build's output are shown.
const TAIL_LINES: usize = 12;

/// How one product is built, and by which programs.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    product: Product,
    cargo: PathBuf,
    /// Missing where only cargo knows: behind rustup's proxy.
    rustc: Option<PathBuf>,
    build_core: bool,
    c_compiler: PathBuf,
}

impl Recipe {
    /// Finds the programs. Starts none of them.
    pub(super) fn of(product: &Product) -> Result<Self, MissingTool> {
        let product = product.clone();
        match product {
            Product::Image { target: Target::Native, .. } => {
                let missing = MissingTool { what: "cargo", mend: "install Rust from rustup.rs" };
                let cargo = host_cargo().ok_or(missing)?;
                let missing =
                    MissingTool { what: "a C compiler", mend: "run `apt-get install gcc`" };
                let c_compiler = ["cc", "gcc", "clang"].iter().find_map(|name| which(name));
                Ok(Self {
                    product,
                    // A cargo inside a toolchain would else take the compiler of the search path,
                    // which may belong to another one.
                    rustc: Some(cargo.with_file_name("rustc")).filter(|_| in_toolchain(&cargo)),
                    cargo,
                    build_core: false,
                    c_compiler: c_compiler.ok_or(missing)?,
                })
            }
            Product::Image {
                target: Target::Mps2An385 | Target::Mps2An385Rtt | Target::Ameba1,
                ..
            }
            | Product::FlashAlgorithm(_) => {
                let found = toolchain()?;
                let missing = MissingTool {
                    what: "the C compiler for Cortex-M",
                    mend: "run `apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi`, or let `cargo rig run --setup` do it",
                };
                Ok(Self {
                    product,
                    cargo: found.cargo,
                    rustc: Some(found.rustc),
                    build_core: found.build_core,
                    c_compiler: which("arm-none-eabi-gcc").ok_or(missing)?,
                })
            }
        }
    }

    /// The programs whose change makes another image.
    pub(super) fn compilers(&self) -> impl Iterator<Item = &Path> {
        let rust = self.rustc.as_deref().unwrap_or(&self.cargo);
        [rust, self.c_compiler.as_path()].into_iter()
    }

    /// Builds the product and puts it at `path`, whole or not at all.
    pub(super) fn build(
        &self,
        firmware: &Path,
        cache: &Path,
        own: Option<&Own>,
        id: &str,
        path: &Path,
    ) -> Result<(), BuildError> {
        let target_folder = self.target_folder(cache);
        let log = path.with_file_name("build.log");
        let mut command = self.command(firmware, &target_folder, id);
        if let Some(own) = own {
            let config = path.with_file_name(OWN_CONFIG);
            std::fs::write(&config, &own.config).map_err(file_error(&config))?;
            command
                .env("RIG_TREE", &own.tree)
                .env("RIG_CONFIG", &config)
                .env("RIG_CONFIG_FOLDER", own.folder())
                // What the C compiler says is searched for its first complaint.
                .env("LC_ALL", "C");
        }
        let output = File::create(&log).map_err(file_error(&log))?;
        let copy = output.try_clone().map_err(file_error(&log))?;
        command.stdin(Stdio::null()).stdout(output).stderr(copy);
        let failed = |why: String| BuildError::Cargo {
            product: self.product.clone(),
            why,
            tail: tail(&log),
            log: log.clone(),
        };
        let status = wait(&mut command).map_err(failed)?;
        if !status.success() {
            let first = own.and_then(|_| first_error(&std::fs::read(&log).ok()?));
            return Err(match first {
                Some(first) => BuildError::Own { product: self.product.clone(), first, log },
                None => failed(status.to_string()),
            });
        }
        let built = target_folder.join(self.output());
        if let Product::Image { target: Target::Ameba1, .. } = self.product {
            place(&built.with_file_name("ameba1_image1"), &path.with_file_name(FIRST_STAGE))?;
        }
        // Last, because whoever finds it takes the product for complete.
        place(&built, path)
    }

    /// Whether something was built for this target before, so that only a part is built now.
    pub(super) fn built_before(&self, cache: &Path) -> bool {
        self.target_folder(cache).join(self.output()).is_file()
    }

    /// Other compiler flags, another folder: cargo would build everything anew at each change.
    fn target_folder(&self, cache: &Path) -> PathBuf {
        cache.join(match self.product {
            Product::Image { .. } => "firmware-target",
            Product::FlashAlgorithm(_) => "flash-algo-target",
        })
    }

    fn output(&self) -> PathBuf {
        match self.product {
            Product::Image { target: Target::Native, .. } => PathBuf::from("release/native"),
            // One file for all boards: it is copied before the lock on building is given back.
            _ => PathBuf::from(THUMB).join("device").join(self.product.package()),
        }
    }

    fn command(&self, firmware: &Path, target_folder: &Path, id: &str) -> Command {
        let mut command = Command::new(&self.cargo);
        clear_outer_cargo(&mut command);
        command
            .current_dir(firmware)
            .args(["build", "--locked", "--color", "never"])
            .env("CARGO_TARGET_DIR", target_folder);
        command.args(["--package", self.product.package()]);
        match &self.product {
            Product::Image { build, .. } => {
                command.env("RIG_BUILD", build.as_str()).env("RIG_IMAGE", id);
            }
            Product::FlashAlgorithm(_) => {
                // It runs wherever probe-rs finds room for it.
                let flags = "-C relocation-model=pic";
                command.env("CARGO_TARGET_THUMBV7M_NONE_EABI_RUSTFLAGS", flags);
            }
        }
        if let Product::Image { target: Target::Native, .. } = self.product {
            command.arg("--release");
        } else {
            command
                .args(["--profile", "device", "--target", THUMB])
                .args(["--no-default-features", "--features", self.product.for_what()])
                .env("CARGO_TARGET_THUMBV7M_NONE_EABI_LINKER", &self.c_compiler);
        }
        if let Some(rustc) = &self.rustc {
            command.env("RUSTC", rustc);
        }
        if self.build_core {
            // Building the core library is still behind a nightly switch, which this opens.
            command.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=core,alloc");
        }
        command
    }
}

/// A `cargo metadata` of the host's for a manifest with its lock file.
pub(super) fn metadata(manifest: &Path) -> Result<Command, MissingTool> {
    let missing = MissingTool { what: "cargo", mend: "install Rust from rustup.rs" };
    let mut command = Command::new(host_cargo().ok_or(missing)?);
    clear_outer_cargo(&mut command);
    command
        .args(["metadata", "--locked", "--format-version", "1", "--manifest-path"])
        .arg(manifest);
    Ok(command)
}

/// Copies a file to its place, whole or not at all.
fn place(built: &Path, path: &Path) -> Result<(), BuildError> {
    let fresh = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::copy(built, &fresh).map_err(file_error(built))?;
    std::fs::rename(&fresh, path).map_err(file_error(path))
}

/// The cargo that runs us, else the one that built us, so that an image's id does not depend on how
/// the rig was started; else the one on the search path.
fn host_cargo() -> Option<PathBuf> {
    let runs_us = std::env::var_os("CARGO").map(PathBuf::from);
    let built_us = || Some(PathBuf::from(env!("CARGO"))).filter(|cargo| cargo.is_file());
    runs_us.or_else(built_us).or_else(|| which("cargo"))
}

/// Whether the program lies beside a compiler and its libraries; rustup's proxies do not.
fn in_toolchain(cargo: &Path) -> bool {
    let prefix = cargo.parent().and_then(Path::parent);
    prefix.is_some_and(|prefix| prefix.join("lib/rustlib").is_dir())
        && cargo.with_file_name("rustc").is_file()
}

/// What an outer cargo sets for its own build must not reach this one. Where its downloads lie, and
/// how it reaches the network, must.
fn clear_outer_cargo(command: &mut Command) {
    const KEPT: [&str; 2] = ["CARGO_HOME", "CARGO_NET_OFFLINE"];
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        let outer = name.starts_with("CARGO")
            || matches!(&*name, "RIG_TREE" | "RIG_CONFIG" | "RIG_CONFIG_FOLDER")
            || name.starts_with("RUSTC")
            || name.starts_with("RUSTFLAGS")
            || name == "RUSTUP_TOOLCHAIN"
            || name == "RUST_RECURSION_COUNT";
        let kept = KEPT.contains(&&*name)
            || name.starts_with("CARGO_HTTP_")
            || name.starts_with("CARGO_REGISTRIES_");
        if outer && !kept {
            command.env_remove(key);
        }
    }
}

fn wait(command: &mut Command) -> Result<ExitStatus, String> {
    let mut child = command.spawn().map_err(|error| format!("cargo does not start: {error}"))?;
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if began.elapsed() < BUILD_LIMIT => thread::sleep(BUILD_GLANCE),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("not done after {} minutes", BUILD_LIMIT.as_secs() / 60));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// The end of a build's output, made safe to show.
fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let lines: Vec<_> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    let shown = lines.iter().skip(from).map(|line| reports::transcript::printable(line));
    shown.map(|line| format!("  {line}\n")).collect()
}
