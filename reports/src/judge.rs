//! A transcript into an outcome. Pure: the same transcript always gives the same outcome.

use crate::transcript::{Seen, Transcript};
use suites::outcome::{AlertLevel, AlertSeen, Close, End, Outcome, OutcomeKind};
use suites::stream::{Alert, Stream};
use wire::message::{CellResult, Ending, MqttFailure};

/// Judges one cell.
///
/// What the rig or the link did comes first: a cell in which something of ours broke says nothing
/// about the client, whatever else was seen.
#[must_use]
pub fn judge(transcript: &Transcript) -> Outcome {
    let client = transcript.stream(End::Client);
    let broker = transcript.stream(End::Broker);
    let mut outcome = match transcript.result() {
        _ if faulted(transcript) => Outcome::bare(OutcomeKind::RigFault),
        _ if timed_out(transcript) => {
            let mut outcome = Outcome::bare(OutcomeKind::TimedOut);
            outcome.stage = transcript.last_phase();
            outcome
        }
        Some(result) => from_result(result),
        None => Outcome::bare(OutcomeKind::RigFault),
    };
    if outcome.result == OutcomeKind::RigFault || outcome.result == OutcomeKind::Unsupported {
        return outcome;
    }
    outcome.alert = first_fatal(&client, End::Client).or_else(|| first_fatal(&broker, End::Broker));
    outcome.close = match outcome.result {
        // After DISCONNECT either end may be the first to close: a race that says nothing.
        OutcomeKind::Connected => Close::None,
        _ => transcript.broker_close(),
    };
    outcome
}

fn faulted(transcript: &Transcript) -> bool {
    transcript.seen().any(|seen| matches!(seen, Seen::Fault { .. }))
}

fn timed_out(transcript: &Transcript) -> bool {
    transcript.seen().any(|seen| matches!(seen, Seen::TimedOut { .. }))
}

fn from_result(result: &CellResult) -> Outcome {
    let mut outcome = Outcome::bare(match result.ending {
        Ending::Connected => OutcomeKind::Connected,
        Ending::Tls(_) | Ending::Mqtt(_) => OutcomeKind::Failed,
        Ending::Unsupported(_) => OutcomeKind::Unsupported,
        // No TCP to our own broker, or an end that nobody but the rig asked for.
        Ending::NotConnected | Ending::Aborted => OutcomeKind::RigFault,
    });
    outcome.stage = Some(result.stage);
    outcome.version = result.version;
    outcome.cipher_suite = result.cipher_suite;
    outcome.error = match result.ending {
        Ending::Tls(code) => Some(error_text(code)),
        _ => None,
    };
    outcome.verify_flags =
        result.verify_flags.filter(|flags| *flags != 0).map(|flags| format!("{flags:#010x}"));
    outcome.resumed = result.resumed;
    outcome.mqtt = match (result.connack, result.ending) {
        (_, Ending::Mqtt(MqttFailure::Closed)) => Some("closed".to_owned()),
        (_, Ending::Mqtt(MqttFailure::Protocol)) => Some("protocol".to_owned()),
        (_, Ending::Mqtt(MqttFailure::Payload)) => Some("payload".to_owned()),
        (Some(code), _) => Some(format!("connack:{code}")),
        (None, _) => None,
    };
    outcome
}

/// mbedTLS prints its negative errors as a minus sign and four hexadecimal digits.
#[must_use]
pub fn error_text(code: i32) -> String {
    let sign = if code < 0 { "-" } else { "" };
    format!("{sign}0x{:04X}", code.unsigned_abs())
}

fn first_fatal(stream: &Stream, from: End) -> Option<AlertSeen> {
    let fatal: &Alert = stream.alerts.iter().find(|alert| alert.level == 2)?;
    Some(AlertSeen { from, level: AlertLevel::Fatal, code: fatal.description.0 })
}
