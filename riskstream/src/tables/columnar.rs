//! Parquet files.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelectionPolicy};

use super::Batches;

/// The columns of files that belong together.
pub(super) fn inspect(files: &[PathBuf]) -> Result<SchemaRef> {
    let mut schema: Option<SchemaRef> = None;
    for file in files {
        let opened = open(file)?;
        let first = schema.get_or_insert_with(|| opened.schema().clone());
        ensure!(
            alike(first, opened.schema()),
            "{}: other columns than {}",
            file.display(),
            files[0].display()
        );
    }
    schema.context("there is at least one file")
}

/// The rows of a file, in these of its columns.
pub(super) fn read(file: &Path, schema: &SchemaRef, batch_rows: usize) -> Result<Batches> {
    let opened = project(open(file)?, schema).with_batch_size(batch_rows);
    let reader = opened.build().with_context(|| file.display().to_string())?;
    let place = file.display().to_string();
    Ok(Box::new(
        reader.map(move |batch| batch.with_context(|| place.clone())),
    ))
}

/// Rows of files, by their rising numbers from 0 over all files, in these of their columns.
pub(super) fn pick(files: &[PathBuf], schema: &SchemaRef, rows: &[u64]) -> Result<Vec<RecordBatch>> {
    let (mut batches, mut left, mut first) = (Vec::new(), rows, 0);
    for file in files.iter().take_while(|_| !rows.is_empty()) {
        let opened = open(file)?;
        let count = u64::try_from(opened.metadata().file_metadata().num_rows()).unwrap_or(0);
        let (here, later) = left.split_at(left.partition_point(|row| *row < first + count));
        let place = |row: &u64| usize::try_from(row - first);
        let here: Vec<usize> = here.iter().map(place).collect::<Result<_, _>>()?;
        (left, first) = (later, first + count);
        if here.is_empty() {
            continue;
        }
        let ranges = here.iter().map(|row| *row..row + 1);
        let selection = RowSelection::from_consecutive_ranges(ranges, usize::try_from(count)?);
        let reader = project(opened, schema)
            .with_row_selection(selection)
            // The other way reads what lies between as well, and drops it afterwards.
            .with_row_selection_policy(RowSelectionPolicy::Selectors)
            .with_batch_size(here.len())
            .build();
        for batch in reader.with_context(|| file.display().to_string())? {
            batches.push(batch.with_context(|| file.display().to_string())?);
        }
    }
    ensure!(left.is_empty(), "the table has no more than {first} rows");
    Ok(batches)
}

/// How many rows files have, and how many bytes all their columns, uncompressed.
pub(super) fn extent(files: &[PathBuf]) -> Result<(u64, u64)> {
    let (mut rows, mut bytes) = (0, 0);
    for file in files {
        for group in open(file)?.metadata().row_groups() {
            rows += u64::try_from(group.num_rows()).unwrap_or(0);
            bytes += u64::try_from(group.total_byte_size()).unwrap_or(0);
        }
    }
    Ok((rows, bytes))
}

fn project(
    opened: ParquetRecordBatchReaderBuilder<File>,
    schema: &SchemaRef,
) -> ParquetRecordBatchReaderBuilder<File> {
    let fields = opened.schema().fields().iter().enumerate();
    let kept: Vec<usize> = fields
        .filter(|(_, f)| schema.index_of(f.name()).is_ok())
        .map(|(at, _)| at)
        .collect();
    let mask = ProjectionMask::roots(opened.parquet_schema(), kept);
    opened.with_projection(mask)
}

fn open(file: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let place = || file.display().to_string();
    let opened = File::open(file).with_context(place)?;
    ParquetRecordBatchReaderBuilder::try_new(opened).with_context(place)
}

fn alike(one: &Schema, other: &Schema) -> bool {
    let columns = |s: &Schema| -> Vec<_> {
        s.fields()
            .iter()
            .map(|f| (f.name().clone(), f.data_type().clone()))
            .collect()
    };
    columns(one) == columns(other)
}
