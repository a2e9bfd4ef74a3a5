//! Tables of document images.

use std::borrow::Cow;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use arrow::datatypes::DataType;
use schema::Image;
use schema::mapping::{ContentColumn, ImageMapping};

use super::stream_of::{Interval, Read, Reads, Source, What, check_columns, said, survey};
use crate::tables::{Row, Rows, Table};

/// Rows read at once that hold files, where they come as they stand.
const FILES_AT_ONCE: usize = 16;
/// Bytes of files held at once, where they have to be looked for: each look goes through the whole table.
const BYTES_AT_ONCE: u64 = 64 << 20;

/// An image on its way.
pub(super) struct Document {
    /// What is said of it.
    pub(super) image: Image,
    row: u64,
    content: Content,
}

enum Content {
    Bytes(Vec<u8>),
    Path(PathBuf),
}

impl Document {
    /// Its file.
    ///
    /// # Errors
    /// If it lies beside the table, and cannot be read there.
    pub(super) fn file(&self) -> Result<Cow<'_, [u8]>> {
        match &self.content {
            Content::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            Content::Path(path) => std::fs::read(path)
                .with_context(|| format!("{self}: {} cannot be read", path.display()))
                .map(Cow::Owned),
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} (image {})", self.row + 1, self.image.image_id)
    }
}

/// Opens a table of images.
///
/// One in time order is streamed. Of any other, only times and numbers of rows are held where it has the files itself,
/// and everything but the files where it names them.
///
/// # Errors
/// If the table cannot be read, or lacks a column of the mapping.
pub(super) fn open(input: &Path, mapping: &ImageMapping, interval: Interval) -> Result<Source> {
    let table = Table::open(input)?.select(&mapping.columns());
    check_columns(input, &table, &mapping.columns())?;
    let reader = Reader {
        table,
        mapping: mapping.clone(),
        folder: folder_of(input),
    };
    let reader = reader.with_content_checked(input)?;
    let times = reader.times();
    let (count, in_order) = survey(&times, interval, |row, number| {
        mapping.event_time.read(row, number)
    })?;
    let reads: Reads = match (in_order, &mapping.content) {
        (true, _) => Box::new(reader.in_table_order()),
        (false, ContentColumn::File(_)) => {
            let mut all: Vec<Read> = reader.in_table_order().collect::<Result<_>>()?;
            all.sort_by_key(|read| read.at_us);
            Box::new(all.into_iter().map(Ok))
        }
        (false, ContentColumn::Column(_)) => Box::new(reader.in_time_order(&times)?),
    };
    Ok(Source { count, reads })
}

fn folder_of(input: &Path) -> PathBuf {
    let folder = if input.is_dir() {
        Some(input)
    } else {
        input.parent()
    };
    folder.unwrap_or_else(|| Path::new("")).to_owned()
}

#[derive(Clone)]
struct Reader {
    table: Table,
    mapping: ImageMapping,
    /// The folder of the table.
    folder: PathBuf,
}

impl Reader {
    /// Rows with files are read by few at once; a column that holds none is refused.
    fn with_content_checked(mut self, input: &Path) -> Result<Self> {
        if let ContentColumn::Column(column) = &self.mapping.content {
            let kind = self.table.schema().field_with_name(column)?.data_type();
            let holds_bytes = matches!(
                kind,
                DataType::Binary
                    | DataType::LargeBinary
                    | DataType::BinaryView
                    | DataType::FixedSizeBinary(_)
            );
            ensure!(
                holds_bytes,
                "{}: column {column} holds no bytes; where it names files, write content = {{ file = {column:?} }}",
                input.display()
            );
            self.table = self.table.with_batch_rows(FILES_AT_ONCE);
        }
        Ok(self)
    }

    /// The table without what is not needed to know times: where they go by numbers of rows, files' names tell how many
    /// rows there are.
    fn times(&self) -> Table {
        let named = match &self.mapping.content {
            ContentColumn::File(column) => Some(column.as_str()),
            ContentColumn::Column(_) => None,
        };
        let column = self.mapping.event_time.column().or(named);
        let columns: Vec<&str> = column.into_iter().collect();
        self.table
            .clone()
            .with_batch_rows(Table::BATCH_ROWS)
            .select(&columns)
    }

    fn in_table_order(self) -> impl Iterator<Item = Result<Read>> {
        let mut number = 0;
        self.table.batches().flat_map(move |batch| {
            let first = number;
            let read = |batch| -> Result<Vec<Read>> {
                let rows = Rows::new(&batch)?;
                number += rows.len() as u64;
                rows.iter()
                    .zip(first..)
                    .map(|(row, at)| self.read(row, at))
                    .collect()
            };
            match batch.and_then(read) {
                Ok(reads) => reads.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            }
        })
    }

    /// Rows by their times, equal ones by their numbers; some files at a time are looked for in the table.
    fn in_time_order(self, times: &Table) -> Result<impl Iterator<Item = Result<Read>> + use<>> {
        let mut keys = Vec::new();
        for batch in times.batches() {
            for row in Rows::new(&batch?)?.iter() {
                let number = keys.len() as u64;
                let at_us = self.mapping.event_time.read(&row, number).map_err(said)?;
                keys.push((at_us, number));
            }
        }
        keys.sort_unstable();
        let at_once = self.table.rows_within(BYTES_AT_ONCE)?;
        Ok((0..keys.len()).step_by(at_once).flat_map(move |from| {
            let keys = &keys[from..keys.len().min(from + at_once)];
            match self.pick(keys) {
                Ok(reads) => reads.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            }
        }))
    }

    fn pick(&self, keys: &[(i64, u64)]) -> Result<Vec<Read>> {
        let mut numbers: Vec<u64> = keys.iter().map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        let mut reads = Vec::with_capacity(numbers.len());
        for batch in self.table.pick(&numbers)? {
            for row in Rows::new(&batch)?.iter() {
                let number = numbers[reads.len()];
                reads.push(self.read(row, number)?);
            }
        }
        // Stable: equal times stay in the order of the table.
        reads.sort_by_key(|read| read.at_us);
        Ok(reads)
    }

    fn read(&self, row: Row<'_>, number: u64) -> Result<Read> {
        self.read_row(row, number)
            .with_context(|| format!("row {}", number + 1))
    }

    fn read_row(&self, row: Row<'_>, number: u64) -> Result<Read> {
        let image = self.mapping.image(&row, number).map_err(said)?;
        let label = self.mapping.label(&row, number).map_err(said)?;
        let content = match &self.mapping.content {
            ContentColumn::Column(column) => {
                let bytes = row.bytes(column)?;
                Content::Bytes(
                    bytes
                        .with_context(|| format!("column {column}: missing"))?
                        .to_vec(),
                )
            }
            ContentColumn::File(column) => Content::Path(self.path(row, column)?),
        };
        Ok(Read {
            at_us: image.event_time_us,
            what: What::Image(Document {
                image,
                row: number,
                content,
            }),
            label,
        })
    }

    /// The file that a column names: one of the table's folder, or below it.
    fn path(&self, row: Row<'_>, column: &str) -> Result<PathBuf> {
        let Some(name) = schema::mapping::text(&row, column) else {
            bail!("column {column}: missing");
        };
        let below = Path::new(&name)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        ensure!(
            below && !name.is_empty(),
            "column {column}: {name:?} is no path below the table's folder"
        );
        Ok(self.folder.join(name))
    }
}

#[cfg(test)]
mod tests;
