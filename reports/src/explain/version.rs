//! Which mbedTLS speaks: by the lines of its sources, else by its files and words.

use super::Speaks;
use super::errors::Versions;
use std::collections::BTreeSet;

/// Lines of the stacks that the rig runs, where each says something that every handshake passes.
/// Source: recorded from those stacks by their own logs; `tests/agreement.rs` checks that they still
/// are there.
const LINES: [(&str, &[(&str, u32)]); 4] = [
    (
        "mbedtls-2.4.0",
        &[
            ("ssl_cli.c", 3279),
            ("ssl_cli.c", 717),
            ("ssl_cli.c", 1410),
            ("ssl_cli.c", 918),
            ("ssl_cli.c", 1049),
            ("ssl_cli.c", 1416),
            ("ssl_tls.c", 2416),
            ("ssl_tls.c", 2701),
            ("ssl_tls.c", 3728),
            ("ssl_tls.c", 3734),
            ("ssl_tls.c", 3789),
            ("ssl_tls.c", 3744),
        ],
    ),
    (
        "mbedtls-2.16.0",
        &[
            ("ssl_cli.c", 3510),
            ("ssl_cli.c", 774),
            ("ssl_cli.c", 1499),
            ("ssl_cli.c", 934),
            ("ssl_tls.c", 2755),
            ("ssl_tls.c", 3343),
            ("ssl_tls.c", 4311),
        ],
    ),
    (
        "mbedtls-2.28",
        &[
            ("ssl_cli.c", 4261),
            ("ssl_cli.c", 983),
            ("ssl_cli.c", 2029),
            ("ssl_cli.c", 1184),
            ("ssl_msg.c", 2033),
            ("ssl_msg.c", 2598),
            ("ssl_msg.c", 3792),
        ],
    ),
    (
        "mbedtls-3.6",
        &[
            ("ssl_tls.c", 4592),
            ("ssl_client.c", 921),
            ("ssl_client.c", 397),
            ("ssl_tls12_client.c", 1195),
            ("ssl_msg.c", 2354),
            ("ssl_msg.c", 2944),
            ("ssl_msg.c", 4299),
        ],
    ),
];

/// So many different lines must fit before a version is believed: one may fit by chance.
const ENOUGH: usize = 2;

/// Whether a source is of a server's half of the handshake.
pub fn is_servers(file: &str) -> bool {
    file == "ssl_srv.c" || file.ends_with("_server.c")
}

/// What is known of the speaker.
#[derive(Debug, Clone, Default)]
pub struct Speaker {
    /// For each stack of [`LINES`] which of its lines were seen.
    seen: [BTreeSet<usize>; 4],
    /// Lines of the library that fit no known stack.
    others: usize,
    three: bool,
    two: bool,
    old: bool,
    any: bool,
}

impl Speaker {
    /// Takes the source of one line.
    pub fn take(&mut self, file: &str, line: u32) {
        self.any = true;
        let mut fits = false;
        for ((_, lines), seen) in LINES.iter().zip(&mut self.seen) {
            if let Some(at) = lines.iter().position(|known| *known == (file, line)) {
                seen.insert(at);
                fits = true;
            }
        }
        self.others += usize::from(!fits);
        match file {
            "ssl_cli.c" | "ssl_srv.c" => self.two = true,
            "ssl_client.c" => self.three = true,
            _ if file.starts_with("ssl_tls12_") || file.starts_with("ssl_tls13_") => {
                self.three = true;
            }
            _ => {}
        }
    }

    /// The name of a state in words, which 3.x prints and 2.x does not.
    pub fn take_named_state(&mut self) {
        self.three = true;
    }

    /// A list of suites in decimal, as it was printed before 2.4.
    pub fn take_decimal_suites(&mut self) {
        self.old = true;
    }

    /// Whether a line was the library's beyond doubt.
    #[must_use]
    pub fn spoke(&self) -> bool {
        self.any || self.three || self.old
    }

    /// The stack, if the lines are its own.
    #[must_use]
    pub fn stack(&self) -> Option<&'static str> {
        let best = LINES.iter().zip(&self.seen).max_by_key(|(_, seen)| seen.len());
        let ((name, _), seen) = best?;
        let runner_up =
            self.seen.iter().map(BTreeSet::len).filter(|len| *len == seen.len()).count();
        (seen.len() >= ENOUGH && runner_up == 1).then_some(*name)
    }

    /// What can be said of it, if anything can.
    #[must_use]
    pub fn describe(&self) -> Option<Speaks> {
        let text = match (self.stack(), self.two, self.three) {
            (Some(stack), ..) => format!(
                "line numbers as in {}",
                stack.replace('-', " ").replace("mbedtls", "mbedTLS")
            ),
            (None, ..) if self.old => "older than mbedTLS 2.4, by how it lists suites".to_owned(),
            (None, _, true) => "mbedTLS 3.x, by its source files or states".to_owned(),
            (None, true, false) => "mbedTLS 2.x, by its source files".to_owned(),
            _ => return None,
        };
        let major = match self.versions() {
            Versions::THREE => Some(3),
            Versions::TWO => Some(2),
            _ => None,
        };
        Some(Speaks { stack: self.stack().map(str::to_owned), major, text })
    }

    /// Whose error names apply.
    #[must_use]
    pub fn versions(&self) -> Versions {
        let three = self.three || self.stack() == Some("mbedtls-3.6");
        match (three, self.two || self.stack().is_some()) {
            (true, _) => Versions::THREE,
            (false, true) => Versions::TWO,
            (false, false) => Versions::ALL,
        }
    }
}
