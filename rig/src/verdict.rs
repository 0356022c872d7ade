//! A finished cell beside its expectation: transcript into record and verdict.

use crate::plan::Job;
use reports::figures;
use reports::record::{
    BoardName, CellRecord, HelloRecord, Latency, PhaseLatency, ProfilesRecord, Verdict,
};
use reports::transcript::{Seen, Transcript};
use std::collections::BTreeMap;
use std::time::Duration;
use suites::fingerprint::Fingerprint;
use suites::known::Known;
use suites::names;
use suites::outcome::{End, Outcome, OutcomeKind, phase_name};
use suites::predict::Predicted;
use suites::snapshot::{Expected, Measured, Snapshot};
use suites::stream::Stream;
use wire::message::{CellResult, ClockUnit, Ending, Phase, Unsupported};

/// A finished cell: what is recorded, what it was made from, and what it may be compared with.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The line for `cells.jsonl`; its verdict is `new` until [`Cell::compare`].
    pub record: CellRecord,
    /// What was seen.
    pub transcript: Transcript,
    /// The suite whose snapshot applies.
    pub suite: String,
    /// Whether that suite is a survey.
    pub survey: bool,
    /// What a snapshot would hold; `None` where there is nothing to expect again.
    pub seen: Option<Expected>,
}

/// What the figures of a cell are worth.
#[derive(Debug, Clone)]
pub struct Clocked {
    /// What the DUT's clock counts.
    pub unit: ClockUnit,
    /// What its image was compiled with.
    pub compilers: String,
    /// Host time from the start command to the result.
    pub wall: Duration,
}

/// Judges a transcript and writes the record; `clock` is missing if the DUT is gone.
#[must_use]
pub fn conclude(
    job: &Job,
    board: BoardName,
    transcript: Transcript,
    clock: Option<Clocked>,
) -> Cell {
    let outcome = reports::judge(&transcript);
    let subject = reports::diagnosis::Subject {
        build: &job.cell.client.build,
        profile: &job.profile,
        broker: &job.broker,
    };
    let diagnosis = reports::diagnose(&subject, &transcript, &outcome);
    let latency = clock.as_ref().map(|clock| latency(&transcript, clock.unit, clock.wall));
    let result = transcript.result();
    let heap_peak_bytes = result.map(|result| u64::from(result.heap_peak));
    let stack_peak_bytes = result.and_then(|result| result.stack_peak).map(u64::from);
    let seen = diagnosis.as_ref().map(|diagnosis| Expected {
        outcome: outcome.clone(),
        cause: diagnosis.cause.to_string(),
        measured: match (&clock, &latency, heap_peak_bytes) {
            (Some(clock), Some(latency), Some(heap_peak_bytes))
                if latency.repeats() && !job.survey =>
            {
                let measured = Measured {
                    unit: latency.unit,
                    compilers: clock.compilers.clone(),
                    tolerance_permille: figures::tolerance(outcome.cipher_suite),
                    total: latency.total,
                    heap_peak_bytes,
                    stack_peak_bytes,
                    phases: latency.by_phase(),
                };
                BTreeMap::from([(board.kind.clone(), measured)])
            }
            _ => BTreeMap::new(),
        },
    });
    let record = CellRecord {
        cell: job.cell.clone(),
        board,
        build: job.cell.client.build.clone(),
        image: None,
        client: job.cell.client.clone(),
        broker: job.cell.broker.clone(),
        profiles: Some(ProfilesRecord {
            client: job.profile.content_id(),
            broker: job.broker.content_id(),
        }),
        verdict: match outcome.result {
            OutcomeKind::RigFault => Verdict::Fault,
            OutcomeKind::Unsupported => Verdict::Unsupported,
            _ => Verdict::New,
        },
        changes: Vec::new(),
        predicted: None,
        surprises: Vec::new(),
        known: None,
        tries: 1,
        recovery: None,
        note: note(&transcript),
        client_hello: hello(&transcript),
        diagnosis,
        latency,
        heap_peak_bytes,
        stack_peak_bytes,
        outcome,
    };
    Cell { record, transcript, suite: job.suite.clone(), survey: job.survey, seen }
}

/// A cell that cannot be run here for a reason that is nobody's fault.
#[must_use]
pub fn skip(job: &Job, board: BoardName, why: String) -> Cell {
    let mut cell = conclude(job, board, Transcript::default(), None);
    cell.record.verdict = Verdict::Skipped;
    cell.record.outcome = Outcome::bare(OutcomeKind::Unsupported);
    cell.record.note = Some(why);
    cell
}

impl Cell {
    /// The compilers of the snapshot's figures and of this cell's, if they differ, so that figures
    /// were not compared.
    #[must_use]
    pub fn other_compilers(&self, snapshot: Option<&Snapshot>) -> Option<(String, String)> {
        let expected = &snapshot?.0.get(&self.record.broker)?.measured;
        let mut seen = self.seen.as_ref()?.measured.iter();
        let differing = seen.find_map(|(kind, seen)| {
            let expected = expected.get(kind)?;
            (expected.compilers != seen.compilers).then_some((expected, seen))
        });
        differing.map(|(expected, seen)| (expected.compilers.clone(), seen.compilers.clone()))
    }

    /// Lays down what was stated of this cell before it was run. A fault of the rig says nothing
    /// about a prediction.
    pub fn set_beside(&mut self, predicted: Option<&Predicted>) {
        if matches!(self.record.verdict, Verdict::Fault | Verdict::Skipped) {
            return;
        }
        let Some(predicted) = predicted else { return };
        self.record.surprises = predicted.differs(&self.record.outcome);
        self.record.predicted = Some(predicted.clone());
    }

    /// Sets the verdict: from the prediction, if one was laid down and did not come true, else from
    /// the snapshot of this client and suite, if there is one. A deviation that is `known` is marked
    /// as such.
    pub fn compare(&mut self, snapshot: Option<&Snapshot>, known: &Known) {
        self.compare_with_snapshot(snapshot);
        if !self.record.surprises.is_empty() {
            self.record.verdict = Verdict::Surprise;
        }
        if self.record.verdict.is_deviation() {
            self.record.known = known.of(&self.record.cell, &self.record.board.kind).cloned();
        }
    }

    fn compare_with_snapshot(&mut self, snapshot: Option<&Snapshot>) {
        if matches!(self.record.verdict, Verdict::Fault | Verdict::Unsupported | Verdict::Skipped) {
            return;
        }
        let expected = snapshot.and_then(|snapshot| snapshot.0.get(&self.record.broker));
        let (Some(expected), Some(seen)) = (expected, &self.seen) else { return };
        self.record.changes = expected.changes(seen);
        // A timeout never satisfies an expectation, not even a recorded one.
        let timed_out = self.record.outcome.result == OutcomeKind::TimedOut;
        self.record.verdict = match self.record.changes.is_empty() && !timed_out {
            true => Verdict::Match,
            false => Verdict::Changed,
        };
    }
}

fn latency(transcript: &Transcript, unit: ClockUnit, wall: Duration) -> Latency {
    // A cell with two connections goes through the phases twice, and they are told apart.
    let mut connections = 0;
    let phases: Vec<PhaseLatency> = transcript
        .phases()
        .map(|(_, mark)| {
            connections += u32::from(mark.phase == Phase::TcpConnect);
            let name = phase_name(mark.phase);
            PhaseLatency {
                name: if connections > 1 { format!("again_{name}") } else { name },
                compute: mark.compute,
                wait: mark.wait,
            }
        })
        .collect();
    let total = transcript
        .result()
        .map_or_else(|| phases.iter().map(|phase| phase.compute).sum(), |result| result.compute);
    Latency { unit, total, wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX), phases }
}

fn note(transcript: &Transcript) -> Option<String> {
    transcript.seen().find_map(|seen| match seen {
        Seen::Fault { what } => Some(what.clone()),
        Seen::Result(CellResult { ending: Ending::Unsupported(what), .. }) => {
            Some(format!("this build cannot do what the profile asks: {}", lacking(*what)))
        }
        Seen::TimedOut { waiting_for, limit_ms } => {
            Some(format!("gave up after {} s of waiting for {waiting_for}", limit_ms / 1000))
        }
        _ => None,
    })
}

/// What a build has not.
fn lacking(what: Unsupported) -> &'static str {
    match what {
        Unsupported::Version => "a TLS version that is not compiled in",
        Unsupported::CipherSuite => "cipher suites of which none is compiled in",
        Unsupported::MaxFragmentLength => "a max_fragment_length that the library refuses",
        Unsupported::HostName => "a host name that cannot be set",
        Unsupported::PreSharedKey => "a pre-shared key, for which no key exchange is compiled in",
        Unsupported::Other => "something that this firmware does not know",
    }
}

fn hello(transcript: &Transcript) -> Option<HelloRecord> {
    let bytes = transcript.bytes(End::Client);
    let stream = Stream::parse(&bytes);
    let hello = stream.client_hello?;
    let record = stream.records.first()?;
    let Fingerprint { ja3, ja4 } = Fingerprint::of(&hello);
    let versions = hello.supported_versions.clone().unwrap_or_else(|| vec![hello.version]);
    Some(HelloRecord {
        record_hex: data_encoding::HEXLOWER.encode(bytes.get(record.range.clone())?),
        versions: versions.iter().map(ToString::to_string).collect(),
        suites: hello.cipher_suites.iter().map(ToString::to_string).collect(),
        extensions: hello.extensions.iter().map(|kind| names::extension_name(*kind)).collect(),
        sni: hello.server_name.map(|name| reports::transcript::printable(name.as_bytes())),
        ja3,
        ja4,
    })
}
