//! A server's manners: whom it asks for a certificate, what it keeps of a session, how it says no,
//! what it makes of a client without a name or with small buffers.

use super::full::{self, Full, Stranger};
use super::hello::Hello;
use super::line::{Answer, Refusal};
use super::lists::Lists;
use super::{Capture, CaptureError};
use crate::front::FrontError;
use suites::broker::{ClientAuth, FragmentLength, OnReject, Sni, is_tls13};
use wire::tls::{AlertDescription, CipherSuite, NamedGroup, ProtocolVersion};

/// What the server's whole handshake adds to its first flight.
pub(super) struct Whole {
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) client_auth: ClientAuth,
    pub(super) tickets: Option<bool>,
}

impl Capture<'_> {
    /// Chain, client authentication and tickets: from the first flight where they stand in the
    /// clear, else from a whole handshake.
    pub(super) fn whole(
        &mut self,
        lists: &Lists,
        groups: &[NamedGroup],
    ) -> Result<Whole, CaptureError> {
        let clear = lists.flights.iter().find(|flight| !flight.chain.is_empty()).cloned();
        if let Some(flight) = clear {
            let (suites, chain) = ([flight.suite], flight.chain.clone());
            let mut client_auth = ClientAuth::None;
            if flight.asks_for_certificate {
                let own = flight.group.as_slice();
                let groups = if own.is_empty() { groups } else { own };
                let served = self.handshake(flight.version, &suites, groups, None)?.served;
                client_auth = if served { ClientAuth::Wanted } else { ClientAuth::Required };
            }
            return Ok(Whole { chain, client_auth, tickets: None });
        }
        if lists.old.is_some() {
            // Pre-shared keys alone: nobody shows a certificate.
            return Ok(Whole { chain: Vec::new(), client_auth: ClientAuth::None, tickets: None });
        }
        // TLS 1.3 asks in secret, so that what becomes of a wrong answer has to tell.
        let (version, suites) = (ProtocolVersion::TLS1_3, &lists.suites);
        let Full { chain, tickets, served } = self.handshake(version, suites, groups, None)?;
        if chain.is_empty() {
            return Err(self.strange("the handshake breaks off before its certificate"));
        }
        let stranger = Stranger::new().map_err(FrontError::from)?;
        let client_auth = match served {
            false => ClientAuth::Required,
            true if self.handshake(version, suites, groups, Some(&stranger))?.served => {
                ClientAuth::None
            }
            true => ClientAuth::Wanted,
        };
        Ok(Whole { chain, client_auth, tickets: Some(tickets > 0 || !served) })
    }

    fn handshake(
        &mut self,
        version: ProtocolVersion,
        suites: &[CipherSuite],
        groups: &[NamedGroup],
        shown: Option<&Stranger>,
    ) -> Result<Full, CaptureError> {
        let tcp = self.line.connect()?;
        let name = self.target.server_name.as_deref();
        Ok(full::handshake(tcp, version, suites, groups, name, shown)?)
    }

    pub(super) fn session_cache(&mut self, lists: &Lists) -> Result<bool, CaptureError> {
        let Some(version) = lists.old else { return Ok(true) };
        let hello = Hello { ticket: false, ..self.hello(version).with_suites(&lists.suites) };
        Ok(self.flight(&hello)?.is_none_or(|flight| flight.session_id))
    }

    pub(super) fn on_reject(&mut self, refusal: &Refusal) -> (OnReject, AlertDescription) {
        match refusal {
            Refusal::Alert(alert) => (OnReject::Alert, *alert),
            other => {
                if *other != Refusal::Closed {
                    let why = format!(
                        "where no suite is shared the server answers with {other}; a replay closes"
                    );
                    self.unknown.push(format!("on_reject: {why}"));
                }
                (OnReject::Close, AlertDescription::HANDSHAKE_FAILURE)
            }
        }
    }

    pub(super) fn sni(&mut self, lists: &Lists) -> Result<Sni, CaptureError> {
        if self.target.server_name.is_none() {
            let why = "an address was asked for, which cannot be named; --server-name names one";
            self.unknown.push(format!("sni: {why}"));
            return Ok(Sni::Ignored);
        }
        let version = lists.old.unwrap_or(ProtocolVersion::TLS1_3);
        let of_it = |suite: &CipherSuite| is_tls13(*suite) == lists.old.is_none();
        let suites: Vec<_> = lists.suites.iter().copied().filter(of_it).collect();
        let hello = Hello { server_name: None, ..self.hello(version).with_suites(&suites) };
        Ok(match self.line.ask(&hello)? {
            Answer::Flight(_) => Sni::Ignored,
            Answer::Refused(refusal) => {
                if refusal != Refusal::Alert(AlertDescription(112)) {
                    let why = format!(
                        "without a name the server answers with {refusal}; a replay sends alert 112"
                    );
                    self.unknown.push(format!("sni: {why}"));
                }
                Sni::Required
            }
        })
    }

    /// Asks for records of 512 bytes.
    pub(super) fn max_fragment_length(
        &mut self,
        lists: &Lists,
    ) -> Result<FragmentLength, CaptureError> {
        let Some(version) = lists.old else { return Ok(FragmentLength::Honoured) };
        let hello = Hello { fragment: Some(1), ..self.hello(version).with_suites(&lists.suites) };
        let Some(flight) = self.flight(&hello)? else {
            let why = "a client that asks for it is refused; a replay serves it";
            self.unknown.push(format!("max_fragment_length: {why}"));
            return Ok(FragmentLength::Ignored);
        };
        let answered = flight.extensions.contains(&1);
        if !answered {
            let why = "the server does not answer it; a replay does, and ignores it then";
            self.unknown.push(format!("max_fragment_length: {why}"));
        }
        Ok(match answered && flight.longest_record <= 512 {
            true => FragmentLength::Honoured,
            false => FragmentLength::Ignored,
        })
    }
}
