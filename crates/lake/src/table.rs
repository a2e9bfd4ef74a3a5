//! A Delta table with exactly-once appends.

mod append;
mod open;
mod progress;
mod scan;
mod schema;

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use deltalake::{DeltaTable, DeltaTableError};

use crate::error::{LakeError, Result};
use crate::store::Store;

pub use self::scan::Scan;

/// A Delta table as of one version, and the way to add to it.
///
/// Rows and the progress that they were made from go into one commit (R14). Two handles on one table, in one
/// process or several, are kept apart by the table's log: a commit whose application ids have moved since the
/// version loaded here fails.
#[derive(Debug)]
pub struct Table {
    name: String,
    store: Store,
    delta: DeltaTable,
    /// The version that the state was built from the log at; what came since was added to it.
    built: u64,
    /// The columns as the opener asked for them.
    wanted: SchemaRef,
    schema: SchemaRef,
    /// Application ids and their versions as of the loaded version.
    progress: BTreeMap<String, i64>,
}

/// A commit that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The table's version that it is.
    pub version: i64,
}

/// Rows by time: those with `from_us <= column < to_us`; rows without a time are in no range.
///
/// # Units
/// Microseconds since the Unix epoch, for an instant as for an `Int64` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange<'a> {
    /// The column of instants, or of `Int64` microseconds.
    pub column: &'a str,
    /// The first instant in it.
    pub from_us: i64,
    /// The first instant after it.
    pub to_us: i64,
}

impl Table {
    /// Opens the table in this folder of the store, creates it, or gives it the columns it lacks.
    ///
    /// Columns added to an existing table can be null, whatever the schema given says; the rows already there
    /// have none. Columns of the table that the schema lacks stay, and are null in rows appended from here.
    ///
    /// # Errors
    /// [`LakeError::ColumnConflict`] where a column has another type, [`LakeError::UnsupportedType`] for one that
    /// no table can hold, and what the storage says.
    pub fn open_or_create(store: &Store, name: &str, schema: SchemaRef) -> Result<Self> {
        open::open_or_create(store, name, schema)
    }

    /// Its folder in the store.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version loaded.
    #[must_use]
    pub fn version(&self) -> i64 {
        i64::try_from(self.delta.version().unwrap_or_default()).unwrap_or(i64::MAX)
    }

    /// The table's columns, in the types they were asked for.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The application ids that begin with this prefix and how far each has come, as of the version loaded.
    #[must_use]
    pub fn progress(&self, app_prefix: &str) -> BTreeMap<String, i64> {
        let from = self.progress.range(app_prefix.to_owned()..);
        from.take_while(|(id, _)| id.starts_with(app_prefix))
            .map(|(id, v)| (id.clone(), *v))
            .collect()
    }

    /// Adds rows and moves application ids, in one commit: both or neither (R14).
    ///
    /// Rows may lack columns that can be null. Rows without progress are possible, but then a repeated call
    /// repeats them. What is neither rows nor a move of progress makes no commit.
    ///
    /// # Errors
    /// [`LakeError::Conflict`] if any of these ids moved since the version loaded here, or the schema changed:
    /// nothing is added; [`Table::reload`] and begin again from [`Table::progress`].
    /// [`LakeError::ProgressBack`] and [`LakeError::Repeated`] for progress that the table has already.
    /// After any other error the commit may or may not have been made; reloading tells.
    pub fn append(&mut self, batches: &[RecordBatch], progress: &BTreeMap<String, i64>) -> Result<Appended> {
        append::append(self, batches, progress)
    }

    /// Loads the newest version.
    ///
    /// # Errors
    /// What the storage says; the version loaded stays then.
    pub fn reload(&mut self) -> Result<()> {
        open::reload(self, None)
    }

    /// Reads rows of the version loaded; see [`Table::scan`].
    ///
    /// # Errors
    /// Those of [`Table::scan`].
    pub fn read(&self, columns: Option<&[&str]>, filter: Option<TimeRange<'_>>) -> Result<Vec<RecordBatch>> {
        self.scan(columns, filter)?.collect()
    }

    /// Reads rows of the version loaded, batch by batch: these columns in this order, or all, within a time range.
    ///
    /// Rows of one append follow one another in their order; the appends come in no order to rely on.
    /// Files and row groups outside the range are not read.
    ///
    /// # Errors
    /// [`LakeError::Column`] for a column that the table lacks or that has no times; reading errors come with the
    /// batches.
    pub fn scan(&self, columns: Option<&[&str]>, filter: Option<TimeRange<'_>>) -> Result<Scan> {
        Scan::new(self, &self.delta, columns, filter)
    }

    /// Reads rows as [`Table::scan`], of an earlier version of the table, under the columns of the loaded one.
    ///
    /// # Errors
    /// Those of [`Table::scan`]; [`LakeError::Delta`] where the version is not there or too old to be known.
    pub fn read_at(
        &self,
        version: i64,
        columns: Option<&[&str]>,
        filter: Option<TimeRange<'_>>,
    ) -> Result<Vec<RecordBatch>> {
        let mut delta = DeltaTable::new(self.delta.log_store());
        let wanted = u64::try_from(version).map_err(|_| {
            self.delta_error(
                "read an earlier version of",
                DeltaTableError::generic("versions begin at 0"),
            )
        })?;
        self.store
            .wait(delta.load_version(wanted))
            .map_err(|e| self.delta_error("read an earlier version of", e))?;
        Scan::new(self, &delta, columns, filter)?.collect()
    }

    fn delta_error(&self, action: &'static str, source: DeltaTableError) -> LakeError {
        delta_error(&self.name, action, source)
    }
}

fn delta_error(table: &str, action: &'static str, source: DeltaTableError) -> LakeError {
    LakeError::Delta {
        action,
        table: table.to_owned(),
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests;
