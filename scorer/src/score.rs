//! From feature rows to scores.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use model::{Rows, Scorer};
use registry::CHAMPION;
use schema::Score;

use crate::champion::{Champion, Models};
use crate::config::Settings;
use crate::error::ScorerError;
use crate::explained::Explained;
use crate::facts::Facts;
use crate::{fusion, images};

/// Scores the rows of one batch, those of a kind all by the same bundle.
pub(crate) fn score(
    settings: &Settings,
    models: &Models,
    rows: &RecordBatch,
    scored_at_us: i64,
) -> Result<Vec<Score>, ScorerError> {
    let of_images = Facts::of(settings, rows)?.images();
    split(
        rows,
        &of_images,
        |images| images::score(settings, models, images, scored_at_us),
        |others| transactions(settings, models, others, scored_at_us),
    )
}

/// Transactions that have an image by the fusion model, if there is one that can read it, the others by their features
/// alone.
fn transactions(
    settings: &Settings,
    models: &Models,
    rows: &RecordBatch,
    scored_at_us: i64,
) -> Result<Vec<Score>, ScorerError> {
    let by_features = |rows: &RecordBatch| {
        let facts = Facts::of(settings, rows)?;
        match &models.transactions {
            Some(champion) => by_model(settings, champion, &facts, rows, scored_at_us),
            None => Ok((0..rows.num_rows())
                .map(|row| facts.cold(settings, row, scored_at_us))
                .collect()),
        }
    };
    let Some(champion) = &models.fusion else {
        return by_features(rows);
    };
    let fitting = images::fitting(rows, champion.scorer.input());
    split(
        rows,
        &fitting,
        |rows| fusion::score(settings, champion, rows, scored_at_us),
        by_features,
    )
}

fn by_model(
    settings: &Settings,
    champion: &Champion<Scorer>,
    facts: &Facts,
    rows: &RecordBatch,
    scored_at_us: i64,
) -> Result<Vec<Score>, ScorerError> {
    let (scorer, version) = (&champion.scorer, champion.version.as_str());
    let schema = scorer.schema();
    let features = Rows::from_batch(rows, schema)?;
    let explained = Explained::new(
        settings,
        (CHAMPION, version),
        (schema, &features),
        scorer.thresholds(),
    );
    let name = |nth: usize| schema.features()[nth].name.as_str();
    let scored = scorer.score(&features)?.into_iter().enumerate();
    Ok(scored
        .map(|(row, scored)| {
            let cold = facts.cold(settings, row, scored_at_us);
            explained.score(cold, row, scored.probability, &scored.contributions, name)
        })
        .collect())
}

/// Scores some rows in one way and the others in another; the scores in the order of the rows.
fn split(
    rows: &RecordBatch,
    some: &BooleanArray,
    of_some: impl Fn(&RecordBatch) -> Result<Vec<Score>, ScorerError>,
    of_others: impl Fn(&RecordBatch) -> Result<Vec<Score>, ScorerError>,
) -> Result<Vec<Score>, ScorerError> {
    match some.true_count() {
        0 => return of_others(rows),
        all if all == rows.num_rows() => return of_some(rows),
        _ => {}
    }
    let mut first = of_some(&filter_record_batch(rows, some)?)?.into_iter();
    let mut second = of_others(&filter_record_batch(rows, &not(some)?)?)?.into_iter();
    let in_order = some.iter().map(|is_one| {
        if is_one == Some(true) {
            first.next()
        } else {
            second.next()
        }
    });
    Ok(in_order.flatten().collect())
}
