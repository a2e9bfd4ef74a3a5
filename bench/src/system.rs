//! A system under measurement, whatever it is made of.

use std::collections::BTreeMap;

use crate::broker::Broker;
use crate::process::{Usage, Worker};

/// Topics and processes between the raw topic and the last one.
pub(crate) struct System {
    /// Prefix of all its topics.
    pub(crate) prefix: String,
    /// The raw topic.
    pub(crate) input: String,
    /// Topics in between, with what they are called in reports.
    pub(crate) inner: Vec<(String, String)>,
    /// The last topic.
    pub(crate) output: String,
    pub(crate) partitions: i32,
    /// Records in the raw topic before anything starts.
    pub(crate) records: u32,
    pub(crate) workers: Vec<Worker>,
}

/// What a system has used at one moment.
pub(crate) struct Meter {
    pub(crate) workers: BTreeMap<String, Usage>,
    pub(crate) threads: BTreeMap<String, BTreeMap<String, f64>>,
    pub(crate) broker: Option<Usage>,
    pub(crate) bench: Usage,
    pub(crate) records: BTreeMap<String, i64>,
}

impl System {
    /// Fails if one of its processes has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.workers.iter_mut().try_for_each(Worker::check)
    }

    /// Reads all counters.
    pub(crate) fn meter(&self, broker: &Broker) -> anyhow::Result<Meter> {
        let mut records = BTreeMap::new();
        for (label, topic) in &self.inner {
            records.insert(label.clone(), broker.records(topic, self.partitions)?);
        }
        let named = |worker: &Worker| worker.name().to_owned();
        Ok(Meter {
            workers: self
                .workers
                .iter()
                .map(|w| Ok((named(w), w.usage()?)))
                .collect::<anyhow::Result<_>>()?,
            threads: self
                .workers
                .iter()
                .map(|w| Ok((named(w), w.threads()?)))
                .collect::<anyhow::Result<_>>()?,
            broker: broker.usage(),
            bench: crate::process::usage(std::process::id())?,
            records,
        })
    }

    /// Lets its processes drain and deletes its topics.
    pub(crate) fn stop(self, broker: &Broker) -> anyhow::Result<()> {
        self.workers.into_iter().try_for_each(Worker::stop)?;
        broker.forget(&self.prefix)
    }
}
