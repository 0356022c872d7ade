//! What is known of a connection, wherever it was seen. The rules read nothing else.
//!
//! ```text
//! transcript + profiles --of_cell--+
//!                                  +--> Facts --rules--> Diagnosis
//! lines of a pasted log -----------+
//! ```
//!
//! A cell and a log differ only in which facts are known. What is not known is `None`, and a rule
//! that needs it does not speak.

use super::certificate::NO_FLAGS;
use super::{FAILED, ONE_SUITE, Subject, alert_text};
use crate::explain::Attempt;
use crate::transcript::{Seen, Transcript, printable};
use suites::broker::BrokerProfile;
use suites::hello::{ClientHello, ServerHello};
use suites::key_exchange::KeyExchange;
use suites::outcome::{AlertLevel, AlertSeen, Close, End, Outcome, OutcomeKind, phase_name};
use suites::predict::stack::Macros;
use suites::profile::{ClientCertificate, ClientProfile};
use suites::stream::{Rest, Stream};
use wire::message::{Phase, Preset, Verify};
use wire::tls::ProtocolVersion;

/// What the rules know.
#[derive(Debug, Clone)]
pub(crate) struct Facts<'a> {
    /// How it ended; everything that both ends and the wire agree on.
    pub outcome: Outcome,
    /// Who connected.
    pub client: Client<'a>,
    /// To whom, if that is known.
    pub broker: Option<&'a BrokerProfile>,
    /// What the client offered, if all of it is known.
    pub hello: Option<ClientHello>,
    /// The version in the header of the ClientHello's record: in mbedTLS 2.x the lowest allowed one.
    pub hello_record: Option<ProtocolVersion>,
    /// What the broker sent.
    pub answer: Answer,
    /// Whether the client showed a certificate where it was asked for one.
    pub shown: Option<bool>,
    /// What the client noticed of the broker's certificates.
    pub chain: Chain,
    /// Where it was seen.
    pub places: Places,
}

/// What is known of the client apart from what it sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Client<'a> {
    /// How sentences call its build.
    pub name: String,
    /// The stack, for example `mbedtls-2.4.0`.
    pub stack: Option<String>,
    /// Preset of its configuration.
    pub preset: Option<Preset>,
    /// Its whole profile.
    pub profile: Option<&'a ClientProfile>,
    /// What its configuration header defines.
    pub macros: Option<&'a Macros>,
    /// Longest record body that it takes, in bytes.
    pub content_length: Option<usize>,
}

impl Client<'_> {
    pub(super) fn is_stack(&self, name: &str) -> bool {
        self.stack.as_deref() == Some(name)
    }

    pub(super) fn is_three(&self) -> bool {
        self.stack.as_deref().is_some_and(|stack| stack.starts_with("mbedtls-3."))
    }

    /// The macro that says how long a record may be that comes in, and what it costs to raise it:
    /// 3.0.0 took away the one for both directions.
    pub(super) fn record_macro(&self) -> (&'static str, &'static str) {
        match self.is_three() {
            true => ("MBEDTLS_SSL_IN_CONTENT_LEN", "a buffer of that length"),
            false => ("MBEDTLS_SSL_MAX_CONTENT_LEN", "two buffers of that length"),
        }
    }

    /// Whether the broker's certificate is checked; as far as anybody knows it is.
    pub(super) fn verifies(&self) -> bool {
        self.profile.is_none_or(|profile| profile.verify != Verify::None)
    }

    pub(super) fn set_suites(&self) -> Option<bool> {
        self.profile.map(|profile| profile.cipher_suites.is_some())
    }

    /// Whether the client holds a certificate of its own, and a key that the broker knows.
    pub(super) fn holds_certificate(&self) -> Option<bool> {
        self.profile.map(|profile| profile.certificate != ClientCertificate::None)
    }
}

/// What the broker sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// The message in which it chose.
    pub server_hello: Option<ServerHello>,
    /// Whether a ServerHello came, even if nothing of it is known.
    pub chose: bool,
    /// It asked for a certificate; unknown in TLS 1.3 to anybody but the client.
    pub asked: Option<bool>,
    /// Its first bytes, made safe to show, if they are no TLS.
    pub not_tls: Option<String>,
    /// A handshake message that is longer than the record that it begins in: bytes there, and in
    /// all.
    pub fragmented: Option<(usize, usize)>,
    /// Body length of a record that the client did not take.
    pub record: Option<usize>,
    /// The client stopped at a record with a content type or version that TLS has not.
    pub strange: bool,
    /// A record that did not come to its end.
    pub cut: bool,
    /// Some bytes came that are less than a record's header, and nobody knows which.
    pub stub: bool,
    /// A warning where a message was due.
    pub warning: Option<u8>,
    /// With what ServerKeyExchange says that it is signed, RFC 5246 7.4.1.4.1.
    pub signed: Option<u16>,
    /// The client's library says that it did not offer the hash in there.
    pub unoffered: Option<Unoffered>,
    /// Bytes of it were seen at all.
    pub began: bool,
}

/// What the library says of a hash that it did not offer; 2.4.0 does not say which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unoffered {
    /// `HashAlgorithm` of RFC 5246 7.4.1.4.1.
    pub hash: Option<u8>,
}

/// What the client noticed of the broker's certificates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chain {
    /// How many there are.
    pub length: Option<usize>,
    /// Verify flags of which it is proven that they were set; `outcome.verify_flags` are all flags.
    pub proven: u32,
    /// What each of them was proven by.
    pub because: Vec<String>,
    /// The client's clock as it told it, seconds since 1970, and where it did.
    pub clock: Option<(u64, String)>,
}

/// Where things were seen: the words before an item of evidence.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// The ClientHello.
    pub hello: String,
    /// What the broker sent.
    pub answer: String,
    /// The broker's wish for a certificate.
    pub asked: String,
    /// What the client itself says.
    pub client: String,
    /// The verify flags.
    pub flags: String,
    /// Nothing tells that the TLS handshake went through: MQTT may have been spoken without TLS.
    pub without_tls: bool,
    /// What every failure shows: error, alert, end of the connection, the broker's own word.
    pub common: Vec<String>,
    /// A quoted line that counts the marker as a suite.
    pub one_suite: Option<String>,
    /// What was waited for, and how long in milliseconds.
    pub waited: Option<(String, u64)>,
    /// Somebody reads this who pasted a log.
    pub pasted: bool,
}

impl<'a> Facts<'a> {
    /// What a cell's transcript shows.
    pub(super) fn of_cell(
        subject: &Subject<'a>,
        transcript: &Transcript,
        outcome: &Outcome,
    ) -> Self {
        let (sent, received) = (transcript.stream(End::Client), transcript.stream(End::Broker));
        let said = Said::of(transcript);
        let mut outcome = outcome.clone();
        // In TLS 1.3 the client alone can read the alert.
        if outcome.alert.is_none() && outcome.result == OutcomeKind::Failed {
            outcome.alert = said.alert;
        }
        if said.unverified && outcome.result == OutcomeKind::Connected {
            outcome.verify_flags.get_or_insert_with(|| NO_FLAGS.to_owned());
        }
        let mut answer = Answer::of(&received, &transcript.bytes(End::Broker));
        answer.unoffered = said.unoffered;
        if outcome.stage.is_none_or(|stage| stage >= Phase::MqttConnect) {
            answer.cut = false;
        }
        let places = Places {
            hello: "wire".to_owned(),
            answer: "wire".to_owned(),
            asked: "wire".to_owned(),
            client: "client".to_owned(),
            flags: "client".to_owned(),
            without_tls: false,
            common: common(transcript, &outcome, said.named_error.as_deref()),
            one_suite: said.one_suite,
            waited: transcript.seen().find_map(|seen| match seen {
                Seen::TimedOut { waiting_for, limit_ms } => Some((waiting_for.clone(), *limit_ms)),
                _ => None,
            }),
            pasted: false,
        };
        Self {
            client: Client {
                name: subject.build.to_string(),
                stack: Some(subject.build.stack().to_owned()),
                preset: Some(subject.profile.preset),
                profile: Some(subject.profile),
                macros: None,
                content_length: content_length(subject.build.as_str()),
            },
            broker: Some(subject.broker),
            hello_record: sent.records.first().map(|record| record.version),
            hello: sent.client_hello.clone(),
            shown: shown(&sent, &transcript.bytes(End::Client)),
            chain: Chain {
                length: subject.broker.certificate.intermediates.checked_add(1).map(usize::from),
                ..Chain::default()
            },
            answer,
            places,
            outcome,
        }
    }

    /// ` in server_hello`; nothing if no stage is known.
    pub(super) fn in_stage(&self) -> String {
        // A pasted log may be of another protocol than MQTT.
        if self.places.pasted && self.outcome.stage == Some(Phase::MqttConnect) {
            return " after the handshake".to_owned();
        }
        self.outcome.stage.map(|stage| format!(" in {}", phase_name(stage))).unwrap_or_default()
    }

    /// The stage in words.
    pub(super) fn stage(&self) -> String {
        self.outcome.stage.map_or_else(|| "an unknown phase".to_owned(), phase_name)
    }

    /// The client's error as a negative number.
    pub(super) fn error(&self) -> Option<i32> {
        let text = self.outcome.error.as_deref()?.strip_prefix("-0x")?;
        i32::from_str_radix(text, 16).ok().map(|number| -number)
    }

    /// What the broker's fatal alert says.
    pub(super) fn brokers_alert(&self) -> Option<u8> {
        let alert = self.outcome.alert.as_ref()?;
        (alert.from == End::Broker).then_some(alert.code)
    }

    /// The evidence of a rule, then what every failure shows.
    pub(super) fn evidence(&self, first: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut evidence: Vec<String> = first.into_iter().collect();
        for common in &self.places.common {
            if !evidence.contains(common) {
                evidence.push(common.clone());
            }
        }
        evidence
    }

    /// How the broker is called in sentences.
    pub(super) fn broker_name(&self) -> String {
        self.broker
            .map_or_else(|| "the broker".to_owned(), |broker| format!("broker {}", broker.name))
    }
}

impl Answer {
    /// From the bytes that the broker sent.
    pub(crate) fn of(stream: &Stream, bytes: &[u8]) -> Self {
        let start = || printable(bytes.get(..bytes.len().min(16)).unwrap_or_default());
        let not_tls = match stream.rest {
            Rest::NotTls { at: 0 } => true,
            // Less than a record's header, and not the beginning of one.
            Rest::Partial { .. } if stream.records.is_empty() => {
                bytes.first().is_some_and(|content| !(20..=24).contains(content))
            }
            _ => false,
        };
        let last = match stream.rest {
            Rest::Partial { want, .. } => want.checked_sub(suites::stream::RECORD_HEADER),
            _ => None,
        };
        Self {
            chose: stream.server_hello.is_some(),
            server_hello: stream.server_hello.clone(),
            asked: Some(stream.handshake_types.contains(&CERTIFICATE_REQUEST)),
            not_tls: not_tls.then(start),
            fragmented: fragmented(stream, bytes),
            record: last.into_iter().chain(longest(stream)).max(),
            strange: matches!(stream.rest, Rest::NotTls { at: 1.. }),
            cut: matches!(stream.rest, Rest::Partial { have: 1.., .. }) && !not_tls,
            stub: false,
            warning: stream.alerts.iter().find(|alert| alert.level == 1).map(|a| a.description.0),
            signed: KeyExchange::find(stream, bytes)
                .and_then(|said| said.signed)
                .map(|signed| signed.scheme),
            unoffered: None,
            began: !bytes.is_empty(),
        }
    }
}

/// `HandshakeType` of RFC 5246 7.4.
const CERTIFICATE: u8 = 11;
const CERTIFICATE_REQUEST: u8 = 13;

/// The longest record body, in bytes.
fn longest(stream: &Stream) -> Option<usize> {
    let body = |range: &std::ops::Range<usize>| range.len() - suites::stream::RECORD_HEADER;
    stream.records.iter().map(|record| body(&record.range)).max()
}

/// The first handshake message in the clear that does not end in the record in which it begins.
fn fragmented(stream: &Stream, bytes: &[u8]) -> Option<(usize, usize)> {
    for record in stream.records.iter().filter(|record| !record.encrypted) {
        if record.content != suites::stream::ContentType::Handshake {
            continue;
        }
        let mut body = bytes.get(record.range.clone())?.get(suites::stream::RECORD_HEADER..)?;
        while let [_, l0, l1, l2, ..] = *body {
            let whole = 4 + u32::from_be_bytes([0, l0, l1, l2]) as usize;
            if whole > body.len() {
                return Some((body.len(), whole));
            }
            body = body.get(whole..)?;
        }
    }
    None
}

/// Whether the client's Certificate message held a certificate; `None` if it sent none that can be
/// read.
pub(crate) fn shown(stream: &Stream, bytes: &[u8]) -> Option<bool> {
    for record in stream.records.iter().filter(|record| !record.encrypted) {
        let body = bytes.get(record.range.clone())?.get(suites::stream::RECORD_HEADER..)?;
        // mbedTLS sends it in a record of its own; the list's length follows the message's.
        if let [CERTIFICATE, _, _, _, l0, l1, l2, ..] = *body
            && record.content == suites::stream::ContentType::Handshake
        {
            return Some([l0, l1, l2] != [0; 3]);
        }
    }
    None
}

/// The record buffer of a build of the rig's stands at the end of its name.
fn content_length(build: &str) -> Option<usize> {
    build.rsplit_once('-')?.1.parse().ok()
}

/// What the client's own log adds to a transcript. Only lines that are always sent may count here:
/// errors, and [`super::LOG_QUOTES`].
#[derive(Default)]
struct Said {
    alert: Option<AlertSeen>,
    unoffered: Option<Unoffered>,
    named_error: Option<String>,
    one_suite: Option<String>,
    /// The certificate's check failed, whatever its flags say.
    unverified: bool,
}

impl Said {
    fn of(transcript: &Transcript) -> Self {
        let mut attempt = Attempt::default();
        let mut said = Self::default();
        for seen in transcript.seen() {
            let Seen::Log(line) = seen else { continue };
            if line.text.contains(ONE_SUITE) {
                said.one_suite.get_or_insert_with(|| {
                    format!("client log: \"{}\" counts the marker", line.text)
                });
            }
            if let Some(named) = line.text.strip_prefix(FAILED) {
                said.named_error.get_or_insert_with(|| named.to_owned());
            }
            if line.level == 1 || super::LOG_QUOTES.iter().any(|quote| line.text.contains(quote)) {
                attempt.take(0, &line.text, true);
            }
        }
        said.unverified = attempt.unverified.is_some();
        said.alert = attempt.fatal_alert_from_broker();
        said.unoffered = attempt.unoffered_hash();
        said
    }
}

/// What every failed cell shows: the client's error, the broker's word, the end on the wire.
fn common(transcript: &Transcript, outcome: &Outcome, named: Option<&str>) -> Vec<String> {
    let mut evidence = Vec::new();
    if let Some(error) = &outcome.error {
        let stage = outcome.stage.map_or_else(|| "an unknown phase".to_owned(), phase_name);
        let named = named.filter(|named| named.starts_with(error.as_str())).unwrap_or(error);
        evidence.push(format!("client: {named} in {stage}"));
    }
    if let Some(alert) = &outcome.alert {
        let name = alert_text(alert.code);
        let from = match alert.from {
            End::Client => "client",
            End::Broker => "broker",
        };
        evidence.push(format!("wire: fatal alert {name} from the {from}"));
    } else if outcome.close == Close::Fin {
        evidence.push("wire: the broker closed the connection without an alert".to_owned());
    }
    if let Some(error) = transcript.broker().and_then(|word| word.error.as_ref()) {
        evidence.push(format!("broker: {error}"));
    }
    evidence
}

/// A fatal alert from the broker.
pub(crate) fn from_broker(code: u8) -> AlertSeen {
    AlertSeen { from: End::Broker, level: AlertLevel::Fatal, code }
}
