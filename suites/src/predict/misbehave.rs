//! What a client makes of a broker's fault.
//!
//! ```text
//! stage accept          instead_of_hello   whatever the broker would have chosen
//!       client-hello    instead_of_hello   if it would have gone on at all
//!       certificate,
//!       finished,
//!       connect         at                 where client::STEPS gets there
//! ```

use super::Case;
use super::client::{CONN_EOF, Failure, INVALID_RECORD};
use crate::broker::{Fault, Misbehaviour, Stage};
use crate::outcome::{AlertLevel, AlertSeen, Close, End};
use wire::tls::{AlertDescription, ProtocolVersion};

/// `MBEDTLS_ERR_NET_CONN_RESET`, and what the rig's own transport says for a RST.
const RESET: &str = "-0x0050";
/// `MBEDTLS_ERR_SSL_INVALID_MAC`.
const INVALID_MAC: &str = "-0x7180";
/// `MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE`.
const UNEXPECTED_MESSAGE: &str = "-0x7700";

/// unexpected_message, RFC 5246 7.2.2: mbedTLS's answer to a record type that it does not know
/// (`ssl_parse_record_header`).
const UNEXPECTED_MESSAGE_ALERT: u8 = 10;
/// no_renegotiation, RFC 5246 7.2.2: the one warning that mbedTLS does not pass over.
const NO_RENEGOTIATION: AlertDescription = AlertDescription(100);

/// Milliseconds of silence that every board's client sits out. The rig gives a cell up after 20 s
/// to 120 s, a matter of the board, so that a longer silence may end as a time-out.
const SAT_OUT: u32 = 15_000;

/// What of a fault no rule knows.
pub(super) fn unknown(fault: Misbehaviour) -> Option<&'static str> {
    let long = matches!(fault.does, Fault::Stall { ms } if ms > SAT_OUT);
    long.then_some("misbehave with a stall that may be longer than the board's patience")
}

/// What comes in place of the ServerHello, if `stage` is the fault's.
pub(super) fn instead_of_hello(case: &Case<'_>, stage: Stage) -> Option<Failure> {
    let fault = case.broker.misbehave.filter(|fault| fault.at == stage)?;
    let alert = |from, code| AlertSeen { from, level: AlertLevel::Fatal, code };
    let own_alert = |why: &str| Failure {
        alert: case
            .stack
            .tells_unknown_records
            .then(|| alert(End::Client, UNEXPECTED_MESSAGE_ALERT)),
        ..Failure::own(INVALID_RECORD, why.to_owned())
    };
    Some(match fault.does {
        Fault::WrongContentType => own_alert("the answer is a record of a type that nobody knows"),
        Fault::Http => own_alert("the answer is HTTP, and its first letter is no record type"),
        Fault::PlainMqtt => closed("the answer is a bare CONNACK, shorter than a record's header"),
        Fault::Alert { level: 2, description } => {
            let record = case.broker.max_version.min(ProtocolVersion::TLS1_2);
            let why = format!("the broker's answer is {description}");
            Failure::by_alert(case, description.0, record, why)
        }
        Fault::Alert { description, .. } if description == NO_RENEGOTIATION => {
            let why = format!("{description} answers a question that was not asked");
            Failure {
                alert: case
                    .stack
                    .tells_refusals
                    .then(|| alert(End::Client, UNEXPECTED_MESSAGE_ALERT)),
                ..Failure::own(UNEXPECTED_MESSAGE, why)
            }
        }
        // Other warnings are passed over, and it is all one in how many pieces records come.
        Fault::Alert { .. } | Fault::ByteByByte { .. } => return None,
        other => common(case, other)?,
    })
}

/// What ends the conversation at a later stage.
pub(super) fn at(case: &Case<'_>, stage: Stage) -> Option<Failure> {
    let fault = case.broker.misbehave.filter(|fault| fault.at == stage)?;
    match fault.does {
        Fault::WrongContentType => {
            // Its own alert is encrypted by now, so that nobody sees it.
            let why = "the next record is of a type that nobody knows";
            Some(Failure::own(INVALID_RECORD, why.to_owned()))
        }
        other => common(case, other),
    }
}

/// Whether ServerKeyExchange names a hash that nobody offered.
pub(super) fn names_another_hash(case: &Case<'_>) -> bool {
    case.broker.misbehave.is_some_and(|fault| fault.does == Fault::UnofferedHash)
}

/// The client's word on a record whose MAC (RFC 5246 6.2.3) is wrong, if the fault at `stage` is
/// one.
pub(super) fn bad_mac(case: &Case<'_>, stage: Stage) -> Option<Failure> {
    let fault = case.broker.misbehave?;
    (fault == Misbehaviour { at: stage, does: Fault::BadMac })
        .then(|| Failure::own(INVALID_MAC, "the next encrypted record's MAC is wrong".to_owned()))
}

/// The return code of the CONNACK, if the broker refuses the CONNECT.
pub(super) fn connack(case: &Case<'_>) -> Option<u8> {
    match case.broker.misbehave?.does {
        Fault::Connack { code } => Some(code),
        _ => None,
    }
}

/// Faults that look the same at any stage.
fn common(case: &Case<'_>, fault: Fault) -> Option<Failure> {
    Some(match fault {
        Fault::Close => closed("the broker ends the stream instead"),
        Fault::Truncate => closed("the broker ends the stream within its next record"),
        Fault::Stall { ms } => closed(&format!("the broker is silent for {ms} ms, then leaves")),
        Fault::Reset => Failure {
            close: Close::Rst,
            ..Failure::own(RESET, "the broker resets the connection".to_owned())
        },
        // The version is part of what is authenticated, RFC 5246 6.2.3 and RFC 8446 5.2.
        Fault::WrongVersion if case.stack.takes_old_records => {
            let encrypted = case.broker.misbehave.is_some_and(|fault| fault.at == Stage::Connect);
            let why = "the next record's version is none of TLS's, so that its MAC is wrong";
            return encrypted.then(|| Failure::own(INVALID_MAC, why.to_owned()));
        }
        Fault::WrongVersion => {
            let why = "the next record's version is none of TLS's";
            Failure::own(INVALID_RECORD, why.to_owned())
        }
        _ => return None,
    })
}

fn closed(why: &str) -> Failure {
    Failure { close: Close::Fin, ..Failure::own(CONN_EOF, why.to_owned()) }
}
