//! Rows whose turn it was, put together into the batches that go out.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Float64Builder, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;
use imaging::SeenBefore;
use schema::layout::column;

use crate::item::{Batch, Item};
use crate::meetings::ImageFacts;

/// The rows for one target partition since the last batch to it.
pub(crate) struct Output {
    schema: SchemaRef,
    batches: Vec<Arc<Batch>>,
    rows: Vec<(usize, usize)>,
    index: Vec<i64>,
    order_time: Vec<i64>,
    late: Vec<bool>,
    /// One a feature of this stage; NaN stands for nothing.
    features: Vec<Float64Builder>,
    first_feature: usize,
    sequence: Vec<f32>,
    sequence_ends: Vec<usize>,
    /// What was seen of images before, where it is this stage that says so.
    seen: Option<Vec<SeenColumns>>,
    /// The images of transactions, and which of them a row has.
    images: Vec<Arc<ImageFacts>>,
    image: Vec<Option<usize>>,
    revision: Vec<i32>,
    epoch: i32,
}

/// What was seen of an image before; all missing for other rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SeenColumns {
    count: Option<f64>,
    other_accounts: Option<f64>,
    seconds_ago: Option<f64>,
}

impl SeenColumns {
    /// Count, other accounts, seconds ago.
    pub(crate) fn values(self) -> [Option<f64>; 3] {
        [self.count, self.other_accounts, self.seconds_ago]
    }

    /// Of [`SeenColumns::values`].
    fn with([count, other_accounts, seconds_ago]: [Option<f64>; 3]) -> Self {
        Self {
            count,
            other_accounts,
            seconds_ago,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts and times as features")]
    pub(crate) fn of(seen: SeenBefore, at_us: i64) -> Self {
        Self {
            count: Some(seen.count as f64),
            other_accounts: Some(seen.other_accounts as f64),
            seconds_ago: seen.first_seen_us.map(|first| (at_us - first) as f64 / 1e6),
        }
    }
}

/// What a stage adds to a row.
pub(crate) struct Added<'a> {
    pub(crate) index: i64,
    pub(crate) order_time_us: i64,
    pub(crate) late: bool,
    /// Values of this stage's features; none for a label.
    pub(crate) features: Option<&'a [f64]>,
    pub(crate) sequence: &'a [f32],
    pub(crate) seen: Option<SeenColumns>,
    /// The image of a transaction.
    pub(crate) image: Option<Arc<ImageFacts>>,
    pub(crate) revision: i32,
}

impl Output {
    /// An empty batch; this stage's `features` columns stand at `first_feature` of the schema, and it `says` what was
    /// seen of images before, or passes on what another has said.
    pub(crate) fn new(
        schema: SchemaRef,
        first_feature: usize,
        features: usize,
        epoch: u32,
        says: bool,
    ) -> Self {
        Self {
            schema,
            batches: Vec::new(),
            rows: Vec::new(),
            index: Vec::new(),
            order_time: Vec::new(),
            late: Vec::new(),
            features: (0..features).map(|_| Float64Builder::new()).collect(),
            first_feature,
            sequence: Vec::new(),
            sequence_ends: vec![0],
            seen: says.then(Vec::new),
            images: Vec::new(),
            image: Vec::new(),
            revision: Vec::new(),
            epoch: i32::try_from(epoch).unwrap_or(i32::MAX),
        }
    }

    pub(crate) fn push(&mut self, item: &Item, added: &Added<'_>) {
        let known = self.batches.iter().rposition(|b| Arc::ptr_eq(b, &item.batch));
        let slot = known.unwrap_or_else(|| {
            self.batches.push(Arc::clone(&item.batch));
            self.batches.len() - 1
        });
        self.rows.push((slot, item.row));
        self.index.push(added.index);
        self.order_time.push(added.order_time_us);
        self.late.push(added.late);
        for (nth, builder) in self.features.iter_mut().enumerate() {
            let value = added.features.map(|values| values[nth]);
            builder.append_option(value.filter(|x| !x.is_nan()));
        }
        if let Some(seen) = &mut self.seen {
            // A transaction tells what its image does.
            let of_image = || added.image.as_ref().map(|image| SeenColumns::with(image.seen));
            seen.push(added.seen.or_else(of_image).unwrap_or_default());
        }
        self.image.push(added.image.as_ref().map(|image| {
            self.images.push(Arc::clone(image));
            self.images.len() - 1
        }));
        self.revision.push(added.revision);
        self.sequence.extend_from_slice(added.sequence);
        self.sequence_ends.push(self.sequence.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn last_index(&self) -> Option<i64> {
        self.index.last().copied()
    }

    /// The batch; empty again afterwards.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        if self.rows.is_empty() {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        let schema = Arc::clone(&self.schema);
        let columns: Result<Vec<ArrayRef>, ArrowError> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(place, field)| self.column(place, field))
            .collect();
        self.batches.clear();
        self.rows.clear();
        self.index.clear();
        self.order_time.clear();
        self.late.clear();
        self.seen.iter_mut().for_each(Vec::clear);
        self.images.clear();
        self.image.clear();
        self.revision.clear();
        self.sequence.clear();
        self.sequence_ends.truncate(1);
        RecordBatch::try_new(schema, columns?)
    }

    fn column(&mut self, place: usize, field: &Field) -> Result<ArrayRef, ArrowError> {
        let own = place
            .checked_sub(self.first_feature)
            .filter(|nth| *nth < self.features.len());
        if let Some(nth) = own {
            return Ok(Arc::new(self.features[nth].finish()));
        }
        let seen = |of: fn(&SeenColumns) -> Option<f64>| -> Option<ArrayRef> {
            let values = self.seen.as_ref()?.iter().map(of);
            Some(Arc::new(values.collect::<Float64Array>()))
        };
        let said = match field.name().as_str() {
            column::IMAGE_SEEN_COUNT => seen(|s| s.count),
            column::IMAGE_SEEN_OTHER_ACCOUNTS => seen(|s| s.other_accounts),
            column::IMAGE_SEEN_SECONDS_AGO => seen(|s| s.seconds_ago),
            _ => None,
        };
        if let Some(said) = said {
            return Ok(said);
        }
        Ok(match field.name().as_str() {
            column::INDEX => Arc::new(Int64Array::from(self.index.clone())),
            column::ORDER_TIME => {
                Arc::new(TimestampMicrosecondArray::from(self.order_time.clone()).with_timezone("UTC"))
            }
            column::LATE => Arc::new(BooleanArray::from(self.late.clone())),
            column::REVISION => Arc::new(Int32Array::from(self.revision.clone())),
            column::EPOCH => Arc::new(Int32Array::from(vec![self.epoch; self.rows.len()])),
            column::SEQUENCE => self.sequences(field)?,
            name => self.passed_on(name)?,
        })
    }

    fn sequences(&self, field: &Field) -> Result<ArrayRef, ArrowError> {
        let DataType::List(item) = field.data_type() else {
            return Err(ArrowError::SchemaError("the recent sequence is a list".into()));
        };
        let ends: Result<Vec<i32>, _> = self.sequence_ends.iter().map(|end| i32::try_from(*end)).collect();
        let ends = ends.map_err(|_| ArrowError::ComputeError("a batch holds too many sequences".into()))?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let values = Arc::new(Float32Array::from(self.sequence.clone()));
        Ok(Arc::new(ListArray::try_new(
            Arc::clone(item),
            offsets,
            values,
            None,
        )?))
    }

    fn passed_on(&self, name: &str) -> Result<ArrayRef, ArrowError> {
        let missing = || ArrowError::SchemaError(format!("column {name} is missing"));
        let columns: Option<Vec<_>> = self.batches.iter().map(|b| b.rows.column_by_name(name)).collect();
        let mut columns: Vec<_> = columns
            .ok_or_else(missing)?
            .into_iter()
            .map(AsRef::as_ref)
            .collect();
        let Some(images) = image_column(&self.images, name).filter(|_| !self.images.is_empty()) else {
            return interleave(&columns, &self.rows);
        };
        columns.push(&images);
        let slot = columns.len() - 1;
        let rows = self.rows.iter().zip(&self.image);
        let rows: Vec<_> = rows
            .map(|(row, image)| image.map_or(*row, |image| (slot, image)))
            .collect();
        interleave(&columns, &rows)
    }
}

/// What images tell in a column, if it is one of theirs.
fn image_column(images: &[Arc<ImageFacts>], name: &str) -> Option<ArrayRef> {
    let text = |of: fn(&ImageFacts) -> &String| -> ArrayRef {
        Arc::new(images.iter().map(|i| Some(of(i))).collect::<StringArray>())
    };
    let number = |of: fn(&ImageFacts) -> i32| -> ArrayRef {
        Arc::new(images.iter().map(|i| of(i)).collect::<Int32Array>())
    };
    let seen =
        |nth: usize| -> ArrayRef { Arc::new(images.iter().map(|i| i.seen[nth]).collect::<Float64Array>()) };
    Some(match name {
        column::IMAGE_ID => text(|i| &i.id),
        column::IMAGE_KIND => text(|i| &i.kind),
        column::IMAGE_SHA256 => text(|i| &i.sha256),
        column::IMAGE_HASH => Arc::new(images.iter().map(|i| i.hash).collect::<Int64Array>()),
        column::IMAGE_WIDTH => number(|i| i.width),
        column::IMAGE_HEIGHT => number(|i| i.height),
        column::IMAGE_FRAMES => number(|i| i.frames),
        column::IMAGE_SEEN_COUNT => seen(0),
        column::IMAGE_SEEN_OTHER_ACCOUNTS => seen(1),
        column::IMAGE_SEEN_SECONDS_AGO => seen(2),
        _ => return None,
    })
}
