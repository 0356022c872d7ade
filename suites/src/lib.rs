//! Client and broker profiles, suites of cells, ClientHello decoding and snapshots.

pub mod broker;
pub mod file;
pub mod names;
