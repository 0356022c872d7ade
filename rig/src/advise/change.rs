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
use serde::Serialize;
use std::collections::BTreeSet;
use suites::hello::ClientHello;
use suites::outcome::OutcomeKind;
use suites::predict::stack::Build;
use suites::predict::{Subject, predict};
use suites::profile::{ClientCertificate, ClientHostName, ClientProfile};
use suites::{BrokerProfile, ClientName};
use wire::tls::CipherSuite;

/// What to change, and what comes of it.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// One line for each thing to be done.
    pub lines: Vec<String>,
    /// A build with a profile that is the changed client, or the nearest there is to it.
    pub like: ClientName,
    /// What becomes of the changed client, broker by broker.
    pub cells: Vec<Cell>,
}

/// Macros that a macro asks for (`check_config.h` of each mbedTLS).
const ASKS_FOR: [(&str, &[&str]); 7] = [
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
    ways.sort_by_key(|way| way.lines.len());
    for way in ways {
        if let Some(cells) = outcome(known, base, build, &way, brokers) {
            let like = nearest(known, build, &way);
            return Ok(Some(Change { lines: way.lines, like, cells }));
        }
    }
    Ok(elsewhere(known, base, profile, connect))
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
    let mut ways = Vec::new();
    for other in known.profiles().filter(|other| is_plain(other) && (verifies(other) || !safe)) {
        let Some((_, fuller)) = fuller(known, base, other) else { continue };
        let calls = calls::between(profile, other);
        for added in macro_sets(&fuller, build, brokers) {
            for content_length in &lengths {
                let define = |name: &&str| format!("define MBEDTLS_{name} in {header}");
                let mut lines: Vec<_> = added.iter().map(define).collect();
                if *content_length != build.content_length {
                    let length = format!("MBEDTLS_SSL_MAX_CONTENT_LEN {content_length}");
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

/// The recorded hello of the build of the same stack that offers most suites with this profile.
fn fuller(
    known: &Known<'_>,
    base: &ClientName,
    profile: &ClientProfile,
) -> Option<(ClientName, ClientHello)> {
    let clients = known.predictor.builds(base.build.stack()).filter_map(|build| {
        let client = ClientName { build: build.name.clone(), profile: profile.name.clone() };
        let hello = known.hello(&client)?.hello().clone();
        Some((client, hello))
    });
    clients.max_by_key(|(_, hello)| hello.cipher_suites.len())
}

/// Sets of macros to add, smallest first, with which a suite can be shared with each broker.
fn macro_sets(
    fuller: &ClientHello,
    build: &Build,
    brokers: &[Asked],
) -> Vec<BTreeSet<&'static str>> {
    let mut sets = vec![BTreeSet::new()];
    for Asked { profile, .. } in brokers {
        let of_broker = sets_for(fuller, build, profile);
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
    broker: &BrokerProfile,
) -> BTreeSet<BTreeSet<&'static str>> {
    let shared = fuller.usable_suites().filter(|suite| broker.cipher_suites.contains(suite));
    let certificate = &broker.certificate;
    let ec = certificate.key.curve().or(certificate.issuer_key.curve()).is_some();
    let with_reader = move |mut set: BTreeSet<&'static str>| {
        if ec && !build.macros.has("ECDSA_C") {
            // Without it such a certificate cannot even be read.
            set.insert("ECDSA_C");
        }
        set
    };
    shared.filter_map(|suite| missing(build, suite)).map(with_reader).collect()
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
    let (_, fuller) = fuller(known, base, way.profile)?;
    let own = known.hello(&ClientName { profile: way.profile.name.clone(), ..base.clone() });
    let hello = match own.filter(|_| way.added.is_empty()) {
        Some(own) if way.content_length == build.content_length => own.hello().clone(),
        _ => reduced(fuller, &changed),
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

/// The hello of a build that has its own macros and no others.
fn reduced(mut hello: ClientHello, build: &Build) -> ClientHello {
    hello.cipher_suites.retain(|suite| suite.is_marker() || build.lacks_for(*suite).is_none());
    let macros = &build.macros;
    if !macros.has("ECDSA_C") {
        // RFC 8446 4.2.3: low byte 3 is ECDSA.
        let schemes = hello.signature_algorithms.iter_mut();
        schemes.for_each(|list| list.retain(|scheme| scheme & 0xff != 3));
    }
    if !macros.has("ECDH_C") && !macros.has("ECDSA_C") {
        hello.groups = None;
    }
    hello
}

/// The build of the same stack with all that was added and the fewest macros besides.
fn nearest(known: &Known<'_>, build: &Build, way: &Way<'_>) -> ClientName {
    let has_all = |other: &&Build| {
        way.added.iter().all(|name| other.macros.has(name))
            && other.content_length == way.content_length
    };
    let found = known.predictor.builds(build.name.stack()).filter(has_all);
    let found = found.min_by_key(|other| other.macros.count().abs_diff(build.macros.count()));
    let name = found.map_or_else(|| build.name.clone(), |other| other.name.clone());
    ClientName { build: name, profile: way.profile.name.clone() }
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
            lines.push(format!("move from {} to {}", base.build.stack(), build.stack()));
        }
        if build.variant() != base.build.variant() {
            lines.push(format!("build with the macro set of {build}"));
        }
        lines.extend(calls::between(profile, other));
        Some((lines, candidate))
    });
    let (lines, candidate) = ways.min_by_key(|(lines, _)| lines.len())?;
    let Candidate { client, cells, .. } = candidate;
    Some(Change { lines, like: client.clone(), cells: cells.clone() })
}
