//! What can be wrong with definitions and with snapshots.

use std::fmt;

/// Where in the configuration a problem lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The feature at this position, counted from zero.
    Feature(usize),
    /// The sequence.
    Sequence,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feature(index) => write!(f, "features[{index}]"),
            Self::Sequence => f.write_str("sequence"),
        }
    }
}

/// A definition that cannot be computed, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Problem {
    /// The definition at fault.
    pub place: Place,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// Why a snapshot cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The snapshot was made with other feature definitions: the state has to be rebuilt from the log.
    #[error("the snapshot was made with other feature definitions: {found:016x} instead of {expected:016x}")]
    OtherDefinitions {
        /// The fingerprint of the plan that is to go on.
        expected: u64,
        /// The fingerprint of the plan the snapshot was made with.
        found: u64,
    },
    /// The snapshot contradicts itself.
    #[error("the snapshot contradicts itself: the {part} of an entity do not fit together")]
    Inconsistent {
        /// The part that is at fault.
        part: &'static str,
    },
}

impl Error {
    /// Whether trying again can help: it never can, the snapshot stays what it is.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::OtherDefinitions { .. } | Self::Inconsistent { .. } => false,
        }
    }
}
