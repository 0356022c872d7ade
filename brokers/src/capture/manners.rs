//! A server's manners: whom it asks for a certificate, what it keeps of a session, how it says no,
//! what it makes of a client without a name or with small buffers.

use super::chain;
use super::full::{self, Asked, End, Full, Stranger};
use super::hello::{ALPN_MQTT, Hello, STATUS_REQUEST};
use super::line::{Answer, Refusal};
use super::lists::Lists;
use super::{Capture, CaptureError};
use crate::front::FrontError;
use suites::broker::{ClientAuth, FragmentLength, OnReject, Sni};
use wire::tls::{AlertDescription, CipherSuite, NamedGroup, ProtocolVersion};

/// A name that no server has, RFC 6761 6.4.
const NOBODY: &str = "nobody.invalid";

/// What the server's whole handshake adds to its first flight.
pub(super) struct Whole {
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) client_auth: ClientAuth,
    pub(super) tickets: Option<bool>,
}

impl<'t> Capture<'t> {
    /// Chain, client authentication and tickets: from the first flight where they stand in the
    /// clear, else from a whole handshake. `curve` is that of the certificate.
    pub(super) fn whole(
        &mut self,
        lists: &Lists,
        groups: &[NamedGroup],
        curve: Option<NamedGroup>,
    ) -> Result<Whole, CaptureError> {
        let (new, older) = (lists.new_suites(), lists.old.is_some());
        let clear = lists.flights.iter().find(|flight| !flight.chain.is_empty()).cloned();
        if let Some(flight) = clear {
            let (suites, chain) = ([flight.suite], flight.chain.clone());
            let mut client_auth = ClientAuth::None;
            if flight.asks_for_certificate {
                let own: Vec<_> = flight.group.into_iter().chain(curve).collect();
                let groups = if flight.group.is_some() { &own[..] } else { groups };
                let end = self.handshake(&self.asked(flight.version, &suites, groups))?.end;
                client_auth = self.client_auth(&end);
            }
            let seen = Whole { chain, client_auth, tickets: None };
            if !new.is_empty() {
                self.also_in_tls13(lists, &new, groups, &seen)?;
            }
            return Ok(seen);
        }
        if older {
            // Pre-shared keys alone: nobody shows a certificate.
            return Ok(Whole { chain: Vec::new(), client_auth: ClientAuth::None, tickets: None });
        }
        // TLS 1.3 asks in secret, so that what becomes of a wrong answer has to tell.
        let asked = self.asked(ProtocolVersion::TLS1_3, &new, groups);
        let Full { chain, tickets, end } = self.handshake(&asked)?;
        if chain.is_empty() {
            let why = if let End::Broken(why) = end { format!(": {why}") } else { String::new() };
            return Err(self.strange(format!("a whole handshake ends before its certificate{why}")));
        }
        if let (None, Some(own)) =
            (self.target.signer, chain.first().and_then(|one| chain::signer(one)))
        {
            let other = own.other();
            let full = self.handshake(&Asked { signer: Some(other), ..asked })?;
            if full.chain.first().is_some_and(|second| chain.first() != Some(second)) {
                self.second_certificate(other, "what is served with it");
            }
        }
        let client_auth = match end {
            End::Served => {
                let stranger = Stranger::new().map_err(FrontError::from)?;
                match self.handshake(&Asked { shown: Some(&stranger), ..asked })?.end {
                    End::Served => ClientAuth::None,
                    _ => ClientAuth::Wanted,
                }
            }
            ref other => self.client_auth(other),
        };
        Ok(Whole { chain, client_auth, tickets: Some(tickets > 0 || end != End::Served) })
    }

    /// What a server makes of a client that it has asked for a certificate, and that has none.
    fn client_auth(&mut self, end: &End) -> ClientAuth {
        match end {
            End::Served => ClientAuth::Wanted,
            End::Refused => ClientAuth::Required,
            End::Broken(why) => {
                self.unknown.push(format!("client_auth: the server asks for a certificate; whether it insists is not known, since a whole handshake broke off: {why}"));
                ClientAuth::Wanted
            }
        }
    }

    /// What was `seen` in an older version may be otherwise in TLS 1.3; a profile says it once.
    fn also_in_tls13(
        &mut self,
        lists: &Lists,
        suites: &[CipherSuite],
        groups: &[NamedGroup],
        seen: &Whole,
    ) -> Result<(), CaptureError> {
        let full = self.handshake(&self.asked(ProtocolVersion::TLS1_3, suites, groups))?;
        let mut differs = |key: &str, what: String| {
            self.unknown
                .push(format!("{key}: in TLS1.3 {what}; a replay takes that of older versions"));
        };
        if let (Some(shown), true) = (full.chain.first(), full.chain.first() != seen.chain.first())
        {
            differs(
                "certificate",
                format!("the server shows another one, {}", chain::describe(shown)),
            );
        }
        let before = lists.old().is_none_or(|flight| flight.extensions.contains(&35));
        match full.end {
            End::Served if before != (full.tickets > 0) => {
                let are = if before { "there are none" } else { "there are some" };
                differs("tickets", are.to_owned());
            }
            End::Refused if seen.client_auth == ClientAuth::None => {
                differs("client_auth", "a client without a certificate is refused".to_owned());
            }
            End::Served if seen.client_auth == ClientAuth::Required => {
                differs("client_auth", "a client without a certificate is served".to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    /// What this capture asks for, with no certificate to show.
    fn asked<'a>(
        &self,
        version: ProtocolVersion,
        suites: &'a [CipherSuite],
        groups: &'a [NamedGroup],
    ) -> Asked<'a>
    where
        't: 'a,
    {
        let server_name = self.target.server_name.as_deref();
        Asked { version, suites, groups, server_name, signer: self.target.signer, shown: None }
    }

    fn handshake(&mut self, asked: &Asked<'_>) -> Result<Full, CaptureError> {
        let (tcp, wait) = (self.line.connect()?, self.line.wait());
        Ok(full::handshake(tcp, wait, asked)?)
    }

    pub(super) fn session_cache(&mut self, lists: &Lists) -> Result<bool, CaptureError> {
        let Some(version) = lists.old else { return Ok(true) };
        let suites = lists.old_suites();
        let hello = Hello { ticket: false, ..self.hello(version).with_suites(&suites) };
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

    /// What becomes of a client that names no server; `own` is the chain that one is shown that does.
    pub(super) fn sni(
        &mut self,
        lists: &Lists,
        groups: &[NamedGroup],
        own: &[Vec<u8>],
    ) -> Result<Sni, CaptureError> {
        if self.target.server_name.is_none() {
            let why = "an address was asked for, which cannot be named; --server-name names one";
            self.unknown.push(format!("sni: {why}"));
            return Ok(Sni::Ignored);
        }
        let version = lists.old.unwrap_or(ProtocolVersion::TLS1_3);
        let another = Hello { server_name: Some(NOBODY.to_owned()), ..self.hello(version) };
        if let Answer::Refused(refusal) = self.line.ask(&another)? {
            self.unknown.push(format!("sni: a client that asks for another name is answered with {refusal}; a replay serves it"));
        }
        let hello = Hello { server_name: None, ..self.hello(version) };
        let chain = match self.line.ask(&hello)? {
            Answer::Flight(_) if lists.old.is_none() => {
                let suites = lists.new_suites();
                let asked = self.asked(version, &suites, groups);
                self.handshake(&Asked { server_name: None, ..asked })?.chain
            }
            Answer::Flight(flight) => flight.chain,
            Answer::Refused(refusal) => {
                if refusal != Refusal::Alert(AlertDescription(112)) {
                    let why = format!(
                        "without a name the server answers with {refusal}; a replay sends alert 112"
                    );
                    self.unknown.push(format!("sni: {why}"));
                }
                return Ok(Sni::Required);
            }
        };
        if let (Some(shown), false) =
            (chain.first(), own.is_empty() || chain.first() == own.first())
        {
            let shown = chain::describe(shown);
            self.unknown.push(format!("sni: a client that names no server is shown another certificate, {shown}; a replay has but one"));
        }
        Ok(Sni::Ignored)
    }

    /// What a server may answer and no replay does: ALPN and OCSP stapling. In TLS 1.3 it would answer
    /// in secret.
    pub(super) fn not_replayed(&mut self, lists: &Lists) -> Result<(), CaptureError> {
        let Some(version) = lists.old else { return Ok(()) };
        let suites = lists.old_suites();
        for ((kind, content), key, offers, agrees) in [
            (ALPN_MQTT, "alpn", "the protocol mqtt", "agrees to the protocol mqtt"),
            (STATUS_REQUEST, "ocsp", "to take an OCSP response", "staples an OCSP response"),
        ] {
            let mut hello = self.hello(version).with_suites(&suites);
            hello.more.push((kind, content.to_vec()));
            let what = match self.line.ask(&hello)? {
                Answer::Flight(flight) if !flight.extensions.contains(&kind) => continue,
                Answer::Flight(_) => format!("the server {agrees}; a replay does not"),
                Answer::Refused(refusal) => format!(
                    "a client that offers {offers} is answered with {refusal}; a replay serves it"
                ),
            };
            self.unknown.push(format!("{key}: {what}"));
        }
        Ok(())
    }

    /// Asks for records of 512 bytes.
    pub(super) fn max_fragment_length(
        &mut self,
        lists: &Lists,
    ) -> Result<FragmentLength, CaptureError> {
        let Some(version) = lists.old else { return Ok(FragmentLength::Honoured) };
        let suites = lists.old_suites();
        let hello = Hello { fragment: Some(1), ..self.hello(version).with_suites(&suites) };
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
