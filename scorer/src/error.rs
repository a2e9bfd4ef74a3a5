//! What stops the scorer.

use thiserror::Error;

/// What stops the scorer.
#[derive(Debug, Error)]
pub enum ScorerError {
    /// The broker could not be used.
    #[error("the broker could not be used")]
    Stream(#[from] stream::StreamError),
    /// A model could not be loaded.
    #[error("a model could not be loaded")]
    Registry(#[from] registry::RegistryError),
    /// A model does not fit the rows.
    #[error("a model cannot be used")]
    Model(#[from] model::Error),
    /// Rows are missing from the feature log (R5).
    #[error("{partition} has a gap at offset {offset}")]
    Gap {
        /// Partition of the feature log.
        partition: String,
        /// Offset of the batch after the gap.
        offset: i64,
        /// What is missing.
        source: eventlog::Gap,
    },
    /// A record of the feature log cannot be read.
    #[error("{partition} holds a record at offset {offset} that no stage has written: {what}")]
    Foreign {
        /// Partition of the feature log.
        partition: String,
        /// Offset of the record.
        offset: i64,
        /// What is wrong with it.
        what: String,
    },
    /// Rows could not be taken apart.
    #[error("rows could not be taken apart")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The committed numbers of a partition were not written by a scorer.
    #[error("the committed metadata of {partition} cannot be read")]
    Metadata {
        /// Partition of the feature log.
        partition: String,
        /// What is wrong with it.
        source: eventlog::MetadataError,
    },
}

impl ScorerError {
    /// Whether starting the worker again can help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Stream(e) => e.is_retryable(),
            Self::Registry(e) => e.is_retryable(),
            Self::Model(_)
            | Self::Arrow(_)
            | Self::Gap { .. }
            | Self::Foreign { .. }
            | Self::Metadata { .. } => false,
        }
    }
}
