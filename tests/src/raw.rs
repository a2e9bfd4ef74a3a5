//! Raw records of images, labels and transactions, and documents to put into them.

use std::time::Duration;

use imaging::Image;
use serde_json::json;
use stream::{Outgoing, Producer, ProducerOptions};

use crate::Pipeline;

const PATIENCE: Duration = Duration::from_secs(120);
/// Partitions of the topics of a [`Pipeline`].
const PARTITIONS: i32 = 4;

/// A record on its way: its value and its headers.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The payload.
    pub value: Vec<u8>,
    /// Names with their values.
    pub headers: Vec<(String, String)>,
}

/// An image as a file, described by headers.
#[must_use]
pub fn in_headers(id: &str, account: &str, at_ms: i64, kind: &str, file: Vec<u8>) -> Raw {
    let headers = [
        ("image_id", id.to_owned()),
        ("event_time", at_ms.to_string()),
        ("kind", kind.to_owned()),
        ("entity.customer", account.to_owned()),
    ];
    Raw {
        value: file,
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
    }
}

/// A receipt as JSON; its file is `content` in base64, or a `uri`.
#[must_use]
pub fn in_json(id: &str, account: &str, at_ms: i64, content: (&str, &str)) -> Raw {
    let value = json!({
        "image_id": id, "event_time": at_ms, "kind": "receipt", "entities": {"customer": account}, content.0: content.1,
    });
    Raw {
        value: value.to_string().into_bytes(),
        headers: Vec::new(),
    }
}

/// Sends records, by turns to all partitions of a topic.
///
/// # Panics
/// If the broker does not take them.
pub fn send_to(pipeline: &Pipeline, topic: &str, records: &[Raw]) {
    let topic = pipeline.topic(topic);
    let mut producer =
        Producer::new(&pipeline.kafka(), ProducerOptions::default()).expect("the broker is there");
    for (partition, raw) in (0..PARTITIONS).cycle().zip(records) {
        let headers: Vec<(&str, &[u8])> = raw
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let outgoing = Outgoing {
            topic: &topic,
            partition: Some(partition),
            key: None,
            payload: Some(&raw.value),
            headers: &headers,
            timestamp_us: None,
        };
        producer.send(outgoing).expect("the producer takes the record");
    }
    producer.flush(PATIENCE).expect("the broker takes the records");
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
