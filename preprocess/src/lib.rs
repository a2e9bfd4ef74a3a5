//! Folds the event log into feature rows, and writes the lake.
//!
//! A chain of keyed stages, one an entity: each reads the log partitioned by its entity, takes every index
//! once, puts events in order, computes exact windows and passes the row on ([`stage`]). The state of a
//! partition is a deterministic fold over its log ([`partition`]); snapshots of it only save time. A group of
//! its own copies the log, the rows and the scores into tables ([`tables`]).

mod config;
mod duplicates;
mod error;
mod item;
mod meetings;
mod metrics;
mod output;
pub mod partition;
mod pixels;
mod snapshots;
pub mod stage;
pub mod tables;

pub use config::{LakeSection, Section, StageSettings, TablesSettings};
pub use error::PreprocessError;
