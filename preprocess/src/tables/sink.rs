//! One table and how far it has come in the partitions of its topic.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use eventlog::{Frontier, Hearing, Marks, NEVER_US, Writer};
use lake::Table;
use schema::layout::progress_id;
use schema::{EventColumns, Kind};
use stream::{Record, TopicPartition};

use super::{scores, table};
use crate::config::TablesSettings;
use crate::error::PreprocessError;
use crate::metrics;
use crate::stage::read;

/// Scores put together at once.
const SCORES_A_BATCH: usize = 1_000;

/// What a table takes from its topic.
enum Content {
    /// Rows of one kind from batches of the log.
    Rows(Kind),
    /// Scores, one a record; those not yet put together to a batch.
    Scores(Vec<Record>),
}

/// A table and what is to be written to it.
pub(super) struct Sink {
    name: &'static str,
    topic: String,
    table: Table,
    columns: SchemaRef,
    content: Content,
    partitions: BTreeMap<i32, Partition>,
    buffer: Vec<RecordBatch>,
    buffered: usize,
    flushed_at_us: i64,
}

/// How far a table has come in a partition of its topic.
#[derive(Default)]
struct Partition {
    /// Offset next to take.
    position: i64,
    /// Offset next to take as the table has it.
    written: i64,
    marks: Marks,
    hearing: Hearing,
    watermark_us: i64,
}

impl Sink {
    pub(super) fn events(settings: &TablesSettings) -> Result<Self, PreprocessError> {
        let columns = settings.layout.transactions_schema();
        Self::open(
            settings,
            table::EVENTS,
            &settings.events_topic,
            columns,
            Content::Rows(Kind::Transaction),
        )
    }

    pub(super) fn labels(settings: &TablesSettings) -> Result<Self, PreprocessError> {
        let columns = settings.layout.labels_schema();
        Self::open(
            settings,
            table::LABELS,
            &settings.events_topic,
            columns,
            Content::Rows(Kind::Label),
        )
    }

    pub(super) fn features(settings: &TablesSettings) -> Result<Self, PreprocessError> {
        let columns = settings
            .layout
            .feature_schema(&settings.features, settings.with_sequence);
        Self::open(
            settings,
            table::FEATURES,
            &settings.features_topic,
            columns,
            Content::Rows(Kind::Transaction),
        )
    }

    pub(super) fn images(settings: &TablesSettings) -> Result<Self, PreprocessError> {
        let columns = settings.layout.images_schema();
        Self::open(
            settings,
            table::IMAGES,
            &settings.features_topic,
            columns,
            Content::Rows(Kind::Image),
        )
    }

    pub(super) fn scores(settings: &TablesSettings) -> Result<Self, PreprocessError> {
        let columns = scores::schema(&settings.layout);
        Self::open(
            settings,
            table::SCORES,
            &settings.scores_topic,
            columns,
            Content::Scores(Vec::new()),
        )
    }

    fn open(
        settings: &TablesSettings,
        name: &'static str,
        topic: &str,
        columns: SchemaRef,
        content: Content,
    ) -> Result<Self, PreprocessError> {
        let table = Table::open_or_create(&settings.store, &format!("tables/{name}"), Arc::clone(&columns))?;
        Ok(Self {
            name,
            topic: topic.to_owned(),
            table,
            columns,
            content,
            partitions: BTreeMap::new(),
            buffer: Vec::new(),
            buffered: 0,
            flushed_at_us: 0,
        })
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// Begins with a partition where the table ends; the offset to read from.
    pub(super) fn take_over(&mut self, partition: i32) -> Result<i64, PreprocessError> {
        self.table.reload()?;
        let prefix = progress_id(partition, "");
        let mut state = Partition {
            watermark_us: NEVER_US,
            ..Partition::default()
        };
        for (id, version) in self.table.progress(&prefix) {
            match id[prefix.len()..].split_once(':') {
                Some(("mark", writer)) => {
                    if let Ok(writer) = writer.parse::<Writer>() {
                        state.marks.set(&writer, version);
                    }
                }
                None if id.ends_with("/offset") => (state.position, state.written) = (version, version),
                None if id.ends_with("/watermark") => state.watermark_us = version,
                _ => {}
            }
        }
        let position = state.position;
        self.partitions.insert(partition, state);
        Ok(position)
    }

    pub(super) fn hand_over(&mut self, partition: i32) {
        self.partitions.remove(&partition);
    }

    /// Takes a record's rows, each index once (R5).
    pub(super) fn take(&mut self, record: &Record) -> Result<(), PreprocessError> {
        let Some(partition) = self.partitions.get_mut(&record.partition) else {
            return Ok(());
        };
        if record.offset < partition.position {
            return Ok(());
        }
        let kind = match &mut self.content {
            Content::Scores(records) => {
                records.push(record.clone());
                self.buffered += 1;
                partition.position = record.offset + 1;
                return if records.len() < SCORES_A_BATCH {
                    Ok(())
                } else {
                    self.gather_scores()
                };
            }
            Content::Rows(kind) => *kind,
        };
        let (header, rows) = read(record)?;
        let columns = EventColumns::of(&rows)?;
        let first = partition
            .marks
            .take(&header.writer, header.index_before, columns.index.values())
            .map_err(|source| PreprocessError::Gap {
                partition: record.partition().to_string(),
                offset: record.offset,
                source,
            })?;
        partition.hear(&header);
        partition.position = record.offset + 1;
        let wanted: BooleanArray = (0..rows.num_rows())
            .map(|row| Some(row >= first && columns.kind_of(row) == Some(kind)))
            .collect();
        if wanted.true_count() > 0 {
            let places: Result<Vec<usize>, _> = self
                .columns
                .fields()
                .iter()
                .map(|f| rows.schema().index_of(f.name()))
                .collect();
            self.buffer
                .push(filter_record_batch(&rows.project(&places?)?, &wanted)?);
            self.buffered += wanted.true_count();
        }
        Ok(())
    }

    /// Puts scores together: as columns they take a fraction of the memory.
    fn gather_scores(&mut self) -> Result<(), PreprocessError> {
        if let Content::Scores(records) = &mut self.content
            && !records.is_empty()
        {
            self.buffer
                .push(scores::batch(&self.columns, &std::mem::take(records))?);
        }
        Ok(())
    }

    pub(super) fn is_due(&self, now_us: i64, interval_us: i64, max_rows: usize) -> bool {
        self.buffered >= max_rows || now_us - self.flushed_at_us >= interval_us
    }

    /// Commits rows and progress together; whether there was anything.
    pub(super) fn flush(&mut self, now_us: i64) -> Result<bool, PreprocessError> {
        self.flushed_at_us = now_us;
        self.gather_scores()?;
        let had = self.table.progress("");
        let progress: BTreeMap<String, i64> = self
            .partitions
            .iter()
            .flat_map(|(number, partition)| partition.progress(*number))
            .filter(|(id, version)| had.get(id).is_none_or(|before| before < version))
            .collect();
        if progress.is_empty() && self.buffer.is_empty() {
            return Ok(false);
        }
        self.table.append(&self.buffer, &progress)?;
        metrics::table_rows(self.name, self.buffered);
        self.buffer.clear();
        self.buffered = 0;
        self.partitions.values_mut().for_each(|p| p.written = p.position);
        Ok(true)
    }

    /// How far the table is, as committed.
    pub(super) fn written(&self) -> impl Iterator<Item = (TopicPartition, i64)> {
        self.partitions
            .iter()
            .map(|(number, p)| (TopicPartition::new(self.topic.as_str(), *number), p.written))
    }
}

impl Partition {
    /// Hears a word; the table is complete up to what it says no source can still bring (R8).
    fn hear(&mut self, header: &eventlog::BatchHeader) {
        self.hearing.hear(header);
        let complete_us = match self.hearing.frontier() {
            Frontier::Nothing => return,
            Frontier::Before(us) => us,
            Frontier::Unbounded => self
                .hearing
                .sources()
                .map(|(_, us, _)| us)
                .max()
                .unwrap_or(NEVER_US),
        };
        self.watermark_us = self.watermark_us.max(complete_us);
    }

    fn progress(&self, number: i32) -> Vec<(String, i64)> {
        let mut ids = vec![(progress_id(number, "offset"), self.position)];
        if self.watermark_us > NEVER_US {
            ids.push((progress_id(number, "watermark"), self.watermark_us));
        }
        ids.extend(
            self.marks
                .iter()
                .map(|(writer, mark)| (progress_id(number, &format!("mark:{writer}")), mark)),
        );
        ids
    }
}
