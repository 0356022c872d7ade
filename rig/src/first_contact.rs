//! The first look at a board: steps that change nothing that outlasts a reset, and say what they saw.
//!
//! ```text
//! probe plugged in? --> port opens? --> who answers? --> chip --> registers
//!      --> core after reset --> flash chip, what lies in flash --> copy kept?
//! ```
//!
//! Nothing is written to flash or fuses. The chip is reset once, and whatever it ran starts again
//! afterwards. What no step can tell is in `rig/FIRST_BOARD.md`.

use crate::backup;
use crate::bench::{Bench, Board, Line, Probe, discover};
use crate::board::attached;
use crate::boot_image::{IMAGE2_OFFSET, IMAGE2_VALID, IMAGE2_VALID_OFFSET, PATTERN, PROTECTED};
use crate::deadline::Interrupt;
use crate::probe::{Chip, Debugger, ProbeError, Reset};
use schemars::JsonSchema;
use serde::Serialize;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// Something to note down or to look at; the next steps go on.
    Note,
    /// Not as it should be.
    Failed,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Step {
    /// What was looked at.
    pub what: &'static str,
    /// How it ended.
    pub state: State,
    /// What was seen, in one line for each thing.
    pub seen: Vec<String>,
}

/// Registers of the RTL8195A whose values on a real board are wanted (clock, PLL, fuses, straps,
/// gates, pins, ports, watchdog), with the names of the vendor's headers.
const WANTED: [(&str, u32); 11] = [
    ("SYS_CLK_CTRL1", 0x4000_0014),
    ("SYS_EFUSE_SYSCFG3", 0x4000_0038),
    ("SYS_PLL_CTRL", 0x4000_0074),
    ("SYS_SYSTEM_CFG0", 0x4000_01f0),
    ("SYS_SYSTEM_CFG1", 0x4000_01f4),
    ("SYS_SYSTEM_CFG2", 0x4000_01f8),
    ("SOC_FUNC_EN", 0x4000_0210),
    ("PESOC_CLK_CTRL", 0x4000_0230),
    ("CPU_PERIPHERAL_CTRL", 0x4000_02c0),
    ("GPIO_SHTDN_CTRL", 0x4000_0320),
    ("VENDOR_WDG_CTRL", 0x4000_2800),
];

/// Where the ROM's reset vector leads, and its stack (public logs of an RTL8710AF).
const ROM_PC: u32 = 0x100;
const ROM_SP: u32 = 0x1fff_fffc;

/// With what an image2 in mbed-os's layout starts.
const MBED_IMAGE2: [u8; 4] = 0x8195_0001u32.to_le_bytes();

/// Takes the steps in order; those that need the chip are left out if it does not answer.
#[must_use]
pub fn look(board: &Board, bench: &Bench, interrupt: &Interrupt) -> Vec<Step> {
    let mut steps = vec![probe(board, bench), line(board, interrupt)];
    match attached::attach(board) {
        Ok(mut debugger) => {
            let identity = debugger.identity().to_string();
            steps.push(step("chip", State::Ok, vec![format!("{}: {identity}", board.chip)]));
            for look in [registers, after_reset, flash] {
                steps.extend(look(board, &mut debugger));
            }
            // Whatever was there before starts again.
            if let Err(error) = debugger.detach() {
                steps.push(step("release", State::Failed, vec![error.to_string()]));
            }
        }
        Err(error) => steps.push(step("chip", State::Failed, vec![error.to_string()])),
    }
    steps.push(copy(board));
    steps
}

fn step(what: &'static str, state: State, seen: Vec<String>) -> Step {
    Step { what, state, seen }
}

fn probe(board: &Board, bench: &Bench) -> Step {
    const WHAT: &str = "debug probe";
    let Probe::Usb(usb) = &board.probe else {
        return step(WHAT, State::Ok, vec!["an emulator's, through its sockets".to_owned()]);
    };
    let attached = discover::attached(bench);
    match attached.iter().find(|probe| probe.board.as_ref() == Some(&board.name)) {
        None => step(WHAT, State::Failed, vec![format!("no probe {usb} is plugged in")]),
        Some(probe) if !probe.accessible => step(
            WHAT,
            State::Failed,
            vec![format!(
                "{} is there, and you may not open it: install the udev rule in rig/FIRST_BOARD.md",
                probe.product
            )],
        ),
        Some(probe) => {
            let note = match discover::looks_like_dev01(usb) {
                true => {
                    "has the ids of the DAP on a DEV01 board: note its firmware version from mbed.htm on its drive"
                }
                false => "an external probe",
            };
            step(WHAT, State::Ok, vec![probe.product.clone(), note.to_owned()])
        }
    }
}

fn line(board: &Board, interrupt: &Interrupt) -> Step {
    const WHAT: &str = "serial port";
    if board.link == Line::Rtt {
        let note = "not used: the probe carries the frames (link = \"rtt\"), and is asked what runs when an image is started";
        return step(WHAT, State::Note, vec![note.to_owned()]);
    }
    match attached::ask(board, interrupt) {
        Ok(Some(identity)) => step(
            WHAT,
            State::Ok,
            vec![format!("it runs {} (image {})", identity.build, identity.image)],
        ),
        Ok(None) => step(
            WHAT,
            State::Note,
            vec!["it opens; no firmware of the rig answers, as on every new board".to_owned()],
        ),
        Err(error) => step(WHAT, State::Failed, vec![error.to_string()]),
    }
}

fn registers(board: &Board, debugger: &mut Debugger) -> Option<Step> {
    // Of the emulated chip nobody has to learn anything.
    let wanted = board.chip == Chip::Rtl8195a;
    wanted.then(|| values("registers as they were found", debugger))
}

fn values(what: &'static str, debugger: &mut Debugger) -> Step {
    let read = |(name, address): (&str, u32)| {
        let value = debugger.word(address)?;
        Ok(format!("{name} {address:#010x} = {value:#010x}"))
    };
    match WANTED.into_iter().map(read).collect::<Result<Vec<_>, ProbeError>>() {
        Ok(seen) => step(what, State::Note, seen),
        Err(error) => step(what, State::Failed, vec![error.to_string()]),
    }
}

fn after_reset(board: &Board, debugger: &mut Debugger) -> Option<Step> {
    const WHAT: &str = "core after reset";
    let place = debugger.reset(Reset::Core).and_then(|()| debugger.place());
    let (pc, sp) = match place {
        Ok(place) => place,
        Err(error) => return Some(step(WHAT, State::Failed, vec![error.to_string()])),
    };
    let mut seen = vec![format!("PC {pc:#010x}, SP {sp:#010x}")];
    if board.chip != Chip::Rtl8195a {
        return Some(step(WHAT, State::Ok, seen));
    }
    if (pc, sp) != (ROM_PC, ROM_SP) {
        seen.push(format!("public logs say PC {ROM_PC:#010x}, SP {ROM_SP:#010x}"));
    }
    let found = values(WHAT, debugger);
    seen.extend(found.seen);
    Some(step(WHAT, found.state, seen))
}

fn flash(board: &Board, debugger: &mut Debugger) -> Option<Step> {
    const WHAT: &str = "flash";
    let opened = debugger.open_flash().and_then(|(chip, range)| {
        let head = range.start..range.start + HEAD;
        Ok((chip, range, debugger.read(head, &mut |_| {})?))
    });
    Some(match opened {
        Ok((chip, range, head)) => {
            let size = range.end - range.start;
            let mut seen = vec![match chip {
                Some(chip) => {
                    let [maker, kind, power] = chip.id;
                    format!("chip {maker:02x} {kind:02x} {power:02x}, {} KB", size / 1024)
                }
                None => format!("{} KB of memory in place of a flash", size / 1024),
            }];
            if board.chip == Chip::Rtl8195a {
                seen.extend(content(&head));
            }
            step(WHAT, State::Note, seen)
        }
        Err(error) => step(WHAT, State::Failed, vec![error.to_string()]),
    })
}

/// As much of the flash as says what lies in it.
const HEAD: u32 = 0xc000;

/// What the start of a flash holds.
fn content(head: &[u8]) -> Vec<String> {
    let at = |from: u32, bytes: &[u8]| {
        head.get(from as usize..).is_some_and(|rest| rest.starts_with(bytes))
    };
    let image1 = match at(0, &PATTERN) {
        true => "image1: its header is there",
        false => "image1: no header; the board stops in its ROM console",
    };
    let image2 = if at(IMAGE2_VALID_OFFSET, &IMAGE2_VALID) {
        "image2: in the vendor's layout, which `--into flash` writes"
    } else if at(IMAGE2_OFFSET, &MBED_IMAGE2) {
        "image2: in mbed-os's layout: this board's image1 does not start what `--into flash` writes"
    } else {
        "image2: none that is known"
    };
    let own = PROTECTED.start as usize..PROTECTED.end as usize;
    let own = head.get(own).unwrap_or_default();
    let factory = match own.iter().all(|byte| *byte == 0xff) {
        true => "factory data (0x8000 to 0xafff): EMPTY; this unit has none, or it was erased",
        false => "factory data (0x8000 to 0xafff): there",
    };
    [image1, image2, factory].map(str::to_owned).into()
}

fn copy(board: &Board) -> Step {
    const WHAT: &str = "copy of its flash";
    match backup::proof(&backup::folder(), board) {
        Some(copy) => {
            step(WHAT, State::Ok, vec![format!("{} bytes in {}", copy.bytes, copy.path.display())])
        }
        None => step(
            WHAT,
            State::Note,
            vec![format!("none yet: `cargo rig backup {}` makes it", board.name)],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_flash_tells_which_first_stage_a_board_has() {
        let mut head = vec![0xff; HEAD as usize];
        insta::assert_snapshot!(content(&head).join("\n"), @r"
        image1: no header; the board stops in its ROM console
        image2: none that is known
        factory data (0x8000 to 0xafff): EMPTY; this unit has none, or it was erased
        ");
        head[..16].copy_from_slice(&PATTERN);
        head[0x9080] = 1;
        head[0xb000..0xb004].copy_from_slice(&MBED_IMAGE2);
        insta::assert_snapshot!(content(&head).join("\n"), @r"
        image1: its header is there
        image2: in mbed-os's layout: this board's image1 does not start what `--into flash` writes
        factory data (0x8000 to 0xafff): there
        ");
        head[0xb008..0xb010].copy_from_slice(&IMAGE2_VALID);
        assert!(content(&head)[1].contains("vendor's layout"));
    }
}
