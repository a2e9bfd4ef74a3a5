//! How a hop sends: by an idempotent producer, offsets after acknowledgements, or in transactions with its offsets.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use super::frame;
use super::hop::{Hop, Role, Turn};
use crate::broker::config;
use crate::subject::Delivery;

const TIMEOUT: Duration = Duration::from_secs(30);
/// How often an idempotent hop commits.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// Counts acknowledgements.
#[derive(Default)]
struct Acks {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    acked: u64,
    failed: Option<KafkaError>,
}

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.acked += 1;
        if let Err((error, _)) = result {
            state.failed = Some(error.clone());
        }
        self.changed.notify_all();
    }
}

/// A producer, and what it has still to commit.
pub(super) struct Outlet {
    producer: ThreadedProducer<Acks>,
    delivery: Delivery,
    sent: u64,
    /// Offsets to be committed once as many records are acknowledged.
    marks: VecDeque<(u64, BTreeMap<i32, i64>)>,
    committed: Instant,
}

impl Outlet {
    pub(super) fn open(hop: &Hop) -> anyhow::Result<Self> {
        let mut config = config(&hop.servers);
        config
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.messages", "1000000");
        if hop.delivery == Delivery::Transactional {
            // Left at 100 ms, every transaction would wait as long for the markers of the one before.
            config
                .set("transactional.id", &hop.name)
                .set("retry.backoff.ms", "5");
        }
        let producer: ThreadedProducer<Acks> = config
            .create_with_context(Acks::default())
            .context("a producer")?;
        if hop.delivery == Delivery::Transactional {
            producer.init_transactions(TIMEOUT)?;
        }
        let (delivery, marks, committed) = (hop.delivery, VecDeque::new(), Instant::now());
        Ok(Self {
            producer,
            delivery,
            sent: 0,
            marks,
            committed,
        })
    }

    /// Sends what a turn has brought.
    pub(super) fn send(&mut self, hop: &Hop, turn: &Turn, consumer: &BaseConsumer) -> anyhow::Result<()> {
        match self.delivery {
            Delivery::Transactional => {
                self.producer.begin_transaction()?;
                self.records(hop, turn)?;
                let group = consumer.group_metadata().context("the consumer has a group")?;
                self.producer
                    .send_offsets_to_transaction(&offsets(hop, &turn.offsets)?, &group, TIMEOUT)?;
                // rdkafka's own flush, which its commit calls, takes 100 ms if there is anything left to wait for.
                self.await_all()?;
                Ok(self.producer.commit_transaction(TIMEOUT)?)
            }
            Delivery::Idempotent => {
                self.records(hop, turn)?;
                self.marks.push_back((self.sent, turn.offsets.clone()));
                self.commit(hop, consumer)
            }
        }
    }

    fn records(&mut self, hop: &Hop, turn: &Turn) -> anyhow::Result<()> {
        for (partition, batch) in &turn.batches {
            match hop.role {
                Role::First | Role::Middle => {
                    self.record(
                        BaseRecord::<(), [u8]>::to(&hop.output)
                            .partition(*partition)
                            .payload(batch),
                    )?;
                }
                Role::Last => {
                    for (key, payload) in frame::events(batch) {
                        self.record(
                            BaseRecord::<[u8], [u8]>::to(&hop.output)
                                .key(key)
                                .payload(payload),
                        )?;
                    }
                }
            }
        }
        Ok(())
    }

    fn record<K: rdkafka::message::ToBytes + ?Sized>(
        &mut self,
        mut record: BaseRecord<'_, K, [u8], ()>,
    ) -> anyhow::Result<()> {
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => record = back,
                Err((error, _)) => bail!(error),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.sent += 1;
        Ok(())
    }

    /// Waits until everything sent is acknowledged.
    fn await_all(&self) -> anyhow::Result<()> {
        let acks = self.producer.context();
        let state = acks.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = acks
            .changed
            .wait_timeout_while(state, TIMEOUT, |s| s.acked < self.sent && s.failed.is_none());
        let (state, timeout) = waiting.unwrap_or_else(PoisonError::into_inner);
        ensure!(!timeout.timed_out(), "no acknowledgement within {TIMEOUT:?}");
        failure(&state)
    }

    /// Commits now and then what is acknowledged, without waiting for the answer.
    fn commit(&mut self, hop: &Hop, consumer: &BaseConsumer) -> anyhow::Result<()> {
        let acks = self.producer.context();
        let acked = {
            let state = acks.state.lock().unwrap_or_else(PoisonError::into_inner);
            failure(&state)?;
            state.acked
        };
        if self.committed.elapsed() < COMMIT_INTERVAL {
            return Ok(());
        }
        let mut newest = None;
        while self.marks.front().is_some_and(|(sent, _)| *sent <= acked) {
            newest = self.marks.pop_front();
        }
        if let Some((_, next)) = newest {
            consumer.commit(&offsets(hop, &next)?, CommitMode::Async)?;
            self.committed = Instant::now();
        }
        Ok(())
    }
}

fn failure(state: &State) -> anyhow::Result<()> {
    match &state.failed {
        Some(error) => Err(anyhow::Error::new(error.clone()).context("a record was not acknowledged")),
        None => Ok(()),
    }
}

fn offsets(hop: &Hop, next: &BTreeMap<i32, i64>) -> anyhow::Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in next {
        list.add_partition_offset(&hop.input, *partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}
