//! What files may say, and what they may not.

use super::*;

const LEAST: &str = "summary = 'a'\nsource = 'b'\n\
                     cipher_suites = ['TLS_RSA_WITH_AES_256_CBC_SHA256']\n";

fn profile(more: &str) -> Result<BrokerProfile, FileError> {
    BrokerProfile::parse("x", &format!("{LEAST}{more}"), "suites/brokers/x.toml")
}

#[test]
fn the_least_profile_is_a_plain_tls12_server() {
    let profile = profile("").unwrap();
    assert_eq!(profile.cipher_suites, [CipherSuite(0x003d)]);
    assert!(profile.accepts(ProtocolVersion::TLS1_2));
    assert!(!profile.accepts(ProtocolVersion::TLS1_3));
    assert_eq!((profile.on_reject, profile.dh_bits), (OnReject::Alert, 2048));
    assert_eq!(profile.certificate, Certificate::default());
}

#[test]
fn the_page_example_is_read() {
    let page = include_str!("../broker.rs");
    let example: Vec<&str> = page
        .lines()
        .skip_while(|line| *line != "//! ```toml")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| line.trim_start_matches("//!"))
        .collect();
    let profile = BrokerProfile::parse("x", &example.join("\n"), "page").unwrap();
    assert_eq!(profile.groups_for(CipherSuite(0xc028)), [NamedGroup(24)]);
    assert_eq!(profile.certificate.key, KeyKind::Rsa4096);
    assert_eq!(profile.certificate.name, "broker.test");
}

#[test]
fn every_profile_in_the_folder_is_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/brokers");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let profile = BrokerProfile::parse(&name, &text, &path.to_string_lossy());
        profile.unwrap_or_else(|error| panic!("{error}"));
        names.push(name);
    }
    assert!(names.iter().any(|name| name == "hivemq-cloud-2021"), "{names:?}");
}

#[test]
fn hivemq_prefers_0x003d_among_the_suites_of_the_rsa_client() {
    let text = include_str!("../../brokers/hivemq-cloud-2021.toml");
    let hivemq = BrokerProfile::parse("hivemq-cloud-2021", text, "x").unwrap();
    assert_eq!(hivemq.cipher_suites.len(), 12);
    let offered = [0x003d, 0x0035, 0x003c, 0x002f].map(CipherSuite);
    let chosen = hivemq.cipher_suites.iter().find(|suite| offered.contains(suite));
    assert_eq!(chosen, Some(&CipherSuite(0x003d)));
}

#[test]
fn mistakes_are_named_where_they_stand() {
    for (more, line, says) in [
        ("fornt = 'rustls'", 4, "did you mean `front`?"),
        ("[certificate]\nkey = 'rsa-2049'", 5, "did you mean `rsa-2048`?"),
        ("min_version = 'TLS1.4'", 4, "did you mean `TLS1.3`?"),
        ("max_version = 'TLS1.1'", 0, "min_version is above"),
        ("groups = ['secp256r2']", 4, "did you mean \"secp256r1\"?"),
        ("record_size = 16", 4, "record_size must be between"),
        ("max_version = 'TLS1.3'", 3, "TLS1.3 is served, but no suite"),
        ("[suite_groups]\nTLS_RSA_WITH_AES_256_CBC_SHA256 = 'x25519'", 4, "is no ECDHE suite"),
        ("front = 'rustls'\nmin_version = 'TLS1.0'", 5, "rustls has no version below"),
        (
            "signature_algorithms = ['rsa_pss_rsae_sha265']",
            4,
            "did you mean \"rsa_pss_rsae_sha256\"?",
        ),
        ("[psk]\nidentity = 'a'\nkey = 'abc'", 6, "two digits for each byte"),
        ("[certificate]\npss = true\nissuer_key = 'ecdsa-p256'", 5, "issuer_key of kind rsa"),
        ("[certificate]\nmessage_bytes = 100", 5, "message_bytes must be at least"),
        ("[certificate]\nvalidity = 'expird'", 5, "did you mean `expired`?"),
        ("[misbehave]\nat = 'acept'\ndoes = 'close'", 5, "did you mean `accept`?"),
        ("[misbehave]\nat = 'accept'\ndoes = 'stal'", 6, "did you mean `stall`?"),
        ("[misbehave]\nat = 'accept'\ndoes = 'bad-mac'", 6, "a record has a MAC from"),
        ("[misbehave]\nat = 'finished'\ndoes = 'unoffered-hash'", 5, "in the answer to the"),
        ("[misbehave]\nat = 'accept'\ndoes = 'close'\ncode = 3", 7, "code does not go with"),
        ("[misbehave]\nat = 'connect'\ndoes = 'connack'\ncode = 0", 6, "a code from 1 to 5"),
        ("[misbehave]\nat = 'accept'\ndoes = 'alert'\nalert = 'no_alert'", 7, "there is no alert"),
    ] {
        let error = profile(more).expect_err(more);
        assert_eq!(error.line, line, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_fault_is_read_with_what_belongs_to_it() {
    let fault = |text: &str| profile(&format!("[misbehave]\n{text}")).unwrap().misbehave.unwrap();
    let close = fault("at = 'certificate'\ndoes = 'close'");
    assert_eq!(close, Misbehaviour { at: Stage::Certificate, does: Fault::Close });
    let warning = fault(
        "at = 'client-hello'\ndoes = 'alert'\nalert = 'unrecognized_name'\nlevel = 'warning'",
    );
    let description = AlertDescription(112);
    assert_eq!(warning.does, Fault::Alert { level: 1, description });
    assert_eq!(fault("at = 'accept'\ndoes = 'stall'\npause_ms = 5").does, Fault::Stall { ms: 5 });
}

#[test]
fn behind_the_curve_of_the_certificate_nothing_is_an_exception() {
    let served: BTreeMap<_, _> = [(CipherSuite(0xc02b), vec![NamedGroup(23)])].into();
    let (p256, p384) = (NamedGroup(23), NamedGroup(24));
    let both = fold_groups(&served, Some(&[p256, p384]), Some(p256));
    assert_eq!(both, (vec![p256, p384], BTreeMap::new()));
    // The server prefers another one in TLS 1.3, so the suite does have its own.
    let (_, own) = fold_groups(&served, Some(&[p384, p256]), Some(p256));
    assert_eq!(own.len(), 1);
}

/// Every profile of the library.
fn library() -> Vec<BrokerProfile> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/brokers");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        BrokerProfile::parse(path.file_stem().unwrap().to_str().unwrap(), &text, "x").unwrap()
    };
    std::fs::read_dir(folder).unwrap().map(read).collect()
}

#[test]
fn what_is_written_is_read_as_the_same_profile() {
    let comments = ["one\ntwo".to_owned(), "\u{1b}[31mred".to_owned()];
    for profile in library() {
        let text = profile.to_toml(&comments);
        let read = BrokerProfile::parse(&profile.name, &text, "written");
        let read = read.unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(read, BrokerProfile { misbehave: None, ..profile }, "{text}");
        assert!(!text.contains('\u{1b}'), "a comment steers the terminal");
    }
}

#[test]
fn the_visible_form_is_a_profile_and_its_own_visible_form() {
    for profile in library() {
        let seen = profile.visible();
        assert_eq!(seen.visible(), seen);
        let text = seen.to_toml(&[]);
        let read = BrokerProfile::parse(&seen.name, &text, "written");
        assert_eq!(read.unwrap_or_else(|error| panic!("{error}\n{text}")), seen);
    }
}

/// A key that is left out and not listed would be left out silently.
#[test]
fn what_cannot_be_seen_is_listed_by_name() {
    let table = |profile: &BrokerProfile| profile.to_toml(&[]).parse::<toml::Table>().unwrap();
    let certificate = |table: &mut toml::Table| match table.remove("certificate") {
        Some(toml::Value::Table(keys)) => keys,
        _ => toml::Table::new(),
    };
    let listed = |key: &str| {
        let named = |(names, _): &(&str, &str)| {
            names.split([' ', ',']).any(|name| {
                name == key || key.strip_prefix("certificate.").is_some() && name == "certificate"
            })
        };
        INVISIBLE.iter().any(named)
    };
    let mut met = std::collections::BTreeSet::new();
    for profile in library() {
        let (mut all, mut seen) = (table(&profile), table(&profile.visible()));
        for (prefix, all, seen) in
            [("certificate.", certificate(&mut all), certificate(&mut seen)), ("", all, seen)]
        {
            let keys = all.keys().chain(seen.keys()).filter(|key| all.get(*key) != seen.get(*key));
            met.extend(keys.map(|key| format!("{prefix}{key}")));
        }
    }
    assert!(met.len() > 8, "the library tries too little: {met:?}");
    for key in met {
        assert!(listed(&key), "{key}");
    }
    for key in NEVER_VISIBLE {
        assert!(listed(key), "{key}");
    }
}

#[test]
fn groups_fold_into_one_list_and_exceptions() {
    let (p256, p384, x25519) = (NamedGroup(23), NamedGroup(24), NamedGroup(29));
    let (a, b) = (CipherSuite(0xc027), CipherSuite(0xc028));
    let fold = |of_a: &[NamedGroup], of_b: &[NamedGroup], tls13: Option<&[NamedGroup]>| {
        fold_groups(&[(a, of_a.to_vec()), (b, of_b.to_vec())].into(), tls13, None)
    };
    let usual = vec![p256, p384, x25519];
    assert_eq!(fold_groups(&BTreeMap::new(), None, None), (usual.clone(), BTreeMap::new()));
    assert_eq!(fold(&[p256], &[p256], None), (vec![p256], BTreeMap::new()));
    assert_eq!(fold(&[p256], &[p384], None), (usual, [(a, p256), (b, p384)].into()));
    let both = [x25519, p384];
    assert_eq!(fold(&both, &[p384], None), (both.to_vec(), [(b, p384)].into()));
    assert_eq!(fold(&[p256], &[p256], Some(&[p384])), (vec![p384], [(a, p256), (b, p256)].into()));
}

#[test]
fn schemes_that_openssl_has_by_itself_are_not_said() {
    let rsa = KeyKind::Rsa2048;
    let usual = [0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0201].to_vec();
    assert_eq!(fold_schemes(usual.clone(), rsa, true), None);
    let reversed: Vec<_> = usual.iter().rev().copied().collect();
    assert_eq!(fold_schemes(reversed.clone(), rsa, true), Some(reversed.clone()));
    assert_eq!(fold_schemes(reversed, rsa, false), None, "the client's order is nobody's");
    assert_eq!(fold_schemes(vec![0x0403, 0x0501], rsa, true), Some(vec![0x0501]));
    let short = [0x0804, 0x0805, 0x0401, 0x0501, 0x0601, 0x0201].to_vec();
    assert_eq!(fold_schemes(short, KeyKind::Rsa1024, true), None);
}
