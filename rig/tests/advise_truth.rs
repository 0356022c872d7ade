//! What `rig advise` says, held against what happens: the clients it recommends are run against the
//! brokers, its change is written into the header, compiled and run, and a search that knows nothing of
//! the adviser's looks for a smaller one.
//!
//! ```text
//! advise --> first clients ------------------------------------------> run on `native`: all connect
//!        \-> change --> header with these lines --compiler--> image --> run on `native`: connects
//!                   \-> every smaller set of lines --prediction, check_config.h--> none may be left;
//!                       what those two let pass is linked and run
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests are test code"
)]

mod common;

use common::{brokers, can_run, images, workshop};
use rig::advise::{Advice, Asked, Basis, Change, Known, advise, calls, reduced, with_enabled};
use rig::board::{Kind, Slot};
use rig::deadline::Interrupt;
use rig::firmware::own::{Own, Sources, Wanted};
use rig::firmware::{BuildInfo, Builder, Target};
use rig::plan::Job;
use rig::predictor::Predictor;
use rig::project::Project;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use suites::hello::ClientHello;
use suites::outcome::{Outcome, OutcomeKind};
use suites::predict::recorded::Recorded;
use suites::predict::stack::Build;
use suites::predict::{Subject, predict};
use suites::profile::{ClientCa, ClientCertificate, ClientHostName};
use suites::{BuildName, CellId, ClientName, ClientProfile, Library};
use tempfile::TempDir;
use wire::message::Verify;

/// Clients that there are, and brokers that they are to reach: some need a macro, some several, a
/// longer record, a call, or all of these.
static ASKED: [(&str, &[&str]); 30] = [
    ("mbedtls-2.4.0/rsa-4096+default", &["tls12-only-ecdhe"]),
    ("mbedtls-2.4.0/rsa-4096+default", &["ec-certificate"]),
    ("mbedtls-2.4.0/rsa-4096+default", &["cert-message-16384"]),
    ("mbedtls-2.4.0/rsa-4096+default", &["mtls-required"]),
    ("mbedtls-2.4.0/rsa-4096+default", &["mtls-required-ec", "hivemq-cloud-2021"]),
    ("mbedtls-2.4.0/rsa-4096+default", &["cert-pss"]),
    ("mbedtls-2.4.0/rsa-4096+default", &["sni-required"]),
    ("mbedtls-2.4.0/rsa-4096+default", &["suite-rsa-3des-sha", "cert-p256"]),
    ("mbedtls-2.4.0/rsa-4096+default", &["suite-psk-aes128-sha256"]),
    ("mbedtls-2.4.0/rsa-4096+default", &["suite-dhe-rsa-aes128-gcm", "suite-rsa-aes256-ccm"]),
    ("mbedtls-2.4.0/rsa-4096+default", &["suite-rsa-camellia128-sha", "emqx-5"]),
    ("mbedtls-2.4.0/rsa-4096+default", &["only-tls1.3"]),
    (
        "mbedtls-2.4.0/rsa-4096+default",
        &["aws-iot-tls12-1-2-2022-10", "azure-iot-hub-tls12", "emqx-5", "mosquitto-2.0-ecdsa"],
    ),
    ("mbedtls-2.4.0/rsa-16384+suiteb", &["hivemq-cloud-2021"]),
    ("mbedtls-2.4.0/rsa-16384+suiteb", &["ec-certificate"]),
    ("mbedtls-2.4.0/arduino-16384+default", &["suite-rsa-aes128-ccm", "cert-pss"]),
    ("mbedtls-2.4.0/arduino-16384+default", &["suite-rsa-camellia128-sha", "mtls-required-ec"]),
    ("mbedtls-2.16.0/rsa-16384+default", &["azure-iot-hub-tls12", "google-2021"]),
    ("mbedtls-2.16.0/rsa-16384+default", &["cert-p384", "cert-p256-all-ec"]),
    ("mbedtls-2.16.0/rsa-16384+default", &["suite-ecdhe-rsa-chacha20"]),
    ("mbedtls-2.16.0/rsa-4096+default", &["cert-message-4097"]),
    ("mbedtls-2.28/rsa-16384+default", &["hivemq-cloud-2021"]),
    ("mbedtls-2.28/rsa-16384+default", &["aws-iot-ecdsa", "azure-iot-hub-tls12"]),
    ("mbedtls-2.28/rsa-16384+default", &["mtls-required"]),
    ("mbedtls-2.28/rsa-16384+default", &["suite-ecdhe-psk-aes128-sha256"]),
    ("mbedtls-3.6/rsa-4096+default", &["tls12-rsa-plain"]),
    ("mbedtls-3.6/rsa-4096+default", &["only-tls1.3"]),
    ("mbedtls-3.6/rsa-4096+default", &["tls12-only-ecdhe", "ec-certificate"]),
    ("mbedtls-3.6/rsa-16384+default", &["cert-sha384", "suite-rsa-aes256-gcm"]),
    ("mbedtls-3.6/rsa-16384+default", &["suite-dhe-rsa-chacha20", "suite-tls13-chacha20"]),
];

/// So many of the clients that connect are run.
const FIRST: usize = 10;

/// Everything that an advice is made from, once for a test.
struct Desk {
    project: Project,
    library: &'static Library,
    infos: Vec<BuildInfo>,
    builder: Builder,
    predictor: Predictor,
    known: Known<'static>,
    own: TempDir,
}

impl Desk {
    fn new() -> Self {
        let project = Project::find().unwrap();
        let library: &'static Library =
            Box::leak(Box::new(Library::load(&project.suites()).unwrap()));
        let builder = Builder::new(project.root(), &project.cache());
        let infos = builder.builds().unwrap();
        let predictor = Predictor::new(&infos, &project).unwrap();
        let known = Known::load(&project, library, &infos, predictor.clone()).unwrap();
        let own = tempfile::tempdir().unwrap();
        Self { project, library, infos, builder, predictor, known, own }
    }

    fn advise(&self, from: &str, names: &[&str]) -> Advice {
        let asked = |name: &&str| Asked {
            profile: self.library.broker(name).unwrap().clone(),
            recorded: true,
        };
        let asked: Vec<_> = names.iter().map(asked).collect();
        advise(&self.known, &self.builder, &asked, &from.parse().unwrap()).unwrap()
    }

    fn info(&self, build: &BuildName) -> &BuildInfo {
        self.infos.iter().find(|info| info.name == *build).unwrap()
    }

    fn profile(&self, client: &ClientName) -> &'static ClientProfile {
        self.library.profile(&client.profile).unwrap()
    }

    fn job(&self, client: &ClientName, broker: &str) -> Job {
        Job {
            suite: "test".to_owned(),
            log_level: 1,
            survey: false,
            profile: self.profile(client).clone(),
            broker: self.library.broker(broker).unwrap().clone(),
            cell: CellId { client: client.clone(), broker: broker.to_owned() },
        }
    }

    /// The header of `build` with more macros and another record length, as a user edits it.
    fn header(&self, build: &BuildName, added: &BTreeSet<String>, length: u32) -> Wanted {
        let firmware = self.project.root().join("firmware/mbedtls");
        let stack = firmware.join("stacks").join(build.stack());
        let mut name = format!("{}-{length}", build.variant());
        for one in added {
            write!(name, "-{}", one.trim_start_matches("MBEDTLS_")).unwrap();
        }
        let folder = self.own.path().join(build.stack()).join(short(&name));
        fs::create_dir_all(&folder).unwrap();
        for from in [&firmware.join("sets"), &stack] {
            for file in fs::read_dir(from).unwrap().map(|file| file.unwrap().path()) {
                if file.extension().is_some_and(|ending| ending == "h") {
                    fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
                }
            }
        }
        let text = fs::read_to_string(stack.join(&self.info(build).header)).unwrap();
        let defines: String = added.iter().map(|name| format!("#define {name}\n")).collect();
        let behind = "#include \"rig_added.h\"\n";
        assert!(text.contains(behind), "{build}");
        let text = text.replace(behind, &format!("{behind}{defines}"));
        let header = folder.join(format!("{}.h", short(&name)));
        fs::write(&header, format!("/* {name} */\n#define RIG_CONTENT_LENGTH {length}\n{text}"))
            .unwrap();
        Wanted::named_after(&header, Sources::Stack(build.stack().to_owned()))
    }

    /// Whether the compiler takes the header: check_config.h is of one mind with it.
    fn is_sound(&self, wanted: &Wanted) -> bool {
        Own::look(wanted, &self.project.root().join("firmware"), self.own.path()).is_ok()
    }

    /// Runs cells on `native`.
    fn run(&self, builder: &Builder, jobs: Vec<Job>) -> BTreeMap<CellId, Outcome> {
        let builds: BTreeSet<_> = jobs.iter().map(|job| job.cell.client.build.clone()).collect();
        let image = |build| builder.image(build, Target::Native, &mut |_| {}).unwrap();
        let images = images(builds.iter().map(image));
        let (brokers, interrupt) = (brokers(), Interrupt::default());
        let workshop = workshop(Kind::Native.limits(), &images, &brokers, &interrupt);
        let slots = vec![Slot::Native; 4];
        let cells = common::run(&workshop, jobs, slots, |_| {});
        cells.into_iter().map(|cell| (cell.record.cell, cell.record.outcome)).collect()
    }
}

/// Names of files have a bound.
fn short(name: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    format!("made-{:016x}", hasher.finish())
}

#[test]
fn whom_it_recommends_connects() {
    if !can_run(Kind::Native) {
        return;
    }
    let desk = Desk::new();
    let sets: BTreeSet<_> = ASKED.iter().map(|(_, brokers)| *brokers).collect();
    let mut stated: BTreeMap<CellId, Outcome> = BTreeMap::new();
    for brokers in sets {
        let advice = desk.advise(ASKED[0].0, brokers);
        for candidate in advice.connect.iter().take(FIRST) {
            for cell in &candidate.cells {
                let id = CellId { client: candidate.client.clone(), broker: cell.broker.clone() };
                stated.insert(id, cell.outcome.clone());
            }
        }
    }
    let jobs = stated.keys().map(|cell| desk.job(&cell.client, &cell.broker)).collect();
    let seen = desk.run(&desk.builder, jobs);
    assert_eq!(seen.len(), stated.len());
    assert!(stated.len() > 200, "{} cells", stated.len());
    for (cell, stated) in stated {
        assert_eq!(seen[&cell], stated, "{cell}");
    }
}

/// A change as it is to be made: which header, or which other build.
fn made(desk: &Desk, from: &ClientName, change: &Change) -> (ClientName, Option<Wanted>) {
    if change.is_like {
        return (change.like.clone(), None);
    }
    let length = change.content_length.unwrap_or(desk.info(&from.build).content_length);
    let added = change.macros.iter().cloned().collect();
    let wanted = desk.header(&from.build, &added, length);
    let build = format!("{}/own-{}", from.build.stack(), wanted.name).parse().unwrap();
    (ClientName { build, profile: change.like.profile.clone() }, Some(wanted))
}

/// Every sixth line of [`ASKED`] by default, since an image takes a compiler ten seconds. All of them
/// with `RIG_ADVISE=all`: eleven minutes on two cores, and seconds once the images are in the cache.
fn sample() -> impl Iterator<Item = &'static (&'static str, &'static [&'static str])> {
    let all = std::env::var("RIG_ADVISE").is_ok_and(|wanted| wanted == "all");
    ASKED.iter().step_by(if all { 1 } else { 6 })
}

#[test]
fn the_change_compiles_and_connects() {
    if !can_run(Kind::Native) {
        return;
    }
    let desk = Desk::new();
    let (mut wanted, mut jobs, mut stated) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    for (from, names) in sample() {
        let advice = desk.advise(from, names);
        let Some(change) = &advice.change else {
            panic!("{from} -> {names:?}: no change, and the sample is of those that have one");
        };
        let (client, header) = made(&desk, &advice.base.client, change);
        eprintln!("{from} -> {names:?}: {:?}", change.lines);
        wanted.extend(header.map(|header| (client.build.clone(), header)));
        for cell in &change.cells {
            let id = CellId { client: client.clone(), broker: cell.broker.clone() };
            if stated.insert(id, cell.outcome.clone()).is_none() {
                jobs.push(desk.job(&client, &cell.broker));
            }
        }
    }
    let wanted: Vec<_> = wanted.into_values().collect();
    for wanted in &wanted {
        let looked = Own::look(wanted, &desk.project.root().join("firmware"), desk.own.path());
        let text = fs::read_to_string(&wanted.header).unwrap();
        assert!(looked.is_ok(), "{}\n{text}", looked.unwrap_err());
    }
    let builder = Builder::new(desk.project.root(), &desk.project.cache());
    let seen = desk.run(&builder.with_own(&wanted).unwrap(), jobs);
    let mut wrong = Vec::new();
    for (cell, stated) in &stated {
        if seen.get(cell) != Some(stated) {
            wrong.push(format!("{cell}\n  stated {stated:?}\n  seen {:?}", seen.get(cell)));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), stated.len(), wrong.join("\n"));
}

/// What is left of a fuller build's hello is what the smaller build was seen to send.
#[test]
fn a_hello_that_is_worked_out_is_the_one_that_is_sent() {
    let desk = Desk::new();
    let hello = |build: &BuildName, profile: &str| {
        let client = ClientName { build: build.clone(), profile: profile.to_owned() };
        let path = Recorded::path(&desk.project.suites(), &client);
        Recorded::load(&path).unwrap().map(|recorded| recorded.hello().clone())
    };
    let mut compared = 0;
    for info in &desk.infos {
        let build = desk.predictor.build(&info.name).unwrap();
        let all: BuildName = format!("{}/all-16384", info.name.stack()).parse().unwrap();
        for (name, profile) in &desk.library.profiles {
            let (Some(mut sent), Some(fuller)) = (hello(&info.name, name), hello(&all, name))
            else {
                continue;
            };
            let mut made = reduced(fuller, build, profile);
            sent.extensions.sort_unstable();
            made.extensions.sort_unstable();
            assert_eq!(made, sent, "{}+{name}", info.name);
            compared += usize::from(info.name != all);
        }
    }
    assert!(compared > 30, "{compared}");
}

/// Macros of `config_all.h` that no check, no suite and no message of a handshake asks for.
const IDLE: [&str; 25] = [
    "BLOWFISH_C",
    "CERTS_C",
    "CTR_DRBG_C",
    "ERROR_C",
    "HMAC_DRBG_C",
    "PEM_WRITE_C",
    "PKCS12_C",
    "PKCS5_C",
    "PK_PARSE_EC_EXTENDED",
    "PK_WRITE_C",
    "REMOVE_ARC4_CIPHERSUITES",
    "RIPEMD160_C",
    "SSL_ALPN",
    "SSL_DTLS_ANTI_REPLAY",
    "SSL_DTLS_BADMAC_LIMIT",
    "SSL_PROTO_DTLS",
    "SSL_SRV_C",
    "SSL_TLS1_3_COMPATIBILITY_MODE",
    "VERSION_FEATURES",
    "X509_CREATE_C",
    "X509_CRL_PARSE_C",
    "X509_CRT_WRITE_C",
    "X509_CSR_PARSE_C",
    "X509_CSR_WRITE_C",
    "XTEA_C",
];

/// The macros that a change may add to `build`: those of the fullest header of its stack.
fn alphabet(desk: &Desk, build: &BuildName) -> Vec<String> {
    let all: BuildName = format!("{}/all-16384", build.stack()).parse().unwrap();
    let folder = desk.project.root().join("firmware/mbedtls");
    let own = desk.predictor.build(build).unwrap();
    let mut names = BTreeSet::new();
    let sets = [folder.join("sets"), folder.join("stacks").join(all.stack())];
    for file in ["sdk_all.h", &desk.info(&all).header] {
        let path: PathBuf =
            sets.iter().map(|set| set.join(file)).find(|path| path.exists()).unwrap();
        for line in fs::read_to_string(path).unwrap().lines() {
            let mut words = line.split_whitespace();
            if let (Some("#define"), Some(name)) = (words.next(), words.next())
                && let Some(name) = name.strip_prefix("MBEDTLS_")
                && !own.macros.has(name)
                && !IDLE.contains(&name)
            {
                names.insert(name.to_owned());
            }
        }
    }
    // No build of the rig's has these.
    let more: &[&str] = match build.stack() {
        "mbedtls-2.4.0" => &[],
        "mbedtls-3.6" => &["CHACHA20_C", "POLY1305_C", "CHACHAPOLY_C", "SHA384_C"],
        _ => &["CHACHA20_C", "POLY1305_C", "CHACHAPOLY_C"],
    };
    names.extend(more.iter().map(|name| (*name).to_owned()));
    names.into_iter().collect()
}

/// All sets of exactly `count` of `names`.
fn subsets(names: &[String], count: usize) -> Vec<Vec<&str>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut found = Vec::new();
    for (at, first) in names.iter().enumerate() {
        for mut rest in subsets(&names[at + 1..], count - 1) {
            rest.push(first);
            found.push(rest);
        }
    }
    found
}

/// What an application would do, and no less careful than `from`.
fn may_become(from: &ClientProfile, to: &ClientProfile) -> bool {
    let careful =
        |one: &ClientProfile| one.verify == Verify::Required && one.ca == ClientCa::Broker;
    let kinds = [ClientCertificate::None, ClientCertificate::Rsa, ClientCertificate::Ec];
    (careful(to) || !careful(from))
        && to.host_name != ClientHostName::Wrong
        && kinds.contains(&to.certificate)
        && !to.reconnect
}

/// The hello with `profile` of a build of the stack that has everything.
fn full_hello(desk: &Desk, stack: &str, profile: &str) -> Option<ClientHello> {
    let variants = ["all-16384", "all-4096", "arduino-16384", "rsa-16384", "rsa-4096"];
    variants.iter().find_map(|variant| {
        let client: ClientName = format!("{stack}/{variant}+{profile}").parse().unwrap();
        let path = Recorded::path(&desk.project.suites(), &client);
        Recorded::load(&path).unwrap().map(|recorded| recorded.hello().clone())
    })
}

fn connects(build: &Build, profile: &ClientProfile, hello: &ClientHello, asked: &[Asked]) -> bool {
    asked.iter().all(|asked| {
        let subject = Subject { build, profile, hello: Some(hello), broker: &asked.profile };
        predict(&subject).is_ok_and(|it| it.outcome.result == OutcomeKind::Connected)
    })
}

/// Larger changes are tried by leaving out what they hold, one thing at a time.
const TRIED_WHOLE: usize = 4;

/// Every set of lines that is smaller than the advice, on the client's own stack.
fn smaller(desk: &Desk, from: &str, names: &[&str], found: usize) -> Vec<(ClientName, Wanted)> {
    let base: ClientName = from.parse().unwrap();
    let own = desk.predictor.build(&base.build).unwrap();
    let letters = alphabet(desk, &base.build);
    let lengths: BTreeSet<u32> =
        desk.predictor.builds(base.build.stack()).map(|b| b.content_length).collect();
    let asked =
        |name: &&str| Asked { profile: desk.library.broker(name).unwrap().clone(), recorded: true };
    let asked: Vec<_> = names.iter().map(asked).collect();
    let from = desk.profile(&base);
    let mut smaller = Vec::new();
    for to in desk.library.profiles.values().filter(|to| may_become(from, to)) {
        let Some(full) = full_hello(desk, base.build.stack(), &to.name) else { continue };
        for length in lengths.iter().filter(|length| **length >= own.content_length) {
            let calls = calls::between(from, to).len() + usize::from(*length != own.content_length);
            for count in 0..found.saturating_sub(calls) {
                for set in subsets(&letters, count) {
                    let build = Build { content_length: *length, ..own.with(set.iter().copied()) };
                    let wanted = asked.iter().flat_map(|one| &one.profile.cipher_suites).copied();
                    let hello = with_enabled(full.clone(), &build, to, wanted);
                    let hello = reduced(hello, &build, to);
                    if connects(&build, to, &hello, &asked) {
                        let added = set.iter().map(|name| format!("MBEDTLS_{name}")).collect();
                        let wanted = desk.header(&base.build, &added, *length);
                        let build =
                            format!("{}/own-{}", base.build.stack(), wanted.name).parse().unwrap();
                        let client = ClientName { build, profile: to.name.clone() };
                        smaller.push((client, wanted));
                    }
                }
            }
        }
    }
    smaller
}

/// The advice's own macros without one of them.
fn without_one(desk: &Desk, from: &str, change: &Change) -> Vec<(ClientName, Wanted)> {
    let base: ClientName = from.parse().unwrap();
    let length = change.content_length.unwrap_or(desk.info(&base.build).content_length);
    let left = |out: &String| {
        let added = change.macros.iter().filter(|name| *name != out).cloned().collect();
        let wanted = desk.header(&base.build, &added, length);
        let build = format!("{}/own-{}", base.build.stack(), wanted.name).parse().unwrap();
        (ClientName { build, profile: change.like.profile.clone() }, wanted)
    };
    change.macros.iter().map(left).collect()
}

#[test]
fn no_smaller_change_does() {
    if !can_run(Kind::Native) {
        return;
    }
    let desk = Desk::new();
    let (mut whole, mut parts, mut left) = (0, 0, Vec::new());
    for (from, names) in sample() {
        let advice = desk.advise(from, names);
        let change = advice.change.unwrap();
        let base: ClientName = from.parse().unwrap();
        let smaller = match change.lines.len() {
            _ if change.like.build.stack() != base.build.stack() => {
                // Nothing on its own stack does, however large.
                let all: BuildName = format!("{}/all-16384", base.build.stack()).parse().unwrap();
                let fits = |one: &&rig::advise::Candidate| {
                    let to = desk.profile(&one.client);
                    one.client.build == all && may_become(desk.profile(&base), to)
                };
                let own = advice.connect.iter().find(fits);
                assert!(own.is_none(), "{from} -> {names:?}: {} connects", own.unwrap().client);
                continue;
            }
            0..=TRIED_WHOLE => {
                whole += 1;
                smaller(&desk, from, names, change.lines.len())
            }
            _ => {
                parts += 1;
                without_one(&desk, from, &change)
            }
        };
        let sound: Vec<_> =
            smaller.into_iter().filter(|(_, wanted)| desk.is_sound(wanted)).collect();
        eprintln!("{from} -> {names:?}: {} lines, {} to be run", change.lines.len(), sound.len());
        if sound.is_empty() {
            continue;
        }
        // The compiler has nothing against them: what do they do?
        let wanted: BTreeMap<_, _> =
            sound.iter().map(|(client, wanted)| (client.build.clone(), wanted.clone())).collect();
        let wanted: Vec<_> = wanted.into_values().collect();
        let builder = Builder::new(desk.project.root(), &desk.project.cache());
        let builder = builder.with_own(&wanted).unwrap();
        for (client, wanted) in sound {
            if builder.image(&client.build, Target::Native, &mut |_| {}).is_err() {
                continue;
            }
            let jobs = names.iter().map(|name| desk.job(&client, name)).collect();
            let seen = desk.run(&builder, jobs);
            if seen.values().all(|outcome| outcome.result == OutcomeKind::Connected) {
                left.push(format!(
                    "{from} -> {names:?}: {:?}\n  {}",
                    change.lines,
                    told(&wanted.header)
                ));
            }
        }
    }
    eprintln!("{whole} changes beside every smaller one, {parts} without each of their macros");
    assert!(left.is_empty(), "smaller ones that do:\n{}", left.join("\n"));
    assert!(whole + parts >= 3, "{whole} and {parts}");
}

/// A header begins with what was added to it.
fn told(header: &Path) -> String {
    fs::read_to_string(header).unwrap().lines().next().unwrap_or_default().to_owned()
}

/// What rests on a snapshot was seen.
#[test]
fn what_was_seen_is_told_apart_from_what_is_predicted() {
    let desk = Desk::new();
    let advice = desk.advise("mbedtls-2.4.0/rsa-4096+default", &["hivemq-cloud-2021"]);
    assert!(advice.base.cells.iter().all(|cell| cell.basis == Basis::Seen));
    let change = desk.advise("mbedtls-2.4.0/rsa-4096+default", &["ec-certificate"]).change.unwrap();
    assert!(change.cells.iter().all(|cell| cell.basis == Basis::Predicted));
}
