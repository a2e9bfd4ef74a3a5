//! Producers: one that never leaves a gap, and one whose records appear all or not at all.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use crate::config::{Kafka, ProducerOptions};
use crate::error::StreamError;
use crate::record::Outgoing;
use crate::{MAX_RECORD_BYTES, Result, native};

use self::sender::Sender;
pub use self::transactional::TransactionalProducer;

mod deliveries;
mod sender;
mod transactional;

/// How often a producer that waits for room looks whether it has failed meanwhile.
const LOOK_UP: Duration = Duration::from_millis(100);

/// An idempotent producer: what it has sent arrives once and in order within a partition, or it fails and
/// everything sent later fails with it. Records still on their way when it is dropped are given up; flush
/// first.
pub struct Producer {
    sender: Sender,
}

impl Producer {
    /// Makes a producer.
    ///
    /// # Errors
    /// If the client or its thread cannot be made.
    pub fn new(kafka: &Kafka, options: ProducerOptions) -> Result<Self> {
        Ok(Self {
            sender: Sender::start(&kafka.producer(&options))?,
        })
    }

    /// Hands a record over and returns its sequence number, counted from 1. Waits while too much is on its way.
    ///
    /// # Errors
    /// [`StreamError::TooLarge`] for this record alone; anything else once a record has failed.
    pub fn send(&mut self, outgoing: Outgoing<'_>) -> Result<u64> {
        self.sender.send(&outgoing)
    }

    /// The sequence number of the last record sent; 0 before the first.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sender.sent()
    }

    /// The sequence number up to which every record, on whichever partition, is acknowledged by all replicas
    /// (R3, R11).
    ///
    /// # Errors
    /// Once a record has failed: the number will not rise any more.
    pub fn acked(&self) -> Result<u64> {
        match self.error() {
            Some(error) => Err(error),
            None => Ok(self.sender.deliveries().acked()),
        }
    }

    /// Why this producer has failed, if it has. It has to be made anew then.
    #[must_use]
    pub fn error(&self) -> Option<StreamError> {
        let code = self.sender.deliveries().failure()?;
        Some(StreamError::Fatal {
            operation: "sending records",
            source: KafkaError::MessageProduction(code),
        })
    }

    /// Sends what lingers and waits until everything is acknowledged.
    ///
    /// # Errors
    /// [`StreamError::Retriable`] if `timeout` passes first; what failed, if a record has.
    pub fn flush(&mut self, timeout: Duration) -> Result<()> {
        let flushed = native::flush(self.sender.client(), timeout);
        self.acked()?;
        flushed.map_err(|code| StreamError::of_code("waiting for acknowledgements", code))
    }
}

impl Sender {
    fn send(&self, outgoing: &Outgoing<'_>) -> Result<u64> {
        check_size(outgoing)?;
        let headers = headers(outgoing);
        let number = self.sent() + 1;
        let mut record = BaseRecord::with_opaque_to(outgoing.topic, index(number));
        record.partition = outgoing.partition;
        record.key = outgoing.key;
        record.payload = outgoing.payload;
        record.headers = headers;
        record.timestamp = outgoing
            .timestamp_us
            .map(|us| us.div_euclid(1000))
            .filter(|millis| *millis > 0);
        loop {
            match self.client().send(record) {
                Ok(()) => {
                    self.count(number);
                    return Ok(number);
                }
                Err((KafkaError::MessageProduction(Code::QueueFull), unsent)) => {
                    record = unsent;
                    self.wait_for_room()?;
                }
                Err((error, _)) => return Err(refused(outgoing, error)),
            }
        }
    }

    fn wait_for_room(&self) -> Result<()> {
        self.deliveries()
            .wait_past(self.deliveries().settled(), Instant::now() + LOOK_UP);
        match self.deliveries().failure() {
            Some(code) => Err(StreamError::of(
                "sending records",
                KafkaError::MessageProduction(code),
            )),
            None => Ok(()),
        }
    }
}

fn refused(outgoing: &Outgoing<'_>, error: KafkaError) -> StreamError {
    match error.rdkafka_error_code() {
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => too_large(outgoing),
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition) => StreamError::UnknownTopic {
            topic: outgoing.topic.to_owned(),
        },
        _ => StreamError::of("sending records", error),
    }
}

/// Refuses here what the broker would refuse later: a refusal there ends the producer.
fn check_size(outgoing: &Outgoing<'_>) -> Result<()> {
    if outgoing.wire_bytes() > MAX_RECORD_BYTES {
        Err(too_large(outgoing))
    } else {
        Ok(())
    }
}

fn too_large(outgoing: &Outgoing<'_>) -> StreamError {
    StreamError::TooLarge {
        topic: outgoing.topic.to_owned(),
        bytes: outgoing.bytes(),
    }
}

fn headers(outgoing: &Outgoing<'_>) -> Option<OwnedHeaders> {
    if outgoing.headers.is_empty() {
        return None;
    }
    let headers = OwnedHeaders::new_with_capacity(outgoing.headers.len());
    Some(outgoing.headers.iter().fold(headers, |headers, (key, value)| {
        headers.insert(Header {
            key,
            value: Some(*value),
        })
    }))
}

/// The form in which librdkafka carries a sequence number through.
fn index(number: u64) -> usize {
    usize::try_from(number).expect("fewer records than addresses")
}
