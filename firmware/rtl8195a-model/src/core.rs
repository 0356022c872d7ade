//! The interpreter's decoder, with two things added: a core that goes to sleep is noticed, and
//! 32-bit instructions are decoded once.

use armagnac::core::{ArmVersion, ItState};
use armagnac::decoder::{
    InstructionDecode, InstructionDecodeError, Lut16AndGrouped32InstructionDecoder,
};
use armagnac::instructions::{Instruction, InstructionSize};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

const WFI: u32 = 0xbf30;
const NOP: u32 = 0xbf00;

/// Slots of decoded instructions; a power of two.
const KEPT: usize = 1 << 14;

type Kept = Option<(u32, Rc<dyn Instruction>)>;

pub(crate) struct Decoder {
    inner: Lut16AndGrouped32InstructionDecoder,
    kept: RefCell<Vec<Kept>>,
    asleep: Rc<Cell<bool>>,
}

impl Decoder {
    /// `asleep` is set when the core executes WFI. No interrupt can ever wake it here, and the
    /// interpreter would wait for one for ever.
    pub(crate) fn new(asleep: Rc<Cell<bool>>) -> Self {
        Self {
            inner: Lut16AndGrouped32InstructionDecoder::new(ArmVersion::V7M),
            kept: RefCell::new(vec![None; KEPT]),
            asleep,
        }
    }
}

impl InstructionDecode for Decoder {
    fn try_decode(
        &self,
        code: u32,
        size: InstructionSize,
        state: ItState,
    ) -> Result<Rc<dyn Instruction>, InstructionDecodeError> {
        if size == InstructionSize::Ins16 {
            let sleeps = code == WFI;
            self.asleep.set(sleeps);
            return self.inner.try_decode(if sleeps { NOP } else { code }, size, state);
        }
        if state.in_it_block() {
            return self.inner.try_decode(code, size, state);
        }
        // Fibonacci hashing spreads codes that differ in few bits.
        let slot = (code.wrapping_mul(0x9e37_79b9) >> (32 - KEPT.ilog2())) as usize;
        let mut kept = self.kept.borrow_mut();
        if let Some(Some((of, instruction))) = kept.get(slot)
            && *of == code
        {
            return Ok(Rc::clone(instruction));
        }
        let instruction = self.inner.try_decode(code, size, state)?;
        if let Some(slot) = kept.get_mut(slot) {
            *slot = Some((code, Rc::clone(&instruction)));
        }
        Ok(instruction)
    }
}
