//! End-to-end tests of the binary on a real Apache Kafka: what they share.
//!
//! The tests drive the command line as a user does. Beside it they look at topics and tables with the project's own
//! clients, where a test needs bytes that the command line would decode.

mod chance;
mod cli;
mod logs;
mod pack;
mod pipeline;
mod raw;
mod tables;
mod topics;
mod trial;

pub use chance::Chance;
pub use cli::{Cli, Output};
pub use pack::{handbook, pack_file};
pub use pipeline::{Pipeline, Sent, Worker};
pub use raw::{Raw, document, send};
pub use tables::{count_rows, read_table, scan_table};
pub use topics::{copy_record, read_topic};
pub use trial::{Plan, Stream, killed_and_undisturbed};

/// A parameter of a test that the environment may give.
#[must_use]
pub fn parameter(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration of its own")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Tells the person who runs a test something: a seed, a count.
#[expect(clippy::print_stderr, reason = "a test speaks to the person who runs it")]
pub fn say(what: &str) {
    eprintln!("{what}");
}
