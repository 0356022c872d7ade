//! What the client makes of the broker's answer, message by message: RFC 5246 7.3, and RFC 8446 2
//! for TLS 1.3.

use super::offer::{Choice, Refusal};
use super::{Case, Elimination, Predicted, Step, certificate, misbehave, offer, size};
use crate::broker::{ClientAuth, Front, OnReject, Stage};
use crate::outcome::{AlertLevel, AlertSeen, Close, End, Outcome, OutcomeKind};
use crate::profile::ClientCertificate;
use tls_parser::{TlsCipherAu, TlsCipherEncMode, TlsCipherKx, TlsCipherSuite};
use wire::message::{Phase, Preset};
use wire::tls::ProtocolVersion;

/// `MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE`.
const FATAL_ALERT: &str = "-0x7780";
/// `MBEDTLS_ERR_SSL_CONN_EOF`.
pub(super) const CONN_EOF: &str = "-0x7280";
/// `MBEDTLS_ERR_SSL_INVALID_RECORD`.
pub(super) const INVALID_RECORD: &str = "-0x7200";
/// `MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION`.
const BAD_VERSION: &str = "-0x6E80";

/// `MBEDTLS_ERR_SSL_PRIVATE_KEY_REQUIRED`.
const NO_KEY: &str = "-0x7600";
/// `MBEDTLS_ERR_SSL_PK_TYPE_MISMATCH`.
const KEY_MISMATCH: &str = "-0x6D00";
/// `MBEDTLS_ERR_PK_TYPE_MISMATCH`.
const KEY_TYPE: &str = "-0x3F00";
/// `MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER`.
const ILLEGAL_PARAMETER: &str = "-0x6600";
/// `MBEDTLS_ERR_SSL_BAD_HS_SERVER_KEY_EXCHANGE` of 2.x.
const BAD_SERVER_KEY_EXCHANGE: &str = "-0x7B00";
/// `MBEDTLS_ERR_SSL_UNSUPPORTED_EXTENSION`.
const UNSUPPORTED_EXTENSION: &str = "-0x7500";

/// encrypt_then_mac, RFC 7366 2.
const ENCRYPT_THEN_MAC: u16 = 22;
/// session_ticket, RFC 5077 3.2.
const SESSION_TICKET: u16 = 35;

/// illegal_parameter and unsupported_extension, RFC 8446 6.2.
const ILLEGAL_PARAMETER_ALERT: u8 = 47;
const UNSUPPORTED_EXTENSION_ALERT: u8 = 110;

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

    /// The same, and it tells the broker so.
    fn told(error: &'static str, code: u8, why: String) -> Self {
        let alert = AlertSeen { from: End::Client, level: AlertLevel::Fatal, code };
        Self { alert: Some(alert), ..Self::own(error, why) }
    }

    /// The broker ends the handshake with `alert`, or as its profile wants a refusal to look.
    fn refused(case: &Case<'_>, alert: Option<u8>, record: ProtocolVersion, why: String) -> Self {
        let Some(code) = alert.filter(|_| case.broker.on_reject == OnReject::Alert) else {
            return Self { error: Some(CONN_EOF), alert: None, close: Close::Fin, why };
        };
        Self::by_alert(case, code, record, why)
    }

    /// The broker says `code` in a record of version `record`.
    pub(super) fn by_alert(
        case: &Case<'_>,
        code: u8,
        record: ProtocolVersion,
        why: String,
    ) -> Self {
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

/// The cell of a client whose broker does wrong in place of its ServerHello.
pub(super) fn is_let_down(failure: Failure, trace: Vec<Elimination>) -> Predicted {
    let outcome = Outcome::bare(OutcomeKind::Failed);
    fail(outcome, Phase::ServerHello, failure, trace, Vec::new())
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
const STEPS: [(Phase, Take); 11] = [
    (Phase::ServerHello, server_hello),
    (Phase::ServerCertificate, server_certificate),
    (Phase::ServerKeyExchange, server_key_exchange),
    (Phase::CertificateRequest, certificate_request),
    (Phase::ServerHelloDone, nothing_said),
    (Phase::ClientKeyExchange, client_key_exchange),
    (Phase::CertificateVerify, own_signature),
    (Phase::NewSessionTicket, new_session_ticket),
    (Phase::ServerChangeCipherSpec, server_change_cipher_spec),
    (Phase::ServerFinished, server_finished),
    (Phase::MqttConnect, mqtt_connect),
];

/// The same in TLS 1.3, RFC 8446 2: all that the broker has to say of itself comes at once, and the
/// client is in before the broker has seen its certificate.
const STEPS_13: [(Phase, Take); 7] = [
    (Phase::ServerHello, server_hello),
    (Phase::EncryptedExtensions, encrypted_extensions),
    (Phase::CertificateRequest, certificate_request),
    (Phase::ServerCertificate, server_certificate),
    (Phase::CertificateVerify, certificate_verify),
    (Phase::ServerFinished, nothing_said),
    (Phase::MqttConnect, mqtt_connect),
];

/// The cell of a client that is answered with a ServerHello.
pub(super) fn receives(case: &Case<'_>, choice: Choice, trace: Vec<Elimination>) -> Predicted {
    let mut outcome = Outcome::bare(OutcomeKind::Connected);
    let mut steps = Vec::new();
    let mut stumble = size::stumble(case, choice);
    let steps_in_order: &[(Phase, Take)] = match choice.version >= ProtocolVersion::TLS1_3 {
        true => &STEPS_13,
        false => &STEPS,
    };
    for &(phase, take) in steps_in_order {
        // Half of a message that begins a record may end before that record does.
        let cut_short = phase == Phase::ServerCertificate
            && misbehave::at(case, Stage::Certificate).is_some()
            && size::half_of_certificate_fits(case);
        if let Some(size::Stumble { error, why, .. }) =
            stumble.take_if(|s| s.phase == phase && !cut_short)
        {
            return fail(outcome, phase, Failure::own(error, why), trace, steps);
        }
        match take(case, choice, &mut outcome) {
            None => {}
            Some(Ok(why)) => steps.push(Step::passes(phase, why)),
            Some(Err(failure)) => return fail(outcome, phase, failure, trace, steps),
        }
    }
    outcome.stage = Some(Phase::Over);
    outcome.resumed = case.profile.reconnect.then(|| resumes(case, choice));
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
        let why = format!(
            "the broker chooses {}, and the client takes nothing below {lowest}",
            choice.version
        );
        return Some(Err(Failure::told(BAD_VERSION, 70, why)));
    }
    outcome.version = Some(choice.version);
    outcome.cipher_suite = Some(choice.suite);
    Some(Ok(match offer::group(case, choice.suite) {
        Some(group) if choice.version >= ProtocolVersion::TLS1_3 => {
            let name = offer::names(&[group]);
            match offer::is_asked_again(case, group) {
                true => format!(
                    "{choice}, after a HelloRetryRequest: the first ClientHello brings no key for {name}"
                ),
                false => format!("{choice}, with the key for {name} in the ClientHello"),
            }
        }
        _ => choice.to_string(),
    }))
}

/// An answer to an extension that was never sent is an error (RFC 8446 4.2), and mbedTLS does not
/// note in TLS 1.3 that it sent max_fragment_length: `ssl_write_client_hello_body` in `ssl_client.c`
/// writes it with the extensions of TLS 1.2, which keep no account. OpenSSL and Erlang answer it. The
/// library lays down the suite in its session only after this message or with a HelloRetryRequest
/// (`ssl_tls13_client.c`), and tells none before.
fn encrypted_extensions(
    case: &Case<'_>,
    choice: Choice,
    outcome: &mut Outcome,
) -> Option<Result<String, Failure>> {
    let broker = case.broker;
    let told = broker.front != Front::Rustls && case.hello.max_fragment_length.is_some();
    let failure = if told {
        let why = format!(
            "the broker answers max_fragment_length, and in TLS1.3 {} takes that for an answer to \
             what it never sent",
            case.stack.name
        );
        Failure::told(UNSUPPORTED_EXTENSION, UNSUPPORTED_EXTENSION_ALERT, why)
    } else if broker.front == Front::Rustls {
        // All that follows is in one record, which its half does not complete.
        offer::unsigned(case, choice.version)
            .map(|why| Failure::own(FATAL_ALERT, why))
            .or_else(|| misbehave::at(case, Stage::Certificate))?
    } else {
        return None;
    };
    let group = offer::group(case, choice.suite);
    if !group.is_some_and(|group| offer::is_asked_again(case, group)) {
        (outcome.version, outcome.cipher_suite) = (None, None);
    }
    Some(Err(failure))
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
    let certificate::Checked { flags, refusal, why } = certificate::check(case, choice.version);
    outcome.verify_flags = flags;
    Some(match refusal {
        Some(certificate::Refusal { error, alert: Some(code) }) => {
            Err(Failure::told(error, code, why))
        }
        Some(certificate::Refusal { error, alert: None }) => Err(Failure::own(error, why)),
        None => Ok(why),
    })
}

/// Nothing can be wrong with this message but the record it comes in.
fn nothing_said(_: &Case<'_>, _: Choice, _: &mut Outcome) -> Option<Result<String, Failure>> {
    None
}

/// Its signature is checked with the key in the certificate, if that could be read. One of a suite
/// whose other end has no certificate, or whose key only decrypts, is not signed.
fn server_key_exchange(
    case: &Case<'_>,
    choice: Choice,
    _: &mut Outcome,
) -> Option<Result<String, Failure>> {
    let kx = TlsCipherSuite::from_id(choice.suite.0)?.kx;
    let signed = matches!(kx, TlsCipherKx::Ecdhe | TlsCipherKx::Dhe);
    if !signed || !certificate::is_sent(choice.suite) {
        return None;
    }
    if misbehave::names_another_hash(case) && choice.version == ProtocolVersion::TLS1_2 {
        return Some(Err(unoffered_hash(case)));
    }
    if certificate::key_is_known(case) {
        return None;
    }
    let why = "there is no key to check its signature with, since the certificate is unreadable";
    // `ssl_parse_server_key_exchange` in `ssl_cli.c`.
    Some(Err(if case.stack.calls_it_illegal {
        Failure::told(ILLEGAL_PARAMETER, ILLEGAL_PARAMETER_ALERT, why.to_owned())
    } else if case.stack.tells_refusals {
        Failure::told(KEY_MISMATCH, 40, why.to_owned())
    } else {
        Failure::own(KEY_MISMATCH, why.to_owned())
    }))
}

/// `ssl_parse_signature_algorithm` in `ssl_cli.c`; later versions do not know MD5 any more.
fn unoffered_hash(case: &Case<'_>) -> Failure {
    let why = "it says that it is signed with MD5, which the client did not offer".to_owned();
    if case.stack.calls_it_illegal {
        Failure::told(ILLEGAL_PARAMETER, ILLEGAL_PARAMETER_ALERT, why)
    } else if case.stack.tells_refusals {
        Failure::told(BAD_SERVER_KEY_EXCHANGE, ILLEGAL_PARAMETER_ALERT, why)
    } else {
        Failure::own(BAD_SERVER_KEY_EXCHANGE, why)
    }
}

/// RFC 8446 4.4.3. The algorithm is chosen before, see `offer`.
fn certificate_verify(
    case: &Case<'_>,
    _: Choice,
    _: &mut Outcome,
) -> Option<Result<String, Failure>> {
    let algorithm = offer::signature(case, ProtocolVersion::TLS1_3)?;
    Some(Ok(format!("signed with {}", crate::names::signature_scheme_text(algorithm))))
}

/// In TLS 1.3 a client cannot know whether it will come before the next message is there.
fn certificate_request(
    case: &Case<'_>,
    choice: Choice,
    _: &mut Outcome,
) -> Option<Result<String, Failure>> {
    let asked = case.broker.client_auth != ClientAuth::None;
    if choice.version >= ProtocolVersion::TLS1_3
        && !asked
        && let Some(failure) = misbehave::at(case, Stage::Certificate)
    {
        return Some(Err(failure));
    }
    (case.broker.client_auth != ClientAuth::None).then(|| {
        Ok(match case.profile.certificate {
            ClientCertificate::None => {
                "the client has no certificate and answers with an empty list"
            }
            _ => "the client answers with its certificate",
        }
        .to_owned())
    })
}

/// mbedTLS offers PSK suites without a key, and finds out here (`ssl_write_client_key_exchange`), as
/// it does if it cannot encrypt to a key that it could not read.
fn client_key_exchange(
    case: &Case<'_>,
    choice: Choice,
    _: &mut Outcome,
) -> Option<Result<String, Failure>> {
    let suite = TlsCipherSuite::from_id(choice.suite.0)?;
    if suite.au == TlsCipherAu::Psk && case.profile.psk.is_none() {
        let why = "the suite needs a pre-shared key, and the client has none".to_owned();
        return Some(Err(Failure::own(NO_KEY, why)));
    }
    (suite.kx == TlsCipherKx::Rsa && !certificate::key_is_known(case)).then(|| {
        let why = "there is no key to encrypt to, since the certificate is unreadable".to_owned();
        Err(Failure::own(KEY_MISMATCH, why))
    })
}

/// RFC 5246 7.4.8: a client that has shown a certificate signs. A key on a curve can be read with
/// MBEDTLS_ECP_C alone, but not sign (`mbedtls_pk_sign` in `pk.c`).
fn own_signature(case: &Case<'_>, _: Choice, _: &mut Outcome) -> Option<Result<String, Failure>> {
    let asked = case.broker.client_auth != ClientAuth::None;
    let signs = case.build.macros.has("ECDSA_C");
    (asked && case.profile.certificate == ClientCertificate::Ec && !signs).then(|| {
        let why = "the client's key is on a curve, and the client is built without MBEDTLS_ECDSA_C";
        Err(Failure::own(KEY_TYPE, why.to_owned()))
    })
}

/// What the broker makes of the client's certificate, RFC 5246 7.4.6 and 7.4.8: a client without one
/// sends an empty list, and the broker may then go on or not. Returns its alert.
fn certificate_refused(case: &Case<'_>, choice: Choice) -> Option<(u8, &'static str)> {
    let Case { broker, profile, .. } = *case;
    if broker.client_auth == ClientAuth::None || !certificate::is_sent(choice.suite) {
        return None;
    }
    // OpenSSL says certificate_required (RFC 8446 6.2) in TLS 1.3 alone, rustls in any version.
    let new = choice.version >= ProtocolVersion::TLS1_3;
    let required = if new || broker.front == Front::Rustls { 116 } else { 40 };
    match profile.certificate {
        ClientCertificate::None => (broker.client_auth == ClientAuth::Required).then_some((
            required,
            "the broker requires a certificate of the client, and it has none",
        )),
        ClientCertificate::Rsa | ClientCertificate::Ec => None,
        ClientCertificate::Unknown => {
            Some((48, "the broker does not know who signed the client's certificate"))
        }
        ClientCertificate::WrongKey => {
            Some((51, "the client's key does not belong to the certificate that it shows"))
        }
    }
}

/// Whether the broker gives a ticket of RFC 5077. Erlang never does.
fn gives_ticket(case: &Case<'_>) -> bool {
    let asked = case.hello.extensions.contains(&SESSION_TICKET);
    asked && case.broker.tickets && case.broker.front != Front::Rabbitmq
}

/// Whether a second connection resumes the first one's session. In TLS 1.3 it takes a ticket (RFC
/// 8446 2.2), and the client's word that it wants one is not in its hello; before that, a session ID
/// does as well. Node.js remembers no sessions unless its program does, and Aedes does not; Erlang
/// gives no tickets unless it is told to, and RabbitMQ does not tell it.
fn resumes(case: &Case<'_>, choice: Choice) -> bool {
    let broker = case.broker;
    if choice.version >= ProtocolVersion::TLS1_3 {
        let wanted = case.profile.session_tickets;
        return wanted && broker.tickets && broker.front != Front::Rabbitmq;
    }
    gives_ticket(case) || (broker.session_cache && broker.front != Front::Aedes)
}

fn new_session_ticket(
    case: &Case<'_>,
    choice: Choice,
    _: &mut Outcome,
) -> Option<Result<String, Failure>> {
    gives_ticket(case).then(|| match after_our_finished(case, choice) {
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
    certificate_refused(case, choice)
        .map(|(code, why)| Failure::refused(case, Some(code), choice.version, why.to_owned()))
        .or_else(|| misbehave::at(case, Stage::Finished))
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
    if choice.version >= ProtocolVersion::TLS1_3
        && let Some((code, why)) = certificate_refused(case, choice)
    {
        // The alert is encrypted by now, so that nobody else reads it.
        let record = ProtocolVersion::TLS1_2;
        let failure = Failure::refused(case, Some(code), record, why.to_owned());
        return Some(Err(Failure { alert: None, ..failure }));
    }
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
