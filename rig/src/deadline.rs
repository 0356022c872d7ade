//! Deadlines with names, and the wish of a person to stop.
//!
//! Every wait of the rig ends at a [`Deadline`]; when it does, the message says what was waited
//! for. Waits are cut into slices only to notice Ctrl-C: data ends a slice at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a blocking read goes without looking whether it should stop.
const SLICE: Duration = Duration::from_millis(100);

/// The end of a wait.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    end: Instant,
    limit: Duration,
}

impl Deadline {
    /// A deadline this far from now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self { end: Instant::now() + limit, limit }
    }

    /// The length of the wait, as it was when it began.
    #[must_use]
    pub fn limit(self) -> Duration {
        self.limit
    }

    /// Time left; zero once it is over.
    #[must_use]
    pub fn left(self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// The next stretch of blocking, never longer than a slice; `None` once the time is over.
    #[must_use]
    pub fn slice(self) -> Option<Duration> {
        let left = self.left();
        (!left.is_zero()).then(|| left.min(SLICE))
    }
}

/// Whether a person wants the run to end. Clones share the wish.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Asks everything that waits to stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
