//! Why an image is refused.

use std::error::Error;

use super::Format;

/// The cause that a decoder gives.
pub(super) type Cause = Box<dyn Error + Send + Sync>;

/// Why an image is refused. Retrying never helps: the same bytes are refused again.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The file is too large.
    #[error("{found} bytes are more than the {limit} allowed")]
    Bytes {
        /// Bytes of the file.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The bytes begin like no format that is admitted; an empty file is among them.
    #[error("neither JPEG, PNG, TIFF nor WebP")]
    Unrecognised,
    /// The file uses a part of its format that no document needs.
    #[error("{format} with {what} is not supported")]
    Unsupported {
        /// Format of the file.
        format: Format,
        /// What is used.
        what: &'static str,
    },
    /// A side is too long.
    #[error("{width} × {height} pixels have a side longer than the {limit} allowed")]
    Side {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Pixels a side may have.
        limit: u32,
    },
    /// A frame has too many pixels.
    #[error("{width} × {height} pixels are more than the {limit} allowed")]
    Pixels {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Pixels a frame may have.
        limit: u64,
    },
    /// There are too many frames.
    #[error("at least {found} frames are more than the {limit} allowed")]
    Frames {
        /// Frames declared, or found when counting stopped.
        found: usize,
        /// Frames allowed.
        limit: usize,
    },
    /// Decoding would take too much memory.
    #[error("decoding takes up to {needed} bytes of memory, more than the {limit} allowed")]
    Memory {
        /// Bytes needed at most.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Compressed metadata inflate too far.
    #[error("metadata inflate beyond the {limit} bytes allowed")]
    Metadata {
        /// Bytes that the metadata may have, all together.
        limit: usize,
    },
    /// Compressed pixels inflate beyond what the header declares.
    #[error("pixels inflate beyond the {declared} bytes that the header declares")]
    Inflation {
        /// Bytes that the declared size has.
        declared: u64,
    },
    /// The file ends too early.
    #[error("{format} ends too early")]
    Truncated {
        /// Format of the file.
        format: Format,
    },
    /// The file breaks its format.
    #[error("damaged {format}: {what}")]
    Damaged {
        /// Format of the file.
        format: Format,
        /// What is wrong.
        what: &'static str,
    },
    /// The pixels cannot be decoded.
    #[error("damaged {format}: its pixels cannot be decoded")]
    Undecodable {
        /// Format of the file.
        format: Format,
        /// What the decoder says.
        #[source]
        source: Cause,
    },
}

impl Refusal {
    /// The refusal's code, as dead letters and metrics carry it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Bytes { .. } => "bytes",
            Self::Unrecognised => "unrecognised",
            Self::Unsupported { .. } => "unsupported",
            Self::Side { .. } => "side",
            Self::Pixels { .. } => "pixels",
            Self::Frames { .. } => "frames",
            Self::Memory { .. } => "memory",
            Self::Metadata { .. } => "metadata",
            Self::Inflation { .. } => "inflation",
            Self::Truncated { .. } => "truncated",
            Self::Damaged { .. } => "damaged",
            Self::Undecodable { .. } => "undecodable",
        }
    }
}
