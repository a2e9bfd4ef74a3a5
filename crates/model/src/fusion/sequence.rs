//! The steps before a transaction, brought to one scale.

use serde::{Deserialize, Serialize};

use crate::scalar::narrow;
use crate::{Error, Result};

/// Numbers further from the mean are cut off at this many standard deviations.
const CLIP: f64 = 8.0;

/// Mean and spread of each number of a step, over the steps of the training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceScale {
    /// The mean of each number; what is no number reads as it.
    pub means: Vec<f64>,
    /// The standard deviation of each number, 1 where it is always the same.
    pub deviations: Vec<f64>,
}

impl SequenceScale {
    /// Learns from the sequences of training rows, flat steps of this width.
    pub(super) fn fit<'a>(width: usize, sequences: impl Iterator<Item = &'a [f32]> + Clone) -> Self {
        let columns = (0..width).map(|at| {
            let steps = sequences
                .clone()
                .flat_map(move |steps| steps.iter().skip(at).step_by(width));
            let values = steps
                .filter(|value| value.is_finite())
                .map(|&value| f64::from(value));
            moments(values)
        });
        let (means, deviations) = columns.unzip();
        Self { means, deviations }
    }

    /// Numbers in a step.
    #[must_use]
    pub fn width(&self) -> usize {
        self.means.len()
    }

    /// The steps as the network reads them.
    pub(super) fn apply(&self, steps: &[f32]) -> Vec<f32> {
        let scales = self.means.iter().zip(&self.deviations).cycle();
        let scaled = steps.iter().zip(scales).map(|(&value, (mean, deviation))| {
            if value.is_finite() {
                narrow(((f64::from(value) - mean) / deviation).clamp(-CLIP, CLIP))
            } else {
                0.0
            }
        });
        scaled.collect()
    }

    pub(super) fn validate(&self) -> Result<()> {
        let spread = self.deviations.iter().all(|&deviation| deviation > 0.0);
        if self.means.len() == self.deviations.len() && spread {
            Ok(())
        } else {
            Err(Error::Inconsistent {
                reason: "the scale of the sequence has no spread",
            })
        }
    }
}

fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    (mean, if variance > 0.0 { variance.sqrt() } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_of_a_step_gets_its_own_scale() {
        let sequences: [&[f32]; 3] = [&[1.0, 500.0, 3.0, 500.0], &[], &[5.0, f32::NAN]];
        let scale = SequenceScale::fit(2, sequences.into_iter());
        assert_eq!(scale.means, [3.0, 500.0]);
        assert_eq!(scale.deviations, [(8.0_f64 / 3.0).sqrt(), 1.0]);
        let scaled = scale.apply(&[3.0, 501.0, f32::INFINITY, f32::NAN, 1e30, 500.0]);
        assert_eq!(scaled, [0.0, 1.0, 0.0, 0.0, 8.0, 0.0]);
        let nothing = SequenceScale::fit(1, std::iter::empty());
        assert_eq!((nothing.means, nothing.deviations), (vec![0.0], vec![1.0]));
    }
}
