//! From feature rows to scores.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use model::explanation::top_contributions;
use model::{Feature, FeatureKind, FeatureSchema, Rows, Scored, Scorer};
use schema::Score;
use schema::score::Contribution;
use serde_json::Value;

use crate::champion::{Champion, Models};
use crate::config::Settings;
use crate::error::ScorerError;
use crate::facts::{Facts, decide};
use crate::{images, text};

/// Scores the rows of one batch, those of a kind all by the same bundle.
pub(crate) fn score(
    settings: &Settings,
    models: &Models,
    rows: &RecordBatch,
    scored_at_us: i64,
) -> Result<Vec<Score>, ScorerError> {
    let of_images = Facts::of(settings, rows)?.images();
    if of_images.true_count() == 0 {
        return transactions(settings, models, rows, scored_at_us);
    }
    let part = |wanted: &BooleanArray| filter_record_batch(rows, wanted);
    let mut images = images::score(settings, models, &part(&of_images)?, scored_at_us)?.into_iter();
    let others = transactions(settings, models, &part(&not(&of_images)?)?, scored_at_us)?;
    let mut others = others.into_iter();
    let in_order = of_images.iter().map(|is_image| {
        if is_image == Some(true) {
            images.next()
        } else {
            others.next()
        }
    });
    Ok(in_order.flatten().collect())
}

/// Scores transactions, by their features alone.
fn transactions(
    settings: &Settings,
    models: &Models,
    rows: &RecordBatch,
    scored_at_us: i64,
) -> Result<Vec<Score>, ScorerError> {
    let facts = Facts::of(settings, rows)?;
    match &models.transactions {
        Some(champion) => by_model(settings, champion, &facts, rows, scored_at_us),
        None => Ok((0..rows.num_rows())
            .map(|row| facts.cold(settings, row, scored_at_us))
            .collect()),
    }
}

fn by_model(
    settings: &Settings,
    champion: &Champion<Scorer>,
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

struct Explained<'a> {
    champion: &'a Champion<Scorer>,
    schema: &'a FeatureSchema,
    features: &'a Rows,
    hash: String,
    scored_at_us: i64,
}

impl Explained<'_> {
    fn score(&self, settings: &Settings, facts: &Facts, row: usize, scored: &Scored) -> Score {
        let (decision, decided_by) = decide(scored.probability, self.champion.scorer.thresholds());
        let top = top_contributions(&scored.contributions, settings.section.reasons);
        Score {
            score: Some(scored.probability),
            decision,
            decided_by,
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
