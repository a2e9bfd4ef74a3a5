//! Whether the process is alive and ready, as its components report it.

mod server;

pub use server::Server;

use crate::Shutdown;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The components of the process. Clones share them.
#[derive(Clone, Debug)]
pub struct Health {
    components: Arc<Mutex<BTreeMap<String, State>>>,
    silence_limit: Duration,
    shutdown: Shutdown,
}

/// One component's own handle, to report with. Clones report for the same component.
#[derive(Clone, Debug)]
pub struct Component {
    name: String,
    health: Health,
}

#[derive(Debug)]
struct State {
    ready: bool,
    ended: Option<Ended>,
    heard_at: Instant,
    silence_limit: Duration,
}

#[derive(Debug)]
enum Ended {
    Finished,
    Failed(String),
}

/// The answer to one of the two questions, with what it is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The answer.
    pub ok: bool,
    /// Why the whole is not ready although its parts are, if so.
    pub reason: Option<String>,
    /// Every component by its name.
    pub components: BTreeMap<String, ComponentReport>,
}

/// What is known of one component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComponentReport {
    /// Neither failed nor silent for too long.
    pub alive: bool,
    /// Can do its work now.
    pub ready: bool,
    /// Time since it last reported anything.
    pub silent_ms: u64,
    /// Why it is not alive.
    pub reason: Option<String>,
}

impl Health {
    /// No components yet. Who reports nothing for longer than `silence_limit` counts as dead; once the shutdown is
    /// requested, the process is no longer ready.
    #[must_use]
    pub fn new(silence_limit: Duration, shutdown: &Shutdown) -> Self {
        Self {
            components: Arc::default(),
            silence_limit,
            shutdown: shutdown.clone(),
        }
    }

    /// Adds a component, not ready yet. One of the same name that was there before is replaced.
    #[must_use]
    pub fn register(&self, name: &str) -> Component {
        self.register_patient(name, self.silence_limit)
    }

    /// Adds a component that may be silent for longer or less long than the others, such as a training run.
    #[must_use]
    pub fn register_patient(&self, name: &str, silence_limit: Duration) -> Component {
        let state = State {
            ready: false,
            ended: None,
            heard_at: Instant::now(),
            silence_limit,
        };
        self.locked().insert(name.to_owned(), state);
        Component {
            name: name.to_owned(),
            health: self.clone(),
        }
    }

    /// Whether nobody failed and everybody was heard of lately.
    #[must_use]
    pub fn liveness(&self) -> Report {
        let components = self.components_at(Instant::now());
        let ok = components.values().all(|component| component.alive);
        Report {
            ok,
            reason: None,
            components,
        }
    }

    /// Whether there are components, all of them alive and ready, and the process is not stopping.
    #[must_use]
    pub fn readiness(&self) -> Report {
        let components = self.components_at(Instant::now());
        let reason = if self.shutdown.is_requested() {
            Some("stopping".to_owned())
        } else if components.is_empty() {
            Some("starting".to_owned())
        } else {
            None
        };
        let ready = components
            .values()
            .all(|component| component.alive && component.ready);
        Report {
            ok: ready && reason.is_none(),
            reason,
            components,
        }
    }

    fn components_at(&self, now: Instant) -> BTreeMap<String, ComponentReport> {
        self.locked()
            .iter()
            .map(|(name, state)| (name.clone(), state.report(now)))
            .collect()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        self.components.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn report(&self, now: Instant) -> ComponentReport {
        let silent = now.saturating_duration_since(self.heard_at);
        let reason = match &self.ended {
            Some(Ended::Failed(reason)) => Some(reason.clone()),
            None if silent > self.silence_limit => Some(format!("silent for {} s", silent.as_secs())),
            _ => None,
        };
        let silent_ms = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
        ComponentReport {
            alive: reason.is_none(),
            ready: self.ready,
            silent_ms,
            reason,
        }
    }
}

impl Component {
    /// The name it was registered under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says whether it can do its work now; counts as a sign of life.
    pub fn ready(&self, ready: bool) {
        self.change(|state| state.ready = ready);
    }

    /// A sign of life, to be given at every turn of the component's loop.
    pub fn progress(&self) {
        self.change(|_| {});
    }

    /// Says that it has failed, for good.
    pub fn failed(&self, reason: &str) {
        self.change(|state| {
            state.ready = false;
            state.ended = Some(Ended::Failed(reason.to_owned()));
        });
    }

    /// Says that it has done all it had to do: silence is no longer a bad sign.
    pub fn finished(&self) {
        self.change(|state| {
            state.ended.get_or_insert(Ended::Finished);
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        if let Some(state) = self.health.locked().get_mut(&self.name) {
            state.heard_at = Instant::now();
            change(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> (Health, Shutdown) {
        let shutdown = Shutdown::new(Duration::ZERO);
        (Health::new(Duration::from_secs(10), &shutdown), shutdown)
    }

    #[test]
    fn readiness_flips_with_its_components_and_with_the_shutdown() {
        let (health, shutdown) = health();
        assert_eq!(health.readiness().reason.as_deref(), Some("starting"));
        let (first, second) = (health.register("first"), health.register("second"));
        first.ready(true);
        assert!(!health.readiness().ok);
        second.ready(true);
        assert!(health.readiness().ok);
        first.ready(false);
        assert!(!health.readiness().ok);
        first.ready(true);
        shutdown.request("test");
        assert_eq!(health.readiness().reason.as_deref(), Some("stopping"));
        assert!(!health.readiness().ok);
        assert!(health.liveness().ok);
    }

    #[test]
    fn who_fails_is_dead() {
        let (health, _shutdown) = health();
        let component = health.register("stage");
        component.ready(true);
        component.failed("gap at index 7");
        component.finished();
        let report = health.liveness();
        assert!(!report.ok);
        assert_eq!(
            report.components["stage"].reason.as_deref(),
            Some("gap at index 7")
        );
        assert!(!health.readiness().ok);
    }

    #[test]
    fn who_is_silent_too_long_is_dead_unless_finished() {
        let (health, _shutdown) = health();
        let quick = health.register("quick");
        let _patient = health.register_patient("patient", Duration::from_secs(100));
        let alive_in = |secs: u64| {
            let later = Instant::now() + Duration::from_secs(secs);
            let reports = health.components_at(later);
            (reports["quick"].alive, reports["patient"].alive)
        };
        assert_eq!(alive_in(5), (true, true));
        assert_eq!(alive_in(20), (false, true));
        assert_eq!(alive_in(200), (false, false));
        quick.finished();
        assert_eq!(alive_in(200), (true, false));
    }
}
