//! The crate against a real broker. One test binary, so that one broker serves all.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod consuming;
mod groups;
mod latency;
mod producing;
mod support;
mod topics;
mod transactions;
