//! One partition of a keyed stage: a deterministic fold over its log, without input or output (INV-3).

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, RecordBatch, StringArray, new_null_array};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use eventlog::{BatchHeader, Fold, FoldState, Telling, Turn, Writer};
use features::{Observation, Windows, WindowsState, fixed};
use imaging::{MAX_RADIUS, PerceptualHash, Sightings};
use runtime::clock::micros;
use schema::hashing::{identity, partition_of};
use schema::layout::{attribute_column, column, entity_column};
use schema::{Kind, ipc, money};
use serde::{Deserialize, Serialize};

use crate::config::StageSettings;
use crate::duplicates::{Duplicates, Seen};
use crate::error::PreprocessError;
use crate::item::{Batch, Item};
use crate::meetings::{ImageFacts, SavedImage, Waiting, key};
use crate::metrics;
use crate::output::{Added, Output, SeenColumns};

/// Version of what a snapshot holds: one of another version is not read.
const FORMAT: u32 = 3;
/// Bits in which an image's hash may differ from one seen before.
const NEARLY_ALIKE: u32 = MAX_RADIUS;

/// Where a partition stands in its topics.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// Partitions of the topic it reads.
    pub partitions: u32,
    /// Partitions of the topic it writes.
    pub targets: usize,
}

/// The state of one partition of a keyed stage.
pub struct Partition<'a> {
    settings: &'a StageSettings,
    place: Place,
    input_schema: SchemaRef,
    fold: Fold<Item>,
    windows: Windows,
    duplicates: Duplicates,
    sightings: Sightings,
    /// Images whose transaction has not come yet.
    images: Waiting<Arc<ImageFacts>>,
    /// Transactions whose image may still come.
    transactions: Waiting<Emitted>,
    position: i64,
    outputs: Vec<Output>,
    telling: Telling,
    decimals: HashMap<String, u32>,
    scratch: Scratch,
}

/// A row of a transaction that may be written again with its image.
#[derive(Clone, Debug)]
struct Emitted {
    item: Item,
    late: bool,
    features: Vec<f64>,
    sequence: Vec<f32>,
    revision: i32,
}

/// The same in a snapshot, whose rows lie together in a batch of their own.
#[derive(Serialize, Deserialize)]
struct SavedEmitted {
    key: u128,
    at_us: i64,
    late: bool,
    features: Vec<f64>,
    sequence: Vec<f32>,
    revision: i32,
}

#[derive(Default)]
struct Scratch {
    values: Vec<i64>,
    earlier: Vec<f64>,
    features: Vec<f64>,
    sequence: Vec<f32>,
}

/// A batch on its way to a partition of the next topic.
pub struct Outgoing {
    /// The partition.
    pub target: usize,
    /// The batch's numbers and word.
    pub header: BatchHeader,
    /// Its rows.
    pub rows: RecordBatch,
}

/// Everything of R11 but the position, which the snapshot's name tells. Written with references and [`Windows`], read
/// as [`WindowsState`], which have one form.
#[derive(Serialize, Deserialize)]
struct Saved<F, W, S> {
    fold: F,
    windows: W,
    seen: Seen,
    sightings: S,
    waiting: Option<Vec<u8>>,
    images: Vec<SavedImage>,
    transactions: Vec<SavedEmitted>,
    emitted: Option<Vec<u8>>,
}

impl<'a> Partition<'a> {
    /// A partition at the start of its log.
    #[must_use]
    pub fn new(settings: &'a StageSettings, place: Place, word_interval_us: i64) -> Self {
        let fold = Fold::new(
            Writer::new(settings.entity(), place.partition),
            place.targets,
            settings.section.epoch,
        );
        let windows = Windows::new(Arc::clone(&settings.plan));
        Self::with(
            settings,
            place,
            word_interval_us,
            (0, fold, windows, Seen::default()),
            Sightings::default(),
        )
    }

    /// A partition as a snapshot at an input offset has it.
    ///
    /// # Errors
    /// If the payload is not what [`Partition::snapshot`] wrote.
    pub fn restore(
        settings: &'a StageSettings,
        place: Place,
        word_interval_us: i64,
        (position, payload): (i64, &[u8]),
    ) -> Result<Self, PreprocessError> {
        let saved: Saved<FoldState, WindowsState, Sightings> = postcard::from_bytes(payload)?;
        let mut fold = Fold::restore(saved.fold, items(settings, saved.waiting)?);
        fold.set_epoch(settings.section.epoch);
        let windows = Windows::restore(Arc::clone(&settings.plan), saved.windows)?;
        let mut partition = Self::with(
            settings,
            place,
            word_interval_us,
            (position, fold, windows, saved.seen),
            saved.sightings,
        );
        for (key, at_us, image) in saved.images {
            partition.images.insert(key, at_us, image);
        }
        for (item, saved) in items(settings, saved.emitted)?
            .into_iter()
            .zip(saved.transactions)
        {
            let (key, at_us, emitted) = saved.with(item);
            partition.transactions.insert(key, at_us, emitted);
        }
        Ok(partition)
    }

    fn with(
        settings: &'a StageSettings,
        place: Place,
        word_interval_us: i64,
        (position, fold, windows, seen): (i64, Fold<Item>, Windows, Seen),
        sightings: Sightings,
    ) -> Self {
        let (schema, first_feature) = output_schema(settings);
        let features = settings.plan.names().len();
        let output = || {
            Output::new(
                Arc::clone(&schema),
                first_feature,
                features,
                settings.section.epoch,
                settings.place == 0,
            )
        };
        let window_us = micros(settings.section.duplicates_window);
        let join_us = micros(settings.section.images.join_window);
        let join = settings.layout.images && settings.is_last();
        let most = if join {
            settings.section.images.max_waiting
        } else {
            0
        };
        Self {
            images: Waiting::new(join_us, most),
            transactions: Waiting::new(join_us, most),
            input_schema: input_schema(settings),
            fold,
            windows,
            duplicates: Duplicates::new(window_us, seen),
            sightings,
            position,
            outputs: (0..place.targets).map(|_| output()).collect(),
            telling: Telling::new(place.targets, word_interval_us),
            decimals: HashMap::new(),
            scratch: Scratch::default(),
            settings,
            place,
        }
    }

    /// What a snapshot of this state must have been made under to be read again.
    #[must_use]
    pub fn fingerprint(settings: &StageSettings, place: Place) -> String {
        let plan = settings.plan.fingerprint();
        let fields: Vec<String> = input_schema(settings)
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect();
        let images = &settings.section.images;
        let rest = format!(
            "{FORMAT}/{}/{}/{:?}/{:?}/{}/{}",
            place.partitions,
            place.targets,
            settings.section.duplicates_window,
            images.join_window,
            images.max_waiting,
            fields.join(",")
        );
        format!("{plan:016x}{:032x}", identity(&rest))
    }

    /// The input offset next to read.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Events that wait for their turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.fold.waiting_len()
    }

    /// Transactions that windows remember.
    #[must_use]
    pub fn observations(&self) -> usize {
        self.windows.observations()
    }

    /// Takes in one batch of the log, at this offset, and lets go on what may (R5, R8, R9, R10).
    ///
    /// # Errors
    /// [`PreprocessError::Gap`] if rows before it are missing; an error of the batch itself.
    pub fn apply(
        &mut self,
        offset: i64,
        header: &BatchHeader,
        rows: &RecordBatch,
    ) -> Result<(), PreprocessError> {
        if rows.num_rows() > 0 {
            let rows = conform(rows, &self.input_schema)?;
            let batch = Arc::new(Batch::new(
                rows,
                self.settings.entity(),
                self.settings.next_entity(),
            )?);
            self.take(offset, header, &batch)?;
        } else {
            self.fold
                .take(header, &[], |_| unreachable!("no rows"))
                .map_err(|gap| self.gap(offset, gap))?;
        }
        self.position = offset + 1;
        while let Some(turn) = self.fold.next() {
            self.turn(&turn);
        }
        self.fold.settle();
        self.windows.forget(self.fold.clock_us());
        Ok(())
    }

    fn take(&mut self, offset: i64, header: &BatchHeader, batch: &Arc<Batch>) -> Result<(), PreprocessError> {
        let indices = batch.columns.index.values();
        let taken = self
            .fold
            .take(header, indices, |row| Item::new(batch, row))
            .map_err(|gap| self.gap(offset, gap))?;
        metrics::received(self.settings.entity(), taken);
        metrics::repeated(self.settings.entity(), indices.len() - taken);
        Ok(())
    }

    fn gap(&self, offset: i64, source: eventlog::Gap) -> PreprocessError {
        PreprocessError::Gap {
            partition: format!("{}/{}", self.settings.input, self.place.partition),
            offset,
            source,
        }
    }

    /// An event whose turn it is.
    fn turn(&mut self, turn: &Turn<Item>) {
        let stage = self.settings.entity();
        let Item { batch, row, .. } = &turn.item;
        if self.settings.place == 0
            && !self
                .duplicates
                .is_new(turn.order_time_us, batch.columns.identity(*row))
        {
            metrics::duplicate(stage);
            return;
        }
        if turn.late {
            metrics::late(stage);
        }
        match batch.columns.kind_of(*row) {
            Some(Kind::Label) => self.label(turn),
            Some(Kind::Transaction) => self.transaction(turn),
            Some(Kind::Image) => self.image(turn),
            None => unreachable!("a batch with other kinds is refused when it is read"),
        }
    }

    fn label(&mut self, turn: &Turn<Item>) {
        let Item { batch, row, .. } = &turn.item;
        let columns = &batch.columns;
        if columns.is_about_image(*row) {
            // No window counts images: the table, which is written from what the first stage reads, has their labels.
            metrics::label_ended(self.settings.entity());
            return;
        }
        let transaction = identity(columns.transaction_id.value(*row));
        let known_at_us = columns.event_time.value(*row);
        self.windows.label(
            batch.entity.value(*row),
            transaction,
            known_at_us,
            columns.is_fraud(*row),
        );
        if self.settings.is_last() {
            metrics::label_ended(self.settings.entity());
        } else {
            self.emit(turn, Adding::default());
        }
    }

    /// The first stage says where nearly the same image was seen before, the others pass it on.
    fn image(&mut self, turn: &Turn<Item>) {
        let Item { batch, row, .. } = &turn.item;
        let columns = &batch.columns;
        let hash = columns.image_hash.as_ref().filter(|_| self.settings.place == 0);
        let seen = hash.map(|hashes| {
            let hash = PerceptualHash(hashes.value(*row).cast_unsigned());
            let account =
                text_at(&batch.rows, &entity_column(self.settings.account()), *row).unwrap_or_default();
            let at_us = columns.event_time.value(*row);
            let seen = self.sightings.seen_before(hash, account, at_us, NEARLY_ALIKE);
            self.sightings.insert(hash, account, at_us);
            SeenColumns::of(seen, at_us)
        });
        let adding = Adding {
            seen,
            ..Adding::default()
        };
        self.emit(turn, adding);
        if self.settings.is_last() && !columns.transaction_id.value(*row).is_empty() {
            self.meet_transaction(turn, seen);
        }
    }

    /// An image that belongs to a transaction: its row is written again, or has still to come.
    fn meet_transaction(&mut self, turn: &Turn<Item>, seen: Option<SeenColumns>) {
        let Item { batch, row, .. } = &turn.item;
        let key = key(batch.entity.value(*row), batch.columns.transaction_id.value(*row));
        let mut image = ImageFacts::of(&batch.rows, *row);
        // Where one stage is the first and the last, what it says is not in what it reads.
        image.seen = seen.map_or(image.seen, SeenColumns::values);
        let image = Arc::new(image);
        self.transactions.forget(turn.order_time_us);
        let Some(emitted) = self.transactions.get_mut(key) else {
            self.images.forget(turn.order_time_us);
            self.images.insert(key, turn.order_time_us, image);
            return;
        };
        emitted.revision += 1;
        let target = partition_of(
            emitted.item.batch.next_entity.value(emitted.item.row),
            self.outputs.len(),
        );
        let added = Added {
            index: self.fold.number(),
            order_time_us: turn.order_time_us,
            late: emitted.late,
            features: Some(&emitted.features),
            sequence: &emitted.sequence,
            seen: None,
            image: Some(image),
            revision: emitted.revision,
        };
        self.outputs[target].push(&emitted.item, &added);
        metrics::revised(self.settings.entity());
    }

    fn transaction(&mut self, turn: &Turn<Item>) {
        let Item { batch, row, .. } = &turn.item;
        self.read_values(batch, *row);
        let Scratch {
            values,
            earlier,
            features,
            sequence,
        } = &mut self.scratch;
        features.clear();
        sequence.clear();
        let observation = Observation {
            id: identity(batch.columns.transaction_id.value(*row)),
            event_time_us: batch.columns.event_time.value(*row),
            values,
            earlier_columns: earlier,
        };
        self.windows
            .transaction(batch.entity.value(*row), &observation, features, sequence);
        let image = self.meet_image(turn);
        let adding = Adding {
            has_features: true,
            image,
            ..Adding::default()
        };
        self.emit(turn, adding);
    }

    /// The image of a transaction that came before it, if one did; the transaction waits for another.
    fn meet_image(&mut self, turn: &Turn<Item>) -> Option<Arc<ImageFacts>> {
        if !self.settings.is_last() || !self.settings.layout.images {
            return None;
        }
        let Item { batch, row, .. } = &turn.item;
        let key = key(batch.entity.value(*row), batch.columns.transaction_id.value(*row));
        self.images.forget(turn.order_time_us);
        self.transactions.forget(turn.order_time_us);
        let emitted = Emitted {
            item: turn.item.clone(),
            late: turn.late || batch.columns.late.value(*row),
            features: self.scratch.features.clone(),
            sequence: self.scratch.sequence.clone(),
            revision: 0,
        };
        self.transactions.insert(key, turn.order_time_us, emitted);
        self.images.get_mut(key).map(|image| Arc::clone(image))
    }

    /// The numeric fields and earlier features that the plan reads, in its order.
    fn read_values(&mut self, batch: &Batch, row: usize) {
        let Scratch { values, earlier, .. } = &mut self.scratch;
        values.clear();
        for field in self.settings.plan.fields() {
            values.push(if field == features::AMOUNT {
                let currency = text_at(&batch.rows, column::CURRENCY, row).unwrap_or_default();
                let decimals = *self
                    .decimals
                    .entry(currency.to_owned())
                    .or_insert_with(|| money::currency(currency).map_or(2, money::decimals));
                fixed::from_minor(batch.columns.amount_minor.value(row), decimals)
            } else {
                number_at(&batch.rows, &attribute_column(field), row).map_or(fixed::MISSING, fixed::from_f64)
            });
        }
        earlier.clear();
        for name in self.settings.plan.earlier_columns() {
            earlier.push(number_at(&batch.rows, name, row).unwrap_or(f64::NAN));
        }
    }

    /// Gives the row its number and its place in the batch to its partition (R1).
    fn emit(&mut self, turn: &Turn<Item>, adding: Adding) {
        let Item { batch, row, .. } = &turn.item;
        let Adding {
            has_features,
            seen,
            image,
        } = adding;
        let target = partition_of(batch.next_entity.value(*row), self.outputs.len());
        let added = Added {
            index: self.fold.number(),
            order_time_us: turn.order_time_us,
            late: turn.late || batch.columns.late.value(*row),
            features: has_features.then_some(&self.scratch.features),
            sequence: if has_features { &self.scratch.sequence } else { &[] },
            seen,
            image,
            revision: 0,
        };
        self.outputs[target].push(&turn.item, &added);
    }

    /// The batches to send now: rows where there are some, and words where one is due (R7).
    ///
    /// # Errors
    /// If a batch cannot be put together.
    pub fn outgoing(&mut self, now_us: i64, again: bool) -> Result<Vec<Outgoing>, PreprocessError> {
        self.telling.turn(now_us, again);
        let word = self.fold.said(self.position, self.place.partitions);
        let mut out = Vec::new();
        for target in 0..self.outputs.len() {
            let last = self.outputs[target].last_index();
            if last.is_none() && !self.telling.is_due(target, &word) {
                continue;
            }
            metrics::written(self.settings.entity(), self.outputs[target].len());
            let header = self
                .fold
                .header(target, last, self.position, self.place.partitions);
            self.telling.tell(target, &word);
            out.push(Outgoing {
                target,
                header,
                rows: self.outputs[target].finish()?,
            });
        }
        Ok(out)
    }

    /// The state to store once everything sent before now is acknowledged (R11).
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn snapshot(&self) -> Result<Vec<u8>, PreprocessError> {
        let saved = Saved {
            fold: self.fold.state(),
            windows: &self.windows,
            seen: self.duplicates.seen(),
            sightings: &self.sightings,
            waiting: encoded(self.fold.waiting())?,
            images: self
                .images
                .iter()
                .map(|(key, at_us, image)| (key, at_us, Arc::clone(image)))
                .collect(),
            transactions: self.transactions.iter().map(SavedEmitted::of).collect(),
            emitted: encoded(self.transactions.iter().map(|(.., emitted)| &emitted.item))?,
        };
        Ok(postcard::to_stdvec(&saved)?)
    }
}

/// What is added to a row beside its number.
#[derive(Default)]
struct Adding {
    has_features: bool,
    seen: Option<SeenColumns>,
    image: Option<Arc<ImageFacts>>,
}

impl SavedEmitted {
    fn of((key, at_us, emitted): (u128, i64, &Emitted)) -> Self {
        Self {
            key,
            at_us,
            late: emitted.late,
            features: emitted.features.clone(),
            sequence: emitted.sequence.clone(),
            revision: emitted.revision,
        }
    }

    fn with(self, item: Item) -> (u128, i64, Emitted) {
        let emitted = Emitted {
            item,
            late: self.late,
            features: self.features,
            sequence: self.sequence,
            revision: self.revision,
        };
        (self.key, self.at_us, emitted)
    }
}

/// The rows of items, one after the other, as a batch; nothing if there are none.
fn encoded<'i>(items: impl Iterator<Item = &'i Item>) -> Result<Option<Vec<u8>>, ArrowError> {
    let mut batches: Vec<&Arc<Batch>> = Vec::new();
    let mut slots: HashMap<*const Batch, usize> = HashMap::new();
    let mut rows = Vec::new();
    for item in items {
        let slot = *slots.entry(Arc::as_ptr(&item.batch)).or_insert_with(|| {
            batches.push(&item.batch);
            batches.len() - 1
        });
        rows.push((slot, item.row));
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let batches: Vec<&RecordBatch> = batches.iter().map(|b| &b.rows).collect();
    ipc::encode(&interleave_record_batch(&batches, &rows)?).map(Some)
}

/// The items of a batch as [`encoded`].
fn items(settings: &StageSettings, rows: Option<Vec<u8>>) -> Result<Vec<Item>, ArrowError> {
    let Some(rows) = rows else {
        return Ok(Vec::new());
    };
    let rows = conform(&ipc::decode(&rows)?, &input_schema(settings))?;
    let batch = Arc::new(Batch::new(rows, settings.entity(), settings.next_entity())?);
    Ok((0..batch.rows.num_rows())
        .map(|row| Item::new(&batch, row))
        .collect())
}

/// The columns that a stage reads.
fn input_schema(settings: &StageSettings) -> SchemaRef {
    settings.layout.stage_schema(&settings.earlier)
}

/// The columns that a stage writes, and where its own features begin.
fn output_schema(settings: &StageSettings) -> (SchemaRef, usize) {
    let own = settings.plan.names();
    let all: Vec<String> = settings.earlier.iter().chain(own).cloned().collect();
    let schema = if settings.is_last() {
        settings
            .layout
            .row_schema(&all, settings.plan.sequence().is_some())
    } else {
        settings.layout.stage_schema(&all)
    };
    let first = own
        .first()
        .and_then(|name| schema.index_of(name).ok())
        .unwrap_or(usize::MAX);
    (schema, first)
}

/// A batch with exactly these columns: one that its writer did not know yet is null, one that nobody reads any
/// more is left out (R15).
fn conform(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if rows.schema().as_ref() == schema.as_ref() {
        return Ok(rows.clone());
    }
    let columns = schema
        .fields()
        .iter()
        .map(|field| match rows.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            Some(_) => Err(ArrowError::SchemaError(format!(
                "column {} has another type",
                field.name()
            ))),
            None => Ok(new_null_array(field.data_type(), rows.num_rows())),
        });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
}

fn text_at<'r>(rows: &'r RecordBatch, column: &str, row: usize) -> Option<&'r str> {
    let values: &StringArray = rows.column_by_name(column)?.as_string_opt()?;
    values.is_valid(row).then(|| values.value(row))
}

fn number_at(rows: &RecordBatch, column: &str, row: usize) -> Option<f64> {
    let values: &Float64Array = rows.column_by_name(column)?.as_primitive_opt()?;
    values.is_valid(row).then(|| values.value(row))
}

#[cfg(test)]
mod tests;
