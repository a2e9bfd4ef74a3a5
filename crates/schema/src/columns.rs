//! Event batches: built row by row by ingest, read by columns by everybody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Float64Builder, Int32Array, Int32Builder,
    Int64Array, Int64Builder, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
    TimestampMicrosecondBuilder, new_null_array,
};
use arrow::datatypes::{DataType, Int32Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;

use crate::event::{Attribute, Event, Image, ImageFile, Kind, Label, Origin, Subject, Transaction, Verdict};
use crate::hashing::identity_of;
use crate::layout::{AttributeKind, Layout, column, entity_column};

/// Builds batches of canonical events.
pub struct EventBuilder {
    layout: Arc<Layout>,
    schema: SchemaRef,
    index: Int64Builder,
    order_time: TimestampMicrosecondBuilder,
    kind: Int32Builder,
    source_topic: Int32Builder,
    source_partition: Int32Builder,
    source_offset: Int64Builder,
    source_time: TimestampMicrosecondBuilder,
    late: BooleanBuilder,
    event_time: TimestampMicrosecondBuilder,
    transaction_id: StringBuilder,
    amount_minor: Int64Builder,
    currency: StringBuilder,
    other_attributes: StringBuilder,
    fraud: BooleanBuilder,
    label_source: StringBuilder,
    entities: Vec<StringBuilder>,
    attributes: Vec<AttributeBuilder>,
    images: Option<ImageBuilder>,
    last_index: Option<i64>,
}

/// The columns of images. What was seen before is for a stage to say.
#[derive(Default)]
struct ImageBuilder {
    id: StringBuilder,
    kind: StringBuilder,
    sha256: StringBuilder,
    hash: Int64Builder,
    width: Int32Builder,
    height: Int32Builder,
    frames: Int32Builder,
}

enum AttributeBuilder {
    Number(Float64Builder),
    Text(StringBuilder),
}

impl EventBuilder {
    /// An empty batch of this layout.
    #[must_use]
    pub fn new(layout: Arc<Layout>) -> Self {
        let attributes = layout
            .attributes
            .iter()
            .map(|a| AttributeBuilder::new(a.kind))
            .collect();
        let instants = || TimestampMicrosecondBuilder::new().with_timezone("UTC");
        Self {
            schema: layout.event_schema(),
            entities: layout.entities.iter().map(|_| StringBuilder::new()).collect(),
            attributes,
            images: layout.images.then(ImageBuilder::default),
            layout,
            index: Int64Builder::new(),
            order_time: instants(),
            kind: Int32Builder::new(),
            source_topic: Int32Builder::new(),
            source_partition: Int32Builder::new(),
            source_offset: Int64Builder::new(),
            source_time: instants(),
            late: BooleanBuilder::new(),
            event_time: instants(),
            transaction_id: StringBuilder::new(),
            amount_minor: Int64Builder::new(),
            currency: StringBuilder::new(),
            other_attributes: StringBuilder::new(),
            fraud: BooleanBuilder::new(),
            label_source: StringBuilder::new(),
            last_index: None,
        }
    }

    /// Appends an event; its index is its raw offset (R1).
    pub fn push(&mut self, event: &Event, origin: Origin, order_time_us: i64, late: bool) {
        self.index.append_value(origin.offset);
        self.order_time.append_value(order_time_us);
        self.source_topic.append_value(i32::from(origin.topic as u8));
        self.source_partition.append_value(origin.partition);
        self.source_offset.append_value(origin.offset);
        self.source_time.append_value(origin.timestamp_us);
        self.late.append_value(late);
        self.last_index = Some(origin.offset);
        match event {
            Event::Transaction(transaction) => self.push_transaction(transaction),
            Event::Label(label) => self.push_label(label),
            Event::Image(image) => self.push_image(image),
        }
        if let Some(images) = &mut self.images {
            match event {
                Event::Image(image) => images.push(Some(&image.image_id), Some(image)),
                Event::Label(label) => images.push(label.subject.image_id(), None),
                Event::Transaction(_) => images.push(None, None),
            }
        }
    }

    fn push_transaction(&mut self, t: &Transaction) {
        self.kind.append_value(i32::from(Kind::Transaction as u8));
        self.event_time.append_value(t.event_time_us);
        self.transaction_id.append_value(&t.transaction_id);
        self.amount_minor.append_value(t.amount_minor);
        self.currency.append_value(t.currency.code());
        self.fraud.append_null();
        self.label_source.append_null();
        self.push_entities(&t.entities);
        let mut left: BTreeMap<&str, &Attribute> =
            t.attributes.iter().map(|(k, v)| (k.as_str(), v)).collect();
        for (spec, builder) in self.layout.attributes.iter().zip(&mut self.attributes) {
            if builder.append(left.get(spec.name.as_str()).copied()) {
                left.remove(spec.name.as_str());
            }
        }
        if left.is_empty() {
            self.other_attributes.append_null();
        } else {
            self.other_attributes
                .append_value(serde_json::to_string(&left).expect("texts and numbers serialise"));
        }
    }

    fn push_label(&mut self, l: &Label) {
        self.kind.append_value(i32::from(Kind::Label as u8));
        self.event_time.append_value(l.known_at_us);
        self.transaction_id.append_value(match &l.subject {
            Subject::Transaction(id) => id,
            Subject::Image(_) => "",
        });
        self.amount_minor.append_null();
        self.currency.append_null();
        self.other_attributes.append_null();
        self.fraud.append_value(l.verdict == Verdict::Fraud);
        self.label_source.append_value(&l.source);
        self.push_entities(&l.entities);
        for builder in &mut self.attributes {
            builder.append(None);
        }
    }

    fn push_image(&mut self, i: &Image) {
        self.kind.append_value(i32::from(Kind::Image as u8));
        self.event_time.append_value(i.event_time_us);
        self.transaction_id
            .append_value(i.transaction_id.as_deref().unwrap_or_default());
        self.amount_minor.append_null();
        self.currency.append_null();
        self.other_attributes.append_null();
        self.fraud.append_null();
        self.label_source.append_null();
        self.push_entities(&i.entities);
        for builder in &mut self.attributes {
            builder.append(None);
        }
    }

    fn push_entities(&mut self, entities: &BTreeMap<String, String>) {
        for (name, builder) in self.layout.entities.iter().zip(&mut self.entities) {
            builder.append_option(entities.get(name));
        }
    }

    /// Rows so far.
    #[must_use]
    pub fn len(&self) -> usize {
        arrow::array::ArrayBuilder::len(&self.index)
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Index of the last row.
    #[must_use]
    pub fn last_index(&self) -> Option<i64> {
        self.last_index
    }

    /// The rows so far as a batch; the builder is empty again.
    ///
    /// # Errors
    /// Never for a layout without repeated names.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        self.last_index = None;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.index.finish()),
            Arc::new(self.order_time.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.source_topic.finish()),
            Arc::new(self.source_partition.finish()),
            Arc::new(self.source_offset.finish()),
            Arc::new(self.source_time.finish()),
            Arc::new(self.late.finish()),
            Arc::new(self.event_time.finish()),
            Arc::new(self.transaction_id.finish()),
            Arc::new(self.amount_minor.finish()),
            Arc::new(self.currency.finish()),
            Arc::new(self.other_attributes.finish()),
            Arc::new(self.fraud.finish()),
            Arc::new(self.label_source.finish()),
        ];
        columns.extend(self.entities.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef));
        columns.extend(self.attributes.iter_mut().map(AttributeBuilder::finish));
        if let Some(images) = &mut self.images {
            columns.extend(images.finish());
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

impl ImageBuilder {
    fn push(&mut self, id: Option<&str>, image: Option<&Image>) {
        let file = image.map(|i| &i.file);
        let number = |of: fn(&ImageFile) -> u32| file.map(|f| i32::try_from(of(f)).unwrap_or(i32::MAX));
        self.id.append_option(id);
        self.kind.append_option(image.map(|i| &i.kind));
        self.sha256.append_option(file.map(|f| &f.sha256));
        self.hash
            .append_option(file.map(|f| f.perceptual_hash.cast_signed()));
        self.width.append_option(number(|f| f.width));
        self.height.append_option(number(|f| f.height));
        self.frames.append_option(number(|f| f.frames));
    }

    fn finish(&mut self) -> [ArrayRef; 10] {
        let id = self.id.finish();
        let nothing = || new_null_array(&DataType::Float64, id.len());
        [
            Arc::new(id.clone()),
            Arc::new(self.kind.finish()),
            Arc::new(self.sha256.finish()),
            Arc::new(self.hash.finish()),
            Arc::new(self.width.finish()),
            Arc::new(self.height.finish()),
            Arc::new(self.frames.finish()),
            nothing(),
            nothing(),
            nothing(),
        ]
    }
}

impl AttributeBuilder {
    fn new(kind: AttributeKind) -> Self {
        match kind {
            AttributeKind::Numeric => Self::Number(Float64Builder::new()),
            AttributeKind::Categorical | AttributeKind::Text => Self::Text(StringBuilder::new()),
        }
    }

    /// Appends a value, or null if it is absent or of the other type; whether it was taken.
    fn append(&mut self, value: Option<&Attribute>) -> bool {
        match (self, value) {
            (Self::Number(b), Some(Attribute::Number(x))) => b.append_value(*x),
            (Self::Text(b), Some(Attribute::Text(x))) => b.append_value(x),
            (Self::Text(b), Some(Attribute::Number(x))) => b.append_value(x.to_string()),
            (Self::Number(b), _) => {
                b.append_null();
                return false;
            }
            (Self::Text(b), None) => {
                b.append_null();
                return false;
            }
        }
        true
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Number(b) => Arc::new(b.finish()),
            Self::Text(b) => Arc::new(b.finish()),
        }
    }
}

/// The fixed columns of a batch of events or rows, found by name.
#[derive(Clone, Debug)]
pub struct EventColumns {
    /// The writer's numbers, rising.
    pub index: Int64Array,
    /// Times by which rows take their turn.
    pub order_time: TimestampMicrosecondArray,
    /// Kinds, as [`Kind`] numbers them.
    pub kind: Int32Array,
    /// Raw topics, as [`crate::SourceTopic`] numbers them.
    pub source_topic: Int32Array,
    /// Raw partitions.
    pub source_partition: Int32Array,
    /// Raw offsets.
    pub source_offset: Int64Array,
    /// Timestamps of the raw records.
    pub source_time: TimestampMicrosecondArray,
    /// Whether a row came out of turn.
    pub late: BooleanArray,
    /// Event times.
    pub event_time: TimestampMicrosecondArray,
    /// Transactions' identifiers; empty for images of none, and for labels of images.
    pub transaction_id: StringArray,
    /// Amounts; null for labels.
    pub amount_minor: Int64Array,
    /// Whether a label says fraud; null for transactions, absent from feature rows.
    pub fraud: Option<BooleanArray>,
    /// Who gave a label; null for transactions, absent from feature rows.
    pub label_source: Option<StringArray>,
    /// Identifiers of images and of the images that labels speak of; null for others, absent where no images come in.
    pub image_id: Option<StringArray>,
    /// Images' perceptual hashes; null for others, absent where no images come in.
    pub image_hash: Option<Int64Array>,
}

impl EventColumns {
    /// Finds the fixed columns of a batch.
    ///
    /// # Errors
    /// If one is missing or of another type.
    pub fn of(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let find = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| ArrowError::SchemaError(format!("column {name} is missing")))
        };
        let mistyped = |name: &str| ArrowError::SchemaError(format!("column {name} has another type"));
        let int32 = |name: &str| {
            find(name).and_then(|c| {
                c.as_primitive_opt::<Int32Type>()
                    .cloned()
                    .ok_or_else(|| mistyped(name))
            })
        };
        let int64 = |name: &str| {
            find(name).and_then(|c| {
                c.as_primitive_opt::<Int64Type>()
                    .cloned()
                    .ok_or_else(|| mistyped(name))
            })
        };
        let instant = |name: &str| {
            find(name).and_then(|c| {
                c.as_primitive_opt::<TimestampMicrosecondType>()
                    .cloned()
                    .ok_or_else(|| mistyped(name))
            })
        };
        let text = |name: &str| {
            find(name).and_then(|c| c.as_string_opt::<i32>().cloned().ok_or_else(|| mistyped(name)))
        };
        Ok(Self {
            index: int64(column::INDEX)?,
            order_time: instant(column::ORDER_TIME)?,
            kind: int32(column::KIND)?,
            source_topic: int32(column::SOURCE_TOPIC)?,
            source_partition: int32(column::SOURCE_PARTITION)?,
            source_offset: int64(column::SOURCE_OFFSET)?,
            source_time: instant(column::SOURCE_TIME)?,
            late: find(column::LATE)?
                .as_boolean_opt()
                .cloned()
                .ok_or_else(|| mistyped(column::LATE))?,
            event_time: instant(column::EVENT_TIME)?,
            transaction_id: text(column::TRANSACTION_ID)?,
            amount_minor: int64(column::AMOUNT_MINOR)?,
            fraud: batch
                .column_by_name(column::FRAUD)
                .and_then(|c| c.as_boolean_opt().cloned()),
            label_source: batch
                .column_by_name(column::LABEL_SOURCE)
                .and_then(|c| c.as_string_opt().cloned()),
            image_id: batch
                .column_by_name(column::IMAGE_ID)
                .and_then(|c| c.as_string_opt().cloned()),
            image_hash: batch
                .column_by_name(column::IMAGE_HASH)
                .and_then(|c| c.as_primitive_opt().cloned()),
        })
    }

    /// The values of an entity, if the batch has its column.
    #[must_use]
    pub fn entity(batch: &RecordBatch, name: &str) -> Option<StringArray> {
        batch
            .column_by_name(&entity_column(name))
            .and_then(|c| c.as_string_opt().cloned())
    }

    /// The kind of a row.
    #[must_use]
    pub fn kind_of(&self, row: usize) -> Option<Kind> {
        Kind::from_code(self.kind.value(row))
    }

    /// Whether a label says fraud; false for a transaction.
    #[must_use]
    pub fn is_fraud(&self, row: usize) -> bool {
        self.fraud
            .as_ref()
            .is_some_and(|f| f.is_valid(row) && f.value(row))
    }

    /// The identifier of an image, or of the image that a label speaks of; none for others.
    #[must_use]
    pub fn image_id_of(&self, row: usize) -> Option<&str> {
        let ids = self.image_id.as_ref()?;
        ids.is_valid(row).then(|| ids.value(row))
    }

    /// Whether a row is an image or the label of one, which need have no entity but the account.
    #[must_use]
    pub fn is_about_image(&self, row: usize) -> bool {
        match self.kind_of(row) {
            Some(Kind::Image) => true,
            // That of a transaction has its identifier.
            Some(Kind::Label) => self.transaction_id.value(row).is_empty(),
            Some(Kind::Transaction) | None => false,
        }
    }

    /// What makes two events the same one: a transaction's id, an image's; a label's subject, verdict, source and time.
    #[must_use]
    pub fn identity(&self, row: usize) -> u128 {
        let id = self.transaction_id.value(row).as_bytes();
        let kind = self.kind.value(row).to_le_bytes();
        let image_id = self.image_id_of(row).map(str::as_bytes);
        if self.kind.value(row) != i32::from(Kind::Label as u8) {
            return identity_of(&[&kind, image_id.unwrap_or(id)]);
        }
        let source = self.label_source.as_ref().map_or("", |s| s.value(row));
        let known_at = self.event_time.value(row).to_le_bytes();
        let fraud = [u8::from(self.is_fraud(row))];
        // One part more than for a transaction, whose identifier may be the same text.
        match image_id {
            Some(image) => identity_of(&[&kind, id, image, &fraud, source.as_bytes(), &known_at]),
            None => identity_of(&[&kind, id, &fraud, source.as_bytes(), &known_at]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SourceTopic;
    use crate::ipc;
    use crate::layout::AttributeSpec;

    fn layout() -> Arc<Layout> {
        Arc::new(Layout {
            entities: vec!["account".into(), "terminal".into()],
            attributes: vec![
                AttributeSpec {
                    name: "distance_km".into(),
                    kind: AttributeKind::Numeric,
                },
                AttributeSpec {
                    name: "channel".into(),
                    kind: AttributeKind::Categorical,
                },
            ],
            images: true,
        })
    }

    fn origin(topic: SourceTopic, offset: i64) -> Origin {
        Origin {
            topic,
            partition: 2,
            offset,
            timestamp_us: 77,
        }
    }

    fn transaction() -> Event {
        Event::Transaction(Transaction {
            transaction_id: "t1".into(),
            event_time_us: 1_000,
            amount_minor: 1234,
            currency: iso_currency::Currency::EUR,
            entities: BTreeMap::from([("account".into(), "a".into())]),
            attributes: BTreeMap::from([
                ("channel".into(), Attribute::Text("chip".into())),
                ("unheard_of".into(), Attribute::Number(1.5)),
            ]),
            image_ids: vec![],
        })
    }

    fn label() -> Event {
        label_of(Subject::Transaction("t1".into()))
    }

    fn label_of(subject: Subject) -> Event {
        Event::Label(Label {
            subject,
            verdict: Verdict::Fraud,
            known_at_us: 2_000,
            source: "chargeback".into(),
            entities: BTreeMap::new(),
        })
    }

    #[test]
    fn a_batch_survives_the_log() {
        let mut builder = EventBuilder::new(layout());
        builder.push(&transaction(), origin(SourceTopic::Transactions, 5), 1_000, false);
        builder.push(&label(), origin(SourceTopic::Labels, 9), 2_500, true);
        assert_eq!((builder.len(), builder.last_index()), (2, Some(9)));
        let batch = builder.finish().expect("builds");
        assert!(builder.is_empty());
        let read = ipc::decode(&ipc::encode(&batch).expect("encodes")).expect("decodes");
        assert_eq!(read, batch);
        let columns = EventColumns::of(&read).expect("has the fixed columns");
        assert_eq!(columns.kind_of(0), Some(Kind::Transaction));
        assert_eq!(
            (columns.amount_minor.value(0), columns.amount_minor.is_null(1)),
            (1234, true)
        );
        assert!(columns.is_fraud(1) && !columns.is_fraud(0) && columns.late.value(1));
        let account = EventColumns::entity(&read, "account").expect("a declared entity");
        assert!(account.value(0) == "a" && account.is_null(1));
    }

    #[test]
    fn an_undeclared_attribute_is_kept() {
        let mut builder = EventBuilder::new(layout());
        builder.push(&transaction(), origin(SourceTopic::Transactions, 5), 1_000, false);
        let batch = builder.finish().expect("builds");
        let other = batch
            .column_by_name(column::OTHER_ATTRIBUTES)
            .expect("there")
            .as_string::<i32>();
        assert_eq!(other.value(0), r#"{"unheard_of":1.5}"#);
    }

    #[test]
    fn a_repeat_has_the_same_identity_and_nothing_else_has() {
        let mut builder = EventBuilder::new(layout());
        builder.push(&transaction(), origin(SourceTopic::Transactions, 5), 1_000, false);
        builder.push(&transaction(), origin(SourceTopic::Transactions, 6), 1_000, false);
        builder.push(&label(), origin(SourceTopic::Labels, 9), 2_500, true);
        let columns = EventColumns::of(&builder.finish().expect("builds")).expect("has the columns");
        assert_eq!(columns.identity(0), columns.identity(1));
        assert_ne!(columns.identity(0), columns.identity(2));
    }

    #[test]
    fn a_label_is_about_its_image_and_nothing_of_the_same_name() {
        let image = Event::Image(Image {
            image_id: "t1".into(),
            event_time_us: 2_000,
            kind: "receipt".into(),
            transaction_id: None,
            entities: BTreeMap::new(),
            file: ImageFile::default(),
        });
        let of_image = label_of(Subject::Image("t1".into()));
        let mut builder = EventBuilder::new(layout());
        for (event, offset) in [&of_image, &label(), &image, &transaction(), &of_image]
            .into_iter()
            .zip(0..)
        {
            builder.push(event, origin(SourceTopic::Labels, offset), 2_500, false);
        }
        let columns = EventColumns::of(&builder.finish().expect("builds")).expect("has the columns");
        let identities: Vec<u128> = (0..5).map(|row| columns.identity(row)).collect();
        assert_eq!(identities[0], identities[4]);
        for row in 1..4 {
            assert!(!identities[..row].contains(&identities[row]), "row {row}");
        }
        let about: Vec<bool> = (0..4).map(|row| columns.is_about_image(row)).collect();
        assert_eq!(about, [true, false, true, false]);
        let ids: Vec<_> = (0..4).map(|row| columns.image_id_of(row)).collect();
        assert_eq!(ids, [Some("t1"), None, Some("t1"), None]);
        assert_eq!(columns.transaction_id.value(0), "");
        assert!(columns.is_fraud(0));
    }

    #[test]
    fn the_table_of_labels_names_images_where_they_come_in() {
        let without = Layout {
            images: false,
            ..layout().as_ref().clone()
        };
        let names = |layout: &Layout| -> Vec<String> {
            let schema = layout.labels_schema();
            schema.fields().iter().map(|f| f.name().clone()).collect()
        };
        let (with, without) = (names(&layout()), names(&without));
        assert_eq!(
            with.strip_prefix(&without[..]),
            Some(&[column::IMAGE_ID.to_owned()][..])
        );
    }
}
