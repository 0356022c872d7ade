//! Which versions a server speaks, and what it is that speaks none.

use super::line::{Answer, Refusal};
use super::{Capture, CaptureError};
use wire::tls::{AlertDescription, ProtocolVersion};

/// RFC 5246 7.2.2.
const PROTOCOL_VERSION: AlertDescription = AlertDescription(70);

impl Capture<'_> {
    /// The versions that the server agrees to when each is the highest offered.
    pub(super) fn versions(&mut self) -> Result<Vec<ProtocolVersion>, CaptureError> {
        let mut found = Vec::new();
        let mut refusals = Vec::new();
        // Before the server has answered anything, a no without a word cannot be told from a failure.
        let mut wordless = Vec::new();
        let mut hopeless = false;
        // What a client is told that has only versions which are too old.
        let mut too_old = None;
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
                    let old = !found.is_empty() && version > ProtocolVersion::SSL3_0;
                    if let (Refusal::Alert(alert), true) = (&refusal, old) {
                        too_old = Some(*alert).filter(|alert| *alert != PROTOCOL_VERSION);
                    }
                    if found.is_empty() && !matches!(refusal, Refusal::Alert(_)) {
                        wordless.push(version);
                    }
                    hopeless = found.is_empty()
                        && matches!(
                            refusal,
                            Refusal::NotTls(_) | Refusal::Silent | Refusal::Unfinished(_)
                        );
                    refusals.push(refusal);
                    if hopeless && refusals.len() > 1 {
                        break;
                    }
                }
            }
        }
        // It is after an answer that the line makes sure of a no, so that some need a third time.
        for again in [false, true] {
            if hopeless || (again && found.is_empty()) {
                break;
            }
            // The other way round: what fails every few connections hits others then.
            for version in std::mem::take(&mut wordless).into_iter().rev() {
                let sure = !found.is_empty();
                match self.line.ask(&self.hello(version))? {
                    Answer::Flight(flight) if flight.version == version => found.push(version),
                    Answer::Refused(Refusal::Alert(_)) | Answer::Flight(_) => {}
                    Answer::Refused(_) if sure => {}
                    Answer::Refused(_) => wordless.push(version),
                }
            }
        }
        if found.is_empty() {
            return Err(self.nothing_spoken(&refusals));
        }
        found.sort_unstable_by(|one, other| other.cmp(one));
        if found.last() == Some(&ProtocolVersion::SSL3_0) {
            found.pop();
            self.unknown.push("min_version: the server speaks SSL3.0, too".to_owned());
        }
        if let Some(alert) = too_old {
            let alert = Refusal::Alert(alert);
            self.unknown.push(format!("min_version: a client with older versions alone is answered with {alert}; a replay says protocol_version"));
        }
        let between = |pair: &[ProtocolVersion]| matches!(pair, [a, b] if a.0 - b.0 > 1);
        if found.windows(2).any(between) {
            let names: Vec<_> = found.iter().map(ToString::to_string).collect();
            let names = names.join(" ");
            self.unknown.push(format!("min_version: the server speaks {names} alone; a replay speaks what lies between, too"));
        }
        if found.is_empty() {
            let address = self.target.address;
            return Err(CaptureError::Nothing { address, what: "speaks SSL3.0 alone".to_owned() });
        }
        Ok(found)
    }

    /// The alert that says most: that the version is wrong, a server may say of one that it lacks.
    fn nothing_spoken(&self, refusals: &[Refusal]) -> CaptureError {
        let address = self.target.address;
        let alert = |refusal: &&Refusal| matches!(refusal, Refusal::Alert(_));
        let version = Refusal::Alert(PROTOCOL_VERSION);
        let alerts = || refusals.iter().filter(alert);
        match alerts().find(|alert| **alert != version).or(alerts().next()) {
            Some(alert) => CaptureError::Refused { address, answer: alert.to_string() },
            None => {
                let answer = refusals.first().map_or_else(
                    || "a version that nobody asked for".to_owned(),
                    ToString::to_string,
                );
                match refusals.first() {
                    Some(Refusal::Silent | Refusal::Unfinished(_)) => {
                        CaptureError::Silent { address, answer }
                    }
                    Some(Refusal::NotTls(bytes)) => {
                        CaptureError::NotTls { address, answer, first: bytes.clone() }
                    }
                    _ => CaptureError::NotTls { address, answer, first: Vec::new() },
                }
            }
        }
    }
}
