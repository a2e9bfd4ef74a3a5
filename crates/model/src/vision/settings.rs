//! How an image network learns, as configured.

use serde::{Deserialize, Serialize};

use super::training::ImageEpoch;
use crate::Result;
use crate::training::first_failure;

/// Which layers learn; those before them stay as they are, their statistics included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unfrozen {
    /// The head alone.
    Head,
    /// The head and the last blocks before it, this many.
    Last(usize),
    /// All.
    All,
}

/// A part of the training in which the same layers learn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// What learns.
    pub unfrozen: Unfrozen,
    /// The most passes over the training images; the learning rate falls towards the last of them.
    pub max_epochs: usize,
    /// The head's learning rate at its highest.
    pub learning_rate: f64,
    /// A block's learning rate is this share of that of the block after it.
    pub rate_decay: f64,
}

/// The measure on the validation images that decides which pass is best and when to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageStopMetric {
    /// Average precision.
    AveragePrecision,
    /// The area under the receiver operating characteristic.
    #[default]
    AucRoc,
    /// Cross-entropy.
    Loss,
}

impl ImageStopMetric {
    /// Higher is better.
    pub(super) const fn score(self, epoch: &ImageEpoch) -> f64 {
        match self {
            Self::AveragePrecision => epoch.validation_average_precision,
            Self::AucRoc => epoch.validation_auc_roc,
            Self::Loss => -epoch.validation_loss,
        }
    }
}

/// How an image network learns.
///
/// # Source
/// Stages that unfreeze from the head down and rates that fall with the distance from it: Howard, Ruder, "Universal
/// Language Model Fine-tuning for Text Classification" (2018), sections 3.2 and 3.3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageTrainingSettings {
    /// One after the other, each from the best weights so far.
    pub stages: Vec<Stage>,
    /// Images in a step.
    pub batch_images: usize,
    /// Passes of a stage without a better one after which the stage ends.
    pub patience_epochs: usize,
    /// What better means.
    pub stop_by: ImageStopMetric,
    /// The share of a stage's steps over which the learning rate rises from 0.
    pub warmup_share: f64,
    /// The learning rate at a stage's last step, as a share of the highest.
    pub final_rate_share: f64,
    /// The share of a weight that decays in a step, times the learning rate; biases and norms do not decay.
    pub weight_decay: f64,
    /// The greatest length of the gradient over all parameters; 0 lets any pass.
    pub gradient_clip: f64,
    /// What a positive image counts, where another counts 1. Calibration takes its effect on probabilities back.
    pub positive_weight: f64,
    /// The share of the head's inputs that is dropped in training.
    pub dropout: f64,
    /// The share by which a step moves a norm's running statistics towards its batch's.
    pub norm_momentum: f64,
}

impl Default for ImageTrainingSettings {
    /// One stage in which everything learns, for a network from scratch. It takes its time: on a thousand crops the
    /// loss hardly moves in the first five passes, and forty do as well as eighty.
    fn default() -> Self {
        Self {
            stages: vec![Stage {
                unfrozen: Unfrozen::All,
                max_epochs: 40,
                learning_rate: 6e-3,
                rate_decay: 1.0,
            }],
            batch_images: 16,
            patience_epochs: 20,
            stop_by: ImageStopMetric::default(),
            warmup_share: 0.1,
            final_rate_share: 0.01,
            weight_decay: 1e-2,
            gradient_clip: 1.0,
            positive_weight: 1.0,
            dropout: 0.3,
            norm_momentum: 0.1,
        }
    }
}

impl ImageTrainingSettings {
    /// The default for a pretrained network: its head, then everything, slower towards the image.
    #[must_use]
    pub fn fine_tuning() -> Self {
        let stage = |unfrozen, max_epochs, learning_rate, rate_decay| Stage {
            unfrozen,
            max_epochs,
            learning_rate,
            rate_decay,
        };
        Self {
            stages: vec![
                stage(Unfrozen::Head, 1, 1e-3, 1.0),
                stage(Unfrozen::All, 12, 1e-3, 0.95),
            ],
            ..Self::default()
        }
    }

    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] names the first one.
    pub fn validate(&self) -> Result<()> {
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let stages = |holds: &dyn Fn(&Stage) -> bool| self.stages.iter().all(holds);
        first_failure(&[
            (!self.stages.is_empty(), "image.stages", "at least one"),
            (
                stages(&|s| s.max_epochs > 0),
                "image.stages.max_epochs",
                "at least 1",
            ),
            (
                stages(&|s| positive(s.learning_rate)),
                "image.stages.learning_rate",
                "above 0",
            ),
            (
                stages(&|s| positive(s.rate_decay) && share(s.rate_decay)),
                "image.stages.rate_decay",
                "above 0 and at most 1",
            ),
            (self.batch_images > 0, "image.batch_images", "at least 1"),
            (self.patience_epochs > 0, "image.patience_epochs", "at least 1"),
            (share(self.warmup_share), "image.warmup_share", "within 0 and 1"),
            (
                share(self.final_rate_share),
                "image.final_rate_share",
                "within 0 and 1",
            ),
            (self.weight_decay >= 0.0, "image.weight_decay", "at least 0"),
            (self.gradient_clip >= 0.0, "image.gradient_clip", "at least 0"),
            (positive(self.positive_weight), "image.positive_weight", "above 0"),
            (
                (0.0..1.0).contains(&self.dropout),
                "image.dropout",
                "at least 0 and below 1",
            ),
            (share(self.norm_momentum), "image.norm_momentum", "within 0 and 1"),
        ])
    }
}
