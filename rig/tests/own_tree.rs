//! Builds of a user's own: from an edited header to its answer, through the built binary.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

mod common;

use common::{Checkout, Seen, can_run};
use reports::record::{Verdict, read_cells, read_run};
use rig::board::Kind;
use rig::firmware::own::{Own, Sources, Wanted};
use rig::firmware::{Builder, Target};
use rig::project::Project;
use rstest::{Context, rstest};
use std::fs;
use std::path::{Path, PathBuf};

/// A checkout with an mbedTLS 2.4.0 tree and a header beside it, as a user has them.
struct Desk {
    checkout: Checkout,
}

const TREE: &str = "sdk/mbedtls-2.4.0";
const HEADER: &str = "edited.h";
const OWN: &str = "--config edited.h --stack-dir sdk/mbedtls-2.4.0";

/// What makes Suite B possible.
const ECDSA: &str = "#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED\n#define MBEDTLS_ECDH_C\n\
                     #define MBEDTLS_ECDSA_C\n#define MBEDTLS_GCM_C\n";

/// What a header for a chip has beside the library's features.
const HOOKS: &str = "#define MBEDTLS_AES_ALT\n#define MBEDTLS_SHA256_PROCESS_ALT\n\
                     #define RTL_HW_CRYPTO\n#define RTL_CRYPTO_FRAGMENT 15360\n\
                     #define MBEDTLS_FS_IO\n#define MBEDTLS_TIMING_C\n#define MBEDTLS_TIMING_ALT\n\
                     #define MBEDTLS_THREADING_C\n#define MBEDTLS_THREADING_ALT\n\
                     #define MBEDTLS_ENTROPY_C\n#define MBEDTLS_HAVE_TIME\n\
                     #define MBEDTLS_HAVE_TIME_DATE\n#define MBEDTLS_PLATFORM_EXIT_ALT\n";

/// The sources of a stack, where cargo keeps them.
fn tree_of(stack: &str) -> PathBuf {
    rig::firmware::own::tree_of_stack(&Project::find().unwrap().root().join("firmware"), stack)
        .unwrap()
}

/// The Ameba1 SDK's config_rsa.h, with more.
fn config(more: &str) -> String {
    let set = Project::find().unwrap().root().join("firmware/mbedtls/sets/sdk_rsa.h");
    let set = fs::read_to_string(set).unwrap();
    format!(
        "#ifndef EDITED_H\n#define EDITED_H\n{set}\n#define MBEDTLS_NET_C\n\
         #include \"length.h\"\n{more}\n#include \"check_config.h\"\n#endif\n"
    )
}

impl Desk {
    fn new() -> Self {
        let checkout = Checkout::new();
        let real = Project::find().unwrap();
        let broker = "suites/brokers/ec-certificate.toml";
        // Closes without an alert, as the forum's broker does.
        let text = fs::read_to_string(real.root().join(broker)).unwrap();
        fs::write(checkout.path(broker), format!("on_reject = 'close'\n{text}")).unwrap();
        let suite = "summary = 'edited'\n[[cells]]\n\
                     clients = ['mbedtls-2.4.0/rsa-16384+default', 'mbedtls-2.4.0/rsa-16384+suiteb', 'mbedtls-2.4.0/rsa-4096+default']\n\
                     brokers = ['ec-certificate', 'tls12-rsa-plain']\n";
        fs::write(checkout.path("suites/matrix/edited.toml"), suite).unwrap();
        let desk = Self { checkout };
        let tree = tree_of("mbedtls-2.4.0");
        for part in ["include/mbedtls", "library"] {
            let folder = desk.path(TREE).join(part);
            fs::create_dir_all(&folder).unwrap();
            for file in fs::read_dir(tree.join(part)).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), folder.join(file.file_name())).unwrap();
            }
        }
        desk.write("length.h", "#define MBEDTLS_SSL_MAX_CONTENT_LEN (16 * 1024)\n");
        desk.write(HEADER, &config(""));
        desk
    }

    fn path(&self, below: &str) -> PathBuf {
        self.checkout.path(below)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    fn rig(&self, line: &str) -> Seen {
        self.checkout.rig(line)
    }

    /// The build, looked at afresh.
    fn builder(&self) -> Builder {
        let wanted = Wanted::named_after(&self.path(HEADER), Sources::Folder(self.path(TREE)));
        let builder = Builder::new(self.checkout.path("").as_path(), &self.path("target/rig"));
        builder.with_own(&[wanted]).unwrap()
    }

    fn compare(&self, name: &str, seen: impl std::fmt::Display) {
        // The images' ids differ from machine to machine.
        let mut text = String::new();
        for (at, part) in seen.to_string().split("/images/").enumerate() {
            match at {
                0 => text.push_str(part),
                _ => text.extend(["/images/[id]", part.get(16..).unwrap_or_default()]),
            }
        }
        self.checkout.compare(name, text);
    }
}

/// The way of YOUR_OWN_TREE.md: a Suite B client that offers nothing, one edit, two suites.
#[test]
fn an_edited_header_turns_minus_0x7280_into_a_hello_with_two_suites() {
    let desk = Desk::new();
    let line = format!("predict {OWN} --profile suiteb --broker ec-certificate");
    desk.compare("own_predict_before_the_edit", desk.rig(&line));
    desk.write(HEADER, &config(&format!("{ECDSA}{HOOKS}")));
    desk.compare("own_predict_after_the_edit", desk.rig(&line));

    let seen = desk.rig(&format!("run edited {OWN} --board native --jobs 1 --out made"));
    assert_eq!(seen.code, Some(1), "{seen}");
    desk.compare("own_run", &seen);
    let cells = read_cells(&desk.path("made")).unwrap();
    // Two builds of the suite made two cells with the profile `default`; here they are one.
    assert_eq!(cells.len(), 4, "{seen}");
    for cell in &cells {
        assert_eq!(cell.verdict, Verdict::New, "no surprise: {:?}", cell.surprises);
        assert!(cell.predicted.is_some());
        assert_eq!(cell.build.as_str(), "mbedtls-2.4.0/own-edited");
    }
    let suite_b = cells
        .iter()
        .find(|cell| cell.client.profile == "suiteb" && cell.broker == "ec-certificate");
    let hello = suite_b.unwrap().client_hello.as_ref().unwrap();
    assert_eq!(hello.suites, ["0xc02b", "0xc02c", "0x00ff"]);
    let run = read_run(&desk.path("made")).unwrap();
    let [own] = &run.own_builds[..] else { panic!("one build") };
    assert_eq!((own.name.as_str(), &*own.version), ("mbedtls-2.4.0/own-edited", "2.4.0"));
    assert!(own.overrides.iter().any(|text| text.starts_with("MBEDTLS_AES_ALT is taken out")));

    // Accepted, it is as expected; the suites' own clients keep their snapshots and hellos.
    assert_eq!(desk.rig(&format!("run edited {OWN} --board native --accept")).code, Some(0));
    let seen = desk.rig(&format!("run edited {OWN} --board native"));
    assert_eq!(seen.code, Some(0), "{seen}");
    assert!(!seen.stderr.contains("building"), "the image is kept: {seen}");
    let snapshots: Vec<_> = fs::read_dir(desk.path("suites/snapshots/edited"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(snapshots.len(), 2, "{snapshots:?}");
    assert!(snapshots.iter().all(|name| name.starts_with("mbedtls-2.4.0__own-edited+")));
    assert!(!desk.path("suites/hellos").exists(), "hellos of own builds are not recorded");

    // Back to the header before: the snapshot shows what the edit had changed.
    desk.write(HEADER, &config(""));
    let seen = desk.rig(&format!("run edited {OWN} --board native --out back"));
    assert_eq!(seen.code, Some(1), "{seen}");
    let cells = read_cells(&desk.path("back")).unwrap();
    let changed = cells.iter().filter(|cell| cell.verdict == Verdict::Changed).count();
    assert_eq!(changed, 3, "all but the default preset at the RSA broker: {seen}");
    let suite_b = cells.iter().find(|cell| cell.cell == suite_b.unwrap().cell).unwrap();
    assert_eq!(suite_b.client_hello.as_ref().unwrap().suites, ["0x00ff"]);
    assert_eq!(suite_b.outcome.error.as_deref(), Some("-0x7280"));

    // A record holds cells of one header.
    let resume = |line: &str| desk.rig(&format!("run edited {line} --board native --resume back"));
    let seen = resume(OWN);
    assert_eq!(
        seen.code,
        Some(1),
        "nothing is left to do, and it is still not as expected: {seen}"
    );
    let without = resume("");
    assert_eq!(without.code, Some(2), "{without}");
    assert!(without.stderr.contains("then mbedtls-2.4.0/own-edited, now none"), "{without}");
    desk.write("length.h", "#define MBEDTLS_SSL_MAX_CONTENT_LEN 4096\n");
    let other = resume(OWN);
    assert_eq!(other.code, Some(2), "{other}");
    assert!(other.stderr.contains("mbedtls-2.4.0/own-edited is no longer what"), "{other}");
}

#[test]
fn the_emulated_board_says_what_the_native_one_says() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let desk = Desk::new();
    desk.write(HEADER, &config(&format!("{ECDSA}{HOOKS}")));
    let outcomes = |kind: Kind| {
        let seen = desk.rig(&format!("run edited {OWN} --board {kind} --out {kind}"));
        assert_eq!(seen.code, Some(1), "all new: {seen}");
        let mut cells: Vec<_> = read_cells(&desk.path(kind.name()))
            .unwrap()
            .into_iter()
            .map(|cell| (cell.cell, cell.outcome, cell.surprises))
            .collect();
        cells.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(cells.len(), 4);
        cells
    };
    assert_eq!(outcomes(Kind::Qemu), outcomes(Kind::Native));
}

/// A header from where it costs the most: everything on that the library has, sockets and files
/// included.
#[rstest]
#[case("mbedtls-2.4.0", "config.h")]
#[case("mbedtls-2.16.0", "config.h")]
#[case("mbedtls-2.28", "config.h")]
#[case("mbedtls-3.6", "mbedtls_config.h")]
fn the_librarys_own_header_of_each_stack_is_sound_with_the_overrides(
    #[case] stack: &str,
    #[case] header: &str,
) {
    let firmware = Project::find().unwrap().root().join("firmware");
    let folder = tempfile::tempdir().unwrap();
    let look = |header: &Path| {
        let wanted = Wanted::named_after(header, Sources::Stack(stack.to_owned()));
        Own::look(&wanted, &firmware, folder.path())
    };
    let tree = tree_of(stack);
    let own = look(&tree.join("include/mbedtls").join(header)).unwrap();
    assert_eq!((own.name.stack(), own.content_length), (stack, 16384));
    for gone in ["MBEDTLS_NET_C", "MBEDTLS_FS_IO", "MBEDTLS_TIMING_C", "MBEDTLS_ENTROPY_C"] {
        assert!(own.overrides.iter().any(|change| change.name == gone && change.now.is_none()));
        assert!(!own.macros.lines().any(|line| line == format!("#define {gone} ")), "{gone}");
    }
}

/// Everything that can change an image changes its id, and nothing else does.
#[test]
fn the_image_follows_the_bytes_of_tree_and_headers() {
    let desk = Desk::new();
    let name = desk.builder().own()[0].name.clone();
    let id = || {
        let builder = desk.builder();
        builder.id(&name, Target::Native).unwrap()
    };
    let first = id();
    let change = |file: &str, what: &str| {
        let before = fs::read_to_string(desk.path(file)).unwrap();
        desk.write(file, &format!("{before}\n/* another byte */\n"));
        assert_ne!(id(), first, "{what}");
        desk.write(file, &before);
        assert_eq!(id(), first, "{what}, and back");
    };
    change(HEADER, "the header");
    change("length.h", "a header beside it");
    change(&format!("{TREE}/library/ssl_cli.c"), "a source of the tree");
    change(&format!("{TREE}/include/mbedtls/ssl.h"), "a header of the tree");
    desk.write(&format!("{TREE}/library/notes.txt"), "nothing that is compiled");
    assert_eq!(id(), first);
}

#[test]
fn a_builds_file_names_several() {
    let desk = Desk::new();
    fs::create_dir(desk.path("product")).unwrap();
    let file = "stack_dir = '../sdk/mbedtls-2.4.0'\n[builds.shipped]\nheader = '../edited.h'\n\
                [builds.next]\nheader = 'next.h'\nsummary = 'what we want to ship'\n";
    desk.write("product/builds.toml", file);
    desk.write("product/next.h", &config(ECDSA));
    desk.write("product/length.h", "#define MBEDTLS_SSL_MAX_CONTENT_LEN 4096\n");
    desk.compare("own_list_cells", desk.rig("list cells edited --builds product/builds.toml"));
    let seen = desk.rig("list builds --format json --builds product/builds.toml");
    assert_eq!(seen.code, Some(0), "{seen}");
    let rows: Vec<serde_json::Value> = serde_json::from_str(&seen.stdout).unwrap();
    let own: Vec<_> = rows.iter().filter(|row| !row["own"].is_null()).collect();
    let names: Vec<_> = own.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["mbedtls-2.4.0/own-next", "mbedtls-2.4.0/own-shipped"]);
    assert!(own[0]["about"].as_str().unwrap().contains("4096 byte records"));
    assert_eq!(own[1]["own"]["version"], "2.4.0");
    assert!(own[1]["about"].as_str().unwrap().contains("16384 byte records"));
    // With two of them a profile alone says too little.
    let line = "predict --builds product/builds.toml --profile suiteb --broker ec-certificate";
    desk.compare("own_predict_which", desk.rig(line));
}

#[test]
fn overrides_are_told() {
    let desk = Desk::new();
    desk.write(HEADER, &config(HOOKS));
    let seen = desk.rig(&format!("list suites {OWN}"));
    assert_eq!(seen.code, Some(0), "{seen}");
    desk.compare("own_overrides", &seen.stderr);
    // A tree with the SDK's hooks has no software AES without them.
    let aes = desk.path(TREE).join("library/aes.c");
    let text = fs::read_to_string(&aes).unwrap();
    fs::write(&aes, format!("{text}\n#ifdef RTL_HW_CRYPTO\n#include <hal_crypto.h>\n#endif\n"))
        .unwrap();
    let seen = desk.rig(&format!("list suites {OWN}"));
    let engine: Vec<_> = seen.stderr.lines().filter(|line| line.contains("_CRYPTO")).collect();
    desk.compare("own_overrides_with_hooks", engine.join("\n"));
}

#[rstest]
#[case::own_no_sources("list suites --config edited.h")]
#[case::own_no_tree("list suites --config edited.h --stack-dir sdk/mbedtls-2.5.0")]
#[case::own_not_the_tree("list suites --config edited.h --stack-dir sdk")]
#[case::own_unknown_stack("list suites --config edited.h --stack mbedtls-2.4")]
#[case::own_no_header("list suites --config edit.h --stack-dir sdk/mbedtls-2.4.0")]
#[case::own_no_builds_file("list suites --builds builds.toml")]
fn what_was_asked_for_is_not_there(#[context] context: Context, #[case] line: &str) {
    let desk = Desk::new();
    let seen = desk.rig(line);
    assert_eq!((seen.code, &*seen.stdout), (Some(2), ""), "{seen}");
    desk.compare(context.description.unwrap(), seen);
}

#[rstest]
#[case::own_other_version("2.7.0")]
#[case::own_no_version("x")]
fn a_tree_of_another_version(#[context] context: Context, #[case] version: &str) {
    let desk = Desk::new();
    state_version(&desk.path(TREE), version);
    let seen = desk.rig(&format!("list suites {OWN}"));
    assert_eq!((seen.code, &*seen.stdout), (Some(2), ""), "{seen}");
    desk.compare(context.description.unwrap(), seen);
}

#[test]
fn a_release_that_the_rig_has_no_facts_of_is_run_but_not_predicted() {
    let desk = Desk::new();
    state_version(&desk.path(TREE), "2.4.2");
    desk.compare("own_other_release", desk.rig(&format!("list cells smoke {OWN}")));
    let line = format!("predict {OWN} --profile default --broker ec-certificate");
    let seen = desk.rig(&line);
    assert_eq!((seen.code, &*seen.stdout), (Some(2), ""), "{seen}");
    let said: Vec<_> = seen.stderr.lines().filter(|line| line.starts_with("error")).collect();
    desk.compare("own_other_release_predicted", said.join("\n"));
}

fn state_version(tree: &Path, version: &str) {
    let file = tree.join("include/mbedtls/version.h");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"2.4.0\"", &format!("\"{version}\""))).unwrap();
}

#[rstest]
// What the library's own check finds.
#[case::own_inconsistent("#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED\n")]
#[case::own_include_is_missing("#include \"platform_opts.h\"\n")]
#[case::own_no_client("#undef MBEDTLS_SSL_CLI_C\n")]
// What only the compiler finds, when the firmware is built.
#[case::own_does_not_compile("_Static_assert(0, \"not like this\");\n")]
fn a_header_is_wrong(#[context] context: Context, #[case] more: &str) {
    let desk = Desk::new();
    desk.write(HEADER, &config(more));
    let seen = desk.rig(&format!("run smoke {OWN} --board native"));
    assert_eq!((seen.code, &*seen.stdout), (Some(2), ""), "{seen}");
    assert!(!desk.path("target/rig/runs").exists(), "no run was made");
    let log = seen.stderr.split_once("said is in ").map(|(_, rest)| rest);
    if let Some(log) = log {
        let log = log.split([';', '\n']).next().unwrap();
        assert!(!fs::read_to_string(log).unwrap().is_empty(), "{log}");
    }
    desk.compare(context.description.unwrap(), seen);
}
