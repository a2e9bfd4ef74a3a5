//! What every worker needs around its work: configuration, telemetry, health, shutdown and the clock.
//!
//! Knows nothing of what the workers do: no section of the configuration, no topic, no table has a name here.

pub mod clock;
pub mod config;
mod error;
pub mod health;
pub mod shutdown;
pub mod telemetry;
pub mod worker;

pub use error::Error;
pub use shutdown::Shutdown;
pub use worker::{Worker, give_way, join_all, spawn_worker};

/// A result of this library.
pub type Result<T> = std::result::Result<T, Error>;
