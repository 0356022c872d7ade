//! The rig: which devices reach which MQTT broker, and why not.
//!
//! ```text
//! suites --plan--> jobs --run--> (board, broker, session) --> transcript
//!                                                               |
//!            record <-- verdict <-- snapshot beside outcome <---+
//! ```
//!
//! * [`firmware`] makes the images, [`boot_image`] wraps them for a flash chip, [`board`] brings
//!   them to life, [`link`] speaks with them.
//! * [`firmware`] makes the images, [`board`] brings them to life, [`link`] speaks with them.
//! * [`probe`] is the way from a debug probe to a running image.
//! * [`session`] runs one cell, [`run`] many, [`plan`] says which.
//! * [`verdict`] turns a transcript into a record beside its expectation.
//! * [`summary`] and [`terminal`] are for people, [`doctor`] and [`setup`] for their machines.
//! * [`cmd`] has one file for each command; [`cli`] says what may be asked for.
//!
//! Only this crate opens a device.

pub mod board;
pub mod boot_image;
pub mod cli;
pub mod cmd;
pub mod command;
pub mod deadline;
pub mod doctor;
pub mod exit;
pub mod firmware;
pub mod link;
pub mod plan;
pub mod probe;
pub mod project;
pub mod run;
pub mod session;
pub mod setup;
pub mod summary;
pub mod terminal;
pub mod verdict;
