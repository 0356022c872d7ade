use super::*;
use std::collections::BTreeMap;
use std::fs;

const FIRMWARE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../firmware");

fn version(text: &str) -> Version {
    let numbers: Vec<u32> = text.split('.').map(|number| number.parse().unwrap()).collect();
    Version { major: numbers[0], minor: numbers[1], patch: numbers[2] }
}

fn overrides(macros: &[(&str, &str)], of: &str, hooks: bool) -> String {
    let macros: BTreeMap<_, _> =
        macros.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let found = overrides::of(&macros, version(of), hooks);
    found.iter().map(|change| format!("{change}\n")).collect()
}

/// What an SDK's header holds beside the library's features.
const HEADER: [(&str, &str); 18] = [
    ("MBEDTLS_AES_C", ""),
    ("MBEDTLS_AES_ALT", ""),
    ("MBEDTLS_SHA256_PROCESS_ALT", ""),
    ("MBEDTLS_PK_RSA_ALT_SUPPORT", ""),
    ("MBEDTLS_NET_C", ""),
    ("MBEDTLS_FS_IO", ""),
    ("MBEDTLS_THREADING_C", ""),
    ("MBEDTLS_THREADING_ALT", ""),
    ("MBEDTLS_ENTROPY_C", ""),
    ("MBEDTLS_HAVE_TIME_DATE", ""),
    ("MBEDTLS_PLATFORM_C", ""),
    ("MBEDTLS_PLATFORM_MEMORY", ""),
    ("MBEDTLS_PLATFORM_NO_STD_FUNCTIONS", ""),
    ("MBEDTLS_PLATFORM_STD_CALLOC", "my_calloc"),
    ("MBEDTLS_PLATFORM_SNPRINTF_MACRO", "my_snprintf"),
    ("MBEDTLS_SSL_TRUNCATED_HMAC", ""),
    ("RTL_HW_CRYPTO", ""),
    ("RTL_CRYPTO_FRAGMENT", "15360"),
];

#[test]
fn each_override_says_what_was_and_why() {
    insta::assert_snapshot!(overrides(&HEADER, "2.4.0", false));
}

#[test]
fn a_tree_with_the_sdks_hooks_keeps_them_and_is_told_that_there_is_no_engine() {
    let hooked = overrides(&HEADER, "2.4.0", true);
    let of_engine = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with("MBEDTLS_"));
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(of_engine(&hooked), @r"
    RTL_CRYPTO_FRAGMENT stays 15360: the crypto engine's hooks are told that there is no engine; software computes the same bytes
    RTL_HW_CRYPTO stays defined: the crypto engine's hooks are told that there is no engine; software computes the same bytes
    SUPPORT_HW_SW_CRYPTO is defined (was not defined): without it this copy of the library has no AES and DES in software, only the engine's
    ");
}

#[test]
fn newer_versions_need_more() {
    let macros = [("MBEDTLS_PSA_CRYPTO_C", ""), ("MBEDTLS_SSL_TRUNCATED_HMAC", "")];
    insta::assert_snapshot!(overrides(&macros, "3.6.5", false));
}

/// The rig's own headers hold the same glue by hand; what one stack needs, a tree like it needs.
#[test]
fn what_the_rig_adds_to_its_own_headers_is_added_to_a_users() {
    for (stack, of) in [
        ("mbedtls-2.4.0", "2.4.0"),
        ("mbedtls-2.16.0", "2.16.0"),
        ("mbedtls-2.28", "2.28.10"),
        ("mbedtls-3.6", "3.6.5"),
    ] {
        let file = format!("{FIRMWARE}/mbedtls/stacks/{stack}/rig_added.h");
        let text = fs::read_to_string(file).unwrap();
        let added = overrides::of(&BTreeMap::new(), version(of), false);
        for line in text.lines().filter_map(|line| line.strip_prefix("#define ")) {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            if value == "RIG_CONTENT_LENGTH" {
                continue;
            }
            let ours = added.iter().find(|change| change.name == name);
            let ours = ours.and_then(|change| change.now.as_deref());
            assert_eq!(ours, Some(value), "{stack}: {name}");
        }
    }
}

#[test]
fn a_tree_is_like_a_stack_of_its_line() {
    let stack = |of: &str| tree::stack(Path::new(FIRMWARE), Path::new("/sdk"), version(of));
    let same = |name: &str, like: &str| (name.to_owned(), like.to_owned());
    assert_eq!(stack("2.4.0").unwrap(), same("mbedtls-2.4.0", "mbedtls-2.4.0"));
    // Nothing is predicted for a name that no facts belong to.
    assert_eq!(stack("2.4.2").unwrap(), same("mbedtls-2.4.2", "mbedtls-2.4.0"));
    assert_eq!(stack("2.28.3").unwrap(), same("mbedtls-2.28", "mbedtls-2.28"));
    assert_eq!(stack("3.6.0").unwrap(), same("mbedtls-3.6", "mbedtls-3.6"));
    // 2.16 is not of the line 2.1.
    for unknown in ["2.1.6", "2.7.0", "3.5.2", "4.0.0"] {
        assert!(matches!(stack(unknown), Err(OwnError::UnknownVersion { .. })), "{unknown}");
    }
}

#[test]
fn the_first_complaint_is_found_in_what_cargo_prints() {
    let of = |text: &str| first_error(text.as_bytes());
    let cargo = "   Compiling mbedtls v0.1.0\n\
                 warning: mbedtls@0.1.0: /sdk/library/aes.c:7:2: error: what is this?\n\
                 warning: mbedtls@0.1.0: /sdk/library/des.c:1:1: error: and this?\n\
                 error: failed to run custom build command\n";
    assert_eq!(of(cargo).unwrap(), "/sdk/library/aes.c:7:2: error: what is this?");
    let script = "  cargo:warning=/sdk/own.h:3:10: fatal error: a.h: No such file or directory\n";
    let said = of(script).unwrap();
    assert_eq!(said, "/sdk/own.h:3:10: fatal error: a.h: No such file or directory");
    let linker = "  = note: rust-lld: error: undefined symbol: my_calloc\n";
    assert_eq!(of(linker).unwrap(), "rust-lld: error: undefined symbol: my_calloc");
    let full = "          /usr/bin/ld: region `CODE' overflowed by 1234 bytes\n";
    assert_eq!(of(full).unwrap(), "/usr/bin/ld: region `CODE' overflowed by 1234 bytes");
    let hostile = "a.c:1:1: error: \u{1b}[2J\n";
    assert!(!of(hostile).unwrap().contains('\u{1b}'));
    assert_eq!(of("all is well\n"), None);
}

#[test]
fn a_build_is_named_after_its_header() {
    let named = |path: &str| Wanted::named_after(Path::new(path), Sources::Stack("s".into())).name;
    assert_eq!(named("/sdk/include/mbedtls/config_rsa.h"), "config_rsa");
    assert_eq!(named("my config (2).h"), "my_config__2_");
}

mod files {
    use super::*;

    fn refused(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("builds.toml");
        fs::write(&file, text).unwrap();
        let said = Wanted::read(&file).unwrap_err().to_string();
        said.replace(&*folder.path().to_string_lossy(), "[here]")
    }

    #[test]
    fn a_file_names_builds_and_paths_start_at_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("builds.toml");
        let text = "stack_dir = 'tree'\n[builds.b]\nheader = 'b.h'\n[builds.a]\nheader = '/x/a.h'\nsummary = 's'\n";
        fs::write(&file, text).unwrap();
        let wanted = Wanted::read(&file).unwrap();
        let tree = Sources::Folder(folder.path().join("tree"));
        let build = |name: &str, header: PathBuf, summary: Option<&str>| Wanted {
            name: name.to_owned(),
            header,
            sources: tree.clone(),
            summary: summary.map(str::to_owned),
        };
        let a = build("a", PathBuf::from("/x/a.h"), Some("s"));
        assert_eq!(wanted, [a, build("b", folder.path().join("b.h"), None)]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let one = "[builds.a]\nheader = 'a.h'\n";
        let texts = [
            refused(one),
            refused(&format!("stack = 'a'\nstack_dir = 'b'\n{one}")),
            refused("stack = 'a'\n[builds]\n"),
            refused(&format!("stack = 'a'\n{one}content_length = 4096\n")),
        ];
        insta::assert_snapshot!(texts.join("\n\n"));
    }
}
