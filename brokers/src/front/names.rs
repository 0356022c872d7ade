//! Suites, groups and signature schemes as OpenSSL names them in its lists.

use super::FrontError;
use openssl::ssl;
use suites::broker::is_tls13;
use suites::names::{cipher_suite_name, group_name, signature_scheme_name};
use wire::tls::{CipherSuite, NamedGroup};

/// OpenSSL's names of suites, those of TLS 1.3 first and apart, for programs that take them so.
pub(crate) fn suite_names(suites: &[CipherSuite]) -> (Vec<&'static str>, Vec<&'static str>) {
    let named = |suite: &CipherSuite| cipher_suite_name(*suite).map(|name| (*suite, name));
    let (new, old): (Vec<_>, Vec<_>) =
        suites.iter().filter_map(named).partition(|(suite, _)| is_tls13(*suite));
    let new = new.into_iter().map(|(_, name)| name).collect();
    (new, old.into_iter().map(|(_, name)| ssl::cipher_name(name)).collect())
}

pub(crate) fn groups_list(groups: &[NamedGroup]) -> Result<String, FrontError> {
    let name = |group: &NamedGroup| {
        group_name(*group).ok_or_else(|| super::with_openssl::unsupported(format!("group {group}")))
    };
    Ok(groups.iter().map(name).collect::<Result<Vec<_>, _>>()?.join(":"))
}

pub(crate) fn schemes_list(schemes: &[u16]) -> Result<String, FrontError> {
    let name = |scheme: &u16| {
        let unknown =
            || super::with_openssl::unsupported(format!("signature scheme {scheme:#06x}"));
        // OpenSSL has had these two longer than TLS 1.3 has had names for them.
        match signature_scheme_name(*scheme) {
            Some("rsa_pkcs1_sha1") => Ok("RSA+SHA1"),
            Some("ecdsa_sha1") => Ok("ECDSA+SHA1"),
            name => name.ok_or_else(unknown),
        }
    };
    Ok(schemes.iter().map(name).collect::<Result<Vec<_>, _>>()?.join(":"))
}
