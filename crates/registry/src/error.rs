//! What can go wrong in the registry.

use lake::LakeError;
use model::ModelKind;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, RegistryError>;

/// Why the registry could not do something.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The store does not work.
    #[error("the registry's store failed")]
    Store(#[from] LakeError),
    /// There is no such version, or it is not complete yet.
    #[error("there is no model of version {version:?}")]
    UnknownVersion {
        /// The version asked for.
        version: String,
    },
    /// The files of a version are not the bundle they should be.
    #[error("the files of model {version} are not its bundle")]
    Bundle {
        /// The version.
        version: String,
        /// The cause.
        #[source]
        source: model::Error,
    },
    /// A file is not the pretrained network it should be.
    #[error("the file is not the pretrained network that image models start from")]
    Backbone {
        /// The cause.
        #[source]
        source: model::Error,
    },
    /// An object that is written once holds something else.
    #[error("object {path} is there already, with other content")]
    Occupied {
        /// The object.
        path: String,
    },
    /// There is no such alias.
    #[error(
        "{alias:?} is no alias of a model; there are {}",
        crate::ALIASES.map(|(alias, _)| alias).join(", ")
    )]
    UnknownAlias {
        /// The alias given.
        alias: String,
    },
    /// A model is of another kind than an alias stands for.
    #[error("{alias} stands for models of kind {expected}, {version} is one of kind {found}")]
    OtherKind {
        /// The alias.
        alias: String,
        /// The model.
        version: String,
        /// The model's kind.
        found: ModelKind,
        /// The alias's kind.
        expected: ModelKind,
    },
    /// An announcement is not later than the one in force.
    #[error("the {alias} announced for {at_us} would be older than the one of {current_us}")]
    NotLater {
        /// The alias.
        alias: String,
        /// The new announcement's time.
        at_us: i64,
        /// The time of the one in force.
        current_us: i64,
    },
    /// An announcement cannot be written or read as JSON.
    #[error("announcement {path} cannot be written or read")]
    Announcement {
        /// The object.
        path: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}

impl RegistryError {
    /// Whether the same call can succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            _ => false,
        }
    }
}
