//! What client and broker have in common, where both are known: suites, keys to use them with,
//! groups, ways to sign. The first of these without a common member is why there was no ServerHello.

use super::{Cause, Diagnosis, Facts, suite_text};
use suites::broker::{BrokerProfile, KeyKind};
use suites::hello::ClientHello;
use suites::names;
use suites::predict::stack::Build;
use tls_parser::{TlsCipherAu, TlsCipherKx, TlsCipherSuite};
use wire::tls::{CipherSuite, NamedGroup};

/// What authenticates the broker in a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyNeed {
    Rsa,
    Ecdsa,
    /// TLS 1.3 negotiates it elsewhere, PSK and anonymous suites need none.
    Any,
}

impl Facts<'_> {
    pub(super) fn shared(&self, hello: &ClientHello, broker: &BrokerProfile) -> Option<Diagnosis> {
        let offered: Vec<_> = hello.usable_suites().collect();
        let listed: Vec<_> =
            offered.iter().copied().filter(|suite| broker.cipher_suites.contains(suite)).collect();
        let key = broker.certificate.key;
        let fits = |suites: &[CipherSuite]| suites.iter().any(|suite| key_fits(*suite, key));
        let evidence = self.evidence([
            format!("{}: the ClientHello offers {}", self.places.hello, list(&offered)),
            format!(
                "broker profile {}: serves {} with a certificate of kind {}",
                broker.name,
                list(&broker.cipher_suites),
                key.as_str()
            ),
        ]);
        // Where no offered suite fits the key, no list of suites on the broker would help.
        if !fits(&offered) || (!listed.is_empty() && !fits(&listed)) {
            let (suites, whose) = match fits(&offered) {
                false => (&offered, "the client offers"),
                true => (&listed, "both know"),
            };
            let needs = if needs_rsa(suites) { "RSA" } else { "EC" };
            return Some(Diagnosis {
                cause: Cause::CertificateKeyTypeMismatch,
                summary: format!(
                    "the broker's certificate holds a key of kind {}, and every suite that {whose} needs an {needs} key",
                    key.as_str()
                ),
                evidence,
                fix: vec![
                    format!("give the broker a certificate with an {needs} key"),
                    format!(
                        "or compile suites for {} keys into the client (config_all.h has them)",
                        key.as_str()
                    ),
                ],
                candidates: vec![Cause::NoSharedCiphersuite],
            });
        }
        if listed.is_empty() {
            return Some(Diagnosis {
                cause: Cause::NoSharedCiphersuite,
                summary: format!(
                    "client and broker have no cipher suite in common: {} offered, {} served",
                    offered.len(),
                    broker.cipher_suites.len()
                ),
                evidence,
                fix: vec![
                    format!("let the broker serve {}", suite_text(*offered.first()?)),
                    self.compile_in(broker).unwrap_or_else(|| "or compile one of the broker's suites into the client (config_all.h has ECDHE and AES-GCM)".to_owned()),
                ],
                candidates: Vec::new(),
            });
        }
        self.groups(hello, broker, &listed, &evidence)
            .or_else(|| self.signatures(hello, broker, &listed, evidence))
    }

    /// What the client's header lacks for the broker's first suite, if the header is known.
    fn compile_in(&self, broker: &BrokerProfile) -> Option<String> {
        // Without a version the macros alone speak, and none of the library's own ways.
        let stack = self.client.stack.as_deref().unwrap_or("unknown");
        let build = Build {
            name: format!("{stack}/own").parse().ok()?,
            content_length: 0,
            macros: self.client.macros?.clone(),
        };
        let lacking = broker
            .cipher_suites
            .iter()
            .find_map(|suite| build.lacks_for(*suite).map(|lack| (*suite, lack)));
        let (suite, lack) = lacking?;
        Some(format!(
            "or compile {} into the client: {} lacks {lack}, and what check_config.h asks for beside it",
            suite_text(suite),
            self.client.name
        ))
    }

    fn groups(
        &self,
        hello: &ClientHello,
        broker: &BrokerProfile,
        listed: &[CipherSuite],
        evidence: &[String],
    ) -> Option<Diagnosis> {
        let groups = hello.groups.as_ref()?;
        let needs_group =
            |suite: CipherSuite| known(suite).is_some_and(|known| known.kx == TlsCipherKx::Ecdhe);
        let served = |suite: CipherSuite| {
            !needs_group(suite)
                || broker.groups_for(suite).iter().any(|group| groups.contains(group))
        };
        (!listed.iter().any(|suite| served(*suite))).then(|| Diagnosis {
            cause: Cause::NoSharedGroup,
            summary: "client and broker share suites, but no group (curve) to use them with"
                .to_owned(),
            evidence: evidence.to_vec(),
            fix: vec![
                format!("let the broker serve one of the client's groups: {}", names_of(groups)),
                format!(
                    "or let the client offer one of the broker's, if its mbedTLS has it: {}",
                    names_of(&broker.groups)
                ),
            ],
            candidates: Vec::new(),
        })
    }

    /// A broker signs its key exchange: with its own key, in a way that the client named.
    fn signatures(
        &self,
        hello: &ClientHello,
        broker: &BrokerProfile,
        listed: &[CipherSuite],
        mut evidence: Vec<String>,
    ) -> Option<Diagnosis> {
        let offered = hello.signature_algorithms.as_ref()?;
        let key = broker.certificate.key;
        let unsigned = |suite: CipherSuite| {
            known(suite)
                .is_some_and(|known| matches!(known.kx, TlsCipherKx::Rsa | TlsCipherKx::Psk))
        };
        if listed.iter().any(|suite| unsigned(*suite)) {
            return None;
        }
        let allowed = |scheme: &u16| {
            broker.signature_algorithms.as_ref().is_none_or(|list| list.contains(scheme))
        };
        if offered.iter().any(|scheme| allowed(scheme) && signs(key, *scheme)) {
            return None;
        }
        let names = |list: &[u16]| {
            let name = |scheme: &u16| {
                names::signature_scheme_name(*scheme)
                    .map_or_else(|| format!("{scheme:#06x}"), str::to_owned)
            };
            list.iter().map(name).collect::<Vec<_>>().join(", ")
        };
        evidence.insert(
            1,
            format!(
                "{}: the ClientHello takes signatures of {}",
                self.places.hello,
                names(offered)
            ),
        );
        if let Some(list) = &broker.signature_algorithms {
            evidence
                .insert(2, format!("broker profile {}: signs with {}", broker.name, names(list)));
        }
        Some(Diagnosis {
            cause: Cause::NoSharedSignatureAlgorithm,
            summary: format!(
                "client and broker share suites, but no way to sign that the broker's key of kind {} can make",
                key.as_str()
            ),
            evidence,
            fix: vec![
                "let the broker sign with rsa_pkcs1_sha256 (an RSA key) or ecdsa_secp256r1_sha256 (a P-256 key)".to_owned(),
                "or let the client offer static RSA suites, which need no such signature".to_owned(),
            ],
            candidates: Vec::new(),
        })
    }
}

/// Whether a key of this kind makes signatures of this scheme, RFC 8446 4.2.3. In TLS 1.2 the two
/// bytes are hash and signature, and the curve is not bound to the hash.
fn signs(key: KeyKind, scheme: u16) -> bool {
    match scheme {
        0x0807 => key.as_str() == "ed25519",
        0x0804..=0x0806 => key.is_rsa(),
        _ => match scheme & 0xff {
            1 => key.is_rsa(),
            3 => !key.is_rsa() && key.as_str() != "ed25519",
            _ => false,
        },
    }
}

fn names_of(groups: &[NamedGroup]) -> String {
    let name = |group: &NamedGroup| {
        names::group_name(*group).map_or_else(|| group.to_string(), str::to_owned)
    };
    groups.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn known(suite: CipherSuite) -> Option<&'static TlsCipherSuite> {
    TlsCipherSuite::from_id(suite.0)
}

fn key_need(suite: CipherSuite) -> KeyNeed {
    match known(suite).map(|known| &known.au) {
        Some(TlsCipherAu::Rsa) => KeyNeed::Rsa,
        Some(TlsCipherAu::Ecdsa) => KeyNeed::Ecdsa,
        _ => KeyNeed::Any,
    }
}

fn key_fits(suite: CipherSuite, key: KeyKind) -> bool {
    match key_need(suite) {
        KeyNeed::Rsa => key.is_rsa(),
        // RFC 8422 5.10: an Ed25519 key signs under the ECDSA suites.
        KeyNeed::Ecdsa => !key.is_rsa(),
        KeyNeed::Any => true,
    }
}

fn needs_rsa(suites: &[CipherSuite]) -> bool {
    suites.iter().any(|suite| key_need(*suite) == KeyNeed::Rsa)
}

fn list(suites: &[CipherSuite]) -> String {
    let text: Vec<_> = suites
        .iter()
        .map(|suite| {
            names::cipher_suite_name(*suite).map_or_else(|| suite.to_string(), str::to_owned)
        })
        .collect();
    text.join(", ")
}
