//! A trained image network: what is stored, and what scores.

use serde::{Deserialize, Serialize};

use super::description::ImageNetwork;
use super::images::Images;
use super::network::{Folded, Network};
use crate::Result;
use crate::calibration::Calibration;
use crate::inference::Weights;

/// Everything of an image network but its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRecord {
    /// The network's shape.
    pub network: ImageNetwork,
    /// How logits become probabilities.
    pub calibration: Calibration,
}

/// A trained image network.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageModel {
    /// Everything but the weights.
    pub record: ImageRecord,
    /// The weights, norms included, named and shaped as PyTorch would.
    pub weights: Weights,
}

/// One image's score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredImage {
    /// What the network said.
    pub logit: f64,
    /// How often images like this one are fraud, strictly between 0 and 1.
    pub probability: f64,
}

/// An image network prepared for scoring. It can be shared between threads.
#[derive(Debug)]
pub struct ImageScorer {
    network: Folded,
    calibration: Calibration,
}

impl ImageModel {
    pub(super) fn new(network: &Network, description: &ImageNetwork, calibration: Calibration) -> Self {
        Self {
            record: ImageRecord {
                network: description.clone(),
                calibration,
            },
            weights: network.store(),
        }
    }

    /// Reads a network from its description and the safetensors file of its weights.
    ///
    /// # Errors
    /// If the file is damaged, or the weights do not fit the description.
    pub fn decode(record: ImageRecord, weights: &[u8]) -> Result<Self> {
        let weights = Weights::from_safetensors(weights)?;
        Network::load(&record.network, &weights)?;
        Ok(Self { record, weights })
    }

    /// The safetensors file of the weights.
    ///
    /// # Errors
    /// If a tensor's data do not fill its shape.
    pub fn encode_weights(&self) -> Result<Vec<u8>> {
        self.weights.to_safetensors()
    }

    /// The network prepared for scoring.
    ///
    /// # Errors
    /// If the weights do not fit the description.
    pub fn scorer(&self) -> Result<ImageScorer> {
        Ok(ImageScorer {
            network: Network::load(&self.record.network, &self.weights)?.fold(),
            calibration: self.record.calibration.clone(),
        })
    }
}

impl ImageScorer {
    /// The network's shape.
    #[must_use]
    pub const fn network(&self) -> &ImageNetwork {
        &self.network.description
    }

    /// Scores images. An image's numbers are the same in every batch (INV-5).
    ///
    /// # Errors
    /// If the images have another shape than the network reads.
    pub fn score(&self, images: &Images) -> Result<Vec<ScoredImage>> {
        let logits = self.network.outputs(&self.embeddings(images)?);
        let scored = logits.into_iter().map(|logit| ScoredImage {
            logit: f64::from(logit),
            probability: self.calibration.probability(f64::from(logit)),
        });
        Ok(scored.collect())
    }

    /// The rows that the images are pooled to, before the head.
    ///
    /// # Shape
    /// `images × embedding_width`, image after image.
    ///
    /// # Errors
    /// If the images have another shape than the network reads.
    pub fn embeddings(&self, images: &Images) -> Result<Vec<f32>> {
        self.network.embeddings(images)
    }
}
