//! Measures that depend on the order of the scores alone.

use super::steps;

/// The area under the receiver operating characteristic: the chance that a positive row scores above a negative one,
/// ties counting half.
#[must_use]
pub fn auc_roc(scores: &[f64], labels: &[f32]) -> Option<f64> {
    let (mut above, mut pairs, mut positives_above, mut negatives) = (0.0, 0.0, 0.0, 0.0);
    for step in steps(scores, labels) {
        let (positive, negative) = (step.positives as f64, step.negatives as f64);
        above += negative * (positives_above + 0.5 * positive);
        positives_above += positive;
        negatives += negative;
        pairs = positives_above * negatives;
    }
    (pairs > 0.0).then(|| above / pairs)
}

/// The area under the precision–recall curve as a sum of steps, rows of equal score in one step.
#[must_use]
pub fn average_precision(scores: &[f64], labels: &[f32]) -> Option<f64> {
    let (mut area, mut positives, mut rows) = (0.0, 0.0, 0.0);
    for step in steps(scores, labels) {
        positives += step.positives as f64;
        rows += (step.positives + step.negatives) as f64;
        area += step.positives as f64 * positives / rows;
    }
    (positives > 0.0).then(|| area / positives)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{LABELS, SCORES};
    use super::*;

    /// `sklearn.metrics.roc_auc_score(y, s)`
    #[test]
    fn auc_counts_ties_half() {
        assert!((auc_roc(&SCORES, &LABELS).unwrap_or(f64::NAN) - 0.736_263_736_263_736_2).abs() < 1e-12);
        assert_eq!(auc_roc(&[0.3; 4], &[1.0, 0.0, 0.0, 1.0]), Some(0.5));
        assert_eq!(auc_roc(&[0.3], &[1.0]), None);
    }

    /// `sklearn.metrics.average_precision_score(y, s)`
    #[test]
    fn average_precision_groups_ties() {
        assert!(
            (average_precision(&SCORES, &LABELS).unwrap_or(f64::NAN) - 0.595_238_095_238_095_2).abs() < 1e-12
        );
        assert_eq!(average_precision(&[0.0, -0.0], &[1.0, 0.0]), Some(0.5));
        assert_eq!(average_precision(&[0.3], &[0.0]), None);
    }
}
