//! Which keys of the profiles predictions know, and which they do not.
//!
//! Both profiles are taken apart here without `..`, so a new key does not compile until somebody
//! has said what becomes of it: it is either listed among those that rules read, or a cell that
//! uses it has no prediction. No statement is better than a wrong one.

use super::{NoPrediction, Subject};
use crate::broker::{Authority, BrokerProfile, Certificate, Front, Validity};
use crate::profile::{ClientCa, ClientCertificate, ClientProfile};

/// The first key that is used and that no rule reads.
pub(super) fn check(subject: &Subject<'_>) -> Result<(), NoPrediction> {
    let unknown =
        |end, name: &str, key| Err(NoPrediction::UnknownKey { end, name: name.to_owned(), key });
    if let Some(key) = of_client(subject.profile) {
        return unknown("client profile", &subject.profile.name, key);
    }
    match of_broker(subject.broker) {
        Some(key) => unknown("broker", &subject.broker.name, key),
        None => Ok(()),
    }
}

/// The first of these that is used.
fn first<const N: usize>(keys: [(bool, &'static str); N]) -> Option<&'static str> {
    keys.into_iter().find_map(|(used, key)| used.then_some(key))
}

fn of_client(profile: &ClientProfile) -> Option<&'static str> {
    let ClientProfile {
        // Says nothing of the cell.
        name: _,
        summary: _,
        // Read by `setup`, `offer`, `client` and `certificate`.
        preset: _,
        min_version: _,
        max_version: _,
        cipher_suites: _,
        verify: _,
        host_name: _,
        max_fragment_length: _,
        // Seen in the ClientHello.
        extended_master_secret: _,
        encrypt_then_mac: _,
        session_tickets: _,
        // Read in part.
        ca,
        // Not read.
        reconnect,
        certificate,
        psk,
    } = profile;
    first([
        (*ca == ClientCa::Other, "ca = \"other\""),
        (*reconnect, "reconnect"),
        (*certificate != ClientCertificate::None, "certificate"),
        (psk.is_some(), "psk"),
    ])
}

fn of_broker(profile: &BrokerProfile) -> Option<&'static str> {
    let BrokerProfile {
        // Says nothing of the cell.
        name: _,
        summary: _,
        source: _,
        // Read by `offer`, `client` and `size`.
        min_version: _,
        max_version: _,
        cipher_suites: _,
        server_order: _,
        groups: _,
        suite_groups: _,
        dh_bits: _,
        client_auth: _,
        tickets: _,
        session_cache: _,
        encrypt_then_mac: _,
        extended_master_secret: _,
        on_reject: _,
        no_suite_alert: _,
        security_level: _,
        record_size: _,
        sni: _,
        host_name: _,
        max_fragment_length: _,
        // A client of ours never asks for another handshake.
        renegotiation: _,
        // Read in part.
        front,
        certificate,
        // Not read.
        signature_algorithms,
        psk,
        misbehave,
    } = profile;
    let product = match front {
        Front::Openssl | Front::Rustls => None,
        Front::Mosquitto => Some("front = \"mosquitto\""),
        Front::Rabbitmq => Some("front = \"rabbitmq\""),
        Front::Aedes => Some("front = \"aedes\""),
    };
    product.or_else(|| of_certificate(certificate)).or_else(|| {
        first([
            (signature_algorithms.is_some(), "signature_algorithms"),
            (psk.is_some(), "psk"),
            (misbehave.is_some(), "misbehave"),
        ])
    })
}

fn of_certificate(certificate: &Certificate) -> Option<&'static str> {
    let Certificate {
        // Read by `certificate` and `size`.
        key: _,
        issuer_key: _,
        hash: _,
        name: _,
        // Not read.
        pss,
        validity,
        authority,
        intermediates,
        message_bytes,
    } = certificate;
    first([
        (*pss, "certificate.pss"),
        (*validity != Validity::Now, "certificate.validity"),
        (*authority != Authority::Known, "certificate.authority"),
        (*intermediates > 0, "certificate.intermediates"),
        (message_bytes.is_some(), "certificate.message_bytes"),
    ])
}
