//! The manifest of a fusion model.

use serde::{Deserialize, Serialize};

use super::sequence::SequenceScale;
use crate::Result;
use crate::bundle::{
    BaselineValue, Lineage, Measured, ModelKind, PackageManifest, SchemaRecord, fits_together, in_order,
    parse_as, reads,
};
use crate::metrics::Thresholds;
use crate::preprocessing::Preprocessing;
use crate::vision::{FusionRecord, ImageNetwork};

/// Everything of a fusion model but the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionManifest {
    /// [`FORMAT`](crate::bundle::FORMAT)
    pub format: u32,
    /// [`ModelKind::Fusion`]
    pub kind: ModelKind,
    /// The network that brings an image to a row of numbers.
    pub image: ImageNetwork,
    /// The version of the bundle of images that it was taken from.
    pub image_version: String,
    /// The features of a transaction that it reads.
    pub feature_schema: SchemaRecord,
    /// How features become inputs.
    pub preprocessing: Preprocessing,
    /// How the steps before a transaction become inputs.
    pub sequence: SequenceScale,
    /// The network over all three, and how its logits become probabilities.
    pub fusion: FusionRecord,
    /// From which probabilities on to act.
    pub thresholds: Thresholds,
    /// The row that explanations of features compare with, in their order.
    pub baseline: Vec<BaselineValue>,
    /// What it reached on the validation rows.
    pub metrics: Measured,
    /// Where it came from.
    pub lineage: Lineage,
    /// The SHA-256 of the weights' file, in hexadecimal.
    pub weights_sha256: String,
}

impl PackageManifest for FusionManifest {
    fn kind(&self) -> ModelKind {
        self.kind
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
        self.image.validate()?;
        self.fusion.network.validate()?;
        self.sequence.validate()?;
        let (network, features) = (&self.fusion.network, &self.feature_schema.features);
        fits_together(&[
            (self.kind == ModelKind::Fusion, "a fusion model has another kind"),
            (
                self.preprocessing.fits(features),
                "the preprocessing has other features than the schema",
            ),
            reads(&self.preprocessing, network.numeric_width, &network.embeddings),
            (
                self.image.embedding_width() == network.image_width,
                "the network reads other rows than the image network gives",
            ),
            (
                self.sequence.width() == network.step_width,
                "the network reads other steps",
            ),
            (
                self.baseline.len() == features.features().len(),
                "the baseline has other features",
            ),
            in_order(&self.thresholds),
        ])
    }

    fn parse(kind: ModelKind, bytes: &[u8]) -> Result<Self> {
        parse_as(ModelKind::Fusion, kind, bytes)
    }
}
