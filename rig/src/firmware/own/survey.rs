//! What a header defines, by the C preprocessor's own word.
//!
//! Twice: what the user's header says as it stands, and what holds for the library in the end, with
//! the overrides and the library's own defaults.

use super::{OwnError, Version, unreadable};
use crate::firmware::{MissingTool, which};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where things lie.
pub(super) struct Place<'a> {
    pub tree: &'a Path,
    pub firmware: &'a Path,
    pub header: &'a Path,
    pub version: Version,
}

/// What the user's header says.
pub(super) struct Defined {
    /// Names and values.
    pub macros: BTreeMap<String, String>,
    /// The header, and those that it includes from outside the tree.
    pub headers: Vec<PathBuf>,
}

/// What holds in the end.
pub(super) struct Outcome {
    /// `#define` lines of the library's macros.
    pub macros: String,
    /// Bytes of the record buffer for what comes in.
    pub content_length: u32,
}

/// Compilers that will do: preprocessing is the same on all.
const COMPILERS: [&str; 4] = ["cc", "gcc", "clang", "arm-none-eabi-gcc"];

/// A record's content is at most 16384 bytes (RFC 5246 6.2.1), a number of 15 bits; a few more show
/// that it is too much.
const LENGTH_BITS: u32 = 20;

/// What the user's header defines as it stands.
pub(super) fn defined(place: &Place<'_>, log: &Path) -> Result<Defined, OwnError> {
    let header = place.header.to_string_lossy().into_owned();
    if header.contains(['"', '\\', '\n']) {
        return Err(OwnError::Path { path: header });
    }
    let text = match place.version.major {
        // From 3.0 on a header is read and checked by build_info.h alone.
        3.. => {
            format!("#define MBEDTLS_CONFIG_FILE \"{header}\"\n#include \"mbedtls/build_info.h\"\n")
        }
        _ => format!("#include \"{header}\"\n"),
    };
    let run = Run::new(&text, log)?;
    let list = run.folder.path().join("headers");
    let flags = ["-dM", "-MMD", "-MF"].map(OsStr::new);
    let dump = run.preprocess(place, flags.into_iter().chain([list.as_os_str()]))?;
    let list = std::fs::read_to_string(&list).map_err(unreadable(&list))?;
    // A make rule, `target: file file \`, with blanks in names behind a backslash.
    let names = list.split_once(':').map_or("", |(_, names)| names);
    let names = names.replace("\\\n", " ").replace("\\ ", "\0");
    let mut headers: Vec<_> = names
        .split_whitespace()
        .map(|name| PathBuf::from(name.replace('\0', " ")))
        .filter(|path| !path.starts_with(place.tree) && !path.starts_with(run.folder.path()))
        .filter(|path| !path.starts_with(place.firmware))
        .collect();
    if !headers.iter().any(|path| path == place.header) {
        headers.push(place.header.to_owned());
    }
    headers.sort();
    headers.dedup();
    Ok(Defined { macros: parse(&dump), headers })
}

/// What holds with `config`, the header that the library is compiled with.
pub(super) fn outcome(place: &Place<'_>, config: &str, log: &Path) -> Result<Outcome, OwnError> {
    let run = Run::new("#include \"mbedtls/ssl.h\"\n", log)?;
    let file = run.folder.path().join("config.h");
    std::fs::write(&file, config).map_err(unreadable(&file))?;
    let flag = format!("-DMBEDTLS_CONFIG_FILE=\"{}\"", file.display());
    let dump = run.preprocess(place, ["-dM", &flag].map(OsStr::new))?;
    let library =
        |line: &&str| line.starts_with("#define MBEDTLS_") || line.starts_with("#define PSA_");
    let mut macros: Vec<_> = dump.lines().filter(library).collect();
    macros.sort_unstable();
    let run = Run::new(&length_question(), log)?;
    let answer = run.preprocess(place, [OsStr::new(&flag)])?;
    let content_length = (0..LENGTH_BITS)
        .filter(|bit| answer.lines().any(|line| line.trim() == format!("rig_bit_{bit}")))
        .map(|bit| 1 << bit)
        .sum();
    Ok(Outcome { macros: macros.join("\n"), content_length })
}

/// The preprocessor does the arithmetic: the length may be any constant expression.
fn length_question() -> String {
    let mut text = "#include \"mbedtls/ssl.h\"\n\
                    #if defined(MBEDTLS_SSL_IN_CONTENT_LEN)\n\
                    #define RIG_LENGTH MBEDTLS_SSL_IN_CONTENT_LEN\n#else\n\
                    #define RIG_LENGTH MBEDTLS_SSL_MAX_CONTENT_LEN\n#endif\n"
        .to_owned();
    for bit in 0..LENGTH_BITS {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "#if ((RIG_LENGTH) >> {bit}) & 1\nrig_bit_{bit}\n#endif");
    }
    text
}

/// One run of the preprocessor, in a folder of its own.
struct Run<'a> {
    folder: tempfile::TempDir,
    source: PathBuf,
    log: &'a Path,
}

impl<'a> Run<'a> {
    fn new(text: &str, log: &'a Path) -> Result<Self, OwnError> {
        let here = Path::new("a temporary folder");
        let folder = tempfile::tempdir().map_err(unreadable(here))?;
        let source = folder.path().join("survey.c");
        std::fs::write(&source, text).map_err(unreadable(&source))?;
        Ok(Self { folder, source, log })
    }

    fn preprocess<'b>(
        &self,
        place: &Place<'_>,
        flags: impl IntoIterator<Item = &'b OsStr>,
    ) -> Result<String, OwnError> {
        let missing = MissingTool { what: "a C compiler", mend: "run `apt-get install gcc`" };
        let compiler = COMPILERS.iter().find_map(|name| which(name)).ok_or(missing)?;
        let mut command = Command::new(&compiler);
        command.args(["-E", "-std=gnu99", "-x", "c"]).args(flags);
        for folder in [place.tree.join("include"), place.tree.join("library")] {
            command.arg("-I").arg(folder);
        }
        command.arg("-I").arg(place.firmware.join("mbedtls/shim/sdk"));
        // As firmware/mbedtls/build.rs has them.
        command.arg("-idirafter").arg(place.header.parent().unwrap_or(place.header));
        command.arg("-idirafter").arg(place.tree.join("include/mbedtls"));
        // Its words are searched for, so they must be the same everywhere.
        command.arg(&self.source).stdin(Stdio::null()).env("LC_ALL", "C");
        let output = command.output().map_err(unreadable(&compiler))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let log = self.log;
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder).map_err(unreadable(folder))?;
        }
        std::fs::write(log, &output.stderr).map_err(unreadable(log))?;
        let first = first_error(&output.stderr)
            .unwrap_or_else(|| format!("the C compiler ended with {}", output.status));
        Err(OwnError::Header { header: place.header.to_owned(), first, log: log.to_owned() })
    }
}

/// The first complaint in a C compiler's or linker's output, in cargo's or alone, safe to show.
pub(in crate::firmware) fn first_error(output: &[u8]) -> Option<String> {
    let is_complaint = |line: &str| {
        [": error: ", ": fatal error: ", " overflowed by ", "undefined reference to "]
            .iter()
            .any(|word| line.contains(word))
    };
    let lines = output.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
    let line = lines.into_iter().find(|line| is_complaint(line))?;
    // cargo puts this before what a build script says.
    let line = line.split_once("cargo:warning=").map_or(&*line, |(_, line)| line);
    let line = match line.strip_prefix("warning: ") {
        Some(line) => line.split_once(": ").map_or(line, |(_, line)| line),
        None => line,
    };
    // rustc quotes the linker's words below a note of its own.
    let line = line.trim().trim_start_matches("= note: ");
    Some(reports::transcript::printable(line.as_bytes()))
}

/// Names and values of `#define` lines.
fn parse(dump: &str) -> BTreeMap<String, String> {
    let lines = dump.lines().filter_map(|line| line.strip_prefix("#define "));
    lines
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}
