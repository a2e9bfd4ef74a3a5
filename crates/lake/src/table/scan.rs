//! Reading a table's files: what a time range cannot touch is left out, the rest filtered to the row.

mod file;
mod prune;

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef};
use deltalake::DeltaTable;
use object_store::ObjectStore;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::arrow::async_reader::ParquetRecordBatchStream;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;

use self::file::FileReader;
use self::prune::{File, Range};
use super::{Table, TimeRange, schema};
use crate::error::{LakeError, Result};
use crate::store::Store;

const BATCH_ROWS: usize = 16 * 1024;

/// The rows of one version of a table, batch by batch.
pub struct Scan {
    table: String,
    store: Store,
    objects: Arc<dyn ObjectStore>,
    files: VecDeque<File>,
    /// What goes out.
    output: SchemaRef,
    /// What is read: the output's columns and the range's.
    input: SchemaRef,
    range: Option<Range>,
    open: Option<OpenFile>,
}

struct OpenFile {
    path: String,
    stream: ParquetRecordBatchStream<FileReader>,
    row_group: Option<ParquetRecordBatchReader>,
}

impl Scan {
    pub(super) fn new(
        table: &Table,
        delta: &DeltaTable,
        columns: Option<&[&str]>,
        filter: Option<TimeRange<'_>>,
    ) -> Result<Self> {
        let output = match columns {
            Some(names) => select(table, names)?,
            None => table.schema.clone(),
        };
        let range = filter.map(|filter| Range::new(table, filter)).transpose()?;
        let input = match &range {
            Some(range) if output.field_with_name(range.column()).is_err() => {
                let mut fields = output.fields().to_vec();
                fields.extend(
                    table
                        .schema
                        .field_with_name(range.column())
                        .cloned()
                        .map(Arc::new),
                );
                Arc::new(Schema::new(fields))
            }
            _ => output.clone(),
        };
        let files = prune::files(table, delta, range.as_ref())?;
        let (store, objects) = (table.store.clone(), delta.object_store());
        Ok(Self {
            table: table.name.clone(),
            store,
            objects,
            files,
            output,
            input,
            range,
            open: None,
        })
    }

    /// The columns of the batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.output.clone()
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(file) = self.files.pop_front() else {
                    return Ok(None);
                };
                self.open = Some(self.open_file(&file)?);
                continue;
            };
            let Some(reader) = &mut open.row_group else {
                let next = self.store.wait(open.stream.next_row_group());
                match next.map_err(|source| file_error(&self.table, &open.path, source))? {
                    Some(reader) => open.row_group = Some(reader),
                    None => self.open = None,
                }
                continue;
            };
            let Some(batch) = reader.next() else {
                open.row_group = None;
                continue;
            };
            let batch = self.keep(&batch.map_err(|source| self.rows_error(source))?)?;
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
    }

    fn open_file(&self, file: &File) -> Result<OpenFile> {
        let path = file.path.to_string();
        let error = |source| file_error(&self.table, &path, source);
        let reader = FileReader::new(self.objects.clone(), file.path.clone(), file.size);
        let builder = self
            .store
            .wait(ParquetRecordBatchStreamBuilder::new(reader))
            .map_err(error)?;
        let wanted = |name: &str| self.input.field_with_name(name).is_ok();
        let root = builder.parquet_schema().root_schema();
        let roots: Vec<_> = root
            .get_fields()
            .iter()
            .enumerate()
            .filter(|(_, f)| wanted(f.name()))
            .map(|(i, _)| i)
            .collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let groups = match &self.range {
            Some(range) => range.row_groups(&builder).map_err(error)?,
            None => (0..builder.metadata().num_row_groups()).collect(),
        };
        let stream = builder
            .with_projection(mask)
            .with_row_groups(groups)
            .with_batch_size(BATCH_ROWS)
            .build();
        Ok(OpenFile {
            stream: stream.map_err(error)?,
            path,
            row_group: None,
        })
    }

    /// The rows of a file's batch that are in the range, under the output's columns.
    fn keep(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let rows = schema::project(&self.table, rows, &self.input)?;
        let Some(range) = &self.range else { return Ok(rows) };
        let times = rows
            .column_by_name(range.column())
            .expect("the range's column is among those read");
        let times = cast(times, &DataType::Int64).map_err(|source| self.rows_error(source))?;
        let inside = BooleanArray::from_unary(times.as_primitive::<Int64Type>(), |at| range.contains(at));
        let rows = filter_record_batch(&rows, &inside).map_err(|source| self.rows_error(source))?;
        schema::project(&self.table, &rows, &self.output)
    }

    fn rows_error(&self, source: arrow::error::ArrowError) -> LakeError {
        LakeError::Rows {
            table: self.table.clone(),
            source,
        }
    }
}

impl Iterator for Scan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_batch();
        if next.is_err() {
            // Whoever goes on after an error gets no part of what is left.
            self.files.clear();
            self.open = None;
        }
        next.transpose()
    }
}

fn select(table: &Table, names: &[&str]) -> Result<SchemaRef> {
    let field = |name: &&str| match table.schema.field_with_name(name) {
        Ok(field) => Ok(field.clone()),
        Err(_) => Err(schema::column_error(
            &table.name,
            name,
            "the table does not have it",
        )),
    };
    Ok(Arc::new(Schema::new(
        names.iter().map(field).collect::<Result<Vec<_>>>()?,
    )))
}

fn file_error(table: &str, path: &str, source: ParquetError) -> LakeError {
    LakeError::File {
        table: table.to_owned(),
        path: path.to_owned(),
        source,
    }
}
