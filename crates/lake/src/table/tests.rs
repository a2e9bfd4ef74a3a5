#![allow(clippy::unwrap_used)]

mod commits;
mod interleavings;
mod reading;
mod schemas;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};

use super::*;

pub(super) const NAME: &str = "tables/features";

pub(super) struct Folder {
    temporary: tempfile::TempDir,
}

impl Folder {
    pub(super) fn new() -> Self {
        Self {
            temporary: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) fn store(&self) -> Store {
        Store::open(self.temporary.path().to_str().unwrap()).unwrap()
    }

    pub(super) fn table(&self) -> Table {
        Table::open_or_create(&self.store(), NAME, simple_schema()).unwrap()
    }

    pub(super) fn path(&self) -> PathBuf {
        self.temporary.path().join(NAME)
    }

    /// Names of the data files in the table's folder, referenced or not.
    pub(super) fn data_files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.filter(|path| path.is_file()).collect();
        files.sort();
        files
    }
}

pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

pub(super) fn simple_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("index", DataType::Int64, false),
        Field::new("event_time", instant(), false),
    ]))
}

/// Rows of these indices; the event time is the index in microseconds.
pub(super) fn rows(indices: impl IntoIterator<Item = i64>) -> RecordBatch {
    let indices: Vec<i64> = indices.into_iter().collect();
    let times = TimestampMicrosecondArray::from(indices.clone()).with_timezone("UTC");
    RecordBatch::try_new(
        simple_schema(),
        vec![Arc::new(Int64Array::from(indices)), Arc::new(times)],
    )
    .unwrap()
}

pub(super) fn at(app_id: &str, version: i64) -> BTreeMap<String, i64> {
    BTreeMap::from([(app_id.to_owned(), version)])
}

/// The sorted indices of all rows.
pub(super) fn indices(batches: &[RecordBatch]) -> Vec<i64> {
    let column = |batch: &RecordBatch| batch["index"].as_primitive::<Int64Type>().values().to_vec();
    let mut all: Vec<i64> = batches.iter().flat_map(column).collect();
    all.sort_unstable();
    all
}

pub(super) fn all_indices(table: &Table) -> Vec<i64> {
    indices(&table.read(None, None).unwrap())
}
