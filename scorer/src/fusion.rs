//! From the rows of transactions that have an image to scores.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Float32Type;
use model::Rows;
use model::fusion::{FusionRows, FusionScorer};
use registry::FUSION_CHAMPION;
use schema::Score;
use schema::layout::column;

use crate::champion::Champion;
use crate::config::Settings;
use crate::error::ScorerError;
use crate::explained::Explained;
use crate::facts::Facts;
use crate::images::pixels;

/// Scores transactions with their images, which have to fit the model.
pub(crate) fn score(
    settings: &Settings,
    champion: &Champion<FusionScorer>,
    rows: &RecordBatch,
    scored_at_us: i64,
) -> Result<Vec<Score>, ScorerError> {
    let (facts, scorer) = (Facts::of(settings, rows)?, &champion.scorer);
    let features = Rows::from_batch(rows, scorer.schema())?;
    let image_of: Vec<Option<usize>> = (0..rows.num_rows()).map(Some).collect();
    let scored = scorer.score(&FusionRows {
        rows: &features,
        sequences: &sequences(rows),
        images: &pixels(rows, scorer.input())?,
        image_of: &image_of,
    })?;
    let names: Vec<&str> = scorer.contribution_names().collect();
    let explained = Explained::new(
        settings,
        (FUSION_CHAMPION, &champion.version),
        (scorer.schema(), &features),
        scorer.thresholds(),
    );
    let scored = scored.into_iter().enumerate();
    Ok(scored
        .map(|(row, scored)| {
            let cold = facts.cold(settings, row, scored_at_us);
            explained.score(cold, row, scored.probability, &scored.contributions, |nth| {
                names[nth]
            })
        })
        .collect())
}

/// The recent sequence of each row; empty where rows have none.
fn sequences(rows: &RecordBatch) -> Vec<Vec<f32>> {
    let column = rows
        .column_by_name(column::SEQUENCE)
        .and_then(|c| c.as_list_opt::<i32>());
    let of_row = |row| match column {
        Some(lists) if lists.is_valid(row) => {
            lists.value(row).as_primitive::<Float32Type>().values().to_vec()
        }
        _ => Vec::new(),
    };
    (0..rows.num_rows()).map(of_row).collect()
}
