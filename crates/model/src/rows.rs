//! Feature rows as they come from a table or from the stream, before any preprocessing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// What kind of value a feature holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// A number; NaN stands for null.
    Numeric,
    /// A text of few values.
    Categorical,
}

/// One feature of a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// The column's name.
    pub name: String,
    /// What it holds.
    pub kind: FeatureKind,
}

/// The features a model reads, in the order of its contributions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Feature>", into = "Vec<Feature>")]
pub struct FeatureSchema(Vec<Feature>);

impl FeatureSchema {
    /// A schema of these features.
    ///
    /// # Errors
    /// If a name occurs twice.
    pub fn new(features: Vec<Feature>) -> Result<Self> {
        let mut seen = BTreeSet::new();
        match features
            .iter()
            .find(|feature| !seen.insert(feature.name.as_str()))
        {
            Some(twice) => Err(Error::DuplicateFeature {
                name: twice.name.clone(),
            }),
            None => Ok(Self(features)),
        }
    }

    /// A schema of numeric features followed by categorical ones.
    ///
    /// # Errors
    /// If a name occurs twice.
    pub fn of(numeric: &[&str], categorical: &[&str]) -> Result<Self> {
        let feature = |kind| {
            move |name: &&str| Feature {
                name: (*name).to_owned(),
                kind,
            }
        };
        let numbers = numeric.iter().map(feature(FeatureKind::Numeric));
        let texts = categorical.iter().map(feature(FeatureKind::Categorical));
        Self::new(numbers.chain(texts).collect())
    }

    /// The features in order.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.0
    }

    /// The features of one kind, each with its position in the schema.
    pub fn of_kind(&self, kind: FeatureKind) -> impl Iterator<Item = (usize, &str)> {
        let with_index = self.0.iter().enumerate();
        with_index
            .filter(move |(_, f)| f.kind == kind)
            .map(|(index, f)| (index, f.name.as_str()))
    }

    /// SHA-256 over the names and kinds in order, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        for feature in &self.0 {
            let kind = match feature.kind {
                FeatureKind::Numeric => "numeric",
                FeatureKind::Categorical => "categorical",
            };
            hasher.update((feature.name.len() as u64).to_le_bytes());
            hasher.update(feature.name.as_bytes());
            hasher.update(kind.as_bytes());
        }
        hex::encode(hasher.finalize())
    }

    /// Whether the names hold all that this schema needs; more than that does no harm.
    ///
    /// # Errors
    /// If some are absent: [`Error::MissingFeatures`] lists them.
    pub fn check<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let present: BTreeSet<&str> = names.into_iter().collect();
        let absent = self
            .0
            .iter()
            .filter(|feature| !present.contains(feature.name.as_str()));
        let names: Vec<String> = absent.map(|feature| feature.name.clone()).collect();
        if names.is_empty() {
            Ok(())
        } else {
            Err(Error::MissingFeatures { names })
        }
    }
}

impl TryFrom<Vec<Feature>> for FeatureSchema {
    type Error = Error;

    fn try_from(features: Vec<Feature>) -> Result<Self> {
        Self::new(features)
    }
}

impl From<FeatureSchema> for Vec<Feature> {
    fn from(schema: FeatureSchema) -> Self {
        schema.0
    }
}

/// The values of one feature, one a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Numbers; NaN stands for null.
    Numeric(Vec<f64>),
    /// Texts; `None` stands for null.
    Categorical(Vec<Option<String>>),
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Self::Numeric(values) => values.len(),
            Self::Categorical(values) => values.len(),
        }
    }

    fn select(&self, indices: &[usize]) -> Self {
        match self {
            Self::Numeric(values) => Self::Numeric(indices.iter().map(|&i| values[i]).collect()),
            Self::Categorical(values) => {
                Self::Categorical(indices.iter().map(|&i| values[i].clone()).collect())
            }
        }
    }
}

/// Rows of raw features, by column.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    len: usize,
    columns: BTreeMap<String, Column>,
}

impl Rows {
    /// That many rows without any column yet.
    #[must_use]
    pub const fn new(len: usize) -> Self {
        Self {
            len,
            columns: BTreeMap::new(),
        }
    }

    /// Adds a column, or replaces it.
    ///
    /// # Errors
    /// If it does not have one value a row.
    pub fn insert(&mut self, name: impl Into<String>, column: Column) -> Result<()> {
        let name = name.into();
        if column.len() != self.len {
            return Err(Error::Length {
                name,
                found: column.len(),
                expected: self.len,
            });
        }
        self.columns.insert(name, column);
        Ok(())
    }

    /// How many rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The names of the columns, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.keys().map(String::as_str)
    }

    /// The rows at these indices, in their order.
    ///
    /// # Panics
    /// If an index is out of range.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let columns = self
            .columns
            .iter()
            .map(|(name, column)| (name.clone(), column.select(indices)));
        Self {
            len: indices.len(),
            columns: columns.collect(),
        }
    }

    /// The numbers of a column.
    ///
    /// # Errors
    /// If the column is absent or holds text.
    pub fn numeric(&self, name: &str) -> Result<&[f64]> {
        match self.columns.get(name) {
            Some(Column::Numeric(values)) => Ok(values),
            Some(Column::Categorical(_)) => Err(Error::WrongKind {
                name: name.to_owned(),
                expected: "numeric",
            }),
            None => Err(Error::MissingFeatures {
                names: vec![name.to_owned()],
            }),
        }
    }

    /// The texts of a column.
    ///
    /// # Errors
    /// If the column is absent or holds numbers.
    pub fn categorical(&self, name: &str) -> Result<&[Option<String>]> {
        match self.columns.get(name) {
            Some(Column::Categorical(values)) => Ok(values),
            Some(Column::Numeric(_)) => Err(Error::WrongKind {
                name: name.to_owned(),
                expected: "categorical",
            }),
            None => Err(Error::MissingFeatures {
                names: vec![name.to_owned()],
            }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_names_each_feature_once() {
        assert!(
            matches!(FeatureSchema::of(&["a"], &["a"]), Err(Error::DuplicateFeature { name }) if name == "a")
        );
        assert!(
            serde_json::from_str::<FeatureSchema>(
                r#"[{"name":"a","kind":"numeric"},{"name":"a","kind":"numeric"}]"#
            )
            .is_err()
        );
    }

    #[test]
    fn the_hash_depends_on_names_kinds_and_order() {
        let hash = |n: &[&str], c: &[&str]| FeatureSchema::of(n, c).unwrap().hash();
        let all = [
            hash(&["a", "b"], &[]),
            hash(&["b", "a"], &[]),
            hash(&["a"], &["b"]),
            hash(&["ab"], &[]),
        ];
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn absent_features_are_listed_together() {
        let schema = FeatureSchema::of(&["a", "b"], &["c"]).unwrap();
        assert!(schema.check(["c", "b", "a", "more"]).is_ok());
        let error = schema.check(["b"]).unwrap_err();
        assert_eq!(error.to_string(), "the rows lack the features a, c");
    }

    #[test]
    fn a_column_has_one_value_a_row() {
        let mut rows = Rows::new(2);
        assert!(rows.insert("a", Column::Numeric(vec![1.0])).is_err());
        rows.insert("a", Column::Numeric(vec![1.0, 2.0])).unwrap();
        assert_eq!(rows.select(&[1, 1]).numeric("a").unwrap(), [2.0, 2.0]);
        assert!(matches!(rows.categorical("a"), Err(Error::WrongKind { .. })));
    }
}
