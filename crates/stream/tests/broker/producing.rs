//! The idempotent producer.

use stream::{MAX_RECORD_BYTES, Outgoing, StreamError};
use testkit::wait_until;

use crate::support::{PATIENCE, attach, outgoing, producer, read, text, topic};

#[test]
fn a_record_arrives_with_key_headers_and_time() {
    let topic = topic("whole", 1);
    let mut producer = producer();
    let headers: [(&str, &[u8]); 3] = [("batch", b"{}"), ("twice", b"1"), ("twice", b"")];
    let sent = Outgoing {
        topic: &topic,
        partition: Some(0),
        key: Some(b"key"),
        payload: Some(b"payload"),
        headers: &headers,
        timestamp_us: Some(1_522_540_800_123_456),
    };
    producer.send(sent).unwrap();
    producer
        .send(Outgoing {
            payload: None,
            headers: &[],
            ..sent
        })
        .unwrap();
    producer.flush(PATIENCE).unwrap();

    let records = read(&mut attach(&topic, 0), 2, PATIENCE);
    let record = &records[0];
    assert_eq!(
        (record.key.as_deref(), record.payload.as_deref()),
        (Some(&b"key"[..]), Some(&b"payload"[..]))
    );
    assert_eq!(
        record.timestamp_us, 1_522_540_800_123_000,
        "Kafka keeps milliseconds"
    );
    let named: Vec<(&str, &[u8])> = record
        .headers
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_slice()))
        .collect();
    assert_eq!(named, headers);
    assert_eq!(record.header("twice"), Some(&b""[..]), "later headers win");
    assert_eq!(
        (records[1].payload.as_deref(), records[1].offset),
        (None, 1),
        "a tombstone"
    );
}

#[test]
fn everything_below_the_acknowledged_number_is_in_the_log() {
    let topic = topic("acked", 3);
    let mut producer = producer();
    assert_eq!(producer.acked().unwrap(), 0);
    for number in 1..=3000_u64 {
        let partition = i32::try_from(number % 3).unwrap();
        assert_eq!(
            producer
                .send(outgoing(&topic, partition, number.to_string().as_bytes()))
                .unwrap(),
            number
        );
    }
    let acked = producer.acked().unwrap();
    assert!(acked <= producer.sent());
    let mut seen = Vec::new();
    for partition in 0..3 {
        let records = read(&mut attach(&topic, partition), 1000, PATIENCE);
        seen.extend(records.iter().map(|r| text(r).parse::<u64>().unwrap()));
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=3000).collect::<Vec<_>>());
    wait_until("all are acknowledged", PATIENCE, || {
        producer.acked().unwrap() == 3000
    });
}

#[test]
fn sending_waits_when_too_much_is_under_way() {
    let topic = topic("full", 1);
    let options = stream::ProducerOptions {
        queued_bytes: 256 * 1024,
        ..Default::default()
    };
    let mut producer = stream::Producer::new(&crate::support::kafka(), options).unwrap();
    for _ in 0..200 {
        producer.send(outgoing(&topic, 0, &[7; 10_000])).unwrap();
        assert!(producer.sent() - producer.acked().unwrap() <= 27, "INV-8");
    }
    producer.flush(PATIENCE).unwrap();
    assert_eq!(producer.acked().unwrap(), 200);
}

#[test]
fn a_record_that_is_too_large_harms_nobody_else() {
    let topic = topic("large", 1);
    let mut producer = producer();
    let largest = vec![1; MAX_RECORD_BYTES - 512];
    let refused = producer.send(outgoing(&topic, 0, &vec![1; MAX_RECORD_BYTES]));
    assert!(
        matches!(refused, Err(StreamError::TooLarge { .. })),
        "{refused:?}"
    );
    producer.send(outgoing(&topic, 0, &largest)).unwrap();
    producer.flush(PATIENCE).unwrap();
    assert_eq!(producer.acked().unwrap(), 1, "a refused record has no number");
    let records = read(&mut attach(&topic, 0), 1, PATIENCE);
    assert_eq!(records[0].payload.as_deref(), Some(&*largest));
}

#[test]
fn a_topic_that_is_not_there_is_told_and_ends_the_producer() {
    let properties = [("topic.metadata.propagation.max.ms".to_owned(), "0".to_owned())];
    let servers = testkit::Broker::shared().bootstrap_servers();
    let kafka = stream::Kafka::new(servers, "test", properties.into()).unwrap();
    let mut producer = stream::Producer::new(&kafka, Default::default()).unwrap();
    let missing = testkit::unique("missing");
    let _ = producer.send(outgoing(&missing, 0, b"lost"));
    wait_until("the failure is told", PATIENCE, || producer.acked().is_err());
    assert!(producer.flush(PATIENCE).is_err());
}
