//! What a cell means, and what a run leaves behind.
//!
//! ```text
//! transcript --judge--> outcome --+--diagnosis--> one sentence, evidence, fix
//!                                 |     ^
//! somebody's log --explain--------+-----+
//!                                 |
//!                                 +--record--> run.json, cells.jsonl, device.log, transcript.jsonl
//!                                 |               |
//!                                 |            writers --> report.html, junit.xml, report.md, badge.svg
//!                                 +--pcapng--> capture.pcapng
//! ```
//!
//! Nothing here opens a device or a socket. [`judge()`], [`diagnosis`] and [`explain`] are pure: a
//! transcript that was kept can be judged again. What reads bytes from outside is fuzzed, see
//! `reports/fuzz/README.md`.

pub mod alike;
pub mod badge;
pub mod diagnosis;
pub mod diff;
pub mod explain;
pub mod figures;
pub mod history;
pub mod html;
pub mod judge;
pub mod junit;
pub mod markdown;
pub mod merge;
pub mod pcapng;
pub mod record;
pub mod schema;
mod text;
pub mod transcript;
pub mod upgrade;
pub mod words;
pub mod writers;

pub use diagnosis::{Cause, Diagnosis, diagnose};
pub use judge::judge;
pub use record::{CellRecord, Run, RunFolder, Verdict};
pub use transcript::{Seen, Transcript};
