//! The LOG UART: like a 16550, with FIFOs of 16 bytes (SDK `hal_diag.h`, `hal_log_uart.h`).
//!
//! ```text
//! image --DATA--> FIFO --shift register, 10 bits a byte--> sent      (to the host)
//! image <--DATA-- FIFO <--one byte each 10 host bits-----  line      (from the host)
//! ```
//!
//! It counts in sixteenths of a bit and is given a quarter of the core's clock, so that the baud
//! rate follows every change of the clock (ROM `HalLogUartInit`). Each access first catches up with
//! what has happened on the line since the last one.

use crate::{Cycle, Violation};
use std::collections::VecDeque;

/// The only rate of the on-board serial port (DL `target.c`).
pub const HOST_BAUD: u64 = 38_400;

const FIFO: usize = 16;
/// A start bit, 8 data bits, a stop bit.
const BITS: u64 = 10;
/// Of a hundred: with more between two ends, the last bit of a byte is sampled in the wrong place.
const TOLERANCE: u64 = 3;

mod register {
    /// While the divisor is open, its low byte.
    pub const DATA: u32 = 0x00;
    /// While the divisor is open, its high byte.
    pub const INTERRUPTS: u32 = 0x04;
    pub const FIFO_CONTROL: u32 = 0x08;
    pub const LINE_CONTROL: u32 = 0x0c;
    pub const MODEM_CONTROL: u32 = 0x10;
    pub const LINE_STATUS: u32 = 0x14;
}

const FIFO_ENABLE: u32 = 1 << 0;
const FIFO_CLEAR_RECEIVED: u32 = 1 << 1;
const FIFO_CLEAR_UNSENT: u32 = 1 << 2;
const DIVISOR_OPEN: u32 = 1 << 7;
const EIGHT_BITS: u32 = 0b11;
const STATUS_RECEIVED: u32 = 1 << 0;
const STATUS_OVERRUN: u32 = 1 << 1;
const STATUS_FIFO_EMPTY: u32 = 1 << 5;
const STATUS_ALL_SENT: u32 = 1 << 6;

/// What an access leads to beside its value.
pub(crate) struct Polled {
    pub(crate) value: u32,
    /// Nothing changes before this cycle, and the image has looked twice: it waits.
    pub(crate) until: Option<Cycle>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct LogUart {
    divisor: u32,
    interrupts: u32,
    fifos_on: bool,
    line_control: u32,
    modem_control: u32,
    overrun: bool,
    unsent: VecDeque<u8>,
    /// The byte in the shift register, and when its last bit is out.
    shifting: Option<(u8, Cycle)>,
    sent: Vec<u8>,
    received: VecDeque<u8>,
    /// What the host has written and the line has not delivered yet.
    line: VecDeque<u8>,
    /// When the first of `line` is here, and how long each takes.
    next_arrival: Cycle,
    arrival_interval: Cycle,
    lost: usize,
    last_status: Option<u32>,
    starving: bool,
}

impl LogUart {
    /// As the ROM leaves it: 38400 baud at its own clock, FIFOs and receive interrupts on (ROM).
    pub(crate) fn after_rom() -> Self {
        let line_control = EIGHT_BITS;
        Self { divisor: 17, interrupts: 5, fifos_on: true, line_control, ..Self::default() }
    }

    /// As the vendor's image1 leaves it: 38400 baud at full speed (PLAT `startup.o`).
    pub(crate) fn after_image1() -> Self {
        Self { divisor: 68, ..Self::after_rom() }
    }

    /// Puts bytes on the line; the first is here one byte's time from `now`.
    pub(crate) fn receive(&mut self, bytes: &[u8], now: Cycle, hz: u64) {
        self.catch_up(now);
        self.arrival_interval = BITS * hz / HOST_BAUD;
        if self.line.is_empty() {
            self.next_arrival = self.next_arrival.max(now) + self.arrival_interval;
        }
        self.line.extend(bytes);
        self.starving = false;
    }

    /// Takes what has been sent.
    pub(crate) fn take_sent(&mut self, now: Cycle) -> Vec<u8> {
        self.catch_up(now);
        std::mem::take(&mut self.sent)
    }

    /// How many bytes came while the FIFO was full.
    pub(crate) fn lost(&self) -> usize {
        self.lost
    }

    /// Whether the image looks for input, and only the host can change what it sees.
    pub(crate) fn starving(&self) -> bool {
        self.starving
    }

    /// Whether a byte is on its way out; then the clock may not change.
    pub(crate) fn sending(&mut self, now: Cycle) -> bool {
        self.catch_up(now);
        self.shifting.is_some()
    }

    fn catch_up(&mut self, now: Cycle) {
        while let Some((byte, end)) = self.shifting
            && end <= now
        {
            self.sent.push(byte);
            let time = self.byte_time();
            self.shifting = self.unsent.pop_front().map(|next| (next, end + time));
        }
        while self.next_arrival <= now
            && let Some(byte) = self.line.pop_front()
        {
            self.next_arrival += self.arrival_interval;
            let room = if self.fifos_on { FIFO } else { 1 };
            if self.received.len() < room {
                self.received.push_back(byte);
            } else {
                self.overrun = true;
                self.lost += 1;
            }
        }
    }

    /// In cycles of the core: four for one of the UART's own clock.
    fn byte_time(&self) -> Cycle {
        BITS * 16 * u64::from(self.divisor) * 4
    }

    fn check_rate(&self, hz: u64) -> Result<(), Violation> {
        let step = 64 * u64::from(self.divisor);
        let baud = hz.checked_div(step).unwrap_or_default();
        let off = baud.abs_diff(HOST_BAUD);
        if self.line_control & (DIVISOR_OPEN | EIGHT_BITS) != EIGHT_BITS {
            return Err(Violation::new("uses the LOG UART's line without its being set to 8 bits"));
        }
        if off * 100 > HOST_BAUD * TOLERANCE {
            return Err(Violation::new(format!(
                "uses the LOG UART at {baud} baud (divisor {}), which the host at {HOST_BAUD} cannot read",
                self.divisor
            )));
        }
        Ok(())
    }

    pub(crate) fn read(&mut self, offset: u32, now: Cycle) -> Result<Polled, Violation> {
        self.catch_up(now);
        let plain = |value| Polled { value, until: None };
        if offset == register::LINE_STATUS {
            return Ok(self.poll(now));
        }
        self.last_status = None;
        let open = self.line_control & DIVISOR_OPEN != 0;
        Ok(plain(match offset {
            register::DATA if open => self.divisor & 0xff,
            register::INTERRUPTS if open => self.divisor >> 8,
            register::DATA => {
                let byte = self.received.pop_front();
                u32::from(byte.ok_or(Violation::new("reads the LOG UART when nothing is there"))?)
            }
            register::INTERRUPTS => self.interrupts,
            register::LINE_CONTROL => self.line_control,
            register::MODEM_CONTROL => self.modem_control,
            _ => return Err(unknown(offset)),
        }))
    }

    fn poll(&mut self, now: Cycle) -> Polled {
        let mut value = 0;
        for (bit, set) in [
            (STATUS_RECEIVED, !self.received.is_empty()),
            (STATUS_OVERRUN, std::mem::take(&mut self.overrun)),
            (STATUS_FIFO_EMPTY, self.unsent.is_empty()),
            (STATUS_ALL_SENT, self.unsent.is_empty() && self.shifting.is_none()),
        ] {
            value |= if set { bit } else { 0 };
        }
        let waits = self.last_status.replace(value) == Some(value);
        let events = [
            self.shifting.map(|(_, end)| end),
            (!self.line.is_empty()).then_some(self.next_arrival),
        ];
        let next = events.into_iter().flatten().min();
        self.starving = waits && next.is_none() && value & STATUS_RECEIVED == 0;
        Polled { value, until: next.filter(|next| waits && *next > now) }
    }

    pub(crate) fn write(
        &mut self,
        offset: u32,
        value: u32,
        now: Cycle,
        hz: u64,
    ) -> Result<(), Violation> {
        self.catch_up(now);
        self.last_status = None;
        let open = self.line_control & DIVISOR_OPEN != 0;
        match offset {
            register::DATA if open => self.divisor = self.divisor & !0xff | value & 0xff,
            register::INTERRUPTS if open => self.divisor = self.divisor & 0xff | value << 8,
            register::DATA => self.send(value as u8, now, hz)?,
            register::INTERRUPTS if value != 0 => {
                return Err(Violation::new(
                    "turns the LOG UART's interrupts on, which this model has none of",
                ));
            }
            register::INTERRUPTS => self.interrupts = value,
            register::FIFO_CONTROL => {
                self.fifos_on = value & FIFO_ENABLE != 0;
                if value & FIFO_CLEAR_RECEIVED != 0 {
                    self.received.clear();
                }
                if value & FIFO_CLEAR_UNSENT != 0 {
                    self.unsent.clear();
                }
            }
            register::LINE_CONTROL => self.line_control = value,
            register::MODEM_CONTROL => self.modem_control = value,
            _ => return Err(unknown(offset)),
        }
        Ok(())
    }

    fn send(&mut self, byte: u8, now: Cycle, hz: u64) -> Result<(), Violation> {
        self.check_rate(hz)?;
        if self.shifting.is_none() {
            self.shifting = Some((byte, now + self.byte_time()));
            return Ok(());
        }
        let room = if self.fifos_on { FIFO } else { 1 };
        if self.unsent.len() >= room {
            return Err(Violation::new("writes a byte to the LOG UART when its FIFO is full"));
        }
        self.unsent.push_back(byte);
        Ok(())
    }
}

fn unknown(offset: u32) -> Violation {
    Violation::new(format!(
        "touches LOG UART register {offset:#04x}, which this model does not have"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u64 = 41_666_667;
    const BYTE: Cycle = BITS * 64 * 17;

    fn status(uart: &mut LogUart, now: Cycle) -> u32 {
        uart.read(register::LINE_STATUS, now).unwrap().value
    }

    #[test]
    fn bytes_leave_one_after_the_other() {
        let mut uart = LogUart::after_rom();
        for byte in 0..=16 {
            uart.write(register::DATA, byte, 0, HZ).unwrap();
        }
        let full = uart.write(register::DATA, 17, 0, HZ).unwrap_err();
        assert!(full.to_string().contains("FIFO is full"));
        assert_eq!(uart.take_sent(3 * BYTE - 1), [0, 1]);
        assert_eq!(status(&mut uart, 16 * BYTE), STATUS_FIFO_EMPTY, "one in the shift register");
        assert_eq!(status(&mut uart, 17 * BYTE), STATUS_FIFO_EMPTY | STATUS_ALL_SENT);
    }

    #[test]
    fn bytes_come_at_the_hosts_rate_and_are_lost_when_nobody_takes_them() {
        let mut uart = LogUart::after_rom();
        uart.receive(&[7; 20], 0, HZ);
        let interval = BITS * HZ / HOST_BAUD;
        assert_eq!(status(&mut uart, interval - 1) & STATUS_RECEIVED, 0);
        assert_eq!(status(&mut uart, interval) & (STATUS_RECEIVED | STATUS_OVERRUN), 1);
        assert_ne!(status(&mut uart, 17 * interval) & STATUS_OVERRUN, 0);
        assert_eq!(status(&mut uart, 17 * interval) & STATUS_OVERRUN, 0, "read clears it");
        assert_eq!(status(&mut uart, 30 * interval) & STATUS_RECEIVED, 1);
        assert_eq!(uart.lost(), 4);
    }

    #[test]
    fn who_looks_twice_waits_and_is_told_until_when() {
        let mut uart = LogUart::after_rom();
        uart.receive(&[7], 100, HZ);
        assert_eq!(uart.read(register::LINE_STATUS, 200).unwrap().until, None);
        let until = uart.read(register::LINE_STATUS, 300).unwrap().until;
        assert_eq!(until, Some(100 + BITS * HZ / HOST_BAUD));
        assert_eq!(status(&mut uart, until.unwrap()) & STATUS_RECEIVED, 1);
        uart.read(register::DATA, until.unwrap()).unwrap();
        status(&mut uart, 1_000_000);
        assert!(!uart.starving());
        status(&mut uart, 1_000_010);
        assert!(uart.starving(), "only the host can change what it sees");
    }

    #[test]
    fn a_rate_that_the_host_cannot_read_is_refused() {
        let mut uart = LogUart::after_rom();
        let wrong = uart.write(register::DATA, 0, 0, 2 * HZ).unwrap_err();
        assert!(wrong.to_string().contains("76593 baud"), "{wrong}");
    }
}
