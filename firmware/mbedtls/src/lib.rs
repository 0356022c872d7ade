//! The real mbedTLS, compiled for the DUT, behind a small safe interface.
//!
//! ```text
//! stacks/<name>/Cargo.toml  pins the crate that carries the C sources
//! stacks/<name>/builds.toml names the builds; RIG_BUILD picks one at compile time
//! sets/*.h                  the SDKs' macro sets, as lists
//! stacks/<name>/*.h         macro sets of this version: the SDK's, and what had to differ
//! build.rs --> C library + shim/shim.c --> ffi (C symbols) --> Session (safe)
//! ```
//!
//! One image holds one version of the library: their symbols collide. A [`Session`] is one client
//! handshake and what follows, set up in the order in which the Ameba1 SDK's MQTT client calls the
//! library. All of this crate's `unsafe` is in [`session`](crate::Session), `heap` and `ffi`.

#![no_std]

extern crate alloc;

mod error;
mod ffi;
pub mod heap;
mod session;

pub use error::Error;
pub use session::{
    Host, HostError, Saved, Session, SetupError, content_length, library_version, warm_up,
};

/// The build this image was made from, for example `mbedtls-2.4.0/rsa-16384`.
pub const BUILD: &str = env!("RIG_BUILD");

/// The compilers that this image was made with, for example `rustc 1.96.0, gcc 12.2.1`.
pub const COMPILERS: &str = env!("RIG_COMPILERS");

/// Content hash of everything that the image was made from, as the rig named it when building;
/// `unnamed` if somebody else built it.
pub const IMAGE: &str = env!("RIG_IMAGE");
