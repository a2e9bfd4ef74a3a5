//! The consumer at the end: which records came, and when.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::broker::config;

/// How long one poll waits.
const WAIT: Duration = Duration::from_millis(100);
/// Records taken before they are told to others.
const MOST: usize = 10_000;
/// Of so many scores one is decoded, to see that a model made it.
const SAMPLE: usize = 128;

/// A record that has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// Which traffic it belongs to: 0 is what was there before.
    pub(crate) run: u32,
    /// Its number in that traffic.
    pub(crate) number: u32,
    /// When it was in the consumer's hands.
    pub(crate) at: Instant,
}

/// What has come so far.
#[derive(Debug, Default)]
struct Seen {
    arrivals: Vec<Arrival>,
    /// Records whose keys are none of ours.
    foreign: u64,
    sampled: u64,
    by_model: u64,
}

/// A running `read_committed` consumer.
pub(crate) struct Arrivals {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Arrivals {
    /// Reads a topic from its beginning.
    pub(crate) fn start(servers: &str, topic: &str, partitions: i32) -> anyhow::Result<Self> {
        let consumer = attach(servers, topic, partitions, "bench-arrivals")?;
        let (seen, stop) = (
            Arc::new(Mutex::new(Seen::default())),
            Arc::new(AtomicBool::new(false)),
        );
        let thread = std::thread::Builder::new().name("arrivals".into()).spawn({
            let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
            move || read(&consumer, &seen, &stop)
        })?;
        Ok(Self {
            seen,
            stop,
            thread: Some(thread),
        })
    }

    /// How many records of a run have come.
    pub(crate) fn count(&self, run: u32) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.arrivals.iter().filter(|a| a.run == run).count()
    }

    /// The records of a run, which are forgotten here.
    ///
    /// # Errors
    /// If the consumer has failed, or has seen keys that nobody sent.
    pub(crate) fn take(&mut self, run: u32) -> anyhow::Result<Vec<Arrival>> {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            let ended = self.thread.take().map(JoinHandle::join);
            return Err(match ended {
                Some(Ok(Err(error))) => error.context("the last consumer"),
                _ => anyhow!("the last consumer has ended"),
            });
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        anyhow::ensure!(seen.foreign == 0, "{} records with foreign keys", seen.foreign);
        Ok(seen.arrivals.extract_if(.., |a| a.run == run).collect())
    }

    /// The share of decoded scores that a model made; none if nothing was a score.
    pub(crate) fn share_by_model(&self) -> Option<f64> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.sampled > 0).then(|| seen.by_model as f64 / seen.sampled as f64)
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A consumer of all partitions of a topic from their beginning, without a group's rebalances.
pub(crate) fn attach(
    servers: &str,
    topic: &str,
    partitions: i32,
    group: &str,
) -> anyhow::Result<BaseConsumer> {
    let consumer: BaseConsumer = config(servers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.queue.backoff.ms", "5")
        .create()
        .context("a consumer")?;
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

fn read(consumer: &BaseConsumer, seen: &Mutex<Seen>, stop: &AtomicBool) -> anyhow::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let mut wait = WAIT;
        let mut found = Vec::new();
        while found.len() < MOST {
            let Some(message) = consumer.poll(wait) else { break };
            let message = message?;
            found.push((identity(&message), Instant::now(), message));
            wait = Duration::ZERO;
        }
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (identity, at, message) in found {
            match identity {
                Some((run, number)) => seen.take(Arrival { run, number, at }, &message),
                None => seen.foreign += 1,
            }
        }
    }
    Ok(())
}

impl Seen {
    fn take(&mut self, arrival: Arrival, message: &BorrowedMessage<'_>) {
        if self.arrivals.len().is_multiple_of(SAMPLE) {
            let score = serde_json::from_slice::<serde_json::Value>(message.payload().unwrap_or_default());
            if let Ok(score) = score {
                self.sampled += 1;
                self.by_model += u64::from(score["version"].is_string());
            }
        }
        self.arrivals.push(arrival);
    }
}

fn identity(message: &BorrowedMessage<'_>) -> Option<(u32, u32)> {
    parse(str::from_utf8(message.key()?).ok()?)
}

/// The key of a record of live traffic.
pub(crate) fn key(run: u32, number: u32) -> String {
    format!("live-{run}-{number}")
}

/// Run and number of a key; plain numbers are what was there before.
fn parse(key: &str) -> Option<(u32, u32)> {
    match key.strip_prefix("live-") {
        Some(rest) => {
            let (run, number) = rest.split_once('-')?;
            Some((run.parse().ok()?, number.parse().ok()?))
        }
        None => Some((0, key.parse().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        assert_eq!(parse(&key(3, 17)), Some((3, 17)));
        assert_eq!(parse("42"), Some((0, 42)));
        assert_eq!(parse("t-42"), None);
    }
}
