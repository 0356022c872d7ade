//! A job into the command for the DUT.

use crate::plan::Job;
use brokers::Broker;
use suites::profile::{ClientCa, ClientHostName};
use wire::message::{CellCommand, HostName, Mqtt, SuiteList};

/// mbedTLS debug level of every cell: state changes and values, and dumps of what is sent and
/// received. It is part of what is measured, so it is the same everywhere.
const LOG_LEVEL: u8 = 3;

/// A host name that is in no broker's certificate.
const WRONG_HOST: &str = "wrong.rig.test";

/// What a command borrows from.
pub struct Prepared<'a> {
    job: &'a Job,
    broker: &'a Broker,
    seed: u64,
    suites: Vec<u8>,
    client_id: String,
    topic: String,
}

/// Collects what the DUT is told for this job.
#[must_use]
pub fn prepare<'a>(job: &'a Job, broker: &'a Broker, seed: u64) -> Prepared<'a> {
    // Brokers share one router, so client and topic must differ between cells that run side by
    // side; they must not differ between runs, or instruction counts would.
    let name = crc32(job.cell.to_string().as_bytes());
    Prepared {
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
        client_id: format!("rig-{name:08x}"),
        topic: format!("rig/{name:08x}/echo"),
    }
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
            ca: match profile.ca {
                ClientCa::Broker => self.broker.ca_der(),
                ClientCa::None => &[],
            },
            host_name: match profile.host_name {
                ClientHostName::NotSet => HostName::NotSet,
                ClientHostName::Null => HostName::Null,
                ClientHostName::Broker => HostName::Name(self.broker.host_name()),
                ClientHostName::Wrong => HostName::Name(WRONG_HOST),
            },
            max_fragment_length: profile.max_fragment_length,
            log_level: LOG_LEVEL,
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
