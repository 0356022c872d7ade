//! What a cell cost, in figures that may be held against another run's.

use crate::record::{CellRecord, Latency};
use std::collections::BTreeMap;
use suites::names;
use suites::snapshot::Measured;
use wire::message::ClockUnit;
use wire::tls::CipherSuite;

impl Latency {
    /// Whether two runs of one cell give nearly the same figures. A host's nanoseconds do not.
    #[must_use]
    pub fn repeats(&self) -> bool {
        match self.unit {
            ClockUnit::Instructions | ClockUnit::Cycles => true,
            ClockUnit::Nanoseconds => false,
        }
    }

    /// Computing time by phase; a phase that was passed twice counts twice.
    #[must_use]
    pub fn by_phase(&self) -> BTreeMap<String, u64> {
        let mut phases = BTreeMap::new();
        for phase in &self.phases {
            *phases.entry(phase.name.clone()).or_default() += phase.compute;
        }
        phases
    }
}

impl CellRecord {
    /// The cell's figures as a snapshot holds them; `None` if they do not repeat, or are not all
    /// there.
    #[must_use]
    pub fn measured(&self) -> Option<Measured> {
        let latency = self.latency.as_ref().filter(|latency| latency.repeats())?;
        Some(Measured {
            unit: latency.unit,
            compilers: self.image.as_ref()?.compilers.clone()?,
            tolerance_permille: tolerance(self.outcome.cipher_suite),
            total: latency.total,
            heap_peak_bytes: self.heap_peak_bytes?,
            stack_peak_bytes: self.stack_peak_bytes,
            phases: latency.by_phase(),
        })
    }
}

/// Static RSA repeats to a few instructions under a fixed seed. With an ephemeral key the broker's
/// random bytes decide how long the client's point multiplication takes; so it always is in TLS 1.3,
/// whose suites (0x13xx) do not name the key exchange. There one state holds that multiplication and
/// little else, and two runs of mbedTLS 3.6 were seen 3.9 % apart in it.
#[must_use]
pub fn tolerance(suite: Option<CipherSuite>) -> u64 {
    let ephemeral = suite
        .and_then(names::cipher_suite_name)
        .is_some_and(|name| name.contains("DHE") || name.contains("ECDH"));
    match suite {
        Some(suite) if suite.0 >> 8 == 0x13 => 60,
        _ if ephemeral => 20,
        _ => 1,
    }
}
