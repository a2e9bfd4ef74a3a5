//! Why a record was refused. Bad data is not an error: it becomes a dead letter with its reason.

use serde::{Deserialize, Serialize};

/// The reason code of a dead letter. The names are part of the contract with users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The payload is empty.
    Empty,
    /// The record is larger than the limit.
    TooLarge,
    /// It cannot be decoded: not JSON, not UTF-8, nested too deeply.
    Undecodable,
    /// A required field is missing, or of the wrong type.
    InvalidField,
    /// An identifier is empty, too long or has control characters.
    InvalidId,
    /// An amount is no number, negative, absurd, or has more decimals than its currency.
    InvalidAmount,
    /// The currency is not in ISO 4217.
    UnknownCurrency,
    /// A time cannot be read, lies too far in the past, or in the future of the record that brings it.
    InvalidTime,
    /// An entity that the pipeline keys by is missing.
    MissingEntity,
    /// An image cannot be admitted: no format that is known, damaged, or past a limit.
    InvalidImage,
    /// An image's file is not where the record says, or may not be fetched from there.
    MissingContent,
}

impl Reason {
    /// Every reason, in the order of its definition.
    pub const ALL: [Self; 11] = [
        Self::Empty,
        Self::TooLarge,
        Self::Undecodable,
        Self::InvalidField,
        Self::InvalidId,
        Self::InvalidAmount,
        Self::UnknownCurrency,
        Self::InvalidTime,
        Self::MissingEntity,
        Self::InvalidImage,
        Self::MissingContent,
    ];

    /// The reason's code, as dead letters and metrics carry it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::Undecodable => "undecodable",
            Self::InvalidField => "invalid_field",
            Self::InvalidId => "invalid_id",
            Self::InvalidAmount => "invalid_amount",
            Self::UnknownCurrency => "unknown_currency",
            Self::InvalidTime => "invalid_time",
            Self::MissingEntity => "missing_entity",
            Self::InvalidImage => "invalid_image",
            Self::MissingContent => "missing_content",
        }
    }
}

/// A refused record: the reason's code, and a sentence for the person who mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Reason code.
    pub reason: Reason,
    /// What is wrong, naming the field; holds no more of the record than that needs.
    pub message: String,
}

impl Reject {
    /// A refusal for this reason.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

/// The headers that a dead letter carries besides the original ones.
pub mod headers {
    /// Topic of the original record.
    pub const TOPIC: &str = "riskstream.source.topic";
    /// Partition of the original record.
    pub const PARTITION: &str = "riskstream.source.partition";
    /// Offset of the original record.
    pub const OFFSET: &str = "riskstream.source.offset";
    /// Timestamp of the original record, milliseconds since the Unix epoch.
    pub const TIMESTAMP: &str = "riskstream.source.timestamp_ms";
    /// The stage that refused it.
    pub const STAGE: &str = "riskstream.stage";
    /// Reason code.
    pub const REASON: &str = "riskstream.reason";
    /// How many bytes the original has, where the letter could not hold them: they stay in the original's topic.
    pub const OMITTED_BYTES: &str = "riskstream.omitted_bytes";
    /// What is wrong, for a person.
    pub const MESSAGE: &str = "riskstream.message";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_serialised_names() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).expect("serialises"), reason.code());
        }
    }
}
