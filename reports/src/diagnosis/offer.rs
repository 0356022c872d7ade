//! Failures before a ServerHello: what the client offered against what the broker can serve.

use super::{Case, Cause, Diagnosis, suite_text};
use suites::broker::{KeyKind, Sni};
use suites::hello::ClientHello;
use suites::names;
use suites::outcome::End;
use tls_parser::{TlsCipherAu, TlsCipherKx, TlsCipherSuite};
use wire::message::{Preset, Verify};
use wire::tls::{AlertDescription, CipherSuite, ProtocolVersion};

/// What authenticates the broker in a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyNeed {
    Rsa,
    Ecdsa,
    /// TLS 1.3 negotiates it elsewhere, PSK and anonymous suites need none.
    Any,
}

impl Case<'_> {
    /// Explains a failure for which the two offers are to blame.
    pub(super) fn offer(&self) -> Option<Diagnosis> {
        let hello = self.hello()?;
        if hello.usable_suites().next().is_none() {
            return Some(self.nothing_offered(hello));
        }
        if self.broker.server_hello.is_some() {
            return self.answered_too_low(hello);
        }
        self.versions(hello).or_else(|| self.server_name(hello)).or_else(|| self.shared(hello))
    }

    fn nothing_offered(&self, hello: &ClientHello) -> Diagnosis {
        let build = self.subject.build;
        let suite_b = self.subject.profile.preset == Preset::SuiteB;
        let why = match (&self.subject.profile.cipher_suites, suite_b) {
            (Some(_), _) => {
                format!("none of the suites in the profile's list is compiled into {build}")
            }
            (None, true) => format!(
                "MBEDTLS_SSL_PRESET_SUITEB allows two ECDHE-ECDSA suites alone, and {build} compiles in neither"
            ),
            (None, false) => format!("{build} has no suite for the versions that it may use"),
        };
        let mut evidence = vec![format!(
            "wire: the cipher suite list of the ClientHello is [{}]{}",
            hello.cipher_suites.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            match hello.cipher_suites.is_empty() {
                true => "",
                false => ", and that is a marker (RFC 5746), not a suite",
            }
        )];
        if let Some(line) = self.log_line(|text| text.contains(super::ONE_SUITE)) {
            evidence.push(format!("client log: \"{line}\" counts the marker"));
        }
        evidence.extend(self.common_evidence());
        let mut fix = Vec::new();
        if suite_b {
            fix.push(
                "use MBEDTLS_SSL_PRESET_DEFAULT in mbedtls_ssl_config_defaults; to allow TLS 1.2 alone, add mbedtls_ssl_conf_min_version(&conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3)"
                    .to_owned(),
            );
            fix.push(format!(
                "Suite B itself would need MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED, MBEDTLS_GCM_C and their parts (config_all.h) and a broker with a P-256 or P-384 certificate{}",
                self.suite_b_never_verifies()
            ));
        } else {
            fix.push("give mbedtls_ssl_conf_ciphersuites suites that the configuration header compiles in, or none".to_owned());
        }
        Diagnosis {
            cause: Cause::NoCiphersuiteOffered,
            summary: format!("the ClientHello offers no cipher suite: {why}"),
            evidence,
            fix,
            candidates: Vec::new(),
        }
    }

    /// mbedTLS before 2.8.0 rejects every certificate under Suite B (flag BADCERT_BAD_PK).
    fn suite_b_never_verifies(&self) -> &'static str {
        let old = self.subject.build.stack() == "mbedtls-2.4.0";
        match old && self.subject.profile.verify != Verify::None {
            true => {
                "; in mbedTLS 2.4.0 even that fails, because its Suite B certificate profile rejects every certificate (mended in 2.8.0)"
            }
            false => "",
        }
    }

    fn log_line(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        self.transcript.seen().find_map(|seen| match seen {
            crate::transcript::Seen::Log(line) if wanted(&line.text) => Some(line.text.clone()),
            _ => None,
        })
    }

    fn versions(&self, hello: &ClientHello) -> Option<Diagnosis> {
        let broker = self.subject.broker;
        let highest = hello.highest_version();
        let evidence = |offer: String| {
            let mut evidence = vec![
                offer,
                format!(
                    "broker profile {}: {} to {}",
                    broker.name, broker.min_version, broker.max_version
                ),
            ];
            evidence.extend(self.common_evidence());
            evidence
        };
        if highest < broker.min_version {
            let newer = broker.min_version;
            return Some(Diagnosis {
                cause: Cause::ServerRequiresNewerVersion,
                summary: format!(
                    "the broker serves nothing older than {newer}, and the client offers at most {highest}"
                ),
                evidence: evidence(format!("wire: the ClientHello offers at most {highest}")),
                fix: vec![
                    format!("let the broker serve {highest} as well"),
                    version_fix(newer, self.subject.build.stack()),
                ],
                candidates: Vec::new(),
            });
        }
        let profile = self.subject.profile;
        let set = match (profile.min_version, profile.preset) {
            (Some(version), _) => version,
            (None, Preset::SuiteB) => ProtocolVersion::TLS1_2,
            (None, Preset::Default) => ProtocolVersion::TLS1_0,
        };
        // TLS 1.0 and 1.1 were removed in 3.0.
        let compiled = match self.subject.build.stack().starts_with("mbedtls-3.") {
            true => ProtocolVersion::TLS1_2,
            false => ProtocolVersion::TLS1_0,
        };
        let floor = set.max(compiled);
        let (whose, lower) = match compiled > set {
            true => (
                format!(
                    "client {}: mbedTLS 3.x has nothing older than {floor}",
                    self.subject.build
                ),
                "or keep an mbedTLS 2.x for this broker".to_owned(),
            ),
            false => (
                format!("client profile {}: at least {floor}", profile.name),
                "or lower the client's mbedtls_ssl_conf_min_version".to_owned(),
            ),
        };
        (floor > broker.max_version).then(|| Diagnosis {
            cause: Cause::ClientRequiresNewerVersion,
            summary: format!(
                "the client takes nothing older than {floor}, and the broker serves at most {}",
                broker.max_version
            ),
            evidence: evidence(whose),
            fix: vec![format!("let the broker serve {floor}"), lower],
            candidates: Vec::new(),
        })
    }

    /// The broker answered, and the client said that it does not speak that version.
    fn answered_too_low(&self, hello: &ClientHello) -> Option<Diagnosis> {
        let alert = self.outcome.alert.as_ref()?;
        let refused = alert.from == End::Client
            && AlertDescription(alert.code) == AlertDescription::PROTOCOL_VERSION;
        refused.then(|| self.versions(hello)).flatten()
    }

    fn server_name(&self, hello: &ClientHello) -> Option<Diagnosis> {
        let required = self.subject.broker.sni == Sni::Required && hello.server_name.is_none();
        required.then(|| Diagnosis {
            cause: Cause::SniRequired,
            summary:
                "the broker serves only clients that name it (server_name), and this one does not"
                    .to_owned(),
            evidence: self.common_evidence(),
            fix: vec![
                "call mbedtls_ssl_set_hostname(&ssl, \"<broker's name>\") before the handshake"
                    .to_owned(),
            ],
            candidates: Vec::new(),
        })
    }

    fn shared(&self, hello: &ClientHello) -> Option<Diagnosis> {
        let broker = self.subject.broker;
        let offered: Vec<_> = hello.usable_suites().collect();
        let listed: Vec<_> =
            offered.iter().copied().filter(|suite| broker.cipher_suites.contains(suite)).collect();
        let key = broker.certificate.key;
        let fits = |suites: &[CipherSuite]| suites.iter().any(|suite| key_fits(*suite, key));
        let mut evidence = vec![
            format!("wire: the ClientHello offers {}", list(&offered)),
            format!(
                "broker profile {}: serves {} with a certificate of kind {}",
                broker.name,
                list(&broker.cipher_suites),
                key.as_str()
            ),
        ];
        evidence.extend(self.common_evidence());
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
                    "or compile one of the broker's suites into the client (config_all.h has ECDHE and AES-GCM)".to_owned(),
                ],
                candidates: Vec::new(),
            });
        }
        self.groups(hello, &listed, evidence)
    }

    fn groups(
        &self,
        hello: &ClientHello,
        listed: &[CipherSuite],
        evidence: Vec<String>,
    ) -> Option<Diagnosis> {
        let broker = self.subject.broker;
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
            evidence,
            fix: vec!["enable a curve on one side that the other has".to_owned()],
            candidates: Vec::new(),
        })
    }
}

fn version_fix(version: ProtocolVersion, stack: &str) -> String {
    if version >= ProtocolVersion::TLS1_3 {
        format!(
            "or move the client from {stack} to mbedTLS 3.6, the first long-term release with TLS 1.3"
        )
    } else {
        format!("or raise the client's mbedtls_ssl_conf_max_version to {version}")
    }
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
