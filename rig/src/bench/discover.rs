//! What is plugged in: debug probes, the serial port that belongs to each, and the entry for
//! `bench.toml`.
//!
//! A probe and a serial port are one device if USB gives both the same vendor, product and serial
//! number: the DEV01 board's DAP is a probe and a port in one. Device numbers are never used.

use super::{Bench, Board, Probe, UsbProbe};
use crate::probe::AttachedProbe;
use reports::transcript::printable;
use schemars::JsonSchema;
use serde::Serialize;
use serialport::{SerialPortInfo, SerialPortType, UsbPortInfo};
use std::path::Path;

/// USB ids of the DAP on the DEV01 board (as its published firmware images say).
const DEV01_DAP: (u16, u16) = (0x0d28, 0x0204);

/// One probe that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Attached {
    /// `VID:PID:SERIAL`, as `bench.toml` wants it; without a serial number it cannot be used.
    pub probe: String,
    /// What it calls itself.
    pub product: String,
    /// The serial port that belongs to it.
    pub port: Option<String>,
    /// Further ports of the same device, where it has several.
    pub other_ports: Vec<String>,
    /// The board of the bench that it is the probe of.
    pub board: Option<String>,
    /// Whether it gives a serial number to tell it by.
    pub usable: bool,
    /// Whether this user may open it.
    pub accessible: bool,
}

impl Attached {
    /// A `bench.toml` entry for it, under a name that is not taken.
    #[must_use]
    pub fn entry(&self, taken: &mut Vec<String>) -> Option<String> {
        if self.board.is_some() || !self.usable {
            return None;
        }
        let free = |name: &String| !taken.contains(name);
        let name = (1..).map(|number| format!("desk-{number}")).find(free)?;
        taken.push(name.clone());
        let port = match (&self.port, self.other_ports.is_empty()) {
            (Some(_), true) => "# port: the one that belongs to the probe\n".to_owned(),
            (Some(port), false) => {
                format!("port = {}   # the first of several: try them\n", quoted(port))
            }
            (None, _) => {
                "port = \"/dev/ttyUSB0\"   # the probe has none: name your adapter's\n".to_owned()
            }
        };
        Some(format!("[boards.{name}]\nkind = \"ameba1\"\nprobe = {}\n{port}", quoted(&self.probe)))
    }
}

/// A string as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Everything that is plugged in, in the order of serial numbers.
#[must_use]
pub fn attached(bench: &Bench) -> Vec<Attached> {
    let ports = ports();
    let mut found: Vec<_> =
        crate::probe::discover().into_iter().map(|probe| join(probe, &ports, bench)).collect();
    found.sort_by(|a, b| a.probe.cmp(&b.probe));
    found
}

fn join(probe: AttachedProbe, ports: &[SerialPortInfo], bench: &Bench) -> Attached {
    let AttachedProbe { vendor: vid, product: pid, serial, name, accessible } = probe;
    let usable = serial.is_some();
    let usb = UsbProbe { vid, pid, serial: serial.unwrap_or_default() };
    let mut own = if usable { ports_of(&usb, ports) } else { Vec::new() }.into_iter();
    let board = bench.boards.iter().find(|board| board.probe == Probe::Usb(usb.clone()));
    Attached {
        probe: printable(usb.to_string().as_bytes()),
        product: printable(name.as_bytes()),
        port: own.next(),
        other_ports: own.collect(),
        board: board.map(|board| board.name.clone()),
        usable,
        accessible,
    }
}

/// Whether a probe looks like the DAP of a DEV01 board. Many other boards carry the same ids.
#[must_use]
pub fn looks_like_dev01(probe: &UsbProbe) -> bool {
    (probe.vid, probe.pid) == DEV01_DAP
}

/// The serial port of a board: the one that its entry names, else the one of its probe.
///
/// # Errors
/// A sentence that says what to plug in or to name.
pub fn port_of(board: &Board) -> Result<String, String> {
    if let Some(port) = &board.port {
        return Ok(port.clone());
    }
    let Probe::Usb(usb) = &board.probe else {
        return Err(format!("board {}: an emulator has no serial port", board.name));
    };
    match ports_of(usb, &ports()).into_iter().next() {
        Some(port) => Ok(port),
        None => Err(format!(
            "board {}: no serial port belongs to its probe {usb}: plug it in, or name the port of its adapter by `port` in bench.toml",
            board.name
        )),
    }
}

/// Ports of one USB device, those of its lowest interface first.
fn ports_of(usb: &UsbProbe, ports: &[SerialPortInfo]) -> Vec<String> {
    let belongs = |info: &UsbPortInfo| {
        (info.vid, info.pid) == (usb.vid, usb.pid)
            && info.serial_number.as_deref() == Some(usb.serial.as_str())
    };
    let mut own: Vec<_> = ports
        .iter()
        .filter_map(|port| match &port.port_type {
            SerialPortType::UsbPort(info) if belongs(info) => {
                Some((info.interface, port.port_name.clone()))
            }
            _ => None,
        })
        .collect();
    own.sort();
    own.into_iter().map(|(_, name)| name).collect()
}

fn ports() -> Vec<SerialPortInfo> {
    // Without libudev the serialport crate takes this folder for granted, and panics without it.
    if !Path::new("/sys/class/tty").is_dir() {
        return Vec::new();
    }
    serialport::available_ports().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, serial: &str, interface: u8) -> SerialPortInfo {
        SerialPortInfo {
            port_name: name.to_owned(),
            port_type: SerialPortType::UsbPort(UsbPortInfo {
                vid: 0x0d28,
                pid: 0x0204,
                serial_number: Some(serial.to_owned()),
                manufacturer: None,
                product: None,
                interface: Some(interface),
            }),
        }
    }

    fn probe(serial: Option<&str>, name: &str) -> AttachedProbe {
        let (vendor, product) = DEV01_DAP;
        let serial = serial.map(str::to_owned);
        AttachedProbe { vendor, product, serial, name: name.to_owned(), accessible: true }
    }

    #[test]
    fn a_port_belongs_to_the_probe_with_the_same_serial_number() {
        let ports = [port("/dev/ttyACM1", "b", 1), port("/dev/ttyACM0", "a", 1)];
        let bench = Bench::default();
        let seen = join(probe(Some("a"), "MBED CMSIS-DAP"), &ports, &bench);
        assert_eq!(seen.port.as_deref(), Some("/dev/ttyACM0"));
        assert!(seen.other_ports.is_empty());
        let entry = seen.entry(&mut Vec::new()).unwrap();
        insta::assert_snapshot!(entry, @r#"
        [boards.desk-1]
        kind = "ameba1"
        probe = "0d28:0204:a"
        # port: the one that belongs to the probe
        "#);
    }

    #[test]
    fn of_several_ports_the_lowest_interface_comes_first() {
        let ports = [port("/dev/ttyACM0", "a", 3), port("/dev/ttyACM1", "a", 1)];
        let seen = join(probe(Some("a"), "x"), &ports, &Bench::default());
        assert_eq!(seen.port.as_deref(), Some("/dev/ttyACM1"));
        assert_eq!(seen.other_ports, ["/dev/ttyACM0"]);
    }

    #[test]
    fn a_probe_without_a_serial_number_gets_no_entry() {
        let seen = join(probe(None, "clone"), &[], &Bench::default());
        assert!(!seen.usable && seen.entry(&mut Vec::new()).is_none());
    }

    #[test]
    fn what_a_device_calls_itself_cannot_steer_the_terminal() {
        let seen = join(probe(Some("a\u{1b}[2J\""), "\u{1b}[31m"), &[], &Bench::default());
        let entry = seen.entry(&mut Vec::new()).unwrap();
        assert!(!format!("{seen:?}{entry}").contains('\u{1b}'));
        assert!(toml::from_str::<toml::Value>(&entry).is_ok(), "{entry}");
    }
}
