//! Decodes, checks, normalises and numbers what comes in.
//!
//! Ingest turns every raw record into exactly one of an event of the log or a dead letter (INV-1). It is the
//! only stage that looks at the clock, and only to decide whether a source is caught up (R6); what it decided
//! is written into the log.

mod config;
mod decode;
mod error;
mod images;
mod letters;
mod metrics;
mod run;
mod source;

pub use config::{ImageSettings, ImagesSection, Section, Settings};
pub use error::IngestError;
pub use run::run;
