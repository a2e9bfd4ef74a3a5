//! From raw feature columns to the network's inputs: fitted on the training rows, stored in the bundle.
//!
//! Training and scoring run the same code on the same numbers, so what they compute is bit-equal.

mod categorical;
mod encoding;
mod numeric;

use serde::{Deserialize, Serialize};

pub use categorical::{CategoricalFeature, Vocabulary};
pub use encoding::{Encoding, NumericEncoding};
pub use numeric::NumericFeature;

use crate::dataset::Inputs;
use crate::{Error, FeatureKind, FeatureSchema, Result, Rows};

/// How features are turned into inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreprocessingSettings {
    /// How numbers are encoded.
    pub numeric: NumericEncoding,
    /// Knots of the encodings that follow the distribution; ties leave fewer. 33 by default.
    pub knots: usize,
    /// Numbers of `robust` and `signed_log` are cut off at this many standard deviations. 8 by default.
    pub clip: f64,
    /// Whether features with missing values get an input that says so. True by default.
    pub missing_indicators: bool,
    /// Texts seen less often in training share the code of the unknown. 10 by default.
    pub min_category_count: usize,
    /// The most texts a vocabulary holds. 2,000 by default.
    pub max_categories: usize,
}

impl Default for PreprocessingSettings {
    fn default() -> Self {
        Self {
            numeric: NumericEncoding::default(),
            knots: 33,
            clip: 8.0,
            missing_indicators: true,
            min_category_count: 10,
            max_categories: 2_000,
        }
    }
}

impl PreprocessingSettings {
    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`Error::Setting`] names the first one.
    pub fn validate(&self) -> Result<()> {
        let checks = [
            (self.knots >= 2, "preprocessing.knots", "at least 2"),
            (self.clip > 0.0, "preprocessing.clip", "above 0"),
        ];
        crate::training::first_failure(&checks)
    }
}

/// Rows as the network reads them.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// The inputs.
    pub inputs: Inputs,
    /// For each row, how many of its features were missing or had a text that training never saw.
    pub unknown: Vec<u32>,
}

/// The fitted preprocessing of every feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// The numeric features, in the order of the schema.
    pub numeric: Vec<NumericFeature>,
    /// The categorical features, in the order of the schema.
    pub categorical: Vec<CategoricalFeature>,
}

impl Preprocessing {
    /// Learns from these rows, which have to be training rows only.
    ///
    /// # Errors
    /// If the rows lack a feature of the schema, or there are no rows.
    pub fn fit(rows: &Rows, schema: &FeatureSchema, settings: &PreprocessingSettings) -> Result<Self> {
        settings.validate()?;
        schema.check(rows.names())?;
        if rows.is_empty() {
            return Err(Error::TooFewRows {
                part: "training",
                rows: 0,
                positives: 0,
            });
        }
        let numeric = schema.of_kind(FeatureKind::Numeric);
        let categorical = schema.of_kind(FeatureKind::Categorical);
        Ok(Self {
            numeric: numeric
                .map(|(_, name)| Ok(NumericFeature::fit(name, rows.numeric(name)?, settings)))
                .collect::<Result<_>>()?,
            categorical: categorical
                .map(|(_, name)| Ok(CategoricalFeature::fit(name, rows.categorical(name)?, settings)))
                .collect::<Result<_>>()?,
        })
    }

    /// Encodes rows. Columns that are not features are left alone.
    ///
    /// # Errors
    /// If the rows lack a feature, or it has another kind.
    pub fn apply(&self, rows: &Rows) -> Result<Encoded> {
        let mut unknown = vec![0; rows.len()];
        let numeric = self.encode_numbers(rows, &mut unknown)?;
        let codes = self.encode_texts(rows, &mut unknown)?;
        let (numeric_width, code_width) = (self.numeric_width(), self.categorical.len());
        Ok(Encoded {
            inputs: Inputs {
                len: rows.len(),
                numeric,
                numeric_width,
                codes,
                code_width,
            },
            unknown,
        })
    }

    /// How many numeric inputs a row has.
    #[must_use]
    pub fn numeric_width(&self) -> usize {
        self.numeric.iter().map(NumericFeature::width).sum()
    }

    /// For each numeric input, the position in [`Self::numeric`] of the feature it comes from.
    #[must_use]
    pub fn numeric_owners(&self) -> Vec<usize> {
        let repeated = self.numeric.iter().enumerate();
        repeated
            .flat_map(|(index, feature)| std::iter::repeat_n(index, feature.width()))
            .collect()
    }

    /// How many features there are.
    #[must_use]
    pub fn features(&self) -> usize {
        self.numeric.len() + self.categorical.len()
    }

    /// Whether this encodes the features of a schema, in its order.
    #[must_use]
    pub fn fits(&self, schema: &FeatureSchema) -> bool {
        let numeric = schema.of_kind(FeatureKind::Numeric).map(|(_, name)| name);
        let categorical = schema.of_kind(FeatureKind::Categorical).map(|(_, name)| name);
        numeric.eq(self.numeric.iter().map(|f| f.name.as_str()))
            && categorical.eq(self.categorical.iter().map(|f| f.name.as_str()))
    }

    fn encode_numbers(&self, rows: &Rows, unknown: &mut [u32]) -> Result<Vec<f32>> {
        let stride = self.numeric_width();
        let mut inputs = vec![0.0; rows.len() * stride];
        let mut start = 0;
        for feature in &self.numeric {
            let end = start + feature.width();
            for (row, &value) in rows.numeric(&feature.name)?.iter().enumerate() {
                let known = feature.encode(value, &mut inputs[row * stride + start..row * stride + end]);
                unknown[row] += u32::from(!known);
            }
            start = end;
        }
        Ok(inputs)
    }

    fn encode_texts(&self, rows: &Rows, unknown: &mut [u32]) -> Result<Vec<u32>> {
        let stride = self.categorical.len();
        let mut codes = vec![0; rows.len() * stride];
        for (at, feature) in self.categorical.iter().enumerate() {
            for (row, text) in rows.categorical(&feature.name)?.iter().enumerate() {
                let code = feature.vocabulary.code(text.as_deref());
                codes[row * stride + at] = code;
                unknown[row] += u32::from(code == Vocabulary::UNKNOWN);
            }
        }
        Ok(codes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Column;

    fn rows() -> Rows {
        let mut rows = Rows::new(6);
        rows.insert(
            "amount",
            Column::Numeric(vec![10.0, 20.0, f64::NAN, 40.0, 50.0, 900.0]),
        )
        .unwrap();
        rows.insert("count", Column::Numeric(vec![0.0, 0.0, 1.0, 0.0, 2.0, 0.0]))
            .unwrap();
        let texts = ["pos", "web", "pos", "atm", "pos", "web"].map(|text| Some(text.to_owned()));
        rows.insert("channel", Column::Categorical(texts.to_vec()))
            .unwrap();
        rows
    }

    fn fitted(numeric: NumericEncoding) -> Preprocessing {
        let schema = FeatureSchema::of(&["amount", "count"], &["channel"]).unwrap();
        let settings = PreprocessingSettings {
            numeric,
            min_category_count: 2,
            ..Default::default()
        };
        Preprocessing::fit(&rows(), &schema, &settings).unwrap()
    }

    #[test]
    fn a_row_says_how_much_of_it_was_unknown() {
        for encoding in NumericEncoding::ALL {
            let encoded = fitted(encoding).apply(&rows()).unwrap();
            assert_eq!(encoded.unknown, [0, 0, 1, 1, 0, 0], "{encoding:?}");
            assert_eq!(encoded.inputs.codes, [1, 2, 1, 0, 1, 2]);
            assert!(encoded.inputs.numeric.iter().all(|x| x.is_finite()));
        }
    }

    #[test]
    fn rows_encode_alike_alone_and_together_and_after_json() {
        for encoding in NumericEncoding::ALL {
            let fitted = fitted(encoding);
            let json = serde_json::to_string(&fitted).unwrap();
            let read: Preprocessing = serde_json::from_str(&json).unwrap();
            assert_eq!(read, fitted);
            let together = read.apply(&rows()).unwrap();
            for row in 0..rows().len() {
                let alone = fitted.apply(&rows().select(&[row])).unwrap();
                assert_eq!(
                    alone.inputs,
                    together.inputs.select(&[row]),
                    "{encoding:?} row {row}"
                );
            }
        }
    }

    #[test]
    fn infinities_count_as_missing_and_extremes_stay_bounded() {
        for encoding in NumericEncoding::ALL {
            let mut rows = rows().select(&[0, 1, 2]);
            rows.insert("amount", Column::Numeric(vec![f64::INFINITY, f64::MAX, f64::MIN]))
                .unwrap();
            let encoded = fitted(encoding).apply(&rows).unwrap();
            assert_eq!(encoded.unknown, [1, 0, 0]);
            assert!(
                encoded.inputs.numeric.iter().all(|x| x.abs() <= 8.0),
                "{encoding:?}"
            );
        }
    }

    #[test]
    fn every_input_has_an_owner() {
        let fitted = fitted(NumericEncoding::QuantileNormal);
        assert_eq!(
            fitted.numeric_owners(),
            [0, 0, 1],
            "amount has an indicator, count has none"
        );
        assert!(fitted.fits(&FeatureSchema::of(&["amount", "count"], &["channel"]).unwrap()));
        assert!(!fitted.fits(&FeatureSchema::of(&["count", "amount"], &["channel"]).unwrap()));
    }
}
