//! Which files and row groups a time range can touch.

use std::collections::VecDeque;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use deltalake::DeltaTable;
use deltalake::kernel::LogicalFileView;
use object_store::path::Path;
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::errors::{ParquetError, Result as ParquetResult};

use super::super::{Table, TimeRange, schema};
use super::FileReader;
use crate::error::{LakeError, Result};

/// Instants in the table's log are cut to milliseconds, the greatest as well.
const LOG_PRECISION_US: i64 = 1_000;

/// A data file of the version that is read.
pub(super) struct File {
    pub(super) path: Path,
    pub(super) size: u64,
    modified_ms: i64,
}

/// A checked time range.
pub(super) struct Range {
    column: String,
    from_us: i64,
    to_us: i64,
}

impl Range {
    pub(super) fn new(table: &Table, range: TimeRange<'_>) -> Result<Self> {
        let refuse = |reason| Err(schema::column_error(&table.name, range.column, reason));
        match table.schema.field_with_name(range.column).map(|f| f.data_type()) {
            Err(_) => refuse("the table does not have it"),
            Ok(DataType::Int64 | DataType::Timestamp(TimeUnit::Microsecond, _)) => Ok(Self {
                column: range.column.to_owned(),
                from_us: range.from_us,
                to_us: range.to_us,
            }),
            Ok(_) => refuse("it holds no times"),
        }
    }

    pub(super) fn column(&self) -> &str {
        &self.column
    }

    pub(super) fn contains(&self, at_us: i64) -> bool {
        self.from_us <= at_us && at_us < self.to_us
    }

    /// Whether values between these two, both included, can be in the range; what is not known can.
    fn may_contain(&self, least: Option<i64>, greatest: Option<i64>) -> bool {
        least.is_none_or(|least| least < self.to_us)
            && greatest.is_none_or(|greatest| greatest >= self.from_us)
    }

    /// The row groups of a file that can hold rows of the range, by the file's own statistics.
    pub(super) fn row_groups(
        &self,
        file: &ParquetRecordBatchStreamBuilder<FileReader>,
    ) -> ParquetResult<Vec<usize>> {
        let metadata = file.metadata();
        let all = 0..metadata.num_row_groups();
        if file.schema().field_with_name(&self.column).is_err() {
            // The file is older than the column: its rows have no time.
            return Ok(Vec::new());
        }
        let statistics = StatisticsConverter::try_new(&self.column, file.schema(), file.parquet_schema())?;
        let least = microseconds(&statistics.row_group_mins(metadata.row_groups())?)?;
        let greatest = microseconds(&statistics.row_group_maxes(metadata.row_groups())?)?;
        Ok(all
            .filter(|&group| self.may_contain(least[group], greatest[group]))
            .collect())
    }

    /// Whether a file can hold rows of the range, by the statistics in the table's log.
    fn may_touch(&self, file: &LogicalFileView) -> bool {
        let statistics = file.stats().and_then(|json| serde_json::from_str(&json).ok());
        let statistics: serde_json::Value = statistics.unwrap_or_default();
        let value = |which: &str| match &statistics[which][&self.column] {
            serde_json::Value::Number(number) => number.as_i64(),
            serde_json::Value::String(text) => chrono::DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|at| at.timestamp_micros()),
            _ => None,
        };
        let greatest = value("maxValues").map(|at| at.saturating_add(LOG_PRECISION_US - 1));
        let least = value("minValues").map(|at| at.saturating_sub(LOG_PRECISION_US - 1));
        self.may_contain(least, greatest)
    }
}

/// The files to be read, oldest first.
pub(super) fn files(table: &Table, delta: &DeltaTable, range: Option<&Range>) -> Result<VecDeque<File>> {
    let snapshot = delta.snapshot().map_err(|e| table.delta_error("read", e))?;
    let mut files = Vec::new();
    for view in snapshot.log_data().iter() {
        if view.deletion_vector_descriptor().is_some() {
            return Err(LakeError::UnsupportedTable {
                table: table.name.clone(),
                feature: "deletion vectors",
            });
        }
        if range.is_none_or(|range| range.may_touch(&view)) {
            let size = u64::try_from(view.size()).unwrap_or_default();
            files.push(File {
                path: view.object_store_path(),
                size,
                modified_ms: view.modification_time(),
            });
        }
    }
    files.sort_by(|a, b| (a.modified_ms, &a.path).cmp(&(b.modified_ms, &b.path)));
    Ok(files.into())
}

fn microseconds(values: &ArrayRef) -> ParquetResult<Vec<Option<i64>>> {
    let as_instants = match values.data_type() {
        DataType::Timestamp(_, zone) => {
            cast(values, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))
        }
        _ => Ok(values.clone()),
    };
    let numbers = as_instants
        .and_then(|instants| cast(&instants, &DataType::Int64))
        .map_err(|e| ParquetError::ArrowError(e.to_string()))?;
    let numbers = numbers.as_primitive::<Int64Type>();
    Ok((0..numbers.len())
        .map(|i| numbers.is_valid(i).then(|| numbers.value(i)))
        .collect())
}
