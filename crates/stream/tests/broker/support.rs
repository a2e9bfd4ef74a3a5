//! What these tests share.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use stream::{
    Consumer, ConsumerOptions, Kafka, Outgoing, Polled, Producer, ProducerOptions, Record, StartOffset,
    TopicPartition, TopicSpec, Topics,
};
use testkit::{Broker, unique};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const MAX_BYTES: usize = 64 << 20;

pub(crate) fn kafka() -> Kafka {
    Kafka::new(
        Broker::shared().bootstrap_servers(),
        "stream-test",
        BTreeMap::new(),
    )
    .unwrap()
}

pub(crate) fn spec(name: &str, partitions: i32) -> TopicSpec {
    let config = BTreeMap::from([("max.message.bytes".to_owned(), "16777216".to_owned())]);
    TopicSpec {
        name: name.to_owned(),
        partitions,
        replication: None,
        config,
    }
}

/// A new topic.
pub(crate) fn topic(name: &str, partitions: i32) -> String {
    let name = unique(name);
    Topics::new(&kafka())
        .unwrap()
        .create(&[spec(&name, partitions)])
        .unwrap();
    name
}

pub(crate) fn producer() -> Producer {
    Producer::new(&kafka(), ProducerOptions::default()).unwrap()
}

pub(crate) fn outgoing<'a>(topic: &'a str, partition: i32, payload: &'a [u8]) -> Outgoing<'a> {
    Outgoing {
        topic,
        partition: Some(partition),
        key: None,
        payload: Some(payload),
        headers: &[],
        timestamp_us: None,
    }
}

/// Sends texts to one partition and waits for their acknowledgement.
pub(crate) fn fill(topic: &str, partition: i32, texts: &[&str]) {
    let mut producer = producer();
    for text in texts {
        producer
            .send(outgoing(topic, partition, text.as_bytes()))
            .unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

pub(crate) fn attach(topic: &str, partition: i32) -> Consumer {
    Consumer::attach(
        &kafka(),
        vec![(TopicPartition::new(topic, partition), StartOffset::Beginning)],
    )
    .unwrap()
}

pub(crate) fn poll(consumer: &mut Consumer) -> Polled {
    consumer.poll(Duration::from_millis(50), 1000, MAX_BYTES).unwrap()
}

/// Reads until there are `count` records, or `patience` is over.
pub(crate) fn read(consumer: &mut Consumer, count: usize, patience: Duration) -> Vec<Record> {
    let deadline = Instant::now() + patience;
    let mut records = Vec::new();
    while records.len() < count && Instant::now() < deadline {
        match poll(consumer) {
            Polled::Records(more) => records.extend(more),
            event => panic!("a rebalance in the midst: {event:?}"),
        }
    }
    records
}

pub(crate) fn text(record: &Record) -> &str {
    std::str::from_utf8(record.payload.as_ref().unwrap()).unwrap()
}

/// A member of a group that takes what it is given and gives what is asked.
pub(crate) struct Member {
    pub(crate) consumer: Consumer,
    pub(crate) owned: BTreeSet<i32>,
    pub(crate) records: Vec<Record>,
}

impl Member {
    pub(crate) fn join(group: &str, topic: &str, options: ConsumerOptions) -> Self {
        let consumer = Consumer::subscribe(&kafka(), group, &[topic], options).unwrap();
        Self {
            consumer,
            owned: BTreeSet::new(),
            records: Vec::new(),
        }
    }

    /// Polls once and answers rebalances.
    pub(crate) fn turn(&mut self) {
        match poll(&mut self.consumer) {
            Polled::Records(records) => self.records.extend(records),
            Polled::Assigned(partitions) => self.take(&partitions),
            Polled::Revoked(partitions) => self.give(&partitions),
        }
    }

    pub(crate) fn take(&mut self, partitions: &[TopicPartition]) {
        let committed = self.consumer.committed(partitions, PATIENCE).unwrap();
        let start = |offset: Option<i64>| offset.map_or(StartOffset::Beginning, StartOffset::At);
        let starts: Vec<_> = committed
            .into_iter()
            .map(|c| (c.partition, start(c.offset)))
            .collect();
        self.consumer.assign(&starts).unwrap();
        self.owned.extend(partitions.iter().map(|p| p.partition));
    }

    pub(crate) fn give(&mut self, partitions: &[TopicPartition]) {
        self.consumer.unassign(partitions).unwrap();
        for partition in partitions {
            self.owned.remove(&partition.partition);
        }
    }
}

/// Turns all members until they share as many partitions as there are, each having some.
pub(crate) fn settle(members: &mut [&mut Member], partitions: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        members.iter_mut().for_each(|member| member.turn());
        let owned: usize = members.iter().map(|member| member.owned.len()).sum();
        if owned == partitions && members.iter().all(|member| !member.owned.is_empty()) {
            return;
        }
        assert!(Instant::now() < deadline, "the group did not settle");
    }
}
