//! Kafka: consumers, producers, transactions, topics. The only crate that names rdkafka.
//!
//! Everything here is synchronous: a worker is a plain loop on a thread of its own, and librdkafka's threads
//! do the waiting. The parts, in the order in which a worker meets them:
//!
//! - [`Kafka`]: where the brokers are, and the user's own settings.
//! - [`Topics`]: makes topics, tells what they are like.
//! - [`Consumer`]: records and rebalances as one closed enum, [`Polled`]; [`Gather`] makes batches of it.
//! - [`Producer`]: idempotent and without gaps; says up to where everything is acknowledged.
//! - [`TransactionalProducer`]: for what leaves to users, with the offsets it was made from.
//! - [`GroupOffsets`]: a group's offsets without membership, for dead letters.
//!
//! What this crate does not know: what records mean. It neither decodes nor numbers, and it decides nothing
//! about when to commit.

mod config;
mod consumer;
mod error;
mod gather;
mod group;
mod log;
mod native;
mod producer;
mod record;
mod topics;

pub use config::{Compression, ConsumerOptions, Kafka, ProducerOptions};
pub use consumer::{CommitOutcome, Committed, Consumer};
pub use error::StreamError;
pub use gather::Gather;
pub use group::{GroupMetadata, GroupOffsets};
pub use producer::{Producer, TransactionalProducer};
pub use record::{Outgoing, Polled, Record, StartOffset, TopicPartition};
pub use topics::{Outcome, TopicDescription, TopicSpec, Topics};

/// What most functions of this crate return.
pub type Result<T> = std::result::Result<T, StreamError>;

/// The largest record, its headers and envelope included, that clients send and topics have to take: 16 MiB.
pub const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;
