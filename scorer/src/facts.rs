//! What rows tell of their events, beside the features.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use schema::layout::column;
use schema::score::{DecidedBy, Source};
use schema::{EventColumns, Kind, Score, SubjectKind, time};

use crate::config::Settings;
use crate::error::ScorerError;

/// What a score tells about its row besides the features.
pub(crate) struct Facts {
    columns: EventColumns,
    currency: Option<StringArray>,
    entities: Vec<(String, StringArray)>,
    revision: Vec<i32>,
}

impl Facts {
    pub(crate) fn of(settings: &Settings, rows: &RecordBatch) -> Result<Self, ScorerError> {
        let columns = EventColumns::of(rows).map_err(|e| ScorerError::Foreign {
            partition: settings.features_topic.clone(),
            offset: -1,
            what: e.to_string(),
        })?;
        let named = |name: &String| Some((name.clone(), EventColumns::entity(rows, name)?));
        let revision = rows
            .column_by_name(column::REVISION)
            .and_then(|c| c.as_primitive_opt::<Int32Type>());
        Ok(Self {
            columns,
            currency: rows
                .column_by_name(column::CURRENCY)
                .and_then(|c| c.as_string_opt().cloned()),
            entities: settings.layout.entities.iter().filter_map(named).collect(),
            revision: revision.map_or_else(|| vec![0; rows.num_rows()], |r| r.values().to_vec()),
        })
    }

    /// Which rows are images.
    pub(crate) fn images(&self) -> BooleanArray {
        let rows = 0..self.revision.len();
        rows.map(|row| Some(self.columns.kind_of(row) == Some(Kind::Image)))
            .collect()
    }

    /// The score of a row while there is no model: it says so, and invents nothing.
    pub(crate) fn cold(&self, settings: &Settings, row: usize, scored_at_us: i64) -> Score {
        let columns = &self.columns;
        let topic = usize::try_from(columns.source_topic.value(row)).unwrap_or(usize::MAX);
        let entities: BTreeMap<String, String> = self
            .entities
            .iter()
            .filter(|(_, values)| values.is_valid(row))
            .map(|(name, values)| (name.clone(), values.value(row).to_owned()))
            .collect();
        Score {
            subject: if columns.kind_of(row) == Some(Kind::Image) {
                SubjectKind::Image
            } else {
                SubjectKind::Transaction
            },
            transaction_id: columns.transaction_id.value(row).to_owned(),
            image_id: columns.image_id_of(row).map(str::to_owned),
            revision: self.revision[row],
            score: None,
            decision: settings.section.cold_start,
            decided_by: DecidedBy::ColdStart,
            reasons: Vec::new(),
            model: None,
            version: None,
            feature_schema: None,
            event_time: time::format(columns.event_time.value(row)),
            scored_at: time::format(scored_at_us),
            amount_minor: columns
                .amount_minor
                .is_valid(row)
                .then(|| columns.amount_minor.value(row)),
            currency: self
                .currency
                .as_ref()
                .filter(|c| c.is_valid(row))
                .map(|c| c.value(row).to_owned()),
            entities,
            late: columns.late.value(row),
            source: Source {
                topic: settings.source_topics.get(topic).cloned().unwrap_or_default(),
                partition: columns.source_partition.value(row),
                offset: columns.source_offset.value(row),
                timestamp_ms: columns.source_time.value(row) / 1000,
            },
        }
    }
}
