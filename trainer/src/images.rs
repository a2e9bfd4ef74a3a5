//! Models of images: point-in-time set → augmentation → network → gate → registry → announcement.

mod augmentation;
mod config;
mod dataset;
mod job;

pub use config::{ImageNetworkKind, ImagesSection};
pub(crate) use dataset::{FEATURES, images_table, shape};
pub use job::train_images_as_of;
