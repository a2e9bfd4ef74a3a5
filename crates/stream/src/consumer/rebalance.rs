//! Rebalances are kept for the owner of the consumer, who answers them on its own thread when it is ready.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafka, RDKafkaRespErr};
use rdkafka::{ClientContext, TopicPartitionList};
use tracing::debug;

use crate::log;
use crate::native::Handle;
use crate::record::TopicPartition;

/// A rebalance that waits for its answer.
pub(crate) enum Event {
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
}

/// What librdkafka calls back into, on the thread that polls.
#[derive(Default)]
pub(crate) struct Context {
    events: Mutex<VecDeque<Event>>,
    closing: AtomicBool,
}

impl Context {
    /// The oldest rebalance that was not told yet.
    pub(crate) fn next(&self) -> Option<Event> {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// From now on rebalances are answered at once by letting go: nobody is there to be told.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log::line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log::trouble(&error, reason);
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if self.closing.load(Ordering::Relaxed) {
            if let Err(error) = consumer.unassign() {
                debug!(%error, "nothing to let go of");
            }
            return;
        }
        let elements = list.elements();
        let partitions = elements
            .iter()
            .map(|e| TopicPartition::new(e.topic(), e.partition()))
            .collect();
        let event = match kind {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Event::Assigned(partitions),
            _ => Event::Revoked(partitions),
        };
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(event);
    }
}

impl Handle for BaseConsumer<Context> {
    fn native(&self) -> *mut RDKafka {
        self.client().native_ptr()
    }
}
