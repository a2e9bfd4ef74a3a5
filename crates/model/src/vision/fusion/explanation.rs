//! How far features, image and sequence moved a fusion network's logit.
//!
//! # Source
//! Features: the rescale rule, as in [`crate::explanation`]. They are measured from a row that has the same image and
//! sequence and the baseline's features, so they add up to the distance of these two logits. Image and sequence: what
//! the logit loses without them.

use super::description::FusionInputs;
use super::network::Network;
use super::{FusionModel, FusionRecord};
use crate::Result;
use crate::dataset::Inputs;
use crate::explanation::{Owners, slope};
use crate::scalar::narrow;

/// One transaction's score with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedFusion {
    /// The same bits as [`FusionModel::logits`] gives.
    pub logit: f64,
    /// For each feature what it added to the logit of the baseline's features.
    pub features: Vec<f32>,
    /// The logit less that without an image.
    pub image: f32,
    /// The logit less that without transactions before it.
    pub sequence: f32,
}

/// Explains the scores of a fusion network against the features of a baseline row.
#[derive(Clone, Debug)]
pub struct FusionExplainer {
    /// Numbers and categories of the baseline, as they lie in a joined row.
    baseline: Vec<f32>,
    /// The feature of each of them.
    owners: Vec<usize>,
    features: usize,
}

impl FusionExplainer {
    /// Prepares explanations against the first row of `baseline`.
    ///
    /// # Panics
    /// If `baseline` has no row, or it or the owners do not fit the network.
    #[must_use]
    pub fn new(model: &FusionModel, baseline: &Inputs, owners: &Owners) -> Self {
        let tables = model.record.network.embeddings.iter().zip(&owners.codes);
        let of_tables = tables.flat_map(|(table, &owner)| std::iter::repeat_n(owner, table.width));
        let owners_of_inputs: Vec<usize> = owners.numeric.iter().copied().chain(of_tables).collect();
        let baseline = model.network.features(baseline, 0);
        assert_eq!(
            baseline.len(),
            owners_of_inputs.len(),
            "every input belongs to a feature"
        );
        Self {
            baseline,
            owners: owners_of_inputs,
            features: owners.features,
        }
    }

    /// Scores and explains rows; each row's numbers are the same in every batch (INV-5).
    ///
    /// # Errors
    /// As [`FusionModel::logits`].
    pub fn explain(&self, model: &FusionModel, inputs: &FusionInputs<'_>) -> Result<Vec<ExplainedFusion>> {
        let FusionModel { record, network } = model;
        inputs.check(&record.network)?;
        let all: Vec<usize> = (0..inputs.rows.len).collect();
        let trace = network.forward(inputs, &all, Vec::new());
        let no_images = vec![None; all.len()];
        let without_images = model.logits(&FusionInputs {
            images: &no_images,
            ..*inputs
        })?;
        let no_sequences = vec![Vec::new(); all.len()];
        let without_sequences = model.logits(&FusionInputs {
            sequences: &no_sequences,
            ..*inputs
        })?;
        let joined = trace.joined().chunks_exact(record.network.joined_width());
        let without = without_images.iter().zip(&without_sequences);
        let rows = trace.logits().iter().zip(joined).zip(without);
        let explained = rows.map(|((&logit, joined), (without_image, without_sequence))| {
            let logit = f64::from(logit);
            ExplainedFusion {
                logit,
                features: self.of_features(record, network, joined),
                image: narrow(logit - without_image),
                sequence: narrow(logit - without_sequence),
            }
        });
        Ok(explained.collect())
    }

    fn of_features(&self, record: &FusionRecord, network: &Network, joined: &[f32]) -> Vec<f32> {
        let first = record.network.image_hidden;
        let mut base = joined.to_vec();
        base[first..first + self.baseline.len()].copy_from_slice(&self.baseline);
        let multipliers = multipliers(network, joined, &base);
        let changes = joined.iter().zip(&base).map(|(value, base)| value - base);
        let added = multipliers.iter().zip(changes).skip(first);
        let mut sums = vec![0.0; self.features];
        for ((multiplier, change), &owner) in added.zip(&self.owners) {
            sums[owner] += f64::from(multiplier * change);
        }
        sums.into_iter().map(narrow).collect()
    }
}

/// What the logit's change is made of: for each number of a joined row the factor of its own change.
fn multipliers(network: &Network, joined: &[f32], base: &[f32]) -> Vec<f32> {
    let (outputs, of_base) = (network.outputs(joined), network.outputs(base));
    let mut multipliers = vec![1.0];
    for (at, layer) in network.layers().iter().enumerate().rev() {
        multipliers = layer.slopes(&multipliers);
        let Some(before) = at.checked_sub(1) else { break };
        let change = outputs[before].iter().zip(&of_base[before]);
        for (multiplier, (&output, &base)) in multipliers.iter_mut().zip(change) {
            *multiplier *= slope(output, base);
        }
    }
    multipliers
}
