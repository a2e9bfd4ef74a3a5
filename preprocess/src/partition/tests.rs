//! Tests of a partition on batches as ingest writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use eventlog::Word;
use features::{Aggregate, FeatureSpec, Plan};
use imaging::Frame;
use lake::Store;
use schema::{Event, EventBuilder, Label, Layout, Origin, SourceTopic, Subject, Transaction, Verdict};
use stream::Kafka;

use super::*;
use crate::config::{ImagesSection, Section};

const DAY: Duration = Duration::from_secs(86_400);

/// The first of these stages, which counts the frauds of its entity.
fn settings(folder: &std::path::Path, stages: &[&str]) -> StageSettings {
    let spec = FeatureSpec {
        entity: Some(stages[0].to_owned()),
        window: Some(DAY),
        ..FeatureSpec::new("frauds", Aggregate::FraudCount)
    };
    let plan = Plan::compile(&[spec], None, stages[0], stages.len() == 1, &[]);
    StageSettings {
        section: Section {
            group: "group".into(),
            stages: stages.iter().map(|s| (*s).to_owned()).collect(),
            duplicates_window: DAY,
            snapshot_interval: DAY,
            max_batch_records: 1,
            linger: Duration::ZERO,
            max_linger: Duration::ZERO,
            epoch: 0,
            images: ImagesSection {
                frame: Frame { height: 8, width: 8 },
                join_window: DAY,
                max_waiting: 10,
            },
        },
        kafka: Kafka::new("nowhere:1", "test", BTreeMap::new()).expect("nothing to refuse"),
        store: Store::open(folder.to_str().expect("a text")).expect("a folder"),
        place: 0,
        input: "in".into(),
        output: "out".into(),
        layout: Arc::new(Layout {
            entities: vec!["terminal".into(), "customer".into()],
            attributes: Vec::new(),
            images: true,
        }),
        earlier: Vec::new(),
        plan: Arc::new(plan.expect("a plan")),
    }
}

fn entities(names: &[&str]) -> BTreeMap<String, String> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), "x".to_owned()))
        .collect()
}

fn transaction(id: &str, at_us: i64) -> (Event, i64) {
    let transaction = Transaction {
        transaction_id: id.to_owned(),
        event_time_us: at_us,
        amount_minor: 100,
        currency: money::currency("EUR").expect("a currency"),
        entities: entities(&["terminal", "customer"]),
        attributes: BTreeMap::new(),
        image_ids: Vec::new(),
    };
    (Event::Transaction(transaction), at_us)
}

fn fraud(subject: Subject, at_us: i64) -> (Event, i64) {
    let named: &[&str] = if subject.image_id().is_some() {
        &["customer"]
    } else {
        &["terminal", "customer"]
    };
    let label = Label {
        subject,
        verdict: Verdict::Fraud,
        known_at_us: at_us,
        source: "analyst".into(),
        entities: entities(named),
    };
    (Event::Label(label), at_us)
}

/// What a partition passes on of these events: the identifier and the counted frauds of each row.
fn passed_on(stages: &[&str], events: &[(Event, i64)]) -> Vec<(String, Option<f64>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path(), stages);
    let place = Place {
        partition: 0,
        partitions: 1,
        targets: 1,
    };
    let mut builder = EventBuilder::new(Arc::clone(&settings.layout));
    for ((event, at_us), offset) in events.iter().zip(0..) {
        let origin = Origin {
            topic: SourceTopic::Transactions,
            partition: 0,
            offset,
            timestamp_us: *at_us,
        };
        builder.push(event, origin, *at_us, false);
    }
    let header = BatchHeader {
        writer: Writer::source("transactions", 0),
        epoch: 0,
        index_before: -1,
        word: Word {
            generation: 1,
            position: 99,
            caught_up: true,
            watermark_us: i64::MAX / 2,
            sources: 1,
        },
    };
    let mut partition = Partition::new(&settings, place, 0);
    let batch = builder.finish().expect("builds");
    partition.apply(0, &header, &batch).expect("takes it in");
    assert_eq!(partition.waiting(), 0);
    let out = partition.outgoing(0, false).expect("puts it together");
    let rows = |out: &Outgoing| -> Vec<(String, Option<f64>)> {
        let ids = out.rows[column::TRANSACTION_ID].as_string::<i32>();
        let id = |row| ids.value(row).to_owned();
        let frauds = |row| number_at(&out.rows, "frauds", row);
        (0..out.rows.num_rows())
            .map(|row| (id(row), frauds(row)))
            .collect()
    };
    out.iter().flat_map(rows).collect()
}

#[test]
fn a_label_of_an_image_ends_in_the_first_stage_and_touches_no_window() {
    let of_transaction = fraud(Subject::Transaction("t".into()), 2_000_000);
    let of_image = fraud(Subject::Image("t".into()), 2_000_000);
    let counted = |stages: &[&str], label: &(Event, i64)| {
        let events = [
            transaction("t", 1_000_000),
            label.clone(),
            label.clone(),
            transaction("u", 3_000_000),
        ];
        passed_on(stages, &events)
    };
    let row = |id: &str, frauds| (id.to_owned(), frauds);
    for stages in [&["customer"][..], &["terminal", "customer"]] {
        let rows = counted(stages, &of_image);
        assert_eq!(rows, [row("t", Some(0.0)), row("u", Some(0.0))], "{stages:?}");
    }
    let last = counted(&["customer"], &of_transaction);
    assert_eq!(last, [row("t", Some(0.0)), row("u", Some(1.0))]);
    let passed = counted(&["terminal", "customer"], &of_transaction);
    assert_eq!(passed, [row("t", Some(0.0)), row("t", None), row("u", Some(1.0))]);
}
