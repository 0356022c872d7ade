//! The first inputs of the fuzz targets, from real handshakes in the repository: pasted logs, recorded
//! ClientHellos, transcripts. A target writes its own into its corpus before it begins.

use reports::Transcript;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use suites::outcome::End;

/// Each log as it was pasted, and once more with a header and a broker profile behind it.
pub fn explain(header_line: &[u8], broker_line: &[u8]) -> Result<(), Box<dyn Error>> {
    let (corpus, reports) = (corpus("explain")?, reports());
    let header = fs::read(reports.join("../firmware/mbedtls/sets/sdk_rsa.h"))?;
    let profiles = files(&reports.join("../suites/brokers"))?;
    // Every seventh: all kinds of them, and not two of a kind behind one log.
    let mut profiles = profiles.iter().step_by(7).cycle();
    for (name, log) in files(&reports.join("tests/logs"))? {
        fs::write(corpus.join(&name), &log)?;
        let (_, profile) = profiles.next().ok_or("there are no broker profiles")?;
        let all = [&log[..], header_line, &header, broker_line, profile].concat();
        fs::write(corpus.join(format!("{name}-and-more")), all)?;
    }
    Ok(())
}

/// Each recorded ClientHello, and both directions of each transcript.
pub fn records() -> Result<(), Box<dyn Error>> {
    let (corpus, reports) = (corpus("records")?, reports());
    for (name, text) in files(&reports.join("../suites/hellos"))? {
        let text = String::from_utf8(text)?;
        let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        fs::write(
            corpus.join(name),
            data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes())?,
        )?;
    }
    for (name, text) in files(&reports.join("tests/transcripts"))? {
        let transcript = Transcript::from_jsonl(&String::from_utf8(text)?)?;
        for (end, who) in [(End::Client, "client"), (End::Broker, "broker")] {
            fs::write(corpus.join(format!("{name}-{who}")), transcript.bytes(end))?;
        }
    }
    Ok(())
}

fn reports() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn corpus(target: &str) -> Result<PathBuf, std::io::Error> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).map(|()| folder)
}

/// Name and content of each file in a folder, by name.
fn files(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, std::io::Error> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push((name, fs::read(&path)?));
        }
    }
    files.sort();
    Ok(files)
}
