//! The smallest change that gets a client to all brokers.
//!
//! On its own stack, macros of its configuration header, the length of its records and the calls of
//! its application can change. Which macros might help follows from the suites that a fuller build of
//! the stack could agree on with each broker; what then becomes of the changed client is predicted
//! like any other, from the fuller build's hello without what the changed build has not. If nothing
//! helps on this stack, the change is to a client of another stack that connects.

use super::known::{Basis, Cell, Known};
use super::{Asked, Candidate, calls, verifies};
use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use suites::broker::HashKind;
use suites::broker::is_tls13;
use suites::hello::ClientHello;
use suites::names::cipher_suite_name;
use suites::outcome::OutcomeKind;
use suites::predict::stack::{Build, Stack};
use suites::predict::{Subject, predict};
use suites::profile::{ClientCertificate, ClientHostName, ClientProfile};
use suites::{BrokerProfile, BuildName, ClientName};
use wire::message::{MaxFragmentLength, Preset};
use wire::tls::{CipherSuite, ProtocolVersion};

/// What to change, and what comes of it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Change {
    /// One line for each thing to be done.
    pub lines: Vec<String>,
    /// Macros to define in the configuration header, with their `MBEDTLS_`; none if the change is to
    /// another build.
    pub macros: Vec<String>,
    /// Bytes of the longest record, if it is to be another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_length: Option<u32>,
    /// A build with a profile that is the changed client, or the nearest there is to it.
    pub like: ClientName,
    /// Whether `like` is the changed client, and not just near to it.
    pub is_like: bool,
    /// Why the changed client does not fit into an ameba1, if the rig knows that it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub too_large_for_ameba1: Option<String>,
    /// What becomes of the changed client, broker by broker.
    pub cells: Vec<Cell>,
}

/// Macros that a macro asks for (`check_config.h` of each mbedTLS), or without which it brings nothing.
const ASKS_FOR: [(&str, &[&str]); 9] = [
    ("CHACHAPOLY_C", &["CHACHA20_C", "POLY1305_C"]),
    // check_config.h, and what an ephemeral key exchange with an RSA certificate needs (RFC 8446
    // 4.2.3: RSASSA-PSS).
    (
        "SSL_PROTO_TLS1_3",
        &[
            "ECDH_C",
            "HKDF_C",
            "PKCS1_V21",
            "PSA_CRYPTO_C",
            "PSA_CRYPTO_EXTERNAL_RNG",
            "SSL_KEEP_PEER_CERTIFICATE",
            "SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ENABLED",
            "X509_RSASSA_PSS_SUPPORT",
        ],
    ),
    ("KEY_EXCHANGE_ECDHE_RSA_ENABLED", &["ECDH_C"]),
    ("KEY_EXCHANGE_ECDHE_ECDSA_ENABLED", &["ECDH_C", "ECDSA_C", "ASN1_WRITE_C"]),
    ("KEY_EXCHANGE_ECDH_RSA_ENABLED", &["ECDH_C"]),
    ("KEY_EXCHANGE_ECDH_ECDSA_ENABLED", &["ECDH_C", "ECDSA_C", "ASN1_WRITE_C"]),
    ("KEY_EXCHANGE_DHE_RSA_ENABLED", &["DHM_C"]),
    ("KEY_EXCHANGE_DHE_PSK_ENABLED", &["DHM_C"]),
    ("KEY_EXCHANGE_ECDHE_PSK_ENABLED", &["ECDH_C"]),
];

/// So many sets of macros are followed from one broker to the next, the smallest first.
const WIDTH: usize = 24;

/// A way to change the client.
struct Way<'a> {
    profile: &'a ClientProfile,
    content_length: u32,
    added: BTreeSet<&'static str>,
    lines: Vec<String>,
}

/// The smallest change to `base`, among those that keep it as safe as it is; none if nothing helps.
///
/// # Errors
/// A build or a profile that is unknown.
pub fn smallest(
    known: &Known<'_>,
    base: &ClientName,
    brokers: &[Asked],
    connect: &[Candidate],
) -> Result<Option<Change>> {
    let profile = known.profile(base)?;
    let Some(build) = known.predictor.build(&base.build) else { return Ok(None) };
    let mut ways = ways(known, base, build, profile, brokers);
    // Of two changes of one size, the one after which the broker's name is checked, then the one that
    // takes less memory.
    ways.sort_by_key(|way| (way.lines.len(), !checks_name(way.profile), way.content_length));
    for way in ways {
        if let Some(cells) = outcome(known, base, build, &way, brokers) {
            return Ok(Some(on_own_stack(known, build, way, cells)));
        }
    }
    Ok(elsewhere(known, base, profile, connect))
}

fn on_own_stack(known: &Known<'_>, build: &Build, way: Way<'_>, cells: Vec<Cell>) -> Change {
    let (like, is_like) = nearest(known, build, &way);
    let length = way.content_length;
    Change {
        macros: way.added.iter().map(|name| format!("MBEDTLS_{name}")).collect(),
        content_length: (length != build.content_length).then_some(length),
        too_large_for_ameba1: known.too_large_for_ameba1(&like.build),
        lines: way.lines,
        like,
        is_like,
        cells,
    }
}

fn checks_name(profile: &ClientProfile) -> bool {
    profile.host_name == ClientHostName::Broker
}

/// All changes on the client's own stack that might help.
fn ways<'a>(
    known: &Known<'a>,
    base: &ClientName,
    build: &Build,
    profile: &ClientProfile,
    brokers: &[Asked],
) -> Vec<Way<'a>> {
    let safe = verifies(profile);
    let mut lengths: Vec<_> =
        known.predictor.builds(base.build.stack()).map(|b| b.content_length).collect();
    lengths.retain(|length| *length > build.content_length);
    lengths.push(build.content_length);
    lengths.sort_unstable();
    lengths.dedup();
    let header = known.header(&build.name);
    let record_macro =
        Stack::named(base.build.stack()).map_or("SSL_MAX_CONTENT_LEN", |stack| stack.record_macro);
    let mut ways = Vec::new();
    for other in known.profiles().filter(|other| is_plain(other) && (verifies(other) || !safe)) {
        let Some(fuller) = fuller(known, base, other) else { continue };
        let calls = calls::between(profile, other);
        for added in macro_sets(&fuller, build, other, brokers) {
            for content_length in &lengths {
                let define = |name: &&str| format!("define MBEDTLS_{name} in {header}");
                let mut lines: Vec<_> = added.iter().map(define).collect();
                if *content_length != build.content_length {
                    let length = format!("MBEDTLS_{record_macro} {content_length}");
                    lines.push(format!("define {length} in {header}"));
                }
                lines.extend(calls.iter().cloned());
                let content_length = *content_length;
                ways.push(Way { profile: other, content_length, added: added.clone(), lines });
            }
        }
    }
    ways
}

/// What an application would do; the others are there to see what fails.
fn is_plain(profile: &ClientProfile) -> bool {
    let shown = [ClientCertificate::None, ClientCertificate::Rsa, ClientCertificate::Ec];
    profile.host_name != ClientHostName::Wrong
        && shown.contains(&profile.certificate)
        && !profile.reconnect
}

/// The recorded hello of the build of the same stack that offers most suites with this profile, or
/// with one that makes the same hello.
fn fuller(known: &Known<'_>, base: &ClientName, profile: &ClientProfile) -> Option<ClientHello> {
    let stack = base.build.stack();
    let twins = known.profiles().filter(|other| shown(other, stack) == shown(profile, stack));
    let hellos = twins.flat_map(|twin| {
        known.predictor.builds(stack).filter_map(|build| {
            let client = ClientName { build: build.name.clone(), profile: twin.name.clone() };
            Some(known.hello(&client)?.hello())
        })
    });
    hellos.max_by_key(|hello| hello.cipher_suites.len()).cloned()
}

/// What of a profile shows in its hello, beside the fragment length, which [`reduced`] puts in.
fn shown<'a>(profile: &'a ClientProfile, stack: &str) -> impl PartialEq + use<'a> {
    let with_a_key = Stack::named(stack).is_some_and(|stack| stack.offers_psk_with_a_key);
    let psk = with_a_key && profile.psk.is_some();
    (
        (profile.preset, profile.min_version, profile.max_version, &profile.cipher_suites),
        (profile.host_name, profile.reconnect, psk),
        (profile.extended_master_secret, profile.encrypt_then_mac, profile.session_tickets),
    )
}

/// Sets of macros to add, smallest first, with which a suite can be shared with each broker.
fn macro_sets(
    fuller: &ClientHello,
    build: &Build,
    profile: &ClientProfile,
    brokers: &[Asked],
) -> Vec<BTreeSet<&'static str>> {
    let mut sets = vec![BTreeSet::new()];
    for Asked { profile: broker, .. } in brokers {
        let of_broker = sets_for(fuller, build, profile, broker);
        let joined = |set: &BTreeSet<&'static str>| {
            of_broker.iter().map(|more| set.union(more).copied().collect()).collect::<Vec<_>>()
        };
        let all: BTreeSet<BTreeSet<_>> = sets.iter().flat_map(joined).collect();
        sets = all.into_iter().collect();
        sets.sort_by_key(BTreeSet::len);
        sets.truncate(WIDTH);
    }
    sets
}

fn sets_for(
    fuller: &ClientHello,
    build: &Build,
    profile: &ClientProfile,
    broker: &BrokerProfile,
) -> BTreeSet<BTreeSet<&'static str>> {
    let of_broker = broker.cipher_suites.iter().copied();
    let shared = of_broker
        .filter(|suite| fuller.cipher_suites.contains(suite) || may_be_enabled(*suite, profile));
    let mut sets: BTreeSet<_> = shared.filter_map(|suite| missing(build, suite)).collect();
    let readers = readers(build, broker);
    if !readers.is_empty() {
        // A client that verifies nothing may do without.
        let with_readers: Vec<BTreeSet<_>> =
            sets.iter().map(|set| set.union(&readers).copied().collect()).collect();
        sets.extend(with_readers);
    }
    sets
}

/// Macros that are missing for what the broker's certificates are signed with.
fn readers(build: &Build, broker: &BrokerProfile) -> BTreeSet<&'static str> {
    let certificate = &broker.certificate;
    let ec = certificate.key.curve().or(certificate.issuer_key.curve()).is_some();
    let wanted = [
        (ec, "ECDSA_C"),
        (certificate.pss, "X509_RSASSA_PSS_SUPPORT"),
        (certificate.pss, "PKCS1_V21"),
        (!build.has_hash(certificate.hash), build.hash_macro(certificate.hash)),
    ];
    let wanted = wanted.into_iter().filter(|(wanted, _)| *wanted);
    wanted.map(|(_, name)| name).filter(|name| !build.macros.has(name)).collect()
}

/// All macros that are missing for `suite`; none if a macro cannot bring it.
fn missing(build: &Build, suite: CipherSuite) -> Option<BTreeSet<&'static str>> {
    let mut added = BTreeSet::new();
    while let Some(lack) = build.with(added.iter().copied()).lacks_for(suite) {
        let name = lack.macro_name()?;
        if !added.insert(name) {
            return None;
        }
        let asked = ASKS_FOR.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, asked)| asked);
        added.extend(asked.iter().filter(|name| !build.macros.has(name)));
    }
    Some(added)
}

/// What becomes of the changed client, if it connects to all.
fn outcome(
    known: &Known<'_>,
    base: &ClientName,
    build: &Build,
    way: &Way<'_>,
    brokers: &[Asked],
) -> Option<Vec<Cell>> {
    let changed =
        Build { content_length: way.content_length, ..build.with(way.added.iter().copied()) };
    let fuller = fuller(known, base, way.profile)?;
    let own = known.hello(&ClientName { profile: way.profile.name.clone(), ..base.clone() });
    let hello = match own.filter(|_| way.added.is_empty()) {
        Some(own) if way.content_length == build.content_length => own.hello().clone(),
        _ => {
            let wanted = brokers.iter().flat_map(|asked| &asked.profile.cipher_suites).copied();
            reduced(with_enabled(fuller, &changed, way.profile, wanted), &changed, way.profile)
        }
    };
    let cell = |asked: &Asked| {
        let broker = &asked.profile;
        let subject =
            Subject { build: &changed, profile: way.profile, hello: Some(&hello), broker };
        let predicted = predict(&subject).ok()?;
        let connects = predicted.outcome.result == OutcomeKind::Connected;
        connects.then(|| Cell {
            broker: broker.name.clone(),
            basis: Basis::Predicted,
            outcome: predicted.outcome,
            why: predicted.why,
            figures: None,
            like: None,
        })
    };
    brokers.iter().map(cell).collect()
}

/// Whether macros alone decide if a client with this profile offers `suite`, also where no build of
/// the rig's has them.
fn may_be_enabled(suite: CipherSuite, profile: &ClientProfile) -> bool {
    let psk = cipher_suite_name(suite).is_some_and(|name| name.contains("PSK"));
    let listed = profile.cipher_suites.as_ref().is_none_or(|list| list.contains(&suite));
    (!psk || profile.psk.is_some()) && listed && profile.preset == Preset::Default
}

/// The hello with those of `wanted` that a build offers because it has macros that no build of the
/// rig's has. Such suites come first in the library's list (`ciphersuite_preference` in
/// `ssl_ciphersuites.c`): those of ChaCha20-Poly1305 before all, those of SHA-384 among the foremost.
#[must_use]
pub fn with_enabled(
    mut hello: ClientHello,
    build: &Build,
    profile: &ClientProfile,
    wanted: impl IntoIterator<Item = CipherSuite>,
) -> ClientHello {
    let tls13 = hello.highest_version() >= ProtocolVersion::TLS1_3;
    for suite in wanted {
        let fits = is_tls13(suite) <= tls13;
        if fits
            && build.lacks_for(suite).is_none()
            && may_be_enabled(suite, profile)
            && !hello.cipher_suites.contains(&suite)
        {
            hello.cipher_suites.insert(0, suite);
        }
    }
    hello
}

/// What is left of the hello of a fuller build of the same stack if `build` sends it.
#[must_use]
pub fn reduced(mut hello: ClientHello, build: &Build, profile: &ClientProfile) -> ClientHello {
    hello.cipher_suites.retain(|suite| suite.is_marker() || build.lacks_for(*suite).is_none());
    let macros = &build.macros;
    if let Some(schemes) = &mut hello.signature_algorithms {
        schemes.retain(|scheme| signs(build, *scheme));
    }
    if !macros.has("ECDH_C") && !macros.has("ECDSA_C") {
        hello.groups = None;
        hello.point_formats = None;
    }
    if !build.speaks(ProtocolVersion::TLS1_3) && hello.supported_versions.take().is_some() {
        // RFC 8446 4.1.2, legacy_session_id: only a client of TLS 1.3 makes one up.
        hello.session_id_bytes = 0;
        hello.key_shares = None;
    }
    // RFC 6066 4. The SDK asks for the length of its buffer if there is a code for it.
    let asked = match profile.max_fragment_length {
        MaxFragmentLength::Off => 0,
        MaxFragmentLength::Bytes(bytes) => u32::from(bytes),
        MaxFragmentLength::AsSdk => build.content_length,
    };
    let codes = [(512, 1), (1024, 2), (2048, 3), (4096, 4)];
    let code = codes.into_iter().find(|(bytes, _)| *bytes == asked).map(|(_, code)| code);
    hello.max_fragment_length = code.filter(|_| macros.has("SSL_MAX_FRAGMENT_LENGTH"));
    let sent = [
        (10, hello.groups.is_some()),
        (11, hello.point_formats.is_some()),
        (43, hello.supported_versions.is_some()),
        // psk_key_exchange_modes goes with TLS 1.3 alone, RFC 8446 4.2.9.
        (45, hello.supported_versions.is_some()),
        (51, hello.key_shares.is_some()),
        (1, hello.max_fragment_length.is_some()),
    ];
    let not_sent = |kind: &u16| sent.iter().any(|(one, sent)| one == kind && !sent);
    hello.extensions.retain(|kind| !not_sent(kind));
    if hello.max_fragment_length.is_some() && !hello.extensions.contains(&1) {
        hello.extensions.push(1);
    }
    hello
}

/// Whether a build lists this signature algorithm: RFC 5246 7.4.1.4.1 has the hash in the high byte
/// and the key in the low one, RFC 8446 4.2.3 has numbers of its own for RSASSA-PSS.
fn signs(build: &Build, scheme: u16) -> bool {
    let (high, low) = (scheme >> 8, scheme & 0xff);
    let macros = &build.macros;
    let key = match (high, low) {
        (8, _) => macros.has("X509_RSASSA_PSS_SUPPORT"),
        (_, 3) => macros.has("ECDSA_C"),
        _ => true,
    };
    let hash = match (high, low) {
        (1, _) => HashKind::Md5,
        (2, _) => HashKind::Sha1,
        (4, _) | (8, 4 | 9) => HashKind::Sha256,
        (5, _) | (8, 5 | 10) => HashKind::Sha384,
        (6, _) | (8, 6 | 11) => HashKind::Sha512,
        _ => return key,
    };
    key && build.has_hash(hash)
}

/// The build of the same stack with all that was added and the fewest macros besides, and whether it
/// has none besides.
fn nearest(known: &Known<'_>, build: &Build, way: &Way<'_>) -> (ClientName, bool) {
    let wanted = build.with(way.added.iter().copied());
    let has_all = |other: &&Build| {
        way.added.iter().all(|name| other.macros.has(name))
            && other.content_length == way.content_length
    };
    let found = known.predictor.builds(build.name.stack()).filter(has_all);
    let found = found.min_by_key(|other| other.macros.count().abs_diff(build.macros.count()));
    let name = found.map_or_else(|| build.name.clone(), |other| other.name.clone());
    let same = found.is_some_and(|other| other.macros == wanted.macros);
    (ClientName { build: name, profile: way.profile.name.clone() }, same)
}

/// A client of another build that connects: the one with the fewest calls to change.
fn elsewhere(
    known: &Known<'_>,
    base: &ClientName,
    profile: &ClientProfile,
    connect: &[Candidate],
) -> Option<Change> {
    let safe = verifies(profile);
    let fits = |candidate: &&Candidate| {
        let other = known.profile(&candidate.client);
        (candidate.verifies || !safe) && other.is_ok_and(is_plain)
    };
    let ways = connect.iter().filter(fits).filter_map(|candidate| {
        let other = known.profile(&candidate.client).ok()?;
        let build = &candidate.client.build;
        let mut lines = Vec::new();
        if build.stack() != base.build.stack() {
            let way = if is_older(build, &base.build) { "go back" } else { "move" };
            lines.push(format!("{way} from {} to {}", base.build.stack(), build.stack()));
        }
        if build.variant() != base.build.variant() {
            lines.push(format!("build with the macro set of {build}"));
        }
        lines.extend(calls::between(profile, other));
        Some((lines, candidate))
    });
    // An older library is the last resort, and before it what a board has no room for.
    let rank = |(lines, one): &(Vec<String>, &Candidate)| {
        let checked = known.profile(&one.client).is_ok_and(checks_name);
        let older = is_older(&one.client.build, &base.build);
        (older, one.too_large_for_ameba1.is_some(), lines.len(), !checked)
    };
    let (lines, candidate) = ways.min_by_key(rank)?;
    let Candidate { client, cells, too_large_for_ameba1, .. } = candidate;
    Some(Change {
        lines,
        macros: Vec::new(),
        content_length: None,
        like: client.clone(),
        is_like: true,
        too_large_for_ameba1: too_large_for_ameba1.clone(),
        cells: cells.clone(),
    })
}

/// Whether the library of `build` is older than that of `than`; stacks are called after versions.
fn is_older(build: &BuildName, than: &BuildName) -> bool {
    let version = |build: &BuildName| -> Vec<u32> {
        let (_, version) = build.stack().rsplit_once('-').unwrap_or_default();
        version.split('.').map_while(|part| part.parse().ok()).collect()
    };
    version(build) < version(than)
}
