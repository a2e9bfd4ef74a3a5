//! Flat tables in files: Parquet, CSV and NDJSON, read and written by the ending of the name.
//!
//! [`Table`] reads a file, or a folder of files in the order of their names, batch by batch; [`Rows`] turns a
//! batch into [`schema::Record`]s; [`Sink`] writes batches to a file that appears when it is complete.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};

mod cells;
mod columnar;
mod delimited;
mod kinds;
mod lines;
mod sink;

pub(crate) use cells::{Row, Rows};
pub(crate) use sink::Sink;

/// How a table is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

impl Format {
    /// The format that the ending of a name stands for.
    ///
    /// # Errors
    /// If it stands for none.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let ending = path
            .extension()
            .and_then(OsStr::to_str)
            .unwrap_or("")
            .to_ascii_lowercase();
        Ok(match ending.as_str() {
            "parquet" | "pq" => Self::Parquet,
            "csv" => Self::Csv,
            "ndjson" | "jsonl" | "json" => Self::Ndjson,
            _ => bail!(
                "{}: the name must end in .parquet, .ndjson or .csv",
                path.display()
            ),
        })
    }
}

/// A batch, or why it cannot be read.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// A table in one file, or in the files of a folder.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    files: Vec<PathBuf>,
    format: Format,
    schema: SchemaRef,
    batch_rows: usize,
}

impl Table {
    /// Rows of a batch, where neither the file nor [`Table::with_batch_rows`] decides.
    pub(crate) const BATCH_ROWS: usize = 8_192;

    /// Opens a file, or a folder of files of one format with the same columns, in the order of their names. CSV
    /// and NDJSON are read through once to learn their columns: what a column holds is known from all its values.
    ///
    /// # Errors
    /// If nothing is there, it cannot be read, or files of a folder do not go together.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let files = files(path)?;
        let format = Format::of(&files[0])?;
        for file in &files {
            ensure!(
                Format::of(file)? == format,
                "{}: not of the format of {}",
                file.display(),
                files[0].display()
            );
        }
        let schema = match format {
            Format::Parquet => columnar::inspect(&files)?,
            Format::Csv => delimited::inspect(&files)?,
            Format::Ndjson => lines::inspect(&files)?,
        };
        Ok(Self {
            files,
            format,
            schema,
            batch_rows: Self::BATCH_ROWS,
        })
    }

    /// Its columns. Objects within NDJSON objects are columns with a dot: `entities.customer`.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Keeps the columns of these names alone, in the table's order; names that it does not have are left out.
    #[must_use]
    pub(crate) fn select(mut self, names: &[&str]) -> Self {
        let wanted = |name: &str| {
            names
                .iter()
                .any(|n| name == *n || n.starts_with(&format!("{name}.")))
        };
        let fields: Vec<_> = self
            .schema
            .fields()
            .iter()
            .filter(|f| wanted(f.name()))
            .cloned()
            .collect();
        self.schema = Arc::new(Schema::new(fields));
        self
    }

    /// Reads so many rows at once, where rows are large.
    #[must_use]
    pub(crate) fn with_batch_rows(mut self, rows: usize) -> Self {
        self.batch_rows = rows;
        self
    }

    /// These rows alone, by their numbers from 0, rising: what lies between them is passed over.
    ///
    /// # Errors
    /// If it is no Parquet table: others can be read from the start alone; or if it cannot be read.
    pub(crate) fn pick(&self, rows: &[u64]) -> Result<Vec<RecordBatch>> {
        ensure!(
            self.format == Format::Parquet,
            "only Parquet files can be read row by row"
        );
        columnar::pick(&self.files, &self.schema, rows)
    }

    /// How many of its rows take about so many bytes in memory, at least one.
    ///
    /// # Errors
    /// If it is no Parquet table: others do not tell; or if it cannot be read.
    pub(crate) fn rows_within(&self, bytes: u64) -> Result<usize> {
        ensure!(
            self.format == Format::Parquet,
            "only Parquet files tell how large rows are"
        );
        let (rows, all) = columnar::extent(&self.files)?;
        let within = bytes.saturating_mul(rows) / all.max(1);
        Ok(usize::try_from(within)
            .unwrap_or(usize::MAX)
            .clamp(1, Self::BATCH_ROWS))
    }

    /// Its rows, batch by batch.
    pub(crate) fn batches(&self) -> Batches {
        let (format, schema, rows) = (self.format, Arc::clone(&self.schema), self.batch_rows);
        let of_file = move |file: PathBuf| -> Batches {
            let opened = match format {
                Format::Parquet => columnar::read(&file, &schema, rows),
                Format::Csv => delimited::read(&file, &schema, rows),
                Format::Ndjson => lines::read(&file, &schema, rows),
            };
            opened.unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
        };
        Box::new(self.files.clone().into_iter().flat_map(of_file))
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        ensure!(path.exists(), "{}: no such file or folder", path.display());
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(|| path.display().to_string())? {
        let file = entry.with_context(|| path.display().to_string())?.path();
        if file.is_file() && Format::of(&file).is_ok() {
            files.push(file);
        }
    }
    ensure!(
        !files.is_empty(),
        "{}: no .parquet, .ndjson or .csv file in this folder",
        path.display()
    );
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
