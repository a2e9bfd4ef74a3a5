//! The window features that others have published for a card stream, made again by streaming it through Kafka.

#![allow(clippy::unwrap_used, reason = "in a test a failure is the message")]

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tests::{Pipeline, Worker, count_rows, handbook, pack_file, parameter, read_table, say};

/// How long a million and a half transactions may take, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// How often the table is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Relative.
const TOLERANCE: f64 = 1e-6;
/// Rows that may differ at most: published windows cut ties of one second in an order that is not told.
const MOST_TIES: usize = 20;

/// The published rows of the card stream, INV-4.
#[test]
#[ignore = "needs the card stream: make golden DATA=FOLDER"]
fn published_windows_are_reproduced() {
    let Some(folder) = parameter("GOLDEN_DATA").or_else(|| parameter("RISKSTREAM_DATA")) else {
        say("skipped: GOLDEN_DATA does not name the folder of the card stream pack");
        return;
    };
    let raw = pack_file(Path::new(&folder), "raw_stream");
    let reference = pack_file(Path::new(&folder), "features");
    let mut pipeline = Pipeline::with_config("golden", Some(&handbook()), &[("topics.partitions", "4")]);
    pipeline.start(Worker::Ingest);
    pipeline.start(Worker::Preprocess);
    let began = Instant::now();
    let (transactions, labels) = pipeline.produce(&raw, &["--mapping", "handbook"]);
    say(&format!(
        "{transactions} transactions and {labels} labels produced in {:.0?}",
        began.elapsed()
    ));
    wait_for_rows(&mut pipeline, transactions, began);
    pipeline.stop_all();
    say(&format!(
        "{transactions} feature rows in the table after {:.0?}",
        began.elapsed()
    ));
    compare(&pipeline.lake(), &raw, &reference);
}

fn wait_for_rows(pipeline: &mut Pipeline, rows: usize, began: Instant) {
    let lake = pipeline.lake();
    loop {
        pipeline.check();
        let have = count_rows(&lake, "features");
        if have >= rows {
            assert_eq!(have, rows, "rows in the features table");
            return;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{have} of {rows} feature rows after {:.0?}",
            began.elapsed()
        );
        // Reading the table costs what the workers need: it is not looked at all the time.
        std::thread::sleep(LOOK);
    }
}

fn read_parquet(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

fn integers(batch: &RecordBatch, column: &str) -> Vec<i64> {
    let column = batch
        .column_by_name(column)
        .unwrap_or_else(|| panic!("no column {column}"));
    cast(column, &DataType::Int64)
        .unwrap()
        .as_primitive::<Int64Type>()
        .values()
        .to_vec()
}

fn numbers(batch: &RecordBatch, column: &str) -> Vec<f64> {
    let column = batch
        .column_by_name(column)
        .unwrap_or_else(|| panic!("no column {column}"));
    let values = cast(column, &DataType::Float64).unwrap();
    values
        .as_primitive::<Float64Type>()
        .iter()
        .map(|value| value.unwrap_or(f64::NAN))
        .collect()
}

/// A transaction's second and customer.
type Instants = HashMap<i64, (i64, i64)>;

fn compare(lake: &Path, raw: &Path, reference: &Path) {
    let published = read_parquet(reference);
    let schema = published.first().expect("published rows").schema();
    let columns: Vec<&str> = schema
        .fields()
        .iter()
        .map(|f| f.name().as_str())
        .filter(|n| *n != "transaction_id")
        .collect();
    assert_eq!(columns.len(), 14, "{columns:?}");
    let (found, late) = found_rows(lake, &columns);
    let (mut rows, mut missing, mut differing) = (0, 0, Vec::new());
    let mut by_column: BTreeMap<&str, usize> = BTreeMap::new();
    for batch in &published {
        let ids = integers(batch, "transaction_id");
        let values: Vec<Vec<f64>> = columns.iter().map(|column| numbers(batch, column)).collect();
        for (row, id) in ids.iter().enumerate() {
            rows += 1;
            let Some(own) = found.get(id) else {
                missing += 1;
                continue;
            };
            let wrong: Vec<usize> = (0..columns.len())
                .filter(|c| !close(values[*c][row], own[*c]))
                .collect();
            wrong
                .iter()
                .for_each(|column| *by_column.entry(columns[*column]).or_default() += 1);
            if !wrong.is_empty() {
                differing.push(*id);
            }
        }
    }
    let ties = ties(raw);
    let no_ties: Vec<&i64> = differing.iter().filter(|id| !ties.contains_key(*id)).collect();
    say(&format!(
        "{rows} published rows, {} columns each: {missing} missing, {} differing, of which {} ties of one customer \
         in one second; {late} late; by column {by_column:?}",
        columns.len(),
        differing.len(),
        differing.len() - no_ties.len()
    ));
    assert_eq!((missing, late), (0, 0));
    assert_eq!(
        no_ties,
        Vec::<&i64>::new(),
        "rows that differ without being a tie"
    );
    assert!(differing.len() <= MOST_TIES, "{} rows differ", differing.len());
}

fn close(published: f64, own: f64) -> bool {
    (published - own).abs() <= TOLERANCE * published.abs().max(1.0)
}

/// The features of each transaction, and how many rows were late.
fn found_rows(lake: &Path, columns: &[&str]) -> (HashMap<i64, Vec<f64>>, usize) {
    let mut late = 0;
    let mut rows = HashMap::new();
    for batch in read_table(lake, "features", &[&["transaction_id", "late"], columns].concat()) {
        late += batch.column(1).as_boolean().true_count();
        let ids = integers(&batch, "transaction_id");
        let values: Vec<Vec<f64>> = columns.iter().map(|column| numbers(&batch, column)).collect();
        for (row, id) in ids.into_iter().enumerate() {
            let before = rows.insert(id, values.iter().map(|column| column[row]).collect());
            assert!(before.is_none(), "{id} is there twice");
        }
    }
    (rows, late)
}

/// The transactions that share their second with another one of their customer.
fn ties(raw: &Path) -> Instants {
    let mut instants = Instants::new();
    let mut counts: HashMap<(i64, i64), usize> = HashMap::new();
    for batch in read_parquet(raw) {
        let (ids, times) = (integers(&batch, "transaction_id"), integers(&batch, "time_s"));
        let customers = integers(&batch, "customer_id");
        for (row, id) in ids.into_iter().enumerate() {
            let instant = (times[row], customers[row]);
            *counts.entry(instant).or_default() += 1;
            instants.insert(id, instant);
        }
    }
    instants.retain(|_, instant| counts[instant] > 1);
    instants
}
