//! Writing a table: it appears under its name when it is complete.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::Format;
use super::cells::Rows;

/// Rows of a row group: what a Parquet writer holds in memory.
const ROW_GROUP_ROWS: usize = 262_144;

/// A file under way. Dropped unfinished, it leaves nothing behind.
pub(crate) struct Sink {
    path: PathBuf,
    unfinished: Option<PathBuf>,
    writer: Option<Writer>,
    rows: u64,
}

enum Writer {
    Parquet(Box<ArrowWriter<File>>),
    Csv(Box<arrow::csv::Writer<BufWriter<File>>>),
    Ndjson(BufWriter<File>),
}

impl Sink {
    /// Begins a file; the ending of its name decides how it is stored.
    ///
    /// # Errors
    /// If the ending stands for no format, or the folder cannot be written to.
    pub(crate) fn create(path: &Path, schema: SchemaRef) -> Result<Self> {
        let format = Format::of(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let file =
            File::create(&unfinished).with_context(|| format!("cannot write to {}", path.display()))?;
        let mut sink = Self {
            path: path.to_owned(),
            unfinished: Some(unfinished),
            writer: None,
            rows: 0,
        };
        sink.writer = Some(Writer::new(format, file, schema)?);
        Ok(sink)
    }

    /// Appends rows.
    ///
    /// # Errors
    /// If they have other columns, or cannot be written.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let writer = self
            .writer
            .as_mut()
            .expect("there until the file is finished, which consumes it");
        writer
            .write(batch)
            .with_context(|| format!("cannot write to {}", self.path.display()))?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Completes the file, puts it in its place and returns the number of its rows.
    ///
    /// # Errors
    /// If something cannot be written.
    pub(crate) fn finish(mut self) -> Result<u64> {
        let place = || format!("cannot write to {}", self.path.display());
        let writer = self
            .writer
            .take()
            .expect("there until the file is finished, which consumes it");
        let file = writer.finish().with_context(place)?;
        file.sync_all().with_context(place)?;
        if let Some(unfinished) = &self.unfinished {
            std::fs::rename(unfinished, &self.path).with_context(place)?;
        }
        self.unfinished = None;
        Ok(self.rows)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(unfinished) = self.unfinished.take() {
            // Nobody is left to tell; the name says that it is only a part.
            std::fs::remove_file(unfinished).ok();
        }
    }
}

impl Writer {
    fn new(format: Format, file: File, schema: SchemaRef) -> Result<Self> {
        let compression = Compression::ZSTD(ZstdLevel::try_new(3)?);
        Ok(match format {
            Format::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(compression)
                    .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                    .build();
                Self::Parquet(Box::new(ArrowWriter::try_new(file, schema, Some(properties))?))
            }
            Format::Csv => Self::Csv(Box::new(arrow::csv::Writer::new(BufWriter::new(file)))),
            Format::Ndjson => Self::Ndjson(BufWriter::with_capacity(1 << 20, file)),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.write(batch)?,
            Self::Csv(writer) => writer.write(&Rows::new(batch)?.plain()?)?,
            Self::Ndjson(writer) => {
                let mut line = Vec::new();
                for row in Rows::new(batch)?.iter() {
                    line.clear();
                    row.write_json(&mut line)?;
                    line.push(b'\n');
                    writer.write_all(&line)?;
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<File> {
        Ok(match self {
            Self::Parquet(writer) => writer.into_inner()?,
            Self::Csv(writer) => writer.into_inner().into_inner()?,
            Self::Ndjson(writer) => writer.into_inner()?,
        })
    }
}
