//! From sections to what each worker needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, bail};
use features::Plan;
use lake::{Images, Store};
use model::ModelKind;
use registry::Registry;
use schema::json::Decoder;
use schema::tokens::Tokeniser;
use schema::{ImageMapping, Layout, Mapping};
use stream::{Kafka, TopicSpec};

use super::Config;

/// What clients send at most: a record that the broker refuses would end a gapless producer for good.
const MAX_RECORD_BYTES: &str = "16777216";
/// What users' records may take of it, so that a dead letter has room for one and for its headers.
const MAX_RAW_BYTES: &str = "12582912";

/// A configuration with its definitions compiled: the source of every worker's settings.
pub(crate) struct Resolved {
    /// The configuration as typed.
    pub(crate) config: Config,
    /// How to reach the broker.
    pub(crate) kafka: Kafka,
    /// Declared columns.
    pub(crate) layout: Arc<Layout>,
    plans: Vec<Arc<Plan>>,
}

impl Resolved {
    /// Compiles definitions and checks the broker's settings.
    ///
    /// # Errors
    /// What the checks of the configuration cannot see: settings of librdkafka that break a guarantee.
    pub(crate) fn new(config: Config) -> anyhow::Result<Self> {
        let kafka = Kafka::new(
            config.kafka.bootstrap_servers.as_str(),
            config.kafka.client_id.as_str(),
            config.kafka.properties.clone(),
        )?;
        let plans = Plan::compile_stages(
            &config.features,
            config.sequence.as_ref(),
            &config.preprocess.stages,
            &config.fields(),
        );
        let plans = plans
            .ok()
            .context("features were checked when the configuration was loaded")?;
        let layout = Arc::new(config.schema.clone());
        Ok(Self {
            kafka,
            layout,
            plans: plans.into_iter().map(Arc::new).collect(),
            config,
        })
    }

    /// A mapping by its name.
    ///
    /// # Errors
    /// If there is none of this name.
    pub(crate) fn mapping(&self, name: &str) -> anyhow::Result<&Mapping> {
        named(&self.config.mappings, "mapping", name)
    }

    /// A mapping of images by its name.
    ///
    /// # Errors
    /// If there is none of this name.
    pub(crate) fn image_mapping(&self, name: &str) -> anyhow::Result<&ImageMapping> {
        named(&self.config.image_mappings, "mapping of images", name)
    }

    /// All features, in the order of their columns.
    pub(crate) fn features(&self) -> Vec<String> {
        self.plans
            .iter()
            .flat_map(|plan| plan.names().iter().cloned())
            .collect()
    }

    fn with_sequence(&self) -> bool {
        self.plans.last().is_some_and(|plan| plan.sequence().is_some())
    }

    /// The topic of canonical events, which the first stage reads.
    pub(crate) fn events_topic(&self) -> String {
        self.config.topics.events_of(&self.config.preprocess.stages[0])
    }

    /// Where tables, snapshots and models are kept.
    ///
    /// # Errors
    /// If the place cannot be used.
    pub(crate) fn store(&self) -> anyhow::Result<Store> {
        let location = &self.config.lake.location;
        Store::open(location).with_context(|| format!("lake.location {location:?} cannot be used"))
    }

    /// Every topic with its settings.
    pub(crate) fn topics(&self) -> Vec<TopicSpec> {
        let topics = &self.config.topics;
        // The log and its rows are the truth that state is rebuilt from: nothing of them is ever deleted by age.
        let keep = [("retention.ms", "-1"), ("cleanup.policy", "delete")];
        let raw = [("max.message.bytes", MAX_RAW_BYTES)];
        let compact = [("cleanup.policy", "compact")];
        let spec = |name: &str, partitions: i32, settings: &[(&str, &str)]| TopicSpec {
            name: name.to_owned(),
            partitions,
            replication: Some(topics.replication_factor),
            config: [("max.message.bytes", MAX_RECORD_BYTES)]
                .iter()
                .chain(settings)
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect::<BTreeMap<_, _>>(),
        };
        let mut specs = vec![
            spec(&topics.transactions, topics.partitions, &raw),
            spec(&topics.labels, topics.partitions, &raw),
        ];
        if self.layout.images {
            specs.push(spec(&topics.images, topics.partitions, &raw));
        }
        let stages = self.config.preprocess.stages.iter();
        specs.extend(stages.map(|entity| spec(&topics.events_of(entity), topics.partitions, &keep)));
        specs.extend([
            spec(&topics.features, topics.partitions, &keep),
            spec(&topics.scores, topics.partitions, &[]),
            spec(&topics.dead_letters, topics.partitions, &[]),
            spec(&topics.models, 1, &compact),
        ]);
        specs
    }

    /// What ingest needs.
    ///
    /// # Errors
    /// If the key of the tokens is missing or too short.
    pub(crate) fn ingest(&self) -> anyhow::Result<ingest::Settings> {
        let config = &self.config;
        if let Some(problem) = config.token_key_problem() {
            bail!(problem);
        }
        let section = config.ingest.clone();
        let images = self.layout.images.then(|| self.images()).transpose()?;
        Ok(ingest::Settings {
            images,
            kafka: self.kafka.clone(),
            transactions_topic: config.topics.transactions.clone(),
            labels_topic: config.topics.labels.clone(),
            events_topic: self.events_topic(),
            dead_letters_topic: config.topics.dead_letters.clone(),
            stages: config.preprocess.stages.clone(),
            layout: Arc::clone(&self.layout),
            decoder: Decoder::new(section.limits.clone()).map_err(anyhow::Error::msg)?,
            mapping: config.mappings.get(&section.mapping).cloned(),
            tokeniser: Tokeniser::new(
                config.secrets.token_key.expose().as_bytes(),
                section.tokenise.clone(),
            ),
            section,
        })
    }

    /// What images need at the door.
    fn images(&self) -> anyhow::Result<ingest::ImageSettings> {
        let section = self.config.ingest.images.clone();
        let source = |address: &String| {
            Store::open(address)
                .with_context(|| format!("ingest.images.fetch_from: {address:?} cannot be used"))
        };
        Ok(ingest::ImageSettings {
            topic: self.config.topics.images.clone(),
            images: Images::open(self.store()?),
            frame: self.config.preprocess.images.frame,
            sources: section
                .fetch_from
                .iter()
                .map(source)
                .collect::<anyhow::Result<_>>()?,
            section,
        })
    }

    /// What each keyed stage needs, in their order.
    pub(crate) fn stages(&self, store: &Store) -> Vec<preprocess::StageSettings> {
        let config = &self.config;
        let mut earlier: Vec<String> = Vec::new();
        let mut all = Vec::new();
        for (place, (entity, plan)) in config.preprocess.stages.iter().zip(&self.plans).enumerate() {
            let next = config.preprocess.stages.get(place + 1);
            all.push(preprocess::StageSettings {
                section: config.preprocess.clone(),
                kafka: self.kafka.clone(),
                store: store.clone(),
                place,
                input: config.topics.events_of(entity),
                output: next.map_or_else(|| config.topics.features.clone(), |e| config.topics.events_of(e)),
                layout: Arc::clone(&self.layout),
                earlier: earlier.clone(),
                plan: Arc::clone(plan),
            });
            earlier.extend(plan.names().iter().cloned());
        }
        all
    }

    /// What the worker that writes tables needs.
    pub(crate) fn tables(&self, store: &Store) -> preprocess::TablesSettings {
        preprocess::TablesSettings {
            section: self.config.lake.clone(),
            kafka: self.kafka.clone(),
            store: store.clone(),
            events_topic: self.events_topic(),
            features_topic: self.config.topics.features.clone(),
            scores_topic: self.config.topics.scores.clone(),
            layout: Arc::clone(&self.layout),
            features: self.features(),
            with_sequence: self.with_sequence(),
        }
    }

    /// What the trainer of each kind of model needs.
    pub(crate) fn trainers(&self, store: &Store) -> Vec<trainer::Settings> {
        let models = if self.layout.images {
            if self.with_sequence() {
                &ModelKind::ALL[..]
            } else {
                &ModelKind::ALL[..2]
            }
        } else {
            &[ModelKind::Transaction]
        };
        models.iter().map(|model| self.trainer(store, *model)).collect()
    }

    /// What the trainer of one kind of model needs.
    pub(crate) fn trainer(&self, store: &Store, model: ModelKind) -> trainer::Settings {
        trainer::Settings {
            section: self.config.trainer.clone(),
            model,
            kafka: self.kafka.clone(),
            store: store.clone(),
            registry: Registry::open(store.clone()),
            models_topic: self.config.topics.models.clone(),
            layout: Arc::clone(&self.layout),
            features: self.features(),
            with_sequence: self.with_sequence(),
            step_width: self.config.sequence.as_ref().map_or(0, |s| s.fields.len()),
            account: self.config.preprocess.stages.last().cloned().unwrap_or_default(),
            join_window: self.config.preprocess.images.join_window,
            frame: self.config.preprocess.images.frame,
            partitions: self.config.topics.partitions,
        }
    }

    /// What each loop of the scorer needs.
    pub(crate) fn scorers(&self, store: &Store) -> Vec<scorer::Settings> {
        let lanes = if self.layout.images {
            &[scorer::Lane::Transactions, scorer::Lane::Images][..]
        } else {
            &[scorer::Lane::Transactions]
        };
        lanes.iter().map(|lane| self.scorer(store, *lane)).collect()
    }

    fn scorer(&self, store: &Store, lane: scorer::Lane) -> scorer::Settings {
        let topics = &self.config.topics;
        scorer::Settings {
            section: self.config.scorer.clone(),
            lane,
            kafka: self.kafka.clone(),
            registry: Registry::open(store.clone()),
            features_topic: topics.features.clone(),
            scores_topic: topics.scores.clone(),
            models_topic: topics.models.clone(),
            source_topics: [
                topics.transactions.clone(),
                topics.labels.clone(),
                topics.images.clone(),
            ],
            layout: Arc::clone(&self.layout),
        }
    }
}

fn named<'a, T>(all: &'a BTreeMap<String, T>, what: &str, name: &str) -> anyhow::Result<&'a T> {
    all.get(name).with_context(|| {
        let known: Vec<&str> = all.keys().map(String::as_str).collect();
        format!(
            "the configuration has no {what} named {name:?}, but {}",
            known.join(", ")
        )
    })
}
