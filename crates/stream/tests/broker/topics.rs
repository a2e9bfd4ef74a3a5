//! Making topics.

use stream::{Outcome, StreamError, Topics};
use testkit::unique;

use crate::support::{kafka, spec};

#[test]
fn creating_topics_again_changes_nothing_and_tells_what_differs() {
    let topics = Topics::new(&kafka()).unwrap();
    let (one, two) = (spec(&unique("one"), 3), spec(&unique("two"), 1));
    assert_eq!(
        topics.create(std::slice::from_ref(&one)).unwrap(),
        [Outcome::Created]
    );
    assert_eq!(
        topics.create(&[one.clone(), two.clone()]).unwrap(),
        [Outcome::Existed, Outcome::Created]
    );

    let mut more = one.clone();
    more.partitions = 8;
    assert_eq!(
        topics.create(&[more]).unwrap(),
        [Outcome::PartitionsDiffer { want: 8, have: 3 }]
    );
    let mut compacted = one.clone();
    compacted
        .config
        .insert("cleanup.policy".to_owned(), "compact".to_owned());
    let outcomes = topics.create(&[compacted]).unwrap();
    assert!(
        matches!(&outcomes[0], Outcome::SettingDiffers { key, .. } if key == "cleanup.policy"),
        "{outcomes:?}"
    );

    let found = topics.describe(&one.name).unwrap();
    assert_eq!((found.partitions, found.replication), (3, 1));
    assert_eq!(found.config["max.message.bytes"], "16777216");
    let names = topics.list().unwrap();
    assert!(names.contains(&one.name) && names.contains(&two.name));
    assert!(!names.iter().any(|name| name.starts_with("__")));
}

#[test]
fn a_topic_that_is_not_there_is_unknown() {
    let found = Topics::new(&kafka()).unwrap().describe(&unique("missing"));
    assert!(
        matches!(found, Err(StreamError::UnknownTopic { .. })),
        "{found:?}"
    );
}
