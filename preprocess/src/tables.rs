//! The worker that copies the log, the feature rows and the scores into Delta tables, each exactly once (R14).

mod scores;
mod sink;

use std::collections::BTreeMap;
use std::time::Duration;

use lake::LakeError;
use runtime::Shutdown;
use runtime::clock::Clock;
use runtime::health::Component;
use stream::{Consumer, ConsumerOptions, Gather, Polled, Record, StartOffset, TopicPartition};
use tracing::{info, warn};

use crate::config::TablesSettings;
use crate::error::PreprocessError;
use sink::Sink;

/// How long a poll waits where nothing comes.
const IDLE: Duration = Duration::from_millis(100);
/// Records taken from the broker at once.
const MAX_RECORDS: usize = 2_000;
/// How long batches gather: tables are in no hurry.
const LINGER: Duration = Duration::from_millis(50);

/// Names of the tables.
pub mod table {
    /// Canonical transactions, one a raw record.
    pub const EVENTS: &str = "events";
    /// Canonical labels, one a raw record.
    pub const LABELS: &str = "labels";
    /// Feature rows.
    pub const FEATURES: &str = "features";
    /// Document images, with what was seen of them before.
    pub const IMAGES: &str = "images";
    /// Scores.
    pub const SCORES: &str = "scores";
}

/// Runs the worker until it is asked to stop.
///
/// # Errors
/// What stops it; a successor goes on from what the tables say.
pub fn run(
    settings: &TablesSettings,
    shutdown: &Shutdown,
    health: &Component,
    clock: &dyn Clock,
) -> Result<(), PreprocessError> {
    while !shutdown.is_requested() {
        match Worker::start(settings, clock)?.work(shutdown, health) {
            // Somebody else has written these partitions meanwhile: look again at what the tables say (R14).
            Err(PreprocessError::Lake(error @ LakeError::Conflict { .. })) => {
                warn!(%error, "a table has moved on; beginning again from what it holds");
            }
            other => return other,
        }
    }
    Ok(())
}

struct Worker<'a> {
    settings: &'a TablesSettings,
    clock: &'a dyn Clock,
    consumer: Consumer,
    gather: Gather,
    sinks: Vec<Sink>,
}

impl<'a> Worker<'a> {
    fn start(settings: &'a TablesSettings, clock: &'a dyn Clock) -> Result<Self, PreprocessError> {
        let topics = [
            &settings.events_topic,
            &settings.features_topic,
            &settings.scores_topic,
        ];
        let topics: Vec<&str> = topics.iter().map(|t| t.as_str()).collect();
        let consumer = Consumer::subscribe(
            &settings.kafka,
            &settings.section.group,
            &topics,
            ConsumerOptions::default(),
        )?;
        let mut sinks = vec![
            Sink::events(settings)?,
            Sink::labels(settings)?,
            Sink::features(settings)?,
            Sink::scores(settings)?,
        ];
        if settings.layout.images {
            sinks.push(Sink::images(settings)?);
        }
        Ok(Self {
            settings,
            clock,
            consumer,
            gather: Gather::new(LINGER, LINGER, MAX_RECORDS),
            sinks,
        })
    }

    fn work(&mut self, shutdown: &Shutdown, health: &Component) -> Result<(), PreprocessError> {
        health.ready(true);
        while !shutdown.is_requested() {
            match self.gather.poll(&mut self.consumer, IDLE)? {
                Polled::Assigned(partitions) => self.take_over(&partitions)?,
                Polled::Revoked(partitions) => self.hand_over(&partitions)?,
                Polled::Records(records) => self.take(&records)?,
            }
            self.flush(false)?;
            health.progress();
        }
        self.flush(true)?;
        info!("tables drained");
        Ok(())
    }

    fn take_over(&mut self, partitions: &[TopicPartition]) -> Result<(), PreprocessError> {
        let mut starts = Vec::new();
        for partition in partitions {
            let mut begin = i64::MAX;
            for sink in self.sinks.iter_mut().filter(|s| s.topic() == &*partition.topic) {
                begin = begin.min(sink.take_over(partition.partition)?);
            }
            info!(%partition, position = begin, "partition taken over for the tables");
            starts.push((partition.clone(), StartOffset::At(begin)));
        }
        self.consumer.assign(&starts)?;
        Ok(())
    }

    fn hand_over(&mut self, partitions: &[TopicPartition]) -> Result<(), PreprocessError> {
        self.flush(true)?;
        for partition in partitions {
            for sink in self.sinks.iter_mut().filter(|s| s.topic() == &*partition.topic) {
                sink.hand_over(partition.partition);
            }
        }
        self.consumer.unassign(partitions)?;
        Ok(())
    }

    fn take(&mut self, records: &[Record]) -> Result<(), PreprocessError> {
        for record in records {
            for sink in self.sinks.iter_mut().filter(|s| s.topic() == &*record.topic) {
                sink.take(record)?;
            }
        }
        Ok(())
    }

    /// Commits what has gathered, table by table, and tells the broker how far all tables of a topic are.
    fn flush(&mut self, now: bool) -> Result<(), PreprocessError> {
        let now_us = self.clock.now_us();
        let interval_us = i64::try_from(self.settings.section.flush_interval.as_micros()).unwrap_or(i64::MAX);
        let mut moved = false;
        for sink in &mut self.sinks {
            if now || sink.is_due(now_us, interval_us, self.settings.section.max_rows) {
                moved |= sink.flush(now_us)?;
            }
        }
        if moved {
            let mut offsets: BTreeMap<TopicPartition, i64> = BTreeMap::new();
            for (partition, position) in self.sinks.iter().flat_map(Sink::written) {
                let least = offsets.entry(partition).or_insert(position);
                *least = position.min(*least);
            }
            let offsets: Vec<_> = offsets
                .into_iter()
                .map(|(p, position)| (p, position, String::new()))
                .collect();
            self.consumer.commit(&offsets)?;
        }
        Ok(())
    }
}
