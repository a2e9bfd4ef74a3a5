//! The models in use: loaded when they are announced, swapped between two batches (INV-6).

use std::collections::BTreeMap;
use std::time::Duration;

use model::fusion::FusionScorer;
use model::{ImageRiskScorer, Scorer};
use registry::{Announcement, CHAMPION, FUSION_CHAMPION, IMAGE_CHAMPION};
use stream::{Consumer, Polled, StartOffset, TopicPartition};
use tracing::{error, info};

use crate::config::{Lane, Settings};
use crate::error::ScorerError;
use crate::metrics;

/// Announcements taken at once.
const MAX_RECORDS: usize = 100;
const MAX_BYTES: usize = 1 << 20;
/// How long the first look at the announcements may take.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// A bundle ready to score.
pub(crate) struct Champion<S> {
    pub(crate) version: String,
    pub(crate) scorer: S,
}

/// The champion of each kind, where there is one.
#[derive(Default)]
pub(crate) struct Models {
    pub(crate) transactions: Option<Champion<Scorer>>,
    pub(crate) images: Option<Champion<ImageRiskScorer>>,
    pub(crate) fusion: Option<Champion<FusionScorer>>,
}

impl Models {
    /// The aliases whose models a lane scores by.
    fn aliases(lane: Lane) -> &'static [&'static str] {
        match lane {
            Lane::Transactions => &[CHAMPION],
            Lane::Images => &[CHAMPION, IMAGE_CHAMPION, FUSION_CHAMPION],
        }
    }

    fn version(&self, alias: &str) -> Option<&str> {
        match alias {
            IMAGE_CHAMPION => self.images.as_ref().map(|c| c.version.as_str()),
            FUSION_CHAMPION => self.fusion.as_ref().map(|c| c.version.as_str()),
            _ => self.transactions.as_ref().map(|c| c.version.as_str()),
        }
    }

    fn load(&mut self, settings: &Settings, alias: &str, version: &str) -> Result<(), ScorerError> {
        let (registry, version) = (&settings.registry, version.to_owned());
        match alias {
            IMAGE_CHAMPION => {
                let scorer = ImageRiskScorer::new(&registry.load(&version)?)?;
                self.images = Some(Champion { version, scorer });
            }
            FUSION_CHAMPION => {
                let scorer = FusionScorer::new(&registry.load(&version)?)?;
                self.fusion = Some(Champion { version, scorer });
            }
            _ => {
                let scorer = Scorer::new(&registry.load(&version)?)?;
                self.transactions = Some(Champion { version, scorer });
            }
        }
        Ok(())
    }
}

/// Follows the announcements.
pub(crate) struct Champions {
    consumer: Consumer,
    models: Models,
    /// When the newest announcement of each alias was made: one that was told late, or again, changes nothing.
    announced_us: BTreeMap<String, i64>,
}

/// The newest announcement of each alias.
type Announcements = BTreeMap<String, Announcement>;

impl Champions {
    /// Reads the announcements there are, so that the first row is scored by the model that is champion now.
    pub(crate) fn start(settings: &Settings) -> Result<Self, ScorerError> {
        let partition = TopicPartition::new(settings.models_topic.as_str(), 0);
        let consumer = Consumer::attach(&settings.kafka, vec![(partition.clone(), StartOffset::Beginning)])?;
        let end = consumer.end_offsets(&[partition], FIRST_LOOK)?[0];
        let mut champions = Self {
            consumer,
            models: Models::default(),
            announced_us: BTreeMap::new(),
        };
        let mut newest = Announcements::new();
        let deadline = std::time::Instant::now() + FIRST_LOOK;
        let mut position = 0;
        while position < end && std::time::Instant::now() < deadline {
            let (announcements, next) = champions.poll(settings.lane, Duration::from_millis(100))?;
            position = next.unwrap_or(position);
            newest.extend(announcements);
        }
        champions.swap(settings, newest);
        Ok(champions)
    }

    /// Looks for announcements, without waiting.
    pub(crate) fn refresh(&mut self, settings: &Settings) -> Result<(), ScorerError> {
        let (announcements, _) = self.poll(settings.lane, Duration::ZERO)?;
        self.swap(settings, announcements);
        Ok(())
    }

    pub(crate) fn current(&self) -> &Models {
        &self.models
    }

    /// The newest announcements among what has come, and the offset after it.
    fn poll(&mut self, lane: Lane, wait: Duration) -> Result<(Announcements, Option<i64>), ScorerError> {
        let Polled::Records(records) = self.consumer.poll(wait, MAX_RECORDS, MAX_BYTES)? else {
            return Ok((Announcements::new(), None));
        };
        let next = records.last().map(|r| r.offset + 1);
        let of_lane = |key: &[u8]| Models::aliases(lane).iter().find(|alias| alias.as_bytes() == key);
        let announced = records.iter().filter_map(|record| {
            let alias = of_lane(record.key.as_deref()?)?;
            let announcement = serde_json::from_slice(record.payload.as_deref()?)
                .inspect_err(|e| error!(error = %e, "an announcement cannot be read"));
            Some(((*alias).to_owned(), announcement.ok()?))
        });
        Ok((announced.collect(), next))
    }

    /// Puts the announced models in use; one that cannot be used changes nothing.
    fn swap(&mut self, settings: &Settings, announcements: Announcements) {
        for (alias, announcement) in announcements {
            let before_us = self.announced_us.get(&alias).copied().unwrap_or(i64::MIN);
            if announcement.at_us <= before_us {
                continue;
            }
            self.announced_us.insert(alias.clone(), announcement.at_us);
            let version = announcement.version.as_str();
            if self.models.version(&alias) == Some(version) {
                continue;
            }
            match self.models.load(settings, &alias, version) {
                Ok(()) => {
                    info!(lane = ?settings.lane, alias, version, why = announcement.why, "model in use");
                    metrics::swapped(&alias);
                }
                Err(error) => {
                    metrics::refused(&alias);
                    let error = &error as &dyn std::error::Error;
                    error!(alias, version, error, "model refused");
                }
            }
        }
    }
}
