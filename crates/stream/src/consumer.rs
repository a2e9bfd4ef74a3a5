//! Records and rebalances, one after the other, on the thread of the one who asks.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use tracing::{debug, warn};

use crate::Result;
use crate::config::{ConsumerOptions, Kafka};
use crate::error::{StreamError, is_transient};
use crate::group::GroupMetadata;
use crate::native::{self, CommitQueue};
use crate::record::{Polled, Record, StartOffset, TopicPartition};

pub use self::commits::CommitOutcome;
pub use self::offsets::Committed;
pub(crate) use self::offsets::{committed, with_metadata};
use self::offsets::{list, starts};
pub(crate) use self::rebalance::Context;
use self::rebalance::Event;

mod commits;
mod offsets;
mod rebalance;

/// The group that consumers without a group name; they never join it and never commit.
const NO_GROUP: &str = "riskstream-no-group";
/// How long leaving the group may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A consumer, as a member of a group or on its own.
///
/// A rebalance is told by [`Consumer::poll`] and happens when its owner says so: after
/// [`Polled::Assigned`] with [`Consumer::assign`], after [`Polled::Revoked`] with [`Consumer::unassign`], on
/// the owner's thread, when it has finished what it was doing. Dropping the consumer leaves the group.
pub struct Consumer {
    consumer: Arc<BaseConsumer<Context>>,
    commits: CommitQueue<BaseConsumer<Context>>,
    commit_under_way: Cell<bool>,
    member: bool,
    owned: BTreeSet<TopicPartition>,
    topics: Vec<Arc<str>>,
    deferred: Option<StreamError>,
}

impl Consumer {
    /// Joins a group as a reader of `topics`, cooperatively and committing nothing by itself.
    ///
    /// # Errors
    /// If the client cannot be made or a topic's name is not one.
    pub fn subscribe(kafka: &Kafka, group: &str, topics: &[&str], options: ConsumerOptions) -> Result<Self> {
        let consumer = Self::new(kafka, group, &options, true)?;
        let subscribed = consumer.consumer.subscribe(topics);
        subscribed.map_err(|e| StreamError::of("subscribing to topics", e))?;
        Ok(consumer)
    }

    /// Reads these partitions without a group: for models' announcements and for looking at topics.
    ///
    /// # Errors
    /// If the client cannot be made or does not take the partitions.
    pub fn attach(kafka: &Kafka, partitions: Vec<(TopicPartition, StartOffset)>) -> Result<Self> {
        let mut consumer = Self::new(kafka, NO_GROUP, &ConsumerOptions::default(), false)?;
        consumer.assign(&partitions)?;
        Ok(consumer)
    }

    fn new(kafka: &Kafka, group: &str, options: &ConsumerOptions, member: bool) -> Result<Self> {
        let created = kafka
            .consumer(group, options)
            .create_with_context(Context::default());
        let consumer: Arc<BaseConsumer<Context>> =
            Arc::new(created.map_err(|e| StreamError::of("creating a consumer", e))?);
        Ok(Self {
            commits: CommitQueue::new(Arc::clone(&consumer)),
            consumer,
            commit_under_way: Cell::new(false),
            member,
            owned: BTreeSet::new(),
            topics: Vec::new(),
            deferred: None,
        })
    }

    /// Waits up to `wait` for the first record, then takes what is there without waiting, up to `max_records`
    /// and until `max_bytes` are reached. Rebalances come one at a time, and before records.
    ///
    /// # Errors
    /// What the owner has to do something about; what librdkafka gets over by itself is only logged. Records
    /// taken before an error are handed out first.
    pub fn poll(&mut self, wait: Duration, max_records: usize, max_bytes: usize) -> Result<Polled> {
        if let Some(event) = self.next_event()? {
            return Ok(event);
        }
        if let Some(error) = self.deferred.take() {
            return Err(error);
        }
        let records = self.take(wait, max_records, max_bytes);
        if !records.is_empty() {
            return Ok(Polled::Records(records));
        }
        if let Some(error) = self.deferred.take() {
            return Err(error);
        }
        Ok(self.next_event()?.unwrap_or(Polled::Records(records)))
    }

    fn take(&mut self, wait: Duration, max_records: usize, max_bytes: usize) -> Vec<Record> {
        let deadline = Instant::now() + wait;
        let mut records = Vec::new();
        let mut bytes = 0;
        while records.len() < max_records && bytes < max_bytes {
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = if records.is_empty() {
                whole_millis(left)
            } else {
                Duration::ZERO
            };
            match self.consumer.poll(patience) {
                Some(Ok(message)) => {
                    let record = record(&mut self.topics, &message);
                    bytes += record.bytes();
                    records.push(record);
                }
                Some(Err(error)) => match serious(error) {
                    None => {}
                    Some(error) => {
                        self.deferred = Some(error);
                        break;
                    }
                },
                None => break,
            }
        }
        records
    }

    /// The next rebalance. One of no partitions only wants an answer, which it gets here.
    fn next_event(&mut self) -> Result<Option<Polled>> {
        while let Some(event) = self.consumer.context().next() {
            match event {
                Event::Assigned(partitions) if partitions.is_empty() => self.assign(&[])?,
                Event::Revoked(partitions) if partitions.is_empty() => self.unassign(&[])?,
                Event::Assigned(partitions) => return Ok(Some(Polled::Assigned(partitions))),
                Event::Revoked(partitions) => return Ok(Some(Polled::Revoked(partitions))),
            }
        }
        Ok(None)
    }

    /// Begins to read partitions, beside those read already.
    ///
    /// # Errors
    /// If the client does not take them.
    pub fn assign(&mut self, partitions: &[(TopicPartition, StartOffset)]) -> Result<()> {
        let assigned = self.consumer.incremental_assign(&starts(partitions)?);
        assigned.map_err(|e| StreamError::of("assigning partitions", e))?;
        self.owned
            .extend(partitions.iter().map(|(partition, _)| partition.clone()));
        Ok(())
    }

    /// Lets go of partitions: from now on nothing of them is read or committed.
    ///
    /// # Errors
    /// If the client does not know them.
    pub fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        for partition in partitions {
            self.owned.remove(partition);
        }
        let unassigned = self.consumer.incremental_unassign(&list(partitions));
        unassigned.map_err(|e| StreamError::of("letting go of partitions", e))
    }

    /// Whether the partitions about to be revoked are somebody else's already: the group has gone on without
    /// us, and commits will be refused.
    #[must_use]
    pub fn assignment_lost(&self) -> bool {
        self.consumer.assignment_lost()
    }

    /// The group's generation as of now (R7); none before the first join and after falling out of the group.
    #[must_use]
    pub fn generation(&self) -> Option<i64> {
        native::generation(&*self.consumer)
    }

    /// Who we are in the group, for a transaction that commits our offsets (R13).
    ///
    /// # Errors
    /// None for a consumer that is in a group.
    pub fn group_metadata(&self) -> Result<GroupMetadata> {
        GroupMetadata::of(&self.consumer)
    }

    /// Stops handing out records of partitions, and fetching more than a little of them (INV-8).
    ///
    /// # Errors
    /// If the client does not know them.
    pub fn pause(&self, partitions: &[TopicPartition]) -> Result<()> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.consumer
            .pause(&list(partitions))
            .map_err(|e| StreamError::of("pausing partitions", e))
    }

    /// Goes on handing out records of partitions.
    ///
    /// # Errors
    /// If the client does not know them.
    pub fn resume(&self, partitions: &[TopicPartition]) -> Result<()> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.consumer
            .resume(&list(partitions))
            .map_err(|e| StreamError::of("resuming partitions", e))
    }
}

impl Drop for Consumer {
    /// Leaves the group. A rebalance that was told but not answered would hold that up for good, so it is
    /// answered here.
    fn drop(&mut self) {
        self.consumer.context().close();
        if let Err(error) = self.consumer.close_queue() {
            debug!(%error, "consumer closed already");
            return;
        }
        if let Err(error) = self.consumer.unassign() {
            debug!(%error, "nothing to let go of");
        }
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while !self.consumer.closed() && Instant::now() < deadline {
            let _ = self.consumer.poll(Duration::from_millis(20));
        }
        if self.member && !self.consumer.closed() {
            warn!("the consumer could not leave its group in time; the group will miss it");
        }
    }
}

/// Rounded up to what rdkafka can sleep: it spins through the last fraction of a millisecond.
fn whole_millis(duration: Duration) -> Duration {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// An error the owner has to know of; others pass, librdkafka goes on by itself.
fn serious(error: KafkaError) -> Option<StreamError> {
    match error.rdkafka_error_code() {
        Some(code) if !matches!(error, KafkaError::MessageConsumptionFatal(_)) && is_transient(code) => {
            warn!(%error, "reading goes on in spite of an error");
            None
        }
        _ => Some(StreamError::of("reading records", error)),
    }
}

fn record(topics: &mut Vec<Arc<str>>, message: &BorrowedMessage<'_>) -> Record {
    Record {
        topic: interned(topics, message.topic()),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_us: message
            .timestamp()
            .to_millis()
            .map_or(0, |millis| millis.saturating_mul(1000)),
        key: message.key().map(Bytes::copy_from_slice),
        payload: message.payload().map(Bytes::copy_from_slice),
        headers: native::headers(message),
    }
}

/// One allocation a topic, not one a record.
fn interned(topics: &mut Vec<Arc<str>>, name: &str) -> Arc<str> {
    if let Some(topic) = topics.iter().find(|topic| ***topic == *name) {
        return Arc::clone(topic);
    }
    let topic: Arc<str> = name.into();
    topics.push(Arc::clone(&topic));
    topic
}
