//! Which keys of the profiles predictions know, and which they do not.
//!
//! Both profiles are taken apart here without `..`, so a new key does not compile until somebody
//! has said what becomes of it: it is either listed among those that rules read, or a cell that
//! uses it has no prediction. No statement is better than a wrong one.

use super::certificate::MAX_INTERMEDIATES;
use super::{NoPrediction, Subject, misbehave};
use crate::broker::{BrokerProfile, Certificate, ClientAuth};
use crate::profile::{ClientCa, ClientCertificate, ClientProfile};
use wire::message::Verify;

/// The first key that is used and that no rule reads, or not in this company.
pub(super) fn check(subject: &Subject<'_>) -> Result<(), NoPrediction> {
    let (profile, broker) = (subject.profile, subject.broker);
    let unknown =
        |end, name: &str, key| Err(NoPrediction::UnknownKey { end, name: name.to_owned(), key });
    if let Some(key) = of_client(profile, broker) {
        return unknown("client profile", &profile.name, key);
    }
    match of_broker(broker, profile) {
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
        // Read in part.
        ca,
        reconnect,
        certificate,
        psk,
    } = profile;
    let asked = broker.client_auth != ClientAuth::None;
    let by_rsa = broker.certificate.issuer_key.is_rsa();
    let resumes = broker.tickets && broker.session_cache && broker.misbehave.is_none();
    first([
        // A certificate that can perhaps not be read, and that no known CA signed.
        (*ca == ClientCa::Other && !by_rsa, "ca = \"other\" beside an issuer_key that is not RSA"),
        (*reconnect && !resumes, "reconnect beside a broker that does not always resume"),
        (
            *certificate != ClientCertificate::None && asked,
            "certificate beside a broker that asks for it",
        ),
        (psk.is_some() && broker.psk.is_some(), "psk beside a broker that has one"),
    ])
}

fn of_broker(profile: &BrokerProfile, client: &ClientProfile) -> Option<&'static str> {
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
        // A client of ours never asks for another handshake.
        renegotiation: _,
        // Read by `offer`: all but rustls and RabbitMQ go OpenSSL's way.
        front: _,
        // Read in part.
        certificate,
        misbehave,
        // Not read.
        signature_algorithms,
    } = profile;
    of_certificate(certificate, profile, client).or_else(|| {
        first([
            (signature_algorithms.is_some(), "signature_algorithms"),
            (misbehave.is_some_and(|fault| !misbehave::is_known(fault)), "this misbehave"),
        ])
    })
}

fn of_certificate(
    certificate: &Certificate,
    broker: &BrokerProfile,
    client: &ClientProfile,
) -> Option<&'static str> {
    let Certificate {
        // Read by `certificate` and `size`.
        key: _,
        issuer_key: _,
        hash: _,
        name: _,
        validity: _,
        authority: _,
        message_bytes: _,
        // Read in part.
        pss,
        intermediates,
    } = certificate;
    let too_many = *intermediates > MAX_INTERMEDIATES;
    first([
        // `size` takes its signature for a PKCS #1 one.
        (*pss && broker.record_size < 4096, "certificate.pss beside a short record_size"),
        (
            too_many && client.verify == Verify::Optional,
            "certificate.intermediates beyond 8 beside verify = \"optional\"",
        ),
    ])
}
