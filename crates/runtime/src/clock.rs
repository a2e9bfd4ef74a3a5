//! The wall clock, passed in wherever time matters.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The time now.
    ///
    /// # Units
    /// Microseconds since the Unix epoch, UTC.
    fn now_us(&self) -> i64;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // The one place that asks the machine.
    fn now_us(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => micros(since),
            // A machine whose clock stands before 1970.
            Err(before) => -micros(before.duration()),
        }
    }
}

/// A clock that stands still until it is moved: for tests and for replays.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_us: AtomicI64,
}

impl ManualClock {
    /// A clock that shows the given time.
    #[must_use]
    pub fn new(now_us: i64) -> Self {
        Self {
            now_us: AtomicI64::new(now_us),
        }
    }

    /// Shows another time from now on.
    pub fn set_us(&self, now_us: i64) {
        self.now_us.store(now_us, Ordering::SeqCst);
    }

    /// Moves forward.
    pub fn advance(&self, by: Duration) {
        self.now_us.fetch_add(micros(by), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_us(&self) -> i64 {
        self.now_us.load(Ordering::SeqCst)
    }
}

/// A duration as microseconds, at most what fits.
#[must_use]
pub fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_shows_this_century() {
        let now = SystemClock.now_us();
        assert!(
            now > 1_700_000_000_000_000 && now < 4_102_444_800_000_000,
            "{now}"
        );
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(5);
        assert_eq!(clock.now_us(), 5);
        clock.advance(Duration::from_millis(2));
        assert_eq!(clock.now_us(), 2_005);
        clock.set_us(-1);
        assert_eq!(clock.now_us(), -1);
    }
}
