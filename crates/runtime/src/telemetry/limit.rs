//! Fewer log lines where input decides how many there would be.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Keys beyond these share one count, so that input cannot decide how much memory the limiter takes (INV-8).
const MAX_KEYS: usize = 256;

/// The key that the others share.
const OTHERS: &str = "";

/// Admits so many lines a key and interval, and counts the rest.
///
/// Metrics count what happened; a limited log line shows examples of it. Use it through [`crate::log_limited!`].
#[derive(Debug)]
pub struct LogLimiter {
    max: u32,
    interval: Duration,
    keys: Mutex<BTreeMap<String, Window>>,
}

#[derive(Debug)]
struct Window {
    started_at: Instant,
    admitted: u32,
    suppressed: u64,
}

impl LogLimiter {
    /// At most `max` lines a key and interval.
    #[must_use]
    pub const fn new(max: u32, interval: Duration) -> Self {
        Self {
            max,
            interval,
            keys: Mutex::new(BTreeMap::new()),
        }
    }

    /// Whether to log this line; if so, how many of its key were suppressed since the last one.
    pub fn admit(&self, key: &str) -> Option<u64> {
        self.admit_at(key, Instant::now())
    }

    fn admit_at(&self, key: &str, now: Instant) -> Option<u64> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if !keys.contains_key(key) && keys.len() >= MAX_KEYS {
            keys.retain(|_, window| now.saturating_duration_since(window.started_at) < self.interval);
        }
        let key = if keys.contains_key(key) || keys.len() < MAX_KEYS {
            key
        } else {
            OTHERS
        };
        let fresh = || Window {
            started_at: now,
            admitted: 0,
            suppressed: 0,
        };
        let window = keys.entry(key.to_owned()).or_insert_with(fresh);
        if now.saturating_duration_since(window.started_at) >= self.interval {
            window.started_at = now;
            window.admitted = 0;
        }
        if window.admitted >= self.max {
            window.suppressed += 1;
            return None;
        }
        window.admitted += 1;
        Some(std::mem::take(&mut window.suppressed))
    }
}

/// Logs a line that input can cause: at most 5 a minute for each place in the code and key, with the number of those
/// suppressed since the last one.
///
/// ```
/// runtime::log_limited!(warn, key = "not_json", partition = 3, "record refused");
/// ```
#[macro_export]
macro_rules! log_limited {
    ($level:ident, key = $key:expr, $($line:tt)+) => {{
        static LIMITER: $crate::telemetry::LogLimiter =
            $crate::telemetry::LogLimiter::new(5, ::std::time::Duration::from_secs(60));
        if let Some(suppressed) = LIMITER.admit($key) {
            $crate::telemetry::__tracing::$level!(key = $key, suppressed, $($line)+);
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::LogSettings;
    use crate::telemetry::log::tests::logged;

    #[test]
    fn admits_so_many_an_interval_and_counts_the_rest() {
        let limiter = LogLimiter::new(2, Duration::from_secs(10));
        let start = Instant::now();
        let admit = |key: &str, secs: u64| limiter.admit_at(key, start + Duration::from_secs(secs));
        assert_eq!(
            (admit("a", 0), admit("a", 1), admit("a", 2), admit("a", 3)),
            (Some(0), Some(0), None, None)
        );
        assert_eq!(admit("b", 3), Some(0));
        assert_eq!(
            (admit("a", 10), admit("a", 10), admit("a", 10)),
            (Some(2), Some(0), None)
        );
    }

    #[test]
    fn keys_without_end_do_not_take_memory_without_end() {
        let limiter = LogLimiter::new(1, Duration::from_secs(10));
        let now = Instant::now();
        let admitted = (0..100_000)
            .filter(|key| limiter.admit_at(&key.to_string(), now).is_some())
            .count();
        assert!(admitted <= MAX_KEYS + 1, "{admitted}");
        let keys = limiter.keys.lock().map(|keys| keys.len()).unwrap_or_default();
        assert!(keys <= MAX_KEYS + 1, "{keys}");
        assert_eq!(limiter.admit_at("new", now + Duration::from_secs(10)), Some(0));
    }

    #[test]
    fn the_macro_logs_examples() {
        let lines = logged(&LogSettings::default(), true, || {
            for offset in 0..100 {
                log_limited!(warn, key = "not_json", offset, "record refused");
            }
        });
        assert_eq!(lines.lines().count(), 5, "{lines}");
        assert!(
            lines.contains(r#""key":"not_json""#) && lines.contains(r#""suppressed":0"#),
            "{lines}"
        );
    }
}
