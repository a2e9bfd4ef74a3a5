//! The loop: read, number, send, commit.

use std::collections::BTreeMap;
use std::time::Duration;

use eventlog::{CatchUp, CatchUpSettings, CommitNote, Message as Batch, NEVER_US, Pace};
use runtime::Shutdown;
use runtime::clock::{Clock, micros};
use runtime::health::Component;
use schema::SourceTopic;
use stream::{
    CommitOutcome, Consumer, ConsumerOptions, Gather, Outgoing as Message, Polled, Producer, ProducerOptions,
    Record, StartOffset, StreamError, TopicPartition,
};
use tracing::{debug, info};

use crate::config::Settings;
use crate::error::IngestError;
use crate::images::Door;
use crate::letters::{Letter, Letters};
use crate::metrics;
use crate::source::{Beginning, Outgoing, Say, Source};

/// How long a poll waits where nothing comes.
const IDLE: Duration = Duration::from_millis(10);
/// Records numbered of one source before the next one has its turn.
const ROUND: usize = 256;
/// Read but not numbered records of a source above which the broker is asked for no more.
const MAX_PENDING: usize = 20_000;
/// Bytes of them above which it is asked for no more.
const MAX_PENDING_BYTES: usize = 32 << 20;
/// Bits of a generation that count resumptions within one of the group's.
const RESUMPTION_BITS: u32 = 20;
/// How often words are repeated to everybody (R7).
const REPEAT_INTERVAL: Duration = Duration::from_secs(5);
/// How often the ends of the partitions and the other workers' commits are asked for.
const ASK_INTERVAL: Duration = Duration::from_millis(100);
/// How long the last batches may take to be acknowledged when a partition is given away.
const HAND_OVER: Duration = Duration::from_secs(5);
const BROKER_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs ingest until it is asked to stop, then drains.
///
/// # Errors
/// What stops it; nothing is lost by it, a successor goes on from the last commit.
pub fn run(
    settings: &Settings,
    shutdown: &Shutdown,
    health: &Component,
    clock: &dyn Clock,
) -> Result<(), IngestError> {
    let mut worker = Worker::start(settings, clock)?;
    health.ready(true);
    while !shutdown.is_requested() {
        worker.turn()?;
        health.progress();
    }
    worker.drain(settings.section.commit_interval + BROKER_TIMEOUT)
}

struct Worker<'a> {
    settings: &'a Settings,
    clock: &'a dyn Clock,
    consumer: Consumer,
    gather: Gather,
    producer: Producer,
    letters: Letters,
    door: Option<Door>,
    sources: BTreeMap<TopicPartition, Source>,
    /// Partitions of both raw topics, ours or not.
    everybody: Vec<TopicPartition>,
    targets: usize,
    /// Newest event time and flag of the sources that others own (R16).
    others: Vec<(i64, bool)>,
    /// The group's generation.
    generation: i64,
    /// How often history has streamed in after a pause in this generation.
    resumptions: i64,
    /// Everybody is to hear the new generation before the first rows.
    speak_first: bool,
    /// Offsets that a commit has not confirmed yet.
    uncommitted: BTreeMap<TopicPartition, (i64, String)>,
    repeated_at_us: i64,
    committed_at_us: i64,
    asked_at_us: i64,
}

impl<'a> Worker<'a> {
    fn start(settings: &'a Settings, clock: &'a dyn Clock) -> Result<Self, IngestError> {
        let section = &settings.section;
        let mut topics = vec![
            settings.transactions_topic.as_str(),
            settings.labels_topic.as_str(),
        ];
        topics.extend(settings.images.as_ref().map(|images| images.topic.as_str()));
        let consumer = Consumer::subscribe(
            &settings.kafka,
            &section.group,
            &topics,
            ConsumerOptions::default(),
        )?;
        let mut everybody = Vec::new();
        for topic in topics {
            let count = consumer.partition_count(topic)?;
            everybody.extend((0..count).map(|partition| TopicPartition::new(topic, partition)));
        }
        let targets = usize::try_from(consumer.partition_count(&settings.events_topic)?).unwrap_or(0);
        Ok(Self {
            settings,
            clock,
            gather: Gather::new(section.linger, section.max_linger, section.max_batch_records),
            producer: Producer::new(&settings.kafka, ProducerOptions::default())?,
            door: Door::open(settings)?,
            letters: Letters::start(&settings.kafka, &section.group, &settings.dead_letters_topic)?,
            consumer,
            sources: BTreeMap::new(),
            everybody,
            targets,
            others: Vec::new(),
            generation: -1,
            resumptions: 0,
            speak_first: false,
            uncommitted: BTreeMap::new(),
            repeated_at_us: 0,
            committed_at_us: 0,
            asked_at_us: 0,
        })
    }

    fn turn(&mut self) -> Result<(), IngestError> {
        match self.gather.poll(&mut self.consumer, IDLE)? {
            Polled::Assigned(partitions) => self.take_over(&partitions)?,
            Polled::Revoked(partitions) => self.hand_over(&partitions)?,
            Polled::Records(records) => self.offer(records)?,
        }
        self.number()?;
        self.ask()?;
        self.send()?;
        self.commit()
    }

    /// Begins with partitions where their last owner's commits end.
    fn take_over(&mut self, partitions: &[TopicPartition]) -> Result<(), IngestError> {
        let committed = self.consumer.committed(partitions, BROKER_TIMEOUT)?;
        let mut starts = Vec::new();
        for commit in committed {
            let partition = commit.partition;
            let note = if commit.metadata.is_empty() {
                CommitNote {
                    index_before: vec![-1; self.targets],
                    newest_us: NEVER_US,
                    caught_up: false,
                }
            } else {
                CommitNote::from_metadata(&commit.metadata).map_err(|source| IngestError::CommitNote {
                    partition: partition.to_string(),
                    source,
                })?
            };
            let position = match commit.offset {
                Some(offset) => offset,
                None => self
                    .consumer
                    .beginning_offsets(std::slice::from_ref(&partition), BROKER_TIMEOUT)?[0],
            };
            info!(%partition, position, "source taken over");
            let source = self.source(&partition, Beginning { position, note });
            self.sources.insert(partition.clone(), source);
            starts.push((partition, StartOffset::At(position)));
        }
        self.consumer.assign(&starts)?;
        Ok(())
    }

    fn source(&self, partition: &TopicPartition, beginning: Beginning) -> Source {
        let order = &self.settings.section.order;
        let settings = CatchUpSettings {
            recent_us: micros(order.recent),
            silence_us: micros(order.silence),
            grace_us: micros(order.grace),
        };
        let catch_up = CatchUp::start(settings, self.clock.now_us(), beginning.note.caught_up);
        let images = self.settings.images.as_ref();
        let topic = if *partition.topic == *self.settings.labels_topic {
            SourceTopic::Labels
        } else if images.is_some_and(|images| *partition.topic == *images.topic) {
            SourceTopic::Images
        } else {
            SourceTopic::Transactions
        };
        Source::new(self.settings, partition.clone(), topic, beginning, catch_up)
    }

    /// Gives partitions away: what is made of them is sent and, as far as it is acknowledged in time, committed.
    fn hand_over(&mut self, partitions: &[TopicPartition]) -> Result<(), IngestError> {
        // What is not acknowledged in time is not committed, and the successor makes it again.
        if let Err(error) = self.producer.flush(HAND_OVER).and(self.commit_now_or_later())
            && !error.is_retryable()
        {
            return Err(error.into());
        }
        for partition in partitions {
            self.sources.remove(partition);
            info!(%partition, "source handed over");
        }
        self.consumer.unassign(partitions)?;
        Ok(())
    }

    fn offer(&mut self, records: Vec<Record>) -> Result<(), IngestError> {
        for record in records {
            let partition = record.partition();
            if let Some(source) = self.sources.get_mut(&partition) {
                source.offer(record, self.door.as_ref())?;
            }
        }
        Ok(())
    }

    /// Numbers what has been read, source by source, none too far ahead of the slowest (R16).
    fn number(&mut self) -> Result<(), IngestError> {
        let now_us = self.clock.now_us();
        let was_idle = self.sources.values().all(|s| s.catch_up.caught_up());
        let mut total = 0;
        while total < self.settings.section.max_batch_records {
            let limit_us = self.limit_us();
            let mut moved = 0;
            for source in self.sources.values_mut() {
                let (count, refused) = source.advance(self.settings, ROUND, limit_us);
                if count > 0 {
                    metrics::received(source.topic, count);
                    source.catch_up.read(now_us, source.newest_us());
                    moved += count;
                }
                hand_in(&self.letters, source, refused)?;
            }
            if moved == 0 {
                break;
            }
            total += moved;
        }
        if was_idle && total > 0 {
            self.cease_if_history(now_us);
        }
        self.balance()
    }

    /// The event time up to which sources may read (R16).
    fn limit_us(&self) -> i64 {
        let pace = Pace::new(micros(self.settings.section.order.max_ahead));
        let own = self
            .sources
            .values()
            .map(|s| (s.newest_us(), s.catch_up.caught_up()));
        pace.limit_us(own.chain(self.others.iter().copied()))
    }

    /// After a pause of all sources, the first one that brings history makes the others wait for theirs (R6).
    ///
    /// A higher generation voids what all stages still believe of them (R8). Only a worker that owns every source
    /// can raise it: others would have to speak in it as well.
    fn cease_if_history(&mut self, now_us: i64) {
        let history = self.sources.values().any(|s| !s.catch_up.caught_up());
        if history && self.sources.len() == self.everybody.len() {
            debug!("history streams in: no source is caught up any more");
            self.sources.values_mut().for_each(|s| s.cease(now_us));
            self.resumptions += 1;
            self.speak_first = true;
        }
    }

    /// Asks the broker for no more of a source that is held back (INV-8).
    fn balance(&mut self) -> Result<(), IngestError> {
        let pending = |s: &Source, share: usize| {
            let (records, bytes) = s.pending();
            records > MAX_PENDING / share || bytes > MAX_PENDING_BYTES / share
        };
        let those = |wanted: &dyn Fn(&Source) -> bool| -> Vec<TopicPartition> {
            let sources = self.sources.values().filter(|s| wanted(s));
            sources.map(|s| s.partition.clone()).collect()
        };
        let full = those(&|s| pending(s, 1));
        let free = those(&|s| !pending(s, 2));
        self.consumer.pause(&full)?;
        self.consumer.resume(&free)?;
        Ok(())
    }

    /// Decides who is caught up, asking the broker for ends only where that could change something.
    fn ask(&mut self) -> Result<(), IngestError> {
        let now_us = self.clock.now_us();
        let due = now_us - self.asked_at_us >= micros(ASK_INTERVAL);
        for source in self.sources.values_mut().filter(|s| s.catch_up.caught_up()) {
            let end = self
                .consumer
                .cached_end(&source.partition)
                .unwrap_or(source.position());
            source.decide(
                now_us,
                self.consumer.position(&source.partition).unwrap_or(0),
                end,
            );
        }
        if !due {
            return Ok(());
        }
        self.asked_at_us = now_us;
        let behind: Vec<TopicPartition> = self
            .sources
            .values()
            .filter(|s| !s.catch_up.caught_up())
            .map(|s| s.partition.clone())
            .collect();
        if !behind.is_empty() {
            let ends = self.consumer.end_offsets(&behind, BROKER_TIMEOUT)?;
            for (partition, end) in behind.iter().zip(ends) {
                let source = self.sources.get_mut(partition).expect("taken from there");
                metrics::lag(source.topic, partition.partition, end - source.position());
                source.decide(now_us, self.consumer.position(partition).unwrap_or(0), end);
            }
            self.hear_others()?;
        }
        Ok(())
    }

    /// What the owners of the other sources have committed (R16).
    fn hear_others(&mut self) -> Result<(), IngestError> {
        let others: Vec<TopicPartition> = self
            .everybody
            .iter()
            .filter(|p| !self.sources.contains_key(*p))
            .cloned()
            .collect();
        self.others.clear();
        if others.is_empty() {
            return Ok(());
        }
        for commit in self.consumer.committed(&others, BROKER_TIMEOUT)? {
            let note = CommitNote::from_metadata(&commit.metadata).ok();
            self.others
                .push(note.map_or((NEVER_US, false), |n| (n.newest_us, n.caught_up)));
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), IngestError> {
        let say = self.say();
        if std::mem::take(&mut self.speak_first) {
            let words: Vec<Outgoing> = self.sources.values_mut().flat_map(|s| s.words(&say)).collect();
            for out in words {
                self.send_batch(out)?;
            }
        }
        let partitions: Vec<TopicPartition> = self.sources.keys().cloned().collect();
        for partition in partitions {
            let source = self.sources.get_mut(&partition).expect("its key was just there");
            let topic = source.topic;
            for out in source.batches(&say)? {
                let rows = out.rows;
                self.send_batch(out)?;
                if rows > 0 {
                    metrics::written(topic, rows);
                    metrics::batch(rows);
                }
            }
            let sequence = self.producer.sent();
            self.sources
                .get_mut(&partition)
                .expect("its key was just there")
                .mark(sequence);
        }
        Ok(())
    }

    fn send_batch(&mut self, out: Outgoing) -> Result<(), IngestError> {
        for batch in Batch::encode(out.header, &out.batch)? {
            self.producer.send(Message {
                topic: &self.settings.events_topic,
                partition: Some(i32::try_from(out.target).expect("a partition's number")),
                key: None,
                payload: Some(&batch.payload),
                headers: &[(eventlog::HEADER, &batch.header)],
                timestamp_us: None,
            })?;
        }
        Ok(())
    }

    /// What this turn says to all targets (R7).
    fn say(&mut self) -> Say {
        let now_us = self.clock.now_us();
        let generation = self.consumer.generation().unwrap_or(self.generation);
        let again = generation != self.generation || now_us - self.repeated_at_us >= micros(REPEAT_INTERVAL);
        if again {
            self.repeated_at_us = now_us;
        }
        if generation != self.generation {
            (self.generation, self.resumptions) = (generation, 0);
        }
        let sources = u32::try_from(self.everybody.len()).unwrap_or(u32::MAX);
        let generation = (self.generation << RESUMPTION_BITS) + self.resumptions;
        Say {
            generation,
            sources,
            again,
            now_us,
        }
    }

    fn commit(&mut self) -> Result<(), IngestError> {
        for out in self.letters.out() {
            if let Some(source) = self.sources.get_mut(&out.source) {
                source.letters_out(out.below);
            }
        }
        let now_us = self.clock.now_us();
        if now_us - self.committed_at_us < micros(self.settings.section.commit_interval) {
            return Ok(());
        }
        self.committed_at_us = now_us;
        Ok(self.commit_now_or_later()?)
    }

    /// Commits what may be (R3); what the broker cannot take now is kept for the next time.
    fn commit_now_or_later(&mut self) -> Result<(), StreamError> {
        let acked = self.producer.acked()?;
        for source in self.sources.values_mut() {
            if let Some((partition, offset, note)) = source.committable(acked) {
                self.uncommitted.insert(partition, (offset, note));
            }
        }
        self.uncommitted
            .retain(|partition, _| self.sources.contains_key(partition));
        if self.uncommitted.is_empty() {
            return Ok(());
        }
        let offsets: Vec<_> = self
            .uncommitted
            .iter()
            .map(|(p, (offset, note))| (p.clone(), *offset, note.clone()))
            .collect();
        if self.consumer.commit(&offsets)? != CommitOutcome::Retriable {
            self.uncommitted.clear();
        }
        Ok(())
    }

    /// Sends and commits what has been read, and leaves the group.
    fn drain(&mut self, deadline: Duration) -> Result<(), IngestError> {
        let until_us = self.clock.now_us().saturating_add(micros(deadline));
        self.send()?;
        self.producer.flush(deadline)?;
        while self.clock.now_us() < until_us {
            self.committed_at_us = 0;
            self.commit()?;
            if self.sources.values().all(Source::settled) {
                break;
            }
            std::thread::sleep(IDLE);
        }
        info!("ingest drained");
        Ok(())
    }
}

fn hand_in(letters: &Letters, source: &Source, refused: Vec<Letter>) -> Result<(), IngestError> {
    if refused.is_empty() {
        Ok(())
    } else {
        letters.send(source.partition.clone(), refused)
    }
}
