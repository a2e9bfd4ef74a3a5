//! Point-in-time sets of transactions with their images (INV-4).

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type, TimestampMicrosecondType};
use imaging::DocumentKind;
use lake::{Images as Files, TimeRange};
use model::fusion::FusionRows;
use model::vision::Images;
use model::{Column, FeatureKind, FeatureSchema, Rows};
use runtime::clock::micros;
use schema::layout::{column, entity_column};

use crate::config::Settings;
use crate::dataset::{Interval, features_table, inputs, labels_table, newest_verdicts, rows};
use crate::error::TrainerError;
use crate::images::{FEATURES, images_table, shape};

/// Transactions to train on, by rising event time, some of them with an image.
pub(crate) struct Dataset {
    pub(crate) schema: FeatureSchema,
    pub(crate) rows: Rows,
    pub(crate) sequences: Vec<Vec<f32>>,
    pub(crate) images: Images,
    pub(crate) image_of: Vec<Option<usize>>,
    pub(crate) event_time_us: Vec<i64>,
    /// Whether a label known at the time of training says fraud.
    pub(crate) frauds: Vec<bool>,
    /// Versions of the tables that it was read from.
    pub(crate) versions: [(&'static str, i64); 3],
}

/// What is known of the image that a transaction's row would have.
struct Joined {
    at_us: i64,
    sha256: String,
    kind: DocumentKind,
    seen: [f64; 3],
}

/// Images by their account and transaction.
type JoinedImages = HashMap<(String, String), Joined>;

impl Dataset {
    /// The transactions that a training at `as_of_us` may know, as for a model of transactions alone, with the images
    /// that joined them.
    pub(crate) fn read(settings: &Settings, as_of_us: i64) -> Result<Self, TrainerError> {
        let to_us = as_of_us - micros(settings.section.label_delay);
        let interval = Interval {
            from_us: to_us - micros(settings.section.window),
            to_us,
        };
        let (features, labels) = (features_table(settings)?, labels_table(settings)?);
        let known = newest_verdicts(&labels, column::TRANSACTION_ID, as_of_us)?;
        let account = entity_column(&settings.account);
        let batch = rows(settings, &features, interval, &[&account, column::SEQUENCE])?;
        let (joined, version) = joined(settings, interval)?;
        let ids = batch[column::TRANSACTION_ID].as_string::<i32>();
        let accounts = batch[account.as_str()].as_string::<i32>();
        let times = batch[column::EVENT_TIME].as_primitive::<TimestampMicrosecondType>();
        let window_us = micros(settings.join_window);
        let of_row = |row: usize| {
            let image = joined.get(&(accounts.value(row).to_owned(), ids.value(row).to_owned()))?;
            ((image.at_us - times.value(row)).abs() <= window_us).then_some(image)
        };
        let of_rows: Vec<Option<&Joined>> = (0..batch.num_rows()).map(of_row).collect();
        let (images, image_of) = pixels(settings, &of_rows)?;
        let (schema, rows) = with_seen(settings, &batch, &of_rows, &image_of)?;
        Ok(Self {
            frauds: ids
                .iter()
                .map(|id| id.is_some_and(|id| known.get(id) == Some(&true)))
                .collect(),
            event_time_us: times.values().to_vec(),
            sequences: sequences(&batch),
            versions: [
                ("features", features.version()),
                ("labels", labels.version()),
                ("images", version),
            ],
            schema,
            rows,
            images,
            image_of,
        })
    }

    /// What a network reads of them.
    pub(crate) fn data(&self) -> FusionRows<'_> {
        FusionRows {
            rows: &self.rows,
            sequences: &self.sequences,
            images: &self.images,
            image_of: &self.image_of,
        }
    }
}

/// The newest image of each account and transaction, of those that took place in the interval or close to it, and the
/// version of their table.
fn joined(settings: &Settings, interval: Interval) -> Result<(JoinedImages, i64), TrainerError> {
    let table = images_table(settings)?;
    let account = entity_column(&settings.account);
    let fixed = [
        column::EVENT_TIME,
        column::TRANSACTION_ID,
        &account,
        column::IMAGE_SHA256,
        column::IMAGE_KIND,
    ];
    let window_us = micros(settings.join_window);
    let range = TimeRange {
        column: column::EVENT_TIME,
        from_us: interval.from_us - window_us,
        to_us: interval.to_us + window_us,
    };
    let mut newest = JoinedImages::new();
    for batch in table.scan(Some(&[&fixed[..], &FEATURES].concat()), Some(range))? {
        let batch = batch?;
        for (row, accounts) in batch[account.as_str()].as_string::<i32>().iter().enumerate() {
            let Some((transaction, image)) = image(&batch, row) else {
                continue;
            };
            let key = (accounts.unwrap_or_default().to_owned(), transaction);
            let newer = |other: &Joined| (image.at_us, &image.sha256) > (other.at_us, &other.sha256);
            if newest.get(&key).is_none_or(newer) {
                newest.insert(key, image);
            }
        }
    }
    Ok((newest, table.version()))
}

/// A row of the table of images, with the transaction that it belongs to, if it does.
fn image(batch: &RecordBatch, row: usize) -> Option<(String, Joined)> {
    let text = |name: &str| batch[name].as_string::<i32>().value(row).to_owned();
    let transaction = Some(text(column::TRANSACTION_ID)).filter(|id| !id.is_empty())?;
    let seen = |name| {
        let values = batch[name].as_primitive::<Float64Type>();
        if values.is_valid(row) {
            values.value(row)
        } else {
            f64::NAN
        }
    };
    let times = batch[column::EVENT_TIME].as_primitive::<TimestampMicrosecondType>();
    let joined = Joined {
        at_us: times.value(row),
        sha256: text(column::IMAGE_SHA256),
        kind: DocumentKind::named(&text(column::IMAGE_KIND))?,
        seen: FEATURES.map(seen),
    };
    Some((transaction, joined))
}

/// The pixels of the newest images whose files are there, and which of them a row has.
fn pixels(
    settings: &Settings,
    of_rows: &[Option<&Joined>],
) -> Result<(Images, Vec<Option<usize>>), TrainerError> {
    let files = Files::open(settings.store.clone());
    let count = of_rows.iter().flatten().count();
    let mut passed_over = count.saturating_sub(settings.section.images.max_images);
    let (mut pixels, mut images) = (Vec::new(), 0);
    let mut image_of = vec![None; of_rows.len()];
    for (of_row, joined) in image_of.iter_mut().zip(of_rows) {
        let Some(joined) = joined else { continue };
        if passed_over > 0 {
            passed_over -= 1;
            continue;
        }
        if let Some(prepared) = files.prepared(&joined.sha256, joined.kind, settings.frame)? {
            pixels.extend_from_slice(&prepared);
            *of_row = Some(images);
            images += 1;
        }
    }
    Ok((Images::new(shape(settings), pixels)?, image_of))
}

/// The features of the transactions, and beside them what is known of their images.
fn with_seen(
    settings: &Settings,
    batch: &RecordBatch,
    of_rows: &[Option<&Joined>],
    image_of: &[Option<usize>],
) -> Result<(FeatureSchema, Rows), TrainerError> {
    let own = inputs(settings)?;
    let mut rows = Rows::from_batch(batch, &own)?;
    for (nth, name) in FEATURES.iter().enumerate() {
        let seen = of_rows.iter().zip(image_of).map(|(joined, image)| {
            let joined = joined.filter(|_| image.is_some());
            joined.map_or(f64::NAN, |joined| joined.seen[nth])
        });
        rows.insert(*name, Column::Numeric(seen.collect()))?;
    }
    let named = |kind: FeatureKind| {
        let of_kind = own.features().iter().filter(move |f| f.kind == kind);
        of_kind.map(|f| f.name.as_str()).collect::<Vec<_>>()
    };
    let numeric = [named(FeatureKind::Numeric), FEATURES.to_vec()].concat();
    let schema = FeatureSchema::of(&numeric, &named(FeatureKind::Categorical))?;
    Ok((schema, rows))
}

fn sequences(batch: &RecordBatch) -> Vec<Vec<f32>> {
    let lists = batch[column::SEQUENCE].as_list::<i32>();
    let of_row = |row| {
        let steps = lists.is_valid(row).then(|| lists.value(row));
        steps.map_or_else(Vec::new, |steps| {
            steps.as_primitive::<Float32Type>().values().to_vec()
        })
    };
    (0..batch.num_rows()).map(of_row).collect()
}
