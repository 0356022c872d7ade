//! The end of a run as a person reads it, from a few records.

#![allow(clippy::unwrap_used, reason = "helpers of tests are test code")]

mod common;

use common::compare;
use reports::CellRecord;
use rig::summary::{Paint, render, totals};
use serde_json::{Value, json};

/// The record of a cell, as a line of `cells.jsonl`, with `more` laid over it.
fn record(profile: &str, broker: &str, more: Value) -> CellRecord {
    let client = format!("mbedtls-2.4.0/rsa-16384+{profile}");
    let mut record = json!({
        "cell": format!("{client}/{broker}"),
        "board": {"name": "qemu", "kind": "qemu"},
        "build": "mbedtls-2.4.0/rsa-16384",
        "client": client,
        "broker": broker,
    });
    let (Value::Object(record_fields), Value::Object(more)) = (&mut record, more) else {
        unreachable!("both are objects")
    };
    record_fields.extend(more);
    serde_json::from_value(record).unwrap()
}

fn connected(broker: &str) -> CellRecord {
    let more = json!({
        "verdict": "match",
        "outcome": {
            "result": "connected", "stage": "over", "version": "TLS1.2", "cipher_suite": "0x003d",
            "close": "none", "mqtt": "connack:0"
        },
        "diagnosis": {"cause": "no_failure", "summary": "connected", "evidence": [], "fix": []},
        "latency": {"unit": "instructions", "total": 5_876_543, "wall_ns": 1, "phases": []},
    });
    record("default", broker, more)
}

/// Two cells of it fail for the same reason.
fn failed(broker: &str, verdict: &str, changes: Value) -> CellRecord {
    let more = json!({
        "verdict": verdict,
        "changes": changes,
        "outcome": {
            "result": "failed", "stage": "server_hello", "error": "-0x7280", "close": "fin"
        },
        "diagnosis": {
            "cause": "no_ciphersuite_offered", "summary": "the ClientHello offers no cipher suite",
            "evidence": ["never shown here"], "fix": ["use another preset", "never shown here"]
        },
        "latency": {"unit": "instructions", "total": 104_512, "wall_ns": 1, "phases": []},
    });
    record("suiteb", broker, more)
}

fn broken(broker: &str) -> CellRecord {
    let more = json!({
        "verdict": "fault",
        "outcome": {"result": "rig_fault", "close": "none"},
        "note": "board qemu went away after phase client_hello",
    });
    record("default", broker, more)
}

fn records() -> Vec<CellRecord> {
    let change = json!([{"field": "error", "expected": "-0x7780", "seen": "-0x7280"}]);
    vec![
        connected("one"),
        failed("one", "match", json!([])),
        broken("two"),
        failed("two-with-a-long-name", "changed", change),
        connected("three"),
    ]
}

#[test]
fn failures_come_first_and_a_reason_stands_once() {
    let text = render(&records(), Paint { colours: false, width: None });
    assert!(!text.contains("never shown here"));
    assert_eq!(text.matches("offers no cipher suite").count(), 1);
    compare("summary", text, &[]);
}

#[test]
fn a_narrow_terminal_wraps_sentences_and_colours_change_no_word() {
    let plain = render(&records(), Paint { colours: false, width: Some(60) });
    let coloured = render(&records(), Paint { colours: true, width: Some(60) });
    assert!(coloured.contains('\u{1b}') && !plain.contains('\u{1b}'));
    let words = |text: &str| {
        let text = console::strip_ansi_codes(text);
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words(&coloured), words(&plain));
    let wide = render(&records(), Paint { colours: false, width: None });
    assert_eq!(words(&wide), words(&plain));
}

#[test]
fn totals_name_the_worst_first_and_leave_out_what_there_is_none_of() {
    assert_eq!(totals(&records()), "1 fault of the rig, 1 changed, 3 as expected");
    assert_eq!(totals(&[]), "");
    assert_eq!(render(&[], Paint { colours: false, width: None }).trim(), "");
}
