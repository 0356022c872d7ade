//! The content id of an image: a hash over everything that it is made from.

use super::cargo::Recipe;
use super::own::Own;
use super::{BuildError, Product, file_error};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Part of the id; raised when the way of building changes without a file changing.
const RECIPE_VERSION: u32 = 2;

/// Packages on which no other depends: each makes images of its own, or, as the model of a chip,
/// none.
const IMAGE_PACKAGES: [&str; 4] = ["native", "m3", "flash-algo", "rtl8195a-model"];

/// Hexadecimal digits of the id: as many as the image can afford to carry, and enough.
const DIGITS: usize = 16;

/// Hashes sources, product and compilers. The id says nothing about where they lie.
pub(super) fn id(
    firmware: &Path,
    product: &Product,
    recipe: &Recipe,
    own: Option<&Own>,
) -> Result<String, BuildError> {
    let mut hash = Sha256::new();
    hash.update(RECIPE_VERSION.to_le_bytes());
    let mut field = |bytes: &[u8]| {
        // With its length, so that no two lists of fields look alike.
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    match product {
        Product::Image { build, .. } => field(build.as_str().as_bytes()),
        Product::FlashAlgorithm(_) => field(product.package().as_bytes()),
    }
    field(product.for_what().as_bytes());
    for compiler in recipe.compilers() {
        field(stamp(compiler)?.as_bytes());
    }
    for file in files(firmware, product)? {
        let name = file.strip_prefix(firmware).unwrap_or(&file);
        field(name.to_string_lossy().as_bytes());
        field(&std::fs::read(&file).map_err(file_error(&file))?);
    }
    for (name, bytes) in own.map(Own::bytes).transpose()?.into_iter().flatten() {
        field(name.as_bytes());
        field(&bytes);
    }
    let digest = hash.finalize();
    let hex = data_encoding::HEXLOWER.encode(&digest);
    Ok(hex.chars().take(DIGITS).collect())
}

/// A compiler by name, size and time: asking it for its version would cost more than all the rest.
fn stamp(program: &Path) -> Result<String, BuildError> {
    let data = std::fs::metadata(program).map_err(file_error(program))?;
    let time = data.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok(format!("{} {} {:?}", program.display(), data.len(), time))
}

/// The firmware's files in the order of their names, without those that cannot reach this product:
/// tests, other stacks, and the packages that make other products.
fn files(firmware: &Path, product: &Product) -> Result<Vec<PathBuf>, BuildError> {
    let stacks = firmware.join("mbedtls/stacks");
    let wanted = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        if entry.depth() == 0 || !entry.file_type().is_dir() {
            return entry.depth() == 0 || name == ".cargo" || !name.starts_with('.');
        }
        let parent = entry.path().parent();
        match product {
            Product::Image { build, .. } if parent == Some(stacks.as_path()) => {
                return name == build.stack();
            }
            // It depends on no other package.
            Product::FlashAlgorithm(_) if entry.depth() == 1 => {
                return name == ".cargo" || name == product.package();
            }
            _ => {}
        }
        if parent == Some(firmware) && IMAGE_PACKAGES.contains(&&*name) {
            return name == product.package();
        }
        name == ".cargo" || !(name.starts_with('.') || matches!(&*name, "target" | "tests"))
    };
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(firmware).into_iter().filter_entry(wanted) {
        let entry = entry.map_err(|error| file_error(firmware)(error.into()))?;
        if entry.file_type().is_file() {
            found.push(entry.into_path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::{Chip, Target};
    use super::*;
    use std::fs;

    #[test]
    fn the_id_follows_content_build_and_target_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        file("dut/src/lib.rs", "one");
        let image =
            |build: &str| Product::Image { build: build.parse().unwrap(), target: Target::Native };
        let (a, b) = (image("s/a"), image("s/b"));
        let recipe = Recipe::of(&a).unwrap();
        let id_of = |product| id(folder.path(), product, &recipe, None).unwrap();
        let first = id_of(&a);
        assert_eq!(first.len(), DIGITS);
        file("target/debug/junk", "x");
        file("dut/tests/test.rs", "x");
        assert_eq!(id_of(&a), first, "nothing that counts has changed");
        file("m3/src/main.rs", "x");
        file("rtl8195a-model/src/lib.rs", "x");
        file("mbedtls/stacks/other/builds.toml", "x");
        assert_eq!(id_of(&a), first, "what is for other images has changed");
        file(".cargo/config.toml", "x");
        assert_ne!(id_of(&a), first, "another linker");
        fs::remove_file(folder.path().join(".cargo/config.toml")).unwrap();
        file("native/src/main.rs", "x");
        assert_ne!(id_of(&a), first, "the image's own package");
        fs::remove_file(folder.path().join("native/src/main.rs")).unwrap();
        file("mbedtls/stacks/s/builds.toml", "x");
        assert_ne!(id_of(&a), first, "the build's own stack");
        fs::remove_file(folder.path().join("mbedtls/stacks/s/builds.toml")).unwrap();
        assert_eq!(id_of(&a), first, "all as it was");
        assert_ne!(id_of(&b), first, "another build");
        file("dut/src/lib.rs", "two");
        assert_ne!(id_of(&a), first, "another content");
        file("dut/src/lib.rs", "one");
        assert_eq!(id_of(&a), first, "the old content again");
        file("dut/src/more.rs", "");
        assert_ne!(id_of(&a), first, "another file");

        let emulated = |target| Product::Image { build: "s/a".parse().unwrap(), target };
        let line = [Target::Mps2An385, Target::Mps2An385Rtt].map(emulated);
        assert_ne!(id_of(&line[0]), id_of(&line[1]), "another line to the rig");

        let algorithm = Product::FlashAlgorithm(Chip::Rtl8195a);
        file("flash-algo/src/main.rs", "x");
        let first = id_of(&algorithm);
        file("dut/src/lib.rs", "three");
        assert_eq!(id_of(&algorithm), first, "an algorithm holds nothing of the firmware");
        assert_ne!(id_of(&Product::FlashAlgorithm(Chip::Mps2An385)), first, "another chip");
        file("flash-algo/src/main.rs", "y");
        assert_ne!(id_of(&algorithm), first, "the algorithm's own package");
    }
}
