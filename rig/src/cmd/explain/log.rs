//! The log as it comes to `rig explain`: from a file, a pipe or the clipboard, in whatever a program
//! wrote it.
//!
//! Windows' PowerShell writes UTF-16 with `>`, and that is read as well. What is no text at all is
//! refused with what it seems to be, and what to do with it.

use crate::terminal::Terminal;
use anyhow::{Context, Result, anyhow, bail};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::fs::{File, Metadata};
use std::io::{IsTerminal, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Longest log that is read, in bytes. A handshake at debug level 4 has about 60 KB.
const LONGEST: u64 = 64 << 20;

/// Reads the log: a file, or standard input for `-` and for none.
///
/// # Errors
/// There is none, it cannot be read, or it is no text.
pub(super) fn read(file: Option<&Path>, terminal: &Terminal) -> Result<Vec<u8>> {
    let (name, source): (String, Box<dyn Read>) = match file.filter(|file| *file != Path::new("-"))
    {
        Some(file) => (file.display().to_string(), Box::new(open(file)?)),
        None => {
            let input = std::io::stdin();
            if input.is_terminal() {
                terminal.say(
                    "paste the log here and end it with Ctrl-D on a line of its own, or name a file: `cargo rig explain device.log`",
                );
            }
            ("standard input".to_owned(), Box::new(input))
        }
    };
    let mut log = Vec::new();
    source
        .take(LONGEST + 1)
        .read_to_end(&mut log)
        .with_context(|| format!("cannot read the log from {name}"))?;
    if log.len() as u64 > LONGEST {
        return Err(too_long(&name));
    }
    if log.is_empty() {
        bail!("the log from {name} is empty");
    }
    text(log).map_err(|what| anyhow!("{name} is no log: {what}"))
}

fn open(file: &Path) -> Result<File> {
    let name = file.display();
    let opened = File::open(file).with_context(|| format!("cannot open the log {name}"))?;
    let about = opened.metadata().with_context(|| format!("cannot open the log {name}"))?;
    if about.is_dir() {
        match file.join("cells.jsonl").exists() {
            true => bail!(
                "{name} is the folder of a run: the log of a cell is {name}/cells/<client>/<broker>/device.log"
            ),
            false => bail!("{name} is a folder: name the log in it"),
        }
    }
    if is_device(&about) {
        bail!(
            "{name} is a device and not a log: keep in a file what it prints, and explain that file"
        );
    }
    if about.len() > LONGEST {
        return Err(too_long(&name.to_string()));
    }
    Ok(opened)
}

/// A serial port would never come to its end.
fn is_device(about: &Metadata) -> bool {
    about.file_type().is_char_device() || about.file_type().is_block_device()
}

fn too_long(name: &str) -> anyhow::Error {
    let limit = LONGEST >> 20;
    anyhow!(
        "the log from {name} has more than {limit} MB: cut out the connection that failed, or take the end of it: `tail -c {limit}M FILE | cargo rig explain`"
    )
}

/// How files begin that are handed over in place of a log, what they are, and what to do. Libraries that
/// tell files by their first bytes (`infer`) know no captures of packets, which are handed over most
/// often, and from their types to what is to be done it takes a table as long as this one.
const NO_LOGS: [(&[u8], &str); 15] = [
    (
        b"\x1f\x8b",
        "it is compressed by gzip; `gunzip -c FILE | cargo rig explain` explains what is in it",
    ),
    (b"PK\x03\x04", "it is a zip archive; unpack it, and explain the log in it"),
    (
        b"\xfd7zXZ",
        "it is compressed by xz; `xz -dc FILE | cargo rig explain` explains what is in it",
    ),
    (
        b"BZh",
        "it is compressed by bzip2; `bzip2 -dc FILE | cargo rig explain` explains what is in it",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "it is compressed by zstd; `zstd -dc FILE | cargo rig explain` explains what is in it",
    ),
    (b"\xd4\xc3\xb2\xa1", CAPTURE),
    (b"\xa1\xb2\xc3\xd4", CAPTURE),
    (b"\x4d\x3c\xb2\xa1", CAPTURE),
    (b"\xa1\xb2\x3c\x4d", CAPTURE),
    (b"\x0a\x0d\x0d\x0a", CAPTURE),
    (
        b"\x7fELF",
        "it is a program (ELF), such as a firmware image; a log is what it prints when it runs",
    ),
    (b"\x89PNG", PICTURE),
    (b"\xff\xd8\xff", PICTURE),
    (b"GIF8", PICTURE),
    (b"%PDF", "it is a PDF; copy the log's text out of it into a file"),
];
const CAPTURE: &str = "it is a capture of packets, which Wireshark opens; what is explained is the device's own debug output";
const PICTURE: &str =
    "it is a picture; what is explained is text, such as the same screen copied as text";

/// Text as UTF-8, or what the bytes are instead.
fn text(mut bytes: Vec<u8>) -> std::result::Result<Vec<u8>, &'static str> {
    if let Some((_, what)) = NO_LOGS.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(what);
    }
    let (encoding, mark) =
        Encoding::for_bom(&bytes).or_else(|| utf16(&bytes)).unwrap_or((UTF_8, 0));
    bytes.drain(..mark);
    let decoded = match encoding == UTF_8 {
        // Bytes that are no UTF-8 are `explain`'s to see.
        true => bytes,
        false => encoding.decode_without_bom_handling(&bytes).0.into_owned().into_bytes(),
    };
    if is_binary(&decoded) {
        return Err(
            "most of it is no text; what is explained is the device's debug output, as its serial monitor shows it",
        );
    }
    Ok(decoded)
}

/// UTF-16 without a mark at its beginning: every second byte of the first line is 0. That line is of a
/// log, and so of ASCII; to guess encodings is not what is needed here.
fn utf16(bytes: &[u8]) -> Option<(&'static Encoding, usize)> {
    let zeros = |from: usize| bytes.iter().take(64).skip(from).step_by(2).all(|byte| *byte == 0);
    match bytes {
        [_, 0, _, 0, ..] if zeros(1) && !zeros(0) => Some((UTF_16LE, 0)),
        [0, _, 0, _, ..] if zeros(0) && !zeros(1) => Some((UTF_16BE, 0)),
        _ => None,
    }
}

/// Whether a third of the beginning is bytes that no text has. A line of noise, as a serial port with
/// the wrong speed gives, is less of a log than that.
fn is_binary(bytes: &[u8]) -> bool {
    const LOOKED_AT: usize = 1 << 16;
    let start = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    let strange = |byte: &&u8| **byte < b' ' && !b"\t\n\r\x1b\x08\x0c".contains(byte);
    start.iter().filter(strange).count() > start.len() / 3
}
