//! The ClientHello as the lines of debug level 3 tell it, one field a line.
//!
//! ```text
//! client hello, max version: [3:3]
//! client hello, add ciphersuite: c02b
//! client hello, got 2 ciphersuites
//! client hello, adding server name extension: broker.test
//! client hello, total extension length: 41
//! ```

use super::attempt::Spot;
use super::pieces::{bracketed, hex_word};

/// Suites that are kept of the lines: there are about 350 in all. Of a longer list the count does not
/// fit, so that nothing is concluded from it.
const MOST_SUITES: usize = 1024;

/// The ClientHello as the lines of level 3 tell it.
#[derive(Debug, Clone, Default)]
pub(crate) struct HelloLines {
    /// Where it begins.
    pub begin: Option<usize>,
    /// It is the client that speaks, who writes it; a server reads one.
    pub written: bool,
    pub version: Option<(u8, u8)>,
    pub suites: Vec<u16>,
    /// How many suites the library counted; whether that includes markers depends on the version.
    pub count: Option<Spot<usize>>,
    pub marker: bool,
    pub extensions: Vec<u16>,
    pub server_name: Option<String>,
    pub groups: Vec<u16>,
    pub versions: Vec<u16>,
    pub schemes: Vec<u16>,
    /// The end of the extensions was told, so that what is not there was not sent.
    pub whole: bool,
    /// The client's clock, where it puts it into the random.
    pub clock: Option<Spot<u64>>,
    /// What was added was cut from a line.
    pub cut: bool,
    /// The suites are listed in decimal, as before 2.4.
    pub decimal: bool,
    /// Version in the header of the record.
    pub record: Option<(u8, u8)>,
}

impl HelloLines {
    /// Takes a line; `false` if it is not of the hello.
    pub fn take(&mut self, line: usize, text: &str) -> bool {
        let Some(what) = text.strip_prefix("client hello") else {
            return self.listed_line(text);
        };
        let what = what.trim_start_matches([',', ':', ' ']);
        self.begin.get_or_insert(line);
        if let Some(version) = what.strip_prefix("max version: ") {
            self.version = bracketed(version);
        } else if let Some(time) = what.strip_prefix("current time: ") {
            self.clock =
                time.trim().parse().ok().map(|value| Spot { value, line, quote: text.to_owned() });
        } else if let Some(suite) = what.strip_prefix("add ciphersuite: ") {
            let room = MOST_SUITES.saturating_sub(self.suites.len());
            self.suites.extend(suite_word(suite).into_iter().take(room));
            self.decimal |= is_decimal(suite);
        } else if let Some(count) = what.strip_prefix("got ") {
            let value = count.split(' ').next().and_then(|n| n.parse().ok());
            let suites = count.contains("ciphersuites") || count.contains("cipher suites");
            if let (Some(value), true) = (value, suites) {
                self.count = Some(Spot { value, line, quote: text.to_owned() });
            }
        } else if let Some(name) = what.strip_prefix("adding server name extension: ") {
            self.server_name = Some(name.trim().to_owned());
            self.extensions.push(0);
        } else if what == "adding" {
            self.cut = true;
        } else if let Some(name) = what.strip_prefix("adding ") {
            self.extensions.extend(extension(name));
        } else if what.starts_with("total extension length") {
            self.whole = true;
        }
        true
    }

    /// Lines of lists within the hello that do not begin with its name.
    fn listed_line(&mut self, text: &str) -> bool {
        if text.starts_with("adding EMPTY_RENEGOTIATION_INFO_SCSV") {
            self.marker = true;
        } else if let Some(group) = text.strip_prefix("got supported group(") {
            self.groups.extend(hex_word(group));
        } else if let Some(scheme) = text.strip_prefix("sent signature scheme [") {
            self.schemes.extend(hex_word(scheme.split(']').next().unwrap_or_default()));
        } else if let Some(version) = text.strip_prefix("supported version: ") {
            let code = bracketed(version).map(|(major, minor)| u16::from_be_bytes([major, minor]));
            self.versions.extend(code);
        } else {
            return false;
        }
        true
    }
}

/// The extension's type, from what the library calls it.
fn extension(name: &str) -> Option<u16> {
    let name = name.split([' ', ',']).next()?;
    Some(match name {
        "signature_algorithms" => 13,
        "encrypt_then_mac" => 22,
        "extended_master_secret" => 23,
        "session" => 35,
        "supported_elliptic_curves" | "supported_groups" => 10,
        "supported_point_formats" => 11,
        "max_fragment_length" => 1,
        "supported" => 43,
        "key" => 51,
        "psk_key_exchange_modes" => 45,
        _ => return None,
    })
}

/// Whether the number at the beginning has no `0x` and not four digits, and so is decimal.
fn is_decimal(text: &str) -> bool {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    end > 0 && end != 4 && text.len() == end
}

/// The number of a suite at the beginning: `c02b, TLS-...`, `0xc02b`, `( 1301 ) - TLS1-3-...`; before
/// 2.4 in decimal, `49195`, and no suite of those days has four decimal digits.
pub(super) fn suite_word(text: &str) -> Option<u16> {
    let text = text.trim_start_matches([' ', '(']);
    if is_decimal(text) { text.trim().parse().ok() } else { hex_word(text) }
}
