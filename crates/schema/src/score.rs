//! Scores: what fraud teams consume.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What to do with a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Let it pass.
    Approve,
    /// Have a person look at it.
    Review,
    /// Refuse it.
    Decline,
}

impl Decision {
    /// Its name, as scores and metrics carry it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Review => "review",
            Self::Decline => "decline",
        }
    }
}

/// What was scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A transaction, with its image where that was there.
    #[default]
    Transaction,
    /// An image for itself.
    Image,
}

/// The score of one transaction, or of one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What was scored.
    #[serde(default)]
    pub subject: SubjectKind,
    /// The transaction; the one that an image belongs to, empty if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub transaction_id: String,
    /// The image that was scored, or that was there when its transaction was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// Which version of its row was scored; a later one takes the place of an earlier one.
    pub revision: i32,
    /// Calibrated probability of fraud in [0, 1]; null while no model is there.
    pub score: Option<f64>,
    /// What to do with the transaction.
    pub decision: Decision,
    /// Why: the thresholds and rules that led to the decision.
    pub decided_by: DecidedBy,
    /// The largest contributions to the score, largest first.
    pub reasons: Vec<Contribution>,
    /// Alias under which the model was used; null while there is none.
    pub model: Option<String>,
    /// Version of its bundle: a SHA-256.
    pub version: Option<String>,
    /// Hash of the features that the model reads.
    pub feature_schema: Option<String>,
    /// When the transaction took place (RFC 3339).
    pub event_time: String,
    /// When it was scored (RFC 3339).
    pub scored_at: String,
    /// The transaction's amount, in the currency's smallest unit.
    pub amount_minor: Option<i64>,
    /// The transaction's currency.
    pub currency: Option<String>,
    /// The transaction's entities, tokenised where they are numbers of cards or accounts.
    pub entities: BTreeMap<String, String>,
    /// Whether its row came out of turn, so that windows of rows before it did not hold it.
    pub late: bool,
    /// The raw record it came from.
    pub source: Source,
}

/// What a decision rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum DecidedBy {
    /// The score against these thresholds.
    Thresholds {
        /// From here on a person looks at it.
        review: f64,
        /// From here on it is refused.
        decline: f64,
    },
    /// No model has been published yet: the configured decision for that.
    ColdStart,
}

/// What a feature did to a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The feature.
    pub feature: String,
    /// Its value, as text for categories; null if it was missing.
    pub value: serde_json::Value,
    /// By how much it moved the score's logit, against a usual transaction.
    pub contribution: f32,
    /// The same in plain language.
    pub text: String,
}

/// The raw record that a score came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// The record's timestamp, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cold_start_says_so_and_names_no_score() {
        let score = Score {
            subject: SubjectKind::Transaction,
            transaction_id: "t".into(),
            image_id: None,
            revision: 0,
            score: None,
            decision: Decision::Review,
            decided_by: DecidedBy::ColdStart,
            reasons: vec![],
            model: None,
            version: None,
            feature_schema: None,
            event_time: "2025-01-01T00:00:00Z".into(),
            scored_at: "2025-01-01T00:00:01Z".into(),
            amount_minor: Some(100),
            currency: Some("EUR".into()),
            entities: BTreeMap::new(),
            late: false,
            source: Source {
                topic: "raw".into(),
                partition: 0,
                offset: 1,
                timestamp_ms: 2,
            },
        };
        let json = serde_json::to_value(&score).expect("serialises");
        assert!(json["score"].is_null() && json["version"].is_null());
        assert_eq!(json["decided_by"]["kind"], "cold_start");
        assert_eq!(serde_json::from_value::<Score>(json).expect("reads"), score);
    }
}
