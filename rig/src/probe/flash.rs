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
        let mut loader = self.session.target().flash_loader();
        for (address, bytes) in &image.segments {
            loader
                .add_data((*address).into(), bytes)
                .map_err(|error| self.explain(Stage::Compare, &error))?;
        }
        let mut meter = Meter { stage: Stage::Compare, done: 0, total: 0 };
        let mut watch = |event: ProgressEvent| meter.note(event, progress);
        match loader.verify(&mut self.session, &mut FlashProgress::new(&mut watch)) {
            Ok(()) => return Ok(Flashed::AlreadyThere),
            Err(FlashError::Verify) => {}
            Err(error) => return Err(self.explain(Stage::Compare, &error)),
        }
        meter.stage = Stage::Erase;
        let mut watch = |event: ProgressEvent| meter.note(event, progress);
        let mut options = DownloadOptions::new();
        options.progress = FlashProgress::new(&mut watch);
        options.keep_unwritten_bytes = true;
        options.verify = true;
        let done = loader.commit(&mut self.session, options);
        match done {
            Ok(()) => Ok(Flashed::Written { bytes: image.bytes() }),
            Err(error) => Err(self.explain(meter.stage, &error)),
        }
    }

    /// Has the algorithm set up the flash controller, so that the flash can be read in memory.
    ///
    /// # Errors
    /// [`ProbeError`] if the algorithm gives up or the probe fails.
    pub fn prepare_flash(&mut self, algorithm: &Algorithm) -> Result<(), ProbeError> {
        self.reopen(Some(algorithm))?;
        let prepare = Flasher::new(self.session.target(), 0, &algorithm.raw(self.wiring.chip))
            // Nothing but `Init` and `UnInit`, which leave the controller so that memory reads work.
            .and_then(|mut flasher| {
                flasher.run_verify(&mut self.session, &mut FlashProgress::empty(), |_, _| Ok(()))
            });
        prepare.map_err(|error| self.explain(Stage::Compare, &error))
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
struct Meter {
    stage: Stage,
    done: u64,
    total: u64,
}

impl Meter {
    fn note(&mut self, event: ProgressEvent, progress: &mut dyn FnMut(Progress)) {
        match event {
            ProgressEvent::AddProgressBar { operation, total: Some(total) } => {
                if self.stage == Stage::Compare || matches!(operation, ProgressOperation::Program) {
                    self.total = total;
                }
            }
            ProgressEvent::Started(operation) => {
                self.done = 0;
                self.stage = match operation {
                    ProgressOperation::Fill => Stage::Compare,
                    ProgressOperation::Erase => Stage::Erase,
                    ProgressOperation::Program => Stage::Program,
                    ProgressOperation::Verify if self.stage == Stage::Compare => Stage::Compare,
                    ProgressOperation::Verify => Stage::Verify,
                };
            }
            ProgressEvent::Progress { size, .. } => {
                self.done += size;
                progress(Progress { stage: self.stage, done: self.done, total: self.total });
            }
            _ => {}
        }
    }
}
