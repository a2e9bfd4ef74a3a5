//! One hop: reads, gathers, sends on.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::BorrowedMessage;

use super::frame;
use super::outlet::Outlet;
use crate::arrivals::attach;
use crate::subject::Delivery;

/// How long a poll waits where nothing comes.
const IDLE: Duration = Duration::from_millis(100);
/// How long a batch gathers: below this, the overhead of batches saturates two cores.
const LINGER: Duration = Duration::from_millis(5);
/// How long it gathers once batches are large: at full speed fewer, larger ones are faster.
const BUSY_LINGER: Duration = Duration::from_millis(20);
/// Bytes of a large batch: a hundred events.
const BUSY_BYTES: usize = 100 * 256;
/// Bytes of the largest batch: a message's limit is 1 MB.
const MAX_BYTES: usize = 700_000;

/// What a hop does with what it reads.
#[derive(Clone, Copy)]
pub(super) enum Role {
    /// Packs events into batches.
    First,
    /// Passes batches on, put together.
    Middle,
    /// Sends the events of batches one a message.
    Last,
}

/// One hop of the chain.
pub(super) struct Hop {
    pub(super) name: String,
    pub(super) servers: String,
    pub(super) input: String,
    pub(super) output: String,
    pub(super) partitions: i32,
    pub(super) role: Role,
    pub(super) delivery: Delivery,
}

/// What was read in one turn, by partition.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) batches: BTreeMap<i32, Vec<u8>>,
    /// Offsets next to read.
    pub(super) offsets: BTreeMap<i32, i64>,
    bytes: usize,
}

impl Hop {
    /// Runs until the process is killed.
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let consumer = attach(&self.servers, &self.input, self.partitions, &self.name)?;
        let mut outlet = Outlet::open(self)?;
        let mut linger = LINGER;
        loop {
            let turn = self.gather(&consumer, linger)?;
            if turn.offsets.is_empty() {
                continue;
            }
            linger = if turn.bytes >= BUSY_BYTES {
                BUSY_LINGER
            } else {
                LINGER
            };
            outlet.send(self, &turn, &consumer)?;
        }
    }

    fn gather(&self, consumer: &BaseConsumer, linger: Duration) -> anyhow::Result<Turn> {
        let mut turn = Turn::default();
        let Some(first) = consumer.poll(IDLE) else {
            return Ok(turn);
        };
        turn.take(self.role, &first?);
        std::thread::sleep(linger);
        while turn.bytes < MAX_BYTES {
            let Some(message) = consumer.poll(Duration::ZERO) else {
                break;
            };
            turn.take(self.role, &message?);
        }
        Ok(turn)
    }
}

impl Turn {
    fn take(&mut self, role: Role, message: &BorrowedMessage<'_>) {
        let payload = message.payload().unwrap_or_default();
        let batch = self.batches.entry(message.partition()).or_default();
        let before = batch.len();
        match role {
            Role::First => frame::push(batch, message.key().unwrap_or_default(), payload),
            Role::Middle | Role::Last => batch.extend_from_slice(payload),
        }
        self.bytes += batch.len() - before;
        self.offsets.insert(message.partition(), message.offset() + 1);
    }
}
