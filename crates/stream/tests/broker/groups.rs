//! Groups: rebalances, generations, commits.

use std::collections::BTreeSet;
use std::time::Duration;

use stream::{CommitOutcome, ConsumerOptions, GroupOffsets, TopicPartition};
use testkit::{unique, wait_until};

use crate::support::{Member, PATIENCE, fill, kafka, settle, text, topic};

fn join(group: &str, topic: &str) -> Member {
    Member::join(group, topic, ConsumerOptions::default())
}

fn all(topic: &str, partitions: i32) -> Vec<TopicPartition> {
    (0..partitions)
        .map(|partition| TopicPartition::new(topic, partition))
        .collect()
}

#[test]
fn a_commit_comes_back_with_its_metadata() {
    let (topic, group) = (topic("commit", 2), unique("group"));
    let partitions = all(&topic, 2);
    fill(&topic, 0, &["a", "b"]);
    let mut member = join(&group, &topic);
    settle(&mut [&mut member], 2);
    let note = r#"{"index_before":[41,-1],"newest_us":1522540800000000}"#;
    let offsets = [(partitions[0].clone(), 2, note.to_owned())];
    assert_eq!(member.consumer.commit(&offsets).unwrap(), CommitOutcome::Done);

    // From outside the group as well: everybody's commits tell how far the slowest is (R16).
    let outside = GroupOffsets::new(&kafka(), &group).unwrap();
    for committed in [
        member.consumer.committed(&partitions, PATIENCE).unwrap(),
        outside.committed(&partitions, PATIENCE).unwrap(),
    ] {
        assert_eq!(
            (committed[0].offset, committed[0].metadata.as_str()),
            (Some(2), note)
        );
        assert_eq!((committed[1].offset, committed[1].metadata.as_str()), (None, ""));
    }
}

#[test]
fn an_asynchronous_commit_is_told_when_it_is_done() {
    let (topic, group) = (topic("async", 1), unique("group"));
    let mut member = join(&group, &topic);
    settle(&mut [&mut member], 1);
    let partition = TopicPartition::new(&*topic, 0);
    assert!(
        member
            .consumer
            .commit_async(&[(partition.clone(), 1, String::new())])
            .unwrap()
    );
    assert!(
        !member
            .consumer
            .commit_async(&[(partition.clone(), 2, String::new())])
            .unwrap(),
        "one at a time"
    );
    wait_until("it is done", PATIENCE, || {
        member.consumer.finished_commit().unwrap() == Some(CommitOutcome::Done)
    });
    assert_eq!(
        member.consumer.committed(&[partition], PATIENCE).unwrap()[0].offset,
        Some(1)
    );
}

#[test]
fn partitions_move_one_by_one_and_the_generation_rises() {
    let (topic, group) = (topic("move", 4), unique("group"));
    let mut first = join(&group, &topic);
    settle(&mut [&mut first], 4);
    let generation = first.consumer.generation().unwrap();
    let mut second = join(&group, &topic);
    settle(&mut [&mut first, &mut second], 4);
    assert_eq!((first.owned.len(), second.owned.len()), (2, 2));
    assert!(first.owned.is_disjoint(&second.owned));
    assert!(first.consumer.generation().unwrap() > generation, "R7");

    for partition in 0..4 {
        fill(&topic, partition, &[&partition.to_string()]);
    }
    wait_until("each reads its own", PATIENCE, || {
        first.turn();
        second.turn();
        first.records.len() + second.records.len() == 4
    });
    for member in [&first, &second] {
        let read: BTreeSet<i32> = member.records.iter().map(|r| text(r).parse().unwrap()).collect();
        assert_eq!(read, member.owned);
    }

    drop(second);
    settle(&mut [&mut first], 4);
}

#[test]
fn what_was_given_away_cannot_be_committed() {
    let (topic, group) = (topic("given", 2), unique("group"));
    let mut first = join(&group, &topic);
    settle(&mut [&mut first], 2);
    let mut second = join(&group, &topic);
    settle(&mut [&mut first, &mut second], 2);
    let given = TopicPartition::new(&*topic, *second.owned.first().unwrap());
    let outcome = first
        .consumer
        .commit(&[(given.clone(), 7, "stale".to_owned())])
        .unwrap();
    assert_eq!(outcome, CommitOutcome::Fenced);
    assert_eq!(
        second.consumer.committed(&[given], PATIENCE).unwrap()[0].offset,
        None
    );
}

#[test]
fn an_owner_that_slept_too_long_is_refused() {
    let (topic, group) = (topic("zombie", 1), unique("group"));
    let short = ConsumerOptions {
        session_timeout: Duration::from_secs(6),
        max_poll_interval: Duration::from_secs(6),
        ..ConsumerOptions::default()
    };
    let mut zombie = Member::join(&group, &topic, short);
    settle(&mut [&mut zombie], 1);
    let mut successor = join(&group, &topic);
    let partition = TopicPartition::new(&*topic, 0);
    // The zombie does not poll, so the group goes on without it.
    wait_until("the successor takes over", PATIENCE, || {
        successor.turn();
        !successor.owned.is_empty()
    });
    let done = successor
        .consumer
        .commit(&[(partition.clone(), 5, "successor".to_owned())])
        .unwrap();
    assert_eq!(done, CommitOutcome::Done);
    let refused = zombie
        .consumer
        .commit(&[(partition.clone(), 3, "zombie".to_owned())])
        .unwrap();
    assert_eq!(refused, CommitOutcome::Fenced);
    assert_eq!(
        successor.consumer.committed(&[partition], PATIENCE).unwrap()[0].metadata,
        "successor"
    );

    wait_until("the zombie is told", PATIENCE, || {
        successor.turn();
        match crate::support::poll(&mut zombie.consumer) {
            stream::Polled::Revoked(lost) => {
                assert!(zombie.consumer.assignment_lost());
                zombie.give(&lost);
                true
            }
            _ => false,
        }
    });
}

#[test]
fn leaving_with_an_unanswered_rebalance_holds_nobody_up() {
    let (topic, group) = (topic("unanswered", 2), unique("group"));
    let mut first = join(&group, &topic);
    wait_until("partitions are offered", PATIENCE, || {
        matches!(
            crate::support::poll(&mut first.consumer),
            stream::Polled::Assigned(_)
        )
    });
    let started = std::time::Instant::now();
    drop(first);
    let mut second = join(&group, &topic);
    settle(&mut [&mut second], 2);
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "it left instead of timing out"
    );
}
