//! Texts of few values: a vocabulary with a code for each, and one for all others.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::PreprocessingSettings;

/// The texts that have a code of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Vocabulary {
    texts: Vec<String>,
    codes: BTreeMap<String, u32>,
}

impl Vocabulary {
    /// The code of null and of every text that training did not see often enough.
    pub const UNKNOWN: u32 = 0;

    /// The code of a text.
    #[must_use]
    pub fn code(&self, text: Option<&str>) -> u32 {
        text.and_then(|text| self.codes.get(text).copied())
            .unwrap_or(Self::UNKNOWN)
    }

    /// The text of a code; `None` for the unknown.
    #[must_use]
    pub fn text(&self, code: u32) -> Option<&str> {
        let position = usize::try_from(code).ok()?.checked_sub(1)?;
        self.texts.get(position).map(String::as_str)
    }

    /// How many codes there are, the unknown included.
    #[must_use]
    pub fn codes(&self) -> usize {
        self.texts.len() + 1
    }

    fn fit(values: &[Option<String>], settings: &PreprocessingSettings) -> Self {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for text in values.iter().flatten() {
            *counts.entry(text).or_default() += 1;
        }
        let mut frequent: Vec<(&str, usize)> = counts.into_iter().collect();
        frequent.retain(|&(_, count)| count >= settings.min_category_count);
        frequent.sort_by_key(|&(text, count)| (Reverse(count), text));
        frequent.truncate(settings.max_categories);
        Self::from(
            frequent
                .into_iter()
                .map(|(text, _)| text.to_owned())
                .collect::<Vec<_>>(),
        )
    }
}

impl From<Vec<String>> for Vocabulary {
    fn from(texts: Vec<String>) -> Self {
        let codes = texts.iter().cloned().zip(1..).collect();
        Self { texts, codes }
    }
}

impl From<Vocabulary> for Vec<String> {
    fn from(vocabulary: Vocabulary) -> Self {
        vocabulary.texts
    }
}

/// The fitted encoding of one categorical feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoricalFeature {
    /// The column.
    pub name: String,
    /// Its texts, the most frequent first.
    pub vocabulary: Vocabulary,
}

impl CategoricalFeature {
    pub(super) fn fit(name: &str, values: &[Option<String>], settings: &PreprocessingSettings) -> Self {
        Self {
            name: name.to_owned(),
            vocabulary: Vocabulary::fit(values, settings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_texts_come_first_and_ties_by_name() {
        let values: Vec<_> = ["b", "a", "c", "c", "rare", "b", "a", "c"]
            .map(|t| Some(t.to_owned()))
            .into();
        let settings = PreprocessingSettings {
            min_category_count: 2,
            max_categories: 2,
            ..Default::default()
        };
        let vocabulary = Vocabulary::fit(&values, &settings);
        assert_eq!(
            ["c", "a", "b", "rare"].map(|text| vocabulary.code(Some(text))),
            [1, 2, 0, 0]
        );
        assert_eq!(vocabulary.code(None), 0);
        assert_eq!(
            (vocabulary.text(0), vocabulary.text(1), vocabulary.text(3)),
            (None, Some("c"), None)
        );
        assert_eq!(vocabulary.codes(), 3);
    }
}
