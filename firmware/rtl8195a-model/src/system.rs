//! System registers (SYS and PON share the base 0x40000000): clock, gates, pins.

use crate::Violation;

/// Offsets of the registers that an image of ours may touch (SDK `rtl8195a_sys_on.h`,
/// `rtl8195a_peri_on.h`; ROM).
pub(crate) mod register {
    /// SYS_CLK_CTRL1: bits 6:4 are the clock index, bit 0 the fuse loader's clock.
    pub const CLOCK: u32 = 0x014;
    /// Fuses: bit 24 flash calibration is there, 23:21 extra dummy cycles, 20:16 delay by three.
    pub const EFUSE_SYSTEM_3: u32 = 0x038;
    /// Bit 17: the clock is not multiplied by 5/6.
    pub const PLL: u32 = 0x074;
    /// Bit 5: the fuses' flash calibration is valid.
    pub const EFUSE_TEST: u32 = 0x0e0;
    /// Bit 0: the fuses have been read.
    pub const STATUS: u32 = 0x1f4;
    /// SOC_FUNC_EN.
    pub const FUNCTIONS: u32 = 0x210;
    /// PESOC_CLK_CTRL.
    pub const CLOCKS: u32 = 0x230;
    /// CPU_PERIPHERAL_CTRL.
    pub const PINS: u32 = 0x2c0;
    /// Bits 7:0 are the flash's read delay.
    pub const DELAY: u32 = 0x300;
    /// GPIO_SHTDN: which ports have power.
    pub const PORTS: u32 = 0x320;
}

const FUNCTION_FLASH: u32 = 1 << 4;
const FUNCTION_LOG_UART: u32 = 1 << 12;
/// Clock while the core is awake; the bit above each is the one while it sleeps.
const CLOCK_VENDOR: u32 = 1 << 6;
const CLOCK_FLASH: u32 = 1 << 8;
const CLOCK_LOG_UART: u32 = 1 << 12;
const PINS_FLASH: u32 = 1 << 0;
/// 0: port F.
const PINS_FLASH_SET: u32 = 0b11 << 1;
const PINS_DEBUG: u32 = 1 << 16;
const PINS_LOG_UART: u32 = 1 << 20;
/// Infrared, and the selection of other pins.
const PINS_LOG_UART_ELSEWHERE: u32 = 0b111 << 21;
const PORT_B: u32 = 1 << 1;
const PORT_E: u32 = 1 << 4;
const PORT_F: u32 = 1 << 5;

/// Clock frequencies by index, before the factor 5/6 for all but the last (ROM).
const HZ: [u64; 6] = [200_000_000, 100_000_000, 50_000_000, 25_000_000, 12_500_000, 4_000_000];

/// Divider, dummy cycles and read delay of the flash controller that go with each clock index (ROM,
/// PLAT). From 25 MHz down there is one setting; slower clocks are not for flash.
const FLASH_SETTINGS: [(u32, u32, u32); 4] = [(1, 1, 0x5e), (1, 1, 0), (1, 2, 0x23), (1, 5, 5)];

#[derive(Debug, Clone)]
pub(crate) struct System {
    /// What this unit's fuses say of its flash: bits 7:5 dummy cycles more, 4:0 delay by three.
    pub(crate) flash_calibration: Option<u8>,
    clock: u32,
    functions: u32,
    clocks: u32,
    pins: u32,
    delay: u32,
    ports: u32,
}

impl System {
    /// As after a reset of the core that has stopped before its first instruction. The values are
    /// not public; these have everything off and the clock at another index than any image of ours
    /// asks for, so that an image that relies on them does not get far.
    pub(crate) fn after_reset() -> Self {
        Self {
            flash_calibration: None,
            clock: 0x31,
            functions: 0x103,
            clocks: 0x5,
            pins: 0,
            delay: 0,
            ports: 0,
        }
    }

    /// As the ROM leaves it when it calls what it has loaded from flash: its own clock, the LOG UART
    /// and the flash controller on, the debug pins off (ROM).
    pub(crate) fn after_rom() -> Self {
        const AWAKE: u32 = CLOCK_VENDOR | CLOCK_FLASH | CLOCK_LOG_UART;
        Self {
            flash_calibration: None,
            clock: 0x21,
            functions: 0x103 | FUNCTION_FLASH | FUNCTION_LOG_UART,
            clocks: 0x5 | AWAKE | (AWAKE << 1),
            pins: PINS_FLASH | PINS_LOG_UART,
            delay: 0x23,
            ports: 0x7ff,
        }
    }

    /// As the vendor's image1 leaves it when it calls an image2: at full speed, with the debug pins
    /// still off unless a bit in one-time memory says otherwise (PLAT `startup.o`).
    pub(crate) fn after_image1() -> Self {
        Self { clock: 0x01, delay: 0x5e, ..Self::after_rom() }
    }

    pub(crate) fn read(&self, offset: u32) -> Result<u32, Violation> {
        Ok(match offset {
            register::CLOCK => self.clock,
            register::EFUSE_SYSTEM_3 => {
                self.flash_calibration.map_or(0, |byte| (1 << 24) | (u32::from(byte) << 16))
            }
            register::EFUSE_TEST => u32::from(self.flash_calibration.is_some()) << 5,
            // As the ROM's clock table has it.
            register::PLL => 0,
            register::STATUS => 1,
            register::FUNCTIONS => self.functions,
            register::CLOCKS => self.clocks,
            register::PINS => self.pins,
            register::DELAY => self.delay,
            register::PORTS => self.ports,
            _ => return Err(unknown(offset)),
        })
    }

    pub(crate) fn write(&mut self, offset: u32, value: u32) -> Result<(), Violation> {
        match offset {
            register::CLOCK => {
                if value >> 4 & 7 >= 6 {
                    return Err(Violation::new(format!(
                        "asks for a clock index that does not exist ({value:#x})"
                    )));
                }
                self.clock = value;
            }
            register::FUNCTIONS => self.functions = value,
            register::CLOCKS => self.clocks = value,
            register::PINS => self.pins = value,
            register::DELAY => self.delay = value,
            register::PORTS => self.ports = value,
            _ => return Err(unknown(offset)),
        }
        Ok(())
    }

    pub(crate) fn clock_index(&self) -> usize {
        (self.clock >> 4 & 7) as usize
    }

    /// Frequency of the core in Hz.
    pub(crate) fn hz(&self) -> u64 {
        let hz = HZ.get(self.clock_index()).copied().unwrap_or_default();
        if self.clock_index() == 5 { hz } else { hz * 5 / 6 }
    }

    /// What the flash controller has to be set to at this clock; fuses, if any, know better.
    pub(crate) fn flash_settings(&self) -> Option<(u32, u32, u32)> {
        let (divider, dummy, delay) = *FLASH_SETTINGS.get(self.clock_index())?;
        Some(match self.flash_calibration.map(u32::from) {
            Some(fuses) => (divider, dummy + (fuses >> 5), (fuses & 0x1f) * 3),
            None => (divider, dummy, delay),
        })
    }

    pub(crate) fn flash_delay(&self) -> u32 {
        self.delay & 0xff
    }

    /// Whether a debugger can reach the chip (ROM).
    pub(crate) fn debug_pins_on(&self) -> bool {
        let clocks = self.clocks >> 6 & 3 == 3;
        self.pins & PINS_DEBUG != 0 && self.ports & PORT_E != 0 && clocks
    }

    pub(crate) fn check_vendor(&self) -> Result<(), Violation> {
        on("the watchdog", "its clock (0x40000230 bit 6)", self.clocks & CLOCK_VENDOR)
    }

    pub(crate) fn check_log_uart(&self) -> Result<(), Violation> {
        const WHO: &str = "the LOG UART";
        on(WHO, "its function (0x40000210 bit 12)", self.functions & FUNCTION_LOG_UART)?;
        on(WHO, "its clock (0x40000230 bit 12)", self.clocks & CLOCK_LOG_UART)
    }

    /// What a byte needs beside the UART itself to reach the other end of the line.
    pub(crate) fn check_log_uart_pins(&self) -> Result<(), Violation> {
        const WHO: &str = "the LOG UART's line";
        on(WHO, "its pins (0x400002c0 bit 20)", self.pins & PINS_LOG_UART)?;
        let here = u32::from(self.pins & PINS_LOG_UART_ELSEWHERE == 0);
        on(WHO, "the pins of port B (0x400002c0 bits 23:21 zero)", here)?;
        on(WHO, "port B (0x40000320 bit 1)", self.ports & PORT_B)
    }

    pub(crate) fn check_flash(&self) -> Result<(), Violation> {
        const WHO: &str = "the flash controller";
        on(WHO, "its function (0x40000210 bit 4)", self.functions & FUNCTION_FLASH)?;
        on(WHO, "its clock (0x40000230 bit 8)", self.clocks & CLOCK_FLASH)
    }

    pub(crate) fn check_flash_pins(&self) -> Result<(), Violation> {
        const WHO: &str = "the flash chip";
        on(WHO, "its pins (0x400002c0 bit 0)", self.pins & PINS_FLASH)?;
        let here = u32::from(self.pins & PINS_FLASH_SET == 0);
        on(WHO, "the pins of port F (0x400002c0 bits 2:1 zero)", here)?;
        on(WHO, "port F (0x40000320 bit 5)", self.ports & PORT_F)
    }
}

fn on(who: &str, what: &str, bits: u32) -> Result<(), Violation> {
    if bits != 0 {
        return Ok(());
    }
    Err(Violation::new(format!("uses {who} without {what} being on")))
}

fn unknown(offset: u32) -> Violation {
    Violation::new(format!("touches system register {offset:#05x}, which this model does not have"))
}
