//! What the library refuses before it sends a byte: the order is that of the SDK's MQTT client.

use super::certificate::{INTERNAL_ERROR, UNKNOWN_SIGNATURE, can_read};
use super::stack::Stack;
use super::{Predicted, Step, Subject};
use crate::broker::HashKind;
use crate::outcome::{Outcome, OutcomeKind};
use crate::profile::ClientCa;
use wire::message::{MaxFragmentLength, Phase, Preset};

/// The prediction for a client that gets no further than its own set-up.
pub(super) fn refused(subject: &Subject<'_>, stack: &Stack) -> Option<Predicted> {
    unsupported(subject, stack)
        .map(|why| (Outcome::bare(OutcomeKind::Unsupported), why))
        .or_else(|| authority(subject))
        .map(|(outcome, why)| (Phase::Setup, outcome, why))
        .or_else(|| no_hello(subject, stack).map(|(o, why)| (Phase::ClientHello, o, why)))
        .map(|(phase, mut outcome, why)| {
            outcome.stage = Some(phase);
            let steps = vec![Step::fails(phase, why.clone())];
            Predicted { outcome, why, trace: Vec::new(), steps }
        })
}

/// A ClientHello that the library cannot write.
fn no_hello(subject: &Subject<'_>, stack: &Stack) -> Option<(Outcome, String)> {
    let has = |name: &str| subject.build.macros.has(&format!("KEY_EXCHANGE_{name}_ECDSA_ENABLED"));
    let ecdsa = has("ECDHE") || has("ECDH");
    let suite_b = subject.profile.preset == Preset::SuiteB;
    (stack.suite_b_signs_with_ecdsa && suite_b && !ecdsa).then(|| {
        let mut outcome = Outcome::bare(OutcomeKind::Failed);
        outcome.error = Some(INTERNAL_ERROR.to_owned());
        let why = format!(
            "MBEDTLS_SSL_PRESET_SUITEB lists ECDSA signature algorithms alone, {} is built without a \
             key exchange that uses them, and {} writes no ClientHello with an empty list",
            subject.build.name, stack.name
        );
        (outcome, why)
    })
}

/// What this build cannot do at all.
fn unsupported(subject: &Subject<'_>, stack: &Stack) -> Option<String> {
    let (profile, build) = (subject.profile, subject.build);
    let (lowest, highest) = stack.versions;
    let mut bounds = [profile.min_version, profile.max_version].into_iter().flatten();
    if let Some(version) = bounds.find(|version| !build.speaks(*version)) {
        return Some(match (lowest..=highest).contains(&version) {
            true => format!("{} is built without {version}", build.name),
            false => format!("{} knows {lowest} to {highest}, and not {version}", stack.name),
        });
    }
    if let Some(suites) = &profile.cipher_suites
        && suites.iter().all(|suite| build.lacks_for(*suite).is_some())
    {
        return Some(format!("{} has none of the suites in the profile's list", build.name));
    }
    let psk_exchanges = ["PSK", "DHE_PSK", "ECDHE_PSK", "RSA_PSK"];
    let has = |name: &str| build.macros.has(&format!("KEY_EXCHANGE_{name}_ENABLED"));
    if profile.psk.is_some() && !psk_exchanges.into_iter().any(has) {
        return Some(format!("{} has no key exchange for a pre-shared key", build.name));
    }
    if let MaxFragmentLength::Bytes(bytes) = profile.max_fragment_length {
        if !build.macros.has("SSL_MAX_FRAGMENT_LENGTH") {
            return Some(format!("{} is built without max_fragment_length", build.name));
        }
        if u32::from(bytes) > build.content_length {
            return Some(format!(
                "a fragment length of {bytes} is more than the {} bytes of the record buffer",
                build.content_length
            ));
        }
    }
    None
}

/// A CA certificate that cannot be parsed. The signature's OID is looked up before anything else
/// of interest, and it is known only if its algorithm is compiled in (`oid.c`).
fn authority(subject: &Subject<'_>) -> Option<(Outcome, String)> {
    let issuer = subject.broker.certificate.issuer_key;
    // The other CA has an RSA key, whatever signed the broker's certificate.
    if subject.profile.ca != ClientCa::Broker || can_read(subject.build, issuer, HashKind::Sha256) {
        return None;
    }
    let mut outcome = Outcome::bare(OutcomeKind::Failed);
    outcome.error = Some(UNKNOWN_SIGNATURE.to_owned());
    let why = format!(
        "the CA certificate is signed with a key of kind {}, and {} cannot read such a signature",
        issuer.as_str(),
        subject.build.name
    );
    Some((outcome, why))
}
