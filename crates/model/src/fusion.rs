//! Models of a transaction with its image, its features and the transactions before it.
//!
//! The entries are [`train_fusion_bundle`], which turns labelled transactions and a trained image network into a
//! [`FusionBundle`], and [`FusionScorer`], which turns the bundle and transactions into explained scores. The image
//! network learns nothing here: it gives each image a row of numbers, once.

mod manifest;
mod scorer;
mod sequence;
mod settings;
mod training;
mod transactions;

pub use manifest::FusionManifest;
pub use scorer::FusionScorer;
pub use sequence::SequenceScale;
pub use settings::FusionSettings;
pub use training::{FusionBundleRequest, TrainedFusionBundle, train_fusion_bundle};
pub use transactions::FusionRows;

use std::collections::BTreeMap;

use crate::Result;
use crate::bundle::Package;
use crate::calibration::Calibration;
use crate::image::IMAGE_CONTRIBUTION;
use crate::inference::Weights;
use crate::vision::{FusionModel, ImageModel, ImageRecord};

/// A model of transactions with their images.
pub type FusionBundle = Package<FusionManifest>;

/// The name of what the transactions before one contributed to its score; no feature can have it.
pub const SEQUENCE_CONTRIBUTION: &str = "recent_sequence";

/// Contributions that are not a feature's, in their order.
const OTHER_CONTRIBUTIONS: [&str; 2] = [IMAGE_CONTRIBUTION, SEQUENCE_CONTRIBUTION];

/// The tensors of both networks lie in one file and carry these before their names.
const IMAGE_PREFIX: &str = "image.";
const FUSION_PREFIX: &str = "fusion.";

impl FusionBundle {
    /// The network over the pixels, and the one over everything.
    ///
    /// # Errors
    /// If the weights are damaged or do not fit the descriptions.
    pub fn networks(&self) -> Result<(ImageModel, FusionModel)> {
        let weights = Weights::from_safetensors(&self.weights)?;
        let record = ImageRecord {
            network: self.manifest.image.clone(),
            calibration: Calibration::Identity,
        };
        Ok((
            ImageModel::new(record, below(&weights, IMAGE_PREFIX))?,
            FusionModel::new(self.manifest.fusion.clone(), &below(&weights, FUSION_PREFIX))?,
        ))
    }
}

/// The weights of both networks in one file.
fn joined(image: &Weights, fusion: &Weights) -> Result<Vec<u8>> {
    let mut tensors = BTreeMap::new();
    for (prefix, weights) in [(IMAGE_PREFIX, image), (FUSION_PREFIX, fusion)] {
        let named = weights.clone().into_tensors().into_iter();
        tensors.extend(named.map(|(name, tensor)| (format!("{prefix}{name}"), tensor)));
    }
    Weights::new(tensors).to_safetensors()
}

/// The weights whose names begin so, without that beginning.
fn below(weights: &Weights, prefix: &str) -> Weights {
    let tensors = weights.clone().into_tensors().into_iter();
    let named = tensors.filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor)));
    Weights::new(named.collect())
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
