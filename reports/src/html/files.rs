//! The files of one cell, read with care: they may be large, torn, or not what they should be.

use crate::transcript::{Entry, Transcript, printable};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How much of the end of a device's log is looked at.
const LOG_TAIL: u64 = 32 * 1024;
/// How much of each of its lines a panel shows.
const LOG_LINE: usize = 200;
/// Transcripts that are longer are not drawn; a cell makes some hundred kilobytes.
const TRANSCRIPT: u64 = 32 * 1024 * 1024;

/// The end of a device's log.
#[derive(Debug, Default)]
pub(super) struct LogEnd {
    /// Its last lines, each short enough and safe to show.
    pub lines: Vec<String>,
    /// Whether there is more before them.
    pub more: bool,
    /// Bytes of the whole log.
    pub bytes: u64,
}

impl LogEnd {
    /// Reads the last lines of `device.log`, `count` at most; nothing if there is none.
    pub fn read(path: &Path, count: usize) -> io::Result<Self> {
        let Some(mut file) = open(path)? else { return Ok(Self::default()) };
        let bytes = file.metadata()?.len();
        let from = bytes.saturating_sub(LOG_TAIL);
        file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        file.take(LOG_TAIL).read_to_end(&mut tail)?;
        let mut lines: Vec<&[u8]> = tail.split(|byte| *byte == b'\n').collect();
        if lines.last().is_some_and(|last| last.is_empty()) {
            lines.pop();
        }
        // The first one is torn, unless it is the log's first or there is no other.
        if from > 0 && lines.len() > 1 {
            lines.remove(0);
        }
        let skip = lines.len().saturating_sub(count);
        let shown = lines.iter().skip(skip).map(|line| shortened(line)).collect();
        Ok(Self { lines: shown, more: from > 0 || skip > 0, bytes })
    }
}

fn shortened(line: &[u8]) -> String {
    match line.get(..LOG_LINE) {
        Some(start) if line.len() > LOG_LINE => {
            format!("{} … ({} bytes more)", printable(start), line.len() - LOG_LINE)
        }
        _ => printable(line),
    }
}

/// The transcript, without the device's own log and without lines that are no entries: a run that
/// was killed may have left a torn one.
pub(super) fn transcript(path: &Path) -> io::Result<Transcript> {
    let mut transcript = Transcript::default();
    let Some(mut file) = open(path)? else { return Ok(transcript) };
    if file.metadata()?.len() > TRANSCRIPT {
        return Ok(transcript);
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    // Most lines are the log's, and none of those is drawn: they need not be parsed.
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !is_log(line));
    for entry in lines.filter_map(|line| serde_json::from_slice::<Entry>(line).ok()) {
        transcript.push(entry.at_ns, entry.seen);
    }
    Ok(transcript)
}

/// Whether a line of `transcript.jsonl` begins as those of the log do; the writer puts the time first
/// and the kind second.
fn is_log(line: &[u8]) -> bool {
    let start = line.get(..48).unwrap_or(line);
    start.windows(12).any(|part| part == b"\"seen\":\"log\"")
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(bytes: &[u8]) -> LogEnd {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.log");
        std::fs::write(&path, bytes).unwrap();
        LogEnd::read(&path, 30).unwrap()
    }

    #[test]
    fn bytes_that_are_no_text_are_escaped() {
        let end = log(b"first\n\xff\xfe \x1b[2J\0 <script>\n");
        assert_eq!(end.lines, ["first", "\\xff\\xfe \\u{1b}[2J\\u{0} <script>"]);
        assert!(!end.more);
    }

    #[test]
    fn a_line_of_ten_megabytes_is_cut() {
        let mut bytes = b"before\n".to_vec();
        bytes.resize(10 * 1024 * 1024, b'x');
        let end = log(&bytes);
        assert_eq!(end.lines.len(), 1);
        assert!(end.lines[0].len() < 300, "{}", end.lines[0].len());
        assert!(end.more);
        assert_eq!(end.bytes, 10 * 1024 * 1024);
    }

    #[test]
    fn the_last_lines_are_shown() {
        let text: String = (0..100).map(|line| format!("line {line}\n")).collect();
        let end = log(text.as_bytes());
        assert_eq!((end.lines.len(), end.more), (30, true));
        assert_eq!(end.lines[29], "line 99");
    }
}
