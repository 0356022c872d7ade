//! The words in a capture.

use super::packets::Shown;
use crate::diagnosis::alert_text;
use crate::judge::error_text;
use crate::record::CellRecord;
use crate::transcript::{BrokerWord, Seen};
use crate::words;
use suites::outcome::{End, phase_name};
use suites::snapshot::Change;
use wire::message::{CellResult, Ending};

/// What the section says: the cell and what became of it, then what was said outside of connections.
pub(super) fn section(record: &CellRecord, loose: &[String]) -> String {
    let silicon = if words::is_emulated(&record.board.kind) { "not silicon" } else { "attached" };
    let mut lines = vec![
        format!("cell {}", record.cell),
        format!("board {} ({}, {silicon})", record.board.name, record.board.kind),
        format!("build {}", record.build),
        format!("{}: {}", words::verdict(record.verdict), words::outcome(&record.outcome)),
    ];
    let changes = record.changes.iter().map(|change| ("expected", change));
    let changes = changes.chain(record.surprises.iter().map(|change| ("predicted", change)));
    lines.extend(changes.map(|(was, Change { field, expected, seen })| {
        format!("{field}: {was} {expected}, seen {seen}")
    }));
    if let Some(diagnosis) = &record.diagnosis {
        lines.push(format!("{}: {}", diagnosis.cause, diagnosis.summary));
        lines.extend(diagnosis.evidence.iter().map(|line| format!("evidence: {line}")));
        lines.extend(diagnosis.fix.iter().map(|line| format!("fix: {line}")));
    }
    lines.extend(record.note.iter().map(|note| format!("rig: {note}")));
    lines.extend_from_slice(loose);
    lines.join("\n")
}

/// What the interface says: what of the packets is real.
pub(super) fn interface(record: &CellRecord, shown: &Shown) -> String {
    let told = |end: End| {
        let mut secrets = shown.conversations.iter().flat_map(|one| &one.secrets);
        secrets.any(|secret| secret.from == end)
    };
    let secrets = match (told(End::Client), told(End::Broker)) {
        (true, true) => "as device and broker both told them",
        (true, false) => "as the device told them",
        (false, true) => "as the broker told them",
        (false, false) => "none, neither end told one",
    };
    format!(
        "TLS bytes and times are those that the rig saw between the {} board and the broker.\n\
         IP and TCP are made up: 192.0.2.1 is the device, 192.0.2.2 port 8883 the broker.\n\
         TLS secrets inside, of keys that are for tests alone: {secrets}.",
        record.board.kind
    )
}

/// What an entry that is no packet says, if it says something about the connection.
pub(super) fn said(seen: &Seen) -> Option<String> {
    match seen {
        Seen::Broker(word) => Some(format!("broker: {}", broker(word))),
        Seen::Result(result) => Some(format!("device: {}", ending(result))),
        Seen::TimedOut { waiting_for, limit_ms } => Some(format!(
            "rig: the cell's {limit_ms} ms were over while it waited for {waiting_for}"
        )),
        Seen::Fault { what } => Some(format!("rig: {what}")),
        _ => None,
    }
}

fn broker(word: &BrokerWord) -> String {
    let negotiated = word.version.iter().chain(&word.cipher_suite).cloned();
    let parts: Vec<_> = negotiated.chain(word.mqtt.clone()).chain(word.error.clone()).collect();
    if parts.is_empty() { "no handshake".to_owned() } else { parts.join(", ") }
}

fn ending(result: &CellResult) -> String {
    let what = match result.ending {
        Ending::Connected => return "connected".to_owned(),
        Ending::Tls(code) => error_text(code),
        Ending::Mqtt(failure) => format!("MQTT went wrong ({failure:?})"),
        Ending::Unsupported(what) => format!("this build lacks {what:?}"),
        Ending::NotConnected => "no TCP connection".to_owned(),
        Ending::Aborted => "stopped by the rig".to_owned(),
    };
    format!("{what} in {}", phase_name(result.stage))
}

/// An alert, RFC 5246 7.2.
pub(super) fn alert(from: &str, level: u8, code: u8) -> String {
    let level = match level {
        1 => "warning",
        2 => "fatal",
        _ => "of unknown level",
    };
    format!("{from}'s alert in the clear: {level}, {}", alert_text(code))
}
