//! Raw records as users' systems send them.

use std::time::Duration;

use serde_json::{Value, json};
use stream::{Outgoing, Producer, ProducerOptions};

use crate::Pipeline;

const PATIENCE: Duration = Duration::from_secs(60);
const PARTITIONS: usize = 4;

/// A record on its way.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Its value.
    pub value: Vec<u8>,
    /// Its headers.
    pub headers: Vec<(String, String)>,
}

impl Raw {
    /// A record without headers.
    #[must_use]
    pub fn json(value: &Value) -> Self {
        Self {
            value: value.to_string().into_bytes(),
            headers: Vec::new(),
        }
    }

    /// The file of an image, with what is known of it in headers.
    #[must_use]
    pub fn image(id: &str, account: &str, at_ms: i64, kind: &str, file: Vec<u8>) -> Self {
        let headers = [
            ("image_id", id.to_owned()),
            ("event_time", at_ms.to_string()),
            ("kind", kind.to_owned()),
            ("entity.customer", account.to_owned()),
        ];
        Self {
            value: file,
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    /// The same, of an image that belongs to this transaction.
    #[must_use]
    pub fn of(mut self, transaction: &str) -> Self {
        self.headers
            .push(("transaction_id".to_owned(), transaction.to_owned()));
        self
    }

    /// A transaction of a customer.
    #[must_use]
    pub fn transaction(id: &str, account: &str, at_ms: i64, amount: &str) -> Self {
        Self::json(&json!({
            "transaction_id": id, "event_time": at_ms, "amount": amount, "currency": "EUR",
            "entities": {"customer": account, "card": "4000001234567899", "terminal": "t"},
        }))
    }
}

/// Sends records to a topic, named by its key in the configuration, by turns to all partitions.
///
/// # Panics
/// If they cannot be sent.
pub fn send(pipeline: &Pipeline, topic: &str, records: &[Raw]) {
    let topic = pipeline.topic(topic);
    let mut producer = Producer::new(&pipeline.kafka(), ProducerOptions::default()).expect("a producer");
    for (nth, raw) in records.iter().enumerate() {
        let headers: Vec<(&str, &[u8])> = raw
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let outgoing = Outgoing {
            topic: &topic,
            partition: Some(i32::try_from(nth % PARTITIONS).expect("a small number")),
            key: None,
            payload: Some(&raw.value),
            headers: &headers,
            timestamp_us: None,
        };
        producer.send(outgoing).expect("the producer takes the record");
    }
    producer.flush(PATIENCE).expect("the broker acknowledges");
}
