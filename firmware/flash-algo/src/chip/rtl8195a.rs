//! Realtek's RTL8195A family: a serial NOR chip behind the flash controller SPIC.
//!
//! ```text
//! Init   clock 41.67 MHz, gates, pins, one-bit mode --> chip idle? --> identification, protection
//! erase  write enable --> 0x20, address             --> chip idle? --> done?
//! write  write enable --> 0x02, address, 256 bytes  --> chip idle? --> done?
//! UnInit controller off the chip: it is memory at 0x98000000 again
//! ```
//!
//! Written from public facts, whose sources are: the vendor's `ambiot/amb1_sdk` (register headers:
//! SDK; machine code of its ROM library: ROM; of `lib_platform.a`: PLAT), ARM's DAPLink
//! (`flash_blob.c`: DL) and `sandeepmistry/rtl8710-openocd` (`spi_flash.c`: RB). What the chip says
//! in its status register is the convention of all serial NOR makers. No board has run this.
//!
//! The debugger may have stopped any program at any point, so nothing is taken for granted but the
//! memory; each wait ends after a number of looks (DL does it so, too).

use super::{page, sector};
use crate::failure::Failure;
use core::ops::Range;
use flash_algorithm::{ErrorCode, FlashAlgorithm, Function};
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};
use tock_registers::{register_bitfields, register_structs};

/// For the device description.
pub const NAME: &str = "Realtek RTL8195A";
/// Serial flash, as CMSIS-Pack numbers it.
pub const DEVICE_TYPE: u16 = 5;
/// Where the flash is memory-mapped (SDK), and 2 MB, the larger of the sizes on known boards (DL);
/// the chip's identification tells what it really holds.
pub const FLASH: Range<u32> = 0x9800_0000..0x9820_0000;
/// Milliseconds; serial NOR chips take up to 5.
pub const PROGRAM_LIMIT_MS: u32 = 1000;
/// Milliseconds for a sector; serial NOR chips take up to 400.
pub const SECTOR_LIMIT_MS: u32 = 3000;

/// Offsets of backup, system and radio calibration data: this one unit's, nobody can make them
/// again. (SDK `platform_opts.h`; DL and RB leave them alone, too.)
const FACTORY_DATA: Range<u32> = 0x8000..0xb000;

/// Looks at the clock register until it says what was written; as many as DL.
const CLOCK_LOOKS: u32 = 20;
/// Looks at the controller until a transfer is through; as many as DL.
const CONTROLLER_LOOKS: u32 = 30_000;
/// Looks at the flash chip until it has erased a sector. Each takes more than 2 µs: 16 bits at
/// 20.8 MHz, and the instructions around them at 41.67 MHz.
const CHIP_LOOKS: u32 = 250_000;
/// Tries to get an identification, and to get the chip to accept a write enable; as many as PLAT.
const TRIES: u32 = 3;

register_structs! {
    /// System registers (base 0x40000000) that the flash needs (SDK `rtl8195a_sys_on.h`,
    /// `rtl8195a_peri_on.h`; ROM).
    System {
        (0x000 => _0),
        (0x014 => clock: ReadWrite<u32>),
        (0x018 => _1),
        (0x038 => efuse_system_3: ReadOnly<u32, EfuseSystem3::Register>),
        (0x03c => _2),
        (0x0e0 => efuse_test: ReadOnly<u32, EfuseTest::Register>),
        (0x0e4 => _3),
        (0x1f4 => system_status: ReadOnly<u32, SystemStatus::Register>),
        (0x1f8 => _4),
        (0x210 => functions: ReadWrite<u32, Functions::Register>),
        (0x214 => _5),
        (0x230 => clocks: ReadWrite<u32, Clocks::Register>),
        (0x234 => _6),
        (0x2c0 => pins: ReadWrite<u32, Pins::Register>),
        (0x2c4 => _7),
        (0x300 => delay: ReadWrite<u32, Delay::Register>),
        (0x304 => _8),
        (0x320 => ports: ReadWrite<u32, Ports::Register>),
        (0x324 => @END),
    }
}

register_structs! {
    /// The flash controller (base 0x40006000; SDK `rtl8195a_spi_flash.h`).
    Spic {
        (0x000 => control_0: ReadWrite<u32, Control0::Register>),
        (0x004 => receive_count: ReadWrite<u32>),
        (0x008 => enable: ReadWrite<u32, Enable::Register>),
        (0x00c => _0),
        (0x010 => chip_select: ReadWrite<u32>),
        (0x014 => divider: ReadWrite<u32>),
        (0x018 => _1),
        (0x028 => state: ReadOnly<u32, State::Register>),
        (0x02c => interrupts: ReadWrite<u32>),
        (0x030 => _2),
        (0x04c => dma: ReadWrite<u32>),
        (0x050 => _3),
        (0x060 => data: ReadWrite<u32>),
        (0x064 => _4),
        (0x118 => address_length: ReadWrite<u32>),
        (0x11c => auto_length: ReadWrite<u32, AutoLength::Register>),
        (0x120 => auto_commands: ReadWrite<u32, AutoCommands::Register>),
        (0x124 => _5),
        (0x128 => flush: WriteOnly<u32>),
        (0x12c => @END),
    }
}

register_structs! {
    /// The controller's data register where a byte is put in or taken out.
    DataByte {
        (0x00 => data: ReadWrite<u8>),
        (0x01 => @END),
    }
}

register_bitfields! [u32,
    EfuseSystem3 [
        FLASH_DELAY OFFSET(16) NUMBITS(5) [],
        FLASH_DUMMY OFFSET(21) NUMBITS(3) [],
        FLASH_CALIBRATED OFFSET(24) NUMBITS(1) []
    ],
    EfuseTest [CALIBRATION_VALID 5],
    SystemStatus [EFUSE_LOADED 0],
    Functions [FLASH 4],
    Clocks [FLASH_ACTIVE 8, FLASH_SLEEP 9],
    // Set 0: port F, where the chip inside the package and on the boards is.
    Pins [FLASH OFFSET(0) NUMBITS(1) [], FLASH_SET OFFSET(1) NUMBITS(2) []],
    Delay [FLASH OFFSET(0) NUMBITS(8) []],
    Ports [F 5],
    Control0 [
        TRANSFER OFFSET(8) NUMBITS(2) [Send = 0, Receive = 3],
        ADDRESS_CHANNELS OFFSET(16) NUMBITS(2) [One = 0],
        DATA_CHANNELS OFFSET(18) NUMBITS(2) [One = 0],
        COMMAND_CHANNELS OFFSET(20) NUMBITS(2) [One = 0]
    ],
    Enable [USER 0],
    State [BUSY 0],
    AutoLength [READ_DUMMY OFFSET(0) NUMBITS(16) []],
    // Reads and writes over two and four lines.
    AutoCommands [MULTI_BIT OFFSET(1) NUMBITS(8) []],
];

fn system() -> &'static System {
    // SAFETY: The chip has these registers at this address; they live for ever and are only touched
    // by volatile single-word accesses.
    unsafe { &*(0x4000_0000 as *const System) }
}

fn spic() -> &'static Spic {
    // SAFETY: As for the system registers; its gate is opened before it is touched.
    unsafe { &*(0x4000_6000 as *const Spic) }
}

fn data_byte() -> &'static DataByte {
    // SAFETY: As for the controller, whose data register takes bytes as well as words.
    unsafe { &*(0x4000_6060 as *const DataByte) }
}

/// Opcodes, the same for all serial NOR chips.
mod opcode {
    pub const PAGE_PROGRAM: u8 = 0x02;
    pub const READ_STATUS: u8 = 0x05;
    pub const WRITE_ENABLE: u8 = 0x06;
    pub const SECTOR_ERASE: u8 = 0x20;
    pub const READ_IDENTIFICATION: u8 = 0x9f;
}

/// Bits of the flash chip's status register.
mod status {
    pub const WRITE_IN_PROGRESS: u8 = 1 << 0;
    pub const WRITE_ENABLE_LATCH: u8 = 1 << 1;
    /// BP2 to BP0, which have this place with all makers.
    pub const BLOCK_PROTECTION: u8 = 0b111 << 2;
    /// What the line reads as where no chip drives it. No chip has all bits set.
    pub const NOBODY: u8 = 0xff;
}

/// The routines, with the flash they are for. An `Init` that failed leaves it all zero, so that it
/// is for no flash at all.
pub struct Rtl8195a {
    flash: Range<u32>,
}

impl FlashAlgorithm for Rtl8195a {
    fn new(_address: u32, _clock: u32, _function: Function) -> Result<Self, ErrorCode> {
        // What ran before may have left interrupts on whose handlers are gone.
        cortex_m::interrupt::disable();
        let dummy = start_system()?;
        start_controller(dummy)?;
        wait_for_chip()?;
        let flash = FLASH.start..(FLASH.start + capacity()?).min(FLASH.end);
        if read_status()? & status::BLOCK_PROTECTION != 0 {
            return Err(Failure::WriteProtected.into());
        }
        Ok(Self { flash })
    }

    fn erase_sector(&mut self, address: u32) -> Result<(), ErrorCode> {
        let offset = sector(self.flash.clone(), address)?;
        refuse_factory_data(offset..offset + crate::SECTOR)?;
        enable_write()?;
        prepare(Control0::TRANSFER::Send, 3);
        let [_, high, middle, low] = offset.to_be_bytes();
        for byte in [opcode::SECTOR_ERASE, high, middle, low] {
            data_byte().data.set(byte);
        }
        transfer()?;
        finish()?;
        Ok(wait_for_write()?)
    }

    fn program_page(&mut self, address: u32, data: &[u8]) -> Result<(), ErrorCode> {
        let offset = page(self.flash.clone(), address, data)?;
        refuse_factory_data(offset..offset + data.len() as u32)?;
        enable_write()?;
        prepare(Control0::TRANSFER::Send, 3);
        let [_, high, middle, low] = offset.to_be_bytes();
        let spic = spic();
        spic.data.set(u32::from_le_bytes([opcode::PAGE_PROGRAM, high, middle, low]));
        let (words, _) = data.as_chunks();
        // The FIFO holds 8 words. Full before the start it cannot run dry, which would end the
        // command; once it is full the bus makes the core wait for room (PLAT, RB).
        let (first, rest) = words.split_at_checked(7).unwrap_or((words, &[]));
        for word in first {
            spic.data.set(u32::from_le_bytes(*word));
        }
        spic.enable.write(Enable::USER::SET);
        for word in rest {
            spic.data.set(u32::from_le_bytes(*word));
        }
        finish()?;
        Ok(wait_for_write()?)
    }
}

impl Drop for Rtl8195a {
    /// Flash pins and gates stay on: the debugger reads the flash through the controller next.
    fn drop(&mut self) {
        let spic = spic();
        // A routine that was stopped midway may have left a transfer; Init comes here first then.
        let _ = finish();
        // PLAT leaves the length of a read's address here.
        spic.address_length.set(3);
        spic.flush.set(1);
    }
}

/// Gates, pins and clock. Gives the read dummy cycles that go with the clock.
fn start_system() -> Result<u32, Failure> {
    /// Index 2, 41.67 MHz; bit 0 is the fuse loader's and kept on (ROM, DL).
    const CLOCK_INDEX_2: u32 = 0x21;

    let system = system();
    system.functions.modify(Functions::FLASH::SET);
    system.clocks.modify(Clocks::FLASH_ACTIVE::SET + Clocks::FLASH_SLEEP::SET);
    system.ports.modify(Ports::F::SET);
    system.pins.modify(Pins::FLASH_SET.val(0) + Pins::FLASH::SET);
    system.clock.set(CLOCK_INDEX_2);
    look(CLOCK_LOOKS, Failure::Clock, || system.clock.get() == CLOCK_INDEX_2)?;

    // For clock index 2, unless this unit's fuses say better (ROM, PLAT, DL).
    let (mut delay, mut dummy) = (0x23, 2);
    let fuses = system.efuse_system_3.extract();
    if system.system_status.is_set(SystemStatus::EFUSE_LOADED)
        && system.efuse_test.is_set(EfuseTest::CALIBRATION_VALID)
        && fuses.is_set(EfuseSystem3::FLASH_CALIBRATED)
    {
        delay = fuses.read(EfuseSystem3::FLASH_DELAY) * 3;
        dummy += fuses.read(EfuseSystem3::FLASH_DUMMY);
    }
    system.delay.modify(Delay::FLASH.val(delay));
    Ok(dummy)
}

/// One bit at a time, on chip select 0, core clock halved (ROM, PLAT, DL).
fn start_controller(dummy: u32) -> Result<(), Failure> {
    let spic = spic();
    finish()?;
    // What a stopped routine has left in the FIFOs would be the next command's first bytes.
    spic.flush.set(1);
    spic.interrupts.set(0);
    spic.dma.set(0);
    spic.divider.set(1);
    spic.chip_select.set(1);
    spic.auto_length.modify(AutoLength::READ_DUMMY.val(dummy));
    spic.receive_count.set(4);
    spic.control_0.modify(
        Control0::ADDRESS_CHANNELS::One
            + Control0::DATA_CHANNELS::One
            + Control0::COMMAND_CHANNELS::One,
    );
    spic.auto_commands.modify(AutoCommands::MULTI_BIT.val(0));
    Ok(())
}

fn refuse_factory_data(offsets: Range<u32>) -> Result<(), Failure> {
    let apart = offsets.end <= FACTORY_DATA.start || offsets.start >= FACTORY_DATA.end;
    if apart { Ok(()) } else { Err(Failure::FactoryData) }
}

/// Bytes that the chip holds, by the third byte of its identification.
fn capacity() -> Result<u32, Failure> {
    for _ in 0..TRIES {
        let [maker, _, power] = receive(opcode::READ_IDENTIFICATION)?;
        if maker != 0x00 && maker != 0xff {
            return 1u32.checked_shl(power.into()).ok_or(Failure::NoChip);
        }
    }
    Err(Failure::NoChip)
}

/// Waits until the chip is idle, whatever it was doing.
fn wait_for_chip() -> Result<u8, Failure> {
    let mut value = status::NOBODY;
    for _ in 0..CHIP_LOOKS {
        value = read_status()?;
        if value & status::WRITE_IN_PROGRESS == 0 {
            return Ok(value);
        }
    }
    Err(if value == status::NOBODY { Failure::NoChip } else { Failure::ChipBusy })
}

/// Waits until the chip has done what it was told to; the latch falls when it has.
fn wait_for_write() -> Result<(), Failure> {
    let latched = wait_for_chip()? & status::WRITE_ENABLE_LATCH != 0;
    if latched { Err(Failure::NotDone) } else { Ok(()) }
}

fn enable_write() -> Result<(), Failure> {
    wait_for_chip()?;
    look(TRIES, Failure::NotEnabled, || {
        prepare(Control0::TRANSFER::Send, 0);
        data_byte().data.set(opcode::WRITE_ENABLE);
        let sent = transfer().and_then(|()| read_status());
        sent.is_ok_and(|value| value & status::WRITE_ENABLE_LATCH != 0)
    })
}

fn read_status() -> Result<u8, Failure> {
    let [value] = receive(opcode::READ_STATUS)?;
    Ok(value)
}

/// Sends an opcode and gives the bytes that come back.
fn receive<const N: usize>(opcode: u8) -> Result<[u8; N], Failure> {
    prepare(Control0::TRANSFER::Receive, 0);
    spic().receive_count.set(N as u32);
    data_byte().data.set(opcode);
    spic().enable.write(Enable::USER::SET);
    wait_for_controller()?;
    let bytes = core::array::from_fn(|_| data_byte().data.get());
    spic().enable.write(Enable::USER::CLEAR);
    Ok(bytes)
}

/// Readies the controller for a command with so many bytes of address.
fn prepare(transfer: tock_registers::fields::FieldValue<u32, Control0::Register>, address: u32) {
    let spic = spic();
    spic.enable.write(Enable::USER::CLEAR);
    spic.control_0
        .modify(transfer + Control0::ADDRESS_CHANNELS::One + Control0::DATA_CHANNELS::One);
    spic.address_length.set(address);
}

/// Sends what was put into the data register.
fn transfer() -> Result<(), Failure> {
    spic().enable.write(Enable::USER::SET);
    finish()
}

/// Waits until all is sent, then lets go of the chip.
fn finish() -> Result<(), Failure> {
    let waited = wait_for_controller();
    spic().enable.write(Enable::USER::CLEAR);
    waited
}

fn wait_for_controller() -> Result<(), Failure> {
    look(CONTROLLER_LOOKS, Failure::ControllerBusy, || !spic().state.is_set(State::BUSY))
}

/// Looks up to so many times whether it is `done`.
fn look(times: u32, otherwise: Failure, mut done: impl FnMut() -> bool) -> Result<(), Failure> {
    for _ in 0..times {
        if done() {
            return Ok(());
        }
    }
    Err(otherwise)
}
