//! Parquet files.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{BATCH_ROWS, Batches};

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
pub(super) fn read(file: &Path, schema: &SchemaRef) -> Result<Batches> {
    let opened = open(file)?;
    let fields = opened.schema().fields().iter().enumerate();
    let kept: Vec<usize> = fields
        .filter(|(_, f)| schema.index_of(f.name()).is_ok())
        .map(|(at, _)| at)
        .collect();
    let mask = ProjectionMask::roots(opened.parquet_schema(), kept);
    let reader = opened
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .with_context(|| file.display().to_string())?;
    let place = file.display().to_string();
    Ok(Box::new(
        reader.map(move |batch| batch.with_context(|| place.clone())),
    ))
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
