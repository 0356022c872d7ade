//! Which keys of the profiles predictions know, and which they do not.
//!
//! Both profiles are taken apart here without `..`, so a new key does not compile until somebody
//! has said what becomes of it: it is either listed among those that rules read, or a cell that
//! uses it has no prediction. No statement is better than a wrong one.

use super::{NoPrediction, Subject, misbehave};
use crate::broker::{BrokerProfile, Certificate, ClientAuth, Front};
use crate::profile::{ClientCertificate, ClientProfile};

/// The first key that is used and that no rule reads, or not in this company.
pub(super) fn check(subject: &Subject<'_>) -> Result<(), NoPrediction> {
    let (profile, broker) = (subject.profile, subject.broker);
    let unknown =
        |end, name: &str, key| Err(NoPrediction::UnknownKey { end, name: name.to_owned(), key });
    if let Some(key) = of_client(profile, broker) {
        return unknown("client profile", &profile.name, key);
    }
    match of_broker(broker) {
        Some(key) => unknown("broker", &broker.name, key),
        None => Ok(()),
    }
}

/// The first of these that is used.
fn first<const N: usize>(keys: [(bool, &'static str); N]) -> Option<&'static str> {
    keys.into_iter().find_map(|(used, key)| used.then_some(key))
}

fn of_client(profile: &ClientProfile, broker: &BrokerProfile) -> Option<&'static str> {
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
        ca: _,
        reconnect: _,
        // Read in part.
        certificate,
        psk,
    } = profile;
    let asked = broker.client_auth != ClientAuth::None;
    let shows = *certificate != ClientCertificate::None;
    // What the two of them say to a stranger's certificate was never seen.
    let own_stack = matches!(broker.front, Front::Rabbitmq);
    let differs = match (psk, &broker.psk) {
        (Some(ours), Some(theirs)) => {
            ours.identity != theirs.identity || Some(&ours.key) != theirs.key_bytes().as_ref()
        }
        _ => false,
    };
    first([
        (shows && asked && own_stack, "certificate beside a RabbitMQ that asks for it"),
        (differs, "psk beside a broker that has another one"),
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
        psk: _,
        signature_algorithms: _,
        // A client of ours never asks for another handshake.
        renegotiation: _,
        // Read by `offer`: all but rustls and RabbitMQ go OpenSSL's way.
        front: _,
        // Read in part.
        certificate,
        misbehave,
    } = profile;
    of_certificate(certificate, profile).or_else(|| misbehave.and_then(misbehave::unknown))
}

fn of_certificate(certificate: &Certificate, broker: &BrokerProfile) -> Option<&'static str> {
    let Certificate {
        // Read by `certificate` and `size`.
        key: _,
        issuer_key: _,
        hash: _,
        name: _,
        validity: _,
        authority: _,
        message_bytes: _,
        intermediates: _,
        // Read in part.
        pss,
    } = certificate;
    // `size` takes its signature for a PKCS #1 one.
    first([(*pss && broker.record_size < 4096, "certificate.pss beside a short record_size")])
}
