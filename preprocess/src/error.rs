//! What stops preprocess.

use thiserror::Error;

/// What stops a worker of preprocess.
#[derive(Debug, Error)]
pub enum PreprocessError {
    /// The broker could not be used.
    #[error("the broker could not be used")]
    Stream(#[from] stream::StreamError),
    /// The lake could not be used.
    #[error("the lake could not be used")]
    Lake(#[from] lake::LakeError),
    /// Rows are missing from the log (R5).
    #[error("{partition} has a gap at offset {offset}")]
    Gap {
        /// Partition of the log.
        partition: String,
        /// Offset of the batch after the gap.
        offset: i64,
        /// What is missing.
        source: eventlog::Gap,
    },
    /// A record of an internal topic cannot be read.
    #[error("{partition} holds a record at offset {offset} that no stage has written: {what}")]
    Foreign {
        /// Partition of the log.
        partition: String,
        /// Offset of the record.
        offset: i64,
        /// What is wrong with it.
        what: String,
    },
    /// Batches could not be put together.
    #[error("rows could not be put together")]
    Arrow(#[from] arrow::error::ArrowError),
    /// State could not be written or read.
    #[error("the state of a partition could not be encoded")]
    Encode(#[from] postcard::Error),
    /// A snapshot does not fit the definitions, although its name says so.
    #[error("a snapshot cannot be restored")]
    Restore(#[from] features::Error),
    /// The thread that stores snapshots has ended.
    #[error("snapshots cannot be stored")]
    Snapshots,
}

impl PreprocessError {
    /// Whether starting the worker again can help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Stream(e) => e.is_retryable(),
            Self::Lake(e) => e.is_retryable(),
            Self::Snapshots => true,
            Self::Gap { .. } | Self::Foreign { .. } | Self::Arrow(_) | Self::Encode(_) | Self::Restore(_) => {
                false
            }
        }
    }
}
