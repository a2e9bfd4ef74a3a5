//! What can be set about the scorer.

use std::time::Duration;

use registry::Registry;
use schema::{Decision, Layout};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use stream::Kafka;

/// The section `[scorer]` of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Consumer group.
    pub group: String,
    /// How scores leave.
    pub delivery: Delivery,
    /// How long a transaction may stay open before the broker aborts it.
    #[serde(with = "humantime_serde")]
    pub transaction_timeout: Duration,
    /// Most batches of rows taken from the broker at once.
    pub max_batch_records: usize,
    /// How long batches gather under light load.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// How long batches gather under heavy load.
    #[serde(with = "humantime_serde")]
    pub max_linger: Duration,
    /// Reasons given with a score.
    pub reasons: usize,
    /// Decision while no model has been published.
    pub cold_start: Decision,
}

/// How scores leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// In a Kafka transaction with the offsets they were made from: once each for `read_committed` consumers.
    Transactional,
    /// By an idempotent producer, offsets after acknowledgements: after a crash some are there twice.
    Idempotent,
}

/// Which rows a scorer takes: a transaction never waits for an image, which takes as long as a thousand of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Transactions without an image.
    Transactions,
    /// Images, and transactions with one.
    Images,
}

/// Everything a scorer needs, checked.
#[derive(Clone)]
pub struct Settings {
    /// The section of the configuration.
    pub section: Section,
    /// Which rows it takes.
    pub lane: Lane,
    /// How to reach the broker.
    pub kafka: Kafka,
    /// Where bundles are kept.
    pub registry: Registry,
    /// Topic of feature rows.
    pub features_topic: String,
    /// Topic of scores.
    pub scores_topic: String,
    /// Topic that announces models.
    pub models_topic: String,
    /// Topics of raw records by the number a row carries.
    pub source_topics: [String; 3],
    /// Declared columns.
    pub layout: Arc<Layout>,
}

impl Settings {
    /// The consumer group: each lane reads all rows and takes its own.
    #[must_use]
    pub fn group(&self) -> String {
        let Self { section, lane, .. } = self;
        match lane {
            Lane::Transactions => section.group.clone(),
            Lane::Images => format!("{}-images", section.group),
        }
    }
}
