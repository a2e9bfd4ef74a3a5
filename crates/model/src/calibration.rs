//! From logits to probabilities that say how often: monotone, fitted on validation rows.

mod isotonic;
mod platt;

use serde::{Deserialize, Serialize};

pub use isotonic::Isotonic;
pub(crate) use platt::MIN_SLOPE;
pub use platt::Platt;

use crate::dataset::is_positive;
use crate::scalar::{cross_entropy, sigmoid};

/// The folds by whose left-out rows the calibrations are compared.
pub(crate) const FOLDS: usize = 5;

/// A fitted calibration: strictly rising with the logit, strictly between 0 and 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Calibration {
    /// The network's own probability.
    Identity,
    /// A logistic curve.
    Platt(Platt),
    /// A curve of as many pieces as the validation rows support.
    Isotonic(Isotonic),
}

impl Calibration {
    /// Fits each kind and takes the one with the lowest cross-entropy on rows left out of its fit; the simpler one
    /// where they are equal. Without both classes nothing can be learned and the network's own probability stays.
    #[must_use]
    pub fn fit(logits: &[f64], labels: &[f32]) -> Self {
        let positives = labels.iter().filter(|&&label| is_positive(label)).count();
        if positives < FOLDS || labels.len() - positives < FOLDS {
            return Self::Identity;
        }
        let mut best = (f64::INFINITY, Self::Identity);
        for fit in [Self::fit_identity, Self::fit_platt, Self::fit_isotonic] {
            let loss = left_out_loss(logits, labels, fit);
            if loss < best.0 {
                best = (loss, fit(logits, labels));
            }
        }
        best.1
    }

    /// The calibrated probability of a logit.
    #[must_use]
    pub fn probability(&self, logit: f64) -> f64 {
        sigmoid(self.calibrated_logit(logit))
    }

    /// The logit of the calibrated probability, within ±30 so that the probability stays off 0 and 1.
    pub(crate) fn calibrated_logit(&self, logit: f64) -> f64 {
        let calibrated = match self {
            Self::Identity => logit,
            Self::Platt(platt) => platt.calibrate(logit),
            Self::Isotonic(isotonic) => isotonic.calibrate(logit),
        };
        calibrated.clamp(-30.0, 30.0)
    }

    fn fit_identity(_: &[f64], _: &[f32]) -> Self {
        Self::Identity
    }

    fn fit_platt(logits: &[f64], labels: &[f32]) -> Self {
        Self::Platt(Platt::fit(logits, labels))
    }

    fn fit_isotonic(logits: &[f64], labels: &[f32]) -> Self {
        Self::Isotonic(Isotonic::fit(logits, labels))
    }
}

/// The mean cross-entropy of rows left out of the fit that calibrates them.
fn left_out_loss(logits: &[f64], labels: &[f32], fit: fn(&[f64], &[f32]) -> Calibration) -> f64 {
    let pick = |rows: &[usize]| -> (Vec<f64>, Vec<f32>) {
        rows.iter().map(|&row| (logits[row], labels[row])).unzip()
    };
    let calibrated = left_out(labels, |others, held| {
        let (logits, labels) = pick(others);
        let calibration = fit(&logits, &labels);
        let held = pick(held).0.into_iter();
        Some(held.map(|logit| calibration.calibrated_logit(logit)).collect())
    });
    calibrated.map_or(f64::INFINITY, |logits| mean_loss(&logits, labels))
}

/// The mean cross-entropy of logits.
pub(crate) fn mean_loss(logits: &[f64], labels: &[f32]) -> f64 {
    let each = logits.iter().zip(labels);
    each.map(|(&x, &y)| cross_entropy(x, f64::from(y))).sum::<f64>() / labels.len() as f64
}

/// What a model says of each row that it was not fitted on: fold by fold, `logits` gets the rows of the other folds,
/// fits, and gives the logits of the fold's own. `None` where a fold has none. Folds take every fifth row of each
/// class, so that all hold both.
pub(crate) fn left_out(
    labels: &[f32],
    logits: impl Fn(&[usize], &[usize]) -> Option<Vec<f64>>,
) -> Option<Vec<f64>> {
    let folds = stratified_folds(labels);
    let mut all = vec![0.0; labels.len()];
    for fold in 0..FOLDS {
        let (held, others): (Vec<usize>, Vec<usize>) = (0..labels.len()).partition(|&row| folds[row] == fold);
        for (&row, logit) in held.iter().zip(logits(&others, &held)?) {
            all[row] = logit;
        }
    }
    Some(all)
}

fn stratified_folds(labels: &[f32]) -> Vec<usize> {
    let mut next = [0; 2];
    let fold_of = |&label: &f32| {
        let class = &mut next[usize::from(is_positive(label))];
        *class = (*class + 1) % FOLDS;
        *class
    };
    labels.iter().map(fold_of).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(logits: &[f64], labels: &[f32]) -> [Calibration; 3] {
        [
            Calibration::fit_identity,
            Calibration::fit_platt,
            Calibration::fit_isotonic,
        ]
        .map(|fit| fit(logits, labels))
    }

    proptest! {
        #[test]
        fn calibration_is_strictly_monotone_and_within_bounds(
            rows in proptest::collection::vec((-8.0..8.0_f64, any::<bool>()), 12..200),
            probes in proptest::collection::vec(-12.0..12.0_f64, 2..50),
        ) {
            let (logits, labels): (Vec<f64>, Vec<f32>) =
                rows.into_iter().map(|(x, y)| (x, if y { 1.0 } else { 0.0 })).unzip();
            let mut probes = probes;
            probes.sort_by(f64::total_cmp);
            for calibration in kinds(&logits, &labels) {
                let read: Calibration = serde_json::from_str(&serde_json::to_string(&calibration).unwrap()).unwrap();
                prop_assert_eq!(&read, &calibration);
                for pair in probes.windows(2) {
                    let (low, high) = (calibration.probability(pair[0]), calibration.probability(pair[1]));
                    prop_assert!(0.0 < low && high < 1.0);
                    prop_assert!(low <= high, "{:?} at {:?}: {} {}", calibration, pair, low, high);
                }
                for far in [-1e6, 1e6] {
                    let p = calibration.probability(far);
                    prop_assert!(0.0 < p && p < 1.0);
                }
            }
        }
    }

    /// Rows whose frequency is a steep curve of the logit.
    fn overconfident(rows: u32) -> (Vec<f64>, Vec<f32>) {
        let row = |i: u32| {
            let logit = f64::from(i % 97) / 8.0 - 6.0;
            let positive = f64::from(i * 7919 % 1000) / 1000.0 < sigmoid(0.5 * logit - 1.0);
            (logit, if positive { 1.0 } else { 0.0 })
        };
        (0..rows).map(row).unzip()
    }

    #[test]
    fn calibration_lowers_the_loss_of_an_overconfident_network() {
        let (logits, labels) = overconfident(5_000);
        let loss = |calibration: &Calibration| {
            let each = logits.iter().zip(&labels);
            each.map(|(&x, &y)| cross_entropy(calibration.calibrated_logit(x), f64::from(y)))
                .sum::<f64>()
        };
        let fitted = Calibration::fit(&logits, &labels);
        assert!(
            matches!(fitted, Calibration::Platt(_)),
            "the curve is logistic: {fitted:?}"
        );
        assert!(loss(&fitted) < 0.8 * loss(&Calibration::Identity));
        assert_eq!(fitted, Calibration::fit(&logits, &labels));
    }

    #[test]
    fn one_class_leaves_the_networks_own_probability() {
        assert_eq!(Calibration::fit(&[0.1; 50], &[0.0; 50]), Calibration::Identity);
    }
}
