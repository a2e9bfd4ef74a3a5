//! Dead letters: the original bytes of refused records, each out exactly once (R12).
//!
//! They leave in transactions of their own, on a thread of their own, so that a transaction's round trips
//! never hold up good records. One transactional id a raw partition, and offsets under a second group: first
//! fence the predecessor, then read what is out, then write.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use schema::Reject;
use schema::reject::headers;
use stream::{GroupOffsets, Kafka, Outgoing, Record, StreamError, TopicPartition, TransactionalProducer};
use tracing::{info, warn};

use crate::error::IngestError;

/// Jobs that may wait before ingest has to.
const QUEUE: usize = 64;
/// How long a broken transaction rests before it is tried again.
const RETRY: Duration = Duration::from_millis(500);
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);
const OFFSETS_TIMEOUT: Duration = Duration::from_secs(30);

/// A refused record with the reason.
pub(crate) struct Letter {
    pub(crate) record: Record,
    pub(crate) reject: Reject,
}

struct Job {
    source: TopicPartition,
    letters: Vec<Letter>,
}

/// All letters of a source below this offset are out.
pub(crate) struct Out {
    pub(crate) source: TopicPartition,
    pub(crate) below: i64,
}

/// The hand that ingest has on the thread of dead letters. Dropping it ends the thread.
pub(crate) struct Letters {
    jobs: SyncSender<Job>,
    out: Receiver<Out>,
}

impl Letters {
    /// Starts the thread.
    pub(crate) fn start(kafka: &Kafka, group: &str, topic: &str) -> Result<Self, IngestError> {
        let (jobs, job_receiver) = sync_channel(QUEUE);
        let (out_sender, out) = channel();
        let group = format!("{group}-dead-letters");
        let desk = Desk {
            kafka: kafka.clone(),
            offsets: GroupOffsets::new(kafka, &group)?,
            group,
            topic: topic.into(),
            writers: BTreeMap::new(),
        };
        std::thread::Builder::new()
            .name("dead-letters".into())
            .spawn(move || desk.work(&job_receiver, &out_sender))
            .map_err(|_| IngestError::Letters)?;
        Ok(Self { jobs, out })
    }

    /// Hands over letters of one source, by rising offset; waits while too many are on their way.
    pub(crate) fn send(&self, source: TopicPartition, letters: Vec<Letter>) -> Result<(), IngestError> {
        self.jobs
            .send(Job { source, letters })
            .map_err(|_| IngestError::Letters)
    }

    /// What has gone out since the last call.
    pub(crate) fn out(&self) -> impl Iterator<Item = Out> {
        self.out.try_iter()
    }
}

/// A source's transactional producer, and the offset from which on letters are still to be written.
struct Writer {
    producer: TransactionalProducer,
    out_from: i64,
}

struct Desk {
    kafka: Kafka,
    group: String,
    topic: String,
    offsets: GroupOffsets,
    writers: BTreeMap<TopicPartition, Writer>,
}

impl Desk {
    fn work(mut self, jobs: &Receiver<Job>, out: &Sender<Out>) {
        while let Ok(job) = jobs.recv() {
            let Some(last) = job.letters.last().map(|l| l.record.offset) else {
                continue;
            };
            while let Err(error) = self.write(&job) {
                // Whatever went wrong, beginning again is right: fence, read what is out, write the rest.
                warn!(source = %job.source, %error, "dead letters are written again");
                self.writers.remove(&job.source);
                std::thread::sleep(RETRY);
            }
            if out
                .send(Out {
                    source: job.source,
                    below: last + 1,
                })
                .is_err()
            {
                return;
            }
        }
    }

    fn write(&mut self, job: &Job) -> Result<(), StreamError> {
        if !self.writers.contains_key(&job.source) {
            let writer = self.open(&job.source)?;
            self.writers.insert(job.source.clone(), writer);
        }
        let writer = self.writers.get_mut(&job.source).expect("just put there");
        let new: Vec<&Letter> = job
            .letters
            .iter()
            .filter(|l| l.record.offset >= writer.out_from)
            .collect();
        let Some(last) = new.last().map(|l| l.record.offset) else {
            return Ok(());
        };
        writer.producer.begin()?;
        for letter in &new {
            send(&mut writer.producer, &self.topic, letter)?;
        }
        let offsets = [(job.source.clone(), last + 1, String::new())];
        writer
            .producer
            .send_offsets(&offsets, &self.offsets.group_metadata()?)?;
        writer.producer.commit()?;
        writer.out_from = last + 1;
        info!(source = %job.source, letters = new.len(), "dead letters written");
        Ok(())
    }

    fn open(&self, source: &TopicPartition) -> Result<Writer, StreamError> {
        let id = format!("{}-{}-{}", self.group, source.topic, source.partition);
        let mut producer = TransactionalProducer::new(&self.kafka, &id, TRANSACTION_TIMEOUT)?;
        producer.init()?;
        let committed = self
            .offsets
            .committed(std::slice::from_ref(source), OFFSETS_TIMEOUT)?;
        let out_from = committed.first().and_then(|c| c.offset).unwrap_or(0);
        Ok(Writer { producer, out_from })
    }
}

fn send(producer: &mut TransactionalProducer, topic: &str, letter: &Letter) -> Result<(), StreamError> {
    let Letter { record, reject } = letter;
    let partition = record.partition.to_string();
    let offset = record.offset.to_string();
    let timestamp_ms = (record.timestamp_us / 1000).to_string();
    let mut all: Vec<(&str, &[u8])> = record
        .headers
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_slice()))
        .collect();
    all.extend([
        (headers::TOPIC, record.topic.as_bytes()),
        (headers::PARTITION, partition.as_bytes()),
        (headers::OFFSET, offset.as_bytes()),
        (headers::TIMESTAMP, timestamp_ms.as_bytes()),
        (headers::STAGE, b"ingest"),
        (headers::REASON, reject.reason.code().as_bytes()),
        (headers::MESSAGE, reject.message.as_bytes()),
    ]);
    let whole = Outgoing {
        topic,
        partition: None,
        key: record.key.as_deref(),
        payload: record.payload.as_deref(),
        headers: &all,
        timestamp_us: None,
    };
    match producer.send(whole) {
        // Compressed it came through, and as it is it does not: it must not hold up those behind it.
        Err(StreamError::TooLarge { .. }) => {
            let bytes = record.payload.as_ref().map_or(0, |p| p.len()).to_string();
            let headers = [&all[..], &[(headers::OMITTED_BYTES, bytes.as_bytes())]].concat();
            producer.send(Outgoing {
                payload: None,
                headers: &headers,
                ..whole
            })
        }
        sent => sent,
    }
}
