//! A worker's place: a slot, the DUT that lives there, and the ladder that brings it back.
//!
//! ```text
//! bring_up --runs the build?--> cell --no answer any more--> give_up
//!    ^                                                          |
//!    +---- reset -- full reset -- power -- out of service <-----+
//! ```
//!
//! Each step is bounded and written down. The first step of the ladder is the session's: it asks the
//! DUT to end its cell, and only one that does not answer comes here.

use crate::board::{BoardError, Dut, Rung, Slot};
use crate::run::Workshop;
use reports::record::{BoardName, Recovery, RecoveryStep};
use std::time::Instant;
use suites::BuildName;

/// A slot and who lives there.
pub struct Station {
    slot: Slot,
    dut: Option<(BuildName, Dut)>,
    /// Why the last DUT was given up; the next one comes by the ladder.
    trouble: Option<Trouble>,
}

struct Trouble {
    why: String,
    /// What the session has tried already.
    tried: Vec<RecoveryStep>,
}

/// Why there is no DUT.
#[derive(Debug)]
pub enum Down {
    /// A person asked to stop.
    Interrupted,
    /// No step of the ladder helped.
    Out(Recovery),
}

impl Station {
    /// An empty one.
    #[must_use]
    pub fn new(slot: Slot) -> Self {
        Self { slot, dut: None, trouble: None }
    }

    /// The name under which results are kept.
    #[must_use]
    pub fn name(&self) -> BoardName {
        self.slot.name()
    }

    /// Whether there is one board here and no other: once it is out of service, so is the place.
    #[must_use]
    pub fn can_be_lost(&self) -> bool {
        matches!(self.slot, Slot::Attached(_))
    }

    /// The build that is on the board.
    #[must_use]
    pub fn build(&self) -> Option<&BuildName> {
        self.dut.as_ref().map(|(build, _)| build)
    }

    /// The DUT, after [`Station::bring_up`].
    pub fn dut(&mut self) -> Option<&mut Dut> {
        self.dut.as_mut().map(|(_, dut)| dut)
    }

    /// Sees to it that the board runs the build, and tells what it took if the board had to be
    /// brought back.
    ///
    /// # Errors
    /// [`Down`].
    pub fn bring_up(
        &mut self,
        build: &BuildName,
        workshop: &Workshop<'_>,
    ) -> Result<Option<Recovery>, Down> {
        if self.build() == Some(build) {
            return Ok(None);
        }
        self.dut = None;
        let Some(image) = workshop.images.get(build) else {
            return Err(Down::Out(Recovery::of(format!("no image of {build} was built"))));
        };
        let (limit, interrupt) = (workshop.limits.boot, workshop.interrupt);
        let Trouble { why, tried } = match self.trouble.take() {
            Some(trouble) => trouble,
            None => match Dut::start(&self.slot, image, limit, interrupt) {
                Ok(dut) => {
                    self.dut = Some((build.clone(), dut));
                    return Ok(None);
                }
                Err(BoardError::Interrupted) => return Err(Down::Interrupted),
                // What the rig starts by itself and does not come up would not do so again.
                Err(error) if !self.can_be_lost() => {
                    return Err(Down::Out(Recovery::of(error.to_string())));
                }
                Err(error) => Trouble { why: error.to_string(), tried: Vec::new() },
            },
        };
        let mut recovery = Recovery { why, steps: tried };
        for rung in self.slot.rungs() {
            let began = Instant::now();
            let started = Dut::start_by(rung, &self.slot, image, limit, interrupt);
            if matches!(started, Err(BoardError::Interrupted)) {
                return Err(Down::Interrupted);
            }
            recovery.steps.push(RecoveryStep {
                step: step_name(&self.slot, rung).to_owned(),
                took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                failed: started.as_ref().err().map(ToString::to_string),
            });
            if let Ok(dut) = started {
                self.dut = Some((build.clone(), dut));
                return Ok(Some(recovery));
            }
        }
        Err(Down::Out(recovery))
    }

    /// The DUT no longer answers: the next one comes by the ladder. `tried` is what was done about
    /// it so far.
    pub fn give_up(&mut self, why: String, tried: Vec<RecoveryStep>) {
        self.dut = None;
        self.trouble = Some(Trouble { why, tried });
    }
}

fn step_name(slot: &Slot, rung: Rung) -> &'static str {
    match slot {
        Slot::Qemu | Slot::Native => "restart",
        Slot::Attached(_) => rung.name(),
    }
}
