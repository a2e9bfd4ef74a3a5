//! A consumer of scores beside the demo: it counts, and remembers what it saw and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::anyhow;
use runtime::clock::{Clock, SystemClock};
use schema::{Score, SubjectKind};

use crate::commands::consume::Reader;
use crate::config::Resolved;

/// What a consumer of scores has seen.
#[derive(Default)]
pub(super) struct Collected {
    /// The score of each transaction; none where there was no model yet.
    pub(super) scores: BTreeMap<String, Option<f64>>,
    /// The score of each image; none where there was no model yet.
    pub(super) image_scores: BTreeMap<String, Option<f64>>,
    /// Scores that came a second time.
    pub(super) duplicates: u64,
    /// Later revisions of transactions: an image has come after them.
    pub(super) revisions: u64,
    /// The revisions of transactions that have come.
    seen: BTreeSet<(String, i32)>,
    /// From the timestamp of a transaction's raw record to its score in the consumer's hands.
    pub(super) latency_ms: Vec<i64>,
    /// When how many transactions were scored: one entry a poll.
    pub(super) progress: Vec<(Instant, u64)>,
    /// Versions of the models that scored, and how many each.
    pub(super) versions: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Shared {
    scored: AtomicU64,
    images: AtomicU64,
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
                    let images = collected.image_scores.len() as u64;
                    of_thread.images.store(images, Ordering::Relaxed);
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

    /// Images scored so far.
    pub(super) fn images(&self) -> u64 {
        self.shared.images.load(Ordering::Relaxed)
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
        let latency_ms = SystemClock.now_us() / 1000 - score.source.timestamp_ms;
        if let Some(version) = score.version {
            *self.versions.entry(version).or_default() += 1;
        }
        if let Some(image) = score.image_id.filter(|_| score.subject == SubjectKind::Image) {
            self.duplicates += u64::from(self.image_scores.insert(image, score.score).is_some());
            return;
        }
        let (id, revision) = (score.transaction_id, score.revision);
        let new = revision == 0 || self.seen.insert((id.clone(), revision));
        let before = if revision == 0 {
            self.latency_ms.extend(measure.then_some(latency_ms));
            self.scores.insert(id, score.score)
        } else {
            self.revisions += 1;
            None
        };
        self.duplicates += u64::from(!new || before.is_some());
    }
}
