//! `--setup`: installs what the emulated board and the products among the brokers need, saying each
//! command first.
//!
//! On Debian and its relatives the packages come from `apt-get`; the Rust target comes from rustup
//! where rustup can get it, else from Debian's own compiler with the core library's source.

use crate::doctor::QEMU_PACKAGES;
use crate::firmware;
use anyhow::{Context, Result, bail};
use brokers::product::{Product, prepare_aedes};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const TARGET: &str = "thumbv7m-none-eabi";
const DEBIAN_RUST: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// Installs what is missing. `say` is told each command before it is run.
///
/// # Errors
/// The command that failed, or that this system has no package manager the rig knows.
pub fn install(mut say: impl FnMut(&str)) -> Result<()> {
    let missing: Vec<_> = missing_packages();
    if !missing.is_empty() {
        apt(&missing, &mut say)?;
    }
    if firmware::toolchain().is_ok() {
        return Ok(());
    }
    if firmware::which("rustup").is_some() {
        let added = run(&mut say, "rustup", &["target", "add", TARGET]);
        if added.is_ok() && firmware::toolchain().is_ok() {
            return Ok(());
        }
        say("rustup cannot get the target here; trying the distribution's compiler");
    }
    apt(&DEBIAN_RUST, &mut say)?;
    firmware::toolchain()
        .map(drop)
        .context("the packages are installed, and still no compiler builds for the board")
}

/// Installs the products among the brokers that are not here. `cache` is the folder of the brokers'
/// keys; aedes goes below it.
///
/// # Errors
/// The command that failed, or that this system has no package manager the rig knows.
pub fn install_products(
    products: &BTreeSet<Product>,
    cache: &Path,
    mut say: impl FnMut(&str),
) -> Result<()> {
    for product in products.iter().filter(|product| !product.is_installed(cache)) {
        if *product == Product::Aedes {
            if firmware::which("npm").is_none() || firmware::which("node").is_none() {
                apt(product.packages(), &mut say)?;
            }
            let folder = prepare_aedes(cache)?;
            run(&mut say, "npm", &["ci", "--prefix", &folder.to_string_lossy()])?;
            continue;
        }
        apt(product.packages(), &mut say)?;
        // Debian starts what it installs. The rig starts its own, on ports of its own.
        if Path::new("/run/systemd/system").is_dir() {
            let services = product.packages().iter().copied();
            let command: Vec<_> =
                ["systemctl", "disable", "--now"].into_iter().chain(services).collect();
            root(&mut say, &command)?;
        }
    }
    Ok(())
}

fn missing_packages() -> Vec<&'static str> {
    let present = |package: &str| match package {
        "qemu-system-arm" => firmware::which("qemu-system-arm").is_some(),
        "gcc-arm-none-eabi" => firmware::which("arm-none-eabi-gcc").is_some(),
        _ => Path::new("/usr/lib/arm-none-eabi/include/newlib.h").is_file(),
    };
    QEMU_PACKAGES.into_iter().filter(|package| !present(package)).collect()
}

fn apt(packages: &[&str], say: &mut impl FnMut(&str)) -> Result<()> {
    if firmware::which("apt-get").is_none() {
        bail!(
            "this system has no apt-get: install qemu (Arm system emulation), a C compiler and newlib for arm-none-eabi, and `rustup target add {TARGET}` by hand, then run again"
        );
    }
    root(say, &["apt-get", "update"])?;
    let mut install = vec!["apt-get", "install", "--yes", "--no-install-recommends"];
    install.extend(packages);
    root(say, &install)
}

/// Runs a command as root: directly if we are, else through sudo, which may ask for a password.
fn root(say: &mut impl FnMut(&str), command: &[&str]) -> Result<()> {
    let already = std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt as _;
        own.uid() == 0
    });
    match (already, command) {
        (true, [program, arguments @ ..]) => run(say, program, arguments),
        (false, _) if firmware::which("sudo").is_some() => run(say, "sudo", command),
        _ => {
            bail!("`{}` needs root: run it yourself, then `cargo rig run` again", command.join(" "))
        }
    }
}

fn run(say: &mut impl FnMut(&str), program: &str, arguments: &[&str]) -> Result<()> {
    let line = format!("{program} {}", arguments.join(" "));
    say(&format!("$ {line}"));
    let status = Command::new(program)
        .args(arguments)
        // Standard output is for data.
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("`{line}` does not start"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}
