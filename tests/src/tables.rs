//! Tables as any reader of the lake finds them.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use lake::{Store, Table};

/// Columns of a table of a lake in this folder.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn read_table(lake: &Path, name: &str, columns: &[&str]) -> Vec<RecordBatch> {
    let read = open(lake, name).read(Some(columns), None);
    read.expect("the table can be read")
}

/// All columns of a table of a lake in this folder, batch by batch.
///
/// # Panics
/// If it cannot be read.
pub fn scan_table(lake: &Path, name: &str) -> impl Iterator<Item = RecordBatch> + use<> {
    let batches = open(lake, name).scan(None, None).expect("the table can be read");
    batches.map(|batch| batch.expect("the table can be read"))
}

fn open(lake: &Path, name: &str) -> Table {
    let store = Store::open(lake.to_str().expect("a path that is text")).expect("the lake is there");
    let schema = Schema::empty().into();
    Table::open_or_create(&store, &format!("tables/{name}"), schema).expect("the table opens")
}

/// How many rows a table has; none while it has not been made.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn count_rows(lake: &Path, name: &str) -> usize {
    if !lake.join("tables").join(name).join("_delta_log").exists() {
        return 0;
    }
    read_table(lake, name, &["transaction_id"])
        .iter()
        .map(RecordBatch::num_rows)
        .sum()
}
