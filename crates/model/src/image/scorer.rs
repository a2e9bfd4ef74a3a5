//! Scores of images: a pure function of pixels, features and a bundle.

use super::head::{FeatureRows, ImageHead};
use super::{IMAGE_CONTRIBUTION, ImageBundle};
use crate::metrics::Thresholds;
use crate::scalar::narrow;
use crate::scorer::finite;
use crate::training::check_lengths;
use crate::vision::{HeatMap, ImageScorer, ImageShape, Images};
use crate::{FeatureSchema, Result, Rows};

/// One image's score.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageScored {
    /// What the network said of the pixels.
    pub network_logit: f64,
    /// What the head made of it and the features.
    pub logit: f64,
    /// How often images like this one are fraud, strictly between 0 and 1.
    pub probability: f64,
    /// How far each feature, in the order of the schema, and then the pixels moved `logit` from the baseline's.
    pub contributions: Vec<f32>,
    /// How many features were missing.
    pub unknown_features: u32,
}

/// A model of images prepared for scoring. It can be shared between threads; a call stays on its own.
#[derive(Debug)]
pub struct ImageRiskScorer {
    network: ImageScorer,
    schema: FeatureSchema,
    head: ImageHead,
    /// The terms of the image that contributions are measured from.
    baseline: Vec<f64>,
    baseline_logit: f64,
    thresholds: Thresholds,
}

impl ImageRiskScorer {
    /// Prepares a bundle.
    ///
    /// # Errors
    /// If the weights do not fit the description.
    pub fn new(bundle: &ImageBundle) -> Result<Self> {
        let manifest = &bundle.manifest;
        let schema = manifest.feature_schema.features.clone();
        let head = manifest.head.clone();
        let row = manifest.feature_schema.row(&manifest.baseline)?;
        let features = FeatureRows::new(&schema, &row)?;
        Ok(Self {
            network: bundle.network()?.scorer()?,
            baseline: head.terms(manifest.baseline_logit, features.row(0)),
            baseline_logit: head.logit(manifest.baseline_logit, features.row(0)),
            thresholds: manifest.thresholds,
            schema,
            head,
        })
    }

    /// The images to hand over: of this size, red, green and blue. A grey network makes them grey itself, and reads
    /// grey ones too.
    #[must_use]
    pub const fn input(&self) -> ImageShape {
        self.network.network().input.in_colour()
    }

    /// The features it reads; contributions begin in their order.
    #[must_use]
    pub const fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    /// What each contribution is of: the features, then [`IMAGE_CONTRIBUTION`].
    pub fn contribution_names(&self) -> impl Iterator<Item = &str> {
        let features = self.schema.features().iter();
        features
            .map(|feature| feature.name.as_str())
            .chain([IMAGE_CONTRIBUTION])
    }

    /// From which probabilities on to act.
    #[must_use]
    pub const fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// The logit that contributions are measured from.
    #[must_use]
    pub const fn baseline_logit(&self) -> f64 {
        self.baseline_logit
    }

    /// Scores and explains images, each with its row of features. An image's numbers are the same in every batch
    /// (INV-5), and its contributions add up to its logit less the baseline's.
    ///
    /// # Errors
    /// If the images have another size, there is not a row for each, features are absent or no numbers, or a logit is
    /// not finite.
    pub fn score(&self, images: &Images, rows: &Rows) -> Result<Vec<ImageScored>> {
        check_lengths(images.len(), &[("features of images", rows.len())])?;
        self.schema.check(rows.names())?;
        let features = FeatureRows::new(&self.schema, rows)?;
        let scored = self.network.score(images)?.into_iter().enumerate();
        let scored: Vec<ImageScored> = scored
            .map(|(at, image)| self.explain(image.logit, features.row(at)))
            .collect();
        finite(scored.iter().map(|image| image.logit))?;
        Ok(scored)
    }

    /// What the network pools each image to, before its logit.
    ///
    /// # Shape
    /// `images × embedding_width`, image after image.
    ///
    /// # Errors
    /// If the images have another size.
    pub fn embeddings(&self, images: &Images) -> Result<Vec<f32>> {
        self.network.embeddings(images)
    }

    /// Which pixels moved the network's logit of an image; see [`ImageScorer::heat_map`].
    ///
    /// # Errors
    /// If the images have another size, or there is no image at that index.
    pub fn heat_map(&self, images: &Images, image: usize) -> Result<HeatMap> {
        self.network.heat_map(images, image)
    }

    fn explain(&self, network_logit: f64, features: &[f64]) -> ImageScored {
        let logit = self.head.logit(network_logit, features);
        let terms = self.head.terms(network_logit, features);
        let contributions = terms.iter().zip(&self.baseline);
        let missing = features.iter().filter(|value| !value.is_finite());
        ImageScored {
            network_logit,
            logit,
            probability: ImageHead::probability(logit),
            contributions: contributions.map(|(term, base)| narrow(term - base)).collect(),
            unknown_features: missing.map(|_| 1).sum(),
        }
    }
}
