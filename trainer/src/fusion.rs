//! Models of transactions with their images: point-in-time set → network → gate → registry → announcement.

mod config;
mod dataset;
mod job;

pub use config::FusionSection;
pub use job::train_fusion_as_of;
