//! From the network's logit and the image's features to one logit that says how often.

use serde::{Deserialize, Serialize};

use crate::calibration::{Calibration, FOLDS, MIN_SLOPE, left_out, mean_loss};
use crate::dataset::is_positive;
use crate::logistic::{Penalty, Regression};
use crate::scalar::{sigmoid, sorted_quantile};
use crate::{FeatureSchema, Result, Rows};

/// What a slope costs against none, and the network's against 1: little beside a few dozen images, and enough to
/// keep a feature that tells few frauds without error from telling all.
const RIDGE: f64 = 0.1;
/// The intercept goes where the images want it.
const INTERCEPT_RIDGE: f64 = 1e-6;

/// How a logit and features become a probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageHead {
    /// The network's logit alone decides: features did not help, or there was too little to learn from.
    Calibration(Calibration),
    /// The network's logit and the features add up.
    Logistic(LogisticHead),
}

/// `intercept + slope × logit +` the terms of the features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogisticHead {
    /// The sum where all else is 0.
    pub intercept: f64,
    /// What the network's logit counts; above 0.
    pub slope: f64,
    /// One a feature, in the order of the schema.
    pub terms: Vec<FeatureTerm>,
}

/// What a feature adds: `slope × sign(x) × ln(1 + |x|)`, and `missing` where it is missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureTerm {
    /// The feature.
    pub name: String,
    /// What its logarithm counts.
    pub slope: f64,
    /// What is added where it is missing.
    pub missing: f64,
    /// What stands in for `x` where it is missing: the median of the images it was fitted on, 0 if all were missing.
    pub fill: f64,
}

/// Images to fit a head on.
pub(super) struct Sample<'a> {
    /// The network's logit of each.
    pub(super) logits: &'a [f64],
    /// Their features; one row an image.
    pub(super) features: &'a FeatureRows,
    /// Their labels.
    pub(super) labels: &'a [f32],
}

/// The features of images, taken out of their columns; NaN and infinities stand for missing.
pub(super) struct FeatureRows {
    names: Vec<String>,
    /// Images × features.
    values: Vec<f64>,
}

impl FeatureRows {
    /// The features of a schema.
    ///
    /// # Errors
    /// If rows lack a feature, or it is no number.
    pub(super) fn new(schema: &FeatureSchema, rows: &Rows) -> Result<Self> {
        let names: Vec<String> = schema
            .features()
            .iter()
            .map(|feature| feature.name.clone())
            .collect();
        let columns = names.iter().map(|name| rows.numeric(name));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let row = |row: usize| columns.iter().map(move |column| column[row]);
        Ok(Self {
            values: (0..rows.len()).flat_map(row).collect(),
            names,
        })
    }

    /// The features of one image.
    pub(super) fn row(&self, at: usize) -> &[f64] {
        &self.values[at * self.names.len()..(at + 1) * self.names.len()]
    }
}

impl ImageHead {
    /// Fits the head that has the lower cross-entropy on images left out of its fit, the plain calibration where they
    /// are equal, and gives with it the logits of the images, each by a fit without it.
    pub(super) fn fit(sample: &Sample<'_>) -> (Self, Vec<f64>) {
        let positives = sample.labels.iter().filter(|&&label| is_positive(label)).count();
        if positives < FOLDS || sample.labels.len() - positives < FOLDS {
            return (Self::Calibration(Calibration::Identity), sample.logits.to_vec());
        }
        let all: Vec<usize> = (0..sample.labels.len()).collect();
        let mut best = (
            f64::INFINITY,
            Self::Calibration(Calibration::Identity),
            sample.logits.to_vec(),
        );
        for fit in [Self::fit_calibration, Self::fit_logistic] {
            let of_held = |others: &[usize], held: &[usize]| Some(fit(sample, others)?.logits(sample, held));
            let Some((logits, head)) = left_out(sample.labels, of_held).zip(fit(sample, &all)) else {
                continue;
            };
            let loss = mean_loss(&logits, sample.labels);
            if loss < best.0 {
                best = (loss, head, logits);
            }
        }
        (best.1, best.2)
    }

    /// The calibrated logit.
    pub(super) fn logit(&self, network_logit: f64, features: &[f64]) -> f64 {
        let intercept = match self {
            Self::Calibration(_) => 0.0,
            Self::Logistic(head) => head.intercept,
        };
        self.terms(network_logit, features)
            .iter()
            .fold(intercept, |sum, term| sum + term)
    }

    /// The probability of a calibrated logit, strictly between 0 and 1.
    pub(super) fn probability(logit: f64) -> f64 {
        sigmoid(logit.clamp(-30.0, 30.0))
    }

    /// What each feature adds to the calibrated logit, then what the network's logit does.
    pub(super) fn terms(&self, network_logit: f64, features: &[f64]) -> Vec<f64> {
        match self {
            Self::Calibration(calibration) => {
                let mut terms = vec![0.0; features.len()];
                terms.push(calibration.calibrated_logit(network_logit));
                terms
            }
            Self::Logistic(head) => {
                let terms = head.terms.iter().zip(features);
                let terms = terms.map(|(term, &value)| term.value(value));
                terms.chain([head.slope * network_logit]).collect()
            }
        }
    }

    /// Whether it reads these features.
    pub(super) fn fits(&self, schema: &FeatureSchema) -> bool {
        match self {
            Self::Calibration(_) => true,
            Self::Logistic(head) => {
                let names = head.terms.iter().map(|term| &term.name);
                names.eq(schema.features().iter().map(|feature| &feature.name))
            }
        }
    }

    fn logits(&self, sample: &Sample<'_>, images: &[usize]) -> Vec<f64> {
        let logit = |&at: &usize| self.logit(sample.logits[at], sample.features.row(at));
        images.iter().map(logit).collect()
    }

    fn fit_calibration(sample: &Sample<'_>, images: &[usize]) -> Option<Self> {
        let (logits, labels): (Vec<f64>, Vec<f32>) = images
            .iter()
            .map(|&at| (sample.logits[at], sample.labels[at]))
            .unzip();
        Some(Self::Calibration(Calibration::fit(&logits, &labels)))
    }

    fn fit_logistic(sample: &Sample<'_>, images: &[usize]) -> Option<Self> {
        if sample.features.names.is_empty() {
            return None;
        }
        LogisticHead::fit(sample, images).map(Self::Logistic)
    }
}

impl LogisticHead {
    /// The head of greatest likelihood under a weak penalty. Where the images want it to turn the network around, its
    /// slope is the least there is, and the rest is fitted to that: the loss is convex, so the optimum lies there.
    fn fit(sample: &Sample<'_>, images: &[usize]) -> Option<Self> {
        let fills = fills(sample.features, images);
        let free = Self::regress(sample, images, &fills, None)?;
        if free.slope >= MIN_SLOPE {
            return Some(free);
        }
        Self::regress(sample, images, &fills, Some(MIN_SLOPE))
    }

    fn regress(sample: &Sample<'_>, images: &[usize], fills: &[f64], slope: Option<f64>) -> Option<Self> {
        let (mut numbers, mut offsets) = (Vec::new(), Vec::new());
        for &at in images {
            let logit = sample.logits[at];
            offsets.push(slope.map_or(0.0, |slope| slope * logit));
            numbers.extend([1.0, if slope.is_some() { 0.0 } else { logit }]);
            for (&value, &fill) in sample.features.row(at).iter().zip(fills) {
                numbers.extend(regressors(value, fill));
            }
        }
        let penalty = |centre, weight| Penalty { centre, weight };
        let mut penalties = vec![penalty(0.0, INTERCEPT_RIDGE), penalty(1.0, RIDGE)];
        penalties.resize(2 + 2 * fills.len(), penalty(0.0, RIDGE));
        let labels: Vec<f32> = images.iter().map(|&at| sample.labels[at]).collect();
        let regression = Regression {
            numbers: &numbers,
            offsets: &offsets,
            labels: &labels,
            penalties: &penalties,
        };
        let found = regression.fit()?;
        let names = sample.features.names.iter().zip(fills);
        let terms = names.zip(found[2..].chunks_exact(2));
        Some(Self {
            intercept: found[0],
            slope: slope.unwrap_or(found[1]),
            terms: terms
                .map(|((name, &fill), found)| FeatureTerm {
                    name: name.clone(),
                    slope: found[0],
                    missing: found[1],
                    fill,
                })
                .collect(),
        })
    }
}

impl FeatureTerm {
    fn value(&self, value: f64) -> f64 {
        let [logarithm, missing] = regressors(value, self.fill);
        self.slope * logarithm + self.missing * missing
    }
}

/// The logarithm of a value or of what stands in for it, and whether it was missing.
fn regressors(value: f64, fill: f64) -> [f64; 2] {
    let missing = !value.is_finite();
    let value = if missing { fill } else { value };
    [
        libm::copysign(libm::log1p(value.abs()), value),
        if missing { 1.0 } else { 0.0 },
    ]
}

/// The median of each feature.
fn fills(features: &FeatureRows, images: &[usize]) -> Vec<f64> {
    let median = |feature: usize| {
        let values = images.iter().map(|&at| features.row(at)[feature]);
        let mut present: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        present.sort_unstable_by(f64::total_cmp);
        sorted_quantile(&present, 0.5).unwrap_or(0.0)
    };
    (0..features.names.len()).map(median).collect()
}

#[cfg(test)]
mod tests;
