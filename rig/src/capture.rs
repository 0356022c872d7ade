//! A live server as a broker profile: who is asked, what the file says of it.
//!
//! The asking is [`brokers::capture`]'s; here a name becomes an address and the answer a file.

use brokers::capture::{self, Bounds, CaptureError, Captured, Signer, Target};
use schemars::JsonSchema;
use serde::Serialize;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use suites::BrokerProfile;
use suites::broker::{NEVER_VISIBLE, UNSEEN_IN_TLS13};
use wire::tls::ProtocolVersion;

/// MQTT over TLS, in the IANA registry of ports.
const SECURE_MQTT: u16 = 8883;

/// A server as a user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Name or address.
    pub name: String,
    /// Port, 8883 if none is given.
    pub port: u16,
}

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// No port behind the colon.
    #[error(
        "{0:?} is no HOST:PORT: a port is a number from 1 to 65535; an IPv6 address goes in brackets"
    )]
    Port(String),
    /// A URL.
    #[error("{0:?} is a URL: leave out what stands before the host and after the port")]
    Url(String),
    /// The name is nobody's.
    #[error("cannot find {name:?}: {source}")]
    Lookup {
        /// The name.
        name: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// The name is known and has no address.
    #[error("{0:?} has no address")]
    NoAddress(String),
}

impl std::str::FromStr for Host {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if text.contains('/') {
            return Err(HostError::Url(text.to_owned()));
        }
        let wrong = || HostError::Port(text.to_owned());
        let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((name, "")) => (name, None),
            Some((name, rest)) => (name, Some(rest.strip_prefix(':').ok_or_else(wrong)?)),
            None => match text.split_once(':') {
                Some((_, rest)) if rest.contains(':') => return Err(wrong()),
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map_or(Ok(SECURE_MQTT), |port| port.parse().map_err(|_| wrong()))?;
        if name.is_empty() || port == 0 {
            return Err(wrong());
        }
        Ok(Self { name: name.to_owned(), port })
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

impl Host {
    /// The name to ask for in server_name, without the dot that a full name may end in; an address is
    /// none (RFC 6066 3).
    #[must_use]
    pub fn server_name(&self) -> Option<String> {
        let name = self.name.trim_end_matches('.');
        let names = name.parse::<IpAddr>().is_err() && may_name_a_host(name);
        names.then(|| name.to_owned())
    }

    /// Where it may listen.
    ///
    /// # Errors
    /// [`HostError`] if the name has no address.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>, HostError> {
        let found = (self.name.as_str(), self.port).to_socket_addrs();
        let name = self.name.clone();
        let found: Vec<_> = found.map_err(|source| HostError::Lookup { name, source })?.collect();
        if found.is_empty() { Err(HostError::NoAddress(self.name.clone())) } else { Ok(found) }
    }

    /// A file name for what is found out about it.
    #[must_use]
    pub fn file_stem(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '-' };
        let name: String = self.name.chars().map(plain).collect();
        format!("{}-{}", name.trim_start_matches(['.', '-']).to_lowercase(), self.port)
    }
}

/// Whether a server may be asked for by this name: what RFC 1123 2.1 allows, and the underscore that is
/// met as well.
#[must_use]
pub fn may_name_a_host(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=253).contains(&name.len()) && name.bytes().all(allowed)
}

/// Which of a server's faces, and what its profile is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The name to ask for.
    pub server_name: Option<String>,
    /// The kind of certificate to ask for, of a server with two.
    pub signer: Option<Signer>,
    /// Name of the profile.
    pub name: String,
}

/// A capture, with the file that it makes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct File {
    /// Which server.
    pub host: String,
    /// At which of its addresses.
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// Connections made.
    pub connections: u32,
    /// Questions that were answered only when they were asked again.
    pub repeated: u32,
    /// What could not be found out or cannot be replayed, each as `key: why`.
    pub unknown: Vec<String>,
    /// The profile.
    #[schemars(with = "serde_json::Value")]
    pub profile: BrokerProfile,
    /// The profile as the text of a file under `suites/brokers`.
    pub toml: String,
}

/// Asks the server at the first of its addresses that takes connections. `today` is the date that the
/// file bears.
///
/// # Errors
/// [`CaptureError`] says what was in the way.
pub fn capture(
    host: &Host,
    addresses: &[SocketAddr],
    wanted: Wanted,
    today: &str,
    bounds: Bounds,
    say: &mut dyn FnMut(&str),
) -> Result<File, CaptureError> {
    let Wanted { server_name, signer, name } = wanted;
    let version = env!("CARGO_PKG_VERSION");
    let mut target = Target {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        server_name,
        signer,
        name,
        summary: format!("{host} as it was on {today}"),
        source: String::new(),
    };
    let mut addresses = addresses.iter().peekable();
    while let Some(address) = addresses.next() {
        target.address = *address;
        // Behind a name there may be several servers, and others tomorrow.
        let at = if host.to_string() == address.to_string() {
            String::new()
        } else {
            format!(" at {address}")
        };
        target.source = format!(
            "`rig capture {host}`{at} on {today}, rig {version}. Keys and certificates of a replay are throw-away ones of the same kind and size."
        );
        match capture::capture(&target, bounds, say) {
            Err(CaptureError::Connect { .. }) if addresses.peek().is_some() => {}
            found => return found.map(|found| file(host, *address, found)),
        }
    }
    let source = std::io::ErrorKind::AddrNotAvailable.into();
    Err(CaptureError::Connect { address: target.address, source })
}

fn file(host: &Host, address: SocketAddr, found: Captured) -> File {
    let Captured { profile, unknown, connections, repeated } = found;
    let mut comments: Vec<_> = unknown.iter().map(|line| format!("unknown: {line}")).collect();
    comments.push(format!("never seen from outside: {}", NEVER_VISIBLE.join(", ")));
    if profile.min_version >= ProtocolVersion::TLS1_3 {
        comments.push(format!("not seen in TLS1.3 alone: {}", UNSEEN_IN_TLS13.join(", ")));
    }
    let wrapped = textwrap::Options::new(98).subsequent_indent("  ").break_words(false);
    let comments: Vec<_> = comments.iter().map(|text| textwrap::fill(text, &wrapped)).collect();
    let toml = profile.to_toml(&comments);
    File { host: host.to_string(), address, connections, repeated, unknown, profile, toml }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_in_every_usual_way() {
        for (text, name, port) in [
            ("broker.test", "broker.test", 8883),
            ("broker.test:443", "broker.test", 443),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("[::1]", "::1", 8883),
            ("[::1]:8884", "::1", 8884),
        ] {
            let host: Host = text.parse().unwrap();
            assert_eq!((&*host.name, host.port), (name, port), "{text}");
            assert_eq!(host.server_name().is_some(), name == "broker.test");
        }
        let full: Host = "broker.test.:1".parse().unwrap();
        assert_eq!(full.server_name().as_deref(), Some("broker.test"));
        assert_eq!("ü.test".parse::<Host>().unwrap().server_name(), None);
        for text in [
            "",
            ":8883",
            "a:",
            "a:0",
            "a:65536",
            "::1",
            "[::1]8883",
            "a:b",
            "mqtts://a:8883",
            "../etc:1",
        ] {
            assert!(text.parse::<Host>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_name_leaves_no_folder() {
        let stem = |text: &str| text.parse::<Host>().unwrap().file_stem();
        assert_eq!(stem("Broker.Test:8883"), "broker.test-8883");
        assert_eq!(stem("[fe80::1]:2"), "fe80--1-2");
    }
}
