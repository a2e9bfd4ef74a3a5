//! A group seen from outside: its offsets without membership, and who commits them in a transaction.

use std::fmt;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::Result;
use crate::config::{ConsumerOptions, Kafka};
use crate::consumer::{Committed, Context, committed};
use crate::error::StreamError;
use crate::record::TopicPartition;

/// Who commits offsets in a transaction: the group, and the member and generation as of when this was made. A
/// transaction with an outdated one is refused (R13).
pub struct GroupMetadata(pub(crate) ConsumerGroupMetadata);

impl GroupMetadata {
    pub(crate) fn of(consumer: &BaseConsumer<Context>) -> Result<Self> {
        let none = || StreamError::of("asking for the group", KafkaError::Global(Code::UnknownGroup));
        consumer.group_metadata().map(Self).ok_or_else(none)
    }
}

impl fmt::Debug for GroupMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupMetadata")
    }
}

/// The offsets of a group that nobody joins. Its writers are kept apart by their transactional ids (R12).
pub struct GroupOffsets {
    consumer: BaseConsumer<Context>,
}

impl GroupOffsets {
    /// Opens the group.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub fn new(kafka: &Kafka, group: &str) -> Result<Self> {
        let created = kafka
            .consumer(group, &ConsumerOptions::default())
            .create_with_context(Context::default());
        Ok(Self {
            consumer: created.map_err(|e| StreamError::of("creating a consumer", e))?,
        })
    }

    /// What is committed for partitions, in the order asked. While a transaction holds an offset of one, this
    /// waits for its end.
    ///
    /// # Errors
    /// [`StreamError::Retriable`] if `timeout` passes first.
    pub fn committed(&self, partitions: &[TopicPartition], timeout: Duration) -> Result<Vec<Committed>> {
        // Nobody else serves this client's log lines, which would gather.
        while self.consumer.poll(Duration::ZERO).is_some() {}
        committed(&self.consumer, partitions, timeout)
    }

    /// The group without a member, for [`TransactionalProducer::send_offsets`](crate::TransactionalProducer::send_offsets).
    ///
    /// # Errors
    /// None as long as the group has a name.
    pub fn group_metadata(&self) -> Result<GroupMetadata> {
        GroupMetadata::of(&self.consumer)
    }
}
