//! Calibration by a logistic curve.

use serde::{Deserialize, Serialize};

use crate::scalar::sigmoid;

/// The least slope: a calibration may flatten a network, not turn it around.
pub(crate) const MIN_SLOPE: f64 = 1e-3;

/// `slope × logit + intercept` is the calibrated logit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platt {
    /// Above 0.
    pub slope: f64,
    /// The calibrated logit at logit 0.
    pub intercept: f64,
}

impl Platt {
    /// The curve of greatest likelihood, by Newton's method with a penalty too weak to matter unless the classes
    /// can be told apart without error.
    #[must_use]
    pub fn fit(logits: &[f64], labels: &[f32]) -> Self {
        let mut curve = Self {
            slope: 1.0,
            intercept: 0.0,
        };
        for _ in 0..50 {
            let (slope_step, intercept_step) = curve.newton_step(logits, labels);
            // Damped: a full step can overshoot where the curve is steep.
            let damping = 2.0 / (1.0 + slope_step.abs().max(intercept_step.abs()).max(1.0));
            curve.slope -= damping * slope_step;
            curve.intercept -= damping * intercept_step;
            if slope_step.abs().max(intercept_step.abs()) < 1e-10 {
                break;
            }
        }
        Self {
            slope: curve.slope.max(MIN_SLOPE),
            intercept: curve.intercept,
        }
    }

    /// The calibrated logit.
    #[must_use]
    pub fn calibrate(&self, logit: f64) -> f64 {
        self.slope * logit + self.intercept
    }

    fn newton_step(&self, logits: &[f64], labels: &[f32]) -> (f64, f64) {
        const PENALTY: f64 = 1e-6;
        let (mut slope_gradient, mut intercept_gradient) = (PENALTY * (self.slope - 1.0), 0.0);
        let (mut slope_slope, mut slope_intercept, mut intercept_intercept) = (PENALTY, 0.0, PENALTY);
        for (&logit, &label) in logits.iter().zip(labels) {
            let p = sigmoid(self.calibrate(logit));
            let (error, curvature) = (p - f64::from(label), p * (1.0 - p));
            slope_gradient += error * logit;
            intercept_gradient += error;
            slope_slope += curvature * logit * logit;
            slope_intercept += curvature * logit;
            intercept_intercept += curvature;
        }
        let determinant = slope_slope * intercept_intercept - slope_intercept * slope_intercept;
        (
            (intercept_intercept * slope_gradient - slope_intercept * intercept_gradient) / determinant,
            (slope_slope * intercept_gradient - slope_intercept * slope_gradient) / determinant,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture::{LABELS, SCORES};
    use crate::scalar::logit;

    /// ```python
    /// from sklearn.linear_model import LogisticRegression
    /// LogisticRegression(C=np.inf, tol=1e-12).fit(np.log(s / (1 - s)).reshape(-1, 1), y)
    /// ```
    #[test]
    fn the_curve_is_that_of_logistic_regression() {
        let logits: Vec<f64> = SCORES.iter().map(|&score| logit(score)).collect();
        let fitted = Platt::fit(&logits, &LABELS);
        assert!((fitted.slope - 0.774_787).abs() < 1e-4, "{fitted:?}");
        assert!((fitted.intercept + 0.516_921).abs() < 1e-4, "{fitted:?}");
    }

    #[test]
    fn classes_without_overlap_and_reversed_logits_stay_finite() {
        let apart = Platt::fit(&[-2.0, -1.0, 1.0, 2.0], &[0.0, 0.0, 1.0, 1.0]);
        assert!(apart.slope.is_finite() && apart.slope > 1.0, "{apart:?}");
        let reversed = Platt::fit(&[-2.0, -1.0, 1.0, 2.0, 0.0, 0.0], &[1.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(reversed.slope, MIN_SLOPE);
        assert!(reversed.intercept.is_finite());
    }
}
