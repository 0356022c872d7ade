//! The bench: which boards are attached to this machine, and by which probe and port.
//!
//! ```text
//! bench.toml --> Bench --> Board (name, kind, probe, port, ...) --> board::Slot
//!                  ^
//! USB --discover---+--> an entry to paste
//! ```
//!
//! A board is named, and its probe is told by USB serial number and never by a device number, which
//! another plug or another boot changes. Everything is checked before anything is started.
//! [`discover`] looks at what is plugged in, [`lock`] keeps two rigs from using one board.

pub mod discover;
pub mod lock;

use crate::board::Kind;
use crate::firmware::Target;
use crate::probe::Chip;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use suites::file::{self, FileError};

/// The file's name at the top of the checkout. It belongs to one desk, so git ignores it there.
pub const FILE: &str = "bench.toml";

/// Rate of the serial port that is on the DEV01 board; its DAP firmware allows no other, and the
/// `ameba1` image sets its own end to it (`firmware/m3/src/board/ameba1.rs`).
const ON_BOARD_BAUD: u32 = 38_400;
/// SWD rate that published scripts use without trouble on this chip, in kHz.
const CAREFUL_KHZ: u32 = 1000;

/// The attached boards.
#[derive(Debug, Clone, Default)]
pub struct Bench {
    /// Where it was read from; missing if there is no file, which is a bench without boards.
    pub file: Option<PathBuf>,
    /// The boards, in the order of their names.
    pub boards: Vec<Board>,
}

/// One attached board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// Its name on this bench.
    pub name: String,
    /// What kind it is.
    pub kind: Kind,
    /// The chip on it.
    pub chip: Chip,
    /// How the rig gets at the core.
    pub probe: Probe,
    /// SWD rate in kHz.
    pub speed_khz: u32,
    /// What carries the frames between rig and DUT.
    pub link: Line,
    /// The serial port; `None`: the one that belongs to the probe.
    pub port: Option<String>,
    /// Rate of the serial port in baud.
    pub baud: u32,
    /// Where its firmware goes.
    pub start: StartFrom,
    /// A command that takes its power away and gives it back.
    pub power: Option<Vec<String>>,
    /// What may be asked for with `--board tag:NAME`.
    pub tags: Vec<String>,
}

impl Board {
    /// What firmware is compiled for it.
    #[must_use]
    pub fn target(&self) -> Target {
        match (self.kind, self.link) {
            (Kind::Qemu, Line::Rtt) => Target::Mps2An385Rtt,
            (kind, _) => kind.target(),
        }
    }
}

/// What carries the frames between rig and DUT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// The serial port: 38400 baud on the DEV01 board.
    #[default]
    Serial,
    /// The debug probe, by two rings in the DUT's memory: no wire and no rate of its own.
    Rtt,
}

/// How the rig gets at a board's core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A debug probe on USB.
    Usb(UsbProbe),
    /// An emulator that runs by itself, reached through the sockets in this folder.
    Emulator(PathBuf),
}

/// A debug probe as USB names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsbProbe {
    /// Vendor.
    pub vid: u16,
    /// Product.
    pub pid: u16,
    /// Serial number.
    pub serial: String,
}

impl std::fmt::Display for UsbProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04x}:{:04x}:{}", self.vid, self.pid, self.serial)
    }
}

impl std::str::FromStr for UsbProbe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A serial number may hold a colon itself.
        let mut parts = text.splitn(3, ':');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let number = |part: &str| u16::from_str_radix(part, 16).ok();
        let parts = next().and_then(number).zip(next().and_then(number)).zip(next());
        let parsed = parts.map(|((vid, pid), serial)| Self { vid, pid, serial: serial.to_owned() });
        parsed.ok_or_else(|| {
            "a probe is named VID:PID:SERIAL, the first two in hexadecimal; `cargo rig list boards` shows those that are plugged in".to_owned()
        })
    }
}

/// Where a board's firmware goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum StartFrom {
    /// Into memory; nothing on the board is changed for longer than its power lasts.
    #[default]
    Ram,
    /// Into the flash, once for each image.
    Flash,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBench {
    #[serde(default)]
    boards: BTreeMap<String, RawBoard>,
}

/// One `[boards.NAME]` table; `rig/FIRST_BOARD.md` explains the keys to users.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBoard {
    kind: RawKind,
    probe: Option<String>,
    emulator: Option<PathBuf>,
    chip: Option<RawChip>,
    speed_khz: Option<u32>,
    #[serde(default)]
    link: Line,
    port: Option<String>,
    baud: Option<u32>,
    #[serde(default)]
    start: StartFrom,
    power: Option<Vec<String>>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawKind {
    Ameba1,
    Qemu,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum RawChip {
    #[serde(rename = "rtl8195a")]
    Rtl8195a,
    #[serde(rename = "mps2-an385")]
    Mps2An385,
}

/// Why there is no bench to work with.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// The file says something that it may not.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Bench {
    /// Reads the file; one that is not there is a bench without boards.
    ///
    /// # Errors
    /// [`BenchError`] with line and nearest name.
    pub fn load(path: &Path) -> Result<Self, BenchError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => return Err(BenchError::Read { path: path.to_owned(), source }),
        };
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let boards = parse(&text, &name, path.parent().unwrap_or(Path::new(".")))?;
        Ok(Self { file: Some(path.to_owned()), boards })
    }

    /// The board of this name.
    #[must_use]
    pub fn board(&self, name: &str) -> Option<&Board> {
        self.boards.iter().find(|board| board.name == name)
    }

    /// All boards of a kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Board> {
        self.boards.iter().filter(move |board| board.kind == kind)
    }
}

fn parse(text: &str, file_name: &str, folder: &Path) -> Result<Vec<Board>, FileError> {
    let raw: RawBench = file::parse(text, file_name)?;
    let mut boards: Vec<Board> = Vec::new();
    for (name, raw) in raw.boards {
        let refuse = |needle: &str, message: String| {
            // Names of keys stand in every table; the board's own is the surer place to point at.
            let table = format!("boards.{name}");
            let needle = if text.matches(needle).count() == 1 { needle } else { &*table };
            file::refuse(text, file_name, needle, message)
        };
        let board = check(&name, raw, folder, &refuse)?;
        if let Some(other) = boards.iter().find(|other| other.probe == board.probe) {
            let message = format!(
                "board {name} has the same probe as board {}: two boards cannot share one",
                other.name
            );
            return Err(refuse(&name, message));
        }
        boards.push(board);
    }
    Ok(boards)
}

fn check(
    name: &str,
    raw: RawBoard,
    folder: &Path,
    refuse: &dyn Fn(&str, String) -> FileError,
) -> Result<Board, FileError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || !name.chars().all(plain) {
        let message = "a board's name is made of letters, digits, - and _".to_owned();
        return Err(refuse(name, message));
    }
    if Kind::ALL.iter().any(|kind| kind.name() == name) {
        let message = format!("{name} is the name of a kind of board: give the board another");
        return Err(refuse(name, message));
    }
    let (kind, usual_chip) = match raw.kind {
        RawKind::Ameba1 => (Kind::Ameba1, Chip::Rtl8195a),
        RawKind::Qemu => (Kind::Qemu, Chip::Mps2An385),
    };
    let chip = match raw.chip {
        None => usual_chip,
        Some(RawChip::Rtl8195a) => Chip::Rtl8195a,
        Some(RawChip::Mps2An385) => Chip::Mps2An385,
    };
    if chip != usual_chip {
        let message = format!("a board of kind {kind} has the chip {}", usual_chip.name());
        return Err(refuse("chip", message));
    }
    let probe = match (raw.probe, raw.emulator) {
        (Some(text), None) => {
            Probe::Usb(text.parse().map_err(|message: String| refuse(&text, message))?)
        }
        (None, Some(path)) if kind == Kind::Qemu => Probe::Emulator(folder.join(path)),
        (None, Some(_)) => {
            let message = format!("board {name}: only kind qemu has an emulator");
            return Err(refuse("emulator", message));
        }
        (Some(_), Some(_)) | (None, None) => {
            let message = format!("board {name} needs either a probe or an emulator");
            return Err(refuse(name, message));
        }
    };
    let within = |key: &str, value: u32, least: u32, most: u32| match value {
        value if (least..=most).contains(&value) => Ok(value),
        value => {
            Err(refuse(key, format!("board {name}: {key} = {value} is not in {least} to {most}")))
        }
    };
    let baud = within("baud", raw.baud.unwrap_or(ON_BOARD_BAUD), 1200, 4_000_000)?;
    if let (Kind::Ameba1, Line::Serial, Some(baud)) = (kind, raw.link, raw.baud)
        && baud != ON_BOARD_BAUD
    {
        let message = format!(
            "board {name}: its firmware sets its serial port to {ON_BOARD_BAUD} baud, whatever the adapter can do: take baud away, or set link = \"rtt\" for a faster way"
        );
        return Err(refuse("baud", message));
    }
    if raw.link == Line::Rtt
        && let Some(key) = [("port", raw.port.is_some()), ("baud", raw.baud.is_some())]
            .into_iter()
            .find_map(|(key, given)| given.then_some(key))
    {
        let message = format!(
            "board {name}: with link = \"rtt\" the probe carries the frames: take {key} away, or set link = \"serial\""
        );
        return Err(refuse(key, message));
    }
    let board = Board {
        name: name.to_owned(),
        kind,
        chip,
        probe,
        speed_khz: within("speed_khz", raw.speed_khz.unwrap_or(CAREFUL_KHZ), 10, 50_000)?,
        link: raw.link,
        port: raw.port,
        baud,
        start: raw.start,
        power: raw.power,
        tags: raw.tags,
    };
    if board.power.as_ref().is_some_and(Vec::is_empty) {
        let message = format!("board {name}: power is a command and its arguments");
        return Err(refuse("power", message));
    }
    if board.port.as_deref() == Some("") {
        let message = format!("board {name}: port is a path such as /dev/ttyACM0");
        return Err(refuse("port", message));
    }
    Ok(board)
}

/// The boards of a text that is right.
#[cfg(test)]
pub(crate) fn parse_for_tests(text: &str) -> Vec<Board> {
    parse(text, FILE, Path::new("/bench")).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Board>, String> {
        parse(text, FILE, Path::new("/bench")).map_err(|error| error.to_string())
    }

    const DESK: &str = "[boards.desk-1]\nkind = 'ameba1'\nprobe = '0d28:0204:0240:a1'\n";

    #[test]
    fn what_is_left_out_is_what_the_board_of_the_thread_has() {
        let boards = read(DESK).unwrap();
        let board = &boards[0];
        assert_eq!((board.kind, board.chip), (Kind::Ameba1, Chip::Rtl8195a));
        assert_eq!((board.baud, board.speed_khz), (38_400, 1000));
        assert_eq!(board.link, Line::Serial);
        assert_eq!(board.start, StartFrom::Ram, "nothing on the board is written unless asked for");
        let Probe::Usb(probe) = &board.probe else { panic!("{board:?}") };
        assert_eq!(probe.serial, "0240:a1");
        assert_eq!(probe.to_string(), "0d28:0204:0240:a1");
    }

    #[test]
    fn an_emulator_is_found_beside_the_file() {
        let boards = read("[boards.e]\nkind = 'qemu'\nemulator = 'sockets'\n").unwrap();
        assert_eq!(boards[0].probe, Probe::Emulator(PathBuf::from("/bench/sockets")));
    }

    #[test]
    fn the_probe_can_be_the_line_and_the_emulated_board_wants_another_image_for_it() {
        let desk = read(&format!("{DESK}link = 'rtt'\n")).unwrap();
        assert_eq!((desk[0].link, desk[0].target()), (Line::Rtt, Target::Ameba1));
        let emulated = |link| format!("[boards.e]\nkind = 'qemu'\nemulator = 'x'\n{link}");
        let target = |link| read(&emulated(link)).unwrap()[0].target();
        assert_eq!(target("link = 'rtt'"), Target::Mps2An385Rtt);
        assert_eq!(target("link = 'serial'"), Target::Mps2An385);
    }

    #[test]
    fn every_mistake_has_a_sentence() {
        let desk = |line: &str| format!("{DESK}{line}\n");
        let two = format!("{DESK}{}", DESK.replace("desk-1", "desk-2"));
        let mistakes = [
            ("mistyped key", desk("sped_khz = 1")),
            ("unknown kind", DESK.replace("ameba1", "ameba2")),
            ("device number", DESK.replace("0d28:0204:0240:a1", "0")),
            ("no probe", "[boards.desk-1]\nkind = 'ameba1'\n".to_owned()),
            ("emulator for silicon", "[boards.d]\nkind = 'ameba1'\nemulator = 'x'\n".to_owned()),
            ("wrong chip", desk("chip = 'mps2-an385'")),
            ("baud", desk("baud = 1")),
            ("speed", desk("speed_khz = 100000")),
            ("power", desk("power = []")),
            ("port", desk("port = ''")),
            ("a rate that the firmware does not have", desk("baud = 115200")),
            ("unknown link", desk("link = 'usb'")),
            ("rtt and a port", desk("link = 'rtt'\nport = '/dev/ttyUSB0'")),
            ("rtt and a rate", desk("link = 'rtt'\nbaud = 115200")),
            ("name of a kind", DESK.replace("desk-1", "qemu")),
            ("name", DESK.replace("desk-1", "'a b'")),
            ("shared probe", two),
        ];
        let said: String = mistakes
            .iter()
            .map(|(what, text)| format!("-- {what}\n{}\n", read(text).unwrap_err()))
            .collect();
        insta::assert_snapshot!("mistakes", said);
    }
}
