//! What a live server speaks, asked question by question, as a profile that a broker of ours replays.
//!
//! ```text
//! Hello (made to measure) --> Line (bounded, one at a time) --> server
//!                                                                 |
//!        BrokerProfile + what is unknown  <-- the steps below <-- Flight, or a refusal
//! ```
//!
//! Lists are found by elimination: all is offered, what the server takes is struck off the offer, and
//! so on until it takes nothing. What it took is its list, in the order that decides; the last answer
//! is what it does when nothing is shared. Whole handshakes are made only for what cannot be seen
//! otherwise, with no certificate and no credentials.
//!
//! A capture of our own replay is the visible form of the profile,
//! [`BrokerProfile::visible`](suites::BrokerProfile::visible); what that leaves out is listed in
//! [`INVISIBLE`](suites::broker::INVISIBLE).

mod chain;
mod flight;
mod full;
mod hello;
mod line;
mod lists;
mod manners;

pub use line::Bounds;

use crate::front::{FrontError, names::groups_list, with_rustls};
use flight::Flight;
use hello::Hello;
use line::{Answer, Line, Refusal};
use lists::Lists;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use suites::broker::{
    BrokerProfile, Certificate, FragmentLength, Front, KeyKind, Psk, fold_groups, fold_schemes,
    is_tls13,
};
use suites::names::cipher_suite_name;
use tls_parser::{TlsCipherEncMode, TlsCipherSuite};
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// Which server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// The name to ask for (RFC 6066 3); none is sent without it.
    pub server_name: Option<String>,
    /// The file name of the profile, without its ending.
    pub name: String,
    /// Its line in lists.
    pub summary: String,
    /// Where it comes from.
    pub source: String,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The profile that is to be replayed.
    pub profile: BrokerProfile,
    /// What could not be found out or cannot be replayed, each as `key: why`.
    pub unknown: Vec<String>,
    /// Connections made.
    pub connections: u32,
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The server does not take connections, or not any more.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
    /// There is more to ask than was allowed.
    #[error("{allowed} connections were allowed and made, and there is more to ask")]
    Connections {
        /// How many.
        allowed: u32,
    },
    /// What listens there does not speak TLS.
    #[error("{address} does not speak TLS: it answered a ClientHello with {answer}")]
    NotTls {
        /// Where.
        address: SocketAddr,
        /// The first bytes, or what came in place of bytes.
        answer: String,
    },
    /// The server refuses whatever it is offered.
    #[error("{address} refused a ClientHello that offers everything with {answer}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// How.
        answer: String,
    },
    /// The server gives two answers to one question.
    #[error("{address} does not answer as a TLS server would: {what}")]
    Strange {
        /// Where.
        address: SocketAddr,
        /// What does not fit.
        what: String,
    },
    /// Nothing of what the server speaks can be replayed.
    #[error("none of the cipher suites that {address} serves can be replayed: {suites}")]
    Nothing {
        /// Where.
        address: SocketAddr,
        /// What it serves.
        suites: String,
    },
    /// OpenSSL refused a setting of our own.
    #[error(transparent)]
    Front(#[from] FrontError),
}

/// Asks the server all there is to ask. `say` is told of each step before it is taken.
///
/// # Errors
/// [`CaptureError`] says what was in the way.
pub fn capture(
    target: &Target,
    bounds: Bounds,
    say: &mut dyn FnMut(&str),
) -> Result<Captured, CaptureError> {
    let line = Line::new(target.address, bounds);
    let mut capture = Capture { target, line, unknown: Vec::new() };
    let profile = capture.run(say)?;
    let connections = capture.line.made;
    Ok(Captured { profile, unknown: capture.unknown, connections })
}

struct Capture<'a> {
    target: &'a Target,
    line: Line,
    unknown: Vec<String>,
}

impl Capture<'_> {
    fn run(&mut self, say: &mut dyn FnMut(&str)) -> Result<BrokerProfile, CaptureError> {
        say("which versions it speaks");
        let versions = self.versions()?;
        say("which cipher suites, in which order");
        let mut lists = self.lists(&versions)?;
        self.keep_what_can_be_replayed(&mut lists)?;
        let server_order = self.server_order(&lists)?;
        say("which groups, with which suites");
        let curve = chain::curve(&lists.flights);
        let (groups, suite_groups) = self.groups(&lists, curve, server_order)?;
        say("how it signs");
        let schemes = self.schemes(&lists)?;
        say("its certificate, and whether it wants one");
        let whole = self.whole(&lists, &groups)?;
        let name = self.target.server_name.as_deref();
        let certificate: Certificate =
            chain::shape(&whole.chain, name, &mut self.unknown).unwrap_or_default();
        say("tickets, sessions, record sizes and the server name");
        let flights = &lists.flights;
        let cbc = flights.iter().find(|flight| {
            TlsCipherSuite::from_id(flight.suite.0)
                .is_some_and(|suite| suite.enc_mode == TlsCipherEncMode::Cbc)
        });
        let has = |flight: Option<&Flight>, kind| {
            flight.is_none_or(|flight| flight.extensions.contains(&kind))
        };
        let (dh_bits, old) = (self.dh_bits(flights), lists.old());
        let cut = flights.iter().filter_map(|flight| flight.cut).max();
        let (on_reject, no_suite_alert) = self.on_reject(&lists.refusal);
        let (lowest, highest) = (versions.iter().min(), versions.iter().max());
        let host_name = self.target.server_name.clone();
        let mut profile = BrokerProfile {
            name: self.target.name.clone(),
            summary: self.target.summary.clone(),
            source: self.target.source.clone(),
            front: Front::Openssl,
            min_version: lowest.copied().unwrap_or(ProtocolVersion::TLS1_2),
            max_version: highest.copied().unwrap_or(ProtocolVersion::TLS1_2),
            cipher_suites: lists.suites.clone(),
            server_order,
            groups,
            suite_groups,
            dh_bits,
            client_auth: whole.client_auth,
            tickets: whole.tickets.unwrap_or_else(|| has(old, 35)),
            session_cache: self.session_cache(&lists)?,
            encrypt_then_mac: has(cbc, 22),
            extended_master_secret: has(old, 23),
            on_reject,
            no_suite_alert,
            security_level: 0,
            record_size: cut.and_then(|cut| u16::try_from(cut).ok()).unwrap_or(16_384).max(64),
            sni: self.sni(&lists)?,
            host_name: host_name.unwrap_or_else(|| certificate.name.clone()),
            signature_algorithms: schemes
                .and_then(|schemes| fold_schemes(schemes, certificate.key, server_order)),
            max_fragment_length: self.max_fragment_length(&lists)?,
            renegotiation: false,
            psk: None,
            misbehave: None,
            certificate,
        };
        let psk = |suite: &CipherSuite| {
            cipher_suite_name(*suite).is_some_and(|name| name.contains("_PSK_"))
        };
        if profile.cipher_suites.iter().any(psk) {
            profile.psk = Some(Psk::of_a_replay());
            self.unknown.push("psk: identity and key are the server's secret".to_owned());
        }
        if !profile.server_order {
            profile.groups.sort_unstable();
        }
        Ok(if lists.flights.iter().any(|flight| flight.packed) {
            self.packed(profile)
        } else {
            profile
        })
    }

    /// A server that puts several messages into one record, as rustls does and OpenSSL does not: its
    /// replay is rustls' where that has all the rest, since a client may stumble over it.
    fn packed(&mut self, profile: BrokerProfile) -> BrokerProfile {
        let packed = BrokerProfile {
            front: Front::Rustls,
            // It has its own, and cannot be told others.
            signature_algorithms: None,
            max_fragment_length: FragmentLength::Ignored,
            ..profile.clone()
        };
        let modern = packed.min_version >= ProtocolVersion::TLS1_2;
        let key = packed.certificate.key;
        if modern && with_rustls::check(&packed).is_ok() && key != KeyKind::Rsa1024 {
            let answered = "max_fragment_length: the server does not answer it";
            self.unknown.retain(|line| !line.starts_with(answered));
            return packed;
        }
        let why = "the server puts several messages into one record; a replay gives each its own";
        self.unknown.push(format!("front: {why}"));
        profile
    }

    fn hello(&self, version: ProtocolVersion) -> Hello {
        Hello::everything(version, self.target.server_name.as_deref())
    }

    /// The server's flight, or none if it refused; a refusal that is none of TLS is noted.
    fn flight(&mut self, hello: &Hello) -> Result<Option<Flight>, CaptureError> {
        Ok(match self.line.ask(hello)? {
            Answer::Flight(flight) => Some(*flight),
            Answer::Refused(_) => None,
        })
    }

    fn strange(&self, what: impl Into<String>) -> CaptureError {
        CaptureError::Strange { address: self.target.address, what: what.into() }
    }

    /// The versions that the server agrees to when each is the highest offered.
    fn versions(&mut self) -> Result<Vec<ProtocolVersion>, CaptureError> {
        let mut found = Vec::new();
        let mut refusals = Vec::new();
        for version in [
            ProtocolVersion::TLS1_3,
            ProtocolVersion::TLS1_2,
            ProtocolVersion::TLS1_1,
            ProtocolVersion::TLS1_0,
            ProtocolVersion::SSL3_0,
        ] {
            match self.line.ask(&self.hello(version))? {
                Answer::Flight(flight) if flight.version == version => found.push(version),
                Answer::Flight(_) => {}
                Answer::Refused(refusal) => {
                    let hopeless = matches!(refusal, Refusal::NotTls(_) | Refusal::Silent);
                    refusals.push(refusal);
                    if hopeless && found.is_empty() && refusals.len() > 1 {
                        break;
                    }
                }
            }
        }
        if found.last() == Some(&ProtocolVersion::SSL3_0) {
            found.pop();
            self.unknown.push("min_version: the server speaks SSL3.0, too".to_owned());
        }
        let between = |pair: &[ProtocolVersion]| matches!(pair, [a, b] if a.0 - b.0 > 1);
        if found.windows(2).any(between) {
            let gap = "the server leaves out a version between its lowest and its highest";
            self.unknown.push(format!("min_version: {gap}"));
        }
        if found.is_empty() {
            return Err(self.nothing_spoken(&refusals));
        }
        Ok(found)
    }

    fn nothing_spoken(&self, refusals: &[Refusal]) -> CaptureError {
        let address = self.target.address;
        match refusals.iter().find(|refusal| matches!(refusal, Refusal::Alert(_))) {
            Some(alert) => CaptureError::Refused { address, answer: alert.to_string() },
            None => {
                let answer = match refusals.first() {
                    Some(Refusal::NotTls(bytes)) => {
                        format!("the bytes {:?}", String::from_utf8_lossy(bytes))
                    }
                    Some(other) => other.to_string(),
                    None => "a version that nobody asked for".to_owned(),
                };
                CaptureError::NotTls { address, answer }
            }
        }
    }

    /// Leaves out, by name, what our own front could not serve, and what belongs to another
    /// certificate than the first.
    fn keep_what_can_be_replayed(&mut self, lists: &mut Lists) -> Result<(), CaptureError> {
        let own = lists.flights.iter().find_map(|flight| flight.chain.first().cloned());
        let (mut lacking, mut other) = (Vec::new(), Vec::new());
        lists.flights.retain(|flight| {
            let name = cipher_suite_name(flight.suite).unwrap_or_default();
            let served = is_tls13(flight.suite) || openssl::ssl::cipher_name(name) != "(NONE)";
            let known = TlsCipherSuite::from_id(flight.suite.0);
            let secret = known.is_some_and(|suite| !suite.name.contains("_anon_"));
            let same = flight.chain.is_empty() || flight.chain.first() == own.as_ref();
            if !served || !secret {
                lacking.push(name);
            } else if !same {
                other.push(name);
            }
            served && secret && same
        });
        for (names, why) in [
            (&lacking, "served, and not to be replayed by our OpenSSL"),
            (&other, "served with a second certificate, of which a profile has but one"),
        ] {
            if !names.is_empty() {
                self.unknown.push(format!("cipher_suites: {}: {why}", names.join(" ")));
            }
        }
        let all: Vec<_> =
            lists.suites.iter().filter_map(|suite| cipher_suite_name(*suite)).collect();
        lists.suites = lists.flights.iter().map(|flight| flight.suite).collect();
        if lists.suites.is_empty() {
            let address = self.target.address;
            return Err(CaptureError::Nothing { address, suites: all.join(" ") });
        }
        Ok(())
    }

    /// Groups for all suites, and those that a suite has of its own.
    fn groups(
        &mut self,
        lists: &Lists,
        curve: Option<NamedGroup>,
        server_order: bool,
    ) -> Result<(Vec<NamedGroup>, BTreeMap<CipherSuite, NamedGroup>), CaptureError> {
        let mut served = BTreeMap::new();
        let mut shared = Vec::new();
        for flight in &lists.flights {
            let (Some(group), false) = (flight.group, is_tls13(flight.suite)) else { continue };
            let mut hello = self.hello(flight.version).with_suites(&[flight.suite]);
            hello.groups.retain(|other| *other != group);
            // Without the curve of its certificate the server refuses for another reason.
            if Some(group) == curve || self.flight(&hello)?.is_none() {
                served.insert(flight.suite, vec![group]);
            } else {
                shared.push(flight.suite);
            }
        }
        if let (Some(version), false) = (lists.old, shared.is_empty()) {
            let hello = self.hello(version).with_suites(&shared);
            let list = self.group_list(&hello, curve, server_order)?;
            served.extend(shared.iter().map(|suite| (*suite, list.clone())));
        }
        let new: Vec<_> = lists.suites.iter().copied().filter(|suite| is_tls13(*suite)).collect();
        let new = match new.is_empty() {
            true => None,
            false => {
                let hello = self.hello(ProtocolVersion::TLS1_3).with_suites(&new);
                Some(self.group_list(&hello, None, server_order)?)
            }
        };
        let new = new.map(|list| merge(list, served.values()));
        let (mut groups, suite_groups) = fold_groups(&served, new.as_deref(), curve);
        groups.retain(|group| {
            let known = groups_list(&[*group]).is_ok_and(|name| is_openssls(&name));
            if !known {
                let why = "served, and not to be replayed by our OpenSSL";
                self.unknown.push(format!("groups: {group}: {why}"));
            }
            known
        });
        Ok((groups, suite_groups))
    }

    fn dh_bits(&mut self, flights: &[Flight]) -> u16 {
        let Some(bits) = flights.iter().find_map(|flight| flight.dh_bits) else { return 2048 };
        let kind = match bits {
            0..=2048 => 2048,
            2049..=3072 => 3072,
            _ => 4096,
        };
        if usize::from(kind) != bits {
            let why = format!("the server's prime has {bits} bits; a replay takes {kind}");
            self.unknown.push(format!("dh_bits: {why}"));
        }
        kind
    }
}

/// The groups of TLS 1.3 and those that older versions have besides.
fn merge<'a>(
    mut list: Vec<NamedGroup>,
    older: impl Iterator<Item = &'a Vec<NamedGroup>>,
) -> Vec<NamedGroup> {
    let Some(older) = older.max_by_key(|list| list.len()).filter(|list| list.len() > 1) else {
        return list;
    };
    for (at, group) in older.iter().enumerate() {
        if !list.contains(group) {
            // Behind the one that stands before it there.
            let before = older.get(..at).and_then(|before| before.last());
            let place = before.and_then(|before| list.iter().position(|one| one == before));
            list.insert(place.map_or(0, |place| place + 1), *group);
        }
    }
    list
}

/// Whether our own library has this group.
fn is_openssls(name: &str) -> bool {
    let builder = openssl::ssl::SslContextBuilder::new(openssl::ssl::SslMethod::tls());
    builder.is_ok_and(|mut builder| builder.set_groups_list(name).is_ok())
}
