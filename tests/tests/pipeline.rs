//! All four workers in one process: from raw transaction to score and table.

#![allow(clippy::unwrap_used, reason = "in a test a failure is the message")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use testkit::wait_until;
use tests::{Pipeline, Worker, count_rows};

const PATIENCE: Duration = Duration::from_secs(120);

/// INV-1, INV-2, INV-7.
#[test]
fn every_transaction_is_scored_once() {
    // No model in this test: it is the cold start that is shown.
    let mut pipeline = Pipeline::new("once", &[("trainer.min_transactions", "1000000000")]);
    let file = pipeline.simulate(60, 40);
    pipeline.start(Worker::Up);
    let (transactions, labels) = pipeline.produce(&file, &[]);
    assert!(
        transactions > 1_000 && labels > 10,
        "{transactions} transactions and {labels} labels"
    );

    pipeline.wait_for("scores", transactions, PATIENCE);
    let scores = pipeline.consume("scores");
    let scored: BTreeSet<_> = scores
        .iter()
        .map(|score| score["transaction_id"].to_string())
        .collect();
    assert_eq!((scores.len(), scored.len()), (transactions, transactions));
    for score in &scores {
        assert!(score["score"].is_null() && score["version"].is_null(), "{score}");
        assert_eq!(score["decided_by"]["kind"], "cold_start", "{score}");
        assert_eq!(score["decision"], "review", "{score}");
    }
    assert_eq!(pipeline.consume("features").len(), transactions);
    assert_eq!(pipeline.consume("dead-letters").len(), 0);

    let lake = pipeline.lake();
    let tables = [
        ("events", transactions),
        ("labels", labels),
        ("features", transactions),
        ("scores", transactions),
    ];
    for (table, rows) in tables {
        wait_until(&format!("{rows} rows in {table}"), PATIENCE, || {
            count_rows(&lake, table) == rows
        });
    }
    pipeline.stop_all();
    for (table, rows) in tables {
        assert_eq!(count_rows(&lake, table), rows, "{table}");
    }
    nothing_in_clear(&pipeline, &file);
}

/// No card number is in clear behind ingest (INV-7).
fn nothing_in_clear(pipeline: &Pipeline, file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    let cards: BTreeSet<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["card_number"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(cards.len() >= 50, "{} cards", cards.len());
    for topic in ["events", "features", "scores"] {
        let printed = pipeline.consumed(topic).stdout;
        assert!(printed.contains("transaction_id"));
        let found = cards.iter().find(|card| printed.contains(card.as_str()));
        assert_eq!(found, None, "a card number in {topic}");
    }
    let log = std::fs::read_to_string(pipeline.path("up.log")).unwrap();
    assert_eq!(
        cards.iter().find(|card| log.contains(card.as_str())),
        None,
        "a card number in the log"
    );
}
