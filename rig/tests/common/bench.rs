//! An emulated board with an empty memory, and what is put there.

use object::{Object, ObjectSection, ObjectSymbol};
use rig::board::{Kind, Process, qemu};
use rig::deadline::{Deadline, Interrupt};
use rig::firmware::{Builder, Chip, Image};
use rig::link::{Incoming, Link, Port};
use rig::probe::emulated::{EmulatedBoard, Trouble};
use rig::probe::{Algorithm, Debugger, FlashImage, Flashed, ProbeError, Progress, Stage, Wiring};
use rig::project::Project;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is loaded as a real image.
pub const BUILD: &str = "mbedtls-2.4.0/rsa-16384";

/// In the emulated board's flash, behind what a build needs.
pub const AT: u32 = 0x10_0000;

/// An RTL8195A, as far as it is known; and a Cortex-M4.
pub const RTL8195A: Trouble = Trouble::OtherChip { core: 0x412f_c231, rom_table_part: 0x4c3 };
pub const CORTEX_M4: Trouble = Trouble::OtherChip { core: 0x410f_c241, rom_table_part: 0x4c4 };

/// A board with an empty memory.
pub struct Bench {
    /// The emulator.
    pub process: Process,
    /// The DUT's serial port.
    pub line: UnixStream,
}

impl Bench {
    pub fn new() -> Self {
        let (process, line) = qemu::power_up(Path::new("bench")).unwrap();
        Self { process, line }
    }

    pub fn board(&self) -> &EmulatedBoard {
        self.process.emulated().unwrap()
    }

    pub fn wiring(&self) -> Wiring {
        qemu::wiring(self.board())
    }

    pub fn attach(&self) -> Result<Debugger, ProbeError> {
        Debugger::attach("left", &self.wiring())
    }

    pub fn flash(&self, image: &FlashImage) -> Result<Flashed, ProbeError> {
        self.attach()?.flash(&algorithm(Chip::Mps2An385), image, &mut |_| {})
    }

    /// Flashes, and wishes the trouble on the board once this step has come so far.
    pub fn flash_with(&self, trouble: Trouble, at: Stage) -> ProbeError {
        let mut wished = false;
        let mut progress = |step: Progress| {
            if step.stage == at && step.done > step.total / 4 && !wished {
                wished = true;
                self.board().trouble(trouble);
            }
        };
        let mut debugger = self.attach().unwrap();
        let error = debugger.flash(&algorithm(Chip::Mps2An385), &large(), &mut progress);
        error.unwrap_err()
    }

    /// The error as people read it, without the number of this board's probe.
    pub fn shown(&self, error: &ProbeError) -> String {
        let serial = self.board().probe();
        error.to_string().replace(serial.rsplit(':').next().unwrap(), "[serial]")
    }
}

pub fn algorithm_file(chip: Chip) -> PathBuf {
    let project = Project::find().unwrap();
    let builder = Builder::new(project.root(), &project.cache());
    builder.flash_algorithm(chip, &mut |_| {}).unwrap()
}

pub fn algorithm(chip: Chip) -> Algorithm {
    Algorithm::from_elf(&algorithm_file(chip)).unwrap()
}

/// 300 KB that are not like each other.
pub fn large() -> FlashImage {
    let mut random = fastrand::Rng::with_seed(1);
    let mut bytes = vec![0; 300 * 1024];
    random.fill(&mut bytes);
    FlashImage { segments: vec![(AT, bytes)] }
}

pub fn small(address: u32) -> FlashImage {
    FlashImage { segments: vec![(address, vec![0x5a; 5000])] }
}

/// A build whose first instruction, the call of a hook that does nothing, is something else.
pub fn image_that_begins(build: &str, folder: &Path, with: [u8; 4]) -> Image {
    let build = super::image(Kind::Qemu, build);
    let mut bytes = std::fs::read(&build.path).unwrap();
    let at = {
        let file = object::File::parse(&*bytes).unwrap();
        let text = file.section_by_name(".text").unwrap();
        let entry = file.symbols().find(|symbol| symbol.name() == Ok("Reset")).unwrap();
        (text.file_range().unwrap().0 + (entry.address() & !1) - text.address()) as usize
    };
    let call = bytes.get_mut(at..at + 4).unwrap();
    assert!(matches!(call, [_, high, ..] if *high >> 3 == 0b11110), "BL");
    call.copy_from_slice(&with);
    let path = folder.join("begins.elf");
    std::fs::write(&path, bytes).unwrap();
    Image { path, ..build }
}

/// Which image the DUT at the other end of this line says it is.
pub fn hello(line: UnixStream) -> String {
    identity(&mut Link::new(Port::Socket(line), Interrupt::default()))
}

pub fn identity(link: &mut Link) -> String {
    link.renew_token();
    link.send(&wire::Command::Identify).unwrap();
    loop {
        if let Incoming::Identity(identity) =
            link.next(Deadline::after(Duration::from_secs(20))).unwrap()
        {
            return identity.image;
        }
    }
}
