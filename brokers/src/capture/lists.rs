//! Lists by elimination: suites, their order, groups, signature schemes.

use super::flight::Flight;
use super::hello::Hello;
use super::line::{Answer, Refusal};
use super::{Capture, CaptureError};
use suites::broker::is_tls13;
use suites::names::cipher_suite_name;
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
}

impl Lists {
    /// A flight of a version below TLS 1.3.
    pub(super) fn old(&self) -> Option<&Flight> {
        self.flights.iter().find(|flight| !is_tls13(flight.suite))
    }
}

impl Capture<'_> {
    /// The suites of each version.
    pub(super) fn lists(&mut self, versions: &[ProtocolVersion]) -> Result<Lists, CaptureError> {
        let below = |version: &&ProtocolVersion| **version < ProtocolVersion::TLS1_3;
        let old = versions.iter().filter(below).max().copied();
        let mut lists =
            Lists { suites: Vec::new(), flights: Vec::new(), refusal: Refusal::Closed, old };
        if versions.contains(&ProtocolVersion::TLS1_3) {
            (lists.flights, lists.refusal) = self.eliminate(ProtocolVersion::TLS1_3)?;
        }
        if let Some(version) = old {
            let (flights, refusal) = self.eliminate(version)?;
            lists.flights.extend(flights);
            lists.refusal = refusal;
        }
        lists.suites = lists.flights.iter().map(|flight| flight.suite).collect();
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
        for new in [false, true] {
            let of_it = |suite: &CipherSuite| is_tls13(*suite) == new;
            let mut suites: Vec<_> = lists.suites.iter().copied().filter(of_it).collect();
            let (Some(first), true) = (suites.first().copied(), suites.len() > 1) else { continue };
            suites.reverse();
            let version = if new { Some(ProtocolVersion::TLS1_3) } else { lists.old };
            let Some(version) = version else { continue };
            let hello = self.hello(version).with_suites(&suites);
            let Some(flight) = self.flight(&hello)? else {
                return Err(self.strange("it refuses its own suites in another order"));
            };
            if flight.suite != first && suites.first() != Some(&flight.suite) {
                let why = "the server's order is neither its own nor the client's alone";
                self.unknown.push(format!("server_order: {why}"));
            }
            return Ok(suites.first() != Some(&flight.suite));
        }
        Ok(true)
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
            let (whose, taken) = match server_order {
                true => ("client's", "server's, in the order below"),
                false => ("server's", "client's"),
            };
            let version = hello.version;
            self.unknown.push(format!("groups: in {version} the {whose} order decides, other than for suites; a replay takes the {taken}"));
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
        let mut schemes = Vec::new();
        while let Some(scheme) = self.flight(&hello)?.and_then(|flight| flight.scheme) {
            let before = hello.schemes.len();
            hello.schemes.retain(|other| *other != scheme);
            if hello.schemes.len() == before {
                let what = format!("it signs with {scheme:#06x}, which was not offered");
                self.unknown.push(format!("signature_algorithms: {what}"));
                break;
            }
            schemes.push(scheme);
        }
        Ok(Some(schemes))
    }
}
