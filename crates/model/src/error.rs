//! What can go wrong with a table, a training run or a bundle.

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can fail in this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A column or list has another length than the rows it belongs to.
    #[error("{name} has {found} values where {expected} are needed")]
    Length {
        /// The column or list.
        name: String,
        /// Its length.
        found: usize,
        /// The number of rows.
        expected: usize,
    },
    /// A feature schema names a feature twice.
    #[error("the feature {name} is listed twice")]
    DuplicateFeature {
        /// The feature.
        name: String,
    },
    /// A feature has the name of a contribution that is not a feature's.
    #[error("a feature cannot be named {name}: a contribution of the model has that name")]
    ReservedFeature {
        /// The feature.
        name: String,
    },
    /// The rows have no column for features that are needed.
    #[error("the rows lack the features {}", names.join(", "))]
    MissingFeatures {
        /// The features, in the order of the schema.
        names: Vec<String>,
    },
    /// A column holds text where numbers are needed, or the other way round.
    #[error("the column {name} is not {expected}")]
    WrongKind {
        /// The column.
        name: String,
        /// What the schema wants it to be.
        expected: &'static str,
    },
    /// A part of the data has no rows, or only rows of one class.
    #[error("the {part} rows hold {rows} rows with {positives} positives, too few to learn from")]
    TooFewRows {
        /// Which part of the data.
        part: &'static str,
        /// Its rows.
        rows: usize,
        /// Its rows with a positive label.
        positives: usize,
    },
    /// A setting has a value that cannot work.
    #[error("the setting {name} must be {must_be}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What values it may have.
        must_be: &'static str,
    },
    /// A parameter of a network got no gradient: an operation in between does not pass one on.
    #[error("the parameter {name} receives no gradient")]
    NoGradient {
        /// The parameter.
        name: String,
    },
    /// A number that has to be finite is not.
    #[error("{what} is not a finite number")]
    NotFinite {
        /// The number.
        what: String,
    },
    /// The network to start from has another shape than the settings ask for.
    #[error("the bundle to start from has another network or feature schema")]
    WarmStart,
    /// A file of the bundle is absent.
    #[error("the bundle lacks the file {name}")]
    MissingFile {
        /// The file.
        name: &'static str,
    },
    /// The bundle was written in a format that this version does not read.
    #[error("the bundle has format {found}, this version reads format {supported}")]
    Format {
        /// The format of the bundle.
        found: u32,
        /// The format that is read.
        supported: u32,
    },
    /// The bundle holds a model of another kind.
    #[error("the bundle is a model of kind {found} where one of kind {expected} is needed")]
    Kind {
        /// Its kind.
        found: crate::ModelKind,
        /// What is needed.
        expected: crate::ModelKind,
    },
    /// Bytes do not have the hash that was recorded for them.
    #[error("the {what} has the hash {found} where {expected} is recorded")]
    Hash {
        /// What was hashed.
        what: &'static str,
        /// The hash of the bytes.
        found: String,
        /// The hash that is recorded.
        expected: String,
    },
    /// The manifest is not written the one way its version is computed from.
    #[error("the manifest is not in canonical form")]
    NotCanonical,
    /// The manifest contradicts itself.
    #[error("the manifest does not fit together: {reason}")]
    Inconsistent {
        /// What does not fit.
        reason: &'static str,
    },
    /// The manifest is not the JSON it should be.
    #[error("the manifest cannot be read")]
    Manifest(#[source] serde_json::Error),
    /// The weights are not a safetensors file.
    #[error("the weights cannot be read")]
    Weights(#[source] safetensors::SafeTensorError),
    /// The weights lack a tensor, or it has another shape or type.
    #[error("the tensor {name} is absent or does not have the shape {shape:?}")]
    Tensor {
        /// The tensor.
        name: String,
        /// The shape it should have.
        shape: Vec<usize>,
    },
    /// candle failed.
    #[error("the network could not be computed")]
    Compute(#[from] candle_core::Error),
}

impl Error {
    /// Whether trying again with the same operands can help: it never can, everything here is a pure function.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        false
    }
}
