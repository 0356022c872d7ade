//! The rig: which devices reach which MQTT broker, and why not.
//!
//! ```text
//! suites --plan--> jobs --run--> (board, broker, session) --> transcript
//!                                                               |
//!            record <-- verdict <-- snapshot beside outcome <---+
//! ```
//!
//! * [`firmware`] makes the images, [`board`] brings them to life, [`link`] speaks with them.
//! * [`mod@bench`] says which boards are attached, [`probe`] gets at their chips, [`boot_image`] makes
//!   what their flash holds, [`backup`] keeps what it held before, [`power`] switches them.
//! * [`session`] runs one cell, [`run`] many, [`plan`] says which; [`station`] keeps a board going;
//!   [`account`] adds what the broker saw.
//! * [`verdict`] turns a transcript into a record beside its expectation.
//! * [`predictor`] states beforehand what becomes of a cell; [`own_hellos`] has what it needs of a
//!   user's own builds.
//! * [`mod@advise`] says which client to take for given brokers.
//! * [`mod@capture`] makes a broker profile of a live server.
//! * [`first_contact`] takes the first, harmless look at a board.
//! * [`summary`] and [`terminal`] are for people, [`doctor`] and [`setup`] for their machines.
//! * [`cmd`] has one file for each command; [`cli`] says what may be asked for.
//!
//! Only this crate opens a device.

pub mod account;
pub mod advise;
pub mod backup;
pub mod bench;
pub mod board;
pub mod boot_image;
pub mod capture;
pub mod cli;
pub mod cmd;
pub mod command;
pub mod deadline;
pub mod doctor;
pub mod exit;
pub mod firmware;
pub mod first_contact;
pub mod link;
pub mod own_hellos;
pub mod plan;
pub mod power;
pub mod predictor;
pub mod probe;
pub mod project;
pub mod run;
pub mod session;
pub mod setup;
pub mod station;
pub mod summary;
pub mod terminal;
pub mod verdict;
