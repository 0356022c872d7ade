//! Realtek's RTL8195A family ("Ameba1": RTL8195AM, RTL8711AF/AM, RTL8710AF), bare metal.
//!
//! ```text
//! debugger: load at 0x10006000, SP, PC, VTOR --+
//!                                              +--> debug pins, watchdog --> clock, LOG UART, DWT
//! flash: ROM --> image1 --> head's entry ------+    (ameba1_start.s)         (start)
//! ```
//!
//! Both ways start the same bytes. The image calls no ROM function and expects no peripheral to be
//! as any reset leaves it: it opens each gate, and sets each register that it uses.
//!
//! **Clock.** The core runs at 83.33 MHz (index 1): the vendor's setting for the RTL8710AF and half
//! of it for the other parts, so that one image stays within the rating of all of them. Results of
//! this board count *cycles*, and code and data lie in SRAM and TCM alone, behind no cache and no
//! flash, so the index should not change them (not measured). For seconds in the field divide by
//! the product's clock: 166.67 MHz, or 83.33 MHz on an RTL8710AF.
//!
//! **Input is polled, and cannot overrun** the 16-byte FIFO. The rig sends only what was asked for,
//! and whoever asked is already in [`Board::read`]: `Run` and `Identify` come to an idle DUT, one
//! answer to each question of a cell. A byte takes 260 µs at 38400 baud, which is 21,700 cycles;
//! taking one out takes some hundred, and what comes after a frame's last byte, its check and its
//! use, happens when nothing more is due. What may come unasked is one `Abort`: a frame of 14
//! bytes, for which the FIFO has room.
//!
//! **Two lines.** The rig may speak through the LOG UART or through the debugger ([`super::rtt`]). The DUT
//! says hello on the UART, listens to both, and once a byte has come through the debugger it keeps
//! to that until the next reset: an input pin that nobody drives must not break into a cell.
//!
//! No interrupt is needed, and none is ever on: whatever the ROM or an image1 has started, its
//! interrupt cannot reach into this program, and a critical section has nothing to do.
//!
//! Nothing here was ever tried on silicon. Registers and bits are from the vendor's SDK headers and
//! from reading its ROM.

use super::Machine;
use super::rtt::Rtt;
use crate::stack;
use core::arch::global_asm;
use cortex_m::Peripherals;
use cortex_m::peripheral::DWT;
use dut::{Board, ClockUnit, LineClosed};
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};
use tock_registers::{register_bitfields, register_structs};

global_asm!(include_str!("ameba1_start.s"));

struct NoInterrupts;
critical_section::set_impl!(NoInterrupts);

// SAFETY: One core, and interrupts are off from the first instruction on. A fault handler may break
// in anywhere, but it never returns and uses nothing that a critical section guards.
unsafe impl critical_section::Impl for NoInterrupts {
    unsafe fn acquire() -> critical_section::RawRestoreState {}

    unsafe fn release(_: critical_section::RawRestoreState) {}
}

unsafe extern "C" {
    /// In `ameba1_start.s`.
    fn start_from_flash() -> !;
}

/// What a vendor's image1 looks for at the load address of an image2, and what tells a debugger
/// which image lies there.
#[repr(C)]
struct Head {
    entry: unsafe extern "C" fn() -> !,
    /// The vendor's mark of an image2 [PLAT, startup.o].
    mark: [u8; 8],
    /// The image's content hash, [`mbedtls::IMAGE`]; filled up with 0.
    image: [u8; 16],
}

/// First thing in the image, see `memory/ameba1.x`.
#[used]
#[unsafe(link_section = ".image2_head")]
static HEAD: Head = Head { entry: start_from_flash, mark: *b"RTKWin\0\xff", image: image() };

const fn image() -> [u8; 16] {
    let mut bytes = [0; 16];
    let (mut from, mut to) = (mbedtls::IMAGE.as_bytes(), bytes.as_mut_slice());
    while let (Some((byte, rest)), Some((slot, room))) = (from.split_first(), to.split_first_mut())
    {
        *slot = *byte;
        (from, to) = (rest, room);
    }
    bytes
}

register_structs! {
    /// Clocks, gates and pins (SYS and PON share one base) [SDK, rtl8195a_sys_on.h, _peri_on.h].
    System {
        (0x000 => _reserved0),
        (0x014 => clock: ReadWrite<u32>),
        (0x018 => _reserved1),
        (0x074 => pll: ReadOnly<u32, Pll::Register>),
        (0x078 => _reserved2),
        (0x210 => functions: ReadWrite<u32, Functions::Register>),
        (0x214 => _reserved3),
        (0x230 => clocks: ReadWrite<u32, Clocks::Register>),
        (0x234 => _reserved4),
        (0x2c0 => pins: ReadWrite<u32, Pins::Register>),
        (0x2c4 => _reserved5),
        (0x320 => ports: ReadWrite<u32, Ports::Register>),
        (0x324 => @END),
    }
}

register_structs! {
    /// The LOG UART, a 16550 with FIFOs of 16 bytes [SDK, hal_diag.h].
    LogUart {
        /// While the divisor is open, its low byte.
        (0x00 => data: ReadWrite<u32>),
        /// While the divisor is open, its high byte.
        (0x04 => interrupts: ReadWrite<u32>),
        (0x08 => fifo: WriteOnly<u32, Fifo::Register>),
        (0x0c => line: ReadWrite<u32, LineControl::Register>),
        (0x10 => modem: ReadWrite<u32>),
        (0x14 => status: ReadOnly<u32, Status::Register>),
        (0x18 => @END),
    }
}

register_bitfields! [u32,
    Pll [UNDIVIDED 17],
    Functions [LOG_UART 12, GDMA0 13, GDMA1 14],
    Clocks [LOG_UART_ACTIVE 12, LOG_UART_ASLEEP 13],
    /// The two bits that select pins stay 0: port B.
    Pins [LOG_UART 20, LOG_UART_INFRARED 21, LOG_UART_SELECT0 22, LOG_UART_SELECT1 23],
    Ports [B 1],
    Fifo [ENABLE 0, CLEAR_RECEIVER 1, CLEAR_TRANSMITTER 2],
    /// Both set: words of 8 bits.
    LineControl [WORD0 0, WORD1 1, DIVISOR_OPEN 7],
    Status [RECEIVED 0, TRANSMITTER_FREE 5, TRANSMITTER_IDLE 6],
];

/// What SYS_CLK_CTRL1 is given: index 1 in bits 6:4, and bit 0 for the eFuse loader's clock, which
/// the vendor's code always keeps on.
const CLOCK_INDEX_1: u32 = 0x11;
/// The core's clock at index 1, by bit 17 of the PLL's register [ROM].
const CORE_HZ: u32 = 83_333_333;
const CORE_HZ_UNDIVIDED: u32 = 100_000_000;

/// The rate of the LOG UART: the on-board USB serial knows no other.
const BAUD: u32 = 38_400;
/// Bytes that fit when the transmitter says that it is free.
const FIFO_BYTES: usize = 16;
/// How often a register is looked at that should take a moment at most. At 200 MHz and a few cycles
/// a look this is longer than a full FIFO takes to leave.
const PATIENCE: u32 = 1_000_000;

/// The UART counts in sixteenths of a bit, and is given a quarter of the core's clock [ROM].
const fn divisor(core_hz: u32) -> u32 {
    let step = 16 * BAUD;
    (core_hz / 4 + step / 2) / step
}

fn system() -> &'static System {
    // SAFETY: The RTL8195A has these registers at this address; they live for ever and are only
    // touched by volatile single-word accesses.
    unsafe { &*(0x4000_0000 as *const System) }
}

fn uart() -> &'static LogUart {
    // SAFETY: As for the system registers, with the LOG UART.
    unsafe { &*(0x4000_3000 as *const LogUart) }
}

/// The board; there is one.
pub struct Ameba1 {
    /// The cycle counter when it was last read, and how often it had run through its 32 bits.
    last: u32,
    wraps: u32,
    rtt: Rtt,
}

impl Machine for Ameba1 {
    const HEAP_BYTES: usize = 140 * 1024;

    fn start() -> Self {
        // A reset by the debugger leaves peripherals running: nothing of an earlier program may
        // write into this one's memory.
        system().functions.modify(Functions::GDMA0::CLEAR + Functions::GDMA1::CLEAR);
        open_uart();
        start_clock();
        set_uart();
        start_cycle_counter();
        Self { last: DWT::cycle_count(), wraps: 0, rtt: Rtt::start() }
    }

    fn interrupt(_number: i16) -> bool {
        // They are all off.
        false
    }

    fn last_words(text: &[u8]) {
        if Rtt::is_in_use() {
            Rtt::last_words(text);
        }
        send(text);
    }

    fn stop() {}
}

impl Board for Ameba1 {
    const CLOCK: ClockUnit = ClockUnit::Cycles;
    const NAME: &'static str = "ameba1";

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, LineClosed> {
        loop {
            let mut count = self.rtt.read(buffer);
            if count == 0 && !Rtt::is_in_use() {
                count = receive(buffer);
            }
            if count > 0 {
                return Ok(count);
            }
            // Waiting may take longer than the counter's 51 s.
            self.clock();
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), LineClosed> {
        if Rtt::is_in_use() {
            self.rtt.write(bytes);
        } else {
            send(bytes);
        }
        Ok(())
    }

    /// Between two calls the 32-bit counter may wrap once, which takes 51 s: far more than any
    /// step of a handshake.
    fn clock(&mut self) -> u64 {
        let now = DWT::cycle_count();
        if now < self.last {
            self.wraps = self.wraps.wrapping_add(1);
        }
        self.last = now;
        u64::from(self.wraps) << 32 | u64::from(now)
    }

    fn paint_stack(&mut self) {
        stack::paint();
    }

    fn stack_peak(&mut self) -> Option<u32> {
        Some(stack::peak())
    }
}

/// Function, clocks, pins and power of the LOG UART.
fn open_uart() {
    let system = system();
    system.functions.modify(Functions::LOG_UART::SET);
    system.clocks.modify(Clocks::LOG_UART_ACTIVE::SET + Clocks::LOG_UART_ASLEEP::SET);
    system.ports.modify(Ports::B::SET);
    system.pins.modify(
        Pins::LOG_UART::SET
            + Pins::LOG_UART_INFRARED::CLEAR
            + Pins::LOG_UART_SELECT0::CLEAR
            + Pins::LOG_UART_SELECT1::CLEAR,
    );
}

fn start_clock() {
    // The UART's clock changes with the core's: what the ROM or an image1 is still saying goes
    // first.
    for _ in 0..PATIENCE {
        if uart().status.is_set(Status::TRANSMITTER_IDLE) {
            break;
        }
    }
    // Set whole, as the vendor's code does, and looked at again, as DAPLink does.
    let clock = &system().clock;
    clock.set(CLOCK_INDEX_1);
    for _ in 0..PATIENCE {
        if clock.get() == CLOCK_INDEX_1 {
            break;
        }
        clock.set(CLOCK_INDEX_1);
    }
}

/// 38400 baud, 8 data bits, no parity, 1 stop bit; FIFOs on and empty, interrupts off.
fn set_uart() {
    let undivided = system().pll.is_set(Pll::UNDIVIDED);
    let divisor = divisor(if undivided { CORE_HZ_UNDIVIDED } else { CORE_HZ });
    let bits_8 = LineControl::WORD0::SET + LineControl::WORD1::SET;
    let uart = uart();
    uart.line.write(bits_8);
    uart.interrupts.set(0);
    uart.line.write(bits_8 + LineControl::DIVISOR_OPEN::SET);
    uart.data.set(divisor & 0xff);
    uart.interrupts.set(divisor >> 8);
    uart.line.write(bits_8);
    uart.modem.set(0);
    uart.fifo.write(Fifo::ENABLE::SET + Fifo::CLEAR_RECEIVER::SET + Fifo::CLEAR_TRANSMITTER::SET);
}

fn start_cycle_counter() {
    // SAFETY: Nobody else in this image uses the core's own peripherals.
    let mut core = unsafe { Peripherals::steal() };
    core.DCB.enable_trace();
    core.DWT.set_cycle_count(0);
    core.DWT.enable_cycle_counter();
}

/// Takes what is in the FIFO.
fn receive(buffer: &mut [u8]) -> usize {
    let uart = uart();
    let mut count = 0;
    for slot in buffer {
        if !uart.status.is_set(Status::RECEIVED) {
            break;
        }
        *slot = uart.data.get() as u8;
        count += 1;
    }
    count
}

fn send(bytes: &[u8]) {
    let uart = uart();
    for part in bytes.chunks(FIFO_BYTES) {
        // Free means empty, so that all of a part fits.
        while !uart.status.is_set(Status::TRANSMITTER_FREE) {}
        for byte in part {
            uart.data.set(u32::from(*byte));
        }
    }
}
