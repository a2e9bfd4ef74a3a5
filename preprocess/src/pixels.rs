//! The pixels of images, which join their rows on the way out: state and earlier topics carry references alone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use eventlog::BatchHeader;
use imaging::{DocumentKind, Frame};
use lake::{Images, Store};
use schema::layout::{column, pixels};
use tracing::error;

use crate::error::PreprocessError;

/// Images in a batch at most: what a batch with its pixels takes stays small.
const IMAGES_A_BATCH: usize = 32;

/// Where pixels come from.
#[derive(Debug)]
pub(crate) struct Pixels {
    images: Images,
    frame: Frame,
}

impl Pixels {
    pub(crate) fn new(store: Store, frame: Frame) -> Self {
        Self {
            images: Images::open(store),
            frame,
        }
    }

    /// The rows with the pixels of their images. A row whose file is gone has none, as if it were of another frame.
    pub(crate) fn join(&self, rows: &RecordBatch) -> Result<RecordBatch, PreprocessError> {
        let mut values = BinaryBuilder::new();
        let (hashes, kinds) = (text(rows, column::IMAGE_SHA256)?, text(rows, column::IMAGE_KIND)?);
        for row in 0..rows.num_rows() {
            let kind = DocumentKind::named(kinds.value(row)).filter(|_| hashes.is_valid(row));
            let Some(kind) = kind else {
                values.append_null();
                continue;
            };
            let prepared = self.images.prepared(hashes.value(row), kind, self.frame)?;
            if prepared.is_none() {
                error!(sha256 = hashes.value(row), "the file of an image is gone");
            }
            values.append_option(prepared);
        }
        let fields = rows
            .schema()
            .fields()
            .iter()
            .map(|f| f.as_ref().clone())
            .collect::<Vec<_>>();
        let schema = Arc::new(Schema::new([fields, vec![pixels()]].concat()));
        let mut columns = rows.columns().to_vec();
        columns.push(Arc::new(values.finish()) as ArrayRef);
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

/// A batch in parts that each have few images, each true by itself (R7).
pub(crate) fn parts(
    header: BatchHeader,
    rows: RecordBatch,
) -> Result<Vec<(BatchHeader, RecordBatch)>, ArrowError> {
    let hashes = text(&rows, column::IMAGE_SHA256)?;
    let mut ends = Vec::new();
    let mut images = 0;
    for row in 0..rows.num_rows() {
        if images == IMAGES_A_BATCH {
            ends.push(row);
            images = 0;
        }
        images += usize::from(hashes.is_valid(row));
    }
    let mut parts = Vec::with_capacity(ends.len() + 1);
    let (mut rest, mut taken) = ((header, rows), 0);
    for end in ends {
        let [first, second] = eventlog::split(rest.0, &rest.1, end - taken)?;
        parts.push(first);
        (rest, taken) = (second, end);
    }
    parts.push(rest);
    Ok(parts)
}

fn text(rows: &RecordBatch, name: &str) -> Result<StringArray, ArrowError> {
    let column = rows.column_by_name(name).and_then(|c| c.as_string_opt().cloned());
    column.ok_or_else(|| ArrowError::SchemaError(format!("column {name} is missing")))
}
