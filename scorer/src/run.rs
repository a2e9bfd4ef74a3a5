//! The loop: take rows once, score them, let scores and offsets out together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::compute::{filter_record_batch, is_not_null, is_null};
use eventlog::{Marks, Message, MessageError};
use runtime::Shutdown;
use runtime::clock::Clock;
use runtime::health::Component;
use schema::layout::column;
use schema::{EventColumns, Score};
use stream::{Consumer, ConsumerOptions, Gather, Polled, Record, StartOffset, TopicPartition};
use tracing::info;

use crate::champion::Champions;
use crate::config::{Lane, Settings};
use crate::error::ScorerError;
use crate::metrics;
use crate::outlet::{Offsets, Outlet, Sent};
use crate::score::score;

/// How long a poll waits where nothing comes.
const IDLE: Duration = Duration::from_millis(10);
/// How often announcements are looked for.
const REFRESH: Duration = Duration::from_millis(100);
/// How long offsets without scores may wait for scores to go with.
const EMPTY: Duration = Duration::from_secs(1);
/// What the rows of an image have at least, for a frame that is not small, and how long it may take without that.
const IMAGE_BYTES: usize = 64 << 10;
const IMAGE_WAIT: Duration = Duration::from_millis(50);
/// How long the start offset may take while a predecessor's transaction is open (R13).
const COMMITTED: Duration = Duration::from_secs(120);

/// Runs the scorer until it is asked to stop.
///
/// # Errors
/// What stops it; a successor goes on from the last commit.
pub fn run(
    settings: &Settings,
    shutdown: &Shutdown,
    health: &Component,
    clock: &dyn Clock,
) -> Result<(), ScorerError> {
    while !shutdown.is_requested() {
        let mut worker = Worker::start(settings, clock)?;
        health.ready(true);
        while !shutdown.is_requested() {
            health.progress();
            if worker.turn()? == Sent::Aborted {
                break;
            }
        }
    }
    info!(lane = ?settings.lane, "scorer stopped");
    Ok(())
}

/// How far a partition of the feature log has been scored.
struct Progress {
    position: i64,
    marks: Marks,
}

struct Worker<'a> {
    settings: &'a Settings,
    clock: &'a dyn Clock,
    consumer: Consumer,
    gather: Gather,
    outlet: Outlet,
    champions: Champions,
    refreshed: Instant,
    progress: BTreeMap<TopicPartition, Progress>,
    /// Partitions that have moved since the last commit.
    moved: BTreeSet<TopicPartition>,
    committed: Instant,
}

impl<'a> Worker<'a> {
    fn start(settings: &'a Settings, clock: &'a dyn Clock) -> Result<Self, ScorerError> {
        let section = &settings.section;
        let topics = [settings.features_topic.as_str()];
        Ok(Self {
            settings,
            clock,
            champions: Champions::start(settings)?,
            outlet: Outlet::open(settings)?,
            consumer: Consumer::subscribe(
                &settings.kafka,
                &settings.group(),
                &topics,
                options(settings.lane),
            )?,
            gather: Gather::new(section.linger, section.max_linger, section.max_batch_records),
            refreshed: Instant::now(),
            progress: BTreeMap::new(),
            moved: BTreeSet::new(),
            committed: Instant::now(),
        })
    }

    fn turn(&mut self) -> Result<Sent, ScorerError> {
        if self.refreshed.elapsed() >= REFRESH {
            self.champions.refresh(self.settings)?;
            self.refreshed = Instant::now();
        }
        match self.gather.poll(&mut self.consumer, IDLE)? {
            Polled::Assigned(partitions) => self.take_over(&partitions)?,
            Polled::Revoked(partitions) => {
                // Everything scored is committed: a batch with scores never outlives its turn.
                self.progress
                    .retain(|partition, _| !partitions.contains(partition));
                self.moved.retain(|partition| !partitions.contains(partition));
                self.consumer.unassign(&partitions)?;
            }
            Polled::Records(records) if !records.is_empty() => return self.score(&records),
            Polled::Records(_) => {}
        }
        Ok(Sent::Committed)
    }

    fn take_over(&mut self, partitions: &[TopicPartition]) -> Result<(), ScorerError> {
        let mut starts = Vec::new();
        for commit in self.consumer.committed(partitions, COMMITTED)? {
            let marks = if commit.metadata.is_empty() {
                Marks::default()
            } else {
                Marks::from_metadata(&commit.metadata).map_err(|source| ScorerError::Metadata {
                    partition: commit.partition.to_string(),
                    source,
                })?
            };
            let position = commit.offset.unwrap_or(0);
            info!(partition = %commit.partition, position, "partition taken over");
            self.progress
                .insert(commit.partition.clone(), Progress { position, marks });
            starts.push((commit.partition, StartOffset::At(position)));
        }
        self.consumer.assign(&starts)?;
        Ok(())
    }

    fn score(&mut self, records: &[Record]) -> Result<Sent, ScorerError> {
        let began = Instant::now();
        let scored_at_us = self.clock.now_us();
        let mut scores = Vec::new();
        for record in records {
            let partition = record.partition();
            let Some(progress) = self.progress.get_mut(&partition) else {
                continue;
            };
            if record.offset < progress.position {
                continue;
            }
            let rows = of_lane(self.settings.lane, take(record, &mut progress.marks)?)?;
            metrics::received(rows.num_rows());
            progress.position = record.offset + 1;
            self.moved.insert(partition);
            scores.extend(score(
                self.settings,
                self.champions.current(),
                &rows,
                scored_at_us,
            )?);
        }
        if scores.is_empty() && self.committed.elapsed() < EMPTY {
            return Ok(Sent::Committed);
        }
        let scored = Instant::now();
        let offsets: Offsets = std::mem::take(&mut self.moved)
            .into_iter()
            .map(|partition| {
                let progress = &self.progress[&partition];
                (partition, progress.position, progress.marks.to_metadata())
            })
            .collect();
        self.committed = scored;
        let sent = self
            .outlet
            .send(self.settings, &self.consumer, &scores, &offsets)?;
        if sent == Sent::Committed {
            report(&scores, scored - began, scored.elapsed(), self.clock.now_us());
        }
        Ok(sent)
    }
}

/// Images take their time, and one of them is enough for a fetch; transactions without one, which the other loop scores,
/// are let gather, or else reading them twice would cost as much again.
fn options(lane: Lane) -> ConsumerOptions {
    match lane {
        Lane::Transactions => ConsumerOptions::default(),
        Lane::Images => ConsumerOptions {
            fetch_min_bytes: IMAGE_BYTES,
            fetch_wait: IMAGE_WAIT,
            ..ConsumerOptions::default()
        },
    }
}

/// The rows of a record that have not been scored yet (R5).
fn take(record: &Record, marks: &mut Marks) -> Result<RecordBatch, ScorerError> {
    let (partition, offset) = (record.partition().to_string(), record.offset);
    let foreign = |error: MessageError| ScorerError::Foreign {
        partition: partition.clone(),
        offset,
        what: error.to_string(),
    };
    let (header, rows) =
        Message::decode(record.header(eventlog::HEADER), record.payload.as_deref()).map_err(foreign)?;
    let columns = EventColumns::of(&rows).map_err(|e| foreign(e.into()))?;
    let first = marks
        .take(&header.writer, header.index_before, columns.index.values())
        .map_err(|source| ScorerError::Gap {
            partition: partition.clone(),
            offset,
            source,
        })?;
    metrics::repeated(first);
    Ok(rows.slice(first, rows.num_rows() - first))
}

/// The rows that this loop scores.
fn of_lane(lane: Lane, rows: RecordBatch) -> Result<RecordBatch, ScorerError> {
    let images = rows.column_by_name(column::IMAGE_ID);
    let wanted = match (lane, images) {
        (Lane::Transactions, None) => return Ok(rows),
        (Lane::Transactions, Some(images)) => is_null(images)?,
        (Lane::Images, None) => return Ok(rows.slice(0, 0)),
        (Lane::Images, Some(images)) => is_not_null(images)?,
    };
    if wanted.true_count() == rows.num_rows() {
        return Ok(rows);
    }
    Ok(filter_record_batch(&rows, &wanted)?)
}

#[expect(clippy::cast_precision_loss, reason = "histograms")]
fn report(scores: &[Score], scoring: Duration, commit: Duration, now_us: i64) {
    metrics::written(scores.len());
    metrics::batch(scores.len(), scoring.as_secs_f64(), commit.as_secs_f64());
    for score in scores {
        // What a later revision waited for is its image, and not told by its source.
        let latency_ms = (score.revision == 0).then(|| now_us / 1000 - score.source.timestamp_ms);
        metrics::scored(score, latency_ms.map(|ms| ms as f64 / 1e3));
    }
}
