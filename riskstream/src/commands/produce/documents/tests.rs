//! Tests of tables of images.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use schema::Event;
use serde_json::{Value, json};

use super::super::stream_of::{Timed, merge};
use super::super::transactions;
use super::*;
use crate::tables::Sink;

const ALL: Interval = Interval {
    from_us: i64::MIN,
    to_us: i64::MAX,
};

/// A mapping of images with times in seconds, and labels ten seconds later.
fn mapping(changes: &Value) -> ImageMapping {
    let mut fields = json!({
        "image_id": {"column": "id"},
        "event_time": {"column": "time", "unit": "s"},
        "kind": {"constant": "receipt"},
        "entities": {"customer": {"column": "id"}},
        "content": {"column": "content"},
        "label": {"column": "fraud", "delay": "10s", "emit": "all"},
    });
    let changes = changes.as_object().expect("an object").clone();
    fields.as_object_mut().expect("an object").extend(changes);
    serde_json::from_value(fields).expect("a mapping")
}

/// A Parquet table with one image a time; each file is its row's number, some thousand times.
fn parquet(folder: &Path, times: &[i64]) -> PathBuf {
    let numbers = 0..u8::try_from(times.len()).expect("few rows");
    let ids: Vec<String> = numbers.clone().map(|n| format!("i{n}")).collect();
    let files = numbers.map(|n| vec![n; 3_000]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(StringArray::from(ids))),
        ("time", Arc::new(Int64Array::from(times.to_vec()))),
        ("content", Arc::new(BinaryArray::from_iter_values(files))),
        ("fraud", Arc::new(Int64Array::from(vec![1; times.len()]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let path = folder.join("images.parquet");
    let mut sink = Sink::create(&path, batch.schema()).expect("creates");
    sink.write(&batch).expect("writes");
    sink.finish().expect("finishes");
    path
}

fn ndjson(folder: &Path, rows: &[Value]) -> PathBuf {
    let path = folder.join("images.ndjson");
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n")).expect("writes");
    path
}

/// What comes, with its second; an image by its identifier and the first byte of its file.
fn shown(timed: &Timed) -> String {
    let what = match &timed.what {
        What::Event(Event::Label(label)) => format!("label of {}", label.subject.id()),
        What::Event(Event::Transaction(t)) => format!("transaction {}", t.transaction_id),
        What::Event(Event::Image(_)) => unreachable!("an image goes with its file"),
        What::Image(document) => {
            let file = document.file().expect("is there");
            format!("{} {}", document.image.image_id, file[0])
        }
    };
    format!("{} {what}", timed.at_us / 1_000_000)
}

fn images(input: &Path, mapping: &ImageMapping, interval: Interval) -> Vec<String> {
    let source = open(input, mapping, interval).expect("opens");
    let (_, events) = merge(vec![source], interval);
    events.map(|timed| shown(&timed.expect("reads"))).collect()
}

fn problem(input: &Path, mapping: &ImageMapping) -> String {
    let error = match open(input, mapping, ALL) {
        Ok(source) => {
            let (_, events) = merge(vec![source], ALL);
            let sent = |timed: Result<Timed>| match timed?.what {
                What::Image(document) => document.file().map(|_| ()),
                What::Event(_) => Ok(()),
            };
            events
                .map(sent)
                .find_map(Result::err)
                .expect("something is wrong")
        }
        Err(error) => error,
    };
    format!("{error:#}")
}

#[test]
fn images_and_transactions_come_in_the_order_of_their_times_with_labels_between() {
    let folder = tempfile::tempdir().expect("a folder");
    let payments = folder.path().join("payments.csv");
    std::fs::write(&payments, "id,time,amount,fraud\na,1,5,1\nb,12,5,0\n").expect("writes");
    let of_payments: schema::Mapping = serde_json::from_value(json!({
        "transaction_id": "id",
        "event_time": {"column": "time", "unit": "s"},
        "amount": "amount",
        "currency": {"constant": "EUR"},
        "label": {"column": "fraud", "delay": "15s"}
    }))
    .expect("a mapping");
    let sources = vec![
        transactions::open(&payments, &of_payments, 1000, ALL).expect("opens"),
        open(&parquet(folder.path(), &[1, 2]), &mapping(&json!({})), ALL).expect("opens"),
    ];
    let (count, events) = merge(sources, ALL);
    let events: Vec<String> = events.map(|timed| shown(&timed.expect("reads"))).collect();
    assert_eq!(count, 4);
    assert_eq!(
        events,
        [
            "1 transaction a",
            "1 i0 0",
            "2 i1 1",
            "11 label of i0",
            "12 label of i1",
            "12 transaction b",
            "16 label of a"
        ]
    );
}

#[test]
fn a_table_out_of_order_is_sorted_with_its_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let times: Vec<i64> = (0..100).map(|n| n * 37 % 50).collect();
    let mut expected: Vec<(i64, usize)> = times.iter().copied().zip(0..).collect();
    expected.sort_unstable();
    let expected: Vec<String> = expected.iter().map(|(at, n)| format!("{at} i{n} {n}")).collect();
    let path = parquet(folder.path(), &times);
    let unlabelled = mapping(&json!({"label": null}));
    assert_eq!(images(&path, &unlabelled, ALL), expected);
    let some = Interval {
        from_us: 10_000_000,
        to_us: 20_000_000,
    };
    assert_eq!(images(&path, &unlabelled, some), expected[20..40]);
}

#[test]
fn files_lie_beside_the_table_that_names_them() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("scans")).expect("a folder");
    std::fs::write(folder.path().join("scans/a.png"), [7]).expect("writes");
    std::fs::write(folder.path().join("b.png"), [8]).expect("writes");
    let row = |id: &str, time: i64, path: &str| json!({"id": id, "time": time, "path": path, "fraud": 0});
    let named = mapping(&json!({"content": {"file": "path"}}));
    let table = ndjson(
        folder.path(),
        &[row("b", 5, "./b.png"), row("a", 2, "scans/a.png")],
    );
    let expected = ["2 a 7", "5 b 8", "12 label of a", "15 label of b"];
    assert_eq!(images(&table, &named, ALL), expected);
    assert_eq!(
        images(folder.path(), &named, ALL),
        expected,
        "the folder is given"
    );
    for outside in ["../b.png", "/etc/hostname", "scans/../../b.png", ""] {
        let table = ndjson(folder.path(), &[row("b", 5, outside)]);
        let problem = problem(&table, &named);
        assert!(problem.starts_with("row 1: column path:"), "{problem}");
    }
    let table = ndjson(
        folder.path(),
        &[row("a", 2, "scans/a.png"), row("b", 5, "none.png")],
    );
    let problem = problem(&table, &named);
    assert!(
        problem.starts_with("row 2 (image b):") && problem.contains("none.png"),
        "{problem}"
    );
}

#[test]
fn rows_without_time_and_identifier_get_theirs_by_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = parquet(folder.path(), &[9, 5, 1]);
    let numbered = mapping(&json!({
        "image_id": {"row": "receipt-"},
        "event_time": {"start": "1970-01-01T00:01:00Z", "step": "20s"},
        "entities": {"customer": {"constant": "somebody"}},
    }));
    let expected = [
        "60 receipt-0 0",
        "70 label of receipt-0",
        "80 receipt-1 1",
        "90 label of receipt-1",
        "100 receipt-2 2",
        "110 label of receipt-2",
    ];
    assert_eq!(images(&path, &numbered, ALL), expected);
    assert_eq!(open(&path, &numbered, ALL).expect("opens").count, 3);
}

#[test]
fn what_a_table_of_images_lacks_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = parquet(folder.path(), &[1]);
    let lacking = mapping(&json!({"transaction_id": {"column": "paid"}, "content": {"column": "file"}}));
    let problem_of = |mapping: &ImageMapping| problem(&path, mapping);
    assert!(problem_of(&lacking).ends_with("columns paid, file are not there"));
    let text = problem_of(&mapping(&json!({"content": {"column": "id"}})));
    assert!(text.contains(r#"content = { file = "id" }"#), "{text}");
}
