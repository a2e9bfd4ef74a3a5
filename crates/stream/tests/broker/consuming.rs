//! Reading without a group.

use std::time::Duration;

use stream::{Consumer, Gather, Polled, StartOffset, StreamError, TopicPartition};
use testkit::{unique, wait_until};

use crate::support::{PATIENCE, attach, fill, kafka, poll, read, text, topic};

#[test]
fn reading_begins_where_it_is_told() {
    let topic = topic("start", 1);
    fill(&topic, 0, &["a", "b", "c"]);
    let partition = TopicPartition::new(&*topic, 0);
    for (start, first) in [(StartOffset::Beginning, "a"), (StartOffset::At(2), "c")] {
        let mut consumer = Consumer::attach(&kafka(), vec![(partition.clone(), start)]).unwrap();
        assert_eq!(text(&read(&mut consumer, 1, PATIENCE)[0]), first);
    }
}

#[test]
fn an_offset_that_is_gone_is_an_error() {
    let topic = topic("gone", 1);
    fill(&topic, 0, &["a"]);
    let start = vec![(TopicPartition::new(&*topic, 0), StartOffset::At(99))];
    let mut consumer = Consumer::attach(&kafka(), start).unwrap();
    let mut error = None;
    wait_until("the loss is told", PATIENCE, || {
        error = consumer.poll(Duration::from_millis(50), 10, 1000).err();
        error.is_some()
    });
    assert!(matches!(error, Some(StreamError::OffsetLost { .. })), "{error:?}");
}

#[test]
fn a_poll_takes_no_more_than_it_is_asked_for() {
    let topic = topic("bounds", 1);
    fill(&topic, 0, &["aaaa", "bbbb", "cccc", "dddd"]);
    let mut consumer = attach(&topic, 0);
    wait_until("the first", PATIENCE, || {
        consumer.poll(Duration::from_millis(50), 1, 100).unwrap() != none()
    });
    wait_until("two at most", PATIENCE, || {
        match consumer.poll(Duration::from_millis(50), 100, 5).unwrap() {
            Polled::Records(records) => {
                assert!(records.len() <= 2, "INV-8");
                !records.is_empty()
            }
            event => panic!("{event:?}"),
        }
    });
}

fn none() -> Polled {
    Polled::Records(Vec::new())
}

#[test]
fn ends_and_beginnings_are_known() {
    let topic = topic("ends", 2);
    fill(&topic, 1, &["a", "b", "c"]);
    let both = [TopicPartition::new(&*topic, 1), TopicPartition::new(&*topic, 0)];
    let mut consumer = attach(&topic, 1);
    assert_eq!(consumer.partition_count(&topic).unwrap(), 2);
    assert_eq!(
        consumer.end_offsets(&both, PATIENCE).unwrap(),
        [3, 0],
        "in the order asked"
    );
    assert_eq!(consumer.beginning_offsets(&both, PATIENCE).unwrap(), [0, 0]);
    read(&mut consumer, 3, PATIENCE);
    assert_eq!(consumer.cached_end(&both[0]), Some(3));
    assert_eq!(consumer.position(&both[0]), Some(3));
    let missing = unique("missing");
    assert!(matches!(
        consumer.partition_count(&missing),
        Err(StreamError::UnknownTopic { .. })
    ));
}

#[test]
fn a_paused_partition_rests() {
    let topic = topic("paused", 1);
    let partition = [TopicPartition::new(&*topic, 0)];
    fill(&topic, 0, &["a"]);
    let mut consumer = attach(&topic, 0);
    read(&mut consumer, 1, PATIENCE);
    consumer.pause(&partition).unwrap();
    fill(&topic, 0, &["b"]);
    for _ in 0..6 {
        assert_eq!(poll(&mut consumer), none());
    }
    consumer.resume(&partition).unwrap();
    assert_eq!(text(&read(&mut consumer, 1, PATIENCE)[0]), "b");
}

#[test]
fn gathered_batches_hold_all_records_in_order() {
    let topic = topic("gather", 1);
    let texts: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    fill(&topic, 0, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let mut consumer = attach(&topic, 0);
    let mut gather = Gather::new(Duration::from_millis(2), Duration::from_millis(20), 64);
    let mut found = Vec::new();
    wait_until("all are gathered", PATIENCE, || {
        if let Polled::Records(records) = gather.poll(&mut consumer, Duration::from_millis(50)).unwrap() {
            assert!(records.len() <= 64);
            found.extend(records.iter().map(|r| text(r).to_owned()));
        }
        found.len() == texts.len()
    });
    assert_eq!(found, texts);
}
