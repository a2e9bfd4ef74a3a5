//! Asking for offsets: what is committed, where partitions begin and end.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::Consumer;
use super::rebalance::Context;
use crate::Result;
use crate::error::{StreamError, of_topic};
use crate::native;
use crate::record::{StartOffset, TopicPartition};

/// How long a broker may take to tell about a topic.
const METADATA_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait before asking again.
const AGAIN: Duration = Duration::from_millis(20);

/// What is committed for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The partition.
    pub partition: TopicPartition,
    /// The offset: next to read; none if nothing was ever committed.
    pub offset: Option<i64>,
    /// What the committer wanted known at that offset (R4).
    pub metadata: String,
}

impl Consumer {
    /// What the group has committed for any partitions, ours or not, in the order asked. While a transaction
    /// holds an offset of one, this waits for its end (R13).
    ///
    /// # Errors
    /// [`StreamError::Retriable`] if `timeout` passes first.
    pub fn committed(&self, partitions: &[TopicPartition], timeout: Duration) -> Result<Vec<Committed>> {
        committed(&self.consumer, partitions, timeout)
    }

    /// Where partitions end, as their brokers say now, in the order asked: the offset of the next record, or of
    /// the first one of the oldest open transaction.
    ///
    /// # Errors
    /// [`StreamError::Retriable`] if `timeout` passes first.
    pub fn end_offsets(&self, partitions: &[TopicPartition], timeout: Duration) -> Result<Vec<i64>> {
        self.edges(partitions, Offset::End, timeout)
    }

    /// Where partitions begin, as their brokers say now, in the order asked.
    ///
    /// # Errors
    /// [`StreamError::Retriable`] if `timeout` passes first.
    pub fn beginning_offsets(&self, partitions: &[TopicPartition], timeout: Duration) -> Result<Vec<i64>> {
        self.edges(partitions, Offset::Beginning, timeout)
    }

    fn edges(&self, partitions: &[TopicPartition], edge: Offset, timeout: Duration) -> Result<Vec<i64>> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + timeout;
        again(deadline, "asking where partitions end", || {
            let mut asked = list(partitions);
            asked.set_all_offsets(edge)?;
            let left = deadline.saturating_duration_since(Instant::now());
            let found = self.consumer.offsets_for_times(asked, left)?;
            partitions
                .iter()
                .map(|partition| offset_in(&found, partition))
                .collect()
        })
    }

    /// Where an assigned partition ended when it was last fetched from; free, and at most a fetch old.
    #[must_use]
    pub fn cached_end(&self, partition: &TopicPartition) -> Option<i64> {
        native::cached_end(&*self.consumer, partition)
    }

    /// The offset after everything that polls have gone past: after the last record handed out or, if markers
    /// of transactions follow it, after those. A partition that transactions write to ends in a marker, so
    /// this, not the last record's offset, reaches its end. None before the first poll that brings something.
    #[must_use]
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        native::position(&*self.consumer, partition)
    }

    /// How many partitions a topic has.
    ///
    /// # Errors
    /// [`StreamError::UnknownTopic`] if there is none, [`StreamError::Retriable`] if no broker answers.
    pub fn partition_count(&self, topic: &str) -> Result<i32> {
        let metadata = self.consumer.fetch_metadata(Some(topic), METADATA_TIMEOUT);
        let metadata = metadata.map_err(|e| StreamError::of("asking about a topic", e))?;
        let unknown = || StreamError::UnknownTopic {
            topic: topic.to_owned(),
        };
        let found = metadata
            .topics()
            .iter()
            .find(|t| t.name() == topic)
            .ok_or_else(unknown)?;
        if let Some(error) = of_topic(topic, found.error()) {
            return Err(error);
        }
        i32::try_from(found.partitions().len()).map_err(|_| unknown())
    }
}

/// What the consumer's group has committed.
pub(crate) fn committed(
    consumer: &BaseConsumer<Context>,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> Result<Vec<Committed>> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let deadline = Instant::now() + timeout;
    again(deadline, "asking for committed offsets", || {
        let left = deadline.saturating_duration_since(Instant::now());
        let found = consumer.committed_offsets(list(partitions), left)?;
        partitions
            .iter()
            .map(|partition| commit_in(&found, partition))
            .collect()
    })
}

/// Asks until there is an answer, an error that stays, or the deadline.
fn again<T>(
    deadline: Instant,
    operation: &'static str,
    mut ask: impl FnMut() -> std::result::Result<T, KafkaError>,
) -> Result<T> {
    loop {
        match ask().map_err(|e| StreamError::of(operation, e)) {
            Err(error) if error.is_retryable() && Instant::now() + AGAIN < deadline => {
                std::thread::sleep(AGAIN)
            }
            result => return result,
        }
    }
}

fn commit_in(
    found: &TopicPartitionList,
    partition: &TopicPartition,
) -> std::result::Result<Committed, KafkaError> {
    let element = found.find_partition(&partition.topic, partition.partition);
    let element = element.ok_or(KafkaError::OffsetFetch(Code::UnknownPartition))?;
    element.error()?;
    let offset = match element.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    };
    Ok(Committed {
        partition: partition.clone(),
        offset,
        metadata: element.metadata().to_owned(),
    })
}

fn offset_in(found: &TopicPartitionList, partition: &TopicPartition) -> std::result::Result<i64, KafkaError> {
    let element = found.find_partition(&partition.topic, partition.partition);
    let element = element.ok_or(KafkaError::OffsetFetch(Code::UnknownPartition))?;
    element.error()?;
    match element.offset() {
        Offset::Offset(offset) => Ok(offset),
        _ => Err(KafkaError::OffsetFetch(Code::OffsetNotAvailable)),
    }
}

/// Partitions as librdkafka wants them.
pub(super) fn list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}

/// Partitions with where to begin.
pub(super) fn starts(partitions: &[(TopicPartition, StartOffset)]) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (partition, start) in partitions {
        let offset = match start {
            StartOffset::At(offset) => Offset::Offset(*offset),
            StartOffset::Beginning => Offset::Beginning,
            StartOffset::End => Offset::End,
        };
        let mut element = list.add_partition(&partition.topic, partition.partition);
        element
            .set_offset(offset)
            .map_err(|e| StreamError::of("assigning partitions", e))?;
    }
    Ok(list)
}

/// Offsets to commit, with their metadata.
pub(crate) fn with_metadata(offsets: &[(TopicPartition, i64, String)]) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, offset, metadata) in offsets {
        let mut element = list.add_partition(&partition.topic, partition.partition);
        let set = element.set_offset(Offset::Offset(*offset));
        set.map_err(|e| StreamError::of("committing offsets", e))?;
        element.set_metadata(metadata);
    }
    Ok(list)
}
