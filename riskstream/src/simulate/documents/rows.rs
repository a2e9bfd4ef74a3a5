//! The table of documents.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use super::Document;

/// The columns: see `riskstream simulate --help` for their meaning.
pub(in crate::simulate) fn schema() -> SchemaRef {
    let instant = || DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("image_id", DataType::Utf8, false),
        Field::new("event_time", instant(), false),
        Field::new("customer_id", DataType::Int64, false),
        Field::new("kind", DataType::Utf8, false),
        Field::new("transaction_id", DataType::Int64, true),
        Field::new("content", DataType::Binary, false),
        Field::new("fraud", DataType::Int64, false),
        Field::new("label_known_at", instant(), true),
        Field::new("alteration", DataType::Utf8, true),
    ]))
}

/// Turns documents into rows.
pub(in crate::simulate) fn batch(documents: &[Document]) -> Result<RecordBatch, ArrowError> {
    let mut columns = Columns::default();
    documents.iter().for_each(|document| columns.push(document));
    columns.finish()
}

#[derive(Default)]
struct Columns {
    image_id: StringBuilder,
    event_time: TimestampMillisecondBuilder,
    customer_id: Int64Builder,
    kind: StringBuilder,
    transaction_id: Int64Builder,
    content: BinaryBuilder,
    fraud: Int64Builder,
    label_known_at: TimestampMillisecondBuilder,
    alteration: StringBuilder,
}

impl Columns {
    fn push(&mut self, document: &Document) {
        self.image_id.append_value(format!("img-{:08}", document.number));
        self.event_time.append_value(document.at_ms);
        self.customer_id.append_value(i64::from(document.customer));
        self.kind.append_value(document.kind.name());
        self.transaction_id.append_option(document.transaction);
        self.content.append_value(&document.content);
        self.fraud.append_value(i64::from(document.alteration.is_some()));
        self.label_known_at.append_option(document.known_at_ms);
        self.alteration
            .append_option(document.alteration.map(|a| a.name()));
    }

    fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let utc = |mut times: TimestampMillisecondBuilder| times.finish().with_timezone("UTC");
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.image_id.finish()),
            Arc::new(utc(self.event_time)),
            Arc::new(self.customer_id.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.transaction_id.finish()),
            Arc::new(self.content.finish()),
            Arc::new(self.fraud.finish()),
            Arc::new(utc(self.label_known_at)),
            Arc::new(self.alteration.finish()),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}
