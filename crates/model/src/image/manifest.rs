//! The manifest of a model of images.

use serde::{Deserialize, Serialize};

use super::head::ImageHead;
use crate::bundle::{
    BaselineValue, Lineage, Measured, ModelKind, PackageManifest, SchemaRecord, fits_together, in_order,
    parse_as,
};
use crate::metrics::Thresholds;
use crate::vision::ImageNetwork;
use crate::{FeatureKind, Result};

/// Everything of a model of images but the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageManifest {
    /// [`FORMAT`](crate::bundle::FORMAT)
    pub format: u32,
    /// [`ModelKind::Image`]
    pub kind: ModelKind,
    /// The network over the pixels.
    pub network: ImageNetwork,
    /// The features of an image that it reads, all of them numbers.
    pub feature_schema: SchemaRecord,
    /// How the network's logit and the features become a probability.
    pub head: ImageHead,
    /// From which probabilities on to act.
    pub thresholds: Thresholds,
    /// The features that explanations compare with, in their order.
    pub baseline: Vec<BaselineValue>,
    /// The logit of the network that explanations compare with: the median of the validation images.
    pub baseline_logit: f64,
    /// What it reached on the validation images.
    pub metrics: Measured,
    /// Where it came from.
    pub lineage: Lineage,
    /// The SHA-256 of the pretrained network that the training started from, in hexadecimal.
    pub backbone: Option<String>,
    /// The SHA-256 of the weights' file, in hexadecimal.
    pub weights_sha256: String,
}

impl PackageManifest for ImageManifest {
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
        self.network.validate()?;
        let features = &self.feature_schema.features;
        fits_together(&[
            (
                self.kind == ModelKind::Image,
                "a model of images has another kind",
            ),
            (self.network.outputs == 1, "a model of images has one logit"),
            (
                features.of_kind(FeatureKind::Categorical).next().is_none(),
                "a model of images reads a feature that is no number",
            ),
            (
                self.head.fits(features),
                "the head has other features than the schema",
            ),
            (
                self.baseline.len() == features.features().len(),
                "the baseline has other features",
            ),
            in_order(&self.thresholds),
        ])
    }

    fn parse(kind: ModelKind, bytes: &[u8]) -> Result<Self> {
        parse_as(ModelKind::Image, kind, bytes)
    }
}
