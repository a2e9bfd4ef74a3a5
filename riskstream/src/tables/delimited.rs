//! CSV files with a header.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow::array::AsArray;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::SchemaRef;

use super::kinds::{self, Kind};
use super::{Batches, Table};

/// The columns of files that belong together.
pub(super) fn inspect(files: &[PathBuf]) -> Result<SchemaRef> {
    let names = header(&files[0])?;
    let texts = kinds::schema(names.iter().map(|name| (name.as_str(), Kind::Text)));
    let mut found = vec![Kind::Null; names.len()];
    for file in files {
        ensure!(
            header(file)? == names,
            "{}: other columns than {}",
            file.display(),
            files[0].display()
        );
        for batch in read(file, &texts, Table::BATCH_ROWS)? {
            let batch = batch?;
            for (kind, column) in found.iter_mut().zip(batch.columns()) {
                let of_column = column.as_string::<i32>().iter().flatten().map(Kind::of_text);
                *kind = of_column.fold(*kind, Kind::with);
            }
        }
    }
    let columns = names.iter().map(String::as_str).zip(found);
    Ok(kinds::schema(columns))
}

/// The rows of a file, in these of its columns.
pub(super) fn read(file: &Path, schema: &SchemaRef, batch_rows: usize) -> Result<Batches> {
    let place = file.display().to_string();
    let names = header(file)?;
    let all = kinds::schema(names.iter().map(|name| (name.as_str(), Kind::Text)));
    let fields = all.fields().iter().map(|f| {
        schema
            .field_with_name(f.name())
            .cloned()
            .map_or(f.clone(), Arc::new)
    });
    let full = Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()));
    let kept = (0..names.len())
        .filter(|&at| schema.index_of(&names[at]).is_ok())
        .collect();
    let opened = BufReader::new(File::open(file).with_context(|| place.clone())?);
    let reader = ReaderBuilder::new(full)
        .with_header(true)
        .with_projection(kept)
        .with_batch_size(batch_rows)
        .build_buffered(opened)
        .with_context(|| place.clone())?;
    Ok(Box::new(
        reader.map(move |batch| batch.with_context(|| place.clone())),
    ))
}

fn header(file: &Path) -> Result<Vec<String>> {
    let place = || file.display().to_string();
    let opened = File::open(file).with_context(place)?;
    let format = Format::default().with_header(true);
    let (schema, _) = format
        .infer_schema(BufReader::new(opened), Some(0))
        .with_context(place)?;
    Ok(schema.fields().iter().map(|f| f.name().clone()).collect())
}
