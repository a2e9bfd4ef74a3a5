//! A trained image network: what is stored, and what scores.

use serde::{Deserialize, Serialize};

use super::description::ImageNetwork;
use super::enlargement::gathered;
use super::images::Images;
use super::maps::Maps;
use super::network::{Folded, Network};
use crate::calibration::Calibration;
use crate::inference::Weights;
use crate::{Error, Result};

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

/// How far each pixel of an image moved its logit.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// Lines.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Line after line: above 0 what spoke for fraud, below 0 what spoke against it.
    pub values: Vec<f32>,
}

/// An image network prepared for scoring. It can be shared between threads.
#[derive(Debug)]
pub struct ImageScorer {
    network: Folded,
    calibration: Calibration,
}

impl ImageModel {
    /// A network of this description and these weights.
    ///
    /// # Errors
    /// If the weights do not fit the description.
    pub fn new(record: ImageRecord, weights: Weights) -> Result<Self> {
        Network::load(&record.network, &weights)?;
        Ok(Self { record, weights })
    }

    /// Reads a network from its description and the safetensors file of its weights.
    ///
    /// # Errors
    /// If the file is damaged, or the weights do not fit the description.
    pub fn decode(record: ImageRecord, weights: &[u8]) -> Result<Self> {
        Self::new(record, Weights::from_safetensors(weights)?)
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

    /// Which pixels moved an image's logit, against an image that is even.
    ///
    /// # Source
    /// Gradient times input: Shrikumar, Greenside, Shcherbina, Kundaje, "Not Just a Black Box: Learning Important
    /// Features Through Propagating Activation Differences" (2016), section 2.1, each channel measured from its middle
    /// value in the image.
    ///
    /// # Errors
    /// If the images have another shape than the network reads, or there is no image at that index.
    pub fn heat_map(&self, images: &Images, image: usize) -> Result<HeatMap> {
        let network = &self.network.description;
        images.check_shape(&network.input)?;
        if image >= images.len() {
            return Err(Error::Length {
                name: "images".to_owned(),
                found: images.len(),
                expected: image + 1,
            });
        }
        let numbers = images.numbers(&[image], network);
        let channels = numbers.channels;
        let middles: Vec<f32> = (0..channels)
            .map(|at| middle(&numbers.data, at, channels))
            .collect();
        let slopes = self.network.slopes(numbers.clone());
        let pixels = numbers
            .data
            .chunks_exact(channels)
            .zip(slopes.data.chunks_exact(channels));
        let heat = |(values, slopes): (&[f32], &[f32])| -> f32 {
            let channels = values.iter().zip(&middles).zip(slopes);
            channels
                .map(|((value, middle), slope)| (value - middle) * slope)
                .sum()
        };
        let heat = Maps {
            channels: 1,
            data: pixels.map(heat).collect(),
            ..numbers
        };
        let mut heat = gathered(&heat, network.enlargement);
        Ok(HeatMap {
            height: heat.height,
            width: heat.width,
            values: std::mem::take(&mut heat.data),
        })
    }
}

/// The middle value of a channel.
fn middle(data: &[f32], channel: usize, channels: usize) -> f32 {
    let mut values: Vec<f32> = data.iter().skip(channel).step_by(channels).copied().collect();
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
}
