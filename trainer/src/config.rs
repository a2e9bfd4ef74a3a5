//! What can be set about the trainer.

use std::sync::Arc;
use std::time::Duration;

use imaging::Frame;
use lake::Store;
use model::{ModelKind, TrainingSettings};
use registry::Registry;
use schema::Layout;
use serde::{Deserialize, Serialize};
use stream::Kafka;

use crate::fusion::FusionSection;
use crate::images::ImagesSection;

/// The section `[trainer]` of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// What the schedule goes by.
    pub schedule: Schedule,
    /// Time between two trainings.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// How much history is trained on.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// How long a label may take to become known: younger transactions are not trained on.
    #[serde(with = "humantime_serde")]
    pub label_delay: Duration,
    /// Fewer transactions than this are not trained on.
    pub min_transactions: usize,
    /// Fewer frauds than this are not trained on.
    pub min_frauds: usize,
    /// The last part of the window, by time, that the network is validated and calibrated on.
    pub validation_share: f64,
    /// How often the schedule is looked at.
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    /// By how much a challenger's average precision may fall short of the champion's.
    pub gate_tolerance: f64,
    /// Features and attributes that are no inputs.
    pub exclude: Vec<String>,
    /// The network and how it is trained.
    #[serde(default)]
    pub network: TrainingSettings,
    /// Models of images.
    pub images: ImagesSection,
    /// Models of transactions with their images.
    pub fusion: FusionSection,
}

/// What a schedule goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Event time, as far as the tables are complete.
    EventTime,
    /// The clock.
    Clock,
}

/// Everything a trainer needs, checked.
#[derive(Clone)]
pub struct Settings {
    /// The section of the configuration.
    pub section: Section,
    /// What models are trained of: each kind has a schedule of its own.
    pub model: ModelKind,
    /// How to reach the broker.
    pub kafka: Kafka,
    /// Where tables are kept.
    pub store: Store,
    /// Where bundles are kept.
    pub registry: Registry,
    /// Topic that announces models.
    pub models_topic: String,
    /// Declared columns.
    pub layout: Arc<Layout>,
    /// Features, in the order of their columns.
    pub features: Vec<String>,
    /// Whether feature rows hold the recent sequence.
    pub with_sequence: bool,
    /// Numbers in a step of the recent sequence.
    pub step_width: usize,
    /// The entity of the last stage.
    pub account: String,
    /// How long a transaction and its image wait for each other.
    pub join_window: Duration,
    /// The frame that images are prepared for.
    pub frame: Frame,
    /// Partitions of the topic of feature rows.
    pub partitions: i32,
}
