//! Which columns events and feature rows have: the fixed ones, and those that the configuration declares.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

/// Names of the fixed columns.
pub mod column {
    /// The writer's number of the row (R1).
    pub const INDEX: &str = "index";
    /// Time by which the row takes its turn (R2, R10).
    pub const ORDER_TIME: &str = "order_time";
    /// 0 label, 1 transaction, 2 image.
    pub const KIND: &str = "kind";
    /// Raw topic: 0 transactions, 1 labels, 2 images.
    pub const SOURCE_TOPIC: &str = "source_topic";
    /// Partition of the raw topic.
    pub const SOURCE_PARTITION: &str = "source_partition";
    /// Offset in the raw topic.
    pub const SOURCE_OFFSET: &str = "source_offset";
    /// Timestamp of the raw record.
    pub const SOURCE_TIME: &str = "source_time";
    /// Whether it came out of turn.
    pub const LATE: &str = "late";
    /// When it took place; for a label, when it became known.
    pub const EVENT_TIME: &str = "event_time";
    /// The transaction's identifier; empty for an image that belongs to none, and for the label of an image.
    pub const TRANSACTION_ID: &str = "transaction_id";
    /// Amount in the currency's smallest unit.
    pub const AMOUNT_MINOR: &str = "amount_minor";
    /// ISO 4217 code.
    pub const CURRENCY: &str = "currency";
    /// Properties that no attribute declares, as a JSON object.
    pub const OTHER_ATTRIBUTES: &str = "other_attributes";
    /// Whether the label says fraud.
    pub const FRAUD: &str = "fraud";
    /// Who gave the label.
    pub const LABEL_SOURCE: &str = "label_source";
    /// The image's identifier; for a label, that of the image it speaks of.
    pub const IMAGE_ID: &str = "image_id";
    /// What the image shows.
    pub const IMAGE_KIND: &str = "image_kind";
    /// SHA-256 of the file in the object store, in hexadecimal digits.
    pub const IMAGE_SHA256: &str = "image_sha256";
    /// Perceptual hash of the first frame, its 64 bits.
    pub const IMAGE_HASH: &str = "image_hash";
    /// Pixels in a row.
    pub const IMAGE_WIDTH: &str = "image_width";
    /// Rows of pixels.
    pub const IMAGE_HEIGHT: &str = "image_height";
    /// Frames kept.
    pub const IMAGE_FRAMES: &str = "image_frames";
    /// How often nearly the same image was seen before.
    pub const IMAGE_SEEN_COUNT: &str = "image_seen_count";
    /// With how many other accounts.
    pub const IMAGE_SEEN_OTHER_ACCOUNTS: &str = "image_seen_other_accounts";
    /// How many seconds ago first; missing if never.
    pub const IMAGE_SEEN_SECONDS_AGO: &str = "image_seen_seconds_ago";
    /// The image as networks read it: rows of pixels, three bytes each.
    pub const IMAGE_PIXELS: &str = "image_pixels";
    /// Which version of its transaction's row this is.
    pub const REVISION: &str = "revision";
    /// Version of the feature definitions that made the row (R15).
    pub const EPOCH: &str = "epoch";
    /// The account's recent transactions, flattened: oldest first, each with the configured fields.
    pub const SEQUENCE: &str = "recent_sequence";
}

/// What kind of property an attribute is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeKind {
    /// A number: a network's input as it is.
    Numeric,
    /// One of few values: a network embeds it.
    Categorical,
    /// Free text, kept for people and later features.
    Text,
}

/// A declared attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeSpec {
    /// Its name in the record's `attributes`.
    pub name: String,
    /// What it is.
    pub kind: AttributeKind,
}

/// The declared columns of a pipeline: entities and attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Entities, by name; each is a column `entity_<name>`.
    pub entities: Vec<String>,
    /// Attributes; each is a column `attribute_<name>`.
    #[serde(default)]
    pub attributes: Vec<AttributeSpec>,
    /// Whether document images come in as well.
    #[serde(default)]
    pub images: bool,
}

/// The data type of every instant.
#[must_use]
pub fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The column of an entity.
#[must_use]
pub fn entity_column(name: &str) -> String {
    format!("entity_{name}")
}

/// The column of an attribute.
#[must_use]
pub fn attribute_column(name: &str) -> String {
    format!("attribute_{name}")
}

impl Layout {
    /// The schema of events as ingest writes them.
    ///
    /// # Shape
    /// The fixed columns in the order of [`mod@column`], the label's, one text a declared entity, one number or
    /// text a declared attribute, the image's where images come in.
    #[must_use]
    pub fn event_schema(&self) -> SchemaRef {
        let mut fields = position_fields();
        fields.extend([
            Field::new(column::AMOUNT_MINOR, DataType::Int64, true),
            Field::new(column::CURRENCY, DataType::Utf8, true),
            Field::new(column::OTHER_ATTRIBUTES, DataType::Utf8, true),
            Field::new(column::FRAUD, DataType::Boolean, true),
            Field::new(column::LABEL_SOURCE, DataType::Utf8, true),
        ]);
        fields.extend(
            self.entities
                .iter()
                .map(|e| Field::new(entity_column(e), DataType::Utf8, true)),
        );
        fields.extend(self.attributes.iter().map(|a| {
            let data_type = match a.kind {
                AttributeKind::Numeric => DataType::Float64,
                AttributeKind::Categorical | AttributeKind::Text => DataType::Utf8,
            };
            Field::new(attribute_column(&a.name), data_type, true)
        }));
        if self.images {
            fields.extend(image_fields());
        }
        Arc::new(Schema::new(fields))
    }

    /// The schema of the table of transactions: events without the columns of labels and images.
    #[must_use]
    pub fn transactions_schema(&self) -> SchemaRef {
        let images = image_fields();
        let mut dropped = vec![column::FRAUD, column::LABEL_SOURCE];
        dropped.extend(images.iter().map(|f| f.name().as_str()));
        without(&self.event_schema(), &dropped)
    }

    /// The schema of the table of images: where they came from, entities, the image's own columns.
    #[must_use]
    pub fn images_schema(&self) -> SchemaRef {
        let mut fields = position_fields();
        fields.extend(
            self.entities
                .iter()
                .map(|e| Field::new(entity_column(e), DataType::Utf8, true)),
        );
        fields.extend(image_fields());
        fields.extend(version_fields());
        Arc::new(Schema::new(fields))
    }

    /// The schema of the table of labels: events without the own columns of transactions and images.
    #[must_use]
    pub fn labels_schema(&self) -> SchemaRef {
        let attributes: Vec<String> = self
            .attributes
            .iter()
            .map(|a| attribute_column(&a.name))
            .collect();
        let images = image_fields();
        let images = images.iter().map(|f| f.name().as_str());
        let mut dropped = vec![column::AMOUNT_MINOR, column::CURRENCY, column::OTHER_ATTRIBUTES];
        dropped.extend(attributes.iter().map(String::as_str));
        dropped.extend(images.filter(|name| *name != column::IMAGE_ID));
        without(&self.event_schema(), &dropped)
    }

    /// The schema of rows that a keyed stage passes on: the events' columns and the features made so far.
    #[must_use]
    pub fn stage_schema(&self, features: &[String]) -> SchemaRef {
        let mut fields: Vec<Field> = self
            .event_schema()
            .fields()
            .iter()
            .map(|f| f.as_ref().clone())
            .collect();
        fields.extend(features.iter().map(|name| feature_field(name)));
        Arc::new(Schema::new(fields))
    }

    /// The schema of the rows that the last stage emits: a transaction's columns, all features, the recent sequence if
    /// there is one, and an image's columns where images come in; its pixels join them on the way out ([`pixels`]).
    #[must_use]
    pub fn row_schema(&self, features: &[String], with_sequence: bool) -> SchemaRef {
        let table = self.feature_schema(features, with_sequence);
        let mut fields: Vec<Field> = table.fields().iter().map(|f| f.as_ref().clone()).collect();
        if self.images {
            fields.extend(image_fields());
        }
        Arc::new(Schema::new(fields))
    }

    /// The schema of the table of feature rows: a transaction's columns, all features, the recent sequence if there is
    /// one.
    #[must_use]
    pub fn feature_schema(&self, features: &[String], with_sequence: bool) -> SchemaRef {
        let transactions = self.transactions_schema();
        let mut fields: Vec<Field> = transactions.fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.extend(features.iter().map(|name| feature_field(name)));
        if with_sequence {
            fields.push(Field::new(column::SEQUENCE, sequence_type(), true));
        }
        fields.extend(version_fields());
        Arc::new(Schema::new(fields))
    }
}

/// The column of pixels, the last one of a row that has any; null where there is no image.
#[must_use]
pub fn pixels() -> Field {
    Field::new(column::IMAGE_PIXELS, DataType::Binary, true)
}

/// The data type of the recent sequence.
#[must_use]
pub fn sequence_type() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Float32, false)))
}

/// The application id under which a table's commits keep how far it has come in a partition of its topic:
/// `what` is `offset`, `watermark` (the event time up to which it is complete), or `mark:<writer>`.
#[must_use]
pub fn progress_id(partition: i32, what: &str) -> String {
    format!("riskstream/{partition}/{what}")
}

fn without(schema: &Schema, names: &[&str]) -> SchemaRef {
    let kept = schema
        .fields()
        .iter()
        .filter(|f| !names.contains(&f.name().as_str()));
    Arc::new(Schema::new(kept.cloned().collect::<Vec<_>>()))
}

fn version_fields() -> [Field; 2] {
    [
        Field::new(column::REVISION, DataType::Int32, false),
        Field::new(column::EPOCH, DataType::Int32, false),
    ]
}

/// The columns of images, all null for others; but a label of an image has its identifier.
fn image_fields() -> [Field; 10] {
    [
        Field::new(column::IMAGE_ID, DataType::Utf8, true),
        Field::new(column::IMAGE_KIND, DataType::Utf8, true),
        Field::new(column::IMAGE_SHA256, DataType::Utf8, true),
        Field::new(column::IMAGE_HASH, DataType::Int64, true),
        Field::new(column::IMAGE_WIDTH, DataType::Int32, true),
        Field::new(column::IMAGE_HEIGHT, DataType::Int32, true),
        Field::new(column::IMAGE_FRAMES, DataType::Int32, true),
        feature_field(column::IMAGE_SEEN_COUNT),
        feature_field(column::IMAGE_SEEN_OTHER_ACCOUNTS),
        feature_field(column::IMAGE_SEEN_SECONDS_AGO),
    ]
}

fn feature_field(name: &str) -> Field {
    Field::new(name, DataType::Float64, true)
}

fn position_fields() -> Vec<Field> {
    vec![
        Field::new(column::INDEX, DataType::Int64, false),
        Field::new(column::ORDER_TIME, instant(), false),
        Field::new(column::KIND, DataType::Int32, false),
        Field::new(column::SOURCE_TOPIC, DataType::Int32, false),
        Field::new(column::SOURCE_PARTITION, DataType::Int32, false),
        Field::new(column::SOURCE_OFFSET, DataType::Int64, false),
        Field::new(column::SOURCE_TIME, instant(), false),
        Field::new(column::LATE, DataType::Boolean, false),
        Field::new(column::EVENT_TIME, instant(), false),
        Field::new(column::TRANSACTION_ID, DataType::Utf8, false),
    ]
}
