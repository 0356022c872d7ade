//! The broker's certificates as the library prints them at debug level 3.
//!
//! ```text
//! peer certificate #1:
//! subject name      : CN=broker.test
//! issued  on        : 2020-01-01 00:00:00
//! signed using      : RSA with SHA-256
//! RSA key size      : 2048 bits
//! subject alt name  : broker.test
//! ```

/// What was printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PeerCertificates {
    /// One by one, the broker's own first.
    pub list: Vec<Printed>,
}

/// One certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Printed {
    /// Line in which it begins.
    pub line: usize,
    pub subject: Option<String>,
    pub issuer: Option<String>,
    pub issued: Option<String>,
    pub expires: Option<String>,
    /// `RSA with SHA-256`.
    pub signed: Option<String>,
    /// Bits of its RSA key.
    pub rsa_bits: Option<u32>,
    /// Host names in it.
    pub names: Vec<String>,
}

/// More certificates than any chain has.
const MOST: usize = 64;

impl PeerCertificates {
    /// Takes a line; `false` if it is not of a certificate.
    pub fn take(&mut self, line: usize, text: &str) -> bool {
        if let Some(rest) = text.strip_prefix("peer certificate #") {
            let number: usize = rest.trim_end_matches(':').parse().unwrap_or(0);
            if number == 1 {
                self.list.clear();
            }
            if self.list.len() < MOST {
                self.list.push(Printed { line, ..Printed::default() });
            }
            return true;
        }
        let Some(last) = self.list.last_mut() else { return false };
        let Some((key, value)) = text.split_once(" : ").or_else(|| text.split_once(": ")) else {
            return text.trim_end().ends_with(" :");
        };
        let value = value.trim().to_owned();
        // The library pads the keys to one width, and a paste may fold the spaces. A program without
        // file and line may still put something before them.
        let folded = key.split_whitespace().collect::<Vec<_>>().join(" ");
        match folded.rsplit(": ").next().unwrap_or_default() {
            "subject name" => last.subject = Some(value),
            "issuer name" => last.issuer = Some(value),
            "issued on" => last.issued = Some(value),
            "expires on" => last.expires = Some(value),
            "signed using" => last.signed = Some(value),
            // Without the word the number may be cut.
            "RSA key size" => {
                last.rsa_bits = value.strip_suffix(" bits").and_then(|bits| bits.parse().ok())
            }
            "subject alt name" => {
                last.names.extend(value.split(", ").filter(|n| !n.is_empty()).map(str::to_owned))
            }
            "dNSName" => last.names.push(value),
            "cert. version" | "serial number" | "basic constraints" | "key usage"
            | "ext key usage" | "EC key size" | "cert. type" => {}
            _ => return false,
        }
        true
    }

    /// Whether one of the names in the broker's own certificate is `name`; `None` if it is not known.
    pub fn holds(&self, name: &str) -> Option<bool> {
        let first = self.list.first()?;
        if first.names.is_empty() {
            return None;
        }
        let name = name.to_ascii_lowercase();
        Some(first.names.iter().any(|held| {
            let held = held.to_ascii_lowercase();
            // RFC 6125 6.4.3: a star stands for one label.
            held == name
                || held.strip_prefix("*.").is_some_and(|parent| {
                    name.split_once('.').is_some_and(|(_, rest)| rest == parent)
                })
        }))
    }
}
