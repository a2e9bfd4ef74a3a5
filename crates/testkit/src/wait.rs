//! Waiting for a condition instead of sleeping.

use std::time::{Duration, Instant};

/// How long to wait before looking again.
const AGAIN: Duration = Duration::from_millis(10);

/// Waits until `condition` holds.
///
/// # Panics
/// If it does not within `timeout`; the message names `what`.
pub fn wait_until(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
    eventually(what, timeout, || condition().then_some(()));
}

/// Waits until `look` finds something, and returns it.
///
/// # Panics
/// If it does not within `timeout`; the message names `what`.
pub fn eventually<T>(what: &str, timeout: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {timeout:?}");
        std::thread::sleep(AGAIN);
    }
}
