//! What a log told, as the facts that the rules of [`crate::diagnosis`] read.

use super::attempt::{Attempt, Refused, Spot};
use super::{Context, quoted};
use crate::diagnosis::facts::{Answer, Chain, Client, Facts, Places, shown};
use crate::judge::error_text;
use suites::hello::ClientHello;
use suites::outcome::{AlertLevel, AlertSeen, Close, End, Outcome, OutcomeKind};
use suites::stream::Stream;
use wire::message::Phase;
use wire::tls::{CipherSuite, NamedGroup, ProtocolVersion};

/// `MBEDTLS_ERR_SSL_CONN_EOF`, `MBEDTLS_ERR_NET_CONN_RESET`, `MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION`.
const CONN_EOF: i32 = -0x7280;
const CONN_RESET: i32 = -0x0050;
const BAD_VERSION: i32 = -0x6e80;

/// BADCERT bits that a line of the log can prove.
const CN_MISMATCH: u32 = 0x0004;
const BAD_MD: u32 = 0x4000;
const BAD_KEY: u32 = 0x1_0000;

/// What the attempt proves.
pub(super) fn facts<'a>(attempt: &Attempt, context: &Context<'a>) -> Facts<'a> {
    // Records of DTLS have another header, which must not pass for something that is no TLS.
    let records = |bytes: &'_ [u8]| Stream::parse(if attempt.datagrams { &[] } else { bytes });
    let (sent, received) = (records(&attempt.sent), records(&attempt.received));
    let hello = hello(attempt, &sent, context.three);
    let mut answer = match attempt.datagrams {
        true => Answer::default(),
        false => Answer::of(&received, &attempt.received),
    };
    answer.not_tls = answer.not_tls.filter(|_| !attempt.torn);
    complete(&mut answer, attempt);
    let outcome = outcome(attempt, &sent, &received, &answer);
    let chain = chain(attempt, hello.as_ref(), outcome.error.is_some());
    let shown = shown(&sent, &attempt.sent).or(attempt.shown);
    let stack = context.stack.map(str::to_owned);
    Facts {
        places: places(attempt, &outcome),
        client: Client {
            name: context.client_name.clone(),
            stack,
            preset: None,
            profile: None,
            macros: context.macros,
            content_length: context.content_length,
        },
        broker: context.broker,
        hello_record: sent
            .records
            .first()
            .map(|record| record.version)
            .or_else(|| attempt.hello.record.map(version)),
        hello,
        answer,
        shown,
        chain,
        outcome,
    }
}

fn version((major, minor): (u8, u8)) -> ProtocolVersion {
    ProtocolVersion(u16::from_be_bytes([major, minor]))
}

/// The ClientHello: from the bytes, else from the lines of level 3, if they tell all suites.
fn hello(attempt: &Attempt, sent: &Stream, three: bool) -> Option<ClientHello> {
    if let Some(whole) = &sent.client_hello {
        return Some(whole.clone());
    }
    let lines = &attempt.hello;
    // 3.x has nothing older, and lists its versions only if TLS 1.3 is among them.
    let unlisted = three || !lines.versions.is_empty();
    let version = version(lines.version.or_else(|| unlisted.then_some((3, 3)))?);
    let counted = lines.count.as_ref()?.value;
    let listed = lines.suites.len();
    // 2.4 and 3.6 count the markers, one or two; others do not. A line that is missing shows.
    if !(listed..=listed + 2).contains(&counted) || (counted == listed + 2 && listed == 0) {
        return None;
    }
    let mut cipher_suites: Vec<_> = lines.suites.iter().map(|suite| CipherSuite(*suite)).collect();
    if counted > listed || lines.marker {
        cipher_suites.push(CipherSuite::RENEGOTIATION_INFO_SCSV);
    }
    // Extensions that are not told may have been sent all the same, unless the list was told whole.
    if !lines.whole || lines.cut {
        return None;
    }
    // Who offers a suite of TLS 1.3 (RFC 8446 B.4) lists that version, too: if not, lines are missing.
    let newest = lines.suites.iter().any(|suite| suite >> 8 == 0x13);
    if newest && !lines.versions.contains(&ProtocolVersion::TLS1_3.0) {
        return None;
    }
    Some(ClientHello {
        version,
        session_id_bytes: 0,
        cipher_suites,
        extensions: lines.extensions.clone(),
        server_name: lines.server_name.clone(),
        groups: match lines.groups.is_empty() {
            true => lines.extensions.contains(&10).then(Vec::new),
            false => Some(lines.groups.iter().map(|group| NamedGroup(*group)).collect()),
        },
        signature_algorithms: (!lines.schemes.is_empty()).then(|| lines.schemes.clone()),
        supported_versions: match lines.versions.is_empty() {
            true => None,
            false => Some(lines.versions.iter().map(|version| ProtocolVersion(*version)).collect()),
        },
        max_fragment_length: None,
        key_shares: None,
        point_formats: None,
        alpn: None,
    })
    // A group list whose values are not printed (2.x) must not pass for an empty one.
    .map(|mut hello| {
        if hello.groups.as_ref().is_some_and(Vec::is_empty) {
            hello.groups = None;
        }
        hello
    })
}

/// Adds what the lines tell and the bytes do not.
fn complete(answer: &mut Answer, attempt: &Attempt) {
    let past = attempt.state.as_ref().is_some_and(|state| state.value > Phase::ServerHello);
    answer.chose |= attempt.chose || attempt.suite.is_some() || past;
    // In TLS 1.3 a request is encrypted, so that the bytes show none.
    let late =
        answer.server_hello.as_ref().is_some_and(|hello| hello.version >= ProtocolVersion::TLS1_3);
    answer.asked = match (attempt.asked.as_ref().map(|spot| spot.value), answer.asked) {
        (Some(asked), _) => Some(asked),
        (None, Some(true)) => Some(true),
        (None, Some(false)) if answer.chose && answer.server_hello.is_some() && !late => {
            Some(false)
        }
        _ => None,
    };
    answer.began |= attempt.records > 0 || attempt.header.is_some();
    answer.warning = answer.warning.or_else(|| attempt.warning.as_ref().map(|spot| spot.value));
    answer.unoffered = attempt.unoffered_hash();
    answer.fragmented =
        answer.fragmented.or_else(|| attempt.fragmented.as_ref().map(|spot| spot.value));
    answer.cut |= attempt.cut && attempt.header.is_some() && attempt.refused.is_none();
    answer.stub = attempt.cut && !answer.cut && !answer.chose;
    answer.record = None;
    let Some(refused) = attempt.refused.as_ref().filter(|_| !attempt.datagrams) else { return };
    let header = attempt.header.as_ref().map(|spot| spot.value);
    let first = !answer.chose
        && attempt.records <= 1
        && attempt.received.is_empty()
        && attempt.alert_in.is_none();
    let begun = attempt.state.as_ref().is_some_and(|state| state.value == Phase::ServerHello);
    match refused.value {
        Refused::Length => {
            answer.record =
                header.map(|[.., length]| usize::from(length)).filter(|length| *length > 0)
        }
        Refused::Type | Refused::MajorVersion if first && begun => {
            answer.not_tls = Some(header.map_or_else(|| "?".to_owned(), header_text));
        }
        Refused::Type | Refused::MajorVersion => {
            // With errors alone in the log nobody knows whether it was the first record.
            answer.strange = !first
                && attempt.state.as_ref().is_some_and(|state| state.value > Phase::ServerHello);
        }
        Refused::MinorVersion => {}
    }
}

/// The five bytes that were taken for a record's header.
fn header_text([kind, major, minor, length]: [u16; 4]) -> String {
    let low = |value: u16| u8::try_from(value).unwrap_or(0);
    let [high, last] = length.to_be_bytes();
    crate::transcript::printable(&[low(kind), low(major), low(minor), high, last])
}

fn outcome(attempt: &Attempt, sent: &Stream, received: &Stream, answer: &Answer) -> Outcome {
    let over = attempt.over.is_some();
    let error = attempt.error.as_ref().or(attempt.told.as_ref()).map(|spot| spot.value);
    // A check that failed is the end only if nothing came after it.
    let unverified = attempt.unverified.as_ref().filter(|_| !attempt.went_on && !over);
    let told_state = attempt.state.is_some();
    let error = error.or_else(|| unverified.filter(|_| told_state).map(|spot| spot.value));
    let flags = attempt.flags.as_ref().map(|spot| spot.value);
    let refused = attempt.connack.as_ref().map(|spot| spot.value).filter(|code| *code != 0);
    let unanswered = over
        && attempt.connect
        && attempt.connack.is_none()
        && error == Some(CONN_EOF)
        && attempt.reads == 0;
    // Whatever answers a CONNECT begins with CONNACK's type, MQTT 3.1.1 3.2.1. In TLS 1.3 a ticket may
    // come first.
    let strange = over
        && attempt.answered.as_ref().is_some_and(|first| first.value != 0x20)
        && answer
            .server_hello
            .as_ref()
            .is_some_and(|hello| hello.version < ProtocolVersion::TLS1_3);
    let mqtt = match (refused, &attempt.mqtt) {
        (Some(code), _) => Some(format!("connack:{code}")),
        (None, Some(told)) => Some(told.value.to_owned()),
        (None, None) if strange => Some("protocol".to_owned()),
        (None, None) => unanswered.then(|| "closed".to_owned()),
    };
    // One write may be a goodbye after a refusal; more are a conversation.
    let accepted = attempt.connack.as_ref().is_some_and(|spot| spot.value == 0);
    let talked = attempt.writes_after_read >= if accepted { 1 } else { 2 };
    let mut outcome = Outcome::bare(match (error, &mqtt) {
        (None, None) if over && talked => OutcomeKind::Connected,
        _ => OutcomeKind::Failed,
    });
    outcome.stage = match (over, &mqtt) {
        (true, _) | (_, Some(_)) => Some(Phase::MqttConnect),
        _ => attempt.state.as_ref().map(|spot| spot.value),
    };
    let hello = answer.server_hello.as_ref();
    outcome.version = hello.map(|hello| hello.version);
    outcome.cipher_suite = hello
        .map(|hello| hello.cipher_suite)
        .or_else(|| attempt.suite.as_ref().map(|spot| CipherSuite(spot.value)));
    outcome.error = error.map(error_text);
    outcome.verify_flags = flags.filter(|flags| *flags != 0).map(|flags| format!("{flags:#010x}"));
    if outcome.verify_flags.is_none() && attempt.went_on && outcome.result == OutcomeKind::Connected
    {
        // Flags that only the application can ask for: some are set.
        outcome.verify_flags = attempt.unverified.as_ref().map(|_| "not printed".to_owned());
    }
    outcome.alert = alert(attempt, sent, received, error);
    outcome.close = match error {
        Some(CONN_RESET) => Close::Rst,
        Some(CONN_EOF) => Close::Fin,
        _ => Close::None,
    };
    outcome.mqtt = mqtt;
    outcome
}

fn alert(
    attempt: &Attempt,
    sent: &Stream,
    received: &Stream,
    error: Option<i32>,
) -> Option<AlertSeen> {
    let fatal = |stream: &Stream| {
        stream.alerts.iter().find(|alert| alert.level == 2).map(|alert| alert.description.0)
    };
    let by = |from, code| AlertSeen { from, level: AlertLevel::Fatal, code };
    if let Some(code) = attempt.alert_in.as_ref().map(|spot| spot.value).or_else(|| fatal(received))
    {
        return Some(by(End::Broker, code));
    }
    if let Some(code) = attempt.alert_out.as_ref().map(|spot| spot.value).or_else(|| fatal(sent)) {
        return Some(by(End::Client, code));
    }
    // This error is the client's refusal of a version, with or without an alert in the log.
    (error == Some(BAD_VERSION)
        && attempt.state.as_ref().is_some_and(|s| s.value == Phase::ServerHello))
    .then(|| by(End::Client, 70))
}

/// What the log proves of the broker's certificates.
fn chain(attempt: &Attempt, hello: Option<&ClientHello>, failed: bool) -> Chain {
    let mut chain = Chain {
        length: (!attempt.peer.list.is_empty()).then_some(attempt.peer.list.len()),
        clock: attempt
            .hello
            .clock
            .as_ref()
            .map(|spot| (spot.value, format!("log line {}", spot.line))),
        ..Chain::default()
    };
    if !failed {
        return chain;
    }
    for spot in &attempt.words {
        chain.proven |= spot.value;
        chain.because.push(quoted(spot.line, &spot.quote));
    }
    let name = attempt.hello.server_name.as_deref().or_else(|| hello?.server_name.as_deref());
    if let Some(name) = name
        && attempt.peer.holds(name) == Some(false)
        && let Some(first) = attempt.peer.list.first()
    {
        chain.proven |= CN_MISMATCH;
        chain.because.push(format!(
            "log line {}: the certificate is for {}, and the client asked for {}",
            first.line,
            safe(&first.names.join(", ")),
            safe(name)
        ));
    }
    for printed in &attempt.peer.list {
        let subject = safe(printed.subject.as_deref().unwrap_or("?"));
        // Every version and profile of mbedTLS refuses MD5, and RSA keys below 2048 bits by default.
        if let Some(signed) = printed.signed.as_deref().filter(|signed| signed.contains("MD5")) {
            chain.proven |= BAD_MD;
            chain.because.push(format!(
                "log line {}: {subject} is signed using {}",
                printed.line,
                safe(signed)
            ));
        }
        if let Some(bits) = printed.rsa_bits.filter(|bits| *bits < 2048) {
            chain.proven |= BAD_KEY;
            chain.because.push(format!(
                "log line {}: {subject} has an RSA key of {bits} bits",
                printed.line
            ));
        }
    }
    // What the client told the broker of its reasons, `ssl_parse_certificate_verify` in `ssl_tls.c`.
    let told = attempt.alert_out.as_ref().and_then(|spot| {
        let bit = match spot.value {
            42 => CN_MISMATCH,
            45 => 0x0001,
            44 => 0x0002,
            48 => 0x0008,
            _ => return None,
        };
        Some((bit, spot))
    });
    if let Some((bit, spot)) = told
        && attempt.unverified.is_some()
    {
        chain.proven |= bit;
        chain.because.push(quoted(spot.line, &spot.quote));
    }
    chain
}

fn safe(text: &str) -> String {
    crate::transcript::printable(text.as_bytes())
}

fn places(attempt: &Attempt, outcome: &Outcome) -> Places {
    let at = |line: Option<usize>| {
        line.map_or_else(|| "log".to_owned(), |line| format!("log line {line}"))
    };
    let hello = attempt.sent_line.or(attempt.hello.begin);
    let answer = [
        attempt.refused.as_ref().map(|spot| spot.line),
        attempt.fragmented.as_ref().map(|spot| spot.line),
        attempt.header.as_ref().map(|spot| spot.line),
        attempt.unoffered.as_ref().map(|spot| spot.line),
        attempt.suite.as_ref().map(|spot| spot.line),
    ];
    fn told<T>(spot: &Option<Spot<T>>) -> Option<(usize, &str)> {
        spot.as_ref().map(|spot| (spot.line, spot.quote.as_str()))
    }
    let failed = outcome.error.is_some();
    let lines = [
        told(&attempt.warning).filter(|_| failed),
        told(&attempt.refused),
        told(&attempt.fragmented),
        told(&attempt.unoffered),
        told(&attempt.alert_in),
        told(&attempt.alert_out),
        told(&attempt.end),
        told(&attempt.unverified),
        told(&attempt.flags),
        told(&attempt.connack),
        told(&attempt.answered).filter(|_| outcome.mqtt.as_deref() == Some("protocol")),
        told(&attempt.mqtt),
        told(&attempt.error).filter(|_| failed),
        told(&attempt.told).filter(|_| failed),
        told(&attempt.over),
    ];
    let mut common: Vec<(usize, &str)> = lines.into_iter().flatten().collect();
    common.sort_by_key(|(line, _)| *line);
    common.dedup();
    let end = attempt.end.as_ref().map(|spot| spot.line);
    let common = common.into_iter().map(|(line, quote)| match end == Some(line) {
        true => format!("{}: the broker closed the connection", quoted(line, quote)),
        false => quoted(line, quote),
    });
    let common = common.collect();
    Places {
        hello: at(hello),
        answer: at(answer.into_iter().flatten().next()),
        asked: at(attempt.asked.as_ref().map(|spot| spot.line)),
        client: at(outcome
            .error
            .as_ref()
            .and_then(|_| attempt.error.as_ref().or(attempt.told.as_ref()).map(|spot| spot.line))),
        flags: at(attempt
            .flags
            .as_ref()
            .map(|spot| spot.line)
            .or_else(|| attempt.words.first().map(|spot| spot.line))
            .or_else(|| attempt.unverified.as_ref().map(|spot| spot.line))),
        without_tls: attempt.over.is_none() && attempt.state.is_none() && !attempt.spoken,
        common,
        one_suite: attempt
            .hello
            .count
            .as_ref()
            .filter(|count| count.value == 1)
            .map(|count| format!("{} counts the marker", quoted(count.line, &count.quote))),
        waited: None,
        pasted: true,
    }
}
