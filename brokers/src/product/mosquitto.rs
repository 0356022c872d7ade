//! Mosquitto's settings, mosquitto.conf(5).
//!
//! Its own settings have a lowest version and no highest, and no groups; both go through the
//! system-wide defaults that OpenSSL reads, config(5), from a file for this process alone.

use super::{Order, Product, ProductError, Recipe, find};
use crate::front::names::{groups_list, suite_names};
use suites::broker::ClientAuth;
use wire::tls::ProtocolVersion;

pub(super) fn recipe(order: &Order<'_>) -> Result<Recipe, ProductError> {
    let program = find(Product::Mosquitto, "mosquitto")?;
    let profile = order.profile;
    let (new, old) = suite_names(&profile.cipher_suites);
    let mut text = format!(
        "listener {} 127.0.0.1\ncertfile {}\nkeyfile {}\ntls_version {}\nallow_anonymous true\n\
         persistence false\nlog_type all\nlog_dest stderr\n",
        order.port,
        order.path("chain.pem"),
        order.path("key.pem"),
        version(profile.min_version).to_lowercase(),
    );
    for (key, names) in [("ciphers", old), ("ciphers_tls1.3", new)] {
        if !names.is_empty() {
            text.push_str(&format!("{key} {}\n", names.join(":")));
        }
    }
    if profile.client_auth != ClientAuth::None {
        let required = profile.client_auth == ClientAuth::Required;
        let authority = order.path("authority.pem");
        text.push_str(&format!("cafile {authority}\nrequire_certificate {required}\n"));
    }
    // Started by root it would become a user that cannot read its key.
    text.push_str("user root\n");
    order.write("mosquitto.conf", &text)?;
    let groups = groups_list(&profile.groups).unwrap_or_default();
    let defaults = format!(
        "openssl_conf = rig\n[rig]\nssl_conf = ssl\n[ssl]\nsystem_default = defaults\n[defaults]\n\
         CipherString = ALL:@SECLEVEL={}\nMinProtocol = {}\nMaxProtocol = {}\nGroups = {groups}\n",
        profile.security_level,
        version(profile.min_version),
        version(profile.max_version),
    );
    order.write("openssl.cnf", &defaults)?;
    Ok(Recipe {
        program,
        arguments: vec!["-c".into(), order.path("mosquitto.conf").into()],
        environment: vec![("OPENSSL_CONF", order.path("openssl.cnf").into())],
        ready: " running",
        before: None,
    })
}

/// As OpenSSL writes it; mosquitto's own settings have it in small letters.
fn version(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLS1_3 => "TLSv1.3",
        ProtocolVersion::TLS1_2 => "TLSv1.2",
        ProtocolVersion::TLS1_1 => "TLSv1.1",
        _ => "TLSv1",
    }
}
