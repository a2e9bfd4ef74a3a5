//! Scores as rows of their table.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use schema::layout::{entity_column, instant};
use schema::{Layout, Score};
use serde_json::{Map, Value, json};
use stream::Record;

use crate::error::PreprocessError;

/// Columns of the table of scores.
pub(super) fn schema(layout: &Layout) -> SchemaRef {
    let mut fields = vec![
        Field::new("subject", DataType::Utf8, false),
        Field::new("transaction_id", DataType::Utf8, false),
        Field::new("image_id", DataType::Utf8, true),
        Field::new("revision", DataType::Int32, false),
        Field::new("score", DataType::Float64, true),
        Field::new("decision", DataType::Utf8, false),
        Field::new("reasons", DataType::Utf8, false),
        Field::new("model", DataType::Utf8, true),
        Field::new("version", DataType::Utf8, true),
        Field::new("feature_schema", DataType::Utf8, true),
        Field::new("event_time", instant(), false),
        Field::new("scored_at", instant(), false),
        Field::new("amount_minor", DataType::Int64, true),
        Field::new("currency", DataType::Utf8, true),
        Field::new("late", DataType::Boolean, false),
        Field::new("source_topic", DataType::Utf8, false),
        Field::new("source_partition", DataType::Int32, false),
        Field::new("source_offset", DataType::Int64, false),
    ];
    fields.extend(
        layout
            .entities
            .iter()
            .map(|e| Field::new(entity_column(e), DataType::Utf8, true)),
    );
    Arc::new(Schema::new(fields))
}

/// The rows of these records.
pub(super) fn batch(columns: &SchemaRef, records: &[Record]) -> Result<RecordBatch, PreprocessError> {
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        let payload = record.payload.as_deref().unwrap_or_default();
        let score: Score = serde_json::from_slice(payload).map_err(|e| PreprocessError::Foreign {
            partition: record.partition().to_string(),
            offset: record.offset,
            what: e.to_string(),
        })?;
        rows.push(row(&score));
    }
    let mut decoder = ReaderBuilder::new(Arc::clone(columns))
        .with_batch_size(rows.len().max(1))
        .build_decoder()?;
    decoder.serialize(&rows)?;
    let batch = decoder.flush()?;
    Ok(batch.ok_or_else(|| ArrowError::JsonError("no scores to write".into()))?)
}

fn row(score: &Score) -> Map<String, Value> {
    let flat = json!({
        "subject": score.subject,
        "transaction_id": score.transaction_id,
        "image_id": score.image_id,
        "revision": score.revision,
        "score": score.score,
        "decision": score.decision,
        "reasons": json!(score.reasons).to_string(),
        "model": score.model,
        "version": score.version,
        "feature_schema": score.feature_schema,
        "event_time": score.event_time,
        "scored_at": score.scored_at,
        "amount_minor": score.amount_minor,
        "currency": score.currency,
        "late": score.late,
        "source_topic": score.source.topic,
        "source_partition": score.source.partition,
        "source_offset": score.source.offset,
    });
    let Value::Object(mut row) = flat else {
        unreachable!("written as an object")
    };
    row.extend(
        score
            .entities
            .iter()
            .map(|(name, value)| (entity_column(name), json!(value))),
    );
    row
}
