//! A job into the command for the DUT.

use crate::plan::Job;
use brokers::{Broker, BrokerError, Brokers, ClientIdentity};
use suites::broker::{Authority, KeyKind};
use suites::profile::{ClientCa, ClientCertificate, ClientHostName};
use wire::message::{CellCommand, HostName, Mqtt, OwnCertificate, Psk, SuiteList};

/// A host name that is in no broker's certificate.
const WRONG_HOST: &str = "wrong.rig.test";

/// Which lines of debug output the DUT sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLines {
    /// All that the suite's log level lets through.
    #[default]
    All,
    /// Errors, and the lines that a diagnosis quotes: what a slow line has time for. Outcome and
    /// diagnosis are the same.
    Quoted,
}

impl LogLines {
    /// What a serial line of this rate has time for. A cell that connects carries 57 KB with the
    /// whole log of level 4 and 4 KB with the quoted lines: 15 s and 1.1 s at 38400 baud, 0.6 s and
    /// 0.04 s at a million.
    #[must_use]
    pub fn at_baud(baud: u32) -> Self {
        if baud < 460_800 { Self::Quoted } else { Self::All }
    }
}

/// What a command borrows from.
pub struct Prepared<'a> {
    job: &'a Job,
    broker: &'a Broker,
    seed: u64,
    suites: Vec<u8>,
    ca: Vec<u8>,
    identity: Option<ClientIdentity>,
    client_id: String,
    topic: String,
    log_only: String,
}

/// Collects what the DUT is told for this job. A client's certificate comes from `brokers`.
///
/// # Errors
/// [`BrokerError`] if a certificate cannot be made or read.
pub fn prepare<'a>(
    job: &'a Job,
    brokers: &Brokers,
    broker: &'a Broker,
    seed: u64,
    log_lines: LogLines,
) -> Result<Prepared<'a>, BrokerError> {
    // Names that are the same in every run, so that instruction counts are, too. Brokers keep
    // their clients apart; what is left to do is to keep apart the cells of one broker.
    let name = crc32(job.cell.to_string().as_bytes());
    Ok(Prepared {
        job,
        broker,
        seed,
        suites: job
            .profile
            .cipher_suites
            .iter()
            .flatten()
            .flat_map(|suite| suite.0.to_be_bytes())
            .collect(),
        ca: match job.profile.ca {
            ClientCa::Broker => broker.ca_der().to_vec(),
            ClientCa::Other => brokers.other_ca_der()?,
            ClientCa::None => Vec::new(),
        },
        identity: identity(brokers, job.profile.certificate)?,
        client_id: format!("rig-{name:08x}"),
        topic: format!("rig/{name:08x}/echo"),
        log_only: match log_lines {
            LogLines::All => String::new(),
            LogLines::Quoted => reports::diagnosis::LOG_QUOTES.join("\n"),
        },
    })
}

fn identity(
    brokers: &Brokers,
    wanted: ClientCertificate,
) -> Result<Option<ClientIdentity>, BrokerError> {
    let (rsa, ec) = (KeyKind::Rsa2048, KeyKind::EcdsaP256);
    Ok(Some(match wanted {
        ClientCertificate::None => return Ok(None),
        ClientCertificate::Rsa => brokers.client_identity(rsa, Authority::Known)?,
        ClientCertificate::Ec => brokers.client_identity(ec, Authority::Known)?,
        ClientCertificate::Unknown => brokers.client_identity(rsa, Authority::Unknown)?,
        ClientCertificate::WrongKey => ClientIdentity {
            key_der: brokers.client_identity(KeyKind::Rsa1024, Authority::Known)?.key_der,
            ..brokers.client_identity(rsa, Authority::Known)?
        },
    }))
}

impl Prepared<'_> {
    /// The command itself.
    #[must_use]
    pub fn command(&self) -> CellCommand<'_> {
        let profile = &self.job.profile;
        CellCommand {
            seed: self.seed,
            preset: profile.preset,
            min_version: profile.min_version,
            max_version: profile.max_version,
            cipher_suites: profile.cipher_suites.is_some().then_some(SuiteList(&self.suites)),
            verify: profile.verify,
            ca: &self.ca,
            host_name: match profile.host_name {
                ClientHostName::NotSet => HostName::NotSet,
                ClientHostName::Null => HostName::Null,
                ClientHostName::Broker => HostName::Name(self.broker.host_name()),
                ClientHostName::Wrong => HostName::Name(WRONG_HOST),
            },
            max_fragment_length: profile.max_fragment_length,
            extended_master_secret: profile.extended_master_secret,
            encrypt_then_mac: profile.encrypt_then_mac,
            session_tickets: profile.session_tickets,
            reconnect: profile.reconnect,
            own_certificate: self.identity.as_ref().map(|identity| OwnCertificate {
                certificate: &identity.certificate_der,
                key: &identity.key_der,
            }),
            psk: profile.psk.as_ref().map(|psk| Psk { identity: &psk.identity, key: &psk.key }),
            log_level: self.job.log_level,
            log_only: &self.log_only,
            mqtt: Mqtt {
                client_id: &self.client_id,
                topic: &self.topic,
                payload: b"is this the way to the broker?",
            },
        }
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    wire::frame::CRC.checksum(bytes)
}
