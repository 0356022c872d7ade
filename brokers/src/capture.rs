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
//! A list without its end would make a profile that predicts what is not so. Whether a no was meant is
//! therefore made sure of by the line, and a server that stops answering makes no profile at all. What
//! a profile cannot say (a second certificate, an order that is neither the server's nor the client's,
//! ALPN ...) is asked for as far as it shows, and told beside the profile.
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
mod versions;

pub use hello::Signer;
pub use line::Bounds;

use crate::front::{FrontError, names::groups_list, with_rustls};
use flight::Flight;
use hello::Hello;
use line::{Answer, Line};
use lists::Lists;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use suites::broker::{
    BrokerProfile, Certificate, FragmentLength, Front, KeyKind, Psk, fold_groups, fold_schemes,
    is_tls13,
};
use suites::names::{self, cipher_suite_name, signature_scheme_name};
use tls_parser::{TlsCipherEncMode, TlsCipherSuite};
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// Which server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// The name to ask for (RFC 6066 3); none is sent without it.
    pub server_name: Option<String>,
    /// The kind of certificate to ask for, of a server with several; whichever it shows otherwise.
    pub signer: Option<Signer>,
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
    /// Questions that were answered only when they were asked again: the server limits how often it is
    /// asked, or drops connections.
    pub repeated: u32,
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
    #[error("{allowed} connections were allowed and made, and there is more to ask: {step}")]
    Connections {
        /// How many.
        allowed: u32,
        /// What was being found out.
        step: &'static str,
    },
    /// The server has answered, and no longer does.
    #[error(
        "after {connections} connections {address} no longer answers what it answered before: it ended with {answer}; still open is {step}"
    )]
    Stopped {
        /// Where.
        address: SocketAddr,
        /// Connections made.
        connections: u32,
        /// What was being found out.
        step: &'static str,
        /// What came in place of an answer.
        answer: String,
    },
    /// What listens there does not speak TLS.
    #[error("{address} answered a ClientHello with {answer}")]
    NotTls {
        /// Where.
        address: SocketAddr,
        /// The first bytes, or what came in place of bytes.
        answer: String,
        /// The first bytes as they came; none if the server ended the connection.
        first: Vec<u8>,
    },
    /// What listens there takes connections and does not speak.
    #[error("{address} takes connections and answers a ClientHello with {answer}")]
    Silent {
        /// Where.
        address: SocketAddr,
        /// Nothing, or a beginning without an end.
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
    #[error("nothing of what {address} speaks can be replayed: it {what}")]
    Nothing {
        /// Where.
        address: SocketAddr,
        /// What it does.
        what: String,
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
    let Line { made: connections, repeated, .. } = capture.line;
    Ok(Captured { profile, unknown: capture.unknown, connections, repeated })
}

struct Capture<'a> {
    target: &'a Target,
    line: Line,
    unknown: Vec<String>,
}

impl Capture<'_> {
    fn run(&mut self, say: &mut dyn FnMut(&str)) -> Result<BrokerProfile, CaptureError> {
        let mut step = |line: &mut Line, step: &'static str| {
            line.step = step;
            say(step);
        };
        step(&mut self.line, "which versions it speaks");
        let versions = self.versions()?;
        step(&mut self.line, "which cipher suites, in which order");
        let mut lists = self.lists(&versions)?;
        self.keep_what_can_be_replayed(&mut lists)?;
        let server_order = self.server_order(&lists)?;
        step(&mut self.line, "which groups, with which suites");
        let curve = chain::curve(&lists.flights);
        let (groups, suite_groups) = self.groups(&lists, curve, server_order)?;
        step(&mut self.line, "how it signs");
        let schemes = self.schemes(&lists)?;
        step(&mut self.line, "its certificate, and whether it wants one");
        let whole = self.whole(&lists, &groups, curve)?;
        let name = self.target.server_name.as_deref();
        let certificate: Certificate =
            chain::shape(&whole.chain, name, &mut self.unknown).unwrap_or_default();
        step(&mut self.line, "tickets, sessions, record sizes and the server name");
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
        let sni = self.sni(&lists, &groups, &whole.chain)?;
        self.not_replayed(&lists)?;
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
            sni,
            host_name: host_name.unwrap_or_else(|| certificate.name.clone()),
            signature_algorithms: self.own_schemes(schemes, certificate.key, server_order),
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
        self.ask_the_first_again(&lists)?;
        let packed = lists.flights.iter().any(|flight| flight.packed);
        let profile = if packed { self.packed(profile) } else { profile };
        Ok(self.whole_records(profile))
    }

    /// A server that has answered all may have done so with errors of its own in between, and behind
    /// one address there may be several servers.
    fn ask_the_first_again(&mut self, lists: &Lists) -> Result<(), CaptureError> {
        let (version, suite) = lists.first;
        match self.line.ask(&self.hello(version))? {
            Answer::Flight(flight) if (flight.version, flight.suite) == (version, suite) => {}
            Answer::Flight(flight) => {
                let (again, before) = (show(flight.suite), show(suite));
                self.unknown.push(format!("cipher_suites: to one question the server answered {before} at first and {again} at last; there may be several servers at this address"));
            }
            Answer::Refused(refusal) => return Err(self.line.stopped(&refusal)),
        }
        Ok(())
    }

    /// Our OpenSSL does not cut records of TLS 1.3.
    fn whole_records(&mut self, profile: BrokerProfile) -> BrokerProfile {
        let new = profile.accepts(ProtocolVersion::TLS1_3);
        let cut = profile.record_size < 16_384;
        if !cut || !new || profile.front == Front::Rustls {
            return profile;
        }
        let size = profile.record_size;
        let why = format!(
            "the server's records end after {size} bytes, those of a replay with TLS1.3 do not; with max_version = \"TLS1.2\" and no suite of TLS1.3, record_size = {size} is replayed"
        );
        self.unknown.push(format!("record_size: {why}"));
        BrokerProfile { record_size: 16_384, ..profile }
    }

    /// The schemes that the profile names; none where they are OpenSSL's own, or none of those with
    /// which the replay's key signs.
    fn own_schemes(
        &mut self,
        schemes: Option<Vec<u16>>,
        key: KeyKind,
        server_order: bool,
    ) -> Option<Vec<u16>> {
        let seen = schemes?;
        let names: Vec<_> = seen.iter().filter_map(|one| signature_scheme_name(*one)).collect();
        let own = fold_schemes(seen.clone(), key, server_order)?;
        if own.is_empty() {
            let key = key.as_str();
            let names = names.join(" ");
            self.unknown.push(format!("signature_algorithms: the server signs with {names}, as a replay's {key} key does not"));
            return None;
        }
        Some(own)
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
        let hello = Hello::everything(version, self.target.server_name.as_deref());
        match self.target.signer {
            Some(signer) => hello.for_signer(signer),
            None => hello,
        }
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

    /// Leaves out, by name, what our own front could not serve, and what belongs to another
    /// certificate than the first.
    fn keep_what_can_be_replayed(&mut self, lists: &mut Lists) -> Result<(), CaptureError> {
        let own = lists.flights.iter().find_map(|flight| flight.chain.first().cloned());
        let (mut lacking, mut other) = (Vec::new(), Vec::new());
        lists.flights.retain(|flight| {
            let name = cipher_suite_name(flight.suite).unwrap_or_default();
            let served = is_tls13(flight.suite) || openssl::ssl::cipher_name(name) != "(NONE)";
            let known = TlsCipherSuite::from_id(flight.suite.0);
            // Without a certificate, or with a DSA key, which no replay has.
            let secret = known.is_some_and(|suite| {
                !suite.name.contains("_anon_") && !suite.name.contains("_DSS_")
            });
            let same = flight.chain.is_empty() || flight.chain.first() == own.as_ref();
            if !served || !secret {
                lacking.push(name);
            } else if !same {
                other.push(name);
            }
            served && secret && same
        });
        if !lacking.is_empty() {
            let why = "served, and not to be replayed by our OpenSSL";
            self.unknown.push(format!("cipher_suites: {}: {why}", lacking.join(" ")));
        }
        if let Some(name) = other.first() {
            let rsa = names::cipher_suite(name).is_ok_and(|suite| Signer::Rsa.serves(suite));
            let signer = if rsa { Signer::Rsa } else { Signer::Ecdsa };
            self.second_certificate(signer, &format!("the {} suites with it", other.len()));
        }
        let all: Vec<_> =
            lists.suites.iter().filter_map(|suite| cipher_suite_name(*suite)).collect();
        lists.suites = lists.flights.iter().map(|flight| flight.suite).collect();
        if lists.suites.is_empty() {
            let (address, all) = (self.target.address, all.join(" "));
            return Err(CaptureError::Nothing { address, what: format!("serves {all} alone") });
        }
        Ok(())
    }

    /// Of a server's two certificates a profile has one.
    fn second_certificate(&mut self, signer: Signer, suites: &str) {
        let signer = signer.as_str();
        self.unknown.push(format!("certificate: the server has a second one, and a profile but one: `--certificate {signer}` makes a profile of {suites}"));
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
            hello.groups.extend(curve.filter(|curve| *curve == group));
            match self.flight(&hello)? {
                Some(other) if other.group != Some(group) => shared.push(flight.suite),
                _ => {
                    served.insert(flight.suite, vec![group]);
                }
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
        if groups.is_empty() {
            let address = self.target.address;
            let what = "serves groups alone that our OpenSSL does not have".to_owned();
            return Err(CaptureError::Nothing { address, what });
        }
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

fn show(suite: CipherSuite) -> String {
    cipher_suite_name(suite).map_or_else(|| suite.to_string(), str::to_owned)
}

/// Whether our own library has this group.
fn is_openssls(name: &str) -> bool {
    let builder = openssl::ssl::SslContextBuilder::new(openssl::ssl::SslMethod::tls());
    builder.is_ok_and(|mut builder| builder.set_groups_list(name).is_ok())
}
