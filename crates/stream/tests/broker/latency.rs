//! How long things take. Printed, not asserted: the machine is whose it is.

use std::time::{Duration, Instant};

use stream::{GroupOffsets, Polled, TopicPartition, TransactionalProducer};
use testkit::unique;

use crate::support::{PATIENCE, attach, kafka, outgoing, producer, topic};

fn report(what: &str, mut times: Vec<Duration>) {
    times.drain(..times.len() / 5); // the first ones meet a cold broker
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!(
        "{what}: p50 {:?}, p90 {:?}, p99 {:?} of {}",
        at(50),
        at(90),
        at(99),
        times.len()
    );
}

#[test]
fn a_record_there_and_back() {
    let topic = topic("latency", 1);
    let (mut producer, mut consumer) = (producer(), attach(&topic, 0));
    let mut times = Vec::new();
    for _ in 0..500 {
        let begin = Instant::now();
        producer.send(outgoing(&topic, 0, &[0; 256])).unwrap();
        while matches!(consumer.poll(PATIENCE, 1, 1 << 20).unwrap(), Polled::Records(r) if r.is_empty()) {}
        times.push(begin.elapsed());
    }
    report("a record there and back", times);
}

#[test]
fn a_transaction_with_offsets() {
    let (topic, group) = (topic("latency", 1), unique("group"));
    let offsets = GroupOffsets::new(&kafka(), &group).unwrap();
    let metadata = offsets.group_metadata().unwrap();
    let mut producer = TransactionalProducer::new(&kafka(), &unique("id"), PATIENCE).unwrap();
    producer.init().unwrap();
    let (mut whole, mut adding, mut committing) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..300 {
        let begin = Instant::now();
        producer.begin().unwrap();
        for _ in 0..10 {
            producer.send(outgoing(&topic, 0, &[0; 256])).unwrap();
        }
        let sent = Instant::now();
        let offset = (TopicPartition::new(&*topic, 0), number, String::new());
        producer.send_offsets(&[offset], &metadata).unwrap();
        let added = Instant::now();
        producer.commit().unwrap();
        adding.push(added - sent);
        committing.push(added.elapsed());
        whole.push(begin.elapsed());
    }
    report("a transaction of ten records and offsets", whole);
    report("  of it adding the offsets", adding);
    report("  of it committing", committing);
}

#[test]
fn a_commit_of_offsets() {
    let (topic, group) = (topic("latency", 1), unique("group"));
    let mut member = crate::support::Member::join(&group, &topic, stream::ConsumerOptions::default());
    crate::support::settle(&mut [&mut member], 1);
    let mut times = Vec::new();
    for number in 0..200 {
        let begin = Instant::now();
        member
            .consumer
            .commit(&[(TopicPartition::new(&*topic, 0), number, "note".to_owned())])
            .unwrap();
        times.push(begin.elapsed());
    }
    report("a commit of offsets", times);
}

#[test]
fn a_stream_of_small_records() {
    const COUNT: usize = 200_000;
    let topic = topic("throughput", 1);
    let mut producer = producer();
    let begin = Instant::now();
    for _ in 0..COUNT {
        producer.send(outgoing(&topic, 0, &[0; 200])).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let sent = begin.elapsed();
    let mut consumer = attach(&topic, 0);
    let (begin, mut read) = (Instant::now(), 0);
    while read < COUNT {
        let Polled::Records(records) = consumer.poll(PATIENCE, 10_000, 16 << 20).unwrap() else {
            unreachable!()
        };
        read += records.len();
    }
    println!(
        "{COUNT} records of 200 bytes: sent in {sent:?}, read in {:?}",
        begin.elapsed()
    );
}
