//! What can be wrong with what was read.

use crate::Writer;

/// The alarm of R5: a batch says that rows were sent before it which the reader has not seen.
///
/// The reader has to stop: rows are lost, and everything it would make from here on could be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rows of {writer} up to index {index_before} were sent, but seen only up to {seen}")]
pub struct Gap {
    /// Whose rows are missing.
    pub writer: Writer,
    /// The highest index it had sent to this partition before the batch.
    pub index_before: i64,
    /// The highest index that was seen.
    pub seen: i64,
}

impl Gap {
    /// Whether reading again can help: it cannot, the log itself has a hole.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        false
    }
}

/// The bytes are no batch header.
#[derive(Debug, thiserror::Error)]
#[error("not a batch header of the log")]
pub struct HeaderError(#[from] serde_json::Error);

impl HeaderError {
    /// Whether reading again can help: it cannot.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        false
    }
}

/// The text that was committed with an offset is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("not offset metadata of the log")]
pub struct MetadataError(#[from] serde_json::Error);

impl MetadataError {
    /// Whether reading again can help: it cannot.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        false
    }
}
