//! One network over the image of a transaction, its features, and the transactions before it.
//!
//! Each of the three is brought to a row of numbers: the image's embedding through a rectified layer, with a learned
//! vector in the place of an image that is not there; numbers and categories as the perceptron reads them; and the
//! steps of the recent sequence through a rectified layer each, averaged. A perceptron reads the three rows as one.

mod description;
mod explanation;
mod network;
mod training;

pub use description::{FusionInputs, FusionNetwork};
pub use explanation::{ExplainedFusion, FusionExplainer};
pub use training::{FusionRequest, TrainedFusion, train_fusion};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::calibration::Calibration;
use crate::inference::Weights;
use network::Network;

/// Everything of a fusion network but its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionRecord {
    /// The network's shape.
    pub network: FusionNetwork,
    /// How logits become probabilities.
    pub calibration: Calibration,
}

/// A trained fusion network. It can be shared between threads.
#[derive(Clone, Debug)]
pub struct FusionModel {
    record: FusionRecord,
    network: Network,
}

impl FusionModel {
    /// A network of this description and these weights.
    ///
    /// # Errors
    /// If the description is empty, or the weights do not fit it.
    pub fn new(record: FusionRecord, weights: &Weights) -> Result<Self> {
        let network = Network::load(&record.network, weights)?;
        Ok(Self { record, network })
    }

    /// Everything but the weights.
    #[must_use]
    pub const fn record(&self) -> &FusionRecord {
        &self.record
    }

    /// The weights, by name.
    #[must_use]
    pub fn weights(&self) -> Weights {
        self.network.store()
    }

    /// The logit of each row, the same in every batch (INV-5).
    ///
    /// # Errors
    /// If a part of the inputs has another width or length than the network reads.
    pub fn logits(&self, inputs: &FusionInputs<'_>) -> Result<Vec<f64>> {
        inputs.check(&self.record.network)?;
        let rows: Vec<usize> = (0..inputs.rows.len).collect();
        let trace = self.network.forward(inputs, &rows, Vec::new());
        Ok(trace.logits().iter().copied().map(f64::from).collect())
    }

    /// The calibrated probability of each row, strictly between 0 and 1.
    ///
    /// # Errors
    /// As [`Self::logits`].
    pub fn probabilities(&self, inputs: &FusionInputs<'_>) -> Result<Vec<f64>> {
        let logits = self.logits(inputs)?.into_iter();
        Ok(logits
            .map(|logit| self.record.calibration.probability(logit))
            .collect())
    }
}

#[cfg(test)]
mod tests;
