//! How much each feature moved a logit away from that of a typical row.
//!
//! # Source
//! The rescale rule of DeepLIFT: Shrikumar, Greenside, Kundaje, "Learning Important Features Through Propagating
//! Activation Differences" (2017), section 3.5.1. A rectifier's multiplier is its change over the change of its
//! input, both against the baseline row; multipliers go through layers like gradients. The contributions of a row
//! add up to its logit less the baseline's.

use crate::dataset::Inputs;
use crate::inference::{Ensemble, Network, Pass, spans};
use crate::scalar::narrow;

/// Below this distance from the baseline the slope itself takes the quotient's place.
const NEAR: f32 = 1e-6;

/// One row's score with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The averaged logit, the same bits as [`Ensemble::logits`] gives.
    pub logit: f64,
    /// For each feature, in the order of the schema, what it added to the logit.
    pub contributions: Vec<f32>,
}

/// What one member computes for the baseline row.
#[derive(Debug)]
struct MemberBaseline {
    input: Vec<f32>,
    outputs: Vec<Vec<f32>>,
    /// The feature of each input.
    owners: Vec<usize>,
}

/// Explains rows against a baseline.
#[derive(Debug)]
pub struct Explainer {
    baselines: Vec<MemberBaseline>,
    logit: f64,
    features: usize,
}

/// Which feature each input of a row belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners {
    /// The feature of each numeric input.
    pub numeric: Vec<usize>,
    /// The feature of each category code.
    pub codes: Vec<usize>,
    /// How many features there are.
    pub features: usize,
}

impl Explainer {
    /// Prepares explanations against the first row of `baseline`.
    ///
    /// # Panics
    /// If `baseline` has no row or the owners do not fit it.
    #[must_use]
    pub fn new(ensemble: &Ensemble, baseline: &Inputs, owners: &Owners) -> Self {
        let members = ensemble.members().iter();
        Self {
            baselines: members
                .map(|member| MemberBaseline::new(member, baseline, owners))
                .collect(),
            logit: ensemble.logits(baseline)[0],
            features: owners.features,
        }
    }

    /// The logit of the baseline row.
    #[must_use]
    pub const fn baseline_logit(&self) -> f64 {
        self.logit
    }

    /// Scores and explains rows; each row's numbers are the same in every batch (INV-5).
    #[must_use]
    pub fn explain(&self, ensemble: &Ensemble, inputs: &Inputs) -> Vec<Explained> {
        let features = self.features;
        let mut sums = Sums {
            logits: vec![0.0; inputs.len],
            contributions: vec![0.0; inputs.len * features],
        };
        for (network, baseline) in ensemble.members().iter().zip(&self.baselines) {
            baseline.explain(network, inputs, &mut sums);
        }
        let scale = ensemble.scale();
        let mean = |sums: &[f64]| sums.iter().map(|sum| narrow(sum * scale)).collect();
        let rows = sums.logits.iter().zip(sums.contributions.chunks_exact(features));
        rows.map(|(logit, of_row)| Explained {
            logit: logit * scale,
            contributions: mean(of_row),
        })
        .collect()
    }
}

/// Sums over the members.
struct Sums {
    logits: Vec<f64>,
    /// Rows × features.
    contributions: Vec<f64>,
}

impl MemberBaseline {
    fn new(network: &Network, baseline: &Inputs, owners: &Owners) -> Self {
        let mut pass = Pass::default();
        network.forward(baseline, 0..1, &mut pass);
        let mut input_owners = owners.numeric.clone();
        for (span, &owner) in network.embedding_spans().into_iter().zip(&owners.codes) {
            input_owners.extend(span.map(|_| owner));
        }
        assert_eq!(
            input_owners.len(),
            pass.input.len(),
            "every input belongs to a feature"
        );
        Self {
            input: pass.input,
            outputs: pass.outputs,
            owners: input_owners,
        }
    }

    /// Adds a member's logits and contributions.
    fn explain(&self, network: &Network, inputs: &Inputs, sums: &mut Sums) {
        let features = sums.contributions.len() / inputs.len.max(1);
        let mut pass = Pass::default();
        for rows in spans(inputs.len) {
            let logits = network.forward(inputs, rows.clone(), &mut pass);
            for (sum, logit) in sums.logits[rows.clone()].iter_mut().zip(logits) {
                *sum += f64::from(logit);
            }
            let (multipliers, width) = network.backward(&pass, |layer, multipliers, outputs| {
                self.multiply_by_slopes(layer, multipliers, outputs);
            });
            let sums = sums.contributions[rows.start * features..].chunks_exact_mut(features);
            let rows = multipliers
                .chunks_exact(width)
                .zip(pass.input.chunks_exact(self.input.len()));
            for (sums, (multipliers, input)) in sums.zip(rows) {
                self.add_contributions(multipliers, input, sums);
            }
        }
    }

    fn multiply_by_slopes(&self, layer: usize, multipliers: &mut [f32], outputs: &[f32]) {
        for ((multiplier, &output), &base) in multipliers.iter_mut().zip(outputs).zip(&self.outputs[layer]) {
            *multiplier *= slope(output, base);
        }
    }

    fn add_contributions(&self, multipliers: &[f32], input: &[f32], sums: &mut [f64]) {
        let changes = input.iter().zip(&self.input).map(|(value, base)| value - base);
        for ((multiplier, change), &owner) in multipliers.iter().zip(changes).zip(&self.owners) {
            sums[owner] += f64::from(multiplier * change);
        }
    }
}

/// The multiplier of one rectifier: its change over the change of its input.
pub(crate) fn slope(output: f32, base: f32) -> f32 {
    let change = output - base;
    if change.abs() > NEAR {
        (output.max(0.0) - base.max(0.0)) / change
    } else if output > 0.0 {
        1.0
    } else {
        0.0
    }
}

/// The `count` contributions that raised the score most, the largest first; those that lowered it are left out.
#[must_use]
pub fn top_contributions(contributions: &[f32], count: usize) -> Vec<(usize, f32)> {
    let mut raised: Vec<(usize, f32)> = contributions
        .iter()
        .copied()
        .enumerate()
        .filter(|&(_, contribution)| contribution > 0.0)
        .collect();
    raised.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    raised.truncate(count);
    raised
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::inference::fixture;
    use proptest::prelude::*;

    fn owners() -> Owners {
        Owners {
            numeric: vec![0, 0, 1, 2, 4],
            codes: vec![3, 5],
            features: 6,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn contributions_add_up_to_the_distance_from_the_baseline(len in 1..80_usize, seed in any::<u64>(), members in 1..4_usize) {
            let description = fixture::description(members);
            let ensemble = Ensemble::new(&description, &fixture::weights(&description, seed)).unwrap();
            let explainer = Explainer::new(&ensemble, &fixture::inputs(1, seed ^ 1), &owners());
            let inputs = fixture::inputs(len, seed);
            let logits = ensemble.logits(&inputs);
            let together = explainer.explain(&ensemble, &inputs);
            for (row, explained) in together.iter().enumerate() {
                prop_assert_eq!(explained.logit.to_bits(), logits[row].to_bits());
                let sum: f64 = explained.contributions.iter().map(|&c| f64::from(c)).sum();
                prop_assert!((sum - (explained.logit - explainer.baseline_logit())).abs() < 1e-4);
                let alone = explainer.explain(&ensemble, &inputs.select(&[row]));
                prop_assert_eq!(&alone[0], explained, "INV-5");
            }
        }
    }

    #[test]
    fn the_baseline_explains_itself_with_zeros() {
        let description = fixture::description(2);
        let ensemble = Ensemble::new(&description, &fixture::weights(&description, 5)).unwrap();
        let baseline = fixture::inputs(1, 6);
        let explainer = Explainer::new(&ensemble, &baseline, &owners());
        assert_eq!(explainer.explain(&ensemble, &baseline)[0].contributions, [0.0; 6]);
    }

    #[test]
    fn a_feature_that_did_not_change_contributes_nothing() {
        let description = fixture::description(1);
        let ensemble = Ensemble::new(&description, &fixture::weights(&description, 5)).unwrap();
        let explainer = Explainer::new(&ensemble, &fixture::inputs(1, 6), &owners());
        let mut changed = fixture::inputs(1, 6);
        changed.numeric[2] += 1.0;
        let contributions = explainer.explain(&ensemble, &changed).remove(0).contributions;
        assert!(contributions[1] != 0.0);
        assert!(
            contributions
                .iter()
                .enumerate()
                .all(|(at, &c)| at == 1 || c == 0.0)
        );
    }

    #[test]
    fn top_contributions_are_the_raising_ones_in_order() {
        assert_eq!(
            top_contributions(&[0.1, -2.0, 0.7, 0.0, 0.7], 2),
            [(2, 0.7), (4, 0.7)]
        );
        assert_eq!(top_contributions(&[0.1, -2.0], 5), [(0, 0.1)]);
    }
}
