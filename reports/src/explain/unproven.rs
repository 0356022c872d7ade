//! A log that proves no cause: what can be said of it all the same, and what the next one should have.

use super::attempt::{Attempt, Spot};
use super::errors::{Versions, describe};
use super::words::{NO_CONNECTION, NO_NAME, NO_SOCKET, OPENSSL};
use super::{Beside, Lacking, Next, Reader, quoted};
use crate::diagnosis::{Cause, Diagnosis, alert_text, causes_of};
use suites::outcome::phase_name;

/// `MBEDTLS_ERR_SSL_INTERNAL_ERROR` and `PSA_ERROR_BAD_STATE`: what comes of a PSA function that was
/// called before `psa_crypto_init`.
const INTERNAL_ERROR: i32 = -0x6c00;
const BAD_STATE: i32 = -137;
/// `MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET` of 3.x.
const TICKET: i32 = -0x7b00;

/// The alert certificate_unknown, RFC 5246 7.2.2.
const CERTIFICATE_UNKNOWN: u8 = 46;
/// `MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY`.
const CLOSE_NOTIFY: i32 = -0x7880;

/// The error that the attempt ended with.
fn error(attempt: &Attempt) -> Option<&Spot<i32>> {
    attempt.error.as_ref().or(attempt.told.as_ref())
}

/// Says of a log what a cell's words do not fit.
pub(super) fn say(diagnosis: &mut Diagnosis, attempt: &Attempt, read: &Reader) {
    let error = error(attempt);
    if let Some(why) = never_began(attempt) {
        diagnosis.summary = format!("TLS never began: {why}");
        diagnosis.fix =
            vec!["look at host name, port, DNS and the network link of the device".to_owned()];
        diagnosis.candidates.clear();
        if let Some(spot) = &attempt.network {
            diagnosis.evidence.push(quoted(spot.line, &spot.quote));
        }
    } else if attempt.is_empty() {
        nothing(diagnosis, attempt, read);
    } else if let Some((spot, say, fix)) = error.and_then(telling) {
        diagnosis.summary = format!("{say}: {}", describe(spot.value, read.speaker.versions()));
        diagnosis.fix = vec![fix.to_owned()];
        diagnosis.candidates.clear();
    } else if let (Some(over), Some(CLOSE_NOTIFY)) = (&attempt.over, error.map(|spot| spot.value)) {
        diagnosis.summary = format!(
            "the TLS handshake went through (log line {}), and the other end closed the connection in good order (close_notify): the end of a session that worked, or of one that the protocol above TLS refused",
            over.line
        );
        diagnosis.candidates = vec![Cause::NoFailure, Cause::PeerClosed, Cause::MqttRefused];
    } else if let (Some(over), None) = (&attempt.over, error) {
        diagnosis.summary = format!(
            "the TLS handshake went through (log line {}), and the log does not show what came of the connection after it",
            over.line
        );
        diagnosis.candidates = vec![Cause::NoFailure, Cause::MqttRefused];
    } else if let (Some(late), None) = (&attempt.late, error) {
        diagnosis.summary =
            "the time that the application allows for a connection was over before TCP and TLS stood".to_owned();
        diagnosis.evidence.push(quoted(late.line, &late.quote));
        diagnosis.candidates =
            vec![Cause::Timeout, Cause::HandshakeCpuStarvation, Cause::PeerClosed];
    } else if let (Some(first), None) = (attempt.words.first(), error) {
        diagnosis.summary = "the broker's certificate failed its check, and the log does not show whether the client went on".to_owned();
        diagnosis.evidence.push(quoted(first.line, &first.quote));
        diagnosis.candidates =
            causes_of(attempt.words.iter().fold(0, |all, spot| all | spot.value));
        diagnosis.candidates.push(Cause::VerifyFailureIgnored);
    } else if !attempt.has_end() {
        diagnosis.summary = match &attempt.state {
            Some(state) => format!(
                "the log ends in {} without saying how the connection ended",
                phase_name(state.value)
            ),
            None => "the log does not say how the connection ended".to_owned(),
        };
    } else if attempt.unverified.is_some() && error.is_none() && diagnosis.candidates.is_empty() {
        diagnosis.summary = "the broker's certificate failed its check, and the log shows neither why nor whether the client went on".to_owned();
        diagnosis.candidates = vec![
            Cause::UnknownCa,
            Cause::HostnameMismatch,
            Cause::ClockNotSet,
            Cause::VerifyFailureIgnored,
        ];
    }
    // The client told the other end of its reason, and it is none of those that have an alert of
    // their own (`ssl_parse_certificate_verify` in `ssl_tls.c`): BADCERT_FUTURE and BADCERT_BAD_MD are
    // left.
    if attempt.unverified.is_some()
        && attempt.alert_out.as_ref().is_some_and(|alert| alert.value == CERTIFICATE_UNKNOWN)
    {
        diagnosis.candidates = vec![Cause::ClockNotSet, Cause::WeakSignatureHash];
    }
    // Lines of the broker's beside those of the client.
    if let Some(other) = read.stranger().filter(|other| other.value == OPENSSL)
        && !attempt.is_empty()
    {
        diagnosis.evidence.push(format!(
            "{}: OpenSSL's word, which is not this client's",
            quoted(other.line, &other.quote)
        ));
    }
    if attempt.datagrams {
        // What they say of the other end is said of TLS over TCP.
        diagnosis.candidates.clear();
        diagnosis.summary.push_str(
            "; the log is of DTLS, of which only errors and certificates are explained here",
        );
    }
}

/// A log in which nothing of the library's own tells of a connection.
fn nothing(diagnosis: &mut Diagnosis, attempt: &Attempt, read: &Reader) {
    diagnosis.summary = match read.stranger() {
        Some(other) if !read.speaker.spoke() => {
            diagnosis.evidence.push(quoted(other.line, &other.quote));
            format!(
                "these lines look like those of {}, and only mbedTLS is explained here",
                other.value
            )
        }
        _ if attempt.failed.is_some() => {
            "the log says that the handshake failed, and not by which error".to_owned()
        }
        _ if read.speaker.spoke() => {
            "the lines of mbedTLS in this log do not tell how a connection ended".to_owned()
        }
        _ => "this log holds nothing of mbedTLS that tells how a connection ended".to_owned(),
    };
}

/// What a server's lines say; no rule of a client's holds for them.
pub(super) fn servers(attempt: &Attempt, versions: Versions) -> Diagnosis {
    let mut summary =
        "these lines are those of an mbedTLS server, and only a client's are explained here"
            .to_owned();
    if let Some(error) = error(attempt) {
        summary.push_str(&format!("; the server gave up with {}", describe(error.value, versions)));
    }
    if let Some(alert) = &attempt.alert_in {
        summary.push_str(&format!(
            "; the client sent alert {}{}",
            alert_text(alert.value),
            match alert.value {
                42..=46 | 48 => ": it does not accept the server's certificate",
                70 => ": it takes none of the server's versions",
                _ => "",
            }
        ));
    }
    let mut lines: Vec<(usize, &str)> = Vec::new();
    lines.extend(attempt.server.as_ref().map(|spot| (spot.line, spot.quote.as_str())));
    lines.extend(attempt.alert_in.as_ref().map(|spot| (spot.line, spot.quote.as_str())));
    lines.extend(attempt.unverified.as_ref().map(|spot| (spot.line, spot.quote.as_str())));
    lines.extend(error(attempt).map(|spot| (spot.line, spot.quote.as_str())));
    lines.sort_unstable();
    lines.dedup();
    Diagnosis {
        cause: Cause::InsufficientEvidence,
        summary,
        evidence: lines.into_iter().map(|(line, quote)| quoted(line, quote)).collect(),
        fix: Vec::new(),
        candidates: Vec::new(),
    }
}

/// Why not a byte of TLS was sent, if that is so.
fn never_began(attempt: &Attempt) -> Option<&'static str> {
    match error(attempt) {
        Some(spot) => Some(match -spot.value {
            0x0042 => NO_SOCKET,
            0x0044 => NO_CONNECTION,
            0x0052 => NO_NAME,
            _ => return None,
        }),
        None => attempt.network.as_ref().map(|spot| spot.value),
    }
}

/// Errors that are none of the connection's, with what they tell and what to do.
fn telling(spot: &Spot<i32>) -> Option<(&Spot<i32>, &'static str, &'static str)> {
    let of = |word: &str| spot.quote.contains(word);
    Some(match spot.value {
        INTERNAL_ERROR | BAD_STATE if of("psa_") => (
            spot,
            "a function of PSA failed, as they all do before psa_crypto_init",
            "call psa_crypto_init() before the first handshake and check what it returns: in 3.6.0 TLS 1.3 needs it; or take 3.6.1 or later, which calls it by itself; or leave MBEDTLS_SSL_PROTO_TLS1_3 out",
        ),
        TICKET if of("read") => (
            spot,
            "if this is mbedTLS 3.x, nothing failed: a session ticket came where data was due, which TLS 1.3 allows",
            "call mbedtls_ssl_read again when it returns this number; or leave tickets out: mbedtls_ssl_conf_session_tickets",
        ),
        _ => return None,
    })
}

/// What would make the next log prove something.
pub(super) fn to_add(attempt: &Attempt, read: &Reader, beside: &Beside<'_>) -> Vec<Next> {
    let mut next = Vec::new();
    let mut add = |add, text: &str| next.push(Next { add, text: text.to_owned() });
    if attempt.is_servers() {
        add(
            Lacking::ClientsLog,
            "the log of the client that connected: `explain` reads it if the client is mbedTLS",
        );
        return next;
    }
    if never_began(attempt).is_some() {
        return next;
    }
    if read.stranger().is_some() && attempt.is_empty() && !read.speaker.spoke() {
        add(Lacking::ClientsLog, "the log of the device itself, if its client is mbedTLS");
        return next;
    }
    let level = read.level.or_else(|| attempt.guessed_level());
    if level.is_none_or(|level| level < 4) {
        let what = match level {
            None if read.speaker.spoke() => "debug level 4".to_owned(),
            None => "the library's own debug output, of which this log has nothing".to_owned(),
            Some(level) => format!("debug level 4, this log has level {level}"),
        };
        add(
            Lacking::DebugLevel,
            &format!(
                "{what}: call mbedtls_debug_set_threshold(4) and mbedtls_ssl_conf_dbg (with MBEDTLS_DEBUG_C in the configuration header), and paste all from the first \"client state\" on"
            ),
        );
        if let Some(hint) = read.hint() {
            add(Lacking::DebugLevel, hint);
        }
    }
    let unverified = attempt.unverified.is_some()
        || error(attempt).is_some_and(|spot| matches!(spot.value, -0x2700 | -0x3000));
    if unverified && attempt.flags.is_none() {
        add(
            Lacking::VerifyFlags,
            "why the certificate failed: print mbedtls_ssl_get_verify_result(&ssl) as hexadecimal after the handshake",
        );
    }
    if beside.broker.is_none() && !attempt.is_empty() {
        add(
            Lacking::BrokerProfile,
            "what the broker serves: `cargo rig capture HOST:PORT` writes it as a profile, to be given with --broker",
        );
        add(Lacking::BrokerLog, "the broker's own log of the same moment");
    }
    if beside.config.is_none() && !attempt.is_empty() {
        add(
            Lacking::ConfigHeader,
            "the configuration header that the firmware was built with (config_rsa.h, mbedtls_config.h ...), to be given with --config",
        );
    }
    next
}
