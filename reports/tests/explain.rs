//! Logs as people paste them, explained. The logs under `tests/logs` were written by real handshakes on
//! the native board, at the debug level that each needs. What that board cannot do, such as to be in
//! the wrong year or out of memory, was done by the program in `tests/logs/program`. What other
//! programs make of all of them is made here.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are test code")]

use reports::Cause;
use reports::explain::{Beside, ErrorTold, Explanation, explain};
use rstest::rstest;
use std::fmt::Write as _;
use std::path::Path;
use suites::Library;

fn log(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs");
    std::fs::read_to_string(folder.join(format!("{name}.log"))).unwrap()
}

fn alone(log: &str) -> Explanation {
    explain(log.as_bytes(), &Beside::default())
}

/// A header as the SDK's: what the RSA set of this project enables.
fn config_rsa() -> String {
    let sets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware/mbedtls/sets");
    std::fs::read_to_string(sets.join("sdk_rsa.h")).unwrap()
}

fn compare(name: &str, text: impl std::fmt::Display) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path("snapshots/explain");
    settings.bind(|| insta::assert_snapshot!(name, text.to_string()));
}

fn json(explanation: &Explanation) -> String {
    serde_json::to_string_pretty(explanation).unwrap()
}

/// What the whole log of each proves.
const LOGS: [(&str, Cause); 27] = [
    ("the_thread", Cause::NoCiphersuiteOffered),
    ("handshake_failure", Cause::InsufficientEvidence),
    ("md5", Cause::WeakSignatureHash),
    ("wrong_name", Cause::HostnameMismatch),
    ("client_certificate", Cause::ClientCertRequired),
    ("fragmented", Cause::HandshakeMessageFragmented),
    ("http", Cause::NotTls),
    ("connack", Cause::MqttRefused),
    ("reset", Cause::ConnectionReset),
    ("newer_version", Cause::ServerRequiresNewerVersion),
    ("no_host_name", Cause::HostnameNotSet),
    ("connected", Cause::NoFailure),
    ("suiteb_rejects", Cause::SuitebProfileRejectsAll),
    ("too_large", Cause::RecordTooLarge),
    ("bad_mac", Cause::BadRecord),
    ("closed", Cause::InsufficientEvidence),
    ("closed_in_certificate", Cause::PeerClosed),
    ("ignored", Cause::VerifyFailureIgnored),
    ("sni", Cause::SniRequired),
    ("older_version", Cause::ClientRequiresNewerVersion),
    ("clock_at_1970", Cause::ClockNotSet),
    ("expired", Cause::CertificateExpired),
    ("no_answer", Cause::Timeout),
    ("no_entropy", Cause::EntropyFailed),
    ("no_memory", Cause::OutOfMemory),
    ("unoffered_hash", Cause::UnacceptableHash),
    ("unoffered_hash_3", Cause::UnacceptableHash),
];

#[test]
fn what_each_log_proves() {
    for (name, cause) in LOGS {
        let explanation = alone(&log(name));
        assert_eq!(explanation.diagnosis.cause, cause, "{name}: {explanation:#?}");
        compare(name, json(&explanation));
    }
}

/// The case that this project began with, in all the words that its victim needs.
#[test]
fn the_thread_is_told_all_of_it() {
    let text = json(&alone(&log("the_thread")));
    for needed in [
        "no_ciphersuite_offered",
        "MBEDTLS_SSL_PRESET_SUITEB allows two ECDHE-ECDSA suites alone",
        "config_rsa.h",
        "no host name is set",
        "in mbedTLS 2.4.0 even that fails with verification on",
        "rejects every certificate",
        "MBEDTLS_SSL_PRESET_DEFAULT",
        "mbedtls_ssl_set_hostname",
    ] {
        assert!(text.contains(needed), "{needed} is not in {text}");
    }
}

/// With the header the fix names what this header lacks, and nothing that it has.
#[test]
fn a_header_sharpens_the_fix() {
    let (config, log) = (config_rsa(), log("the_thread"));
    let beside = Beside { config: Some(("config_rsa.h", &config)), broker: None };
    let explanation = explain(log.as_bytes(), &beside);
    let fix = explanation.diagnosis.fix.join("\n");
    for lacking in
        ["KEY_EXCHANGE_ECDHE_ECDSA_ENABLED", "MBEDTLS_ECDH_C", "MBEDTLS_GCM_C", "MBEDTLS_ECDSA_C"]
    {
        assert!(fix.contains(lacking), "{lacking}: {fix}");
    }
    for there in ["MBEDTLS_AES_C", "ECP_DP_SECP256R1_ENABLED", "MBEDTLS_ECP_C", "MBEDTLS_SHA256_C"]
    {
        assert!(!fix.contains(there), "{there}: {fix}");
    }
    compare("the_thread_with_config", json(&explanation));
}

/// What an alert alone cannot say, the broker's profile does.
#[test]
fn a_broker_profile_sharpens_the_cause() {
    let library = Library::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites")).unwrap();
    let (config, log) = (config_rsa(), log("handshake_failure"));
    let mut text = String::new();
    for broker in ["tls12-only-ecdhe", "ec-certificate", "tls12-rsa-plain"] {
        let broker = Some(library.broker(broker).unwrap());
        let beside = Beside { config: Some(("config_rsa.h", &config)), broker };
        let diagnosis = explain(log.as_bytes(), &beside).diagnosis;
        text.push_str(&serde_json::to_string_pretty(&diagnosis).unwrap());
        text.push('\n');
    }
    compare("handshake_failure_with_brokers", text);
}

/// A line without the library's own file and line, as it stands in the recorded logs.
fn parts(line: &str) -> Option<(&str, &str, &str)> {
    let (source, rest) = line.split_once(": |")?;
    let (level, text) = rest.split_once("| ")?;
    Some((source, level, text))
}

/// Rewrites every line of the library's; what is no such line stays.
fn rewrite(log: &str, with: impl Fn(usize, &str, &str, &str) -> String) -> String {
    let mut out = String::new();
    for (at, line) in log.lines().enumerate() {
        let line = match parts(line) {
            Some((source, level, text)) => with(at, source, level, text),
            None => line.to_owned(),
        };
        let _ = writeln!(out, "{line}");
    }
    out
}

/// What a dress is called, and how it is put on.
type Dress = (&'static str, fn(&str) -> String);

/// How programs and people dress a log; none of it takes anything away that is proven.
fn dresses() -> Vec<Dress> {
    vec![
        ("windows line ends", |log| log.replace('\n', "\r\n")),
        ("esp-idf", |log| {
            rewrite(log, |at, source, _, text| {
                format!("D ({}) mbedtls: {source} {text}", 4000 + at)
            })
        }),
        ("esp-idf with colours", |log| {
            rewrite(log, |at, source, _, text| {
                format!("\x1b[0;32mI ({}) mbedtls: {source} {text}\x1b[0m", 4000 + at)
            })
        }),
        ("colours that lost their escape", |log| {
            rewrite(log, |at, source, _, text| {
                format!("[0;32mI ({}) mbedtls: {source} {text}[0m", 4000 + at)
            })
        }),
        ("arduino serial monitor", |log| {
            rewrite(log, |at, source, level, text| {
                format!("14:07:{:02}.{:03} -> {source}: |{level}| {text}", at / 1000, at % 1000)
            })
        }),
        ("zephyr", |log| {
            rewrite(log, |at, source, _, text| {
                format!(
                    "[00:00:01.{at:03},000] <dbg> mbedtls: zephyr_debug: ../library/{source}: {text}"
                )
            })
        }),
        ("a path of windows", |log| {
            rewrite(log, |_, source, level, text| {
                format!("C:\\sdk\\ssl\\{source}: |{level}| {text}")
            })
        }),
        ("syslog", |log| {
            rewrite(log, |at, source, level, text| {
                format!("Sep  8 12:00:{:02} device app[99]: {source}: |{level}| {text}", at % 60)
            })
        }),
        ("quoted in a mail", |log| log.lines().map(|line| format!("> {line}\n")).collect()),
        ("indented code block", |log| log.lines().map(|line| format!("    {line}\n")).collect()),
        ("each line twice", |log| log.lines().map(|line| format!("{line}\n{line}\n")).collect()),
        ("blank lines between", |log| log.replace('\n', "\n\n")),
        ("application lines between", |log| {
            let line = |(at, line): (usize, &str)| {
                format!("[app] heap {} free, rssi -71 dBm, -1\n{line}\n", 40_000 - at)
            };
            log.lines().enumerate().map(line).collect()
        }),
        ("tabs", |log| {
            rewrite(log, |at, source, level, text| {
                format!("{at}\tDEBUG\t{source}:\t|{level}|\t{text}")
            })
        }),
        ("json lines", |log| {
            rewrite(log, |_, source, level, text| {
                format!("{{\"t\":1,\"m\":\"{source}: |{level}| {text}\"}}")
            })
        }),
        ("a forum's folded spaces", |log| {
            log.lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n")
                .collect()
        }),
        ("the address of the context", |log| {
            rewrite(log, |_, source, level, text| {
                format!("{source}: |{level}| 0x55d0c0ffee00: {text}")
            })
        }),
        ("no file and line, but the address", |log| {
            rewrite(log, |at, _, _, text| format!("[app L: {at}]: 0x20020a80: {text}"))
        }),
        ("the line in brackets", |log| {
            rewrite(log, |_, source, level, text| {
                let (file, line) = source.split_once(':').unwrap();
                format!("<I> [hal.c #107] [/src/{file}]:[{line}]: |{level}| {text}")
            })
        }),
        ("no file and line at all", |log| rewrite(log, |_, _, _, text| text.to_owned())),
        ("connected twice", |log| format!("{log}{log}")),
    ]
}

#[rstest]
fn whatever_it_is_dressed_in_a_log_proves_the_same() {
    let mut text = String::new();
    for (dress, put_on) in dresses() {
        for (name, cause) in LOGS {
            let seen = alone(&put_on(&log(name))).diagnosis;
            // Taken away with file and line is the version, and with it what only 2.4.0 does.
            let needs_version = cause == Cause::SuitebProfileRejectsAll;
            let wanted = match dress.starts_with("no file and line") && needs_version {
                true => Cause::InsufficientEvidence,
                false => cause,
            };
            if seen.cause != wanted {
                let _ = writeln!(
                    text,
                    "{dress}: {name}: {} for {wanted}: {}",
                    seen.cause, seen.summary
                );
            }
        }
    }
    assert_eq!(text, "");
}

/// The sentences, of one log in several dresses.
#[test]
fn evidence_quotes_the_lines_as_they_were_pasted() {
    let mut text = String::new();
    for (dress, put_on) in dresses() {
        let diagnosis = alone(&put_on(&log("the_thread"))).diagnosis;
        let _ = writeln!(
            text,
            "{dress}\n  {}\n  {}",
            diagnosis.summary,
            diagnosis.evidence.join("\n  ")
        );
    }
    compare("dresses", text);
}

/// However much of a log is missing, what is left proves the same or nothing; never something else.
#[test]
fn a_cut_log_proves_the_same_or_nothing() {
    let mut wrong = String::new();
    let mut check = |name: &str, cause: Cause, how: String, part: &str| {
        let seen = alone(part).diagnosis.cause;
        // Where the line of the failed check is gone, what is left is a handshake in good order.
        let unseen = cause == Cause::VerifyFailureIgnored && !part.contains("-9984");
        if unseen && seen == Cause::NoFailure {
            return;
        }
        if seen != cause && seen != Cause::InsufficientEvidence {
            let _ = writeln!(wrong, "{name}, {how}: {seen} for {cause}");
        }
    };
    for (name, cause) in LOGS {
        let whole = log(name);
        let lines: Vec<_> = whole.lines().collect();
        // Of long logs every third line: a row of a dump is like the next.
        for at in (0..lines.len()).step_by(if lines.len() > 120 { 3 } else { 1 }) {
            check(name, cause, format!("without the first {at} lines"), &lines[at..].join("\n"));
            check(
                name,
                cause,
                format!("without line {at}"),
                &[&lines[..at], &lines[at + 1..]].concat().join("\n"),
            );
            check(name, cause, format!("the first {at} lines"), &lines[..at].join("\n"));
        }
        for width in [20, 40, 60, 100] {
            let cut: Vec<&str> = lines.iter().map(|line| &line[..line.len().min(width)]).collect();
            check(name, cause, format!("lines of {width} characters"), &cut.join("\n"));
        }
        for level in 1..4 {
            let quiet = |line: &&&str| {
                parts(line).is_none_or(|(_, at, _)| at.parse::<u8>().unwrap() <= level)
            };
            let kept: Vec<_> = lines.iter().filter(quiet).copied().collect();
            check(name, cause, format!("debug level {level}"), &kept.join("\n"));
        }
    }
    assert_eq!(wrong, "");
}

/// Single lines, as the first question in a forum has them.
#[test]
fn single_lines() {
    let mut text = String::new();
    for line in [
        "mbedtls_ssl_handshake returned -0x7280",
        "ERROR: mbedtls_ssl_handshake() failed, ret -29312",
        "E (8412) esp-tls-mbedtls: mbedtls_ssl_handshake returned -0x2700",
        "[ssl] handshake ret=-0x2700, verify flags: 0x00000008",
        "  ! mbedtls_ssl_handshake returned -0x2700  ! The certificate Common Name (CN) does not match with the expected CN",
        "cert verify flags 0x200, mbedtls_ssl_handshake returned -0x2700",
        "mbedtls_ssl_handshake returned -0x7f00",
        "mbedtls_ctr_drbg_seed returned -0x34",
        "mbedtls_ssl_handshake returned -0x0025",
        "mbedtls_ssl_handshake returned -0x4e",
        "ssl: ret=-0x4290",
        "MQTT failed, rc=-2",
        "mbedtls_ssl_handshake returned -0x7780",
        "mbedtls_ssl_handshake returned -0x7780\nis a fatal alert message (msg 40)",
        "tls: -0x7200",
        "mbedtls_net_connect returned -0x52",
        "mbedtls_ssl_handshake returned -0x6800",
        "mbedtls_ssl_handshake returned -0x5d80",
        "mbedtls_ssl_setup returned -0x7F00 heap 1200",
        "mbedtls_x509_crt_parse returned -0x262e",
        "mqtt: CONNACK return code 5",
        "nothing of interest here",
    ] {
        let Explanation { diagnosis, next, errors, .. } = alone(line);
        let _ = writeln!(text, "{line}\n  {}: {}", diagnosis.cause, diagnosis.summary);
        let candidates: Vec<_> = diagnosis.candidates.iter().map(ToString::to_string).collect();
        let in_line = |error: &ErrorTold| format!("log line {}: {}", error.line, error.text);
        let errors = errors.iter().map(in_line).collect();
        let next = next.into_iter().map(|next| next.text).collect();
        for (title, lines) in [
            ("evidence", &diagnosis.evidence),
            ("error", &errors),
            ("fix", &diagnosis.fix),
            ("may be", &candidates),
            ("add", &next),
        ] {
            for line in lines {
                let _ = writeln!(text, "  {title}: {line}");
            }
        }
    }
    compare("single_lines", text);
}

/// `mbedtls_ssl_handshake` leaves with the same line whatever came of it; without what the
/// application says of it the check of the certificate is the end.
#[test]
fn a_handshake_that_is_left_after_a_failed_check_did_not_go_through() {
    let log = log("clock_at_1970");
    let of_the_library: Vec<_> = log.lines().filter(|line| !line.starts_with("app: ")).collect();
    assert_eq!(of_the_library.last(), Some(&"ssl_tls.c:6345: |2| <= handshake"));
    let diagnosis = alone(&of_the_library.join("\n")).diagnosis;
    assert_eq!(diagnosis.candidates.first(), Some(&Cause::ClockNotSet), "{diagnosis:#?}");
    assert!(diagnosis.summary.contains("gave up in server_certificate"), "{diagnosis:#?}");
}

/// Nothing of a log reaches a terminal as it came.
#[test]
fn what_is_quoted_is_safe_to_show() {
    let log = "\x1b]0;pwned\x07mbedtls_ssl_handshake returned -0x7280 \u{202e}\x1b[2J\x00\u{9b}31m";
    let text = json(&alone(log));
    assert!(text.contains("-0x7280"));
    assert!(!text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{text:?}");
}
