//! How scores leave: in transactions with their offsets (R13), or by an idempotent producer.

use std::time::Duration;

use schema::{Score, SubjectKind};
use stream::{
    Consumer, Outgoing, Producer, ProducerOptions, StreamError, TopicPartition, TransactionalProducer,
};
use tracing::warn;

use crate::config::{Delivery, Settings};
use crate::error::ScorerError;

/// How long acknowledgements may take.
const FLUSH: Duration = Duration::from_secs(30);

/// Offsets with the numbers taken up to them, to be committed with the scores.
pub(crate) type Offsets = Vec<(TopicPartition, i64, String)>;

/// The way out.
pub(crate) enum Outlet {
    Transactional(Box<TransactionalProducer>),
    Idempotent(Box<Producer>),
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Scores and offsets are committed.
    Committed,
    /// Nothing is: a successor has taken over, or the transaction was aborted. Begin again from the commits.
    Aborted,
}

impl Outlet {
    pub(crate) fn open(settings: &Settings) -> Result<Self, ScorerError> {
        Ok(match settings.section.delivery {
            Delivery::Transactional => {
                // Zombies are fenced by the group's generation, so that the id need not be anybody's in particular.
                let id = format!("{}-{}", settings.group(), uuid::Uuid::new_v4());
                let mut producer =
                    TransactionalProducer::new(&settings.kafka, &id, settings.section.transaction_timeout)?;
                producer.init()?;
                Self::Transactional(Box::new(producer))
            }
            Delivery::Idempotent => Self::Idempotent(Box::new(Producer::new(
                &settings.kafka,
                ProducerOptions::default(),
            )?)),
        })
    }

    /// Sends scores and commits the offsets they were made from.
    pub(crate) fn send(
        &mut self,
        settings: &Settings,
        consumer: &Consumer,
        scores: &[Score],
        offsets: &Offsets,
    ) -> Result<Sent, ScorerError> {
        match self {
            Self::Transactional(producer) => match transaction(producer, settings, consumer, scores, offsets)
            {
                Ok(()) => Ok(Sent::Committed),
                Err(error) if error.is_fenced() || matches!(error, StreamError::Abortable { .. }) => {
                    warn!(%error, "a batch of scores was aborted");
                    if !error.is_fenced() {
                        producer.abort()?;
                    }
                    Ok(Sent::Aborted)
                }
                Err(error) => Err(error.into()),
            },
            Self::Idempotent(producer) => {
                for score in scores {
                    producer.send(record(settings, score, &payload(score)))?;
                }
                producer.flush(FLUSH)?;
                consumer.commit(offsets)?;
                Ok(Sent::Committed)
            }
        }
    }
}

fn transaction(
    producer: &mut TransactionalProducer,
    settings: &Settings,
    consumer: &Consumer,
    scores: &[Score],
    offsets: &Offsets,
) -> Result<(), StreamError> {
    producer.begin()?;
    for score in scores {
        producer.send(record(settings, score, &payload(score)))?;
    }
    producer.send_offsets(offsets, &consumer.group_metadata()?)?;
    producer.commit()
}

fn payload(score: &Score) -> Vec<u8> {
    serde_json::to_vec(score).expect("a score has nothing that JSON lacks")
}

/// A score goes to its transaction's partition by key, or its image's.
fn key(score: &Score) -> &str {
    let image = score
        .image_id
        .as_deref()
        .filter(|_| score.subject == SubjectKind::Image);
    image.unwrap_or(&score.transaction_id)
}

fn record<'a>(settings: &'a Settings, score: &'a Score, payload: &'a [u8]) -> Outgoing<'a> {
    Outgoing {
        topic: &settings.scores_topic,
        partition: None,
        key: Some(key(score).as_bytes()),
        payload: Some(payload),
        headers: &[],
        timestamp_us: None,
    }
}
