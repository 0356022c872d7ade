//! Lists by elimination: suites, their order, groups, signature schemes.

use super::flight::Flight;
use super::hello::Hello;
use super::line::{Answer, Refusal};
use super::{Capture, CaptureError, show};
use suites::broker::is_tls13;
use suites::names::{cipher_suite_name, group_name, signature_scheme_name};
use tls_parser::{TlsCipherAu, TlsCipherKx, TlsCipherSuite};
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// What the server serves.
pub(super) struct Lists {
    /// TLS 1.3's first.
    pub(super) suites: Vec<CipherSuite>,
    /// The first flight with each of them, in the same order.
    pub(super) flights: Vec<Flight>,
    /// What came when none was left.
    pub(super) refusal: Refusal,
    /// The highest version below TLS 1.3, if one is spoken.
    pub(super) old: Option<ProtocolVersion>,
    /// The highest version, and what the server takes of all suites in it.
    pub(super) first: (ProtocolVersion, CipherSuite),
}

impl Lists {
    /// A flight of a version below TLS 1.3.
    pub(super) fn old(&self) -> Option<&Flight> {
        self.flights.iter().find(|flight| !is_tls13(flight.suite))
    }

    /// The suites of TLS 1.3.
    pub(super) fn new_suites(&self) -> Vec<CipherSuite> {
        self.suites.iter().copied().filter(|suite| is_tls13(*suite)).collect()
    }

    /// The suites of older versions.
    pub(super) fn old_suites(&self) -> Vec<CipherSuite> {
        self.suites.iter().copied().filter(|suite| !is_tls13(*suite)).collect()
    }
}

impl Capture<'_> {
    /// The suites of each version.
    pub(super) fn lists(&mut self, versions: &[ProtocolVersion]) -> Result<Lists, CaptureError> {
        let below = |version: &&ProtocolVersion| **version < ProtocolVersion::TLS1_3;
        let old = versions.iter().filter(below).max().copied();
        let first = (ProtocolVersion::TLS1_2, CipherSuite(0));
        let (suites, flights) = (Vec::new(), Vec::new());
        let mut lists = Lists { suites, flights, refusal: Refusal::Closed, old, first };
        if versions.contains(&ProtocolVersion::TLS1_3) {
            (lists.flights, lists.refusal) = self.eliminate(ProtocolVersion::TLS1_3)?;
        }
        if let Some(version) = old {
            let (flights, refusal) = self.eliminate(version)?;
            lists.flights.extend(flights);
            lists.refusal = refusal;
        }
        lists.suites = lists.flights.iter().map(|flight| flight.suite).collect();
        let Some(flight) = lists.flights.first() else {
            return Err(self.strange("it chooses another suite whenever it is asked"));
        };
        lists.first = (flight.version, flight.suite);
        for version in versions.iter().copied().filter(|version| Some(*version) < old) {
            let (flights, _) = self.eliminate(version)?;
            let here: Vec<_> = flights.iter().map(|flight| flight.suite).collect();
            let there = lists.suites.iter().filter(|suite| here.contains(suite)).copied();
            if !there.eq(here.iter().copied()) {
                let names: Vec<_> =
                    here.iter().filter_map(|suite| cipher_suite_name(*suite)).collect();
                let why = "a profile has one list for all versions below TLS1.3";
                let names = names.join(" ");
                self.unknown.push(format!("cipher_suites: in {version} they are {names}; {why}"));
            }
        }
        Ok(lists)
    }

    /// The suites of one version, in the order in which the server takes them, and what it says when
    /// none is left.
    fn eliminate(
        &mut self,
        version: ProtocolVersion,
    ) -> Result<(Vec<Flight>, Refusal), CaptureError> {
        let mut hello = self.hello(version);
        let mut flights = Vec::new();
        loop {
            match self.line.ask(&hello)? {
                Answer::Flight(flight) => {
                    let before = hello.suites.len();
                    hello.suites.retain(|suite| *suite != flight.suite);
                    if hello.suites.len() == before {
                        let what = format!("it chose {}, which was not offered", flight.suite);
                        return Err(self.strange(what));
                    }
                    // An older version than the one that is asked for has an elimination of its own.
                    if flight.version == version {
                        flights.push(*flight);
                    }
                }
                Answer::Refused(refusal) => return Ok((flights, refusal)),
            }
        }
    }

    /// Whose order of suites decides: the last of them is offered first.
    pub(super) fn server_order(&mut self, lists: &Lists) -> Result<bool, CaptureError> {
        let mut found = None;
        for new in [false, true] {
            let of_it = |suite: &CipherSuite| is_tls13(*suite) == new;
            let own: Vec<_> = lists.suites.iter().copied().filter(of_it).collect();
            let version = if new { Some(ProtocolVersion::TLS1_3) } else { lists.old };
            let (Some(version), [first, .., last]) = (version, &own[..]) else { continue };
            let reversed: Vec<_> = own.iter().rev().copied().collect();
            let hello = self.hello(version).with_suites(&reversed);
            let Some(flight) = self.flight(&hello)? else {
                return Err(self.strange("it refuses its own suites in another order"));
            };
            if ![*first, *last].contains(&flight.suite) {
                let why = "the server's order is neither its own nor the client's alone";
                self.unknown.push(format!("server_order: {why}"));
            }
            let servers = flight.suite != *last || self.own_among_alike(&hello, &own)?;
            if servers {
                self.favour(&hello, &own)?;
            }
            match found {
                None => found = Some(servers),
                Some(older) if older != servers => {
                    let (whose, taken) =
                        if servers { ("server's", "client's") } else { ("client's", "server's") };
                    self.unknown.push(format!("server_order: in TLS1.3 the {whose} order decides, other than before; a replay takes the {taken}"));
                }
                Some(_) => {}
            }
        }
        Ok(found.unwrap_or(true))
    }

    /// Whether the server goes by its own order among suites that are alike, though it took the last
    /// of its list when that came first.
    fn own_among_alike(
        &mut self,
        hello: &Hello,
        own: &[CipherSuite],
    ) -> Result<bool, CaptureError> {
        let alike =
            |(one, other): &(&CipherSuite, &CipherSuite)| is_chacha(one) == is_chacha(other);
        let Some((one, other)) = own.iter().zip(own.iter().skip(1)).find(alike) else {
            return Ok(false);
        };
        let rest = own.iter().filter(|suite| ![one, other].contains(suite));
        let suites: Vec<_> = [other, one].into_iter().chain(rest).copied().collect();
        let taken = self.flight(&hello.with_suites(&suites))?.map(|flight| flight.suite);
        // With others behind it the first of the client's is what a server takes that goes by that.
        Ok(taken.is_some_and(|taken| taken != *other))
    }

    /// Some servers that go by their own order let a client choose between AES and ChaCha20, which it
    /// prefers if it has no hardware for AES: its first suite tells.
    fn favour(&mut self, hello: &Hello, own: &[CipherSuite]) -> Result<(), CaptureError> {
        let Some(top) = own.first() else { return Ok(()) };
        let Some(other) = own.iter().find(|suite| is_chacha(suite) != is_chacha(top)) else {
            return Ok(());
        };
        let rest = own.iter().filter(|suite| *suite != other);
        let suites: Vec<_> = [other].into_iter().chain(rest).copied().collect();
        let taken = self.flight(&hello.with_suites(&suites))?.map(|flight| flight.suite);
        if taken.is_some_and(|taken| taken != *top) {
            let (other, top) = (show(*other), show(*top));
            self.unknown.push(format!("server_order: a client that wants {other} most is not given {top}, the first below; a replay gives it that"));
        }
        Ok(())
    }

    /// The groups that the server takes with the suites of `hello`, most wanted first. `curve`, that
    /// of its certificate, is always offered and last, since without it nothing is taken.
    pub(super) fn group_list(
        &mut self,
        hello: &Hello,
        curve: Option<NamedGroup>,
        server_order: bool,
    ) -> Result<Vec<NamedGroup>, CaptureError> {
        let mut hello = hello.clone();
        let mut groups: Vec<NamedGroup> = Vec::new();
        hello.groups.retain(|group| Some(*group) != curve);
        hello.groups.extend(curve);
        while let Some(group) = self.flight(&hello)?.and_then(|flight| flight.group) {
            if !hello.groups.contains(&group) {
                return Err(self.strange(format!("it chose group {group}, which was not offered")));
            }
            hello.groups.retain(|other| *other != group);
            groups.push(group);
            if Some(group) == curve {
                break;
            }
        }
        hello.groups = groups.iter().rev().copied().collect();
        let again = self.flight(&hello)?.and_then(|flight| flight.group);
        if groups.len() > 1 && server_order != (again == groups.first().copied()) {
            let version = hello.version;
            let names: Vec<_> = groups.iter().filter_map(|group| group_name(*group)).collect();
            let what = match server_order {
                true => "the client's order decides; a replay takes that below".to_owned(),
                false => format!(
                    "the server's order decides, {}; a replay takes the client's",
                    names.join(" ")
                ),
            };
            self.unknown.push(format!("groups: in {version} {what}"));
        }
        Ok(groups)
    }

    /// The schemes with which the server signs its key exchange in TLS 1.2; none where it does not
    /// sign one.
    pub(super) fn schemes(&mut self, lists: &Lists) -> Result<Option<Vec<u16>>, CaptureError> {
        let signed = |suite: &CipherSuite| {
            TlsCipherSuite::from_id(suite.0).is_some_and(|known| {
                matches!(known.kx, TlsCipherKx::Ecdhe | TlsCipherKx::Dhe)
                    && matches!(known.au, TlsCipherAu::Rsa | TlsCipherAu::Ecdsa)
            })
        };
        let suites: Vec<_> = lists.suites.iter().copied().filter(signed).collect();
        if lists.old != Some(ProtocolVersion::TLS1_2) || suites.is_empty() {
            return Ok(None);
        }
        let mut hello = self.hello(ProtocolVersion::TLS1_2).with_suites(&suites);
        let (mut schemes, mut by_hash) = (Vec::new(), false);
        while let Some(scheme) = self.flight(&hello)?.and_then(|flight| flight.scheme) {
            let before = hello.schemes.len();
            hello.schemes.retain(|other| *other != scheme);
            if hello.schemes.len() == before {
                // Some look at the hash alone, which in RFC 5246 7.4.1.4.1 is a byte of its own.
                let hash = scheme >> 8;
                hello.schemes.retain(|other| hash >= 8 || *other >> 8 != hash);
                if hello.schemes.len() == before {
                    let name = signature_scheme_name(scheme).unwrap_or("what has no name");
                    self.unknown.push(format!("signature_algorithms: the server signs with {name} where that is not offered; a replay refuses then"));
                    break;
                }
                by_hash = true;
            }
            if !schemes.contains(&scheme) {
                schemes.push(scheme);
            }
        }
        if by_hash {
            let why = "the server looks at the hash alone, whatever key is offered with it; a replay looks at both";
            self.unknown.push(format!("signature_algorithms: {why}"));
        }
        Ok(Some(schemes))
    }
}

fn is_chacha(suite: &CipherSuite) -> bool {
    show(*suite).contains("_CHACHA20_")
}
