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
use rig::board::{Dut, Kind, Process, qemu};
use rig::deadline::Interrupt;
use rig::firmware::{Builder, Chip, Image};
use rig::link::{Incoming, Link, Port};
use rig::probe::emulated::{EmulatedBoard, Trouble};
use rig::probe::{
    Algorithm, Class, Debugger, FlashImage, Flashed, ProbeError, Progress, Stage, Wiring, discover,
};
use rig::project::Project;
use std::os::unix::net::UnixStream;
use std::path::Path;

const BUILD: &str = "mbedtls-2.4.0/rsa-16384";

/// A board with an empty memory.
struct Bench {
    process: Process,
    line: UnixStream,
}

impl Bench {
    fn new() -> Self {
        let (process, line) = qemu::power_up(Path::new("bench")).unwrap();
        Self { process, line }
    }

    fn board(&self) -> &EmulatedBoard {
        self.process.emulated().unwrap()
    }

    fn wiring(&self) -> Wiring {
        qemu::wiring(self.board())
    }

    fn attach(&self) -> Result<Debugger, ProbeError> {
        Debugger::attach("left", &self.wiring())
    }

    fn flash(&self, image: &FlashImage) -> Result<Flashed, ProbeError> {
        self.attach()?.flash(&algorithm(), image, &mut |_| {})
    }

    /// Asks the DUT which image it is.
    fn hello(self) -> String {
        let mut link = Link::new(Port::Socket(self.line), Interrupt::default());
        link.renew_token();
        link.send(&wire::Command::Identify).unwrap();
        loop {
            let deadline = rig::deadline::Deadline::after(std::time::Duration::from_secs(20));
            if let Incoming::Identity(identity) = link.next(deadline).unwrap() {
                return identity.image;
            }
        }
    }
}

fn algorithm() -> Algorithm {
    let project = Project::find().unwrap();
    let builder = Builder::new(project.root(), &project.cache());
    let path = builder.flash_algorithm(Chip::Mps2An385, &mut |_| {}).unwrap();
    Algorithm::from_elf(&path).unwrap()
}

/// 300 KB that are not like each other.
fn large() -> FlashImage {
    let mut random = fastrand::Rng::with_seed(1);
    let mut bytes = vec![0; 300 * 1024];
    random.fill(&mut bytes);
    FlashImage { segments: vec![(0x10_0000, bytes)] }
}

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

#[test]
fn flash_is_written_once_and_then_found_to_be_there() {
    if !can_run(Kind::Qemu) {
        return;
    }
    let (bench, image) = (Bench::new(), large());
    let t = std::time::Instant::now();
    let mut debugger = bench.attach().unwrap();
    eprintln!("attach {:?}", t.elapsed());
    let mut stages: Vec<Progress> = Vec::new();
    let written = debugger.flash(&algorithm(), &image, &mut |step| stages.push(step)).unwrap();
    eprintln!("flash {:?}", t.elapsed());
    assert_eq!(written, Flashed::Written { bytes: 300 * 1024 });
    let t = std::time::Instant::now();
    let read = debugger.read(0x10_0000..0x10_0000 + 300 * 1024, &mut |_| {}).unwrap();
    eprintln!("read {:?}", t.elapsed());
    assert_eq!(read, image.segments[0].1);
    let t = std::time::Instant::now();
    assert_eq!(bench.flash(&image).unwrap(), Flashed::AlreadyThere);
    eprintln!("skip {:?}", t.elapsed());
    eprintln!("{:?}", stages.last());
}
