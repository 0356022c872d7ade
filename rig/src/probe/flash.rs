//! Flash: looked at first, then erased, programmed and verified sector by sector.
//!
//! ```text
//! image --for this chip, not factory data--> compare --equal--> nothing to do
//!                                               +-- erase --> program --> verify
//! ```

use super::{Algorithm, Debugger, FlashImage, ProbeError, Progress, Stage, What};
use probe_rs::flashing::{
    DownloadOptions, FlashError, FlashProgress, Flasher, ProgressEvent, ProgressOperation,
};

/// What became of a wish to flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flashed {
    /// The flash held the image before; nothing was written.
    AlreadyThere,
    /// It was written and verified.
    Written {
        /// Bytes of the image.
        bytes: u64,
    },
}

impl Debugger {
    /// Puts the image into the flash, unless it is there. Bytes of a sector that the image does not
    /// name are kept. The core is halted afterwards.
    ///
    /// # Errors
    /// [`ProbeError`] if the image is not for this chip's flash or touches factory data, if the
    /// algorithm gives up, if the flash reads back as something else, or if the probe fails. What
    /// the sectors of the image hold is then unknown; another call repairs them.
    pub fn flash(
        &mut self,
        algorithm: &Algorithm,
        image: &FlashImage,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Flashed, ProbeError> {
        self.refuse(algorithm, image)?;
        self.prepare_flash(algorithm)?;
        let loader = self.with_session(Stage::Compare, |session| {
            let mut loader = session.target().flash_loader();
            for (address, bytes) in &image.segments {
                loader.add_data((*address).into(), bytes)?;
            }
            Ok::<_, FlashError>(loader)
        })?;
        let mut meter = Meter::new(Stage::Compare, progress);
        let mut watch = FlashProgress::new(|event| meter.note(event));
        let equal = self.with_session(Stage::Compare, |session| {
            match loader.verify(session, &mut watch) {
                Ok(()) => Ok(true),
                Err(FlashError::Verify) => Ok(false),
                Err(error) => Err(error),
            }
        })?;
        drop(watch);
        if equal {
            return Ok(Flashed::AlreadyThere);
        }
        let mut meter = Meter::new(Stage::Erase, progress);
        let done = self.with_session(Stage::Erase, |session| {
            let mut options = DownloadOptions::new();
            options.progress = FlashProgress::new(|event| meter.note(event));
            options.keep_unwritten_bytes = true;
            options.verify = true;
            loader.commit(session, options)
        });
        let stage = meter.stage;
        done.map_err(|error| ProbeError { stage, ..error })?;
        Ok(Flashed::Written { bytes: image.bytes() })
    }

    /// Has the algorithm set up the flash controller, so that the flash can be read in memory.
    ///
    /// # Errors
    /// [`ProbeError`] if the algorithm gives up or the probe fails.
    pub fn prepare_flash(&mut self, algorithm: &Algorithm) -> Result<(), ProbeError> {
        self.reopen(Some(algorithm))?;
        let raw = algorithm.raw(self.wiring.chip);
        self.with_session(Stage::Compare, |session| {
            let mut flasher = Flasher::new(session.target(), 0, &raw)?;
            // Nothing but `Init` and `UnInit`, which leave the controller so that memory reads work.
            flasher.run_verify(session, &mut FlashProgress::empty(), |_, _| Ok(()))
        })
    }

    /// What must not be written is refused before the first access. The algorithm for the RTL8195A
    /// does so once more.
    fn refuse(&self, algorithm: &Algorithm, image: &FlashImage) -> Result<(), ProbeError> {
        let refused = |why: String| Err(self.failed(Stage::Compare, What::Refused(why)));
        let chip = self.wiring.chip;
        let range = algorithm.range();
        if range.start != u64::from(chip.flash().start) {
            return refused(format!("this flash algorithm is not for {chip}"));
        }
        if let Some(at) = image.leaves(&chip.flash()) {
            return refused(format!(
                "the image has bytes at {at:#010x}, where {chip} has no flash"
            ));
        }
        if let Some(at) = chip.factory_data().and_then(|range| image.touches(&range)) {
            return refused(format!(
                "the image has bytes at {at:#010x}, in the sectors of this unit's factory data, \
                 which nobody can make again"
            ));
        }
        Ok(())
    }
}

/// Turns probe-rs' events into progress, and remembers the step for messages.
struct Meter<'p> {
    progress: &'p mut dyn FnMut(Progress),
    /// The step, and whether it is one of comparing before anything was written.
    stage: Stage,
    comparing: bool,
    done: u64,
    /// Bytes of each step to come.
    totals: Vec<(Stage, u64)>,
}

impl<'p> Meter<'p> {
    fn new(stage: Stage, progress: &'p mut dyn FnMut(Progress)) -> Self {
        let comparing = stage == Stage::Compare;
        Self { progress, stage, comparing, done: 0, totals: Vec::new() }
    }

    fn note(&mut self, event: ProgressEvent) {
        match event {
            ProgressEvent::AddProgressBar { operation, total } => {
                self.totals.push((self.stage_of(operation), total.unwrap_or_default()));
            }
            ProgressEvent::Started(operation) => {
                (self.stage, self.done) = (self.stage_of(operation), 0);
            }
            ProgressEvent::Progress { size, .. } => {
                self.done += size;
                let total = self.totals.iter().find(|(stage, _)| *stage == self.stage);
                let total = total.map_or(self.done, |(_, total)| *total);
                (self.progress)(Progress { stage: self.stage, done: self.done, total });
            }
            _ => {}
        }
    }

    fn stage_of(&self, operation: ProgressOperation) -> Stage {
        match operation {
            ProgressOperation::Verify if self.comparing => Stage::Compare,
            ProgressOperation::Verify => Stage::Verify,
            // Reads what is kept of sectors that are only partly written.
            ProgressOperation::Fill => Stage::Compare,
            ProgressOperation::Erase => Stage::Erase,
            ProgressOperation::Program => Stage::Program,
        }
    }
}
