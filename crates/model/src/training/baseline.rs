//! The row that explanations compare with.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::bundle::BaselineValue;
use crate::dataset::is_positive;
use crate::scalar::sorted_quantile;
use crate::{FeatureKind, FeatureSchema, Result, Rows};

/// The median number and the most frequent text of each feature among the training rows that are not fraud: what is
/// usual. Infinite numbers count as missing, as they do in the preprocessing.
pub(crate) fn typical_row(
    schema: &FeatureSchema,
    rows: &Rows,
    labels: &[f32],
    train: &[usize],
) -> Result<Vec<BaselineValue>> {
    let train = train.iter().copied();
    let usual: Vec<usize> = train.filter(|&row| !is_positive(labels[row])).collect();
    let values = schema.features().iter().map(|feature| match feature.kind {
        FeatureKind::Numeric => Ok(median(rows.numeric(&feature.name)?, &usual)),
        FeatureKind::Categorical => Ok(mode(rows.categorical(&feature.name)?, &usual)),
    });
    values.collect()
}

fn median(values: &[f64], rows: &[usize]) -> BaselineValue {
    let mut present: Vec<f64> = rows
        .iter()
        .map(|&row| values[row])
        .filter(|value| value.is_finite())
        .collect();
    if 2 * present.len() < rows.len() {
        return BaselineValue::Missing;
    }
    present.sort_unstable_by(f64::total_cmp);
    sorted_quantile(&present, 0.5).map_or(BaselineValue::Missing, BaselineValue::Number)
}

fn mode(values: &[Option<String>], rows: &[usize]) -> BaselineValue {
    let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for &row in rows {
        *counts.entry(values[row].as_deref()).or_default() += 1;
    }
    let most = counts
        .into_iter()
        .min_by_key(|&(text, count)| (Reverse(count), text));
    most.and_then(|(text, _)| text)
        .map_or(BaselineValue::Missing, |text| {
            BaselineValue::Text(text.to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_value_is_missing_where_most_are() {
        assert_eq!(
            median(&[1.0, 5.0, f64::NAN, 9.0], &[0, 1, 2, 3]),
            BaselineValue::Number(5.0)
        );
        assert_eq!(
            median(&[1.0, f64::NAN, f64::NAN], &[0, 1, 2]),
            BaselineValue::Missing
        );
        let texts = ["b", "a", "b", "a"].map(|text| Some(text.to_owned()));
        assert_eq!(mode(&texts, &[0, 1, 2, 3]), BaselineValue::Text("a".to_owned()));
        assert_eq!(
            mode(&[None, None, Some("a".to_owned())], &[0, 1, 2]),
            BaselineValue::Missing
        );
    }
}
