//! Which probes there are, and the way through one to a chip.

use super::sequence::Release;
use super::{Algorithm, ProbeError, Stage, What, Wiring, emulated, error};
use probe_rs::config::Registry;
use probe_rs::probe::list::{Accessibility, Lister};
use probe_rs::probe::{DebugProbeInfo, DebugProbeSelector, WireProtocol};
use probe_rs::{Permissions, Session};
use reports::transcript::printable;
use std::error::Error;
use std::path::Path;

/// A probe that is attached to this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedProbe {
    /// USB vendor number.
    pub vendor: u16,
    /// USB product number.
    pub product: u16,
    /// Serial number, if the probe has one.
    pub serial: Option<String>,
    /// What it calls itself.
    pub name: String,
    /// Whether this user may open it.
    pub accessible: bool,
}

/// The probes that are attached, in no particular order. None on a machine without USB.
#[must_use]
pub fn discover() -> Vec<AttachedProbe> {
    let found = lister(Path::new(SERIAL_PORTS)).list_all_with_access();
    found
        .into_iter()
        .map(|item| AttachedProbe {
            vendor: item.info.vendor_id,
            product: item.info.product_id,
            serial: item.info.serial_number.map(|serial| printable(serial.as_bytes())),
            name: printable(item.info.identifier.as_bytes()),
            accessible: item.accessibility == Accessibility::Accessible,
        })
        .collect()
}

/// Where the system lists its serial ports.
const SERIAL_PORTS: &str = "/sys/class/tty";

/// Asking for probes looks at serial ports, too, and that panics where the system knows of none.
fn lister(serial_ports: &Path) -> Lister {
    if serial_ports.is_dir() {
        Lister::new()
    } else {
        Lister::with_lister(Box::new(emulated::OnlyEmulated))
    }
}

pub(super) fn no_answer_in_time() -> What {
    What::NoAnswer("it answers nothing in time".to_owned())
}

/// Opens the probe and connects to the chip.
pub(super) fn open(
    board: &str,
    wiring: &Wiring,
    algorithm: Option<&Algorithm>,
    release: &Release,
) -> Result<Session, ProbeError> {
    let failed = |what| ProbeError { board: board.to_owned(), stage: Stage::Attach, what };
    let explain = |error: &(dyn Error + 'static)| {
        failed(error::judge(error).unwrap_or_else(no_answer_in_time))
    };
    let info = find(&wiring.probe).map_err(failed)?;
    let mut probe = info.open().map_err(|error| explain(&error))?;
    probe.select_protocol(WireProtocol::Swd).map_err(|error| explain(&error))?;
    probe.set_speed(wiring.speed_khz).map_err(|error| explain(&error))?;
    let target = wiring.chip.target(algorithm, release.clone()).map_err(|error| explain(&error))?;
    probe
        .attach_with_registry(target, Permissions::new(), &Registry::new())
        .map_err(|error| explain(&error))
}

/// The attached probe of this name. A serial number may hold colons, so it is looked for first.
fn find(name: &str) -> Result<DebugProbeInfo, What> {
    let mut found = lister(Path::new(SERIAL_PORTS)).list_all_with_access();
    let selector: Result<DebugProbeSelector, _> = name.parse();
    let at = found
        .iter()
        .position(|item| item.info.serial_number.as_deref() == Some(name))
        .or_else(|| {
            let selector = selector.as_ref().ok()?;
            found.iter().position(|item| selector.matches_probe(&item.info))
        });
    match at.map(|at| found.swap_remove(at)) {
        Some(item) if item.accessibility == Accessibility::Accessible => Ok(item.info),
        Some(_) => Err(What::NotOpened("permission denied".to_owned())),
        None if selector.is_err() && (name.is_empty() || name.contains(':')) => {
            Err(What::ProbeName(name.to_owned()))
        }
        None => Err(What::NoProbe(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_knows_no_ports_has_no_probes() {
        assert_eq!(lister(Path::new("/nothing/here")).list_all(), []);
    }
}
