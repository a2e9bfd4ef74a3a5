//! Scores of transactions with their images: a pure function of what belongs to them and a bundle.

use super::sequence::SequenceScale;
use super::transactions::FusionRows;
use super::{FusionBundle, OTHER_CONTRIBUTIONS};
use crate::metrics::Thresholds;
use crate::preprocessing::Preprocessing;
use crate::scorer::{finite, owners};
use crate::vision::{ExplainedFusion, FusionExplainer, FusionModel, ImageScorer, ImageShape};
use crate::{FeatureSchema, Result, Scored};

/// A fusion model prepared for scoring. It can be shared between threads; a call stays on its own.
#[derive(Debug)]
pub struct FusionScorer {
    schema: FeatureSchema,
    preprocessing: Preprocessing,
    sequence: SequenceScale,
    image: ImageScorer,
    model: FusionModel,
    explainer: FusionExplainer,
    thresholds: Thresholds,
}

impl FusionScorer {
    /// Prepares a bundle.
    ///
    /// # Errors
    /// If the weights do not fit the descriptions.
    pub fn new(bundle: &FusionBundle) -> Result<Self> {
        let manifest = &bundle.manifest;
        let (image, model) = bundle.networks()?;
        let schema = manifest.feature_schema.features.clone();
        let preprocessing = manifest.preprocessing.clone();
        let row = manifest.feature_schema.row(&manifest.baseline)?;
        let baseline = preprocessing.apply(&row)?.inputs;
        Ok(Self {
            explainer: FusionExplainer::new(&model, &baseline, &owners(&schema, &preprocessing)),
            image: image.scorer()?,
            sequence: manifest.sequence.clone(),
            thresholds: manifest.thresholds,
            schema,
            preprocessing,
            model,
        })
    }

    /// The images to hand over: of this size, red, green and blue.
    #[must_use]
    pub const fn input(&self) -> ImageShape {
        self.image.network().input.in_colour()
    }

    /// Numbers in a step of the sequences to hand over.
    #[must_use]
    pub fn step_width(&self) -> usize {
        self.sequence.width()
    }

    /// The features it reads; contributions begin in their order.
    #[must_use]
    pub const fn schema(&self) -> &FeatureSchema {
        &self.schema
    }

    /// What each contribution is of: the features, then the image, then the transactions before.
    pub fn contribution_names(&self) -> impl Iterator<Item = &str> {
        let features = self.schema.features().iter();
        features
            .map(|feature| feature.name.as_str())
            .chain(OTHER_CONTRIBUTIONS)
    }

    /// From which probabilities on to act.
    #[must_use]
    pub const fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// Scores and explains transactions. A transaction's numbers are the same in every batch (INV-5).
    ///
    /// The contributions of features add up to the logit less that of the baseline's features with the same image and
    /// the same transactions before. Two more follow: what the logit loses without the image, and what it loses
    /// without the transactions before; 0 where there are none.
    ///
    /// # Errors
    /// If the parts do not fit together or the bundle, or a logit is not finite.
    pub fn score(&self, data: &FusionRows<'_>) -> Result<Vec<Scored>> {
        data.check(self.step_width())?;
        self.schema.check(data.rows.names())?;
        let rows = self.preprocessing.apply(data.rows)?;
        let encoded = data.encode(&self.image, &self.sequence)?;
        let explained = self.explainer.explain(&self.model, &encoded.with(&rows.inputs))?;
        let scored = explained.into_iter().zip(rows.unknown);
        let scored: Vec<Scored> = scored.map(|(row, unknown)| self.scored(row, unknown)).collect();
        finite(scored.iter().map(|row| row.logit))?;
        Ok(scored)
    }

    fn scored(&self, explained: ExplainedFusion, unknown_features: u32) -> Scored {
        let mut contributions = explained.features;
        contributions.extend([explained.image, explained.sequence]);
        Scored {
            logit: explained.logit,
            probability: self.model.record().calibration.probability(explained.logit),
            contributions,
            unknown_features,
        }
    }
}
