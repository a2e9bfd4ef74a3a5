//! How a fusion model learns, as configured.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::metrics::ThresholdPolicy;
use crate::mlp::OptimiserSettings;
use crate::preprocessing::PreprocessingSettings;
use crate::training::first_failure;

/// How a fusion model learns. Every field has a default; unknown ones are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FusionSettings {
    /// How features become inputs.
    pub preprocessing: PreprocessingSettings,
    /// Numbers that an image's row is brought to. 16 by default.
    pub image_hidden: usize,
    /// Numbers that the sequence is brought to. 16 by default.
    pub step_hidden: usize,
    /// The widths of the hidden layers over all three.
    pub hidden: Vec<usize>,
    /// The most numbers that a category is embedded in; a small vocabulary gets fewer. 8 by default.
    pub max_embedding_width: usize,
    /// The share of the inputs of the layers over all three that is dropped in training.
    pub dropout: f64,
    /// How it learns.
    pub optimiser: OptimiserSettings,
    /// How thresholds are chosen.
    pub thresholds: ThresholdPolicy,
}

impl Default for FusionSettings {
    fn default() -> Self {
        Self {
            preprocessing: PreprocessingSettings::default(),
            image_hidden: 16,
            step_hidden: 16,
            hidden: vec![64, 32],
            max_embedding_width: 8,
            dropout: 0.1,
            optimiser: OptimiserSettings::default(),
            thresholds: ThresholdPolicy::default(),
        }
    }
}

impl FusionSettings {
    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] names the first one.
    pub fn validate(&self) -> Result<()> {
        self.preprocessing.validate()?;
        self.optimiser.validate()?;
        self.thresholds.validate()?;
        first_failure(&[
            (self.image_hidden > 0, "fusion.image_hidden", "at least 1"),
            (self.step_hidden > 0, "fusion.step_hidden", "at least 1"),
            (
                self.hidden.iter().all(|&width| width > 0),
                "fusion.hidden",
                "widths of at least 1",
            ),
            (
                self.max_embedding_width > 0,
                "fusion.max_embedding_width",
                "at least 1",
            ),
            (
                (0.0..1.0).contains(&self.dropout),
                "fusion.dropout",
                "at least 0 and below 1",
            ),
        ])
    }
}
