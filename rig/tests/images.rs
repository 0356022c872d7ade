//! Images for an `ameba1`: every build fits its memory, says so, and can be put into its flash.

mod common;

use common::{Checkout, can_run};
use object::{Object, ObjectSymbol};
use rig::board::Kind;
use rig::boot_image::{PROTECTED, image1, image2};
use rig::firmware::{Builder, Target};
use rig::project::Project;
use serde_json::Value;

/// SRAM behind what the ROM and an image1 use, and the half of TCM that the stack may take.
const SRAM: std::ops::Range<u64> = 0x1000_6000..0x1007_0000;
const STACK: std::ops::Range<u64> = 0x1fff_0000..0x1fff_8000;
/// The most that any build takes from the heap: 44 KB for mbedTLS, 31 KB for the line to the rig.
const HEAP_NEEDED: u64 = 75 * 1024;

/// Builds that an ameba1 has no room for; their stack's `builds.toml` says why.
const TOO_LARGE: [&str; 2] = ["mbedtls-3.6/all-16384", "mbedtls-3.6/all-4096"];

#[test]
fn every_build_fits_an_ameba1_and_its_memory_map_is_listed() {
    // They have their compilers in common.
    if !can_run(Kind::Qemu) {
        return;
    }
    let checkout = Checkout::new();
    let seen = checkout.rig("list builds --build --format json");
    assert_eq!(seen.code, Some(0), "{seen}");
    let rows: Vec<Value> = serde_json::from_str(&seen.stdout).unwrap();
    assert!(rows.len() >= 3, "{seen}");
    for row in &rows {
        let (name, memory) = (&row["name"], &row["ameba1"]);
        if TOO_LARGE.iter().any(|large| name == large) {
            assert_eq!(memory["state"], "cannot_build", "{name}");
            assert!(memory["why"].as_str().unwrap().contains("SRAM"), "{name}: {memory}");
            continue;
        }
        assert_eq!(memory["state"], "built", "{name}");
        assert!(memory["heap"].as_u64().unwrap() >= HEAP_NEEDED, "{name}");
        let areas = memory["areas"].as_array().unwrap();
        assert_eq!(areas[0]["start"], SRAM.start, "{name}: where an image1 puts it");
        for area in areas {
            let place = area["start"].as_u64().unwrap()..area["end"].as_u64().unwrap();
            let fits = |memory: &std::ops::Range<u64>| {
                memory.start <= place.start && place.end <= memory.end
            };
            assert!(fits(&SRAM) || fits(&STACK), "{name}: {area}");
        }
    }

    let human = checkout.rig("list builds").stdout;
    let build = human.find("mbedtls-2.4.0/rsa-4096").unwrap();
    // Sizes depend on the compilers; which areas there are does not.
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("0x[0-9a-f]{8}", "[address]");
    settings.add_filter(r" +[0-9.]+ K?B", " [size]");
    let lines: Vec<_> = human[build..].lines().skip(1).take(4).map(str::trim).collect();
    settings.bind(|| {
        insta::assert_snapshot!(lines.join("\n"), @r"
    ameba1: code [size], data [size], bss [size], heap [size], stack [size]
    [address] to [address] [size]  code
    [address] to [address] [size]  data, bss, heap
    [address] to [address] [size]  stack
    ")
    });
}

#[test]
fn what_is_not_built_yet_is_said_with_the_command_that_builds_it() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let checkout = Checkout::new();
    std::fs::remove_file(checkout.path("target/rig/images")).unwrap();
    let human = checkout.rig("list builds");
    assert_eq!(human.code, Some(0), "{human}");
    let lines: Vec<_> = human.stdout.lines().filter(|line| line.contains("ameba1:")).collect();
    insta::assert_snapshot!(lines[0].trim(), @"ameba1: not built yet: `cargo rig list builds --build` makes it and prints its memory map");
    let bare = checkout.rig_on_a_bare_machine("list builds");
    assert_eq!(bare.code, Some(0), "{bare}");
    // What is missed first depends on where this machine keeps its compilers.
    let lines = bare.stdout.lines().filter(|line| line.contains("ameba1:"));
    assert!(lines.clone().count() > 0, "{bare}");
    let told = |line: &str| line.contains(" is missing here: run ") || line.contains("the SRAM");
    assert!(lines.clone().all(told), "{bare}");
}

#[test]
fn every_build_and_its_first_stage_can_be_put_into_flash() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let project = Project::find().unwrap();
    let builder = Builder::new(project.root(), &project.cache());
    // All of the SDK's own stack, and of each newer one the largest that fits.
    let newer = ["mbedtls-2.16.0/all-16384", "mbedtls-2.28/all-16384", "mbedtls-3.6/rsa-16384"];
    let wanted = |name: &str| name.starts_with("mbedtls-2.4.0/") || newer.contains(&name);
    let builds = builder.builds().unwrap().into_iter();
    for build in builds.filter(|build| wanted(build.name.as_str())) {
        let image = builder.image(&build.name, Target::Ameba1, &mut |_| {}).unwrap();
        let second = image2(&std::fs::read(&image.path).unwrap()).unwrap();
        assert_eq!(second.offset(), PROTECTED.end);
        // Where a debugger that is to be the line to the rig finds its rings.
        let elf = std::fs::read(&image.path).unwrap();
        let file = object::File::parse(&*elf).unwrap();
        let rings = file.symbol_by_name("_SEGGER_RTT").unwrap();
        assert!(SRAM.contains(&rings.address()) && rings.size() == 24 + 2 * 24);
        // Header, entry and mark, then the name that the board gives when asked.
        let named = &second.bytes()[16 + 12..][..image.id.len()];
        assert_eq!(named, image.id.as_bytes());
        let first = image1(&std::fs::read(image.first_stage()).unwrap()).unwrap();
        assert!(first.bytes().len() <= PROTECTED.start as usize);
    }
}
