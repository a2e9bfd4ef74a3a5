//! Trains, calibrates, evaluates and publishes models.
//!
//! A training set is point-in-time: feature rows as they were when their transaction took place, labels as they
//! were known at the time of training, and no transaction too young for its label to be known. A
//! challenger becomes champion only through the gate.

mod config;
mod dataset;
mod error;
mod job;
mod metrics;
mod run;

pub use config::{Schedule, Section, Settings};
pub use error::TrainerError;
pub use job::{Outcome, Report, train_as_of};
pub use run::run;
