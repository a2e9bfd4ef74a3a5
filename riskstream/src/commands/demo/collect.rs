//! A consumer of scores beside the demo: it counts, and remembers what it saw and when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::anyhow;
use runtime::clock::{Clock, SystemClock};
use schema::Score;

use crate::commands::consume::Reader;
use crate::config::Resolved;

/// What a consumer of scores has seen.
#[derive(Default)]
pub(super) struct Collected {
    /// The score of each transaction; none where there was no model yet.
    pub(super) scores: BTreeMap<String, Option<f64>>,
    /// Scores that came a second time.
    pub(super) duplicates: u64,
    /// From the timestamp of the raw record to the score in the consumer's hands.
    pub(super) latency_ms: Vec<i64>,
    /// When how many transactions were scored: one entry a poll.
    pub(super) progress: Vec<(Instant, u64)>,
    /// Versions of the models that scored, and how many each.
    pub(super) versions: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Shared {
    scored: AtomicU64,
    measure: AtomicBool,
    stop: AtomicBool,
}

/// A running consumer.
pub(super) struct Collector {
    shared: Arc<Shared>,
    thread: JoinHandle<anyhow::Result<Collected>>,
}

impl Collector {
    pub(super) fn start(resolved: &Resolved) -> anyhow::Result<Self> {
        let mut reader = Reader::open(resolved, &resolved.config.topics.scores)?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("collector".into())
            .spawn(move || {
                let mut collected = Collected::default();
                while !of_thread.stop.load(Ordering::Relaxed) {
                    for record in reader.poll()? {
                        let score: Score =
                            serde_json::from_slice(record.payload.as_deref().unwrap_or_default())?;
                        collected.take(score, of_thread.measure.load(Ordering::Relaxed));
                    }
                    let scored = collected.scores.len() as u64;
                    if of_thread.scored.swap(scored, Ordering::Relaxed) != scored {
                        collected.progress.push((Instant::now(), scored));
                    }
                }
                Ok(collected)
            })?;
        Ok(Self { shared, thread })
    }

    /// Transactions scored so far.
    pub(super) fn scored(&self) -> u64 {
        self.shared.scored.load(Ordering::Relaxed)
    }

    /// From now on the latency of each score is kept.
    pub(super) fn measure_latency(&self, on: bool) {
        self.shared.measure.store(on, Ordering::Relaxed);
    }

    pub(super) fn finish(self) -> anyhow::Result<Collected> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow!("the consumer of scores has panicked"))?
    }
}

impl Collected {
    /// Scores a second while scoring went from so many transactions to so many more, its first and last tenth left
    /// out: there the pipeline waits to learn that history has begun and ended.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub(super) fn throughput(&self, before: u64, count: u64) -> Option<f64> {
        let first = self
            .progress
            .iter()
            .find(|(_, scored)| *scored >= before + count / 10)?;
        let last = self
            .progress
            .iter()
            .rev()
            .find(|(_, scored)| *scored <= before + count - count / 10)?;
        let seconds = last.0.checked_duration_since(first.0)?.as_secs_f64();
        (seconds > 0.0).then(|| (last.1 - first.1) as f64 / seconds)
    }

    fn take(&mut self, score: Score, measure: bool) {
        if measure {
            self.latency_ms
                .push(SystemClock.now_us() / 1000 - score.source.timestamp_ms);
        }
        if let Some(version) = score.version {
            *self.versions.entry(version).or_default() += 1;
        }
        if self.scores.insert(score.transaction_id, score.score).is_some() {
            self.duplicates += 1;
        }
    }
}
