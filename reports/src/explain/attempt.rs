//! One connection as the lines of a log tell it, line by line.
//!
//! The library says the same at four debug levels, each with more in it: at 1 errors alone, at 2 the
//! states of the handshake, at 3 what is in the messages, at 4 the bytes. Each line that says
//! something becomes a field here; the other lines are passed over.

use super::certificate::PeerCertificates;
use super::dump::Dump;
use super::errors::is_known;
use super::hello::{HelloLines, suite_word};
use super::pieces::{CONNECT, bracketed, is_connect, is_source, numbers, returned, state};
use super::words::Said;
use crate::diagnosis::facts::{self, Unoffered};
use suites::outcome::AlertSeen;
use wire::message::Phase;

/// Something said, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot<T> {
    /// What.
    pub value: T,
    /// In which line of the log, from 1.
    pub line: usize,
    /// The line's own words.
    pub quote: String,
}

/// `MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET` of 3.x. In 2.x the number is an error of the
/// handshake's.
const TICKET: i32 = -0x7b00;

/// `MBEDTLS_ERR_SSL_TIMEOUT`.
const TIMEOUT: i32 = -0x6800;

impl Spot<()> {
    fn with<T>(&self, value: T) -> Option<Spot<T>> {
        Some(Spot { value, line: self.line, quote: self.quote.clone() })
    }
}

/// Bytes that are kept of each direction: a handshake has less, and a log may be endless.
const MOST_BYTES: usize = 1 << 17;

/// One connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempt {
    /// What the lines of the ClientHello say, one by one.
    pub hello: HelloLines,
    /// Records as dumped, in each direction.
    pub sent: Vec<u8>,
    pub received: Vec<u8>,
    /// Bytes are missing among those received: what follows is no record's beginning.
    pub torn: bool,
    /// Lines of the first dump of the client's.
    pub sent_line: Option<usize>,
    /// The last state that was entered.
    pub state: Option<Spot<Phase>>,
    /// An error that the library itself returned, and one that the application printed.
    pub error: Option<Spot<i32>>,
    pub told: Option<Spot<i32>>,
    /// The certificate's check failed, in this line.
    pub unverified: Option<Spot<i32>>,
    /// Something of the handshake went on after that.
    pub went_on: bool,
    /// Verify flags, all of them.
    pub flags: Option<Spot<u32>>,
    /// Verify flags in words, of which there may be more.
    pub words: Vec<Spot<u32>>,
    /// A fatal alert that came, and one that was sent.
    pub alert_in: Option<Spot<u8>>,
    pub alert_out: Option<Spot<u8>>,
    /// A warning that came.
    pub warning: Option<Spot<u8>>,
    /// Nothing came any more: `recv` returned 0.
    pub end: Option<Spot<()>>,
    /// `recv` gave some bytes of a record, and then its end.
    pub cut: bool,
    /// Header of the last record that came: type, version, body length.
    pub header: Option<Spot<[u16; 4]>>,
    /// How many records came.
    pub records: usize,
    /// A record was refused: for its type, its version or its length.
    pub refused: Option<Spot<Refused>>,
    /// A message that is longer than its record: bytes there, and in all.
    pub fragmented: Option<Spot<(usize, usize)>>,
    /// The suite that the broker chose.
    pub suite: Option<Spot<u16>>,
    /// A ServerHello was read to its end.
    pub chose: bool,
    /// The broker asked for a certificate.
    pub asked: Option<Spot<bool>>,
    /// The client showed one.
    pub shown: Option<bool>,
    /// ServerKeyExchange is signed with a hash that the client did not offer.
    pub unoffered: Option<Spot<Unoffered>>,
    pub peer: PeerCertificates,
    /// The handshake is over, in this line.
    pub over: Option<Spot<()>>,
    /// `mbedtls_ssl_handshake` came back in this line, for all that is known only because nothing has
    /// come yet: it says the same then, and prints no error.
    back: Option<Spot<()>>,
    /// The application reads or writes since.
    used: bool,
    /// Calls of the application's that came back, once it was: writes, reads, and writes after the
    /// first read.
    pub writes: usize,
    pub reads: usize,
    pub writes_after_read: usize,
    /// The return code in CONNACK.
    pub connack: Option<Spot<u8>>,
    /// The application said CONNECT.
    pub connect: bool,
    /// Only the first byte of it so far: mbedTLS sends one byte ahead under CBC in TLS 1.0.
    begun: bool,
    /// The first byte of application data that came after it.
    pub answered: Option<Spot<u8>>,
    /// What the rig's own DUT says that became of MQTT.
    pub mqtt: Option<Spot<&'static str>>,
    /// The context was freed.
    pub freed: bool,
    /// What became of the connection before TLS, as the application tells it.
    pub network: Option<Spot<&'static str>>,
    /// The client had no more time, as the application tells it.
    pub late: Option<Spot<()>>,
    /// The application said that the handshake failed.
    pub failed: Option<Spot<()>>,
    /// These lines are a server's.
    pub server: Option<Spot<()>>,
    /// These lines are of DTLS.
    pub datagrams: bool,
    /// The log is about TLS; an application's number may be an error of the library's.
    pub spoken: bool,
    /// The log speaks of MQTT, or of another protocol over TLS.
    pub of_mqtt: bool,
    pub of_another: bool,
    /// Another library than mbedTLS, which had a line in the log.
    pub stranger: Option<Spot<&'static str>>,
    /// How to get more out of the SDK that wrote the log.
    pub hint: Option<&'static str>,
    /// The application said that it gives this connection up.
    pub gave_up: bool,
    /// A session ticket was read to its end.
    ticket: bool,
    /// The check of the certificate failed, and the library did nothing since.
    refusing: bool,
    dump: Option<(Dump, usize)>,
    have: usize,
}

/// Why a record was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Type,
    MajorVersion,
    MinorVersion,
    Length,
}

impl Attempt {
    /// The next one in the same log.
    pub fn after(last: &Self) -> Self {
        Self {
            spoken: last.spoken,
            of_mqtt: last.of_mqtt,
            of_another: last.of_another,
            stranger: last.stranger.clone(),
            hint: last.hint,
            ..Self::default()
        }
    }

    /// Whether anything of a connection was told.
    pub fn is_empty(&self) -> bool {
        self.told.is_none() && self.is_empty_but_for_told()
    }

    fn is_empty_but_for_told(&self) -> bool {
        self.state.is_none()
            && self.error.is_none()
            && self.alert_in.is_none()
            && self.over.is_none()
            && self.hello.begin.is_none()
            && self.unverified.is_none()
            && self.flags.is_none()
            && self.words.is_empty()
            && self.connack.is_none()
            && self.mqtt.is_none()
            && self.sent.is_empty()
            && self.network.is_none()
            && self.late.is_none()
            && self.server.is_none()
    }

    /// Whether nothing of it is known but an error that somebody told.
    pub fn is_hearsay(&self) -> bool {
        self.told.is_some() && self.is_empty_but_for_told()
    }

    /// Whether it is told how it ended.
    pub fn has_end(&self) -> bool {
        self.error.is_some()
            || self.told.is_some()
            || self.over.is_some()
            || self.unverified.is_some()
            || self.network.is_some()
            || self.late.is_some()
            || self.failed.is_some()
    }

    /// Whether the lines are a server's, and of no client.
    pub fn is_servers(&self) -> bool {
        self.server.is_some() && self.state.is_none() && !self.hello.written
    }

    /// Whether a line begins another connection.
    pub fn is_over_before(&self, text: &str, librarys: bool) -> bool {
        if !librarys && self.is_told_over(text) {
            return true;
        }
        let begins = state(text) == Some(Phase::HelloRequest)
            || (text.contains("=> write client hello")
                && self.hello.begin.is_some()
                && self.has_end());
        begins
            && (self.has_end()
                || self.freed
                || self.state.as_ref().is_some_and(|s| s.value > Phase::ClientHello))
    }

    /// The debug level, from what is there, where the application does not print it.
    pub fn guessed_level(&self) -> Option<u8> {
        if !self.sent.is_empty() || !self.received.is_empty() {
            Some(4)
        } else if self.hello.version.is_some() || self.header.is_some() {
            Some(3)
        } else if self.state.is_some() {
            Some(2)
        } else {
            self.error.as_ref().map(|_| 1)
        }
    }

    pub fn fatal_alert_from_broker(&self) -> Option<AlertSeen> {
        self.alert_in.as_ref().map(|alert| facts::from_broker(alert.value))
    }

    pub fn unoffered_hash(&self) -> Option<Unoffered> {
        self.unoffered.as_ref().map(|spot| spot.value)
    }

    /// Takes what line `line` of the log says. A dump may be interrupted by lines of others, but not
    /// by one that is known to be the library's.
    pub fn take(&mut self, line: usize, text: &str, librarys: bool) {
        if self.take_dump(line, text, librarys) {
            return;
        }
        let spot = || Spot { value: (), line, quote: text.to_owned() };
        // The library's own words say what a line of the library is about.
        let said = if librarys { Said::default() } else { Said::of(text) };
        if !librarys && is_source(text) {
            return;
        }
        if said.server {
            self.server.get_or_insert_with(spot);
        }
        self.datagrams |=
            said.datagrams || text.contains("[254:") || text.contains("hello verify request");
        self.spoken |= librarys;
        self.of_mqtt |= said.of_mqtt;
        self.of_another |= said.of_another;
        self.stranger = self
            .stranger
            .take()
            .or_else(|| said.stranger.map(|value| Spot { value, line, quote: text.to_owned() }));
        self.hint = self.hint.or(said.hint);
        if let Some(phase) = state(text) {
            self.enter(phase, line, text);
        } else if let Some(name) = text.strip_prefix("=> ") {
            self.begins(name, line);
        } else if let Some(name) = text.strip_prefix("<= ") {
            self.ends(name, &spot());
        } else if text.contains("handshake: done") {
            self.over.get_or_insert_with(spot);
        } else if let Some((function, code)) = returned(text) {
            self.returned(function, code, &spot());
        } else if !(self.hello.take(line, text)
            || self.record_line(line, text)
            || self.alert_line(line, text))
        {
            self.other_line(line, text, &said);
        }
    }

    /// Bytes of a dump; `true` if the line was of one.
    fn take_dump(&mut self, line: usize, text: &str, librarys: bool) -> bool {
        if let Some(dump) = Dump::begin(text) {
            self.finish_dump();
            self.dump = Some((dump, line));
            return true;
        }
        let Some((dump, _)) = &mut self.dump else { return false };
        if dump.row(text) {
            if dump.is_whole() {
                self.finish_dump();
            }
            return true;
        }
        if librarys {
            self.finish_dump();
        }
        false
    }

    /// What a dump was of.
    pub fn finish_dump(&mut self) {
        let Some((dump, line)) = self.dump.take() else { return };
        // Content type, then a version that counts down: the header of a record of DTLS.
        self.datagrams |= dump.name.contains("put record")
            && matches!(*dump.bytes, [20..=25, 0xfe, 0xfd | 0xff, ..]);
        let sent = dump.name == "output record sent to network";
        let room =
            MOST_BYTES.saturating_sub(if sent { self.sent.len() } else { self.received.len() });
        match dump.name.as_str() {
            "output record sent to network" => {
                self.sent_line.get_or_insert(line);
                self.sent.extend(dump.bytes.into_iter().take(room));
            }
            "input record from network" => {
                self.torn |= !dump.is_whole();
                self.received.extend(dump.bytes.into_iter().take(room));
            }
            "before encrypt: output payload" => {
                self.connect |= is_connect(&dump.bytes, self.begun);
                self.begun = *dump.bytes == [CONNECT];
            }
            "input payload after decrypt" if self.over.is_some() => {
                if let [0x20, 0x02, 0 | 1, code, ..] = *dump.bytes {
                    let quote =
                        format!("CONNACK with return code {code} in the payload after decryption");
                    self.connack.get_or_insert(Spot { value: code, line, quote });
                }
                let data = self.header.as_ref().is_some_and(|header| header.value[0] == 23);
                if let (Some(&first), true, true) = (dump.bytes.first(), self.connect, data) {
                    let quote = format!("application data begins with {first:#04x} after CONNECT");
                    self.answered.get_or_insert(Spot { value: first, line, quote });
                }
            }
            _ => {}
        }
    }

    fn enter(&mut self, phase: Phase, line: usize, text: &str) {
        self.refusing = false;
        self.went_on |= self.unverified.is_some();
        // An error that the handshake went on from was none.
        if self.unverified.is_some() {
            self.error = None;
        }
        self.state = Some(Spot { value: phase, line, quote: text.to_owned() });
    }

    fn begins(&mut self, name: &str, line: usize) {
        self.goes_on(name);
        match name {
            "write client hello" => {
                self.hello.begin.get_or_insert(line);
                self.hello.written = true;
            }
            "free" => self.freed = true,
            // An application calls again after a number of its own that means: nothing there yet.
            "handshake" if self.error.as_ref().is_some_and(|spot| !is_known(-spot.value)) => {
                self.error = None;
            }
            // Who sends an alert over a certificate does not go on.
            "send alert message" if self.refusing && self.error.is_none() => {
                self.error = self.unverified.clone();
            }
            _ => {}
        }
        self.refusing = false;
    }

    /// Whether what `mbedtls_ssl_handshake` came back from is over: not if it is called again, which
    /// reading and writing do as well; but if they do anything else.
    fn goes_on(&mut self, name: &str) {
        match name {
            "handshake" => (self.back, self.used) = (None, false),
            "read" | "write" if !self.used => self.used = self.back.is_some(),
            _ if self.used => self.over = self.over.take().or(self.back.take()),
            _ => {}
        }
    }

    fn ends(&mut self, name: &str, spot: &Spot<()>) {
        self.refusing = false;
        self.goes_on(name);
        match name {
            "parse new session ticket" => self.ticket = true,
            "parse server hello" => self.chose = self.error.is_none(),
            // `mbedtls_ssl_handshake` ends with the same line if the certificate was refused.
            "handshake wrapup" | "handshake"
                if self.error.is_none() && (self.unverified.is_none() || self.went_on) =>
            {
                let last = self.state.as_ref().is_some_and(|s| s.value == Phase::HandshakeWrapup);
                if last || name == "handshake wrapup" {
                    self.over.get_or_insert_with(|| spot.clone());
                } else {
                    self.back = Some(spot.clone());
                }
            }
            "write" if self.over.is_some() && self.error.is_none() => {
                self.writes += 1;
                self.writes_after_read += usize::from(self.reads > 0);
            }
            "read" if self.over.is_some() && self.error.is_none() => self.reads += 1,
            "skip parse certificate request" => self.asked = spot.with(false),
            _ => {}
        }
    }

    fn returned(&mut self, function: &str, code: i32, spot: &Spot<()>) {
        let at = |value| Spot { value, line: spot.line, quote: spot.quote.clone() };
        if function.contains("f_recv") {
            if code == 0 {
                self.end = Some(spot.clone());
                self.cut = self.have > 0;
            } else if code < 0 && !super::numbers::is_try_again(code) && !self.waits(code) {
                self.error = Some(at(code));
            }
        } else if code == TICKET && (self.over.is_some() || self.ticket) {
            // No error: a ticket came where data was due, which is after the handshake.
            self.over.get_or_insert_with(|| spot.clone());
        } else if function.contains("x509_verify_cert") && code < 0 {
            self.unverified = Some(at(code));
            self.refusing = true;
        } else if code < 0 && !super::numbers::is_try_again(code) && !function.contains("f_send") {
            self.error = Some(at(code));
        }
    }

    /// In DTLS the end of a wait is no error: what was said is said again, RFC 6347 4.2.4.
    fn waits(&self, code: i32) -> bool {
        code == TIMEOUT && self.datagrams
    }

    /// Lines about records and messages.
    fn record_line(&mut self, line: usize, text: &str) -> bool {
        let refused = |why| Some(Spot { value: why, line, quote: text.to_owned() });
        if let Some(rest) = text.strip_prefix("input record: msgtype = ") {
            let numbers: Vec<u16> = numbers(rest).collect();
            if let [kind, major, minor, length] = *numbers {
                self.header = Some(Spot {
                    value: [kind, major, minor, length],
                    line,
                    quote: text.to_owned(),
                });
                self.records += 1;
            }
        } else if let Some(rest) = text.strip_prefix("output record: msgtype = ") {
            let numbers: Vec<u16> = numbers(rest).collect();
            if let [22, _, _, length] = *numbers
                && self.state.as_ref().is_some_and(|state| state.value == Phase::ClientCertificate)
            {
                // Header and length of the list: an empty list is what a client without one sends.
                self.shown.get_or_insert(length > 7);
                if self.asked.as_ref().is_none_or(|asked| !asked.value) {
                    self.asked = Some(Spot { value: true, line, quote: text.to_owned() });
                }
            }
            if let [22, major, minor, _] = *numbers {
                let pair = (u8::try_from(major).ok(), u8::try_from(minor).ok());
                if let ((Some(major), Some(minor)), None) = (pair, self.hello.record) {
                    self.hello.record = Some((major, minor));
                }
            }
        } else if let Some(rest) = text.strip_prefix("handshake message: msglen = ") {
            let numbers: Vec<u16> = numbers(rest).collect();
            if let [there, _, whole] = *numbers
                && whole > there
            {
                self.fragmented = Some(Spot {
                    value: (there.into(), whole.into()),
                    line,
                    quote: text.to_owned(),
                });
            }
            if numbers.get(1) == Some(&2) {
                self.chose = true;
            }
        } else if text.starts_with("in_left: ") {
            self.have = numbers(text).next().unwrap_or(0).into();
        } else if text.contains("unknown record type") {
            self.refused = refused(Refused::Type);
        } else if text.contains("major version mismatch") {
            self.refused = refused(Refused::MajorVersion);
        } else if text.contains("minor version mismatch") {
            self.refused = refused(Refused::MinorVersion);
        } else if text.contains("bad message length")
            || text.contains("requesting more data than fits")
        {
            self.refused = refused(Refused::Length);
        } else if let Some(rest) = text.strip_prefix("server hello, chosen ciphersuite: ") {
            self.chose = true;
            if let Some(suite) = suite_word(rest) {
                self.suite = Some(Spot { value: suite, line, quote: text.to_owned() });
            }
        } else if text.starts_with("Server used unsupported HashAlgorithm ")
            || (text.starts_with("server used HashAlgorithm ") && text.ends_with("not offered"))
        {
            let hash = numbers(text).next().and_then(|hash| u8::try_from(hash).ok());
            self.unoffered = Some(Spot { value: Unoffered { hash }, line, quote: text.to_owned() });
        } else {
            return false;
        }
        true
    }

    fn alert_line(&mut self, line: usize, text: &str) -> bool {
        let spot = |value| Some(Spot { value, line, quote: text.to_owned() });
        if let Some(rest) = text.strip_prefix("got an alert message, type: ") {
            if let Some((1, code)) = bracketed(rest) {
                self.warning = spot(code);
            }
        } else if let Some(rest) = text.strip_prefix("is a fatal alert message (msg ") {
            let code = numbers(rest).next().and_then(|code| u8::try_from(code).ok());
            self.alert_in = code.and_then(spot);
        } else if let Some(rest) = text.strip_prefix("send alert level=2 message=") {
            let code = numbers(rest).next().and_then(|code| u8::try_from(code).ok());
            self.alert_out = code.and_then(spot);
        } else {
            return false;
        }
        true
    }

    fn other_line(&mut self, line: usize, text: &str, said: &Said) {
        let spot = |value| Some(Spot { value, line, quote: text.to_owned() });
        if let Some(flags) = text.strip_prefix("! Certificate verification flags ") {
            self.flags =
                u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).ok().and_then(spot);
        } else if text.contains("got no certificate request") {
            self.asked = Some(Spot { value: false, line, quote: text.to_owned() });
        } else if text.contains("got a certificate request") {
            self.asked = Some(Spot { value: true, line, quote: text.to_owned() });
        } else if text.contains("no certificate to send") {
            self.shown = Some(false);
        } else if text.contains("own certificate #1") {
            self.shown = Some(true);
        } else if text.contains("TLS handshake fragmentation not supported")
            && self.fragmented.is_none()
        {
            self.fragmented = Some(Spot { value: (0, 0), line, quote: text.to_owned() });
        } else if !self.peer.take(line, text) {
            self.take_told(line, text, said);
        }
    }
}
