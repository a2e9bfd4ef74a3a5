//! Raw records as users' systems send them.

use std::time::Duration;

use imaging::Image;
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

    /// A receipt as JSON; its file is `content` in base64, or a `uri`.
    #[must_use]
    pub fn receipt(id: &str, account: &str, at_ms: i64, content: (&str, &str)) -> Self {
        Self::json(&json!({
            "image_id": id, "event_time": at_ms, "kind": "receipt", "entities": {"customer": account},
            content.0: content.1,
        }))
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

/// A document that no other number gives: broad strokes, so that its hash is its own.
#[must_use]
pub fn document(number: u32) -> Image {
    const WIDTH: u32 = 160;
    const HEIGHT: u32 = 120;
    let mut pixels = Vec::new();
    let mut state = u64::from(number) + 1;
    let strokes: Vec<[u32; 4]> = (0..12)
        .map(|_| {
            [(); 4].map(|()| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                u32::try_from(state >> 33).expect("31 bits")
            })
        })
        .collect();
    for (y, x) in (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (y, x))) {
        let dark = strokes.iter().any(|[left, top, wide, tall]| {
            let (left, top) = (left % WIDTH, top % HEIGHT);
            (left..left + 8 + wide % 40).contains(&x) && (top..top + 6 + tall % 30).contains(&y)
        });
        pixels.extend([if dark { 30 } else { 235 }; 3]);
    }
    Image::new(WIDTH, HEIGHT, pixels)
}
