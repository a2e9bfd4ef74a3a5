//! Traffic at a rate that waits for nobody, and records that are there before.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use jiff::Timestamp;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use serde_json::{Value, json};

use crate::arrivals::key;
use crate::broker::config;

/// How often what is due is sent.
const TICK: Duration = Duration::from_millis(1);
/// Time between the decision to begin and the first record.
const RUN_UP: Duration = Duration::from_millis(50);
const FLUSH: Duration = Duration::from_secs(60);
/// Size of an event of the bare chain.
const EVENT_BYTES: usize = 256;

/// When each record was meant to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    began: Instant,
    began_at: Timestamp,
    rate: f64,
}

impl Schedule {
    fn new(rate: u32) -> Self {
        Self {
            began: Instant::now() + RUN_UP,
            began_at: Timestamp::now() + RUN_UP,
            rate: f64::from(rate),
        }
    }

    /// When the record with this number was meant to be sent.
    pub(crate) fn due(&self, number: u32) -> Instant {
        self.began + self.after(number)
    }

    fn due_at(&self, number: u32) -> Timestamp {
        self.began_at + self.after(number)
    }

    fn after(&self, number: u32) -> Duration {
        Duration::from_secs_f64(f64::from(number) / self.rate)
    }
}

/// Traffic that has been sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) schedule: Schedule,
    pub(crate) count: u32,
    /// How long after its time a record was sent at worst.
    pub(crate) worst_delay: Duration,
}

/// What records hold.
pub(crate) enum Payload {
    /// Card transactions of today, made from simulated ones in turn.
    Transactions(Vec<Value>),
    /// As many bytes, without meaning.
    Bytes,
}

impl Payload {
    /// Reads simulated transactions (NDJSON).
    pub(crate) fn transactions(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let rows: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        anyhow::ensure!(!rows.is_empty(), "{} holds no transactions", file.display());
        Ok(Self::Transactions(rows.iter().map(canonical).collect()))
    }

    fn make(&self, id: &str, number: u32, at: Timestamp) -> Vec<u8> {
        match self {
            Self::Bytes => vec![b'.'; EVENT_BYTES],
            Self::Transactions(rows) => {
                let mut row = rows[number as usize % rows.len()].clone();
                row["transaction_id"] = id.into();
                row["event_time"] = at.to_string().into();
                row.to_string().into_bytes()
            }
        }
    }
}

/// A simulated row as the canonical transaction, all but its id and time.
fn canonical(row: &Value) -> Value {
    json!({
        "transaction_id": "",
        "event_time": "",
        "amount": row["amount"].to_string(),
        "currency": row["currency"],
        "entities": {
            "customer": row["customer_id"].to_string(),
            "card": row["card_number"],
            "terminal": row["terminal_id"].to_string(),
        },
        "attributes": {
            "merchant_category": row["merchant_category"],
            "channel": row["channel"],
            "country": row["country"],
        },
    })
}

/// A producer with what it sends and where.
pub(crate) struct Traffic {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: String,
    payload: Payload,
}

impl Traffic {
    pub(crate) fn new(servers: &str, topic: &str, payload: Payload) -> anyhow::Result<Self> {
        let producer = config(servers)
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            .set("partitioner", "murmur2_random")
            .create()
            .context("a producer")?;
        Ok(Self {
            producer,
            topic: topic.to_owned(),
            payload,
        })
    }

    /// Sends at a rate: each record at its time, or as soon after as can be, however long answers take.
    pub(crate) fn run(&self, run: u32, rate: u32, duration: Duration) -> anyhow::Result<Sent> {
        let schedule = Schedule::new(rate);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of records"
        )]
        let count = (f64::from(rate) * duration.as_secs_f64()) as u32;
        let mut worst_delay = Duration::ZERO;
        for number in 0..count {
            let due = schedule.due(number);
            while Instant::now() < due {
                std::thread::sleep(TICK);
            }
            worst_delay = worst_delay.max(due.elapsed());
            let id = key(run, number);
            self.send(&id, &self.payload.make(&id, number, schedule.due_at(number)))?;
        }
        self.producer.flush(FLUSH)?;
        Ok(Sent {
            schedule,
            count,
            worst_delay,
        })
    }

    /// Sends records as fast as they go; their keys are plain numbers.
    pub(crate) fn fill(&self, count: u32) -> anyhow::Result<()> {
        let now = Timestamp::now();
        for number in 0..count {
            let id = number.to_string();
            self.send(&id, &self.payload.make(&id, number, now))?;
        }
        Ok(self.producer.flush(FLUSH)?)
    }

    fn send(&self, key: &str, payload: &[u8]) -> anyhow::Result<()> {
        loop {
            match self
                .producer
                .send(BaseRecord::to(&self.topic).key(key).payload(payload))
            {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    std::thread::sleep(TICK)
                }
                Err((error, _)) => bail!(error),
            }
        }
    }
}
