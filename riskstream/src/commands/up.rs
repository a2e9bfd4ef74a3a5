//! Runs workers: threads of one process, watched and drained together.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use model::ModelKind;
use runtime::clock::SystemClock;
use runtime::health::{Component, Health, Server};
use runtime::telemetry::{Metrics, init_logs};
use runtime::{Shutdown, Worker, join_all, spawn_worker};
use tracing::{info, warn};

use crate::commands::topics;
use crate::config::Resolved;

/// How long workers may take to drain.
const DRAIN: Duration = Duration::from_secs(30);
/// How long a worker rests before it begins again after a failure that may pass.
const REST: Duration = Duration::from_secs(2);
/// How long a worker may be silent before the process counts as dead.
const SILENCE: Duration = Duration::from_secs(60);

/// Runs all four workers in one process.
#[derive(Args)]
pub(crate) struct UpArgs {
    /// Creates the topics first, those that are missing.
    #[arg(long, env = "RISKSTREAM_UP_CREATE_TOPICS")]
    pub(crate) create_topics: bool,
}

/// Which workers run.
#[derive(Clone, Copy)]
pub(crate) struct Workers {
    ingest: bool,
    preprocess: bool,
    trainer: bool,
    scorer: bool,
}

impl Workers {
    const NONE: Self = Self {
        ingest: false,
        preprocess: false,
        trainer: false,
        scorer: false,
    };
    /// All four.
    pub(crate) const ALL: Self = Self {
        ingest: true,
        preprocess: true,
        trainer: true,
        scorer: true,
    };
    /// Ingest alone.
    pub(crate) const INGEST: Self = Self {
        ingest: true,
        ..Self::NONE
    };
    /// Preprocess alone.
    pub(crate) const PREPROCESS: Self = Self {
        preprocess: true,
        ..Self::NONE
    };
    /// The trainer alone.
    pub(crate) const TRAINER: Self = Self {
        trainer: true,
        ..Self::NONE
    };
    /// The scorer alone.
    pub(crate) const SCORER: Self = Self {
        scorer: true,
        ..Self::NONE
    };
}

/// Runs workers until a signal comes or one of them fails.
///
/// # Errors
/// What made a worker fail, or what kept it from starting.
pub(crate) fn run(resolved: &Resolved, workers: Workers, create_topics: bool) -> anyhow::Result<()> {
    init_logs(&resolved.config.log)?;
    let shutdown = Shutdown::new(DRAIN);
    shutdown.listen_to_signals()?;
    if create_topics {
        topics::create(resolved)?;
    }
    let stack = Stack::start(resolved, workers, &shutdown)?;
    info!(address = %stack.server.address(), "health and metrics are served");
    shutdown.wait_forever();
    info!(reason = shutdown.reason(), "draining");
    stack.join(&shutdown)
}

/// Running workers with their health.
pub(crate) struct Stack {
    server: Server,
    workers: Vec<Worker>,
}

impl Stack {
    /// Starts workers and the server of health and metrics.
    pub(crate) fn start(resolved: &Resolved, workers: Workers, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let health = Health::new(SILENCE, shutdown);
        let server = Server::start(resolved.config.server.listen, health.clone(), Metrics::install()?)?;
        let crew = Crew {
            health: &health,
            shutdown,
        };
        let mut running = Vec::new();
        if workers.ingest {
            let settings = resolved.ingest()?;
            running.push(crew.start(
                "ingest",
                ingest::IngestError::is_retryable,
                move |component, shutdown| ingest::run(&settings, shutdown, component, &SystemClock),
            )?);
        }
        if workers.preprocess {
            running.extend(preprocess(resolved, &crew)?);
        }
        if workers.trainer {
            for settings in resolved.trainers(&resolved.store()?) {
                let name = match settings.model {
                    ModelKind::Transaction => "trainer",
                    ModelKind::Image => "trainer-images",
                    ModelKind::Fusion => "trainer-fusion",
                };
                let run = move |component: &Component, shutdown: &Shutdown| {
                    // Scores are awaited, models are not.
                    runtime::give_way();
                    trainer::run(&settings, shutdown, component, &SystemClock)
                };
                running.push(crew.start(name, trainer::TrainerError::is_retryable, run)?);
            }
        }
        if workers.scorer {
            for settings in resolved.scorers(&resolved.store()?) {
                let name = match settings.lane {
                    scorer::Lane::Transactions => "scorer",
                    scorer::Lane::Images => "scorer-images",
                };
                let run = move |component: &Component, shutdown: &Shutdown| {
                    if settings.lane == scorer::Lane::Images {
                        // Transactions are awaited sooner.
                        runtime::give_way();
                    }
                    scorer::run(&settings, shutdown, component, &SystemClock)
                };
                running.push(crew.start(name, scorer::ScorerError::is_retryable, run)?);
            }
        }
        Ok(Self {
            server,
            workers: running,
        })
    }

    /// Waits for the workers to drain.
    ///
    /// # Errors
    /// The first failure of a worker.
    pub(crate) fn join(self, shutdown: &Shutdown) -> anyhow::Result<()> {
        let errors = join_all(self.workers, shutdown);
        self.server.stop();
        match errors.into_iter().next() {
            Some(error) => bail!(error),
            None => Ok(()),
        }
    }
}

/// Runs a worker, and again after a failure that may pass: it goes on from what is committed.
fn again<E: std::error::Error + 'static>(
    shutdown: &Shutdown,
    is_retryable: fn(&E) -> bool,
    run: impl Fn() -> Result<(), E>,
) -> Result<(), E> {
    loop {
        match run() {
            Err(error) if is_retryable(&error) && !shutdown.wait(REST) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "beginning again after a failure that may pass"
                );
            }
            outcome => return outcome,
        }
    }
}

fn preprocess(resolved: &Resolved, crew: &Crew<'_>) -> anyhow::Result<Vec<Worker>> {
    let store = resolved.store()?;
    let mut running = Vec::new();
    for settings in resolved.stages(&store) {
        let name = format!("stage-{}", settings.entity());
        running.push(crew.start(
            &name,
            preprocess::PreprocessError::is_retryable,
            move |component, shutdown| preprocess::stage::run(&settings, shutdown, component, &SystemClock),
        )?);
    }
    let settings = resolved.tables(&store);
    running.push(crew.start(
        "tables",
        preprocess::PreprocessError::is_retryable,
        move |component, shutdown| preprocess::tables::run(&settings, shutdown, component, &SystemClock),
    )?);
    Ok(running)
}

/// What all workers of a process share.
struct Crew<'a> {
    health: &'a Health,
    shutdown: &'a Shutdown,
}

impl Crew<'_> {
    /// Starts a worker on a thread of its own; failures that may pass begin it again.
    fn start<E: std::error::Error + Send + Sync + 'static>(
        &self,
        name: &str,
        is_retryable: fn(&E) -> bool,
        run: impl Fn(&Component, &Shutdown) -> Result<(), E> + Send + 'static,
    ) -> anyhow::Result<Worker> {
        let worker = move |component: &Component, shutdown: &Shutdown| {
            again(shutdown, is_retryable, || run(component, shutdown))
        };
        Ok(spawn_worker(name, self.health, self.shutdown, worker)?)
    }
}
