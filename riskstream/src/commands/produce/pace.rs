//! When records are sent.

use std::time::{Duration, Instant};

/// Holds records back until their time has come.
pub(super) enum Pace {
    Free,
    Rate {
        every: Duration,
        next: Instant,
    },
    Speedup {
        factor: f64,
        began: Instant,
        first_us: Option<i64>,
    },
}

impl Pace {
    pub(super) fn new(rate: Option<f64>, speedup: Option<f64>) -> Self {
        match (rate, speedup) {
            (Some(rate), _) => Self::Rate {
                every: Duration::from_secs_f64(1.0 / rate.max(1e-6)),
                next: Instant::now(),
            },
            (None, Some(factor)) => Self::Speedup {
                factor,
                began: Instant::now(),
                first_us: None,
            },
            (None, None) => Self::Free,
        }
    }

    /// Waits until what has this time may be sent.
    #[expect(clippy::cast_precision_loss, reason = "a waiting time")]
    pub(super) fn wait(&mut self, at_us: i64) {
        let due = match self {
            Self::Free => return,
            Self::Rate { every, next } => {
                let due = *next;
                *next += *every;
                due
            }
            Self::Speedup {
                factor,
                began,
                first_us,
            } => {
                let first_us = *first_us.get_or_insert(at_us);
                *began + Duration::from_secs_f64(((at_us - first_us) as f64 / 1e6 / *factor).max(0.0))
            }
        };
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}
