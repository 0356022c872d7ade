//! Whatever stands in a log, a configuration header and a broker profile: `explain` comes back, and
//! says nothing that a terminal would obey.
//!
//! The input is the log; behind a line [`HEADER`] follows the header, behind a line [`BROKER`] the
//! profile. Each is left out where its line is missing. So every pasted log is an input as it is.

#![no_main]

#[allow(dead_code, reason = "each target writes its own")]
mod seeds;

use libfuzzer_sys::fuzz_target;
use reports::explain::{Beside, explain};
use serde_json::Value;
use suites::BrokerProfile;

const HEADER: &[u8] = b"\n--- header ---\n";
const BROKER: &[u8] = b"\n--- broker ---\n";

fuzz_target!(init: seeds::explain(HEADER, BROKER).expect("the seeds are in the repository"), |input: &[u8]| {
    let (rest, broker) = split(input, BROKER);
    let (log, header) = split(rest, HEADER);
    let header = header.map(String::from_utf8_lossy);
    let broker = broker.map(String::from_utf8_lossy);
    // A profile that is refused is refused before any log is read.
    let broker = broker.and_then(|text| BrokerProfile::parse("fuzz", &text, "fuzz.toml").ok());
    let beside = Beside {
        config: header.as_deref().map(|text| ("config.h", text)),
        broker: broker.as_ref(),
    };
    let explanation = explain(log, &beside);
    let value = serde_json::to_value(&explanation).expect("an explanation is JSON");
    let length = harmless(&value);
    // What is quoted is cut, and what is listed has an end or is the ClientHello's own.
    assert!(length < 200_000 + 40 * log.len(), "{length} bytes of text");
    let sentence = &explanation.diagnosis.summary;
    assert!(!sentence.is_empty());
});

/// What stands before a line, and what behind it.
fn split<'a>(input: &'a [u8], line: &[u8]) -> (&'a [u8], Option<&'a [u8]>) {
    let at = input.windows(line.len()).position(|window| window == line);
    match at {
        Some(at) => (&input[..at], Some(&input[at + line.len()..])),
        None => (input, None),
    }
}

/// Looks for control characters in every text, and adds up how long the texts are.
fn harmless(value: &Value) -> usize {
    match value {
        Value::String(text) => {
            assert!(!text.chars().any(char::is_control), "{text:?}");
            text.len()
        }
        Value::Array(items) => items.iter().map(harmless).sum(),
        Value::Object(fields) => fields.values().map(harmless).sum(),
        _ => 0,
    }
}
