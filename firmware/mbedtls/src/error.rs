//! The library's errors, by number and by the library's own name.

use core::fmt;

include!(concat!(env!("OUT_DIR"), "/error_names.rs"));

/// A return code of the library.
///
/// Prints as the number and the name, for example `-0x7280 MBEDTLS_ERR_SSL_CONN_EOF`. A code may
/// join a high-level error (bits 7 to 14) and a low-level one (bits 0 to 6); both are named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(pub i32);

impl Error {
    /// Not the library's, whose errors end at -0x7FFF: the rig gave the cell up, and the link told
    /// the library so.
    pub const ABORTED: Self = Self(-0x1_0000);
    /// `MBEDTLS_ERR_NET_CONN_RESET`: what `mbedtls_net_recv` answers after a reset.
    pub const CONNECTION_RESET: Self = Self(-0x0050);
    /// `MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY`.
    pub const PEER_CLOSE_NOTIFY: Self = Self(-0x7880);
    /// `MBEDTLS_ERR_SSL_CONN_EOF`.
    pub const CONN_EOF: Self = Self(-0x7280);
    /// `MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE`.
    pub const FEATURE_UNAVAILABLE: Self = Self(-0x7080);
    /// `MBEDTLS_ERR_SSL_ALLOC_FAILED`.
    pub const ALLOC_FAILED: Self = Self(-0x7F00);

    fn name_of(number: i32) -> Option<&'static str> {
        NAMES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0.unsigned_abs().cast_signed();
        write!(f, "-0x{number:04X} ")?;
        if *self == Self::ABORTED {
            return f.write_str("(given up by the rig)");
        }
        if let Some(name) = Self::name_of(number) {
            return f.write_str(name);
        }
        let (high, low) = (Self::name_of(number & !0x7f), Self::name_of(number & 0x7f));
        match (high, low) {
            (Some(high), Some(low)) => write!(f, "{high} + {low}"),
            (Some(name), None) | (None, Some(name)) => f.write_str(name),
            (None, None) => f.write_str("(no name in this version of mbedTLS)"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::Error;
    use alloc::string::ToString;

    #[test]
    fn errors_print_number_and_name() {
        for (code, text) in [
            (-0x7280, "-0x7280 MBEDTLS_ERR_SSL_CONN_EOF"),
            (-0x0050, "-0x0050 MBEDTLS_ERR_NET_CONN_RESET"),
            (-0x2700, "-0x2700 MBEDTLS_ERR_X509_CERT_VERIFY_FAILED"),
            (-0x262e, "-0x262E MBEDTLS_ERR_X509_UNKNOWN_SIG_ALG + MBEDTLS_ERR_OID_NOT_FOUND"),
            (-0x1_0000, "-0x10000 (given up by the rig)"),
            (-0x5001, "-0x5001 (no name in this version of mbedTLS)"),
        ] {
            assert_eq!(Error(code).to_string(), text);
        }
    }
}
