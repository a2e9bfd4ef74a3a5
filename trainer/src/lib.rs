//! Trains, calibrates, evaluates and publishes models.
//!
//! A training set is point-in-time: feature rows as they were when their transaction took place, labels as they
//! were known at the time of training, and no transaction too young for its label to be known. A
//! challenger becomes champion only through the gate.

mod config;
mod dataset;
mod error;
mod fusion;
mod images;
mod job;
mod metrics;
mod outcome;
mod run;

pub use config::{Schedule, Section, Settings};
pub use error::TrainerError;
pub use fusion::{FusionSection, train_fusion_as_of};
pub use images::{ImageNetworkKind, ImagesSection, train_images_as_of};
pub use job::train_as_of;
pub use outcome::{Outcome, Report};
pub use run::run;
