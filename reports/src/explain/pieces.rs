//! Pieces of a line in the library's own words: a state, an error that a function returned, numbers.

use wire::message::Phase;

/// What stands before a state: the library's words, and what programs print that step through the
/// handshake themselves.
const STATES: [&str; 3] = ["client state: ", "ssl->state = ", "ssl.state = "];

/// The state that a line says to have been entered, by number in 2.x and by name in 3.x.
pub(crate) fn state(text: &str) -> Option<Phase> {
    let word = STATES.into_iter().find_map(|words| Some(text.find(words)? + words.len()))?;
    let what = text.get(word..)?.trim();
    let word = what.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next()?;
    let name = word.strip_prefix("MBEDTLS_SSL_").unwrap_or(word);
    Some(match name {
        "0" | "HELLO_REQUEST" => Phase::HelloRequest,
        "1" | "CLIENT_HELLO" => Phase::ClientHello,
        "2" | "SERVER_HELLO" => Phase::ServerHello,
        "3" | "SERVER_CERTIFICATE" => Phase::ServerCertificate,
        "4" | "SERVER_KEY_EXCHANGE" => Phase::ServerKeyExchange,
        "5" | "CERTIFICATE_REQUEST" => Phase::CertificateRequest,
        "6" | "SERVER_HELLO_DONE" => Phase::ServerHelloDone,
        "7" | "CLIENT_CERTIFICATE" => Phase::ClientCertificate,
        "8" | "CLIENT_KEY_EXCHANGE" => Phase::ClientKeyExchange,
        "9" | "CERTIFICATE_VERIFY" | "CLIENT_CERTIFICATE_VERIFY" => Phase::CertificateVerify,
        "10" | "CLIENT_CHANGE_CIPHER_SPEC" => Phase::ClientChangeCipherSpec,
        "11" | "CLIENT_FINISHED" => Phase::ClientFinished,
        "12" | "SERVER_CHANGE_CIPHER_SPEC" => Phase::ServerChangeCipherSpec,
        "13" | "SERVER_FINISHED" => Phase::ServerFinished,
        "14" | "FLUSH_BUFFERS" => Phase::FlushBuffers,
        "15" | "HANDSHAKE_WRAPUP" => Phase::HandshakeWrapup,
        // 16 is the end; after it 2.x counts what TLS 1.2 added.
        "17" | "NEW_SESSION_TICKET" => Phase::NewSessionTicket,
        "ENCRYPTED_EXTENSIONS" => Phase::EncryptedExtensions,
        _ => return None,
    })
}

/// Whether a line is out of the library's header, in which people look up a number: it tells of no
/// connection.
pub(super) fn is_source(text: &str) -> bool {
    text.contains("#define") || text.contains("/**<")
}

/// `name() returned -29312 (-0x7280)`.
pub(super) fn returned(text: &str) -> Option<(&str, i32)> {
    let (function, rest) = text.split_once(" returned ")?;
    let (code, _) = rest.trim_end().split_once(" (")?;
    Some((function, code.trim().parse().ok()?))
}

/// `[3:3]`.
pub(super) fn bracketed(text: &str) -> Option<(u8, u8)> {
    let (major, rest) = text.trim().strip_prefix('[')?.split_once(':')?;
    Some((major.parse().ok()?, rest.split(']').next()?.parse().ok()?))
}

/// The hexadecimal number at the beginning, `c02b, TLS-...`.
pub(super) fn hex_word(text: &str) -> Option<u16> {
    let text = text.trim_start();
    let text = text.strip_prefix("0x").unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    if !(1..=4).contains(&end)
        || text.get(end..)?.starts_with(|c: char| c.is_alphanumeric() || c == '-')
    {
        return None;
    }
    u16::from_str_radix(text.get(..end)?, 16).ok()
}

/// The decimal numbers in a line.
pub(super) fn numbers(text: &str) -> impl Iterator<Item = u16> + '_ {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok())
}

/// The first byte of a CONNECT, MQTT 3.1.1 3.1.
pub(super) const CONNECT: u8 = 0x10;

/// A CONNECT with the protocol's name, whose first byte may have gone ahead.
pub(super) fn is_connect(payload: &[u8], begun: bool) -> bool {
    (begun || payload.first() == Some(&CONNECT))
        && payload.windows(4).take(8).any(|four| four == b"MQTT")
}
