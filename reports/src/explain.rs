//! A log that somebody pasted, explained: the library's debug output in any dress, or one line.
//!
//! ```text
//! bytes --lines--> Line --+--> Attempt, one for each connection --known--> Facts --rules--> Diagnosis
//!                         +--> Speaker: which mbedTLS
//! ```
//!
//! The rules are those of a cell ([`crate::diagnosis`]); a log only knows less. Nothing in a log is
//! believed to be whole: lines may be missing, doubled, cut or somebody else's. Reading takes time
//! in proportion to the log's length, and no input makes it panic.

mod attempt;
mod certificate;
mod dump;
pub mod errors;
mod explanation;
mod hello;
mod known;
mod line;
mod numbers;
mod pieces;
mod told;
mod unproven;
mod version;
mod words;

pub(crate) use attempt::Attempt;
pub use explanation::{
    AlertTold, Chosen, ErrorTold, Explanation, FlagsTold, Lacking, Named, Next, Offer, SCHEMA,
    Speaks,
};

use crate::diagnosis::Cause;
use crate::transcript::printable;
use attempt::Spot;
use line::{Line, plain};
use std::collections::BTreeMap;
use suites::BrokerProfile;
use suites::outcome::phase_name;
use suites::predict::stack::Macros;
use version::Speaker;

/// What is known beside the log.
#[derive(Debug, Clone, Default)]
pub struct Beside<'a> {
    /// Name and text of the configuration header that the firmware was built with.
    pub config: Option<(&'a str, &'a str)>,
    /// The broker that the log's client met.
    pub broker: Option<&'a BrokerProfile>,
}

/// What [`known`] needs beside an attempt.
struct Context<'a> {
    client_name: String,
    /// It is a 3.x.
    three: bool,
    stack: Option<&'static str>,
    macros: Option<&'a Macros>,
    content_length: Option<usize>,
    broker: Option<&'a BrokerProfile>,
}

/// Connections that are kept; older ones are forgotten.
const KEPT: usize = 2;
/// Different errors that are listed.
const MOST_ERRORS: usize = 16;
/// Longest line that is quoted, in characters.
const QUOTED: usize = 160;

/// Explains a log.
#[must_use]
pub fn explain(log: &[u8], beside: &Beside<'_>) -> Explanation {
    let read = Reader::read(log);
    let stack = read.speaker.stack();
    let macros = beside.config.map(|(_, text)| Macros::parse(text, &mut |_| None));
    let context = Context {
        client_name: beside
            .config
            .map_or_else(|| "this build".to_owned(), |(name, _)| name.to_owned()),
        stack,
        three: read.speaker.versions() == errors::Versions::THREE,
        macros: macros.as_ref(),
        content_length: beside.config.and_then(|(_, text)| content_length(text)),
        broker: beside.broker,
    };
    let attempt = read.chosen();
    let facts = known::facts(attempt, &context);
    let mut diagnosis = match attempt.is_servers() {
        true => unproven::servers(attempt, read.speaker.versions()),
        false => facts.diagnose(),
    };
    let mut next = Vec::new();
    if diagnosis.cause == Cause::InsufficientEvidence {
        if !attempt.is_servers() {
            unproven::say(&mut diagnosis, attempt, &read);
        }
        if read.is_of_another_protocol() {
            diagnosis.candidates.retain(|cause| *cause != Cause::MqttRefused);
        }
        next = unproven::to_add(attempt, &read, beside);
    }
    Explanation {
        schema: SCHEMA,
        library: read.speaker.describe(),
        debug_level: read.level,
        connections: read.connections,
        state: attempt.state.as_ref().map(|spot| phase_name(spot.value)),
        errors: read.errors(),
        alert: facts.outcome.alert.as_ref().map(AlertTold::of),
        verify_flags: facts.told_flags(),
        close: facts.outcome.close,
        chosen: Chosen::of(&facts),
        offer: facts.hello.as_ref().map(Offer::of),
        diagnosis,
        next,
    }
}

/// Reads a log line by line.
#[derive(Default)]
struct Reader {
    speaker: Speaker,
    level: Option<u8>,
    /// The last connections, the newest last.
    attempts: Vec<Attempt>,
    connections: usize,
    /// The library itself has said something of a handshake.
    heard: bool,
    /// Errors by number, with the line of each.
    errors: BTreeMap<i32, usize>,
    /// What there is if there is nothing.
    none: Attempt,
}

impl Reader {
    fn read(log: &[u8]) -> Self {
        let mut reader = Self { attempts: vec![Attempt::default()], ..Self::default() };
        let mut last: &[u8] = &[];
        let width = line::width_of_cut(log);
        for (at, raw) in log.split(|byte| *byte == b'\n').enumerate() {
            // Some monitors print each line twice; the library never says the same twice in a row.
            if raw == last || raw.is_empty() {
                continue;
            }
            last = raw;
            let text = plain(raw);
            reader.take(
                at + 1,
                match width == Some(raw.len()) {
                    true => line::without_what_was_cut(&text),
                    false => &text,
                },
            );
        }
        for attempt in &mut reader.attempts {
            attempt.finish_dump();
        }
        reader.connections +=
            usize::from(reader.attempts.last().is_some_and(|last| !last.is_empty()));
        reader
    }

    fn take(&mut self, number: usize, plain: &str) {
        let line = Line::of(plain);
        if let Some((file, at)) = line.source {
            self.speaker.take(file, at);
        }
        self.level = self.level.max(line.level.filter(|level| (1..=4).contains(level)));
        if line.text.contains("client state: MBEDTLS_SSL_") {
            self.speaker.take_named_state();
        }
        let Some(current) = self.attempts.last_mut() else { return };
        if current.is_over_before(line.text, line.source.is_some()) {
            current.finish_dump();
            let next = Attempt::after(current);
            self.connections += 1;
            self.attempts.push(next);
            if self.attempts.len() > KEPT {
                self.attempts.remove(0);
            }
        }
        if !self.heard && (line.text.starts_with("=> ") || pieces::state(line.text).is_some()) {
            self.heard = true;
            self.forget_hearsay();
        }
        let Some(current) = self.attempts.last_mut() else { return };
        if line.source.is_some_and(|(file, _)| version::is_servers(file)) {
            current.server.get_or_insert_with(|| Spot {
                value: (),
                line: number,
                quote: line.text.to_owned(),
            });
        }
        current.take(number, line.text, line.source.is_some());
        if current.hello.decimal {
            self.speaker.take_decimal_suites();
        }
        let errors = [&current.error, &current.told, &current.unverified];
        for Spot { value, line, .. } in
            errors.into_iter().flatten().filter(|spot| spot.line == number)
        {
            if self.errors.len() < MOST_ERRORS {
                self.errors.entry(*value).or_insert(*line);
            }
        }
    }

    /// What somebody says of a log before it is no connection.
    fn forget_hearsay(&mut self) {
        let Some(last) = self.attempts.pop() else { return };
        if self.connections == self.attempts.len() && self.attempts.iter().all(Attempt::is_hearsay)
        {
            self.attempts.clear();
            self.connections = 0;
        }
        let first = self.attempts.is_empty() && last.is_hearsay();
        self.attempts.push(if first { Attempt::after(&last) } else { last });
    }

    /// The connection that is explained: the last one that has an end, else the last one.
    fn chosen(&self) -> &Attempt {
        let ended = self.attempts.iter().rev().find(|attempt| attempt.has_end());
        let begun = self.attempts.iter().rev().find(|attempt| !attempt.is_empty());
        ended.or(begun).unwrap_or(&self.none)
    }

    /// Another library than mbedTLS, whose lines some of these look like.
    fn stranger(&self) -> Option<&Spot<&'static str>> {
        self.attempts.last()?.stranger.as_ref()
    }

    /// Whether another protocol over TLS than MQTT is spoken of.
    fn is_of_another_protocol(&self) -> bool {
        self.attempts.last().is_some_and(|last| last.of_another && !last.of_mqtt)
    }

    /// How to get more out of the SDK that wrote these lines.
    fn hint(&self) -> Option<&'static str> {
        self.attempts.last()?.hint
    }

    fn errors(&self) -> Vec<ErrorTold> {
        let versions = self.speaker.versions();
        let mut found: Vec<_> = self.errors.iter().collect();
        found.sort_by_key(|(_, line)| **line);
        found.into_iter().map(|(number, line)| ErrorTold::of(*line, *number, versions)).collect()
    }
}

/// An item of evidence: a line of the log in its own words, safe to show.
fn quoted(line: usize, text: &str) -> String {
    let mut short: String = text.chars().take(QUOTED).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    format!("log line {line}: \"{}\"", printable(short.as_bytes()))
}

/// `MBEDTLS_SSL_MAX_CONTENT_LEN` of 2.4 to 2.28, or its inbound half, which alone 3.x has.
fn content_length(header: &str) -> Option<usize> {
    header.lines().find_map(|line| {
        let mut words = line.trim().strip_prefix("#define")?.split_whitespace();
        match words.next()? {
            "MBEDTLS_SSL_MAX_CONTENT_LEN" | "MBEDTLS_SSL_IN_CONTENT_LEN" => {
                words.next()?.trim_matches(['(', ')']).parse().ok()
            }
            _ => None,
        }
    })
}
