//! A profile back into the text of its file: what differs from the defaults, and nothing else.

use super::{BrokerProfile, ClientAuth, FragmentLength, Front, OnReject, Psk, Sni};
use crate::broker::{Certificate, is_tls13};
use crate::names::{alert_name, cipher_suite_name, group_name, signature_scheme_name};
use serde::Serialize;
use std::fmt::{Display, Write};
use wire::tls::{AlertDescription, CipherSuite, NamedGroup, ProtocolVersion};

impl BrokerProfile {
    /// The text of a file that [`BrokerProfile::parse`] makes the same profile of, with `comments`
    /// between its head and its keys. What a profile does wrong on purpose is not written: it was
    /// made up, so its file is there already.
    #[must_use]
    pub fn to_toml(&self, comments: &[String]) -> String {
        let mut file = File(String::new());
        file.set("summary", &self.summary);
        file.set("source", &self.source);
        for line in comments.iter().flat_map(|comment| comment.lines()) {
            file.line(format_args!("# {}", line.replace(char::is_control, " ")));
        }
        let Certificate { name, .. } = &self.certificate;
        file.differs("front", &self.front, &Front::default());
        for (key, version) in [("min_version", self.min_version), ("max_version", self.max_version)]
        {
            file.differs(key, &version.to_string(), &ProtocolVersion::TLS1_2.to_string());
        }
        file.line("cipher_suites = [");
        for suite in &self.cipher_suites {
            file.line(format_args!("  \"{}\",", suite_text(*suite)));
        }
        file.line("]");
        file.differs("server_order", &self.server_order, &true);
        let groups: Vec<_> = self.groups.iter().map(|group| group_text(*group)).collect();
        file.differs("groups", &groups, &super::default_groups());
        file.differs("dh_bits", &self.dh_bits, &super::default_dh_bits());
        file.differs("client_auth", &self.client_auth, &ClientAuth::default());
        for (key, value) in [
            ("tickets", self.tickets),
            ("session_cache", self.session_cache),
            ("encrypt_then_mac", self.encrypt_then_mac),
            ("extended_master_secret", self.extended_master_secret),
        ] {
            file.differs(key, &value, &true);
        }
        file.differs("on_reject", &self.on_reject, &OnReject::default());
        let alert = alert_name(self.no_suite_alert).unwrap_or_default();
        let usual = alert_name(AlertDescription::HANDSHAKE_FAILURE).unwrap_or_default();
        file.differs("no_suite_alert", &alert, &usual);
        file.differs("security_level", &self.security_level, &0);
        file.differs("record_size", &self.record_size, &super::default_record_size());
        file.differs("sni", &self.sni, &Sni::default());
        file.differs("host_name", &self.host_name, name);
        if let Some(schemes) = &self.signature_algorithms {
            let schemes: Vec<_> = schemes.iter().map(|scheme| scheme_text(*scheme)).collect();
            file.set("signature_algorithms", &schemes);
        }
        let usual = FragmentLength::usual(self.front);
        file.differs("max_fragment_length", &self.max_fragment_length, &usual);
        file.differs("renegotiation", &self.renegotiation, &false);
        self.tables(&mut file);
        file.0
    }

    /// What stands in tables of its own has to come last.
    fn tables(&self, file: &mut File) {
        if !self.suite_groups.is_empty() {
            file.line("\n[suite_groups]");
            for (suite, group) in &self.suite_groups {
                file.set(&suite_text(*suite), &group_text(*group));
            }
        }
        if let Some(Psk { identity, key }) = &self.psk {
            file.line("\n[psk]");
            file.set("identity", identity);
            file.set("key", key);
        }
        let (own, usual) = (&self.certificate, Certificate::default());
        if *own != usual {
            file.line("\n[certificate]");
            file.differs("key", &own.key, &usual.key);
            file.differs("issuer_key", &own.issuer_key, &usual.issuer_key);
            file.differs("hash", &own.hash, &usual.hash);
            file.differs("name", &own.name, &usual.name);
            file.differs("pss", &own.pss, &usual.pss);
            file.differs("validity", &own.validity, &usual.validity);
            file.differs("authority", &own.authority, &usual.authority);
            file.differs("intermediates", &own.intermediates, &usual.intermediates);
            if let Some(bytes) = own.message_bytes {
                file.set("message_bytes", &bytes);
            }
        }
    }
}

fn suite_text(suite: CipherSuite) -> String {
    cipher_suite_name(suite).map_or_else(|| suite.to_string(), str::to_owned)
}

fn group_text(group: NamedGroup) -> String {
    group_name(group).map_or_else(|| group.to_string(), str::to_owned)
}

fn scheme_text(scheme: u16) -> String {
    signature_scheme_name(scheme).map_or_else(|| format!("{scheme:#06x}"), str::to_owned)
}

/// The text so far.
struct File(String);

impl File {
    fn line(&mut self, line: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn set(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        // Texts, numbers, lists of them and enums with such names: TOML has a form for each.
        if let Ok(value) = toml::Value::try_from(value) {
            self.line(format_args!("{key} = {value}"));
        }
    }

    fn differs<T: Serialize + PartialEq<U>, U>(&mut self, key: &str, value: &T, usual: &U) {
        if value != usual {
            self.set(key, value);
        }
    }
}

/// The suites in the order in which files of this project have them: those of TLS 1.3 first.
pub(super) fn newest_first(suites: &[CipherSuite]) -> Vec<CipherSuite> {
    let (new, old): (Vec<_>, Vec<_>) = suites.iter().partition(|suite| is_tls13(**suite));
    new.into_iter().chain(old).collect()
}
