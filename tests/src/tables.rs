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
    let store = Store::open(lake.to_str().expect("a path that is text")).expect("the lake is there");
    let schema = Schema::empty().into();
    let table = Table::open_or_create(&store, &format!("tables/{name}"), schema).expect("the table opens");
    table.read(Some(columns), None).expect("the table can be read")
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
