//! Scores feature rows, explains and emits.
//!
//! Two loops share the rows, each with a consumer group and models of its own: one takes transactions, the other images
//! and transactions that have one ([`Lane`]).
//!
//! A score is a pure function of a row and a bundle (INV-5); every score names the bundle that made it, and no
//! batch is scored by a mixture (INV-6). Scores leave in a Kafka transaction with the offsets and the numbers
//! they were made from (R13).

mod champion;
mod config;
mod error;
mod explained;
mod facts;
mod fusion;
mod images;
mod metrics;
mod outlet;
mod run;
mod score;
mod text;

pub use config::{Delivery, Lane, Section, Settings};
pub use error::ScorerError;
pub use run::run;
