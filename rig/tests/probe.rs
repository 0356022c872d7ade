//! The path from a probe to a running image, on the emulated board: by the code that drives a real
//! probe, with the trouble that a real one makes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests are test code"
)]

mod common;

use common::{can_run, image};
use rig::board::{Dut, Kind};
use rig::deadline::Interrupt;

const BUILD: &str = "mbedtls-2.4.0/rsa-16384";

#[test]
fn a_real_build_is_loaded_and_says_hello() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let image = image(Kind::Qemu, BUILD);
    let dut =
        Dut::start(Kind::Qemu, &image, Kind::Qemu.limits().boot, &Interrupt::default()).unwrap();
    assert_eq!(dut.identity.image, image.id);
}
