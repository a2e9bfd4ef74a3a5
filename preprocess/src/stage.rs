//! The worker of one keyed stage: reads its partitions, folds, sends, stores snapshots.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use eventlog::{BatchHeader, Message as Batch};
use lake::Snapshots;
use runtime::Shutdown;
use runtime::clock::Clock;
use runtime::health::Component;
use stream::{
    Consumer, ConsumerOptions, Gather, Outgoing, Polled, Producer, ProducerOptions, Record, StartOffset,
    TopicPartition,
};
use tracing::info;

use crate::config::StageSettings;
use crate::error::PreprocessError;
use crate::metrics;
use crate::partition::{Partition, Place};
use crate::pixels::{Pixels, parts};
use crate::snapshots::{Keeper, Snapshot};

/// How long a poll waits where nothing comes.
const IDLE: Duration = Duration::from_millis(10);
/// How often a clock that moves is told where no rows go (R7).
const WORD_INTERVAL_US: i64 = 20_000;
/// How often words are repeated to everybody (R7).
const REPEAT_INTERVAL_US: i64 = 5_000_000;
/// How long the last batches may take to be acknowledged when a partition is given away.
const HAND_OVER: Duration = Duration::from_secs(5);

/// Runs the worker of one keyed stage until it is asked to stop.
///
/// # Errors
/// What stops it; a successor goes on from any snapshot.
pub fn run(
    settings: &StageSettings,
    shutdown: &Shutdown,
    health: &Component,
    clock: &dyn Clock,
) -> Result<(), PreprocessError> {
    let mut worker = Worker::start(settings, clock)?;
    health.ready(true);
    while !shutdown.is_requested() {
        worker.turn()?;
        health.progress();
    }
    worker.drain()
}

/// A partition with what is to become of its state.
struct Owned<'a> {
    state: Partition<'a>,
    /// A snapshot, and the sequence number that has to be acknowledged before it is stored (R11).
    pending: Option<(u64, Snapshot)>,
    snapshot_at_us: i64,
    /// Input offset of the newest snapshot taken.
    snapshot_position: i64,
}

struct Worker<'a> {
    settings: &'a StageSettings,
    clock: &'a dyn Clock,
    consumer: Consumer,
    gather: Gather,
    producer: Producer,
    /// What joins the rows of images, in the last stage.
    pixels: Option<Pixels>,
    snapshots: Snapshots,
    keeper: Keeper,
    owned: BTreeMap<i32, Owned<'a>>,
    partitions: u32,
    targets: usize,
    repeated_at_us: i64,
}

impl<'a> Worker<'a> {
    fn start(settings: &'a StageSettings, clock: &'a dyn Clock) -> Result<Self, PreprocessError> {
        let section = &settings.section;
        let group = format!("{}-{}", section.group, settings.entity());
        let consumer = Consumer::subscribe(
            &settings.kafka,
            &group,
            &[&settings.input],
            ConsumerOptions::default(),
        )?;
        let snapshots = Snapshots::new(settings.store.clone());
        Ok(Self {
            settings,
            clock,
            partitions: u32::try_from(consumer.partition_count(&settings.input)?).unwrap_or(0),
            targets: usize::try_from(consumer.partition_count(&settings.output)?).unwrap_or(0),
            consumer,
            gather: Gather::new(section.linger, section.max_linger, section.max_batch_records),
            producer: Producer::new(&settings.kafka, ProducerOptions::default())?,
            pixels: (settings.is_last() && settings.layout.images)
                .then(|| Pixels::new(settings.store.clone(), section.images.frame)),
            keeper: Keeper::start(settings.entity(), snapshots.clone())?,
            snapshots,
            owned: BTreeMap::new(),
            repeated_at_us: 0,
        })
    }

    fn turn(&mut self) -> Result<(), PreprocessError> {
        match self.gather.poll(&mut self.consumer, IDLE)? {
            Polled::Assigned(partitions) => self.take_over(&partitions)?,
            Polled::Revoked(partitions) => self.hand_over(&partitions)?,
            Polled::Records(records) => self.fold(&records)?,
        }
        self.send()?;
        self.store()
    }

    fn take_over(&mut self, partitions: &[TopicPartition]) -> Result<(), PreprocessError> {
        let mut starts = Vec::new();
        for partition in partitions {
            let began = Instant::now();
            let state = self.restore(partition.partition)?;
            let position = state.position();
            metrics::restored(self.settings.entity(), began.elapsed().as_secs_f64());
            info!(%partition, position, observations = state.observations(), "partition taken over");
            let snapshot_at_us = self.clock.now_us();
            let owned = Owned {
                state,
                pending: None,
                snapshot_at_us,
                snapshot_position: position,
            };
            self.owned.insert(partition.partition, owned);
            starts.push((partition.clone(), StartOffset::At(position)));
        }
        self.consumer.assign(&starts)?;
        Ok(())
    }

    /// The newest snapshot of these definitions, or the start of the log (R11).
    fn restore(&self, partition: i32) -> Result<Partition<'a>, PreprocessError> {
        let place = Place {
            partition,
            partitions: self.partitions,
            targets: self.targets,
        };
        let fingerprint = Partition::fingerprint(self.settings, place);
        match self
            .snapshots
            .latest(self.settings.entity(), partition, &fingerprint)?
        {
            Some(s) => Partition::restore(self.settings, place, WORD_INTERVAL_US, (s.position, &s.payload)),
            None => Ok(Partition::new(self.settings, place, WORD_INTERVAL_US)),
        }
    }

    fn hand_over(&mut self, partitions: &[TopicPartition]) -> Result<(), PreprocessError> {
        self.snapshot(true)?;
        // A snapshot whose rows are not acknowledged in time is not stored (R11): the successor takes an older one.
        if let Err(error) = self.producer.flush(HAND_OVER)
            && !error.is_retryable()
        {
            return Err(error.into());
        }
        self.store()?;
        for partition in partitions {
            self.owned.remove(&partition.partition);
            info!(%partition, "partition handed over");
        }
        self.consumer.unassign(partitions)?;
        Ok(())
    }

    fn fold(&mut self, records: &[Record]) -> Result<(), PreprocessError> {
        for record in records {
            let Some(owned) = self.owned.get_mut(&record.partition) else {
                continue;
            };
            if record.offset < owned.state.position() {
                continue;
            }
            let (header, rows) = read(record)?;
            owned.state.apply(record.offset, &header, &rows)?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), PreprocessError> {
        let now_us = self.clock.now_us();
        let again = now_us - self.repeated_at_us >= REPEAT_INTERVAL_US;
        if again {
            self.repeated_at_us = now_us;
        }
        for (partition, owned) in &mut self.owned {
            for out in owned.state.outgoing(now_us, again)? {
                let target = i32::try_from(out.target).expect("a partition's number");
                let Some(pixels) = &self.pixels else {
                    send(&mut self.producer, self.settings, target, out.header, &out.rows)?;
                    continue;
                };
                for (header, rows) in parts(out.header, out.rows)? {
                    let rows = pixels.join(&rows)?;
                    send(&mut self.producer, self.settings, target, header, &rows)?;
                }
            }
            if again {
                let (waiting, observations) = (owned.state.waiting(), owned.state.observations());
                metrics::state(self.settings.entity(), *partition, waiting, observations);
            }
        }
        Ok(())
    }

    /// Takes snapshots that are due, and has those stored whose rows are all acknowledged.
    fn store(&mut self) -> Result<(), PreprocessError> {
        self.snapshot(false)?;
        let acked = self.producer.acked()?;
        let mut offsets = Vec::new();
        for owned in self.owned.values_mut() {
            if let Some((_, snapshot)) = owned.pending.take_if(|(sequence, _)| *sequence <= acked) {
                let partition = TopicPartition::new(self.settings.input.as_str(), snapshot.partition);
                offsets.push((partition, snapshot.position, String::new()));
                self.keeper.keep(snapshot)?;
            }
        }
        if !offsets.is_empty() {
            // Where a successor begins is told by its snapshot; the offsets only show the lag to people.
            self.consumer.commit(&offsets)?;
        }
        Ok(())
    }

    fn snapshot(&mut self, now: bool) -> Result<(), PreprocessError> {
        let now_us = self.clock.now_us();
        let interval_us =
            i64::try_from(self.settings.section.snapshot_interval.as_micros()).unwrap_or(i64::MAX);
        for (partition, owned) in &mut self.owned {
            let due = now || now_us - owned.snapshot_at_us >= interval_us;
            let position = owned.state.position();
            if !due || owned.pending.is_some() || position == owned.snapshot_position {
                continue;
            }
            let place = Place {
                partition: *partition,
                partitions: self.partitions,
                targets: self.targets,
            };
            let fingerprint = Partition::fingerprint(self.settings, place);
            let payload = owned.state.snapshot()?;
            let snapshot = Snapshot {
                partition: *partition,
                position,
                fingerprint,
                payload,
            };
            owned.pending = Some((self.producer.sent(), snapshot));
            (owned.snapshot_at_us, owned.snapshot_position) = (now_us, position);
        }
        Ok(())
    }

    fn drain(mut self) -> Result<(), PreprocessError> {
        self.send()?;
        self.snapshot(true)?;
        self.producer.flush(HAND_OVER)?;
        self.store()?;
        info!(stage = self.settings.entity(), "stage drained");
        Ok(())
    }
}

/// Sends a batch to a partition of the next topic.
fn send(
    producer: &mut Producer,
    settings: &StageSettings,
    target: i32,
    header: BatchHeader,
    rows: &RecordBatch,
) -> Result<(), PreprocessError> {
    for batch in Batch::encode(header, rows)? {
        producer.send(Outgoing {
            topic: &settings.output,
            partition: Some(target),
            key: None,
            payload: Some(&batch.payload),
            headers: &[(eventlog::HEADER, &batch.header)],
            timestamp_us: None,
        })?;
    }
    Ok(())
}

/// A record of an internal topic: the batch's header and its rows.
pub(crate) fn read(record: &Record) -> Result<(BatchHeader, RecordBatch), PreprocessError> {
    Batch::decode(record.header(eventlog::HEADER), record.payload.as_deref()).map_err(|error| {
        PreprocessError::Foreign {
            partition: record.partition().to_string(),
            offset: record.offset,
            what: error.to_string(),
        }
    })
}
