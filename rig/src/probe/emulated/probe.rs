//! What probe-rs sees: a factory of probes, and a probe.

use super::dap::Register;
use super::machine::BusError;
use super::{Board, PRODUCT, Shared, Trouble, VENDOR, boards, lock};
use probe_rs::CoreStatus;
use probe_rs::architecture::arm::sequences::ArmDebugSequence;
use probe_rs::architecture::arm::{
    ArmCommunicationInterface, ArmDebugInterface, ArmError, DapError, DapProbe, RawDapAccess,
    RegisterAddress,
};
use probe_rs::probe::list::{ProbeListItem, ProbeLister};
use probe_rs::probe::{
    DebugProbe, DebugProbeError, DebugProbeInfo, DebugProbeSelector, Probe, ProbeCreationError,
    ProbeFactory, WireProtocol,
};
use std::fmt;
use std::io;
use std::sync::Arc;

/// DPIDR of a Cortex-M3's serial wire debug port.
const DPIDR: u32 = 0x2ba0_1477;
/// Where the core and the table of debug components say what they are.
const CPUID: u32 = 0xe000_ed00;
const PIDR0: u32 = 0xe00f_ffe0;
const PIDR1: u32 = 0xe00f_ffe4;
/// ENODEV, as the kernel numbers it.
const NO_SUCH_DEVICE: i32 = 19;
const FASTEST_KHZ: u32 = 50_000;
const NAME: &str = "emulated board";

/// Opens probes of the boards in the table.
#[derive(Debug)]
pub(super) struct Factory;

impl fmt::Display for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl ProbeFactory for Factory {
    fn open(&self, selector: &DebugProbeSelector) -> Result<Box<dyn DebugProbe>, DebugProbeError> {
        let failed = DebugProbeError::ProbeCouldNotBeCreated;
        let serial = selector.serial_number.as_deref().unwrap_or_default();
        if (selector.vendor_id, selector.product_id) != (VENDOR, PRODUCT) {
            return Err(failed(ProbeCreationError::NotFound));
        }
        let board = boards().get(serial).cloned();
        let board = board.ok_or_else(|| failed(ProbeCreationError::NotFound))?;
        {
            let mut board = lock(&board);
            if board.unplugged() {
                return Err(failed(ProbeCreationError::NotFound));
            }
            if std::mem::replace(&mut board.in_use, true) {
                return Err(failed(ProbeCreationError::CouldNotOpen));
            }
        }
        Ok(Box::new(VirtualProbe { board, speed_khz: 1000 }))
    }

    fn list_probes(&self) -> Vec<ProbeListItem> {
        let boards = boards();
        let plugged = boards.iter().filter(|(_, board)| !lock(board).unplugged());
        plugged
            .map(|(serial, _)| {
                let serial = Some(serial.clone());
                let info =
                    DebugProbeInfo::new(NAME, VENDOR, PRODUCT, serial, &Factory, None, false);
                ProbeListItem::accessible(info)
            })
            .collect()
    }
}

/// A lister for machines on which looking for other probes does not end well.
#[derive(Debug)]
pub(in crate::probe) struct OnlyEmulated;

impl ProbeLister for OnlyEmulated {
    fn open(&self, selector: &DebugProbeSelector) -> Result<Probe, DebugProbeError> {
        Factory.open(selector).map(Probe::from_specific_probe)
    }

    fn list_with_access(&self, selector: Option<&DebugProbeSelector>) -> Vec<ProbeListItem> {
        Factory.list_probes_filtered(selector)
    }
}

/// A probe that is open.
#[derive(Debug)]
struct VirtualProbe {
    board: Shared,
    speed_khz: u32,
}

impl Drop for VirtualProbe {
    fn drop(&mut self) {
        lock(&self.board).in_use = false;
    }
}

impl VirtualProbe {
    /// One operation over USB and wires, unless something is in the way.
    fn operate<T>(
        &mut self,
        work: impl FnOnce(&mut Board) -> Result<T, BusError>,
    ) -> Result<T, ArmError> {
        let mut board = lock(&self.board);
        board.operations = board.operations.saturating_add(1);
        if board.unplugged() {
            return Err(DebugProbeError::Usb(io::Error::from_raw_os_error(NO_SUCH_DEVICE)).into());
        }
        for trouble in &board.troubles {
            if let Trouble::Slow(time) = trouble {
                std::thread::sleep(*time);
            }
        }
        if board.without_power() {
            return Err(DapError::NoAcknowledge.into());
        }
        work(&mut board).map_err(|error| match error {
            BusError::Fault => DapError::FaultResponse.into(),
            // The board is not there any more, as if it had been unplugged with its probe.
            BusError::Gone(error) => DebugProbeError::Usb(match error.kind() {
                io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::UnexpectedEof => io::Error::other("the emulator has ended"),
                _ => error,
            })
            .into(),
        })
    }
}

fn register(address: RegisterAddress) -> Register {
    match address {
        RegisterAddress::DpRegister(register) => Register::Debug(register.address),
        RegisterAddress::ApRegister(address) => Register::Access(address),
    }
}

/// Changes what was read at `first` and behind it into what another chip, or a broken one, says.
fn falsify(troubles: &[Trouble], first: u32, values: &mut [u32]) {
    let mut change = |address: u32, work: &dyn Fn(u32) -> u32| {
        let index = address.checked_sub(first).map(|offset| offset as usize / 4);
        if let Some(value) = index.and_then(|index| values.get_mut(index)) {
            *value = work(*value);
        }
    };
    for trouble in troubles {
        match *trouble {
            Trouble::OtherChip { core, rom_table_part } => {
                let part = u32::from(rom_table_part);
                change(CPUID, &|_| core);
                change(PIDR0, &|_| part & 0xff);
                change(PIDR1, &|maker| maker & 0xf0 | part >> 8);
            }
            Trouble::BadBit { word } => change(word, &|value| value ^ 1),
            Trouble::Unplugged { .. } | Trouble::PowerLost { .. } | Trouble::Slow(_) => {}
        }
    }
}

impl RawDapAccess for VirtualProbe {
    fn raw_read_register(&mut self, address: RegisterAddress) -> Result<u32, ArmError> {
        let mut value = [0];
        self.raw_read_block(address, &mut value)?;
        let [value] = value;
        Ok(value)
    }

    fn raw_read_block(
        &mut self,
        address: RegisterAddress,
        values: &mut [u32],
    ) -> Result<(), ArmError> {
        let register = register(address);
        self.operate(|Board { machine, dap, troubles, .. }| {
            let first = dap.address_of(register);
            dap.read(machine, DPIDR, register, values)?;
            if let Some(first) = first {
                falsify(troubles, first, values);
            }
            Ok(())
        })
    }

    fn raw_write_register(&mut self, address: RegisterAddress, value: u32) -> Result<(), ArmError> {
        self.raw_write_block(address, &[value])
    }

    fn raw_write_block(
        &mut self,
        address: RegisterAddress,
        values: &[u32],
    ) -> Result<(), ArmError> {
        let register = register(address);
        self.operate(|Board { machine, dap, .. }| dap.write(machine, register, values))
    }

    fn jtag_sequence(&mut self, _: u8, _: bool, _: u64) -> Result<(), DebugProbeError> {
        Err(DebugProbeError::UnsupportedProtocol(WireProtocol::Jtag))
    }

    fn swj_sequence(&mut self, _: u8, _: u64) -> Result<(), DebugProbeError> {
        // Line resets and the switch to serial wire: nothing here can be in another state.
        Ok(())
    }

    fn swj_pins(&mut self, _: u32, _: u32, _: u32) -> Result<u32, DebugProbeError> {
        // No pin leads to the board but the two of the wire, as on the boards this stands in for.
        Err(DebugProbeError::CommandNotSupportedByProbe { command_name: "swj_pins" })
    }

    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }

    fn core_status_notification(&mut self, _: CoreStatus) -> Result<(), DebugProbeError> {
        Ok(())
    }
}

const NO_RESET_PIN: DebugProbeError =
    DebugProbeError::CommandNotSupportedByProbe { command_name: "target_reset" };

impl DebugProbe for VirtualProbe {
    fn get_name(&self) -> &str {
        NAME
    }

    fn speed_khz(&self) -> u32 {
        self.speed_khz
    }

    fn set_speed(&mut self, speed_khz: u32) -> Result<u32, DebugProbeError> {
        if !(1..=FASTEST_KHZ).contains(&speed_khz) {
            return Err(DebugProbeError::UnsupportedSpeed(speed_khz));
        }
        self.speed_khz = speed_khz;
        Ok(speed_khz)
    }

    fn attach(&mut self) -> Result<(), DebugProbeError> {
        Ok(())
    }

    fn detach(&mut self) -> Result<(), probe_rs::Error> {
        Ok(())
    }

    fn target_reset(&mut self) -> Result<(), DebugProbeError> {
        Err(NO_RESET_PIN)
    }

    fn target_reset_assert(&mut self) -> Result<(), DebugProbeError> {
        Err(NO_RESET_PIN)
    }

    fn target_reset_deassert(&mut self) -> Result<(), DebugProbeError> {
        Err(NO_RESET_PIN)
    }

    fn select_protocol(&mut self, protocol: WireProtocol) -> Result<(), DebugProbeError> {
        match protocol {
            WireProtocol::Swd => Ok(()),
            WireProtocol::Jtag => Err(DebugProbeError::UnsupportedProtocol(protocol)),
        }
    }

    fn active_protocol(&self) -> Option<WireProtocol> {
        Some(WireProtocol::Swd)
    }

    fn has_arm_interface(&self) -> bool {
        true
    }

    fn try_get_arm_debug_interface<'probe>(
        self: Box<Self>,
        sequence: Arc<dyn ArmDebugSequence>,
    ) -> Result<Box<dyn ArmDebugInterface + 'probe>, (Box<dyn DebugProbe>, ArmError)> {
        Ok(ArmCommunicationInterface::create(self, sequence, false))
    }

    fn try_as_dap_probe(&mut self) -> Option<&mut dyn DapProbe> {
        Some(self)
    }

    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }
}

impl DapProbe for VirtualProbe {}
