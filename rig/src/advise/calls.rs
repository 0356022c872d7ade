//! What separates two client profiles, in the SDK's terms: one line for each call to be changed.

use suites::names::cipher_suite_name;
use suites::profile::{ClientCertificate, ClientHostName, ClientProfile};
use wire::message::{MaxFragmentLength, Preset, Verify};
use wire::tls::ProtocolVersion;

/// The calls with which an application that does what `from` says comes to do what `to` says.
#[must_use]
pub fn between(from: &ClientProfile, to: &ClientProfile) -> Vec<String> {
    let mut calls = Vec::new();
    let mut add = |differs: bool, call: &dyn Fn() -> String| {
        if differs {
            calls.push(call());
        }
    };
    add(from.preset != to.preset, &|| {
        let preset = match to.preset {
            Preset::Default => "MBEDTLS_SSL_PRESET_DEFAULT",
            Preset::SuiteB => "MBEDTLS_SSL_PRESET_SUITEB",
        };
        format!("use {preset} in mbedtls_ssl_config_defaults")
    });
    add(from.min_version != to.min_version, &|| version("min", to.min_version));
    add(from.max_version != to.max_version, &|| version("max", to.max_version));
    add(from.cipher_suites != to.cipher_suites, &|| match &to.cipher_suites {
        Some(list) => {
            let names: Vec<_> = list.iter().filter_map(|suite| cipher_suite_name(*suite)).collect();
            format!("call mbedtls_ssl_conf_ciphersuites with {}", names.join(", "))
        }
        None => "leave out mbedtls_ssl_conf_ciphersuites".to_owned(),
    });
    add(from.verify != to.verify || from.ca != to.ca, &|| {
        let mode = match to.verify {
            Verify::None => "MBEDTLS_SSL_VERIFY_NONE",
            Verify::Optional => "MBEDTLS_SSL_VERIFY_OPTIONAL",
            Verify::Required => "MBEDTLS_SSL_VERIFY_REQUIRED",
        };
        format!(
            "call mbedtls_ssl_conf_authmode with {mode}, and give mbedtls_ssl_conf_ca_chain the broker's CA"
        )
    });
    add(from.host_name != to.host_name, &|| {
        let call = match to.host_name {
            ClientHostName::NotSet => return "leave out mbedtls_ssl_set_hostname".to_owned(),
            ClientHostName::Null => "mbedtls_ssl_set_hostname(&ssl, NULL)",
            ClientHostName::Broker | ClientHostName::Wrong => {
                "mbedtls_ssl_set_hostname(&ssl, \"<broker's name>\")"
            }
        };
        format!("call {call} before the handshake")
    });
    add(from.max_fragment_length != to.max_fragment_length, &|| match to.max_fragment_length {
        MaxFragmentLength::Bytes(bytes) => {
            format!("call mbedtls_ssl_conf_max_frag_len with MBEDTLS_SSL_MAX_FRAG_LEN_{bytes}")
        }
        MaxFragmentLength::Off => {
            "call mbedtls_ssl_conf_max_frag_len with MBEDTLS_SSL_MAX_FRAG_LEN_NONE".to_owned()
        }
        MaxFragmentLength::AsSdk => "leave mbedtls_ssl_conf_max_frag_len as in the SDK".to_owned(),
    });
    for (name, from, to) in [
        ("extended_master_secret", from.extended_master_secret, to.extended_master_secret),
        ("encrypt_then_mac", from.encrypt_then_mac, to.encrypt_then_mac),
        ("session_tickets", from.session_tickets, to.session_tickets),
    ] {
        let word = if to { "on" } else { "off" };
        add(from != to, &|| format!("turn mbedtls_ssl_conf_{name} {word}"));
    }
    add(from.certificate != to.certificate, &|| {
        let kind = match to.certificate {
            ClientCertificate::None => return "leave out mbedtls_ssl_conf_own_cert".to_owned(),
            ClientCertificate::Ec => "with an EC key",
            _ => "with an RSA key",
        };
        format!(
            "give mbedtls_ssl_conf_own_cert a certificate {kind} that the broker's authority signed"
        )
    });
    add(from.psk != to.psk, &|| match to.psk {
        Some(_) => "call mbedtls_ssl_conf_psk with the broker's identity and key".to_owned(),
        None => "leave out mbedtls_ssl_conf_psk".to_owned(),
    });
    calls
}

/// Versions are numbered as SSL 3 with a minor number, RFC 5246 A.1.
fn version(which: &str, version: Option<ProtocolVersion>) -> String {
    let Some(version) = version else {
        return format!("leave out mbedtls_ssl_conf_{which}_version");
    };
    let minor = version.0 & 0xff;
    format!(
        "call mbedtls_ssl_conf_{which}_version(&conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_{minor})"
    )
}
