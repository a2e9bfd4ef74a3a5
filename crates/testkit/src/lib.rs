//! What tests need beside the code they test: real brokers and storage, names nobody else uses, and waiting with a deadline.
//!
//! For tests alone, so it panics where a test should fail.

mod broker;
mod project;
mod s3;
mod wait;

pub use broker::{Broker, unique};
pub use project::project;
pub use s3::S3;
pub use wait::{eventually, wait_until};
