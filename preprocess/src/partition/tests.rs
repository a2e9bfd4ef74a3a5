//! Tests of a partition on batches as ingest writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use eventlog::Word;
use features::{Aggregate, FeatureSpec, Plan};
use imaging::Frame;
use lake::Store;
use schema::{
    Event, EventBuilder, Image, ImageFile, Label, Layout, Origin, SourceTopic, Subject, Transaction, Verdict,
};
use stream::Kafka;

use super::*;
use crate::config::{ImagesSection, Section};

const DAY: Duration = Duration::from_secs(86_400);
const PLACE: Place = Place {
    partition: 0,
    partitions: 1,
    targets: 1,
};

/// The first of these stages, which counts the frauds of its entity.
fn settings(folder: &std::path::Path, stages: &[&str]) -> StageSettings {
    let spec = FeatureSpec {
        entity: Some(stages[0].to_owned()),
        window: Some(DAY),
        ..FeatureSpec::new("frauds", Aggregate::FraudCount)
    };
    stage(folder, stages, 0, spec)
}

/// One of these stages, with one feature.
fn stage(folder: &std::path::Path, stages: &[&str], place: usize, spec: FeatureSpec) -> StageSettings {
    let plan = Plan::compile(&[spec], None, stages[place], place + 1 == stages.len(), &[]);
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
        place,
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
    let mut partition = Partition::new(&settings, PLACE, 0);
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

fn image(id: &str, of: &str, at_us: i64, hash: u64) -> (Event, i64) {
    let image = Image {
        image_id: id.to_owned(),
        event_time_us: at_us,
        kind: "receipt".into(),
        transaction_id: Some(of.to_owned()),
        entities: entities(&["customer"]),
        file: ImageFile {
            sha256: format!("{hash:064x}"),
            perceptual_hash: hash,
            width: 8,
            height: 8,
            frames: 1,
        },
    };
    (Event::Image(image), at_us)
}

/// A batch of the log for each event, and the word that there is nothing before it any more.
fn one_by_one(layout: &Arc<Layout>, events: &[(Event, i64)]) -> Vec<(BatchHeader, RecordBatch)> {
    let batch = |(offset, (event, at_us)): (i64, &(Event, i64))| {
        let origin = Origin {
            topic: SourceTopic::Transactions,
            partition: 0,
            offset,
            timestamp_us: *at_us,
        };
        let word = Word {
            generation: 1,
            position: offset + 1,
            caught_up: false,
            watermark_us: at_us + 1,
            sources: 1,
        };
        let header = BatchHeader {
            writer: Writer::source("transactions", 0),
            epoch: 0,
            index_before: offset - 1,
            word,
        };
        let mut builder = EventBuilder::new(Arc::clone(layout));
        builder.push(event, origin, *at_us, false);
        (header, builder.finish().expect("builds"))
    };
    (0..).zip(events).map(batch).collect()
}

/// The batches with rows that a partition makes of these; one that is stopped after so many of them, if it is, and goes
/// on from its own snapshot.
fn batches_of(
    settings: &StageSettings,
    batches: &[(BatchHeader, RecordBatch)],
    stopped_after: Option<usize>,
) -> Vec<(BatchHeader, RecordBatch)> {
    let mut partition = Partition::new(settings, PLACE, 0);
    let mut made = Vec::new();
    for (nth, (header, rows)) in batches.iter().enumerate() {
        let offset = i64::try_from(nth).expect("a small number");
        partition.apply(offset, header, rows).expect("takes it in");
        let out = partition.outgoing(0, false).expect("puts it together");
        let with_rows = out.into_iter().filter(|batch| batch.rows.num_rows() > 0);
        made.extend(with_rows.map(|batch| (batch.header, batch.rows)));
        if stopped_after == Some(nth + 1) {
            let saved = partition.snapshot().expect("can be encoded");
            let at = (partition.position(), saved.as_slice());
            partition = Partition::restore(settings, PLACE, 0, at).expect("reads what it wrote");
        }
    }
    made
}

/// What rows tell of transactions: identifier, revision, image, and how often it was seen before.
fn told(batches: &[(BatchHeader, RecordBatch)]) -> Vec<(String, i32, Option<String>, Option<f64>)> {
    let mut told = Vec::new();
    for (_, rows) in batches {
        let columns = schema::EventColumns::of(rows).expect("rows of the log");
        let revisions = rows[column::REVISION].as_primitive::<arrow::datatypes::Int32Type>();
        for row in (0..rows.num_rows()).filter(|row| columns.kind_of(*row) == Some(Kind::Transaction)) {
            told.push((
                columns.transaction_id.value(row).to_owned(),
                revisions.value(row),
                text_at(rows, column::IMAGE_ID, row).map(str::to_owned),
                number_at(rows, column::IMAGE_SEEN_COUNT, row),
            ));
        }
    }
    told
}

/// Transactions before and after their images, which show two documents, and one whose image does not come in time.
fn meetings() -> Vec<(Event, i64)> {
    let at = |second: i64| second * 1_000_000;
    vec![
        transaction("first", at(1)),
        image("a", "first", at(2), 0),
        image("b", "second", at(3), u64::MAX),
        fraud(Subject::Transaction("first".into()), at(4)),
        image("c", "first", at(5), u64::MAX),
        image("d", "second", at(6), 0),
        transaction("second", at(7)),
        transaction("alone", at(8)),
        image("e", "second", at(9), 0),
        image("f", "alone", at(9) + 86_400_000_000, 0),
    ]
}

/// INV-3: a snapshot between a transaction and its image, or the other way round, changes nothing, however many stages
/// there are.
#[test]
fn a_restored_partition_joins_images_as_one_that_was_never_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let counted = |name: &str, entity: &str| FeatureSpec {
        entity: Some(entity.to_owned()),
        window: Some(DAY),
        ..FeatureSpec::new(name, Aggregate::FraudCount)
    };
    let alone = settings(folder.path(), &["customer"]);
    let stages = ["terminal", "customer"];
    let [first, mut last] = [0, 1].map(|place| {
        let name = format!("frauds_{}", stages[place]);
        stage(folder.path(), &stages, place, counted(&name, stages[place]))
    });
    last.earlier = vec!["frauds_terminal".into()];
    let events = one_by_one(&alone.layout, &meetings());
    let between = batches_of(&first, &events, None);
    for (settings, input) in [(&alone, &events), (&first, &events), (&last, &between)] {
        let expected = batches_of(settings, input, None);
        if settings.is_last() {
            let row = |id: &str, revision, image: Option<&str>, seen| {
                (id.to_owned(), revision, image.map(str::to_owned), seen)
            };
            let rows = [
                row("first", 0, None, None),
                row("first", 1, Some("a"), Some(0.0)),
                row("first", 2, Some("c"), Some(1.0)),
                row("second", 0, Some("d"), Some(1.0)),
                row("alone", 0, None, None),
                row("second", 1, Some("e"), Some(2.0)),
            ];
            assert_eq!(told(&expected), rows);
        }
        for stopped_after in 1..input.len() {
            let found = batches_of(settings, input, Some(stopped_after));
            assert_eq!(found, expected, "stopped after {stopped_after}");
        }
    }
}
