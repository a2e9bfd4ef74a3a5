//! Decisions at a threshold, and the choice of thresholds.

use serde::{Deserialize, Serialize};

use super::steps;
use crate::dataset::is_positive;

/// The calibrated probabilities from which on a row is reviewed and declined.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// From here on a person looks.
    pub review: f64,
    /// From here on the payment is declined; never below `review`.
    pub decline: f64,
}

/// How a threshold is chosen on the validation rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ThresholdRule {
    /// The lowest threshold at which at least this share of the flagged rows is fraud.
    TargetPrecision(f64),
    /// The lowest threshold that flags at most this share of all rows: what reviewers can look at.
    FlaggedShare(f64),
    /// This probability.
    Fixed(f64),
}

impl ThresholdRule {
    /// Whether its operand lies within 0 and 1.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let (Self::TargetPrecision(operand) | Self::FlaggedShare(operand) | Self::Fixed(operand)) = self;
        (0.0..=1.0).contains(operand)
    }
}

/// How both thresholds are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThresholdPolicy {
    /// From which probability on a person looks. By default the share of rows that reviewers can look at, 1 %.
    pub review: ThresholdRule,
    /// From which probability on to decline. By default a precision of 90 %.
    pub decline: ThresholdRule,
}

impl Default for ThresholdPolicy {
    fn default() -> Self {
        Self {
            review: ThresholdRule::FlaggedShare(0.01),
            decline: ThresholdRule::TargetPrecision(0.9),
        }
    }
}

impl ThresholdPolicy {
    /// Refuses rules whose operands cannot work.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] names the first one.
    pub fn validate(&self) -> crate::Result<()> {
        crate::training::first_failure(&[
            (self.review.is_valid(), "review", "within 0 and 1"),
            (self.decline.is_valid(), "decline", "within 0 and 1"),
        ])
    }

    /// The thresholds on these rows; review never begins above decline.
    #[must_use]
    pub fn choose(&self, probabilities: &[f64], labels: &[f32]) -> Thresholds {
        let decline = threshold(self.decline, probabilities, labels);
        let review = threshold(self.review, probabilities, labels).min(decline);
        Thresholds { review, decline }
    }
}

/// The threshold that a rule chooses: rows flag where their probability is at least as high. 1 where no threshold
/// keeps the rule, so that nothing is flagged but certainty.
#[must_use]
pub fn threshold(rule: ThresholdRule, probabilities: &[f64], labels: &[f32]) -> f64 {
    let (mut flagged, mut positives, mut chosen) = (0.0, 0.0, 1.0);
    if let ThresholdRule::Fixed(probability) = rule {
        return probability;
    }
    for step in steps(probabilities, labels) {
        positives += step.positives as f64;
        flagged += (step.positives + step.negatives) as f64;
        let keeps = match rule {
            ThresholdRule::TargetPrecision(target) => positives >= target * flagged,
            ThresholdRule::FlaggedShare(share) => flagged <= share * labels.len() as f64,
            ThresholdRule::Fixed(_) => false,
        };
        if keeps {
            chosen = step.score;
        }
    }
    chosen
}

/// What a threshold gets right and wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// Positive and flagged.
    pub true_positives: usize,
    /// Negative and flagged.
    pub false_positives: usize,
    /// Positive and not flagged.
    pub false_negatives: usize,
    /// Negative and not flagged.
    pub true_negatives: usize,
}

impl Confusion {
    /// The share of the flagged that is positive.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_positives)
    }

    /// The share of the positive that is flagged.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// The harmonic mean of precision and recall.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        let wrong = self.false_positives + self.false_negatives;
        ratio(2 * self.true_positives, 2 * self.true_positives + wrong)
    }

    /// The share of all rows that is flagged.
    #[must_use]
    pub fn flagged_share(&self) -> Option<f64> {
        let flagged = self.true_positives + self.false_positives;
        ratio(flagged, flagged + self.false_negatives + self.true_negatives)
    }
}

/// Counts what is right and wrong where scores of at least `at` are flagged.
#[must_use]
pub fn confusion(scores: &[f64], labels: &[f32], at: f64) -> Confusion {
    assert_eq!(scores.len(), labels.len(), "one score a label");
    let mut counts = Confusion::default();
    for (&score, &label) in scores.iter().zip(labels) {
        *match (is_positive(label), score >= at) {
            (true, true) => &mut counts.true_positives,
            (false, true) => &mut counts.false_positives,
            (true, false) => &mut counts.false_negatives,
            (false, false) => &mut counts.true_negatives,
        } += 1;
    }
    counts
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{LABELS, SCORES};
    use super::*;

    /// `sklearn.metrics.precision_recall_fscore_support(y, s >= .6, average="binary")`
    #[test]
    fn precision_recall_and_f1_match() {
        let found = confusion(&SCORES, &LABELS, 0.6);
        assert_eq!(
            (found.precision(), found.recall(), found.f1()),
            (Some(0.5), Some(4.0 / 7.0), Some(8.0 / 15.0))
        );
        assert_eq!(confusion(&SCORES, &LABELS, 2.0).precision(), None);
    }

    #[test]
    fn the_lowest_threshold_of_a_target_precision_is_chosen() {
        // From the top: 1/1, 2/3, 2/4, 2/5, 4/8, 5/10, 6/12, 7/14, …
        assert_eq!(
            threshold(ThresholdRule::TargetPrecision(0.6), &SCORES, &LABELS),
            0.80
        );
        assert_eq!(
            threshold(ThresholdRule::TargetPrecision(0.5), &SCORES, &LABELS),
            0.35
        );
        assert_eq!(
            threshold(ThresholdRule::TargetPrecision(0.9), &[0.7, 0.6], &[0.0, 1.0]),
            1.0
        );
    }

    #[test]
    fn reviewers_never_get_more_than_they_can_look_at() {
        assert_eq!(
            threshold(ThresholdRule::FlaggedShare(0.21), &SCORES, &LABELS),
            0.77
        );
        assert_eq!(
            threshold(ThresholdRule::FlaggedShare(0.35), &SCORES, &LABELS),
            0.68,
            "the tie at 0.6 is too many"
        );
        assert_eq!(threshold(ThresholdRule::FlaggedShare(0.0), &SCORES, &LABELS), 1.0);
        assert_eq!(threshold(ThresholdRule::Fixed(0.3), &SCORES, &LABELS), 0.3);
    }
}
