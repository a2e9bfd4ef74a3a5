//! What can be set about models of images.

use std::time::Duration;

use imaging::Augmentation;
use model::metrics::ThresholdPolicy;
use model::vision::{ImageTrainingSettings, SmallCnn};
use serde::{Deserialize, Serialize};

/// The section `[trainer.images]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagesSection {
    /// Time between two trainings.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// How much history is trained on.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// How long a label may take to become known: younger images are not trained on.
    #[serde(with = "humantime_serde")]
    pub label_delay: Duration,
    /// Fewer images than this are not trained on.
    pub min_images: usize,
    /// More than this, the newest ones, are not trained on: they are held in memory.
    pub max_images: usize,
    /// Fewer frauds than this are not trained on.
    pub min_frauds: usize,
    /// The last part of the window, by time, that the network is validated and calibrated on.
    pub validation_share: f64,
    /// Altered versions of an image beside the prepared one.
    pub variants: u32,
    /// How often an image of the rarer class is learned from in a pass at most, each time as another version.
    pub max_repeats: u32,
    /// What may happen to a version.
    pub augmentation: Augmentation,
    /// Which network learns.
    pub network: ImageNetworkKind,
    /// How many times higher and wider than they were prepared the pretrained one reads images.
    pub enlargement: usize,
    /// The layers of the small one.
    #[serde(default)]
    pub small: SmallCnn,
    /// How it learns; if absent, the default for its kind.
    #[serde(default)]
    pub training: Option<ImageTrainingSettings>,
    /// How thresholds are chosen.
    pub thresholds: ThresholdPolicy,
}

/// Which network learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageNetworkKind {
    /// The pretrained one where one has been imported, the small one where none has.
    Auto,
    /// A small one from scratch.
    Small,
    /// EfficientNet-Lite0 from imported weights.
    EfficientnetLite0,
}
