//! Failures before a ServerHello: what the client offered against what the broker can serve.

use super::{Cause, Diagnosis, Facts};
use suites::broker::{BrokerProfile, Fault, Sni, Stage};
use suites::hello::ClientHello;
use suites::outcome::End;
use wire::tls::{AlertDescription, ProtocolVersion};

/// `unrecognized_name`, RFC 6066 3.
const UNRECOGNIZED_NAME: u8 = 112;
/// RFC 5246 7.2.2.
const HANDSHAKE_FAILURE: AlertDescription = AlertDescription(40);

impl Facts<'_> {
    /// Explains a failure for which the two offers are to blame.
    pub(super) fn offer(&self) -> Option<Diagnosis> {
        let hello = self.hello.as_ref()?;
        if hello.usable_suites().next().is_none() {
            return Some(self.nothing_offered(hello));
        }
        if self.answer.chose {
            return self.answered_too_low(hello);
        }
        // Who sends what is no TLS, or breaks off its answer, has not looked at the offer.
        if self.answer.not_tls.is_some() || self.answer.cut {
            return None;
        }
        let comparable = |broker: &&BrokerProfile| {
            !self.struck_early()
                && (broker.max_version >= ProtocolVersion::TLS1_2
                    || self.knows_lowest_version(hello))
        };
        let served = self.broker.filter(comparable).and_then(|broker| {
            self.versions(hello, broker)
                .or_else(|| self.server_name(hello, broker))
                .or_else(|| self.shared(hello, broker))
        });
        served.or_else(|| self.refused(hello))
    }

    /// Whether the broker is known to do something wrong before it has looked at the offer.
    pub(super) fn struck_early(&self) -> bool {
        let fault = self.broker.and_then(|broker| broker.misbehave);
        // A TLS library that refuses the offer does so before it does what is wrong.
        let refused = self.brokers_alert() == Some(HANDSHAKE_FAILURE.0);
        fault.is_some_and(|fault| {
            let the_alert =
                matches!(fault.does, Fault::Alert { description: HANDSHAKE_FAILURE, .. });
            matches!(fault.at, Stage::Accept | Stage::ClientHello)
                && (!refused || the_alert)
                // It has chosen by then, and says a wrong word about its signature.
                && fault.does != Fault::UnofferedHash
        })
    }

    /// Whether it is known which versions the client refuses.
    fn knows_lowest_version(&self, hello: &ClientHello) -> bool {
        self.client.profile.is_some()
            || self.client.is_three()
            || self.hello_record.is_some()
            || hello.supported_versions.is_some()
    }

    fn nothing_offered(&self, hello: &ClientHello) -> Diagnosis {
        let build = &self.client.name;
        let suite_b = self.is_suite_b();
        let config_rsa = match self.places.pasted
            && self.client.macros.is_none()
            && self.looks_like_config_rsa(hello)
        {
            true => ": the SDK's config_rsa.h has RSA key exchange alone",
            false => "",
        };
        let why = match (self.client.set_suites(), suite_b) {
            (Some(true), _) => {
                format!("none of the suites in the profile's list is compiled into {build}")
            }
            (_, Some(true)) => format!(
                "MBEDTLS_SSL_PRESET_SUITEB allows two ECDHE-ECDSA suites alone, and {build} compiles in neither{config_rsa}"
            ),
            (Some(false), _) => format!("{build} has no suite for the versions that it may use"),
            (None, _) => {
                format!("its preset or its suite list leaves nothing that {build} compiles in")
            }
        };
        let mut evidence = vec![format!(
            "{}: the cipher suite list of the ClientHello is [{}]{}",
            self.places.hello,
            hello.cipher_suites.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            match hello.cipher_suites.is_empty() {
                true => "",
                false => ", and that is a marker (RFC 5746), not a suite",
            }
        )];
        evidence.extend(self.places.one_suite.clone());
        if self.client.preset.is_none() && suite_b == Some(true) {
            evidence.push(format!(
                "{}: nothing but SHA-256 and SHA-384 to sign with, and TLS 1.2 as lowest version: that is MBEDTLS_SSL_PRESET_SUITEB",
                self.places.hello
            ));
        }
        if self.places.pasted && hello.server_name.is_none() {
            evidence.push(format!(
                "{}: no host name is set: there is no server_name in the ClientHello",
                self.places.hello
            ));
        }
        let evidence = self.evidence(evidence);
        let mut fix = Vec::new();
        if suite_b == Some(true) {
            fix.push(
                "use MBEDTLS_SSL_PRESET_DEFAULT in mbedtls_ssl_config_defaults; to allow TLS 1.2 alone, add mbedtls_ssl_conf_min_version(&conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3)"
                    .to_owned(),
            );
            fix.push(format!("{}{}", self.suite_b_needs(), self.suite_b_never_verifies()));
        } else {
            fix.push("give mbedtls_ssl_conf_ciphersuites suites that the configuration header compiles in, or none".to_owned());
            if suite_b.is_none() {
                fix.push("and use MBEDTLS_SSL_PRESET_DEFAULT, not MBEDTLS_SSL_PRESET_SUITEB, in mbedtls_ssl_config_defaults".to_owned());
            }
        }
        if self.places.pasted && hello.server_name.is_none() {
            fix.push(name_the_broker(
                "then",
                ": brokers that serve several names choose by it, and a check of the certificate's name needs it",
            ));
        }
        Diagnosis {
            cause: Cause::NoCiphersuiteOffered,
            summary: format!("the ClientHello offers no cipher suite: {why}"),
            evidence,
            fix,
            candidates: Vec::new(),
        }
    }

    fn versions(&self, hello: &ClientHello, broker: &BrokerProfile) -> Option<Diagnosis> {
        let highest = hello.highest_version();
        let evidence = |offer: String| {
            self.evidence([
                offer,
                format!(
                    "broker profile {}: {} to {}",
                    broker.name, broker.min_version, broker.max_version
                ),
            ])
        };
        if highest < broker.min_version {
            let newer = broker.min_version;
            return Some(Diagnosis {
                cause: Cause::ServerRequiresNewerVersion,
                summary: format!(
                    "the broker serves nothing older than {newer}, and the client offers at most {highest}"
                ),
                evidence: evidence(format!(
                    "{}: the ClientHello offers at most {highest}",
                    self.places.hello
                )),
                fix: vec![
                    format!("let the broker serve {highest} as well"),
                    self.version_fix(newer),
                ],
                candidates: Vec::new(),
            });
        }
        // OpenSSL's level 1 refuses what is older than TLS 1.2, whatever the profile says.
        let alone = broker.security_level > 0 && broker.max_version < ProtocolVersion::TLS1_2;
        if alone && highest <= ProtocolVersion::TLS1_2 {
            return Some(Diagnosis {
                cause: Cause::ServerRequiresNewerVersion,
                summary: format!(
                    "the broker is left with no version at all: its security level {} refuses what is older than TLS1.2, and its highest version is {}",
                    broker.security_level, broker.max_version
                ),
                evidence: evidence(format!(
                    "broker profile {}: security level {}",
                    broker.name, broker.security_level
                )),
                fix: vec![
                    "let the broker serve TLS1.2".to_owned(),
                    "or set its security level to 0 (@SECLEVEL=0 in OpenSSL's cipher list)"
                        .to_owned(),
                ],
                candidates: Vec::new(),
            });
        }
        let set = match (self.client.profile.and_then(|p| p.min_version), self.is_suite_b()) {
            (Some(version), _) => version,
            (None, Some(true)) => ProtocolVersion::TLS1_2,
            (None, _) => self.hello_record.unwrap_or(ProtocolVersion::TLS1_0),
        };
        // TLS 1.0 and 1.1 were removed in 3.0.
        let compiled = match self.client.is_three() {
            true => ProtocolVersion::TLS1_2,
            false => ProtocolVersion::TLS1_0,
        };
        let listed = hello.supported_versions.iter().flatten().copied();
        let lowest = listed.filter(|version| version.0 >> 8 == 3).min().unwrap_or(set);
        let floor = set.max(compiled).max(lowest);
        let (whose, lower) = match (compiled > set, self.client.profile) {
            (true, _) => (
                format!("client {}: mbedTLS 3.x has nothing older than {floor}", self.client.name),
                "or keep an mbedTLS 2.x for this broker".to_owned(),
            ),
            (false, Some(profile)) => (
                format!("client profile {}: at least {floor}", profile.name),
                "or lower the client's mbedtls_ssl_conf_min_version".to_owned(),
            ),
            (false, None) => (
                match self.is_suite_b() {
                    Some(true) => {
                        format!("client {}: at least {floor}, by its preset", self.client.name)
                    }
                    _ => format!(
                        "{}: the ClientHello's record says {floor}, as 2.x does of its lowest version",
                        self.places.hello
                    ),
                },
                "or use MBEDTLS_SSL_PRESET_DEFAULT, or lower mbedtls_ssl_conf_min_version"
                    .to_owned(),
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
        if !refused {
            return None;
        }
        if let Some(known) = self.broker.and_then(|broker| self.versions(hello, broker)) {
            return Some(known);
        }
        Some(Diagnosis {
            cause: Cause::ClientRequiresNewerVersion,
            summary: format!(
                "{} answered with a version that is older than the client takes",
                self.broker_name()
            ),
            evidence: self.evidence([]),
            fix: vec![
                "let the broker serve TLS1.2".to_owned(),
                match self.client.is_three() {
                    true => {
                        "or keep an mbedTLS 2.x for this broker: 3.x has nothing older than TLS1.2"
                    }
                    false => "or lower the client's mbedtls_ssl_conf_min_version",
                }
                .to_owned(),
            ],
            candidates: Vec::new(),
        })
    }

    fn server_name(&self, hello: &ClientHello, broker: &BrokerProfile) -> Option<Diagnosis> {
        let required = broker.sni == Sni::Required && hello.server_name.is_none();
        required.then(|| self.unnamed())
    }

    fn unnamed(&self) -> Diagnosis {
        Diagnosis {
            cause: Cause::SniRequired,
            summary:
                "the broker serves only clients that name it (server_name), and this one does not"
                    .to_owned(),
            evidence: self.evidence(match self.broker {
                Some(_) => None,
                None => Some(format!(
                    "{}: there is no server_name in the ClientHello",
                    self.places.hello
                )),
            }),
            fix: vec![
                "call mbedtls_ssl_set_hostname(&ssl, \"<broker's name>\") before the handshake"
                    .to_owned(),
            ],
            candidates: Vec::new(),
        }
    }

    /// What the broker's alert alone proves: which filter took the client out, if the alert is of one
    /// filter only.
    fn refused(&self, hello: &ClientHello) -> Option<Diagnosis> {
        match self.brokers_alert()? {
            UNRECOGNIZED_NAME if hello.server_name.is_none() => Some(self.unnamed()),
            UNRECOGNIZED_NAME => Some(Diagnosis {
                cause: Cause::HostnameMismatch,
                summary: "the broker does not know the name that the client calls it by".to_owned(),
                evidence: self.evidence([]),
                fix: vec!["give mbedtls_ssl_set_hostname a name that the broker serves".to_owned()],
                candidates: Vec::new(),
            }),
            code if AlertDescription(code) == AlertDescription::PROTOCOL_VERSION => {
                Some(self.no_version(hello))
            }
            _ => None,
        }
    }

    fn no_version(&self, hello: &ClientHello) -> Diagnosis {
        let highest = hello.highest_version();
        let evidence = self
            .evidence([format!("{}: the ClientHello offers at most {highest}", self.places.hello)]);
        // Nothing is newer than TLS 1.3, so who refuses it has only older ones.
        if highest >= ProtocolVersion::TLS1_3 {
            return Diagnosis {
                cause: Cause::ClientRequiresNewerVersion,
                summary:
                    "the broker serves nothing as new as the oldest version that the client offers"
                        .to_owned(),
                evidence,
                fix: vec![
                    "let the broker serve TLS1.2".to_owned(),
                    "or keep an mbedTLS 2.x for this broker: 3.x has nothing older than TLS1.2"
                        .to_owned(),
                ],
                candidates: Vec::new(),
            };
        }
        Diagnosis {
            cause: Cause::ServerRequiresNewerVersion,
            summary: format!(
                "the broker refuses every version up to {highest}, the highest that the client offers"
            ),
            evidence,
            fix: vec![
                format!("let the broker serve {highest} as well"),
                match highest >= ProtocolVersion::TLS1_2 {
                    true => self.version_fix(ProtocolVersion::TLS1_3),
                    false => {
                        "or raise the client's mbedtls_ssl_conf_max_version to TLS1.2".to_owned()
                    }
                },
            ],
            candidates: Vec::new(),
        }
    }

    fn version_fix(&self, version: ProtocolVersion) -> String {
        let stack = self.client.stack.as_deref().unwrap_or("mbedTLS 2.x");
        if version >= ProtocolVersion::TLS1_3 {
            format!(
                "or move the client from {stack} to mbedTLS 3.6, the first long-term release with TLS 1.3"
            )
        } else {
            format!("or raise the client's mbedtls_ssl_conf_max_version to {version}")
        }
    }
}

fn name_the_broker(before: &str, why: &str) -> String {
    format!(
        "{before} call mbedtls_ssl_set_hostname(&ssl, \"<broker's name>\") before the handshake{why}"
    )
}
