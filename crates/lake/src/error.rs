//! What can go wrong in the lake.

use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use deltalake::DeltaTableError;
use parquet::errors::ParquetError;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, LakeError>;

/// Why an operation on objects, snapshots or tables failed.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The address names a kind of storage that is not supported.
    #[error("no storage for the scheme {scheme:?}; supported are file://, s3:// and plain paths")]
    UnsupportedScheme {
        /// The address's scheme.
        scheme: String,
    },
    /// The store's root cannot be reached.
    #[error("cannot open the store at {location}")]
    Open {
        /// The address as given.
        location: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A name is not valid as the path of an object.
    #[error("{path:?} is not a path of an object")]
    Path {
        /// The path as given.
        path: String,
        /// The cause.
        #[source]
        source: object_store::path::Error,
    },
    /// An object could not be read, written, listed or deleted.
    #[error("cannot {action} object {path}")]
    Object {
        /// What was tried.
        action: &'static str,
        /// The object.
        path: String,
        /// The cause.
        #[source]
        source: object_store::Error,
    },
    /// A snapshot could not be encoded.
    #[error("cannot encode the snapshot of {stage} partition {partition}")]
    Encode {
        /// The stage.
        stage: String,
        /// Its partition.
        partition: i32,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An operation on a table failed.
    #[error("cannot {action} table {table}")]
    Delta {
        /// What was tried.
        action: &'static str,
        /// The table.
        table: String,
        /// The cause.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// Somebody else committed progress of the same application ids, or a new schema: reload and begin again.
    #[error("a commit to table {table} is based on version {base}, which has been overtaken")]
    Conflict {
        /// The table.
        table: String,
        /// The version that the commit was based on.
        base: i64,
        /// The cause.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// The progress of an application id would go back.
    #[error("progress of {app_id} in table {table} stands at {committed} and cannot go back to {given}")]
    ProgressBack {
        /// The table.
        table: String,
        /// The application id.
        app_id: String,
        /// What the table says.
        committed: i64,
        /// What was to be committed.
        given: i64,
    },
    /// Rows came with progress that is committed already.
    #[error("rows for table {table} come with progress that is committed already")]
    Repeated {
        /// The table.
        table: String,
    },
    /// A column's type is not the table's.
    #[error("column {column} of table {table} is {existing}, not {given}")]
    ColumnConflict {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The table's type.
        existing: String,
        /// The type that was given.
        given: String,
    },
    /// A column that is asked for or given is not in the table, or a required one is missing.
    #[error("table {table} and the rows or the question disagree about column {column}: {reason}")]
    Column {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A column's type cannot be stored in a table.
    #[error("column {column} of table {table} has type {data_type}, which a table cannot hold")]
    UnsupportedType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its type.
        data_type: DataType,
    },
    /// Another program has given the table a property that this crate does not understand.
    #[error("table {table} uses {feature}, which is not supported here")]
    UnsupportedTable {
        /// The table.
        table: String,
        /// The property.
        feature: &'static str,
    },
    /// The table's log is incomplete or says what it should not.
    #[error("the log of table {table} is damaged: {reason}")]
    Log {
        /// The table.
        table: String,
        /// What is wrong.
        reason: String,
    },
    /// Rows do not fit their schema.
    #[error("rows of table {table} do not fit its schema")]
    Rows {
        /// The table.
        table: String,
        /// The cause.
        #[source]
        source: ArrowError,
    },
    /// A data file or checkpoint cannot be read.
    #[error("cannot read file {path} of table {table}")]
    File {
        /// The table.
        table: String,
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: ParquetError,
    },
}

impl LakeError {
    /// Whether the same call can succeed later; after [`LakeError::Conflict`] only once the table is reloaded.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Conflict { .. } => true,
            Self::Object { source, .. } => retryable_object(source),
            Self::Delta { source, .. } => {
                matches!(source.as_ref(), DeltaTableError::ObjectStore { source } if retryable_object(source))
            }
            _ => false,
        }
    }
}

fn retryable_object(error: &object_store::Error) -> bool {
    matches!(
        error,
        object_store::Error::Generic { .. } | object_store::Error::JoinError { .. }
    )
}
