//! What a network looks like and how it learns, as configured.

use serde::{Deserialize, Serialize};

use super::EpochReport;
use crate::Result;
use crate::inference::{Activation, EmbeddingDescription, NetworkDescription};
use crate::preprocessing::Preprocessing;

/// The shape of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSettings {
    /// The widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// The most numbers that a category is embedded in; a small vocabulary gets fewer. 8 by default.
    pub max_embedding_width: usize,
    /// The share of a hidden layer's values that is dropped in training.
    pub dropout: f64,
    /// Networks of different seeds whose logits are averaged.
    pub members: usize,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            hidden: vec![128, 64],
            max_embedding_width: 8,
            dropout: 0.1,
            members: 3,
        }
    }
}

impl NetworkSettings {
    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] names the first one.
    pub fn validate(&self) -> Result<()> {
        crate::training::first_failure(&[
            (
                self.hidden.iter().all(|&width| width > 0),
                "network.hidden",
                "widths of at least 1",
            ),
            (
                self.max_embedding_width > 0,
                "network.max_embedding_width",
                "at least 1",
            ),
            (
                (0.0..1.0).contains(&self.dropout),
                "network.dropout",
                "at least 0 and below 1",
            ),
            (self.members > 0, "network.members", "at least 1"),
        ])
    }

    /// The network that reads what this preprocessing writes.
    #[must_use]
    pub fn describe(&self, preprocessing: &Preprocessing) -> NetworkDescription {
        NetworkDescription {
            numeric_width: preprocessing.numeric_width(),
            embeddings: embeddings(preprocessing, self.max_embedding_width),
            hidden: self.hidden.clone(),
            activation: Activation::Relu,
            members: self.members,
        }
    }
}

/// A table for each categorical feature.
pub(crate) fn embeddings(preprocessing: &Preprocessing, max_width: usize) -> Vec<EmbeddingDescription> {
    let tables = preprocessing.categorical.iter().map(|feature| {
        let codes = feature.vocabulary.codes();
        EmbeddingDescription {
            name: feature.name.clone(),
            codes,
            // Half as many numbers as codes are enough to tell few codes apart.
            width: codes.div_ceil(2).clamp(1, max_width),
        }
    });
    tables.collect()
}

/// The measure on the validation rows that decides which pass is best and when to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopMetric {
    /// Average precision: what is wanted, but noisy where frauds are few.
    AveragePrecision,
    /// Cross-entropy: smoother, and what calibration wants.
    #[default]
    Loss,
}

impl StopMetric {
    /// Higher is better.
    pub(super) const fn score(self, report: &EpochReport) -> f64 {
        match self {
            Self::AveragePrecision => report.validation_average_precision,
            Self::Loss => -report.validation_loss,
        }
    }
}

/// How the network learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimiserSettings {
    /// Rows in a step.
    pub batch_rows: usize,
    /// The most passes over the training rows; the learning rate falls towards the last of them.
    pub max_epochs: usize,
    /// Passes without a better one after which training ends.
    pub patience_epochs: usize,
    /// What better means.
    pub stop_by: StopMetric,
    /// The learning rate at its highest.
    pub learning_rate: f64,
    /// The share of all steps over which the learning rate rises from 0.
    pub warmup_share: f64,
    /// The learning rate at the last step, as a share of the highest.
    pub final_rate_share: f64,
    /// The share of a weight that decays in a step, times the learning rate; biases do not decay.
    pub weight_decay: f64,
    /// The greatest length of the gradient over all parameters; 0 lets any pass.
    pub gradient_clip: f64,
    /// What a fraud counts, where another row counts 1. Calibration takes its effect on probabilities back.
    pub positive_weight: f64,
}

impl Default for OptimiserSettings {
    fn default() -> Self {
        Self {
            batch_rows: 256,
            max_epochs: 12,
            patience_epochs: 4,
            stop_by: StopMetric::default(),
            learning_rate: 4e-3,
            warmup_share: 0.05,
            final_rate_share: 0.02,
            weight_decay: 1e-2,
            gradient_clip: 1.0,
            positive_weight: 1.0,
        }
    }
}

impl OptimiserSettings {
    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] names the first one.
    pub fn validate(&self) -> Result<()> {
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let positive = |x: f64| x > 0.0 && x.is_finite();
        crate::training::first_failure(&[
            (self.batch_rows > 0, "optimiser.batch_rows", "at least 1"),
            (self.max_epochs > 0, "optimiser.max_epochs", "at least 1"),
            (
                self.patience_epochs > 0,
                "optimiser.patience_epochs",
                "at least 1",
            ),
            (positive(self.learning_rate), "optimiser.learning_rate", "above 0"),
            (
                share(self.warmup_share),
                "optimiser.warmup_share",
                "within 0 and 1",
            ),
            (
                share(self.final_rate_share),
                "optimiser.final_rate_share",
                "within 0 and 1",
            ),
            (self.weight_decay >= 0.0, "optimiser.weight_decay", "at least 0"),
            (self.gradient_clip >= 0.0, "optimiser.gradient_clip", "at least 0"),
            (
                positive(self.positive_weight),
                "optimiser.positive_weight",
                "above 0",
            ),
        ])
    }
}
