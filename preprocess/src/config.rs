//! What can be set about preprocess.

use std::sync::Arc;
use std::time::Duration;

use features::Plan;
use imaging::Frame;
use lake::Store;
use schema::Layout;
use serde::{Deserialize, Serialize};
use stream::Kafka;

/// The section `[preprocess]` of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Consumer groups begin with this; the stage's entity follows.
    pub group: String,
    /// Entities of the keyed stages, in their order; the last one is the account.
    pub stages: Vec<String>,
    /// For how long, in event time, an identifier is remembered: a repeat within it is dropped.
    #[serde(with = "humantime_serde")]
    pub duplicates_window: Duration,
    /// Time between two snapshots of a partition's state.
    #[serde(with = "humantime_serde")]
    pub snapshot_interval: Duration,
    /// Most batches taken from the broker at once.
    pub max_batch_records: usize,
    /// How long batches gather under light load.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// How long batches gather under heavy load.
    #[serde(with = "humantime_serde")]
    pub max_linger: Duration,
    /// Version of the feature definitions, told in every row; raise it when they change.
    pub epoch: u32,
    /// Document images.
    pub images: ImagesSection,
}

/// The section `[preprocess.images]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagesSection {
    /// The size that images are prepared for: what networks read.
    pub frame: Frame,
    /// How long, in event time, a transaction and an image that belongs to it wait for each other.
    #[serde(with = "humantime_serde")]
    pub join_window: Duration,
    /// Transactions, and images, that one partition keeps waiting at most.
    pub max_waiting: usize,
}

/// The section `[lake]` of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LakeSection {
    /// Folder that holds tables, snapshots and models.
    pub location: String,
    /// Consumer group of the worker that writes tables.
    pub group: String,
    /// Longest time until rows are in their table.
    #[serde(with = "humantime_serde")]
    pub flush_interval: Duration,
    /// Rows of one table that are written at once at the latest.
    pub max_rows: usize,
}

/// Everything the worker of one keyed stage needs, checked.
#[derive(Clone)]
pub struct StageSettings {
    /// The section of the configuration.
    pub section: Section,
    /// How to reach the broker.
    pub kafka: Kafka,
    /// Where snapshots are kept.
    pub store: Store,
    /// The stage's place in the chain, from 0.
    pub place: usize,
    /// Topic it reads.
    pub input: String,
    /// Topic it writes.
    pub output: String,
    /// Declared columns.
    pub layout: Arc<Layout>,
    /// Features of the stages before it, in the order of their columns.
    pub earlier: Vec<String>,
    /// What it computes.
    pub plan: Arc<Plan>,
}

impl StageSettings {
    /// The entity that the stage is keyed by.
    #[must_use]
    pub fn entity(&self) -> &str {
        &self.section.stages[self.place]
    }

    /// The entity that its output is keyed by: the next stage's, at last its own.
    #[must_use]
    pub fn next_entity(&self) -> &str {
        self.section
            .stages
            .get(self.place + 1)
            .map_or_else(|| self.entity(), String::as_str)
    }

    /// The entity of the last stage: the account.
    #[must_use]
    pub fn account(&self) -> &str {
        self.section
            .stages
            .last()
            .map_or_else(|| self.entity(), String::as_str)
    }

    /// Whether it is the last one, which emits feature rows.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.place + 1 == self.section.stages.len()
    }
}

/// Everything the worker that writes tables needs, checked.
#[derive(Clone)]
pub struct TablesSettings {
    /// The section of the configuration.
    pub section: LakeSection,
    /// How to reach the broker.
    pub kafka: Kafka,
    /// Where tables are kept.
    pub store: Store,
    /// Topic of canonical events as ingest writes them.
    pub events_topic: String,
    /// Topic of feature rows.
    pub features_topic: String,
    /// Topic of scores.
    pub scores_topic: String,
    /// Declared columns.
    pub layout: Arc<Layout>,
    /// All features, in the order of their columns.
    pub features: Vec<String>,
    /// Whether feature rows hold the recent sequence.
    pub with_sequence: bool,
}
