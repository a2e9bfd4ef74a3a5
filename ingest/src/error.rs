//! What stops ingest.

use thiserror::Error;

/// What stops ingest. Bad records do not: they become dead letters.
#[derive(Debug, Error)]
pub enum IngestError {
    /// The broker could not be used.
    #[error("the broker could not be used")]
    Stream(#[from] stream::StreamError),
    /// A batch could not be encoded.
    #[error("a batch of events could not be encoded")]
    Encode(#[from] arrow::error::ArrowError),
    /// The offset metadata of a partition was not written by this stage.
    #[error("the committed metadata of {partition} cannot be read")]
    CommitNote {
        /// The partition.
        partition: String,
        /// What is wrong with it.
        source: eventlog::MetadataError,
    },
    /// The broker went back behind what was read: records are lost.
    #[error("{partition} continues at offset {found} where {expected} was asked for")]
    Lost {
        /// The partition.
        partition: String,
        /// The offset found.
        found: i64,
        /// The offset asked for.
        expected: i64,
    },
    /// The threads that look at images have ended, or did not start.
    #[error("images cannot be looked at")]
    Images,
    /// The thread of dead letters has ended.
    #[error("dead letters cannot be written")]
    Letters,
}

impl IngestError {
    /// Whether starting the worker again can help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Stream(e) => e.is_retryable(),
            Self::Letters | Self::Images => true,
            Self::Encode(_) | Self::CommitNote { .. } | Self::Lost { .. } => false,
        }
    }
}
