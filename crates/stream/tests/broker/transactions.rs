//! Transactions: all or nothing, once, and fenced.

use std::time::{Duration, Instant};

use stream::{
    ConsumerOptions, GroupOffsets, Record, StartOffset, StreamError, TopicPartition, TransactionalProducer,
};
use testkit::{unique, wait_until};

use crate::support::{Member, PATIENCE, attach, kafka, outgoing, poll, read, settle, text, topic};

fn transactional(id: &str) -> TransactionalProducer {
    let mut producer = TransactionalProducer::new(&kafka(), id, PATIENCE).unwrap();
    producer.init().unwrap();
    producer
}

fn texts(records: &[Record]) -> Vec<&str> {
    records.iter().map(text).collect()
}

#[test]
fn only_what_is_committed_is_read() {
    let topic = topic("committed", 1);
    let partition = TopicPartition::new(&*topic, 0);
    let mut watcher = attach(&topic, 0);
    let mut producer = transactional(&unique("id"));
    for (place, (payload, commit)) in [("a", true), ("b", false), ("c", true), ("d", false)]
        .into_iter()
        .enumerate()
    {
        producer.begin().unwrap();
        producer.send(outgoing(&topic, 0, payload.as_bytes())).unwrap();
        // An abort drops what has not left yet, so wait until it is in the log.
        let end = i64::try_from(2 * place + 1).unwrap();
        wait_until("it is in the log", PATIENCE, || {
            poll(&mut watcher);
            watcher.cached_end(&partition) == Some(end)
        });
        if commit {
            producer.commit().unwrap()
        } else {
            producer.abort().unwrap()
        }
    }
    let mut consumer = attach(&topic, 0);
    assert_eq!(texts(&read(&mut consumer, 2, PATIENCE)), ["a", "c"]);
    // Four records and four markers; the end can be reached although no record is there.
    let end = consumer
        .end_offsets(std::slice::from_ref(&partition), PATIENCE)
        .unwrap()[0];
    assert_eq!(end, 8);
    wait_until("the position reaches the end", PATIENCE, || {
        assert_eq!(poll(&mut consumer), stream::Polled::Records(Vec::new()));
        consumer.position(&partition) == Some(end)
    });
}

#[test]
fn a_predecessor_is_fenced() {
    let (topic, id) = (topic("fenced", 1), unique("id"));
    let mut zombie = transactional(&id);
    zombie.begin().unwrap();
    zombie.send(outgoing(&topic, 0, b"zombie")).unwrap();

    let mut successor = transactional(&id);
    let error = zombie.commit().unwrap_err();
    assert!(error.is_fenced() && !error.is_retryable(), "{error:?}");
    successor.begin().unwrap();
    successor.send(outgoing(&topic, 0, b"successor")).unwrap();
    successor.commit().unwrap();
    assert_eq!(texts(&read(&mut attach(&topic, 0), 1, PATIENCE)), ["successor"]);
    assert!(zombie.begin().is_err(), "it stays fenced");
}

#[test]
fn offsets_appear_with_the_records_and_not_before() {
    let (topic, group) = (topic("offsets", 1), unique("group"));
    let source = [TopicPartition::new(&*topic, 0)];
    let offsets = GroupOffsets::new(&kafka(), &group).unwrap();
    let mut producer = transactional(&unique("id"));
    producer.begin().unwrap();
    producer.send(outgoing(&topic, 0, b"letter")).unwrap();
    let committed = [(source[0].clone(), 17, "marks".to_owned())];
    producer
        .send_offsets(&committed, &offsets.group_metadata().unwrap())
        .unwrap();

    // Whoever asks now has to wait (R13), and gets the new offset, not the old one.
    let early = offsets.committed(&source, Duration::from_millis(500));
    assert!(matches!(early, Err(StreamError::Retriable { .. })), "{early:?}");
    let found = std::thread::scope(|scope| {
        let asked = scope.spawn(|| offsets.committed(&source, PATIENCE));
        std::thread::sleep(Duration::from_millis(100));
        producer.commit().unwrap();
        asked.join().unwrap().unwrap()
    });
    assert_eq!((found[0].offset, found[0].metadata.as_str()), (Some(17), "marks"));
}

#[test]
fn offsets_of_an_aborted_transaction_never_were() {
    let (topic, group) = (topic("aborted", 1), unique("group"));
    let source = [TopicPartition::new(&*topic, 0)];
    let offsets = GroupOffsets::new(&kafka(), &group).unwrap();
    let mut producer = transactional(&unique("id"));
    producer.begin().unwrap();
    let committed = [(source[0].clone(), 17, String::new())];
    producer
        .send_offsets(&committed, &offsets.group_metadata().unwrap())
        .unwrap();
    producer.abort().unwrap();
    assert_eq!(offsets.committed(&source, PATIENCE).unwrap()[0].offset, None);
}

#[test]
fn a_member_commits_under_its_generation() {
    let (topic, group) = (topic("generation", 1), unique("group"));
    let source = TopicPartition::new(&*topic, 0);
    let mut member = Member::join(&group, &topic, ConsumerOptions::default());
    settle(&mut [&mut member], 1);
    let old = member.consumer.group_metadata().unwrap();
    let mut producer = transactional(&unique("id"));
    let mut commit = |offset: i64, metadata| {
        producer.begin().unwrap();
        let sent = producer.send_offsets(&[(source.clone(), offset, String::new())], metadata);
        sent.and_then(|()| producer.commit()) // begin() gives up what has failed
    };
    commit(1, &old).unwrap();

    // A second member makes a new generation; what was sent under the old one is refused (R13).
    let generation = member.consumer.generation();
    let mut other = Member::join(&group, &topic, ConsumerOptions::default());
    wait_until("a new generation", PATIENCE, || {
        member.turn();
        other.turn();
        member.consumer.generation() > generation
    });
    let error = commit(2, &old).unwrap_err();
    assert!(error.is_fenced(), "{error:?}");
    let current = member.consumer.group_metadata().unwrap();
    commit(3, &current).unwrap();
    assert_eq!(
        member.consumer.committed(&[source], PATIENCE).unwrap()[0].offset,
        Some(3)
    );
}

#[test]
fn a_read_transform_write_loop_delivers_once_across_a_successor() {
    let (input, output, group) = (topic("in", 1), topic("out", 1), unique("group"));
    crate::support::fill(&input, 0, &["1", "2", "3", "4"]);
    let id = unique("id");
    let step = |count: usize, commit: bool| {
        let mut producer = transactional(&id);
        let offsets = GroupOffsets::new(&kafka(), &group).unwrap();
        let source = TopicPartition::new(&*input, 0);
        let from = offsets
            .committed(std::slice::from_ref(&source), PATIENCE)
            .unwrap()[0]
            .offset
            .unwrap_or(0);
        let mut consumer =
            stream::Consumer::attach(&kafka(), vec![(source.clone(), StartOffset::At(from))]).unwrap();
        let records = read(&mut consumer, count, PATIENCE);
        producer.begin().unwrap();
        for record in &records[..count] {
            producer
                .send(outgoing(&output, 0, record.payload.as_ref().unwrap()))
                .unwrap();
        }
        let next = records[count - 1].offset + 1;
        producer
            .send_offsets(
                &[(source, next, String::new())],
                &offsets.group_metadata().unwrap(),
            )
            .unwrap();
        if commit {
            producer.commit().unwrap();
        } // otherwise it dies with its transaction open
    };
    let started = Instant::now();
    step(2, true);
    step(2, false);
    step(2, true);
    assert_eq!(
        texts(&read(&mut attach(&output, 0), 4, PATIENCE)),
        ["1", "2", "3", "4"]
    );
    assert!(
        started.elapsed() < PATIENCE,
        "the successor did not wait for the transaction to time out"
    );
}
