//! What can be set about ingest.

use std::sync::Arc;
use std::time::Duration;

use lake::{Images, Store};
use schema::json::{Decoder, Limits};
use schema::tokens::Tokeniser;
use schema::{Layout, Mapping};
use serde::{Deserialize, Serialize};
use stream::Kafka;

/// The section `[ingest]` of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Consumer group.
    pub group: String,
    /// Mapping that raw transactions are read with; canonical JSON if empty.
    pub mapping: String,
    /// Entities whose values are replaced by tokens.
    pub tokenise: Vec<String>,
    /// Most records taken from the broker at once.
    pub max_batch_records: usize,
    /// How long a batch gathers under light load.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// How long a batch gathers under heavy load.
    #[serde(with = "humantime_serde")]
    pub max_linger: Duration,
    /// Longest time between two offset commits.
    #[serde(with = "humantime_serde")]
    pub commit_interval: Duration,
    /// The order of events.
    pub order: OrderSection,
    /// Limits on records.
    pub limits: Limits,
    /// Document images.
    pub images: ImagesSection,
}

/// The section `[ingest.images]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagesSection {
    /// Threads that look at images.
    pub threads: usize,
    /// Addresses that files may be fetched from which a record names instead of holding them.
    pub fetch_from: Vec<String>,
    /// What an image may cost.
    pub limits: imaging::Limits,
}

/// The section `[ingest.order]`: how sources are merged in event-time order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderSection {
    /// How far behind its source's newest event an event may be without being late (R2).
    #[serde(with = "humantime_serde")]
    pub allowed_disorder: Duration,
    /// A source whose newest event is no older than this reads live traffic (R6).
    #[serde(with = "humantime_serde")]
    pub recent: Duration,
    /// A source at its end that brings nothing for this long is caught up (R6).
    #[serde(with = "humantime_serde")]
    pub silence: Duration,
    /// A source that is caught up stays so while it is behind for less than this (R6).
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// How far, in event time, a source may run ahead of the slowest one that is not caught up (R16).
    #[serde(with = "humantime_serde")]
    pub max_ahead: Duration,
}

/// What images need, where they come in.
#[derive(Clone, Debug)]
pub struct ImageSettings {
    /// The section of the configuration.
    pub section: ImagesSection,
    /// Topic of raw images.
    pub topic: String,
    /// Where files are kept.
    pub images: Images,
    /// The frame that they are prepared for.
    pub frame: imaging::Frame,
    /// Where files may be fetched from.
    pub sources: Vec<Store>,
}

/// Everything an ingest worker needs, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The section of the configuration.
    pub section: Section,
    /// How to reach the broker.
    pub kafka: Kafka,
    /// Topic of raw transactions.
    pub transactions_topic: String,
    /// Topic of raw labels.
    pub labels_topic: String,
    /// Topic of the log, keyed by the first stage's entity.
    pub events_topic: String,
    /// Topic of dead letters.
    pub dead_letters_topic: String,
    /// Entities of the keyed stages, in their order: each event must have them all.
    pub stages: Vec<String>,
    /// Declared columns.
    pub layout: Arc<Layout>,
    /// Decoder of canonical JSON.
    pub decoder: Decoder,
    /// Mapping of raw transactions, if they are not canonical.
    pub mapping: Option<Mapping>,
    /// What replaces card and account numbers.
    pub tokeniser: Tokeniser,
    /// Images, if they come in.
    pub images: Option<ImageSettings>,
}
