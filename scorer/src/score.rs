//! From feature rows to scores.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::Int32Type;
use model::explanation::top_contributions;
use model::{Feature, FeatureKind, FeatureSchema, Rows, Scored};
use schema::layout::column;
use schema::score::{Contribution, DecidedBy, Source};
use schema::{Decision, EventColumns, Kind, Score, SubjectKind, time};
use serde_json::Value;

use crate::champion::Champion;
use crate::config::Settings;
use crate::error::ScorerError;
use crate::text;

/// Scores the rows of one batch, each kind by the same bundle. Images have no model of their own yet: their scores say
/// so.
pub(crate) fn score(
    settings: &Settings,
    champion: Option<&Champion>,
    rows: &RecordBatch,
    scored_at_us: i64,
) -> Result<Vec<Score>, ScorerError> {
    let facts = Facts::of(settings, rows)?;
    let cold = |row| facts.cold(settings, row, scored_at_us);
    let Some(champion) = champion else {
        return Ok((0..rows.num_rows()).map(cold).collect());
    };
    let images = facts.images();
    if images.true_count() == 0 {
        return by_model(settings, champion, &facts, rows, scored_at_us);
    }
    let transactions = filter_record_batch(rows, &not(&images)?)?;
    let of_transactions = Facts::of(settings, &transactions)?;
    let mut scores = by_model(settings, champion, &of_transactions, &transactions, scored_at_us)?.into_iter();
    let all = (0..rows.num_rows()).map(|row| {
        if images.value(row) {
            Some(cold(row))
        } else {
            scores.next()
        }
    });
    Ok(all.flatten().collect())
}

fn by_model(
    settings: &Settings,
    champion: &Champion,
    facts: &Facts,
    rows: &RecordBatch,
    scored_at_us: i64,
) -> Result<Vec<Score>, ScorerError> {
    let schema = champion.scorer.schema();
    let features = Rows::from_batch(rows, schema)?;
    let scored = champion.scorer.score(&features)?;
    let explained = Explained {
        champion,
        schema,
        features: &features,
        hash: schema.hash(),
        scored_at_us,
    };
    let scores = scored.iter().enumerate();
    Ok(scores
        .map(|(row, scored)| explained.score(settings, facts, row, scored))
        .collect())
}

/// What a score tells about its row besides the features.
struct Facts {
    columns: EventColumns,
    currency: Option<StringArray>,
    entities: Vec<(String, StringArray)>,
    revision: Vec<i32>,
}

impl Facts {
    fn of(settings: &Settings, rows: &RecordBatch) -> Result<Self, ScorerError> {
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
    fn images(&self) -> BooleanArray {
        let rows = 0..self.revision.len();
        rows.map(|row| Some(self.columns.kind_of(row) == Some(Kind::Image)))
            .collect()
    }

    /// The score of a row while there is no model: it says so, and invents nothing.
    fn cold(&self, settings: &Settings, row: usize, scored_at_us: i64) -> Score {
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

struct Explained<'a> {
    champion: &'a Champion,
    schema: &'a FeatureSchema,
    features: &'a Rows,
    hash: String,
    scored_at_us: i64,
}

impl Explained<'_> {
    fn score(&self, settings: &Settings, facts: &Facts, row: usize, scored: &Scored) -> Score {
        let thresholds = self.champion.scorer.thresholds();
        let decision = match scored.probability {
            p if p >= thresholds.decline => Decision::Decline,
            p if p >= thresholds.review => Decision::Review,
            _ => Decision::Approve,
        };
        let top = top_contributions(&scored.contributions, settings.section.reasons);
        Score {
            score: Some(scored.probability),
            decision,
            decided_by: DecidedBy::Thresholds {
                review: thresholds.review,
                decline: thresholds.decline,
            },
            reasons: top
                .into_iter()
                .map(|(feature, by)| self.contribution(row, feature, by))
                .collect(),
            model: Some(registry::CHAMPION.to_owned()),
            version: Some(self.champion.version.clone()),
            feature_schema: Some(self.hash.clone()),
            ..facts.cold(settings, row, self.scored_at_us)
        }
    }

    fn contribution(&self, row: usize, feature: usize, by: f32) -> Contribution {
        let feature = &self.schema.features()[feature];
        let value = self.value(feature, row);
        let text = text::reason(&feature.name, feature.kind, &value, by);
        Contribution {
            feature: feature.name.clone(),
            value,
            contribution: by,
            text,
        }
    }

    fn value(&self, feature: &Feature, row: usize) -> Value {
        match feature.kind {
            FeatureKind::Numeric => {
                let value = self
                    .features
                    .numeric(&feature.name)
                    .ok()
                    .map(|values| values[row]);
                value
                    .and_then(serde_json::Number::from_f64)
                    .map_or(Value::Null, Value::Number)
            }
            FeatureKind::Categorical => {
                let value = self
                    .features
                    .categorical(&feature.name)
                    .ok()
                    .and_then(|values| values[row].clone());
                value.map_or(Value::Null, Value::String)
            }
        }
    }
}
