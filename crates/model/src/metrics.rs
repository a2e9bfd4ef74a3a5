//! Measures of ranking, of probability and of what reviewers would see.
//!
//! Labels are 0 or 1, scores rise with risk. Measures that need both classes are `None` where one is absent.

mod cards;
mod probability;
mod ranking;
mod threshold;

use std::collections::BTreeMap;

pub use cards::{CardScore, card_precision};
pub use probability::{brier, expected_calibration_error, log_loss};
pub use ranking::{auc_roc, average_precision};
pub use threshold::{Confusion, ThresholdPolicy, ThresholdRule, Thresholds, confusion, threshold};

/// Measures by name, as stored in a bundle and shown in reports.
pub type Measures = BTreeMap<String, f64>;

/// The bins of the calibration error in [`evaluate`].
pub const CALIBRATION_BINS: usize = 20;

/// Every measure of calibrated probabilities; those that need a class which is absent are left out.
///
/// `rows`, `positives`, `auc_roc`, `average_precision`, `log_loss`, `brier`, `expected_calibration_error`, and at
/// both thresholds `precision_…`, `recall_…`, `f1_…` and `share_…` with `review` and `decline`.
#[must_use]
pub fn evaluate(probabilities: &[f64], labels: &[f32], thresholds: &Thresholds) -> Measures {
    let positives = labels
        .iter()
        .filter(|&&label| crate::dataset::is_positive(label))
        .count();
    let mut measures = vec![
        ("rows".to_owned(), Some(labels.len() as f64)),
        ("positives".to_owned(), Some(positives as f64)),
        ("auc_roc".to_owned(), auc_roc(probabilities, labels)),
        (
            "average_precision".to_owned(),
            average_precision(probabilities, labels),
        ),
        ("log_loss".to_owned(), log_loss(probabilities, labels)),
        ("brier".to_owned(), brier(probabilities, labels)),
        (
            "expected_calibration_error".to_owned(),
            expected_calibration_error(probabilities, labels, CALIBRATION_BINS),
        ),
    ];
    for (name, at) in [("review", thresholds.review), ("decline", thresholds.decline)] {
        let confusion = confusion(probabilities, labels, at);
        measures.push((format!("precision_{name}"), confusion.precision()));
        measures.push((format!("recall_{name}"), confusion.recall()));
        measures.push((format!("f1_{name}"), confusion.f1()));
        measures.push((format!("share_{name}"), confusion.flagged_share()));
    }
    measures
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

/// Rows of equal score as one step of a ranking, the highest score first.
struct Step {
    score: f64,
    positives: usize,
    negatives: usize,
}

/// The ranking's steps.
fn steps(scores: &[f64], labels: &[f32]) -> Vec<Step> {
    assert_eq!(scores.len(), labels.len(), "one score a label");
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut steps: Vec<Step> = Vec::new();
    for row in order {
        // `==` and not `total_cmp`: the two zeros are one score.
        if steps.last().is_none_or(|step| step.score != scores[row]) {
            steps.push(Step {
                score: scores[row],
                positives: 0,
                negatives: 0,
            });
        }
        let step = steps
            .last_mut()
            .expect("one was just pushed where there was none");
        if crate::dataset::is_positive(labels[row]) {
            step.positives += 1;
        } else {
            step.negatives += 1;
        }
    }
    steps
}

#[cfg(test)]
pub(crate) mod fixture {
    /// Twenty scores with ties and their labels; every golden number of the metrics' tests was computed on them with
    /// scikit-learn 1.9:
    ///
    /// ```python
    /// import numpy as np
    /// s = np.array([.10,.40,.35,.80,.80,.05,.60,.60,.60,.22,.91,.13,.40,.77,.02,.50,.50,.35,.68,.10])
    /// y = np.array([0,0,1,1,0,0,1,0,1,0,1,0,1,0,0,0,1,0,0,0])
    /// ```
    pub(crate) const SCORES: [f64; 20] = [
        0.10, 0.40, 0.35, 0.80, 0.80, 0.05, 0.60, 0.60, 0.60, 0.22, 0.91, 0.13, 0.40, 0.77, 0.02, 0.50, 0.50,
        0.35, 0.68, 0.10,
    ];
    /// See [`SCORES`].
    pub(crate) const LABELS: [f32; 20] = [
        0., 0., 1., 1., 0., 0., 1., 0., 1., 0., 1., 0., 1., 0., 0., 0., 1., 0., 0., 0.,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluation_leaves_out_what_cannot_be_measured() {
        let thresholds = Thresholds {
            review: 0.3,
            decline: 0.9,
        };
        let all = evaluate(&fixture::SCORES, &fixture::LABELS, &thresholds);
        assert_eq!(all.len(), 15);
        assert_eq!(all["precision_decline"], 1.0);
        let one_class = evaluate(&[0.2, 0.4], &[0.0, 0.0], &thresholds);
        assert!(!one_class.contains_key("auc_roc") && one_class.contains_key("brier"));
        assert!(one_class.values().all(|value| value.is_finite()));
    }
}
