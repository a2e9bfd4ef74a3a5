//! Point-in-time sets of images from the lake (INV-4).

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use imaging::DocumentKind;
use lake::{Images, Table, TimeRange};
use model::vision::{ImageShape, Images as Pixels};
use model::{FeatureSchema, Rows};
use runtime::clock::micros;
use schema::layout::column;
use tracing::warn;

use crate::config::Settings;
use crate::dataset::{labels_table, newest_verdicts};
use crate::error::TrainerError;

/// What is known of an image beside its pixels: where it was seen before.
pub(crate) const FEATURES: [&str; 3] = [
    column::IMAGE_SEEN_COUNT,
    column::IMAGE_SEEN_OTHER_ACCOUNTS,
    column::IMAGE_SEEN_SECONDS_AGO,
];

/// Images to train on, by rising event time.
pub(crate) struct Dataset {
    pub(crate) ids: Vec<String>,
    pub(crate) kinds: Vec<DocumentKind>,
    pub(crate) pixels: Pixels,
    pub(crate) features: Rows,
    pub(crate) schema: FeatureSchema,
    pub(crate) event_time_us: Vec<i64>,
    /// Whether a label known at the time of training says fraud.
    pub(crate) frauds: Vec<bool>,
    /// Versions of the tables that it was read from.
    pub(crate) versions: [(&'static str, i64); 2],
}

impl Dataset {
    /// The images that a training at `as_of_us` may know: those of the window that ended a label's delay ago, with the
    /// labels known by then. Unlabelled ones of that age count as genuine.
    pub(crate) fn read(settings: &Settings, as_of_us: i64) -> Result<Self, TrainerError> {
        let section = &settings.section.images;
        let to_us = as_of_us - micros(section.label_delay);
        let range = TimeRange {
            column: column::EVENT_TIME,
            from_us: to_us - micros(section.window),
            to_us,
        };
        let (images, labels) = (images_table(settings)?, labels_table(settings)?);
        let known = newest_verdicts(&labels, column::IMAGE_ID, as_of_us)?;
        let (batch, pixels) = with_pixels(settings, &newest(&images, range, section.max_images)?)?;
        let text = |name: &str| batch[name].as_string::<i32>().clone();
        let (ids, kinds) = (text(column::IMAGE_ID), text(column::IMAGE_KIND));
        let ids: Vec<String> = ids.iter().flatten().map(str::to_owned).collect();
        let schema = FeatureSchema::of(&FEATURES, &[])?;
        Ok(Self {
            frauds: ids.iter().map(|id| known.get(id) == Some(&true)).collect(),
            kinds: kinds.iter().flatten().filter_map(DocumentKind::named).collect(),
            features: Rows::from_batch(&batch, &schema)?,
            event_time_us: times(&batch).values().to_vec(),
            versions: [("images", images.version()), ("labels", labels.version())],
            ids,
            pixels,
            schema,
        })
    }
}

pub(crate) fn images_table(settings: &Settings) -> Result<Table, TrainerError> {
    let schema = settings.layout.images_schema();
    Ok(Table::open_or_create(&settings.store, "tables/images", schema)?)
}

/// The newest images of a stretch of time, by rising (event time, id), whatever order files are in.
fn newest(images: &Table, range: TimeRange<'_>, most: usize) -> Result<RecordBatch, TrainerError> {
    let fixed = [
        column::EVENT_TIME,
        column::IMAGE_ID,
        column::IMAGE_KIND,
        column::IMAGE_SHA256,
    ];
    let columns = [&fixed[..], &FEATURES].concat();
    let batches = images.read(Some(&columns), Some(range))?;
    let Some(first) = batches.first() else {
        return Err(TrainerError::TooFewImages { images: 0, frauds: 0 });
    };
    let all = concat_batches(&first.schema(), &batches)?;
    let (time, id) = (times(&all), all[column::IMAGE_ID].as_string::<i32>());
    let mut order: Vec<u32> = (0..u32::try_from(all.num_rows()).unwrap_or(u32::MAX)).collect();
    order.sort_unstable_by_key(|&row| (time.value(row as usize), id.value(row as usize)));
    let order = order.split_off(order.len().saturating_sub(most));
    Ok(take_record_batch(&all, &UInt32Array::from(order))?)
}

/// The images whose pixels are there, which they are but for files that somebody has deleted.
fn with_pixels(settings: &Settings, batch: &RecordBatch) -> Result<(RecordBatch, Pixels), TrainerError> {
    let store = Images::open(settings.store.clone());
    let (hashes, kinds) = (
        batch[column::IMAGE_SHA256].as_string::<i32>(),
        batch[column::IMAGE_KIND].as_string::<i32>(),
    );
    let (mut kept, mut pixels) = (Vec::new(), Vec::new());
    for row in 0..batch.num_rows() {
        let prepared = match DocumentKind::named(kinds.value(row)) {
            Some(kind) => store.prepared(hashes.value(row), kind, settings.frame)?,
            None => None,
        };
        match prepared {
            Some(prepared) => {
                pixels.extend_from_slice(&prepared);
                kept.push(u32::try_from(row).unwrap_or(u32::MAX));
            }
            None => warn!(sha256 = hashes.value(row), "the file of an image is gone"),
        }
    }
    let pixels = Pixels::new(shape(settings), pixels)?;
    Ok((take_record_batch(batch, &UInt32Array::from(kept))?, pixels))
}

/// The images as they are prepared: red, green and blue.
pub(crate) fn shape(settings: &Settings) -> ImageShape {
    ImageShape {
        height: settings.frame.height as usize,
        width: settings.frame.width as usize,
        channels: 3,
    }
}

fn times(batch: &RecordBatch) -> &arrow::array::TimestampMicrosecondArray {
    batch[column::EVENT_TIME].as_primitive::<TimestampMicrosecondType>()
}
