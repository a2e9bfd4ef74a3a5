//! A scored row as a score with its reasons.

use model::explanation::top_contributions;
use model::fusion::SEQUENCE_CONTRIBUTION;
use model::image::IMAGE_CONTRIBUTION;
use model::metrics::Thresholds;
use model::{Feature, FeatureKind, FeatureSchema, Rows};
use schema::score::{Contribution, DecidedBy};
use schema::{Decision, Score};
use serde_json::Value;

use crate::config::Settings;
use crate::text;

/// What all scores of a batch have in common that one model has made.
pub(crate) struct Explained<'a> {
    pub(crate) settings: &'a Settings,
    /// The alias under which the model is used.
    pub(crate) alias: &'static str,
    pub(crate) version: &'a str,
    pub(crate) schema: &'a FeatureSchema,
    pub(crate) thresholds: Thresholds,
    pub(crate) features: &'a Rows,
    hash: String,
}

/// What is neither a feature nor has a value, by its name, as people say it.
const PARTS: [(&str, &str); 2] = [
    (IMAGE_CONTRIBUTION, "the image itself"),
    (SEQUENCE_CONTRIBUTION, "the course of recent transactions"),
];

impl<'a> Explained<'a> {
    pub(crate) fn new(
        settings: &'a Settings,
        (alias, version): (&'static str, &'a str),
        (schema, features): (&'a FeatureSchema, &'a Rows),
        thresholds: Thresholds,
    ) -> Self {
        Self {
            hash: schema.hash(),
            settings,
            alias,
            version,
            schema,
            thresholds,
            features,
        }
    }

    /// The score of a row, which was cold; `names` are those of the contributions.
    pub(crate) fn score<'n>(
        &self,
        cold: Score,
        row: usize,
        probability: f64,
        contributions: &[f32],
        names: impl Fn(usize) -> &'n str,
    ) -> Score {
        let (decision, decided_by) = self.decide(probability);
        let top = top_contributions(contributions, self.settings.section.reasons);
        Score {
            score: Some(probability),
            decision,
            decided_by,
            reasons: top
                .into_iter()
                .map(|(nth, by)| self.contribution(row, nth, names(nth), by))
                .collect(),
            model: Some(self.alias.to_owned()),
            version: Some(self.version.to_owned()),
            feature_schema: Some(self.hash.clone()),
            ..cold
        }
    }

    fn decide(&self, probability: f64) -> (Decision, DecidedBy) {
        let Thresholds { review, decline } = self.thresholds;
        let decision = match probability {
            p if p >= decline => Decision::Decline,
            p if p >= review => Decision::Review,
            _ => Decision::Approve,
        };
        (decision, DecidedBy::Thresholds { review, decline })
    }

    fn contribution(&self, row: usize, nth: usize, name: &str, by: f32) -> Contribution {
        let (value, text) = match self.schema.features().get(nth) {
            Some(feature) => {
                let value = self.value(feature, row);
                let text = text::reason(&feature.name, feature.kind, &value, by);
                (value, text)
            }
            None => {
                let part = PARTS.iter().find(|(of, _)| *of == name);
                (Value::Null, text::whole(part.map_or(name, |(_, part)| part), by))
            }
        };
        Contribution {
            feature: name.to_owned(),
            value,
            contribution: by,
            text,
        }
    }

    fn value(&self, feature: &Feature, row: usize) -> Value {
        match feature.kind {
            FeatureKind::Numeric => {
                let values = self.features.numeric(&feature.name).ok();
                let number = values.and_then(|values| serde_json::Number::from_f64(values[row]));
                number.map_or(Value::Null, Value::Number)
            }
            FeatureKind::Categorical => {
                let values = self.features.categorical(&feature.name).ok();
                values
                    .and_then(|values| values[row].clone())
                    .map_or(Value::Null, Value::String)
            }
        }
    }
}
