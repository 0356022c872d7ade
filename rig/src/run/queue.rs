//! The cells that are still to be run, shared by workers whose boards may fail them.

use crate::deadline::Interrupt;
use crate::plan::Job;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use suites::BuildName;

/// How long an idle worker waits without looking whether it should stop.
const SLICE: Duration = Duration::from_millis(100);

/// Jobs in order, and how many workers may still give one back.
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    /// Those whose clients mostly wait; empty if nobody is there for them alone.
    waiting: VecDeque<Job>,
    /// Workers that have a job in hand.
    busy: usize,
    /// Workers whose board can be used.
    in_service: usize,
}

impl Queue {
    /// For so many workers, and `patient` ones besides that take only cells which mostly wait.
    pub(super) fn new(jobs: Vec<Job>, workers: usize, patient: usize) -> Self {
        let (waiting, jobs): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|job| patient > 0 && job.waits());
        let state = State {
            jobs: VecDeque::from(jobs),
            waiting: VecDeque::from(waiting),
            busy: 0,
            in_service: workers + patient,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first job for the build that is on the board, else the first of all; for a patient worker
    /// of those that mostly wait, for others of these last. While others are at work this waits: one
    /// of them may have to give its job back.
    pub(super) fn take(
        &self,
        build: Option<&BuildName>,
        patient: bool,
        interrupt: &Interrupt,
    ) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if interrupt.requested() {
                return None;
            }
            let of_build = |job: &Job| build.is_some_and(|build| job.cell.client.build == *build);
            let State { jobs, waiting, .. } = &mut *state;
            let own = if patient || jobs.is_empty() { waiting } else { jobs };
            let same = own.iter().position(of_build);
            if let Some(job) = own.remove(same.unwrap_or(0)) {
                state.busy += 1;
                return Some(job);
            }
            // Patient workers have boards that the rig starts by itself: nothing comes back from them.
            if state.busy == 0 || patient {
                return None;
            }
            let waited = self.changed.wait_timeout(state, SLICE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The job in hand is done.
    pub(super) fn done(&self) {
        self.lock().busy -= 1;
        self.changed.notify_all();
    }

    /// The job in hand goes back, and its worker leaves for good. The last worker to leave is given
    /// all that is left, because nobody else will take it.
    pub(super) fn give_back(&self, job: Job) -> Option<Vec<Job>> {
        let mut state = self.lock();
        state.busy -= 1;
        state.in_service -= 1;
        state.jobs.push_front(job);
        let orphans = (state.in_service == 0).then(|| {
            let State { jobs, waiting, .. } = &mut *state;
            jobs.drain(..).chain(waiting.drain(..)).collect()
        });
        drop(state);
        self.changed.notify_all();
        orphans
    }
}
