//! The request to stop: raised once, by a signal or by a worker that fails, and seen by everybody.

use crate::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The request to stop. Clones share it.
#[derive(Clone, Debug)]
pub struct Shutdown {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    requested: AtomicBool,
    request: Mutex<Option<Request>>,
    raised: Condvar,
    drain: Duration,
}

#[derive(Clone, Debug)]
struct Request {
    reason: String,
    at: Instant,
}

impl Shutdown {
    /// Not raised yet; once it is, workers have `drain` to finish what they hold.
    #[must_use]
    pub fn new(drain: Duration) -> Self {
        let shared = Shared {
            requested: AtomicBool::new(false),
            request: Mutex::new(None),
            raised: Condvar::new(),
            drain,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Asks everybody to stop. The first reason stays.
    pub fn request(&self, reason: impl Into<String>) {
        let mut request = self.locked();
        if request.is_some() {
            return;
        }
        let reason = reason.into();
        tracing::info!(reason, "shutdown requested");
        *request = Some(Request {
            reason,
            at: Instant::now(),
        });
        self.shared.requested.store(true, Ordering::Release);
        self.shared.raised.notify_all();
    }

    /// Whether anybody asked; cheap enough for every turn of a loop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.shared.requested.load(Ordering::Acquire)
    }

    /// Why, once somebody asked.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.locked().as_ref().map(|request| request.reason.clone())
    }

    /// Waits for the request, at most so long; returns whether it is there. A sleep that ends early when asked to stop.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let request = self.locked();
        let waited = self
            .shared
            .raised
            .wait_timeout_while(request, timeout, |request| request.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_some()
    }

    /// Waits for the request as long as it takes.
    pub fn wait_forever(&self) {
        while !self.wait(Duration::from_secs(3600)) {}
    }

    /// The time that workers have to finish what they hold.
    #[must_use]
    pub fn drain(&self) -> Duration {
        self.shared.drain
    }

    /// What is left of the time to drain; the whole of it until somebody asks.
    #[must_use]
    pub fn drain_left(&self) -> Duration {
        let since = self
            .locked()
            .as_ref()
            .map_or(Duration::ZERO, |request| request.at.elapsed());
        self.shared.drain.saturating_sub(since)
    }

    /// Raises the request at SIGTERM and SIGINT. A second signal ends the process at once with status 128 + signal,
    /// out of the handler itself, so that it works even where every thread hangs.
    ///
    /// # Errors
    /// If the handlers or their thread cannot be installed.
    pub fn listen_to_signals(&self) -> Result<()> {
        let armed = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal finds the flag down and raises it, the second finds it raised.
            let exit = Arc::clone(&armed);
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, exit)
                .map_err(Error::Signals)?;
            signal_hook::flag::register(signal, Arc::clone(&armed)).map_err(Error::Signals)?;
        }
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(Error::Signals)?;
        let shutdown = self.clone();
        let wait = move || {
            for signal in signals.forever() {
                shutdown.request(if signal == SIGTERM { "SIGTERM" } else { "SIGINT" });
            }
        };
        let name = "signals".to_owned();
        let spawned = std::thread::Builder::new().name(name.clone()).spawn(wait);
        spawned
            .map(|_detached| ())
            .map_err(|source| Error::Thread { name, source })
    }

    /// Nothing in here can panic halfway through a change.
    fn locked(&self) -> MutexGuard<'_, Option<Request>> {
        self.shared.request.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_wait_ends_with_the_request() {
        let shutdown = Shutdown::new(Duration::from_secs(5));
        assert!(!shutdown.wait(Duration::from_millis(1)));
        assert!(!shutdown.is_requested());
        assert_eq!(shutdown.drain_left(), Duration::from_secs(5));
        let waiting = shutdown.clone();
        let thread = std::thread::spawn(move || waiting.wait(Duration::from_secs(60)));
        shutdown.request("first");
        shutdown.request("second");
        assert!(thread.join().unwrap());
        assert!(shutdown.is_requested());
        assert_eq!(shutdown.reason().as_deref(), Some("first"));
        assert!(shutdown.drain_left() < Duration::from_secs(5));
    }

    #[test]
    fn a_signal_raises_the_request() {
        let shutdown = Shutdown::new(Duration::ZERO);
        shutdown.listen_to_signals().unwrap();
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert!(shutdown.wait(Duration::from_secs(60)));
        assert_eq!(shutdown.reason().as_deref(), Some("SIGTERM"));
    }

    /// Runs as a process of its own, started by the test below.
    #[test]
    #[allow(clippy::disallowed_methods)] // The test passes itself a word through the environment.
    fn child_that_gets_two_signals() {
        if std::env::var("RUNTIME_TEST_CHILD").is_err() {
            return;
        }
        let shutdown = Shutdown::new(Duration::from_secs(60));
        shutdown.listen_to_signals().unwrap();
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert!(shutdown.wait(Duration::from_secs(60)));
        signal_hook::low_level::raise(SIGINT).unwrap();
    }

    #[test]
    fn a_second_signal_ends_the_process_at_once() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "shutdown::tests::child_that_gets_two_signals"]);
        let status = child.env("RUNTIME_TEST_CHILD", "1").output().unwrap().status;
        assert_eq!(status.code(), Some(128 + SIGINT));
    }
}
