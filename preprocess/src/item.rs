//! An event that waits for its turn: a row of a batch that was read, and its place in the one total order.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::error::ArrowError;
use eventlog::Ordered;
use schema::EventColumns;

/// A batch of the log with its columns at hand.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) rows: RecordBatch,
    pub(crate) columns: EventColumns,
    /// Values of the stage's entity.
    pub(crate) entity: StringArray,
    /// Values of the next stage's entity.
    pub(crate) next_entity: StringArray,
}

impl Batch {
    pub(crate) fn new(rows: RecordBatch, entity: &str, next_entity: &str) -> Result<Self, ArrowError> {
        let columns = EventColumns::of(&rows)?;
        // An image and its labels have an account: stages before that one only pass them on, or end them.
        let find = |name: &str, images_too: bool| {
            let values = EventColumns::entity(&rows, name)
                .ok_or_else(|| ArrowError::SchemaError(format!("entity {name} has no column")))?;
            let missing = |row: &usize| values.is_null(*row) && (images_too || !columns.is_about_image(*row));
            if let Some(row) = (0..rows.num_rows()).find(missing) {
                return Err(ArrowError::SchemaError(format!(
                    "entity {name} is missing in row {row}"
                )));
            }
            Ok(values)
        };
        if let Some(row) = (0..rows.num_rows()).find(|row| columns.kind_of(*row).is_none()) {
            return Err(ArrowError::SchemaError(format!("row {row} is of no known kind")));
        }
        let (entity, next_entity) = (find(entity, entity == next_entity)?, find(next_entity, false)?);
        Ok(Self {
            columns,
            entity,
            next_entity,
            rows,
        })
    }
}

/// A row of a batch. Its order is that of R9: order time, labels first, identifier, source, raw offset.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    order_time_us: i64,
    kind: i32,
    pub(crate) row: usize,
    pub(crate) batch: Arc<Batch>,
}

impl Item {
    pub(crate) fn new(batch: &Arc<Batch>, row: usize) -> Self {
        let columns = &batch.columns;
        Self {
            order_time_us: columns.order_time.value(row),
            kind: columns.kind.value(row),
            row,
            batch: Arc::clone(batch),
        }
    }

    fn tie(&self) -> (&str, u128, i32, i32, i64) {
        let columns = &self.batch.columns;
        (
            columns.transaction_id.value(self.row),
            columns.identity(self.row),
            columns.source_topic.value(self.row),
            columns.source_partition.value(self.row),
            columns.source_offset.value(self.row),
        )
    }
}

impl Ordered for Item {
    fn order_time_us(&self) -> i64 {
        self.order_time_us
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.order_time_us, self.kind)
            .cmp(&(other.order_time_us, other.kind))
            .then_with(|| self.tie().cmp(&other.tie()))
    }
}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Item {}
