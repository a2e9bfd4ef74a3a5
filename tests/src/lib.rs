//! End-to-end tests of the binary on a real Apache Kafka: what they share.
//!
//! The tests know nothing of the code but its command line.

mod cli;
mod pipeline;

pub use cli::{Cli, Output};
pub use pipeline::{Pipeline, Worker};
