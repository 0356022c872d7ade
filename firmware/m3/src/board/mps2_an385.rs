//! QEMU's `mps2-an385`: a Cortex-M3 with the CMSDK peripherals of ARM's MPS2 FPGA image AN385.
//!
//! UART0 is the serial port to the rig, TIMER0 the clock. Under `-icount shift=6` every
//! instruction takes 64 ns of virtual time and the timer counts at 25 MHz, so it tells how many
//! instructions were executed, to about one. While the core sleeps for want of input the timer
//! stands still: sleeping executes nothing.
//!
//! With the feature `rtt` the rig may also speak through the debugger ([`super::rtt`]), by the rule
//! of a board with two lines: listen to both, and keep to the debugger once a byte came that way.
//! Nothing interrupts a core when a debugger writes into its memory, so this image polls and does
//! not sleep.

use super::Machine;
#[cfg(feature = "rtt")]
use super::rtt::Rtt;
use crate::stack;
use core::sync::atomic::{AtomicU32, Ordering};
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use dut::{Board, ClockUnit, LineClosed};
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite};
use tock_registers::{register_bitfields, register_structs};

/// Nanoseconds of one timer tick (25 MHz) and of one instruction (`-icount shift=6`).
const TICK_NS: u64 = 40;
const INSTRUCTION_NS: u64 = 64;

register_structs! {
    Uart {
        (0x00 => data: ReadWrite<u32>),
        (0x04 => state: ReadOnly<u32, UartState::Register>),
        (0x08 => control: ReadWrite<u32, UartControl::Register>),
        (0x0c => interrupt: ReadWrite<u32, UartInterrupt::Register>),
        (0x10 => divider: ReadWrite<u32>),
        (0x14 => @END),
    }
}

register_structs! {
    Timer {
        (0x00 => control: ReadWrite<u32, TimerControl::Register>),
        (0x04 => value: ReadWrite<u32>),
        (0x08 => reload: ReadWrite<u32>),
        (0x0c => interrupt: ReadWrite<u32, TimerInterrupt::Register>),
        (0x10 => @END),
    }
}

register_bitfields! [u32,
    UartState [TRANSMIT_FULL 0, RECEIVE_FULL 1],
    UartControl [TRANSMIT_ENABLE 0, RECEIVE_ENABLE 1, RECEIVE_INTERRUPT_ENABLE 3],
    UartInterrupt [RECEIVE 1],
    TimerControl [ENABLE 0, INTERRUPT_ENABLE 3],
    TimerInterrupt [PENDING 0],
];

fn uart() -> &'static Uart {
    // SAFETY: AN385 has UART0 at this address; the registers live for ever and are only touched by
    // volatile single-word accesses.
    unsafe { &*(0x4000_4000 as *const Uart) }
}

fn timer() -> &'static Timer {
    // SAFETY: As for the UART, with TIMER0.
    unsafe { &*(0x4000_0000 as *const Timer) }
}

/// How often the timer has run through its 32 bits, which takes 172 s of virtual time.
static WRAPS: AtomicU32 = AtomicU32::new(0);

/// Interrupts of AN385 that this image uses.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
enum Interrupt {
    /// UART0 has received a byte.
    Input = 0,
    /// TIMER0 has run through its 32 bits.
    Wrap = 8,
}

// SAFETY: These are the numbers of AN385, which has 32 interrupts; they never change.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

/// The board; there is one.
pub struct Mps2An385 {
    #[cfg(feature = "rtt")]
    rtt: Rtt,
}

impl Machine for Mps2An385 {
    const HEAP_BYTES: usize = 256 * 1024;

    fn start() -> Self {
        let uart = uart();
        // The emulation ignores the divider, apart from refusing values below 16.
        uart.divider.set(16);
        uart.control.write(
            UartControl::TRANSMIT_ENABLE::SET
                + UartControl::RECEIVE_ENABLE::SET
                + UartControl::RECEIVE_INTERRUPT_ENABLE::SET,
        );
        // QEMU looks for input again when DATA is read. Without this read a first byte that came
        // before the receiver was on waits for about a second.
        let _ = uart.data.get();

        let timer = timer();
        timer.reload.set(u32::MAX);
        timer.value.set(u32::MAX);
        run_timer(true);
        for interrupt in [Interrupt::Input, Interrupt::Wrap] {
            // SAFETY: No critical section is open yet that this could break into.
            unsafe { NVIC::unmask(interrupt) };
        }
        Self {
            #[cfg(feature = "rtt")]
            rtt: Rtt::start(),
        }
    }

    fn interrupt(number: i16) -> bool {
        match u16::try_from(number) {
            // There to end a sleep; whoever slept reads the byte.
            Ok(n) if n == Interrupt::Input.number() => {
                uart().interrupt.write(UartInterrupt::RECEIVE::SET);
            }
            Ok(n) if n == Interrupt::Wrap.number() => {
                timer().interrupt.write(TimerInterrupt::PENDING::SET);
                WRAPS.store(WRAPS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            }
            _ => return false,
        }
        true
    }

    fn last_words(text: &[u8]) {
        #[cfg(feature = "rtt")]
        if Rtt::is_in_use() {
            Rtt::last_words(text);
        }
        send(text);
    }

    fn stop() {
        run_timer(false);
    }
}

impl Board for Mps2An385 {
    const CLOCK: ClockUnit = ClockUnit::Instructions;
    const NAME: &'static str = "mps2-an385";

    #[cfg(feature = "rtt")]
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, LineClosed> {
        loop {
            let mut count = self.rtt.read(buffer);
            if count == 0 && !Rtt::is_in_use() {
                count = receive(buffer);
            }
            if count > 0 {
                return Ok(count);
            }
        }
    }

    #[cfg(not(feature = "rtt"))]
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, LineClosed> {
        let uart = uart();
        let mut count = 0;
        for slot in buffer {
            while !uart.state.is_set(UartState::RECEIVE_FULL) {
                if count > 0 {
                    return Ok(count);
                }
                sleep_until_input();
            }
            *slot = uart.data.get() as u8;
            count += 1;
        }
        Ok(count)
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), LineClosed> {
        #[cfg(feature = "rtt")]
        if Rtt::is_in_use() {
            self.rtt.write(bytes);
            return Ok(());
        }
        send(bytes);
        Ok(())
    }

    fn clock(&mut self) -> u64 {
        let ticks = critical_section::with(|_| {
            let timer = timer();
            let before = timer.value.get();
            let wraps = WRAPS.load(Ordering::Relaxed);
            // A wrap that is not served yet may lie before or after the read of `before`; a second
            // read is certain to come after it.
            let (wraps, left) = if timer.interrupt.is_set(TimerInterrupt::PENDING) {
                (wraps.wrapping_add(1), timer.value.get())
            } else {
                (wraps, before)
            };
            u64::from(wraps) << 32 | u64::from(u32::MAX - left)
        });
        ticks * TICK_NS / INSTRUCTION_NS
    }

    fn paint_stack(&mut self) {
        stack::paint();
    }

    fn stack_peak(&mut self) -> Option<u32> {
        Some(stack::peak())
    }
}

/// Takes what has come, nothing as a rule.
#[cfg(feature = "rtt")]
fn receive(buffer: &mut [u8]) -> usize {
    let uart = uart();
    let mut count = 0;
    for slot in buffer {
        if !uart.state.is_set(UartState::RECEIVE_FULL) {
            break;
        }
        *slot = uart.data.get() as u8;
        count += 1;
    }
    count
}

/// Sleeping, and not polling, leaves the host's core to the broker that is waited for, and halves
/// the time from a byte's arrival to its reading.
#[cfg(not(feature = "rtt"))]
fn sleep_until_input() {
    // With interrupts held back, a byte that comes after the look at the state still ends the sleep.
    critical_section::with(|_| {
        if !uart().state.is_set(UartState::RECEIVE_FULL) {
            // With `sleep=off` a sleeping core makes the emulator jump to the next expiry of a
            // timer; only if none runs does it wait for input.
            run_timer(false);
            cortex_m::asm::wfi();
            run_timer(true);
        }
    });
}

fn run_timer(run: bool) {
    let enable = if run { TimerControl::ENABLE::SET } else { TimerControl::ENABLE::CLEAR };
    timer().control.write(enable + TimerControl::INTERRUPT_ENABLE::SET);
}

fn send(bytes: &[u8]) {
    let uart = uart();
    for byte in bytes {
        while uart.state.is_set(UartState::TRANSMIT_FULL) {}
        uart.data.set(u32::from(*byte));
    }
}
