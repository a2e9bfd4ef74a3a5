//! Malformed records among good ones.

#![allow(clippy::unwrap_used, reason = "in a test a failure is the message")]

use std::collections::BTreeMap;
use std::fs::File;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use stream::{Outgoing, Producer, ProducerOptions, Record};
use testkit::wait_until;
use tests::{Pipeline, Worker, read_topic};

const PATIENCE: Duration = Duration::from_secs(120);
const PARTITIONS: i32 = 4;
/// What the keys of malformed records begin with.
const MARK: &str = "malformed/";

/// Malformed records with the reason that is expected for each.
fn malformed(wave: usize) -> Vec<(&'static str, Vec<u8>)> {
    let good = |id: &str, time: &str, amount: &str, currency: &str| {
        format!(
            r#"{{"transaction_id":"{id}{wave}","event_time":"{time}","amount":{amount},"currency":{currency},"entities":{{"customer":"c","card":"k","terminal":"t"}}}}"#
        )
    };
    let time = "2025-01-05T00:00:00Z";
    let huge = format!(r#"{{"wave":{wave},"filler":"{}"}}"#, "x".repeat(2 << 20));
    let texts = [
        ("undecodable", format!("this is no JSON {wave}")),
        (
            "invalid_field",
            format!(r#"{{"event_time":"{time}","amount":1,"currency":"EUR","wave":{wave}}}"#),
        ),
        (
            "invalid_id",
            good("", time, "1", r#""EUR""#).replace(&format!(r#""{wave}","#), r#""","#),
        ),
        ("invalid_amount", good("a", time, r#""-5.00""#, r#""EUR""#)),
        (
            "invalid_amount",
            good("b", time, r#""99999999999999999999""#, r#""EUR""#),
        ),
        ("invalid_amount", good("c", time, "1e300", r#""EUR""#)),
        ("unknown_currency", good("d", time, "1", r#""XQQ""#)),
        ("invalid_time", good("e", "1969-12-31T23:00:00Z", "1", r#""EUR""#)),
        ("invalid_time", good("f", "2999-01-01T00:00:00Z", "1", r#""EUR""#)),
        ("invalid_field", good("g", time, "1", "978")),
        (
            "missing_entity",
            format!(
                r#"{{"transaction_id":"h{wave}","event_time":"{time}","amount":1,"currency":"EUR","entities":{{}}}}"#
            ),
        ),
        ("undecodable", "[".repeat(900 << 10)),
        ("too_large", huge),
        ("empty", String::new()),
    ];
    let mut all: Vec<_> = texts
        .into_iter()
        .map(|(reason, text)| (reason, text.into_bytes()))
        .collect();
    all.push(("undecodable", vec![0xff, 0xfe, 0x00, u8::try_from(wave).unwrap()]));
    all
}

/// Sends a wave of malformed records; how many.
fn send(pipeline: &Pipeline, wave: usize) -> usize {
    let mut producer = Producer::new(&pipeline.kafka(), ProducerOptions::default()).unwrap();
    let records = malformed(wave);
    for (nth, (reason, payload)) in records.iter().enumerate() {
        let key = format!("{MARK}{reason}/{wave}/{nth}");
        let outgoing = Outgoing {
            topic: &pipeline.topic("transactions"),
            partition: Some(i32::try_from(nth + wave).unwrap() % PARTITIONS),
            key: Some(key.as_bytes()),
            payload: Some(payload),
            headers: &[("origin", b"test")],
            timestamp_us: None,
        };
        producer.send(outgoing).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    records.len()
}

/// INV-1, R12.
#[test]
fn malformed_records_become_dead_letters_with_their_bytes() {
    let mut pipeline = Pipeline::new("letters", &[]);
    let file = pipeline.simulate(60, 40);
    [Worker::Ingest, Worker::Preprocess, Worker::Scorer]
        .into_iter()
        .for_each(|worker| pipeline.start(worker));
    let log = File::create(pipeline.path("produce.log")).unwrap();
    let input = file.to_str().unwrap();
    let mut stream = pipeline.cli().spawn(
        &["produce", "--input", input, "--rate", "400", "--format", "json"],
        log,
    );

    let (kafka, letters) = (pipeline.kafka(), pipeline.topic("dead_letters"));
    let mut sent = send(&pipeline, 0);
    wait_until("the first letters", PATIENCE, || {
        read_topic(&kafka, &letters).len() == sent
    });
    sent += send(&pipeline, 1);
    pipeline.kill9(Worker::Ingest);
    sent += send(&pipeline, 2);
    pipeline.start(Worker::Ingest);
    assert!(stream.wait().unwrap().success());
    sent += send(&pipeline, 3);
    wait_until("all letters", PATIENCE, || {
        read_topic(&kafka, &letters).len() >= sent
    });

    let log = std::fs::read_to_string(pipeline.path("produce.log")).unwrap();
    let report: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let transactions = usize::try_from(report["transactions"].as_u64().unwrap()).unwrap();
    pipeline.wait_for("scores", transactions, PATIENCE);
    pipeline.stop_all();
    assert_eq!(
        pipeline.consume("scores").len(),
        transactions,
        "nothing else is scored"
    );
    each_once(&pipeline, sent);
}

/// A record that comes compressed may be larger than any that can be written: it must not hold up those behind it.
#[test]
fn a_record_too_large_for_a_letter_is_told_without_its_bytes() {
    let mut pipeline = Pipeline::new("omitted", &[]);
    let topic = pipeline.topic("transactions");
    let payload = vec![b' '; 20 << 20];
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", pipeline.kafka().bootstrap_servers())
        .set("message.max.bytes", "33554432")
        .set("compression.type", "zstd")
        .create()
        .unwrap();
    producer
        .send(BaseRecord::to(&topic).partition(0).key("k").payload(&payload))
        .map_err(|(error, _)| error)
        .unwrap();
    producer.flush(PATIENCE).unwrap();
    assert_eq!(send(&pipeline, 0), malformed(0).len());
    pipeline.start(Worker::Ingest);
    let (kafka, letters) = (pipeline.kafka(), pipeline.topic("dead_letters"));
    let sent = 1 + malformed(0).len();
    wait_until("all letters", PATIENCE, || {
        read_topic(&kafka, &letters).len() == sent
    });
    pipeline.stop_all();
    let letters = read_topic(&kafka, &letters);
    let omitted: Vec<&Record> = letters
        .iter()
        .filter(|letter| letter.header("riskstream.omitted_bytes").is_some())
        .collect();
    let [letter] = omitted[..] else {
        panic!("{} letters without their bytes", omitted.len())
    };
    assert_eq!(
        text(letter, "riskstream.omitted_bytes"),
        payload.len().to_string()
    );
    assert_eq!(text(letter, "riskstream.reason"), "too_large");
    assert_eq!(text(letter, "riskstream.source.offset"), "0");
    assert_eq!(
        (letter.key.as_deref(), letter.payload.as_deref()),
        (Some(&b"k"[..]), None)
    );
}

/// Each malformed record is among the dead letters once, with its bytes and where it came from.
fn each_once(pipeline: &Pipeline, sent: usize) {
    let kafka = pipeline.kafka();
    let raw = read_topic(&kafka, &pipeline.topic("transactions"));
    let key = |record: &Record| String::from_utf8(record.key.clone().unwrap_or_default().to_vec()).unwrap();
    let malformed: Vec<&Record> = raw
        .iter()
        .filter(|record| key(record).starts_with(MARK))
        .collect();
    assert_eq!(malformed.len(), sent);
    let mut letters: BTreeMap<(i32, i64), Record> = BTreeMap::new();
    for letter in read_topic(&kafka, &pipeline.topic("dead_letters")) {
        let number = |name: &str| text(&letter, name).parse::<i64>().unwrap();
        let place = (
            number("riskstream.source.partition"),
            number("riskstream.source.offset"),
        );
        let before = letters.insert((i32::try_from(place.0).unwrap(), place.1), letter);
        assert!(before.is_none(), "two letters for {place:?}");
    }
    assert_eq!(letters.len(), sent);
    for record in malformed {
        let letter = &letters[&(record.partition, record.offset)];
        assert_eq!(
            letter.payload.as_deref(),
            record.payload.as_deref(),
            "the bytes of {}",
            key(record)
        );
        assert_eq!(letter.key, record.key);
        assert_eq!(text(letter, "origin"), "test");
        assert_eq!(text(letter, "riskstream.source.topic"), &*record.topic);
        assert_eq!(text(letter, "riskstream.stage"), "ingest");
        let reason = key(record)[MARK.len()..].split('/').next().unwrap().to_owned();
        let message = text(letter, "riskstream.message");
        assert_eq!(
            text(letter, "riskstream.reason"),
            reason,
            "{}: {message}",
            key(record)
        );
        assert!(!message.is_empty());
    }
}

fn text<'r>(record: &'r Record, header: &str) -> &'r str {
    std::str::from_utf8(record.header(header).unwrap_or_default()).unwrap()
}
