//! What the client makes of the broker's answer, message by message, RFC 5246 7.3.

use super::offer::{Choice, Refusal};
use super::{Case, Elimination, Predicted, Step, certificate, misbehave, size};
use crate::broker::{ClientAuth, Front, OnReject, Stage};
use crate::outcome::{AlertLevel, AlertSeen, Close, End, Outcome, OutcomeKind};
use tls_parser::{TlsCipherAu, TlsCipherEncMode, TlsCipherSuite};
use wire::message::{Phase, Preset};
use wire::tls::ProtocolVersion;

/// `MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE`.
pub(super) const FATAL_ALERT: &str = "-0x7780";
/// `MBEDTLS_ERR_SSL_CONN_EOF`.
pub(super) const CONN_EOF: &str = "-0x7280";
/// `MBEDTLS_ERR_SSL_INVALID_RECORD`.
pub(super) const INVALID_RECORD: &str = "-0x7200";
/// `MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION`.
const BAD_VERSION: &str = "-0x6E80";

/// `MBEDTLS_ERR_SSL_PRIVATE_KEY_REQUIRED`.
const NO_KEY: &str = "-0x7600";

/// encrypt_then_mac, RFC 7366 2.
const ENCRYPT_THEN_MAC: u16 = 22;
/// session_ticket, RFC 5077 3.2.
const SESSION_TICKET: u16 = 35;

/// How a step ends the cell.
pub(super) struct Failure {
    /// What the library returns; none if it is content.
    pub error: Option<&'static str>,
    pub alert: Option<AlertSeen>,
    pub close: Close,
    pub why: String,
}

impl Failure {
    /// The client gives up by itself.
    pub(super) fn own(error: &'static str, why: String) -> Self {
        Self { error: Some(error), alert: None, close: Close::None, why }
    }

    /// The broker ends the handshake with `alert`, or as its profile wants a refusal to look.
    fn refused(case: &Case<'_>, alert: Option<u8>, record: ProtocolVersion, why: String) -> Self {
        let Some(code) = alert.filter(|_| case.broker.on_reject == OnReject::Alert) else {
            return Self { error: Some(CONN_EOF), alert: None, close: Close::Fin, why };
        };
        let alert = AlertSeen { from: End::Broker, level: AlertLevel::Fatal, code };
        // `ssl_parse_record_header`: a record of a version above the client's highest is no record.
        let (error, why) = match record > case.hello.version {
            true => (
                INVALID_RECORD,
                format!(
                    "{why}; the alert itself comes in a {record} record, which the client does not take"
                ),
            ),
            false => (FATAL_ALERT, why),
        };
        Self { error: Some(error), alert: Some(alert), close: Close::None, why }
    }
}

/// The cell of a client that is refused instead of answered.
pub(super) fn is_refused(case: &Case<'_>, refusal: Refusal, trace: Vec<Elimination>) -> Predicted {
    let Refusal { alert, record, why } = refusal;
    let failure = Failure::refused(case, alert, record, why);
    fail(Outcome::bare(OutcomeKind::Failed), Phase::ServerHello, failure, trace, Vec::new())
}

/// The cell of a client whose broker does wrong before it answers.
pub(super) fn is_let_down(failure: Failure) -> Predicted {
    let outcome = Outcome::bare(OutcomeKind::Failed);
    fail(outcome, Phase::ServerHello, failure, Vec::new(), Vec::new())
}

fn fail(
    mut outcome: Outcome,
    phase: Phase,
    failure: Failure,
    trace: Vec<Elimination>,
    mut steps: Vec<Step>,
) -> Predicted {
    let Failure { error, alert, close, why } = failure;
    outcome.result = OutcomeKind::Failed;
    outcome.stage = Some(phase);
    outcome.error = error.map(str::to_owned);
    outcome.alert = alert;
    outcome.close = close;
    steps.push(Step::fails(phase, why.clone()));
    Predicted { outcome, why, trace, steps }
}

/// One message: `None` if it does not come, else what is to be said of it or how it ends the cell.
type Take = fn(&Case<'_>, Choice, &mut Outcome) -> Option<Result<String, Failure>>;

/// The messages that can end a cell, in the order in which they come.
const STEPS: [(Phase, Take); 10] = [
    (Phase::ServerHello, server_hello),
    (Phase::ServerCertificate, server_certificate),
    (Phase::ServerKeyExchange, server_key_exchange),
    (Phase::CertificateRequest, certificate_request),
    (Phase::ServerHelloDone, server_hello_done),
    (Phase::ClientKeyExchange, client_key_exchange),
    (Phase::NewSessionTicket, new_session_ticket),
    (Phase::ServerChangeCipherSpec, server_change_cipher_spec),
    (Phase::ServerFinished, server_finished),
    (Phase::MqttConnect, mqtt_connect),
];

/// The cell of a client that is answered with a ServerHello.
pub(super) fn receives(case: &Case<'_>, choice: Choice, trace: Vec<Elimination>) -> Predicted {
    let mut outcome = Outcome::bare(OutcomeKind::Connected);
    let mut steps = Vec::new();
    let mut stumble = size::stumble(case, choice);
    for (phase, take) in STEPS {
        if let Some(size::Stumble { error, why, .. }) = stumble.take_if(|s| s.phase == phase) {
            return fail(outcome, phase, Failure::own(error, why), trace, steps);
        }
        match take(case, choice, &mut outcome) {
            None => {}
            Some(Ok(why)) => steps.push(Step::passes(phase, why)),
            Some(Err(failure)) => return fail(outcome, phase, failure, trace, steps),
        }
    }
    outcome.stage = Some(Phase::Over);
    // By ticket or by session ID, and `scope` has seen to it that the broker does both.
    outcome.resumed = case.profile.reconnect.then_some(true);
    Predicted { outcome, why: format!("both ends settle on {choice}"), trace, steps }
}

fn server_hello(
    case: &Case<'_>,
    choice: Choice,
    outcome: &mut Outcome,
) -> Option<Result<String, Failure>> {
    let preset = match case.profile.preset {
        Preset::Default => case.stack.versions.0,
        Preset::SuiteB => ProtocolVersion::TLS1_2,
    };
    let lowest = case.profile.min_version.unwrap_or(preset);
    if choice.version < lowest {
        // RFC 5246 7.2.2; mbedTLS says it with an alert of its own.
        let code = 70;
        let alert = AlertSeen { from: End::Client, level: AlertLevel::Fatal, code };
        let why = format!(
            "the broker chooses {}, and the client takes nothing below {lowest}",
            choice.version
        );
        return Some(Err(Failure { alert: Some(alert), ..Failure::own(BAD_VERSION, why) }));
    }
    outcome.version = Some(choice.version);
    outcome.cipher_suite = Some(choice.suite);
    Some(Ok(choice.to_string()))
}

fn server_certificate(
    case: &Case<'_>,
    choice: Choice,
    outcome: &mut Outcome,
) -> Option<Result<String, Failure>> {
    if !certificate::is_sent(choice.suite) {
        return None;
    }
    if let Some(failure) = misbehave::at(case, Stage::Certificate) {
        return Some(Err(failure));
    }
    let checked = certificate::check(case);
    outcome.verify_flags = checked.flags;
    Some(match checked.error {
        Some(error) => Err(Failure::own(error, checked.why)),
        None => Ok(checked.why),
    })
}

/// Nothing can be wrong with it but the record it comes in, as for ServerHelloDone.
fn server_key_exchange(
    _: &Case<'_>,
    _: Choice,
    _: &mut Outcome,
) -> Option<Result<String, Failure>> {
    None
}

fn certificate_request(
    case: &Case<'_>,
    _: Choice,
    _: &mut Outcome,
) -> Option<Result<String, Failure>> {
    (case.broker.client_auth != ClientAuth::None)
        .then(|| Ok("the client has no certificate and answers with an empty list".to_owned()))
}

fn server_hello_done(_: &Case<'_>, _: Choice, _: &mut Outcome) -> Option<Result<String, Failure>> {
    None
}

/// mbedTLS offers PSK suites without a key, and finds out here (`ssl_write_client_key_exchange`).
fn client_key_exchange(
    case: &Case<'_>,
    choice: Choice,
    _: &mut Outcome,
) -> Option<Result<String, Failure>> {
    let psk = TlsCipherSuite::from_id(choice.suite.0).is_some_and(|s| s.au == TlsCipherAu::Psk);
    (psk && case.profile.psk.is_none()).then(|| {
        let why = "the suite needs a pre-shared key, and the client has none".to_owned();
        Err(Failure::own(NO_KEY, why))
    })
}

/// RFC 5246 7.4.6: a client without a certificate sends an empty list, and the server may then go
/// on or not. The client finds out at the first message after its own Finished.
fn certificate_missing(case: &Case<'_>, choice: Choice) -> Option<Failure> {
    if case.broker.client_auth != ClientAuth::Required {
        return None;
    }
    // OpenSSL says certificate_required (RFC 8446 6.2) in TLS 1.3 alone, rustls in any version.
    let code = if case.broker.front == Front::Rustls { 116 } else { 40 };
    let why = "the broker requires a certificate of the client, and it has none".to_owned();
    Some(Failure::refused(case, Some(code), choice.version, why))
}

fn new_session_ticket(
    case: &Case<'_>,
    choice: Choice,
    _: &mut Outcome,
) -> Option<Result<String, Failure>> {
    let announced = case.broker.tickets && case.hello.extensions.contains(&SESSION_TICKET);
    announced.then(|| match after_our_finished(case, choice) {
        Some(failure) => Err(failure),
        None => Ok("the broker gives a ticket".to_owned()),
    })
}

fn server_change_cipher_spec(
    case: &Case<'_>,
    choice: Choice,
    _: &mut Outcome,
) -> Option<Result<String, Failure>> {
    after_our_finished(case, choice).map(Err)
}

/// What the client learns at the first message after its own Finished.
fn after_our_finished(case: &Case<'_>, choice: Choice) -> Option<Failure> {
    certificate_missing(case, choice).or_else(|| misbehave::at(case, Stage::Finished))
}

fn server_finished(case: &Case<'_>, _: Choice, _: &mut Outcome) -> Option<Result<String, Failure>> {
    misbehave::bad_mac(case, Stage::Finished).map(Err)
}

/// OpenSSL puts an empty record before what it sends with CBC in TLS 1.0 (`ssl/record/`, against
/// the chosen-plaintext attack that RFC 4346 F.3 describes).
fn mqtt_connect(
    case: &Case<'_>,
    choice: Choice,
    outcome: &mut Outcome,
) -> Option<Result<String, Failure>> {
    if let Some(failure) = misbehave::bad_mac(case, Stage::Connect) {
        return Some(Err(failure));
    }
    if let Some(failure) = misbehave::at(case, Stage::Connect) {
        // To the MQTT client the end of the stream is no error of TLS.
        if failure.close == Close::Fin {
            outcome.mqtt = Some("closed".to_owned());
            return Some(Err(Failure { error: None, ..failure }));
        }
        return Some(Err(failure));
    }
    let cbc = TlsCipherSuite::from_id(choice.suite.0)
        .is_some_and(|suite| suite.enc_mode == TlsCipherEncMode::Cbc);
    let empty_records =
        cbc && case.broker.front.is_openssl() && choice.version == ProtocolVersion::TLS1_0;
    let encrypt_then_mac =
        case.broker.encrypt_then_mac && case.hello.extensions.contains(&ENCRYPT_THEN_MAC);
    if case.stack.misreads_empty_records && empty_records && encrypt_then_mac {
        outcome.mqtt = Some("protocol".to_owned());
        let why = format!(
            "in TLS1.0 OpenSSL sends an empty record first, and with encrypt-then-MAC {} takes its padding for data",
            case.stack.name
        );
        return Some(Err(Failure { error: None, ..Failure::own("", why) }));
    }
    if let Some(code) = misbehave::connack(case) {
        outcome.mqtt = Some(format!("connack:{code}"));
        let why = format!("the broker refuses the CONNECT with code {code}");
        return Some(Err(Failure { error: None, ..Failure::own("", why) }));
    }
    outcome.mqtt = Some("connack:0".to_owned());
    Some(Ok("CONNACK with code 0, and the message there and back".to_owned()))
}
