//! Encodings of a finite number as one or more inputs of about unit size.

use serde::{Deserialize, Serialize};

use super::PreprocessingSettings;
use crate::scalar::{narrow, normal_cdf, normal_quantile, sorted_quantile};

/// The kinds of [`Encoding`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NumericEncoding {
    /// Distance from the median in units of the interquartile range: keeps the shape, suffers from long tails.
    Robust,
    /// Signed logarithm, then standardised: for amounts and counts.
    SignedLog,
    /// The value's rank as a normal score, linear between knots: any distribution becomes a bell.
    QuantileNormal,
    /// The normal score and, for each interval between knots, how far the value has passed through it: thresholds
    /// in a feature become linear for the first layer.
    #[default]
    PiecewiseLinear,
}

impl NumericEncoding {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Robust,
        Self::SignedLog,
        Self::QuantileNormal,
        Self::PiecewiseLinear,
    ];
}

/// A fitted encoding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Encoding {
    /// `(x - center) / scale`, cut off at ±`clip`.
    Robust {
        /// The median.
        center: f64,
        /// The interquartile range over that of a normal distribution.
        scale: f64,
        /// The largest absolute value.
        clip: f64,
    },
    /// `(sign(x) ln(1 + |x|) - center) / scale`, cut off at ±`clip`.
    SignedLog {
        /// The mean of the logarithms.
        center: f64,
        /// Their standard deviation.
        scale: f64,
        /// The largest absolute value.
        clip: f64,
    },
    /// Normal scores at rising knots, linear in between and constant beyond.
    QuantileNormal {
        /// The knots.
        knots: Vec<f64>,
        /// The normal score of each.
        scores: Vec<f64>,
    },
    /// The same, followed by the passed share of each interval.
    ///
    /// # Source
    /// The intervals: Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning"
    /// (2022), equation 1.
    PiecewiseLinear {
        /// The knots.
        knots: Vec<f64>,
        /// The normal score of each.
        scores: Vec<f64>,
    },
}

impl Encoding {
    /// Learns from sorted finite values.
    pub(super) fn fit(sorted: &[f64], settings: &PreprocessingSettings) -> Self {
        let clip = settings.clip;
        match settings.numeric {
            NumericEncoding::Robust => {
                let (center, scale) = robust_moments(sorted);
                Self::Robust { center, scale, clip }
            }
            NumericEncoding::SignedLog => {
                let logs: Vec<f64> = sorted.iter().map(|&x| signed_log(x)).collect();
                let (center, scale) = moments(&logs);
                Self::SignedLog { center, scale, clip }
            }
            NumericEncoding::QuantileNormal => {
                let (knots, scores) = normal_scores(sorted, settings.knots);
                Self::QuantileNormal { knots, scores }
            }
            NumericEncoding::PiecewiseLinear => {
                let (knots, scores) = normal_scores(sorted, settings.knots);
                Self::PiecewiseLinear { knots, scores }
            }
        }
    }

    /// How many inputs it writes.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::PiecewiseLinear { knots, .. } => knots.len().max(1),
            _ => 1,
        }
    }

    /// Writes the inputs of a finite value, all finite.
    pub(super) fn encode(&self, x: f64, inputs: &mut [f32]) {
        match self {
            Self::Robust { center, scale, clip } => {
                inputs[0] = narrow(((x - center) / scale).clamp(-clip, *clip));
            }
            Self::SignedLog { center, scale, clip } => {
                inputs[0] = narrow(((signed_log(x) - center) / scale).clamp(-clip, *clip));
            }
            Self::QuantileNormal { knots, scores } => {
                inputs[0] = narrow(interpolate(knots, scores, x));
            }
            Self::PiecewiseLinear { knots, scores } => {
                inputs[0] = narrow(interpolate(knots, scores, x));
                for (input, ends) in inputs[1..].iter_mut().zip(knots.windows(2)) {
                    *input = narrow(((x - ends[0]) / (ends[1] - ends[0])).clamp(0.0, 1.0));
                }
            }
        }
    }
}

fn signed_log(x: f64) -> f64 {
    libm::copysign(libm::log1p(x.abs()), x)
}

/// Median and interquartile range in standard deviations of a normal distribution. Where most values are equal the
/// range is 0 and the plain standard deviation takes its place.
fn robust_moments(sorted: &[f64]) -> (f64, f64) {
    let quantile = |share| sorted_quantile(sorted, share).unwrap_or(0.0);
    let range = (quantile(0.75) - quantile(0.25)) / 1.349;
    let scale = if range > 0.0 { range } else { moments(sorted).1 };
    (quantile(0.5), scale)
}

/// Mean and standard deviation; 1 for the latter where the values do not differ.
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
    let deviation = libm::sqrt(variance);
    (
        mean,
        if deviation > 1e-12 && deviation.is_finite() {
            deviation
        } else {
            1.0
        },
    )
}

/// Knots at equal steps of the normal score, so that both tails are resolved as well as the middle, and for each the
/// normal score of its middle rank.
fn normal_scores(sorted: &[f64], knots: usize) -> (Vec<f64>, Vec<f64>) {
    const TAIL: f64 = 3.2;
    let count = sorted.len().max(1) as f64;
    let step = 2.0 * TAIL / (knots - 1) as f64;
    let shares = (0..knots).map(|knot| normal_cdf(knot as f64 * step - TAIL));
    let mut at: Vec<f64> = shares
        .filter_map(|share| sorted_quantile(sorted, share))
        .collect();
    at.dedup();
    let middle_rank = |knot: f64| {
        let below = sorted.partition_point(|&x| x < knot);
        let through = sorted.partition_point(|&x| x <= knot);
        (below + through) as f64 / (2.0 * count)
    };
    let scores = at
        .iter()
        .map(|&knot| normal_quantile(middle_rank(knot)).clamp(-TAIL, TAIL))
        .collect();
    (at, scores)
}

/// The piecewise linear function through the points, constant outside; 0 without points.
fn interpolate(knots: &[f64], scores: &[f64], x: f64) -> f64 {
    let right = knots.partition_point(|&knot| knot <= x);
    let (Some(&first), Some(&last)) = (scores.first(), scores.last()) else {
        return 0.0;
    };
    if right == 0 {
        return first;
    }
    if right == knots.len() {
        return last;
    }
    let share = (x - knots[right - 1]) / (knots[right] - knots[right - 1]);
    scores[right - 1] + share * (scores[right] - scores[right - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(sorted: &[f64], numeric: NumericEncoding) -> Encoding {
        Encoding::fit(
            sorted,
            &PreprocessingSettings {
                numeric,
                knots: 9,
                ..Default::default()
            },
        )
    }

    fn first(encoding: &Encoding, x: f64) -> f32 {
        let mut inputs = vec![0.0; encoding.width()];
        encoding.encode(x, &mut inputs);
        inputs[0]
    }

    #[test]
    fn normal_scores_rise_through_a_skewed_distribution() {
        let sorted: Vec<f64> = (0..1000).map(|i| f64::from(i).powi(3)).collect();
        let encoding = fitted(&sorted, NumericEncoding::QuantileNormal);
        assert!(
            first(&encoding, 500_f64.powi(3)).abs() < 0.05,
            "the median is at 0"
        );
        let scores: Vec<f32> = (0..1000)
            .step_by(50)
            .map(|i| first(&encoding, f64::from(i).powi(3)))
            .collect();
        assert!(scores.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_rare_flag_keeps_two_distinct_scores() {
        let mut sorted = vec![0.0; 990];
        sorted.extend([1.0; 10]);
        let encoding = fitted(&sorted, NumericEncoding::QuantileNormal);
        assert!(first(&encoding, 0.0).abs() < 0.1 && first(&encoding, 1.0) > 2.0);
    }

    #[test]
    fn piecewise_inputs_fill_up_one_after_the_other() {
        let sorted: Vec<f64> = (0..=100).map(f64::from).collect();
        let encoding = fitted(&sorted, NumericEncoding::PiecewiseLinear);
        let mut inputs = vec![0.0; encoding.width()];
        encoding.encode(60.0, &mut inputs);
        assert!(
            inputs[1..]
                .windows(2)
                .all(|pair| pair[0] == 1.0 || pair[1] == 0.0),
            "{inputs:?}"
        );
    }

    #[test]
    fn constant_columns_encode_as_a_constant() {
        for kind in NumericEncoding::ALL {
            let encoding = fitted(&[5.0; 10], kind);
            assert!(first(&encoding, 5.0).abs() < 1e-6, "{kind:?}");
        }
    }
}
