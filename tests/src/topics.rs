//! Topics as they are, byte for byte.

use std::time::Duration;

use stream::{Consumer, Kafka, Outgoing, Polled, Producer, Record, StartOffset, TopicPartition, Topics};

const PATIENCE: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_millis(100);
const MAX_RECORDS: usize = 5_000;
const MAX_BYTES: usize = 64 << 20;

/// Everything that is committed in a topic now, partition by partition.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn read_topic(kafka: &Kafka, topic: &str) -> Vec<Record> {
    let described = Topics::new(kafka)
        .and_then(|topics| topics.describe(topic))
        .expect("the topic is there");
    let partitions: Vec<_> = (0..described.partitions)
        .map(|p| TopicPartition::new(topic, p))
        .collect();
    let starts = partitions
        .iter()
        .map(|p| (p.clone(), StartOffset::Beginning))
        .collect();
    let mut consumer = Consumer::attach(kafka, starts).expect("the topic can be read");
    let ends = consumer
        .end_offsets(&partitions, PATIENCE)
        .expect("the broker answers");
    let mut records = Vec::new();
    loop {
        let at_end = |(p, end): (_, &i64)| *end == 0 || consumer.position(p).is_some_and(|at| at >= *end);
        if partitions.iter().zip(&ends).all(at_end) {
            records.sort_by_key(|record: &Record| (record.partition, record.offset));
            return records;
        }
        if let Polled::Records(new) = consumer
            .poll(WAIT, MAX_RECORDS, MAX_BYTES)
            .expect("the topic can be read")
        {
            records.extend(new);
        }
    }
}

/// Sends a record that was read to the same partition of another topic, with the same time.
///
/// # Panics
/// If it cannot be sent.
pub fn copy_record(producer: &mut Producer, record: &Record, topic: &str) {
    let headers: Vec<(&str, &[u8])> = record
        .headers
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_slice()))
        .collect();
    let outgoing = Outgoing {
        topic,
        partition: Some(record.partition),
        key: record.key.as_deref(),
        payload: record.payload.as_deref(),
        headers: &headers,
        timestamp_us: Some(record.timestamp_us),
    };
    producer.send(outgoing).expect("the producer takes the record");
}
