//! Everything of a bundle but the weights.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::sha256;
use crate::calibration::Calibration;
use crate::inference::NetworkDescription;
use crate::metrics::{Measures, Thresholds};
use crate::preprocessing::Preprocessing;
use crate::vision::ImageRecord;
use crate::{Column, Error, FeatureKind, FeatureSchema, Result, Rows};

/// The format that this version writes and reads.
pub const FORMAT: u32 = 1;

/// The features a model reads, with their hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRecord {
    /// The features in order.
    pub features: FeatureSchema,
    /// [`FeatureSchema::hash`] of them.
    pub sha256: String,
}

/// One feature of the row that explanations compare with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaselineValue {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// Null.
    Missing,
}

/// Measures and the data they were measured on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The time of the first row.
    pub from_us: i64,
    /// The time of the last row.
    pub to_us: i64,
    /// The measures, by name.
    pub values: Measures,
}

/// Where a model came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// The version of each table that was read.
    pub table_versions: BTreeMap<String, i64>,
    /// The seed of the training.
    pub seed: u64,
    /// The version of the code that trained.
    pub code_version: String,
    /// The version it was fine-tuned from.
    pub parent_version: Option<String>,
    /// The time of the first training row.
    pub training_from_us: i64,
    /// The time of the last training row.
    pub training_to_us: i64,
    /// When it was made.
    pub created_at_us: i64,
}

/// Everything of a bundle but the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`]
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
    /// The image network beside it, whose tensors lie in the same file; a bundle without one does not name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRecord>,
    /// The SHA-256 of the weights' file, in hexadecimal.
    pub weights_sha256: String,
}

/// The one field that every format has.
#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl Manifest {
    /// The one way to write it.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest has no map with keys other than strings")
    }

    /// Reads a manifest and checks that it is whole.
    ///
    /// # Errors
    /// If it is of another format, altered, or contradicts itself.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let FormatOnly { format } = serde_json::from_slice(bytes).map_err(Error::Manifest)?;
        if format != FORMAT {
            return Err(Error::Format {
                found: format,
                supported: FORMAT,
            });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(Error::Manifest)?;
        manifest.validate()?;
        if manifest.canonical() == bytes {
            Ok(manifest)
        } else {
            Err(Error::NotCanonical)
        }
    }

    /// The baseline as one row of raw features.
    ///
    /// # Errors
    /// If a value is of another kind than its feature.
    pub fn baseline_row(&self) -> Result<Rows> {
        let mut row = Rows::new(1);
        for (feature, value) in self.feature_schema.features.features().iter().zip(&self.baseline) {
            let column = match (feature.kind, value) {
                (FeatureKind::Numeric, BaselineValue::Number(number)) => Column::Numeric(vec![*number]),
                (FeatureKind::Numeric, BaselineValue::Missing) => Column::Numeric(vec![f64::NAN]),
                (FeatureKind::Categorical, BaselineValue::Text(text)) => {
                    Column::Categorical(vec![Some(text.clone())])
                }
                (FeatureKind::Categorical, BaselineValue::Missing) => Column::Categorical(vec![None]),
                _ => {
                    return Err(Error::Inconsistent {
                        reason: "a baseline value has not its feature's kind",
                    });
                }
            };
            row.insert(feature.name.as_str(), column)?;
        }
        Ok(row)
    }

    fn validate(&self) -> Result<()> {
        let SchemaRecord {
            features,
            sha256: expected,
        } = &self.feature_schema;
        let found = features.hash();
        if found != *expected {
            return Err(Error::Hash {
                what: "feature schema",
                found,
                expected: expected.clone(),
            });
        }
        self.network.validate()?;
        if let Some(image) = &self.image {
            image.network.validate()?;
        }
        let embedded = self
            .network
            .embeddings
            .iter()
            .map(|table| (table.name.as_str(), table.codes));
        let categories = &self.preprocessing.categorical;
        let categories = categories
            .iter()
            .map(|feature| (feature.name.as_str(), feature.vocabulary.codes()));
        let checks = [
            (
                self.preprocessing.fits(features),
                "the preprocessing has other features than the schema",
            ),
            (
                self.preprocessing.numeric_width() == self.network.numeric_width,
                "the network has other inputs",
            ),
            (
                embedded.eq(categories),
                "the network has other categories than the preprocessing",
            ),
            (
                self.baseline.len() == features.features().len(),
                "the baseline has other features",
            ),
            (
                self.thresholds.review <= self.thresholds.decline,
                "review begins above decline",
            ),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, reason)) => Err(Error::Inconsistent { reason }),
            None => Ok(()),
        }
    }
}

/// The hash to record for a weights file.
pub(crate) fn weights_hash(weights: &[u8]) -> String {
    sha256(weights)
}
