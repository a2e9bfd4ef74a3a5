//! The manifest of a model of transactions.

use serde::{Deserialize, Serialize};

use super::package::{ModelKind, PackageManifest, parse_as};
use super::records::{BaselineValue, Lineage, Measured, SchemaRecord, fits_together, in_order};
use crate::calibration::Calibration;
use crate::inference::{EmbeddingDescription, NetworkDescription};
use crate::metrics::Thresholds;
use crate::preprocessing::Preprocessing;
use crate::{Result, Rows};

/// Everything of a model of transactions but the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`](super::FORMAT)
    pub format: u32,
    /// The network's shape.
    pub network: NetworkDescription,
    /// The features it reads.
    pub feature_schema: SchemaRecord,
    /// How features become inputs.
    pub preprocessing: Preprocessing,
    /// How logits become probabilities.
    pub calibration: Calibration,
    /// From which probabilities on to act.
    pub thresholds: Thresholds,
    /// The row that explanations compare with, in the order of the features.
    pub baseline: Vec<BaselineValue>,
    /// What it reached on the validation rows.
    pub metrics: Measured,
    /// Where it came from.
    pub lineage: Lineage,
    /// The SHA-256 of the weights' file, in hexadecimal.
    pub weights_sha256: String,
}

impl Manifest {
    /// The baseline as one row of raw features.
    ///
    /// # Errors
    /// If a value is of another kind than its feature.
    pub fn baseline_row(&self) -> Result<Rows> {
        self.feature_schema.row(&self.baseline)
    }
}

impl PackageManifest for Manifest {
    fn kind(&self) -> ModelKind {
        ModelKind::Transaction
    }

    fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    fn metrics(&self) -> &Measured {
        &self.metrics
    }

    fn weights_sha256(&self) -> &str {
        &self.weights_sha256
    }

    fn validate(&self) -> Result<()> {
        self.feature_schema.validate()?;
        self.network.validate()?;
        let (network, features) = (&self.network, &self.feature_schema.features);
        fits_together(&[
            (
                self.preprocessing.fits(features),
                "the preprocessing has other features than the schema",
            ),
            reads(&self.preprocessing, network.numeric_width, &network.embeddings),
            (
                self.baseline.len() == features.features().len(),
                "the baseline has other features",
            ),
            in_order(&self.thresholds),
        ])
    }

    fn parse(kind: ModelKind, bytes: &[u8]) -> Result<Self> {
        parse_as(ModelKind::Transaction, kind, bytes)
    }
}

/// Whether a network reads what a preprocessing writes.
pub(crate) fn reads(
    preprocessing: &Preprocessing,
    numeric_width: usize,
    embeddings: &[EmbeddingDescription],
) -> (bool, &'static str) {
    let embedded = embeddings.iter().map(|table| (table.name.as_str(), table.codes));
    let categories = preprocessing.categorical.iter();
    let categories = categories.map(|feature| (feature.name.as_str(), feature.vocabulary.codes()));
    if preprocessing.numeric_width() != numeric_width {
        return (false, "the network has other inputs");
    }
    (
        embedded.eq(categories),
        "the network has other categories than the preprocessing",
    )
}
