//! Models of images: a network over the pixels, and a head over its logit and what is known of the image.
//!
//! The entries are [`train_image_bundle`], which turns labelled images into an [`ImageBundle`], and
//! [`ImageRiskScorer`], which turns the bundle and images into explained scores. An image is scored without any
//! transaction; its own features are numbers like how often it was seen before.

mod head;
mod manifest;
mod scorer;
mod training;

pub use head::{FeatureTerm, ImageHead, LogisticHead};
pub use manifest::ImageManifest;
pub use scorer::{ImageRiskScorer, ImageScored};
pub use training::{ImageBundleRequest, ImageBundleStart, TrainedImageBundle, train_image_bundle};

use crate::Result;
use crate::bundle::Package;
use crate::calibration::Calibration;
use crate::vision::{ImageModel, ImageRecord};

/// A model of images.
pub type ImageBundle = Package<ImageManifest>;

/// The name of what the pixels contributed to a score; no feature can have it.
pub const IMAGE_CONTRIBUTION: &str = "image";

impl ImageBundle {
    /// The network over the pixels, with its own probabilities: the head is not part of it.
    ///
    /// # Errors
    /// If the weights are damaged or do not fit the description.
    pub fn network(&self) -> Result<ImageModel> {
        let record = ImageRecord {
            network: self.manifest.network.clone(),
            calibration: Calibration::Identity,
        };
        ImageModel::decode(record, &self.weights)
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
