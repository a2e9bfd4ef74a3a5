//! Point-in-time training sets from the lake (INV-4).

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use lake::{Table, TimeRange};
use model::{FeatureSchema, Rows};
use runtime::clock::micros;
use schema::layout::{AttributeKind, attribute_column, column};

use crate::config::Settings;
use crate::error::TrainerError;

/// A stretch of time: from the first instant in it to the first after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    /// The first instant in it.
    pub(crate) from_us: i64,
    /// The first instant after it.
    pub(crate) to_us: i64,
}

/// Transactions to train on, by rising event time.
pub(crate) struct Dataset {
    pub(crate) rows: Rows,
    pub(crate) event_time_us: Vec<i64>,
    /// Whether a label known at the time of training says fraud.
    pub(crate) frauds: Vec<bool>,
    /// Versions of the tables that it was read from.
    pub(crate) versions: [(&'static str, i64); 2],
}

impl Dataset {
    /// The transactions that a training at `as_of_us` may know: those of the window that ended a label's delay
    /// ago, with the labels known by then. Unlabelled ones of that age count as genuine.
    pub(crate) fn read(settings: &Settings, as_of_us: i64) -> Result<Self, TrainerError> {
        let to_us = as_of_us - micros(settings.section.label_delay);
        let interval = Interval {
            from_us: to_us - micros(settings.section.window),
            to_us,
        };
        let features = features_table(settings)?;
        let labels = labels_table(settings)?;
        let known = newest_verdicts(&labels, column::TRANSACTION_ID, as_of_us)?;
        let batch = rows(settings, &features, interval, &[])?;
        let ids = batch
            .column_by_name(column::TRANSACTION_ID)
            .map(|c| c.as_string::<i32>().clone());
        let ids = ids.expect("was asked for");
        Ok(Self {
            rows: Rows::from_batch(&batch, &inputs(settings)?)?,
            event_time_us: times(&batch).values().to_vec(),
            frauds: ids
                .iter()
                .map(|id| id.is_some_and(|id| known.get(id) == Some(&true)))
                .collect(),
            versions: [("features", features.version()), ("labels", labels.version())],
        })
    }
}

/// The columns that a network reads: features and declared attributes that are not excluded.
pub(crate) fn inputs(settings: &Settings) -> Result<FeatureSchema, model::Error> {
    let attributes = |kind| {
        let of_kind = settings.layout.attributes.iter().filter(move |a| a.kind == kind);
        of_kind.map(|a| attribute_column(&a.name))
    };
    let wanted = |name: &String| {
        let plain = name.strip_prefix("attribute_").unwrap_or(name);
        !settings.section.exclude.iter().any(|e| e == name || e == plain)
    };
    let numeric: Vec<String> = settings
        .features
        .iter()
        .cloned()
        .chain(attributes(AttributeKind::Numeric))
        .filter(wanted)
        .collect();
    let categorical: Vec<String> = attributes(AttributeKind::Categorical).filter(wanted).collect();
    FeatureSchema::of(
        &numeric.iter().map(String::as_str).collect::<Vec<_>>(),
        &categorical.iter().map(String::as_str).collect::<Vec<_>>(),
    )
}

pub(crate) fn features_table(settings: &Settings) -> Result<Table, TrainerError> {
    let schema = settings
        .layout
        .feature_schema(&settings.features, settings.with_sequence);
    Ok(Table::open_or_create(&settings.store, "tables/features", schema)?)
}

pub(crate) fn labels_table(settings: &Settings) -> Result<Table, TrainerError> {
    Ok(Table::open_or_create(
        &settings.store,
        "tables/labels",
        settings.layout.labels_schema(),
    )?)
}

/// What labels known by `as_of_us` say of transactions or images, whose identifier is in the column `id`: the latest
/// label of each counts.
pub(crate) fn newest_verdicts(
    labels: &Table,
    id: &str,
    as_of_us: i64,
) -> Result<HashMap<String, bool>, TrainerError> {
    let columns = [column::EVENT_TIME, id, column::FRAUD];
    let known = TimeRange {
        column: column::EVENT_TIME,
        from_us: i64::MIN,
        to_us: as_of_us + 1,
    };
    let mut newest: HashMap<String, (i64, bool)> = HashMap::new();
    for batch in labels.scan(Some(&columns), Some(known))? {
        let batch = batch?;
        let (times, ids) = (times(&batch), batch.column(1).as_string::<i32>());
        let fraud = batch.column(2).as_boolean();
        for row in (0..batch.num_rows()).filter(|&row| ids.is_valid(row)) {
            let said = (times.value(row), fraud.value(row));
            let label = newest.entry(ids.value(row).to_owned()).or_insert(said);
            *label = said.max(*label);
        }
    }
    Ok(newest.into_iter().map(|(id, (_, fraud))| (id, fraud)).collect())
}

/// The newest revision of each row of the interval, by rising (event time, id), whatever order files are in: what a
/// network reads, and `more` columns.
pub(crate) fn rows(
    settings: &Settings,
    features: &Table,
    interval: Interval,
    more: &[&str],
) -> Result<RecordBatch, TrainerError> {
    let inputs = inputs(settings)?;
    let mut columns = vec![column::EVENT_TIME, column::TRANSACTION_ID, column::REVISION];
    columns.extend(inputs.features().iter().map(|f| f.name.as_str()));
    columns.extend(more);
    let range = TimeRange {
        column: column::EVENT_TIME,
        from_us: interval.from_us,
        to_us: interval.to_us,
    };
    let batches = features.read(Some(&columns), Some(range))?;
    let Some(first) = batches.first() else {
        return Err(TrainerError::TooFew {
            transactions: 0,
            frauds: 0,
        });
    };
    let all = concat_batches(&first.schema(), &batches)?;
    let (time, id) = (times(&all), all.column(1).as_string::<i32>());
    let revision = all.column(2).as_primitive::<Int32Type>();
    let count = u32::try_from(all.num_rows()).unwrap_or(u32::MAX);
    let mut order: Vec<u32> = (0..count).collect();
    let at = |row: u32| row as usize;
    order.sort_unstable_by_key(|&r| {
        (
            time.value(at(r)),
            id.value(at(r)),
            std::cmp::Reverse(revision.value(at(r))),
        )
    });
    order.dedup_by_key(|r| id.value(at(*r)));
    Ok(take_record_batch(&all, &UInt32Array::from(order))?)
}

fn times(batch: &RecordBatch) -> &arrow::array::TimestampMicrosecondArray {
    let column = batch.column_by_name(column::EVENT_TIME).expect("was asked for");
    column.as_primitive::<TimestampMicrosecondType>()
}
