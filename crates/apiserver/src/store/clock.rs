//! The clock by which history ages: monotonic, and movable by hand in tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Room below the start of the process for the ages of events that a restart brings back.
const ORIGIN_MS: u64 = 7 * 24 * 3600 * 1000;

/// Milliseconds since some moment long before the start of the process.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System(Instant),
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The monotonic clock.
    pub fn system() -> Self {
        // The one place of the store that asks for the time.
        Self(Source::System(Instant::now()))
    }

    /// A clock that stands still until it is advanced.
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(ORIGIN_MS))))
    }

    /// Moves a manual clock; the system's clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    pub(super) fn now(&self) -> u64 {
        match &self.0 {
            Source::System(start) => ORIGIN_MS + millis(start.elapsed()),
            Source::Manual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// Wall time in milliseconds since 1970: what the durable log carries across restarts.
    pub(super) fn wall(&self) -> u64 {
        match &self.0 {
            Source::System(_) => u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default(),
            Source::Manual(now) => now.load(Ordering::SeqCst),
        }
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
