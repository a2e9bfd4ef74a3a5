//! Records, and the offsets they were made from, that appear together or not at all.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer as _;

use super::sender::Sender;
use crate::config::Kafka;
use crate::consumer::with_metadata;
use crate::error::StreamError;
use crate::group::GroupMetadata;
use crate::record::{Outgoing, TopicPartition};
use crate::{Result, native};

/// A producer whose records leave in transactions.
///
/// After [`StreamError::Abortable`], do the transaction again; what has failed is aborted by
/// [`TransactionalProducer::begin`], or at once by [`TransactionalProducer::abort`]. After
/// [`StreamError::Fenced`], somebody newer is at work: the group has gone on to another generation (abort; a
/// rebalance is under way), or another producer has taken the id (make a new one, if it is still ours). After
/// [`StreamError::Retriable`], the same call may be repeated. After [`StreamError::Fatal`], make a new one.
pub struct TransactionalProducer {
    sender: Sender,
    timeout: Duration,
    open: bool,
}

impl TransactionalProducer {
    /// Makes a producer under an id. A transaction not ended within `timeout` is aborted by the broker; no
    /// call waits longer than that.
    ///
    /// # Errors
    /// If the client or its thread cannot be made.
    pub fn new(kafka: &Kafka, transactional_id: &str, timeout: Duration) -> Result<Self> {
        Ok(Self {
            sender: Sender::start(&kafka.transactional(transactional_id, timeout))?,
            timeout,
            open: false,
        })
    }

    /// Fences every producer that had this id before, and waits until what it left open is aborted (R12).
    ///
    /// # Errors
    /// [`StreamError::Retriable`] if no broker answers in time.
    pub fn init(&mut self) -> Result<()> {
        let begun = self.sender.client().init_transactions(self.timeout);
        begun.map_err(|e| StreamError::of("fencing predecessors", e))
    }

    /// Begins a transaction. One that is still open, because it has failed, is given up first.
    ///
    /// # Errors
    /// If the producer was fenced or has failed for good.
    pub fn begin(&mut self) -> Result<()> {
        if self.open {
            self.abort()?;
        }
        self.sender.deliveries().forgive();
        let begun = self.sender.client().begin_transaction();
        begun.map_err(|e| StreamError::of("beginning a transaction", e))?;
        self.open = true;
        Ok(())
    }

    /// Hands a record over to the transaction. Waits while too much is on its way.
    ///
    /// # Errors
    /// [`StreamError::TooLarge`] for this record alone; [`StreamError::Abortable`] if one before has failed.
    pub fn send(&mut self, outgoing: Outgoing<'_>) -> Result<()> {
        self.sender
            .send(&outgoing)
            .map(|_| ())
            .map_err(|error| match error {
                StreamError::Retriable { operation, source } => StreamError::Abortable { operation, source },
                // A transaction that has failed takes no more records, which librdkafka calls a wrong state.
                StreamError::Fatal { operation, source }
                    if source.rdkafka_error_code() == Some(Code::State) =>
                {
                    StreamError::Abortable { operation, source }
                }
                error => error,
            })
    }

    /// Makes offsets (next to read) with their metadata part of the transaction, in the name of a group.
    ///
    /// # Errors
    /// [`StreamError::Fenced`] if the group has another generation by now (R13).
    pub fn send_offsets(
        &mut self,
        offsets: &[(TopicPartition, i64, String)],
        group: &GroupMetadata,
    ) -> Result<()> {
        let list = with_metadata(offsets)?;
        let sent = self
            .sender
            .client()
            .send_offsets_to_transaction(&list, &group.0, self.timeout);
        sent.map_err(|e| StreamError::of("adding offsets to a transaction", e))
    }

    /// Waits for all acknowledgements and commits.
    ///
    /// # Errors
    /// [`StreamError::Abortable`] if a record or the offsets have failed; see [`TransactionalProducer`].
    pub fn commit(&mut self) -> Result<()> {
        const OPERATION: &str = "committing a transaction";
        let deadline = Instant::now() + self.timeout;
        // rdkafka's own flush, which its commit calls, takes 100 ms if there is anything left to wait for.
        if let Err(code) = native::flush(self.sender.client(), self.timeout) {
            return Err(StreamError::Abortable {
                operation: OPERATION,
                source: KafkaError::Flush(code),
            });
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let committed = self.sender.client().commit_transaction(left);
        committed.map_err(|e| StreamError::of(OPERATION, e))?;
        self.open = false;
        Ok(())
    }

    /// Gives the transaction up: none of its records and offsets will be seen.
    ///
    /// # Errors
    /// If the producer was fenced or has failed for good; its transaction is given up then anyway.
    pub fn abort(&mut self) -> Result<()> {
        let aborted = self.sender.client().abort_transaction(self.timeout);
        self.sender.deliveries().forgive();
        aborted.map_err(|e| StreamError::of("aborting a transaction", e))?;
        self.open = false;
        Ok(())
    }
}
