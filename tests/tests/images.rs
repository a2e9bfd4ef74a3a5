//! Document images from their raw topic to their score.

#![allow(clippy::unwrap_used, reason = "in a test a failure is the message")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use testkit::wait_until;
use tests::{Pipeline, Raw, Worker, count_rows, document, read_table, read_topic, send};

const PATIENCE: Duration = Duration::from_secs(120);
/// 2025-01-05
const START_MS: i64 = 1_736_035_200_000;

/// A PNG whose header declares these sides, over next to nothing.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut file = document(0).to_png();
    file[16..20].copy_from_slice(&width.to_be_bytes());
    file[20..24].copy_from_slice(&height.to_be_bytes());
    file
}

/// Forty documents, each of an account of its own, and later ten of them again for others.
fn good(folder: &str) -> Vec<Raw> {
    let mut records = Vec::new();
    for number in 0..40_u32 {
        let (id, account) = (format!("i{number}"), format!("c{number}"));
        let (at_ms, file) = (START_MS + i64::from(number) * 1000, document(number).to_png());
        records.push(match number % 4 {
            0 => Raw::receipt(&id, &account, at_ms, ("content", &BASE64_STANDARD.encode(&file))),
            1 => {
                fs::write(format!("{folder}/{id}.png"), &file).unwrap();
                Raw::receipt(
                    &id,
                    &account,
                    at_ms,
                    ("uri", &format!("file://{folder}/{id}.png")),
                )
            }
            _ => Raw::image(&id, &account, at_ms, "receipt", file),
        });
    }
    for number in 0..10_u32 {
        let at_ms = START_MS + 3_600_000 + i64::from(number) * 1000;
        let file = document(number).to_png();
        records.push(Raw::image(
            &format!("again{number}"),
            "thief",
            at_ms,
            "cheque",
            file,
        ));
    }
    records
}

/// What nobody should have sent, with the reason that is expected for each.
fn bad(folder: &str) -> Vec<(&'static str, Raw)> {
    let file = document(99).to_png();
    let sent = |kind: &str, file: &[u8]| Raw::image("bad", "c", START_MS, kind, file.to_vec());
    let outside = Raw::receipt("bad", "c", START_MS, ("uri", "file:///etc/hostname"));
    let above = Raw::receipt(
        "bad",
        "c",
        START_MS,
        ("uri", &format!("file://{folder}/../token.key")),
    );
    let missing = Raw::receipt(
        "bad",
        "c",
        START_MS,
        ("uri", &format!("file://{folder}/none.png")),
    );
    let mut nobody = sent("receipt", &file);
    nobody.headers.retain(|(name, _)| name != "entity.customer");
    vec![
        ("invalid_image", sent("receipt", &file[..file.len() / 2])),
        ("invalid_image", sent("receipt", &bomb(60_000, 60_000))),
        ("invalid_image", sent("receipt", b"GIF89a is not taken")),
        ("empty", sent("receipt", b"")),
        ("too_large", sent("receipt", &vec![0xff; 9 << 20])),
        ("invalid_field", sent("selfie", &file)),
        (
            "invalid_field",
            Raw::receipt("bad", "c", START_MS, ("content", "***")),
        ),
        ("missing_content", outside),
        ("missing_content", above),
        ("missing_content", missing),
        ("missing_entity", nobody),
    ]
}

/// INV-1, INV-2 and INV-3 for images.
#[test]
fn every_image_is_scored_once_or_a_dead_letter() {
    let inbox = tempfile::tempdir().unwrap();
    let folder = inbox.path().canonicalize().unwrap().display().to_string();
    let allowed = format!("[\"{folder}\"]");
    let mut pipeline = Pipeline::new("images", &[("ingest.images.fetch_from", &allowed)]);
    [Worker::Ingest, Worker::Preprocess, Worker::Scorer]
        .into_iter()
        .for_each(|worker| pipeline.start(worker));
    let (good, bad) = (good(&folder), bad(&folder));
    let (reasons, bad): (Vec<_>, Vec<_>) = bad.into_iter().unzip();
    send(&pipeline, "images", &good[..20]);
    send(&pipeline, "images", &bad);
    pipeline.kill9(Worker::Ingest);
    pipeline.start(Worker::Ingest);
    send(&pipeline, "images", &good[20..]);
    pipeline.kill9(Worker::Preprocess);
    pipeline.start(Worker::Preprocess);
    // A repeat is known by its identifier, and no second image.
    send(&pipeline, "images", &good[..5]);
    pipeline.wait_for("scores", good.len(), PATIENCE);
    let (kafka, letters) = (pipeline.kafka(), pipeline.topic("dead_letters"));
    wait_until("all letters", PATIENCE, || {
        read_topic(&kafka, &letters).len() >= bad.len()
    });
    let lake = pipeline.lake();
    wait_until("all images in their table", PATIENCE, || {
        lake.join("tables/images/_delta_log").exists() && count_rows(&lake, "images") >= good.len()
    });
    pipeline.stop_all();

    let scores = by_image(pipeline.consume("scores"));
    assert_eq!(scores.len(), good.len());
    assert!(
        scores
            .values()
            .all(|score| score["decided_by"]["kind"] == "cold_start")
    );
    let mut found: Vec<String> = read_topic(&kafka, &letters)
        .iter()
        .map(|letter| String::from_utf8(letter.header("riskstream.reason").unwrap().to_vec()).unwrap())
        .collect();
    let mut reasons: Vec<&str> = reasons;
    found.sort();
    reasons.sort_unstable();
    assert_eq!(found, reasons);
    check_rows(&by_image(pipeline.consume("features")));
    check_objects(&pipeline);
}

fn label(ids: &Value, entities: &Value) -> Raw {
    let mut value = json!({
        "label": "fraud", "known_at": START_MS, "source": "analyst", "entities": entities,
    });
    let fields = value.as_object_mut().unwrap();
    fields.extend(ids.as_object().unwrap().clone());
    Raw::json(&value)
}

/// INV-1 and INV-2 for labels of images: no more than the account is asked for, and nothing else becomes of them.
#[test]
fn labels_of_images_reach_their_table_once() {
    let mut pipeline = Pipeline::new("image-labels", &[]);
    [Worker::Ingest, Worker::Preprocess]
        .into_iter()
        .for_each(|worker| pipeline.start(worker));
    let id = |number: usize| format!("i{number}");
    let good: Vec<Raw> = (0..40)
        .map(|number| label(&json!({"image_id": id(number)}), &json!({"customer": "c"})))
        .collect();
    let bad = [
        label(
            &json!({"image_id": "i", "transaction_id": "t"}),
            &json!({"customer": "c"}),
        ),
        label(&json!({"image_id": "i"}), &json!({"terminal": "t"})),
    ];
    send(&pipeline, "labels", &good[..20]);
    send(&pipeline, "labels", &bad);
    pipeline.kill9(Worker::Ingest);
    pipeline.start(Worker::Ingest);
    send(&pipeline, "labels", &good[20..]);
    pipeline.kill9(Worker::Preprocess);
    pipeline.start(Worker::Preprocess);
    let lake = pipeline.lake();
    wait_until("all labels in their table", PATIENCE, || {
        count_rows(&lake, "labels") >= good.len()
    });
    pipeline.stop_all();

    let mut found = Vec::new();
    for batch in read_table(&lake, "labels", &["image_id", "transaction_id", "fraud"]) {
        let [images, transactions] = [0, 1].map(|place| batch.column(place).as_string::<i32>());
        assert!(transactions.iter().all(|id| id == Some("")));
        assert_eq!(batch.column(2).as_boolean().true_count(), batch.num_rows());
        assert_eq!(images.null_count(), 0);
        found.extend(images.iter().flatten().map(str::to_owned));
    }
    found.sort();
    let mut expected: Vec<String> = (0..good.len()).map(id).collect();
    expected.sort();
    assert_eq!(found, expected);
    let letters = read_topic(&pipeline.kafka(), &pipeline.topic("dead_letters"));
    let mut reasons: Vec<&[u8]> = letters
        .iter()
        .map(|letter| letter.header("riskstream.reason").unwrap())
        .collect();
    reasons.sort_unstable();
    assert_eq!(reasons, [&b"invalid_field"[..], b"missing_entity"]);
    assert_eq!(pipeline.consume("features"), Vec::<Value>::new());
}

/// A table with the columns that the default mapping reads: so many receipts, a minute apart, the third of each four
/// forged; what is known of every other one is known a day later. Their files are documents, and in the end `last`.
fn table(path: &Path, prefix: &str, count: u32, last: Option<Vec<u8>>) {
    let numbers: Vec<i64> = (0..i64::from(count)).collect();
    let times = || numbers.iter().map(|n| START_MS + n * 60_000);
    let mut files: Vec<Vec<u8>> = (0..count).map(|n| document(n).to_png()).collect();
    if let Some(last) = last {
        *files.last_mut().unwrap() = last;
    }
    let known = times()
        .zip(&numbers)
        .map(|(at, n)| (n % 2 == 0).then_some(at + 86_400_000));
    let instants = |times: Vec<Option<i64>>| TimestampMillisecondArray::from(times).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "image_id",
            Arc::new(StringArray::from_iter_values(
                numbers.iter().map(|n| format!("{prefix}{n}")),
            )),
        ),
        ("event_time", Arc::new(instants(times().map(Some).collect()))),
        (
            "customer_id",
            Arc::new(Int64Array::from_iter_values(numbers.iter().map(|n| n % 7))),
        ),
        (
            "kind",
            Arc::new(StringArray::from_iter_values(numbers.iter().map(|_| "receipt"))),
        ),
        (
            "transaction_id",
            Arc::new(Int64Array::from_iter(
                numbers.iter().map(|n| (n % 3 == 0).then_some(n + 1000)),
            )),
        ),
        ("content", Arc::new(BinaryArray::from_iter_values(files))),
        (
            "fraud",
            Arc::new(Int64Array::from_iter_values(
                numbers.iter().map(|n| i64::from(n % 4 == 2)),
            )),
        ),
        ("label_known_at", Arc::new(instants(known.collect()))),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn produced_images_and_labels_reach_their_tables() {
    let mut pipeline = Pipeline::new("produced", &[]);
    [Worker::Ingest, Worker::Preprocess]
        .into_iter()
        .for_each(|worker| pipeline.start(worker));
    let images = pipeline.path("images.parquet");
    table(&images, "p", 60, None);
    let payments = pipeline.simulate(20, 2);
    let (transactions, labels) = {
        let files = [
            "--images",
            images.to_str().unwrap(),
            "--image-mapping",
            "simulated_images",
        ];
        pipeline.produce(&payments, &files)
    };
    let lake = pipeline.lake();
    wait_until("all in their tables", PATIENCE, || {
        count_rows(&lake, "images") >= 60 && count_rows(&lake, "labels") >= labels + 30
    });
    pipeline.stop_all();
    assert!(read_topic(&pipeline.kafka(), &pipeline.topic("dead_letters")).is_empty());

    let said: BTreeMap<String, bool> = read_table(&lake, "labels", &["image_id", "fraud"])
        .iter()
        .flat_map(|batch| {
            let (ids, frauds) = (batch.column(0).as_string::<i32>(), batch.column(1).as_boolean());
            let of_images = (0..batch.num_rows()).filter(|row| ids.is_valid(*row));
            of_images
                .map(|row| (ids.value(row).to_owned(), frauds.value(row)))
                .collect::<Vec<_>>()
        })
        .collect();
    let expected = (0..60).step_by(2).map(|n| (format!("p{n}"), n % 4 == 2));
    assert_eq!(said, expected.collect());
    let rows = read_table(&lake, "images", &["image_id", "transaction_id", "image_kind"]);
    let paid: BTreeMap<String, String> = rows
        .iter()
        .flat_map(|batch| {
            let [id, paid, kind] = [0, 1, 2].map(|place| batch.column(place).as_string::<i32>().clone());
            assert!(kind.iter().all(|kind| kind == Some("receipt")));
            (0..batch.num_rows()).map(move |row| (id.value(row).to_owned(), paid.value(row).to_owned()))
        })
        .collect();
    let transaction = |n: i32| {
        if n % 3 == 0 {
            (n + 1000).to_string()
        } else {
            String::new()
        }
    };
    assert_eq!(paid, (0..60).map(|n| (format!("p{n}"), transaction(n))).collect());
    assert!(transactions > 0 && count_rows(&lake, "events") == transactions);
}

#[test]
fn an_image_that_the_broker_would_refuse_is_named_and_not_sent() {
    let pipeline = Pipeline::new("oversized", &[]);
    let images = pipeline.path("images.parquet");
    table(&images, "large", 3, Some(vec![0xff; 13 << 20]));
    let output = pipeline
        .cli()
        .run(&["produce", "--images", images.to_str().unwrap()]);
    assert!(!output.success);
    assert!(
        output.stderr.contains("row 3 (image large2)"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("12582912"), "{}", output.stderr);
    for topic in ["images", "labels"] {
        let sent = read_topic(&pipeline.kafka(), &pipeline.topic(topic));
        assert!(sent.iter().all(|record| record.key.as_deref() != Some(b"large2")));
    }
}

/// Rows by their image, each of which must be there once.
fn by_image(values: Vec<Value>) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for value in values {
        let id = value["image_id"].as_str().unwrap().to_owned();
        assert!(found.insert(id.clone(), value).is_none(), "{id} is there twice");
    }
    found
}

/// What was seen before is told, under which accounts, and when first.
fn check_rows(rows: &BTreeMap<String, Value>) {
    for (id, row) in rows {
        let seen = [
            "image_seen_count",
            "image_seen_other_accounts",
            "image_seen_seconds_ago",
        ];
        let seen = seen.map(|column| row.get(column).and_then(Value::as_f64));
        let expected = if id.starts_with("again") {
            [Some(1.0), Some(1.0), Some(3600.0)]
        } else {
            [Some(0.0), Some(0.0), None]
        };
        assert_eq!(seen, expected, "{id}: {row}");
        assert!(
            row["entity_customer"].as_str().unwrap().starts_with("tok_"),
            "{row}"
        );
        assert_eq!(
            (row["image_width"].as_i64(), row["image_height"].as_i64()),
            (Some(160), Some(120))
        );
    }
}

/// Every file of the store is one that a row names, whole: nothing is lost, written half or left over.
fn check_objects(pipeline: &Pipeline) {
    let rows = by_image(pipeline.consume("features"));
    let named: BTreeSet<&str> = rows
        .values()
        .map(|row| row["image_sha256"].as_str().unwrap())
        .collect();
    let mut there = BTreeSet::new();
    for shelf in fs::read_dir(pipeline.lake().join("images")).unwrap() {
        for file in fs::read_dir(shelf.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            let admitted = imaging::admit(&fs::read(&file).unwrap(), &imaging::Limits::default()).unwrap();
            assert_eq!((admitted.width, admitted.height), (160, 120));
            there.insert(file.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    assert_eq!(there.iter().map(String::as_str).collect::<BTreeSet<_>>(), named);
    assert_eq!(named.len(), 40);
}

/// Whether the image comes first, later or never: what a consumer of rows and of scores sees.
#[test]
fn a_transaction_and_its_image_meet_whichever_comes_first() {
    let mut pipeline = Pipeline::new("meetings", &[]);
    [Worker::Ingest, Worker::Preprocess, Worker::Scorer]
        .into_iter()
        .for_each(|worker| pipeline.start(worker));
    let image = |id: &str, account: &str, of: &str, at_ms: i64, number: u32| {
        Raw::image(id, account, at_ms, "receipt", document(number).to_png()).of(of)
    };
    send(
        &pipeline,
        "images",
        &[
            image("i-first", "a", "first", START_MS - 2_000, 1),
            image("i-later", "b", "later", START_MS + 2_000, 2),
            image("i-again", "b", "later", START_MS + 3_000, 3),
            image("i-thief", "thief", "alone", START_MS + 1_000, 4),
            image("i-late", "c", "alone", START_MS + 60_000, 5),
        ],
    );
    let transactions = [("first", "a"), ("later", "b"), ("alone", "c")];
    let transactions = transactions.map(|(id, account)| Raw::transaction(id, account, START_MS, "12.50"));
    send(&pipeline, "transactions", &transactions);
    pipeline.wait_for("scores", 10, PATIENCE);
    pipeline.kill9(Worker::Preprocess);
    pipeline.start(Worker::Preprocess);
    pipeline.stop_all();

    let seen = |values: Vec<Value>, of_transaction: &dyn Fn(&Value) -> bool| {
        let mut seen: Vec<(String, i64, Option<String>)> = values
            .iter()
            .filter(|value| of_transaction(value))
            .map(|value| {
                let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
                (
                    text("transaction_id").unwrap(),
                    value["revision"].as_i64().unwrap(),
                    text("image_id"),
                )
            })
            .collect();
        seen.sort();
        seen
    };
    let row = |id: &str, revision, image: Option<&str>| (id.to_owned(), revision, image.map(str::to_owned));
    let expected = [
        row("alone", 0, None),
        row("first", 0, Some("i-first")),
        row("later", 0, None),
        row("later", 1, Some("i-later")),
        row("later", 2, Some("i-again")),
    ];
    let rows = pipeline.consume("features");
    assert_eq!(seen(rows.clone(), &|row| row["kind"] == 1), expected);
    let scores = pipeline.consume("scores");
    assert_eq!(scores.len(), 10, "each row has one score");
    assert_eq!(seen(scores, &|score| score["subject"] == "transaction"), expected);
    let amount = |row: &&Value| row["kind"] == 1 && row["amount_minor"] != 1250;
    assert!(
        rows.iter().find(amount).is_none(),
        "a revision is the same transaction"
    );
}
