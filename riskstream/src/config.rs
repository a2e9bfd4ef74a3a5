//! The configuration as typed: sections, their checks, and what is made of them.

mod check;
mod resolve;

use std::collections::BTreeMap;
use std::path::Path;

use features::{FeatureSpec, SequenceSpec};
use runtime::config::{Layers, Loaded, Override, Secret, load};
use schema::{ImageMapping, Layout, Mapping};
use serde::Deserialize;

pub(crate) use resolve::Resolved;

/// The default configuration, which is its own reference.
pub(crate) const DEFAULT: &str = include_str!("../../config/default.toml");

/// The whole configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// How to reach the broker.
    pub(crate) kafka: KafkaSection,
    /// Names and sizes of topics.
    pub(crate) topics: TopicsSection,
    /// Entities and attributes.
    pub(crate) schema: Layout,
    /// The ingest worker.
    pub(crate) ingest: ingest::Section,
    /// The keyed stages.
    pub(crate) preprocess: preprocess::Section,
    /// Tables, snapshots, models.
    pub(crate) lake: preprocess::LakeSection,
    /// The trainer worker.
    pub(crate) trainer: trainer::Section,
    /// The scorer worker.
    pub(crate) scorer: scorer::Section,
    /// Health and metrics.
    pub(crate) server: ServerSection,
    /// Logs.
    pub(crate) log: runtime::telemetry::LogSettings,
    /// Secrets.
    pub(crate) secrets: SecretsSection,
    /// How flat records are read, by name.
    #[serde(default)]
    pub(crate) mappings: BTreeMap<String, Mapping>,
    /// How tables of document images are read, by name.
    #[serde(default)]
    pub(crate) image_mappings: BTreeMap<String, ImageMapping>,
    /// Features, in the order of their columns.
    #[serde(default)]
    pub(crate) features: Vec<FeatureSpec>,
    /// The account's recent transactions.
    #[serde(default)]
    pub(crate) sequence: Option<SequenceSpec>,
}

/// The section `[kafka]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KafkaSection {
    /// host:port, more behind commas.
    pub(crate) bootstrap_servers: String,
    /// How clients are named in the broker's logs and quotas.
    pub(crate) client_id: String,
    /// Any setting of librdkafka.
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, String>,
}

/// The section `[topics]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicsSection {
    /// Raw transactions.
    pub(crate) transactions: String,
    /// Raw labels.
    pub(crate) labels: String,
    /// Raw document images.
    pub(crate) images: String,
    /// The log, one topic a keyed stage: `{entity}` is the stage's.
    pub(crate) events: String,
    /// Feature rows.
    pub(crate) features: String,
    /// Scores.
    pub(crate) scores: String,
    /// Announcements of models.
    pub(crate) models: String,
    /// Dead letters.
    pub(crate) dead_letters: String,
    /// Partitions of each topic but that of models.
    pub(crate) partitions: i32,
    /// Copies of each partition.
    pub(crate) replication_factor: i32,
}

impl TopicsSection {
    /// The topic that the stage of an entity reads.
    pub(crate) fn events_of(&self, entity: &str) -> String {
        self.events.replace("{entity}", entity)
    }
}

/// The section `[server]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerSection {
    /// Address of `/livez`, `/readyz` and `/metrics`.
    pub(crate) listen: std::net::SocketAddr,
}

/// The section `[secrets]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretsSection {
    /// Key of the tokens.
    pub(crate) token_key: Secret,
}

/// Loads the configuration: default < file < environment < flags.
///
/// # Errors
/// All problems at once; or a file that cannot be read.
pub(crate) fn read(file: Option<&Path>, overrides: Vec<Override>) -> anyhow::Result<Loaded<Config>> {
    let file = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| anyhow::anyhow!(e).context(format!("{} cannot be read", path.display())))?;
            Some((path.to_owned(), text))
        }
        None => None,
    };
    // Variables of flags share the prefix; those of the configuration have a double underscore after it.
    let environment = std::env::vars()
        .filter(|(name, _)| name.starts_with("RISKSTREAM__"))
        .collect();
    Ok(load::<Config>(Layers {
        default_text: DEFAULT,
        file,
        environment,
        overrides,
    })?)
}
