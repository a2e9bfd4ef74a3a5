//! Worker threads: named, watched, joined with their errors.

use crate::health::{Component, Health};
use crate::{Error, Result, Shutdown};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a worker fails with.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// How often [`join_all`] looks whether the time to drain is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    name: String,
    outcome: Receiver<Result<()>>,
    thread: JoinHandle<()>,
}

/// How much the calling thread, and those it starts from now on, give way to others (as `nice` has it).
const GIVE_WAY: i32 = 10;

/// Lets other threads go first from now on: for work that has time, beside work that has none. Threads that the calling
/// one starts later do the same.
pub fn give_way() {
    // On Linux the priority is a thread's own.
    if let Err(error) = rustix::process::setpriority_process(None, GIVE_WAY) {
        tracing::warn!(%error, "the priority of a thread could not be lowered");
    }
}

/// Starts a worker on a thread of its own name and registers it with the health of the process.
///
/// If it fails or panics, its health says so and the shutdown is raised, so that the process ends rather than going on
/// without it. A worker that ends by itself without an error counts as alive and leaves the rest running.
///
/// # Errors
/// If the thread cannot be started.
pub fn spawn_worker<F, E>(name: &str, health: &Health, shutdown: &Shutdown, work: F) -> Result<Worker>
where
    F: FnOnce(&Component, &Shutdown) -> std::result::Result<(), E> + Send + 'static,
    E: Into<Cause>,
{
    let component = health.register(name);
    let (component_of_thread, shutdown, thread_name) = (component.clone(), shutdown.clone(), name.to_owned());
    // Holds the one outcome that a worker has: sending never waits.
    let (sender, outcome) = sync_channel(1);
    let body = move || {
        let component = component_of_thread;
        let result = run(&thread_name, || work(&component, &shutdown).map_err(Into::into));
        match &result {
            Ok(()) => component.finished(),
            Err(error) => {
                let reason = chain(error);
                tracing::error!(worker = thread_name, reason, "worker failed");
                component.failed(&reason);
                shutdown.request(reason);
            }
        }
        // Nobody joins any more: the outcome has been logged.
        let _ = sender.send(result);
    };
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    let thread = spawned.map_err(|source| {
        component.failed("the thread did not start");
        Error::Thread {
            name: name.to_owned(),
            source,
        }
    })?;
    Ok(Worker {
        name: name.to_owned(),
        outcome,
        thread,
    })
}

impl Worker {
    /// The name of the worker and of its thread.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the worker to end; once the shutdown is requested, no longer than the time to drain.
    ///
    /// # Errors
    /// The worker's own error, its panic, or that it did not stop in time; its thread is left behind then.
    pub fn join(self, shutdown: &Shutdown) -> Result<()> {
        loop {
            let draining = shutdown.is_requested();
            let left = shutdown.drain_left();
            match self
                .outcome
                .recv_timeout(if draining { left } else { LOOK_EVERY })
            {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) if !draining => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Error::Overdue {
                        name: self.name,
                        drain: shutdown.drain(),
                    });
                }
                // The outcome is sent whatever the worker does; only a thread ended from outside sends none.
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Panicked {
                        name: self.name,
                        message: "no outcome".to_owned(),
                    });
                }
            }
        }
    }
}

/// Waits for all workers; once the shutdown is requested, no longer than the time to drain. Returns what went wrong.
#[must_use]
pub fn join_all(workers: Vec<Worker>, shutdown: &Shutdown) -> Vec<Error> {
    workers
        .into_iter()
        .filter_map(|worker| worker.join(shutdown).err())
        .collect()
}

fn run(name: &str, work: impl FnOnce() -> std::result::Result<(), Cause>) -> Result<()> {
    // What a panicking worker leaves half done is never looked at again: the process goes down.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(source)) => Err(Error::Worker {
            name: name.to_owned(),
            source,
        }),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let message = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let message = message.unwrap_or_else(|| "no message".to_owned());
            Err(Error::Panicked {
                name: name.to_owned(),
                message,
            })
        }
    }
}

/// An error with its sources, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn parts(drain: Duration) -> (Health, Shutdown) {
        let shutdown = Shutdown::new(drain);
        (Health::new(Duration::from_secs(60), &shutdown), shutdown)
    }

    #[test]
    fn a_worker_runs_under_its_name_until_asked_to_stop() {
        let (health, shutdown) = parts(Duration::from_secs(60));
        let worker = spawn_worker("stage-1", &health, &shutdown, |component, shutdown| {
            component.ready(std::thread::current().name() == Some("stage-1"));
            shutdown.wait_forever();
            Ok::<(), Error>(())
        });
        while !health.readiness().ok {
            std::thread::yield_now();
        }
        shutdown.request("test");
        assert!(join_all(vec![worker.unwrap()], &shutdown).is_empty());
        assert!(health.liveness().ok);
    }

    #[test]
    fn a_failing_worker_stops_the_others_and_its_error_is_reported() {
        let (health, shutdown) = parts(Duration::from_secs(60));
        let waiting = spawn_worker("waits", &health, &shutdown, |_, shutdown| {
            shutdown.wait_forever();
            Ok::<(), Error>(())
        });
        let failing = spawn_worker("fails", &health, &shutdown, |_, _| {
            Err::<(), _>(std::io::Error::other("disk full"))
        });
        let errors = join_all(vec![waiting.unwrap(), failing.unwrap()], &shutdown);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(chain(&errors[0]), "worker fails failed: disk full");
        assert_eq!(
            shutdown.reason().as_deref(),
            Some("worker fails failed: disk full")
        );
        assert!(!health.liveness().ok);
    }

    #[test]
    fn a_panic_is_an_error_that_stops_the_process() {
        let (health, shutdown) = parts(Duration::from_secs(60));
        let worker = spawn_worker(
            "panics",
            &health,
            &shutdown,
            |_, _| -> std::result::Result<(), Error> { panic!("index {} is gone", 7) },
        );
        let error = worker.unwrap().join(&shutdown).unwrap_err();
        assert_eq!(error.to_string(), "worker panics panicked: index 7 is gone");
        assert!(shutdown.is_requested());
        assert!(!health.liveness().ok);
    }

    #[test]
    fn a_worker_that_does_not_drain_in_time_is_overdue() {
        let (health, shutdown) = parts(Duration::from_millis(10));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let worker = spawn_worker("stuck", &health, &shutdown, move |_, _| {
            let _ = held.recv();
            Ok::<(), Error>(())
        });
        shutdown.request("test");
        let errors = join_all(vec![worker.unwrap()], &shutdown);
        assert!(
            matches!(&errors[..], [Error::Overdue { name, .. }] if name == "stuck"),
            "{errors:?}"
        );
        drop(release);
    }
}
