//! The model in use: loaded when it is announced, swapped between two batches (INV-6).

use std::time::Duration;

use model::Scorer;
use registry::{Announcement, CHAMPION};
use stream::{Consumer, Polled, StartOffset, TopicPartition};
use tracing::{error, info};

use crate::config::Settings;
use crate::error::ScorerError;
use crate::metrics;

/// Announcements taken at once.
const MAX_RECORDS: usize = 100;
const MAX_BYTES: usize = 1 << 20;
/// How long the first look at the announcements may take.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// A bundle ready to score.
pub(crate) struct Champion {
    pub(crate) version: String,
    pub(crate) scorer: Scorer,
}

/// Follows the announcements.
pub(crate) struct Champions {
    consumer: Consumer,
    current: Option<Champion>,
    /// When the newest announcement was made: one that was told late, or again, changes nothing.
    announced_us: i64,
}

impl Champions {
    /// Reads the announcements there are, so that the first row is scored by the model that is champion now.
    pub(crate) fn start(settings: &Settings) -> Result<Self, ScorerError> {
        let partition = TopicPartition::new(settings.models_topic.as_str(), 0);
        let consumer = Consumer::attach(&settings.kafka, vec![(partition.clone(), StartOffset::Beginning)])?;
        let end = consumer.end_offsets(&[partition], FIRST_LOOK)?[0];
        let mut champions = Self {
            consumer,
            current: None,
            announced_us: i64::MIN,
        };
        let mut newest = None;
        let deadline = std::time::Instant::now() + FIRST_LOOK;
        let mut position = 0;
        while position < end && std::time::Instant::now() < deadline {
            let (announcement, next) = champions.poll(Duration::from_millis(100))?;
            position = next.unwrap_or(position);
            newest = announcement.or(newest);
        }
        champions.swap(settings, newest);
        Ok(champions)
    }

    /// Looks for an announcement, without waiting.
    pub(crate) fn refresh(&mut self, settings: &Settings) -> Result<(), ScorerError> {
        let (announcement, _) = self.poll(Duration::ZERO)?;
        self.swap(settings, announcement);
        Ok(())
    }

    pub(crate) fn current(&self) -> Option<&Champion> {
        self.current.as_ref()
    }

    /// The newest announcement of a champion among what has come, and the offset after it.
    fn poll(&mut self, wait: Duration) -> Result<(Option<Announcement>, Option<i64>), ScorerError> {
        let Polled::Records(records) = self.consumer.poll(wait, MAX_RECORDS, MAX_BYTES)? else {
            return Ok((None, None));
        };
        let next = records.last().map(|r| r.offset + 1);
        let champion = records
            .iter()
            .rev()
            .filter(|r| r.key.as_deref() == Some(CHAMPION.as_bytes()))
            .find_map(|r| {
                let payload = r.payload.as_deref()?;
                serde_json::from_slice(payload)
                    .inspect_err(|e| error!(error = %e, "an announcement cannot be read"))
                    .ok()
            });
        Ok((champion, next))
    }

    /// Puts the announced model in use; one that cannot be used changes nothing.
    fn swap(&mut self, settings: &Settings, announcement: Option<Announcement>) {
        let Some(announcement) = announcement.filter(|a| a.at_us > self.announced_us) else {
            return;
        };
        self.announced_us = announcement.at_us;
        if self
            .current
            .as_ref()
            .is_some_and(|c| c.version == announcement.version)
        {
            return;
        }
        match load(settings, &announcement.version) {
            Ok(champion) => {
                info!(
                    version = champion.version,
                    why = announcement.why,
                    "champion in use"
                );
                metrics::swapped();
                self.current = Some(champion);
            }
            Err(error) => {
                metrics::refused();
                error!(
                    version = announcement.version,
                    error = &error as &dyn std::error::Error,
                    "champion refused"
                );
            }
        }
    }
}

fn load(settings: &Settings, version: &str) -> Result<Champion, ScorerError> {
    let bundle = settings.registry.load(version)?;
    Ok(Champion {
        version: version.to_owned(),
        scorer: Scorer::new(&bundle)?,
    })
}
