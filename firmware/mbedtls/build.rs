//! Compiles the C library of one build: stack, macro set and content length come from `RIG_BUILD`.
//!
//! The sources are in no repository of ours. Each stack has a manifest (`stacks/<name>/Cargo.toml`)
//! with its own lock file that pins the crate which carries them; cargo downloads and checks it,
//! and says where it lies.
//!
//! A user's own build has its sources in `RIG_TREE` and its header in `RIG_CONFIG`, which the rig has
//! made from the user's (see `rig/src/firmware/own.rs`).

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is compiled when nobody asks for anything else: the forum thread's build.
const DEFAULT_BUILD: &str = "mbedtls-2.4.0/rsa-16384";

/// What the library calls to make debug output, without `mbedtls_debug_`.
const DEBUG_FUNCTIONS: [&str; 7] =
    ["print_msg", "print_ret", "print_buf", "print_mpi", "print_ecp", "print_crt", "printf_ecdh"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=RIG_BUILD");
    println!("cargo::rerun-if-env-changed=RIG_IMAGE");
    println!("cargo::rerun-if-env-changed=RIG_TREE");
    println!("cargo::rerun-if-env-changed=RIG_CONFIG");
    println!("cargo::rerun-if-env-changed=RIG_CONFIG_FOLDER");
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-changed=sets");
    println!("cargo::rerun-if-changed=stacks");
    let name = env::var("RIG_BUILD").unwrap_or_else(|_| DEFAULT_BUILD.to_owned());
    let image = env::var("RIG_IMAGE").unwrap_or_else(|_| "unnamed".to_owned());
    println!("cargo::rustc-env=RIG_BUILD={name}");
    println!("cargo::rustc-env=RIG_IMAGE={image}");

    println!("cargo::rustc-env=RIG_COMPILERS={}", compilers()?);

    let mut compiler = cc::Build::new();
    let sources = match env::var_os("RIG_TREE") {
        Some(tree) => {
            let tree = PathBuf::from(tree);
            own_config(&mut compiler, &tree)?;
            tree
        }
        None => {
            let build = Build::find(&name)?;
            compiler
                .include(&build.stack)
                .include("sets")
                .define("MBEDTLS_CONFIG_FILE", format!("\"{}\"", build.header).as_str())
                .define("RIG_CONTENT_LENGTH", build.content_length.to_string().as_str());
            sources(&build)?
        }
    };
    compile(compiler, &sources)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("error_names.rs"), error_names(&sources.join("include/mbedtls"))?)?;
    Ok(())
}

struct Build {
    stack: PathBuf,
    krate: String,
    sources: String,
    header: String,
    content_length: i64,
}

impl Build {
    fn find(name: &str) -> Result<Self, Box<dyn Error>> {
        let unknown =
            || format!("RIG_BUILD={name}: there is no such build; see stacks/*/builds.toml");
        let (stack, variant) = name.split_once('/').ok_or_else(unknown)?;
        let stack = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("stacks").join(stack);
        let text = fs::read_to_string(stack.join("builds.toml")).map_err(|_| unknown())?;
        let file: toml::Table = text.parse()?;
        let text_of = |table: &toml::Table, key: &str| {
            let value = table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
            value.ok_or_else(|| format!("{}/builds.toml has no {key} for {name}", stack.display()))
        };
        let build = file
            .get("builds")
            .and_then(|builds| builds.get(variant)?.as_table())
            .ok_or_else(unknown)?;
        Ok(Self {
            krate: text_of(&file, "crate")?,
            sources: text_of(&file, "sources")?,
            header: text_of(build, "header")?,
            content_length: build
                .get("content_length")
                .and_then(toml::Value::as_integer)
                .ok_or_else(unknown)?,
            stack,
        })
    }
}

/// Names the two compilers, each with its version.
fn compilers() -> Result<String, Box<dyn Error>> {
    let said = |mut command: Command| -> Result<String, Box<dyn Error>> {
        Ok(String::from_utf8_lossy(&command.output()?.stdout).trim().to_owned())
    };
    let mut rustc = Command::new(env::var("RUSTC")?);
    rustc.arg("--version");
    let rustc = said(rustc)?;
    // "rustc 1.96.0 (hash date) ...": name and version are enough.
    let rustc: Vec<_> = rustc.split_whitespace().take(2).collect();
    let compiler = cc::Build::new().try_get_compiler()?;
    let mut c = compiler.to_command();
    c.arg("-dumpfullversion");
    let kind = if compiler.is_like_clang() { "clang" } else { "gcc" };
    Ok(format!("{}, {kind} {}", rustc.join(" "), said(c)?))
}

/// Asks cargo where it unpacked the crate that carries the C sources.
fn sources(build: &Build) -> Result<PathBuf, Box<dyn Error>> {
    let mut metadata = Command::new(env::var("CARGO")?);
    metadata
        .args(["metadata", "--locked", "--format-version", "1", "--manifest-path"])
        .arg(build.stack.join("Cargo.toml"));
    // What the outer build was told must not reach the inner cargo.
    for (key, _) in env::vars() {
        let outer = ["CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTFLAGS", "RUSTC_WRAPPER"];
        if outer.contains(&key.as_str()) || key.starts_with("CARGO_UNSTABLE_") {
            metadata.env_remove(key);
        }
    }
    let output = metadata.output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo cannot get the sources of {}: {why}", build.krate).into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata.get("packages").and_then(|packages| packages.as_array());
    let manifest = packages
        .into_iter()
        .flatten()
        .find(|package| package.get("name").and_then(|name| name.as_str()) == Some(&build.krate))
        .and_then(|package| package.get("manifest_path")?.as_str())
        .ok_or_else(|| format!("cargo does not know where {} is", build.krate))?;
    let root = Path::new(manifest).parent().ok_or("a manifest without a folder")?;
    Ok(root.join(&build.sources))
}

/// The header of a user's own build, and where the headers that it includes may lie.
fn own_config(compiler: &mut cc::Build, tree: &Path) -> Result<(), Box<dyn Error>> {
    let (config, folder) = (env::var("RIG_CONFIG")?, env::var("RIG_CONFIG_FOLDER")?);
    compiler
        .define("MBEDTLS_CONFIG_FILE", format!("\"{config}\"").as_str())
        .include("shim/sdk")
        // The rig's stacks are proven. In a tree of which a hook was taken out, a function may be left
        // that returns nothing: an SDK's software AES, without its engine, was one.
        .flag("-Werror=return-type")
        // Last, because there an `error.h` and a `threading.h` may lie. A header that was taken out
        // of its tree still includes `check_config.h` as if it lay beside it.
        .flag("-idirafter")
        .flag(&folder)
        .flag("-idirafter")
        .flag(tree.join("include/mbedtls"));
    Ok(())
}

fn compile(mut compiler: cc::Build, sources: &Path) -> Result<(), Box<dyn Error>> {
    let library = sources.join("library");
    compiler
        .include(sources.join("include"))
        .include(&library)
        .include("shim")
        // Debug lines carry the file's name, which should not depend on where it lies.
        .flag_if_supported(format!("-fmacro-prefix-map={}/=", library.display()))
        .flag("-ffunction-sections")
        .flag("-fdata-sections")
        // Old C, compiled as it is; its warnings are nobody's here. One became an error in newer
        // compilers: ssl_ticket.c calls what a set without GCM and CCM does not have. It is the
        // server's half of tickets, so the linker never takes it.
        .warnings(false)
        .flag_if_supported("-Wno-error=implicit-function-declaration")
        .std("gnu99");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        // As the SDK builds it; time on the DUT is counted in instructions of this very code.
        compiler.opt_level_str("s");
    }
    let mut files: Vec<_> = fs::read_dir(&library)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|ending| ending == "c"));
    // In one order everywhere, so that images do not depend on the folder's.
    files.sort();
    // Everything but the debug functions themselves is made to call shim/debug_clock.c.
    let (debug, rest): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|path| path.file_name().is_some_and(|name| name == "debug.c"));
    let mut redirected = compiler.clone();
    for function in DEBUG_FUNCTIONS {
        let name = format!("mbedtls_debug_{function}");
        redirected.define(&name, format!("rig_debug_{function}").as_str());
    }
    redirected.files(rest).try_compile("rig_mbedtls")?;
    // The last is of use to a user's own tree alone, and the linker leaves it out of other images.
    compiler
        .files(debug)
        .files(["shim/shim.c", "shim/debug_clock.c", "shim/sdk/sdk.c"])
        .try_compile("rig_shim")?;
    Ok(())
}

/// Rust source of a table with the library's error numbers and names, read from its headers.
fn error_names(headers: &Path) -> Result<String, Box<dyn Error>> {
    let mut names: BTreeMap<i64, String> = BTreeMap::new();
    let mut files: Vec<_> = fs::read_dir(headers)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    for file in files {
        for line in fs::read_to_string(file)?.lines() {
            let mut words = line.split_whitespace();
            let (Some("#define"), Some(name), Some(value)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let value = value.trim_matches(['(', ')']);
            let number =
                value.strip_prefix("-0x").and_then(|hex| i64::from_str_radix(hex, 16).ok());
            if let (Some(number), true) = (number, name.starts_with("MBEDTLS_ERR_")) {
                names.entry(number).or_insert_with(|| name.to_owned());
            }
        }
    }
    let mut code = String::from("pub(super) const NAMES: &[(i32, &str)] = &[\n");
    for (number, name) in names {
        writeln!(code, "    ({number:#x}, \"{name}\"),")?;
    }
    code.push_str("];\n");
    Ok(code)
}
