//! What can go wrong around the work.

use std::net::SocketAddr;
use std::time::Duration;

/// An error of this library, configuration apart ([`crate::config::ConfigError`]).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address for health and metrics cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start thread {name}")]
    Thread {
        /// The thread's name.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The handlers of SIGTERM and SIGINT could not be installed.
    #[error("cannot listen for signals")]
    Signals(#[source] std::io::Error),
    /// The log filter is no filter.
    #[error("log filter `{filter}` cannot be read")]
    LogFilter {
        /// As it was given.
        filter: String,
        /// Where it stops making sense.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging or metrics were set up before in this process.
    #[error("{what} is set up already")]
    AlreadySetUp {
        /// What it is.
        what: &'static str,
    },
    /// The buckets of a histogram were refused.
    #[error("metric buckets are refused")]
    Buckets(#[source] metrics_exporter_prometheus::BuildError),
    /// `/proc` could not be read.
    #[error("cannot read {file}")]
    Proc {
        /// Which file.
        file: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A worker ended with an error.
    #[error("worker {name} failed")]
    Worker {
        /// The worker's name.
        name: String,
        /// Its error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A worker panicked.
    #[error("worker {name} panicked: {message}")]
    Panicked {
        /// The worker's name.
        name: String,
        /// What the panic said.
        message: String,
    },
    /// A worker was still running when the time to drain was over.
    #[error("worker {name} did not stop within {drain:?}")]
    Overdue {
        /// The worker's name.
        name: String,
        /// The time it had.
        drain: Duration,
    },
}

impl Error {
    /// Whether the same attempt can succeed later without a change by anybody: an address may become free, a system
    /// short of threads may recover. Whether a failed worker may be started again only its own error can say.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Listen { .. } | Self::Thread { .. })
    }
}
