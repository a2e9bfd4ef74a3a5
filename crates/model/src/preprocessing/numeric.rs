//! One numeric feature: what stands in for a missing value, and how the value is encoded.

use serde::{Deserialize, Serialize};

use super::{Encoding, PreprocessingSettings};
use crate::scalar::sorted_quantile;

/// The fitted encoding of one numeric feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumericFeature {
    /// The column.
    pub name: String,
    /// The median of the training rows, taken where the value is missing or not finite; 0 if all were.
    pub fill: f64,
    /// Whether one more input says that the value was missing.
    pub indicator: bool,
    /// How the value is encoded.
    pub encoding: Encoding,
}

impl NumericFeature {
    pub(super) fn fit(name: &str, values: &[f64], settings: &PreprocessingSettings) -> Self {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Self {
            name: name.to_owned(),
            fill: sorted_quantile(&sorted, 0.5).unwrap_or(0.0),
            indicator: settings.missing_indicators && sorted.len() < values.len(),
            encoding: Encoding::fit(&sorted, settings),
        }
    }

    /// How many inputs it has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.encoding.width() + usize::from(self.indicator)
    }

    /// Writes the inputs of a value and returns whether the value was there.
    ///
    /// # Shape
    /// `inputs` has [`Self::width`] entries.
    pub fn encode(&self, value: f64, inputs: &mut [f32]) -> bool {
        let known = value.is_finite();
        self.encoding
            .encode(if known { value } else { self.fill }, inputs);
        if self.indicator {
            inputs[self.encoding.width()] = if known { 0.0 } else { 1.0 };
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_value_reads_as_the_median_with_an_indicator() {
        let feature = NumericFeature::fit(
            "a",
            &[1.0, f64::NAN, 3.0, 100.0],
            &PreprocessingSettings::default(),
        );
        assert_eq!((feature.fill, feature.indicator), (3.0, true));
        let (mut missing, mut median) = (vec![0.0; feature.width()], vec![0.0; feature.width()]);
        assert!(!feature.encode(f64::NAN, &mut missing));
        assert!(feature.encode(3.0, &mut median));
        let last = feature.width() - 1;
        assert_eq!(missing[..last], median[..last]);
        assert_eq!((missing[last], median[last]), (1.0, 0.0));
    }

    #[test]
    fn a_feature_that_is_always_missing_still_encodes() {
        let feature = NumericFeature::fit("a", &[f64::NAN; 3], &PreprocessingSettings::default());
        let mut inputs = vec![0.0; feature.width()];
        feature.encode(7.0, &mut inputs);
        assert!(inputs.iter().all(|x| x.is_finite()));
    }
}
