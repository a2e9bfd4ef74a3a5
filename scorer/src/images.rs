//! From the rows of images to scores.

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use model::Rows;
use model::vision::{ImageShape, Images};
use registry::IMAGE_CHAMPION;
use schema::Score;
use schema::layout::column;

use crate::champion::Models;
use crate::config::Settings;
use crate::error::ScorerError;
use crate::explained::Explained;
use crate::facts::Facts;

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
    let scorer = &champion.scorer;
    let fitting = fitting(rows, scorer.input());
    let readable = filter_record_batch(rows, &fitting)?;
    let features = Rows::from_batch(&readable, scorer.schema())?;
    let scored = scorer.score(&pixels(&readable, scorer.input())?, &features)?;
    let mut scored = scored.iter().enumerate();
    let names: Vec<&str> = scorer.contribution_names().collect();
    let explained = Explained::new(
        settings,
        (IMAGE_CHAMPION, &champion.version),
        (scorer.schema(), &features),
        scorer.thresholds(),
    );
    Ok((0..rows.num_rows())
        .map(|row| {
            let cold = cold(row);
            match fitting.value(row).then(|| scored.next()).flatten() {
                Some((nth, image)) => {
                    explained.score(cold, nth, image.probability, &image.contributions, |nth| {
                        names[nth]
                    })
                }
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
