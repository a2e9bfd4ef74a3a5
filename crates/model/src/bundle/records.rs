//! What the manifests of all kinds of models have in common.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metrics::{Measures, Thresholds};
use crate::{Column, Error, FeatureKind, FeatureSchema, Result, Rows};

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

impl SchemaRecord {
    /// The record of a schema.
    #[must_use]
    pub fn of(features: &FeatureSchema) -> Self {
        Self {
            features: features.clone(),
            sha256: features.hash(),
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let found = self.features.hash();
        if found == self.sha256 {
            Ok(())
        } else {
            Err(Error::Hash {
                what: "feature schema",
                found,
                expected: self.sha256.clone(),
            })
        }
    }

    /// Values of its features as one row of raw features.
    ///
    /// # Errors
    /// If a value is of another kind than its feature.
    pub(crate) fn row(&self, values: &[BaselineValue]) -> Result<Rows> {
        let mut row = Rows::new(1);
        for (feature, value) in self.features.features().iter().zip(values) {
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
}

/// Whether review begins at or below decline.
pub(crate) fn in_order(thresholds: &Thresholds) -> (bool, &'static str) {
    (
        thresholds.review <= thresholds.decline,
        "review begins above decline",
    )
}

/// An error for the first check that does not hold.
pub(crate) fn fits_together(checks: &[(bool, &'static str)]) -> Result<()> {
    match checks.iter().find(|(holds, _)| !holds) {
        Some(&(_, reason)) => Err(Error::Inconsistent { reason }),
        None => Ok(()),
    }
}
