//! From the rows of images to scores.

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use model::explanation::top_contributions;
use model::image::IMAGE_CONTRIBUTION;
use model::vision::{ImageShape, Images};
use model::{ImageRiskScorer, ImageScored, Rows};
use schema::Score;
use schema::layout::column;
use schema::score::Contribution;
use serde_json::Value;

use crate::champion::{Champion, Models};
use crate::config::Settings;
use crate::error::ScorerError;
use crate::facts::{Facts, decide};
use crate::text;

/// Scores images. One that comes in another frame than the model reads, or without its file, has no score.
pub(crate) fn score(
    settings: &Settings,
    models: &Models,
    rows: &RecordBatch,
    scored_at_us: i64,
) -> Result<Vec<Score>, ScorerError> {
    let facts = Facts::of(settings, rows)?;
    let cold = |row| facts.cold(settings, row, scored_at_us);
    let Some(champion) = &models.images else {
        return Ok((0..rows.num_rows()).map(cold).collect());
    };
    let fitting = fitting(rows, champion.scorer.input());
    let readable = filter_record_batch(rows, &fitting)?;
    let features = Rows::from_batch(&readable, champion.scorer.schema())?;
    let scored = champion
        .scorer
        .score(&pixels(&readable, champion.scorer.input())?, &features)?;
    let mut scored = scored.iter().enumerate();
    let explained = Explained {
        champion,
        features: &features,
        hash: champion.scorer.schema().hash(),
    };
    Ok((0..rows.num_rows())
        .map(|row| {
            let cold = cold(row);
            let scored = if fitting.value(row) { scored.next() } else { None };
            match scored {
                Some((nth, scored)) => explained.score(settings, cold, nth, scored),
                None => cold,
            }
        })
        .collect())
}

/// Which rows have pixels of this shape.
pub(crate) fn fitting(rows: &RecordBatch, shape: ImageShape) -> BooleanArray {
    let pixels = column_of(rows);
    let fits = |row| pixels.is_some_and(|p| p.is_valid(row) && p.value(row).len() == shape.len());
    (0..rows.num_rows()).map(|row| Some(fits(row))).collect()
}

/// The pixels of all rows, which have to fit.
pub(crate) fn pixels(rows: &RecordBatch, shape: ImageShape) -> Result<Images, model::Error> {
    let pixels = column_of(rows).into_iter().flatten().flatten();
    Images::new(shape, pixels.flatten().copied().collect())
}

fn column_of(rows: &RecordBatch) -> Option<&BinaryArray> {
    rows.column_by_name(column::IMAGE_PIXELS)
        .and_then(|c| c.as_binary_opt::<i32>())
}

struct Explained<'a> {
    champion: &'a Champion<ImageRiskScorer>,
    features: &'a Rows,
    hash: String,
}

impl Explained<'_> {
    fn score(&self, settings: &Settings, cold: Score, row: usize, scored: &ImageScored) -> Score {
        let (decision, decided_by) = decide(scored.probability, self.champion.scorer.thresholds());
        let top = top_contributions(&scored.contributions, settings.section.reasons);
        Score {
            score: Some(scored.probability),
            decision,
            decided_by,
            reasons: top
                .into_iter()
                .map(|(nth, by)| self.contribution(row, nth, by))
                .collect(),
            model: Some(registry::IMAGE_CHAMPION.to_owned()),
            version: Some(self.champion.version.clone()),
            feature_schema: Some(self.hash.clone()),
            ..cold
        }
    }

    fn contribution(&self, row: usize, nth: usize, by: f32) -> Contribution {
        let Some(feature) = self.champion.scorer.schema().features().get(nth) else {
            return Contribution {
                feature: IMAGE_CONTRIBUTION.to_owned(),
                value: Value::Null,
                contribution: by,
                text: text::whole("the image itself", by),
            };
        };
        let value = self
            .features
            .numeric(&feature.name)
            .ok()
            .map(|values| values[row]);
        let value = value.and_then(serde_json::Number::from_f64);
        let value = value.map_or(Value::Null, Value::Number);
        let text = text::reason(&feature.name, feature.kind, &value, by);
        Contribution {
            feature: feature.name.clone(),
            value,
            contribution: by,
            text,
        }
    }
}
