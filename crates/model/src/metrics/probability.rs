//! Measures of how well probabilities say how often.

use crate::dataset::is_positive;
use crate::scalar::floor_index;

/// The mean negative logarithm of the probability given to what happened. Probabilities are kept 1e-15 off 0 and 1.
#[must_use]
pub fn log_loss(probabilities: &[f64], labels: &[f32]) -> Option<f64> {
    mean(probabilities, labels, |p, positive| {
        let given = if positive { p } else { 1.0 - p };
        -libm::log(given.clamp(1e-15, 1.0))
    })
}

/// The mean squared distance between probability and label.
#[must_use]
pub fn brier(probabilities: &[f64], labels: &[f32]) -> Option<f64> {
    mean(probabilities, labels, |p, positive| {
        let distance = p - f64::from(u8::from(positive));
        distance * distance
    })
}

/// The mean distance between probability and frequency over `bins` equal intervals of the probability, weighted by
/// the rows in each.
#[must_use]
pub fn expected_calibration_error(probabilities: &[f64], labels: &[f32], bins: usize) -> Option<f64> {
    let mut gaps = vec![0.0; bins.max(1)];
    for (&p, &label) in probabilities.iter().zip(labels) {
        let bin = floor_index(p * gaps.len() as f64, gaps.len());
        gaps[bin] += p - f64::from(u8::from(is_positive(label)));
    }
    let gap: f64 = gaps.iter().map(|gap| gap.abs()).sum();
    (!probabilities.is_empty()).then(|| gap / probabilities.len() as f64)
}

fn mean(probabilities: &[f64], labels: &[f32], loss: impl Fn(f64, bool) -> f64) -> Option<f64> {
    assert_eq!(probabilities.len(), labels.len(), "one probability a label");
    let sum: f64 = probabilities
        .iter()
        .zip(labels)
        .map(|(&p, &label)| loss(p, is_positive(label)))
        .sum();
    (!labels.is_empty()).then(|| sum / labels.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{LABELS, SCORES};
    use super::*;

    fn assert_close(found: Option<f64>, expected: f64) {
        assert!(
            (found.unwrap_or(f64::NAN) - expected).abs() < 1e-12,
            "{found:?} is not {expected}"
        );
    }

    /// `sklearn.metrics.log_loss(y, s)`
    #[test]
    fn log_loss_matches() {
        assert_close(log_loss(&SCORES, &LABELS), 0.571_895_029_643_844_6);
        assert!(log_loss(&[0.0], &[1.0]).is_some_and(f64::is_finite));
    }

    /// `sklearn.metrics.brier_score_loss(y, s)`
    #[test]
    fn brier_matches() {
        assert_close(brier(&SCORES, &LABELS), 0.203_83);
    }

    /// ```python
    /// b = np.minimum((s * 5).astype(int), 4)
    /// sum(abs(s[b == i].mean() - y[b == i].mean()) * (b == i).mean() for i in range(5) if (b == i).any())
    /// ```
    #[test]
    fn calibration_error_matches() {
        assert_close(expected_calibration_error(&SCORES, &LABELS, 5), 0.122);
        assert_close(expected_calibration_error(&[1.0, 0.0], &[1.0, 0.0], 10), 0.0);
        assert_eq!(expected_calibration_error(&[], &[], 10), None);
    }
}
