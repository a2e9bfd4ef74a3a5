//! Logs and metrics.

mod limit;
mod log;
mod metrics;
mod process;

pub use limit::LogLimiter;
pub use log::{LogFormat, LogSettings, init_logs};
pub use metrics::Metrics;
pub use process::ProcessUsage;

#[doc(hidden)]
pub use tracing as __tracing;
