//! The fingerprint of every client whose hello is recorded: a firmware that changes one is seen here.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "helpers of tests are test code"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use suites::fingerprint::{Fingerprint, ja3_text};
use suites::hello::ClientHello;
use suites::predict::recorded::Recorded;

/// File name without its ending, hello and file of every recorded client, by name.
fn recorded() -> Vec<(String, ClientHello, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("hellos");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, Recorded::load(&path).unwrap().unwrap().hello().clone(), path)
    };
    files.into_iter().map(read).collect()
}

/// A new client is accepted with `cargo insta review`; a line that changes is a firmware that does.
#[test]
fn of_every_client() {
    let lines: Vec<_> = recorded()
        .into_iter()
        .map(|(name, hello, _)| {
            let Fingerprint { ja3, ja4 } = Fingerprint::of(&hello);
            format!("{ja4} {ja3} {name}")
        })
        .collect();
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("fingerprints", lines.join("\n")));
}

/// An independent implementation of JA3 over the same bytes.
#[test]
fn ja3_as_wireshark_has_it() {
    let all = recorded();
    let packets = all.iter().zip(20_000..).map(|((_, _, path), port)| {
        let text = std::fs::read_to_string(path).unwrap();
        let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        packet(port, &data_encoding::HEXLOWER.decode(digits.as_bytes()).unwrap())
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&capture(packets)).unwrap();
    let fields = ["-T", "fields", "-e", "tls.handshake.ja3_full", "-e", "tls.handshake.ja3"];
    let Ok(seen) = Command::new("tshark").arg("-r").arg(file.path()).args(fields).output() else {
        assert!(std::env::var_os("RIG_NO_SKIP").is_none(), "RIG_NO_SKIP is set: no tshark");
        eprintln!("skipped: tshark is not installed");
        return;
    };
    let seen = String::from_utf8(seen.stdout).unwrap();
    assert_eq!(seen.lines().count(), all.len());
    for ((name, hello, _), line) in all.iter().zip(seen.lines()) {
        let ours = format!("{}\t{}", ja3_text(hello), Fingerprint::of(hello).ja3);
        assert_eq!(line, ours, "{name}");
    }
}

/// A TCP segment from `port` to port 443 that holds `bytes`.
fn packet(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(u16::try_from(40 + bytes.len()).unwrap().to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
    packet.extend(port.to_be_bytes());
    packet.extend([1, 187, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend(bytes);
    packet
}

/// A capture file of raw IP packets, link type 101.
fn capture(packets: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()).collect() };
    let mut file = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 0x0004_0000, 101]);
    for packet in packets {
        let length = u32::try_from(packet.len()).unwrap();
        file.extend(words(&[0, 0, length, length]));
        file.extend(packet);
    }
    file
}
