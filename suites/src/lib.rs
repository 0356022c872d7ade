//! Who meets whom, and what is expected of it: data and its parser.
//!
//! ```text
//! profiles/*.toml --> ClientProfile --+
//! brokers/*.toml ---> BrokerProfile --+--> Library --> Suite --> CellId ...
//! matrix/*.toml ----> Suite ----------+
//!
//! bytes of one direction --> Stream --> ClientHello, ServerHello, alerts
//! Outcome + measurements <--> Snapshot (snapshots/<suite>/<client>.snap)
//! known.toml -------> Known, the deviations that are accepted
//! ```
//!
//! A *cell* puts one *client* (a firmware build with a profile) against one *broker*. Nothing here
//! opens a device or a socket; the only input is files and bytes, and none of them can make it
//! panic.

pub mod broker;
pub mod cell;
mod content;
pub mod file;
pub mod fingerprint;
pub mod hello;
pub mod key_exchange;
pub mod known;
pub mod library;
pub mod names;
pub mod outcome;
pub mod pairs;
pub mod predict;
pub mod profile;
pub mod snapshot;
pub mod stream;
pub mod suite;

pub use broker::BrokerProfile;
pub use cell::{BuildName, CellId, ClientName, NameError};
pub use library::{Library, LibraryError, Unknown};
pub use outcome::{Outcome, OutcomeKind};
pub use predict::{NoPrediction, Predicted, predict};
pub use profile::ClientProfile;
pub use snapshot::Snapshot;
pub use suite::Suite;
