//! Opening, creating, widening and reloading a table.

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::kernel::transaction::{CommitProperties, TransactionError};
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError, TableProperty};

use super::{Table, delta_error, progress, schema};
use crate::error::{LakeError, Result};
use crate::store::Store;

/// Commits between two checkpoints: loading reads one checkpoint and at most as many commits.
pub(super) const CHECKPOINT_INTERVAL: u64 = 100;
/// How often others may create or change the table while it is being opened.
const OPEN_ATTEMPTS: usize = 10;
const OPEN: &str = "open";

/// See [`Table::open_or_create`].
pub(super) fn open_or_create(store: &Store, name: &str, wanted: SchemaRef) -> Result<Table> {
    schema::to_delta(name, wanted.fields())?;
    let url = store.folder(name)?;
    let mut delta = DeltaTableBuilder::from_url(url)
        .and_then(DeltaTableBuilder::build)
        .map_err(|e| delta_error(name, OPEN, e))?;
    for _ in 0..OPEN_ATTEMPTS {
        if !ready(store, name, &mut delta, &wanted)? {
            continue;
        }
        let existing = existing_schema(name, &delta)?;
        let version = delta.version().unwrap_or_default();
        let progress = store.wait(progress::load(name, &delta.log_store(), version))?;
        let schema = schema::view(&existing, &wanted);
        let (name, store) = (name.to_owned(), store.clone());
        return Ok(Table {
            name,
            store,
            delta,
            built: version,
            wanted,
            schema,
            progress,
        });
    }
    Err(delta_error(
        name,
        OPEN,
        DeltaTableError::generic("others keep changing it"),
    ))
}

/// See [`Table::reload`]; up to a version, if one is given.
pub(super) fn reload(table: &mut Table, version: Option<u64>) -> Result<()> {
    const RELOAD: &str = "reload";
    let mut delta = table.delta.clone();
    table
        .store
        .wait(delta.update_incremental(version))
        .map_err(|e| table.delta_error(RELOAD, e))?;
    let existing = existing_schema(&table.name, &delta)?;
    let (from, to) = (
        table.delta.version().unwrap_or_default(),
        delta.version().unwrap_or_default(),
    );
    let log = delta.log_store();
    let mut progress = table.progress.clone();
    if to > from + CHECKPOINT_INTERVAL {
        // Further back than a checkpoint, commits may be gone; and the checkpoint is quicker.
        progress = table.store.wait(progress::load(&table.name, &log, to))?;
    } else {
        for version in from + 1..=to {
            progress::apply(
                &table.store.wait(progress::commit(&table.name, &log, version))?,
                &mut progress,
            );
        }
    }
    if to / CHECKPOINT_INTERVAL != table.built / CHECKPOINT_INTERVAL {
        // A state that only ever grows keeps one batch a commit, and every further commit goes through them all.
        delta = DeltaTable::new(log);
        table
            .store
            .wait(delta.load_version(to))
            .map_err(|e| table.delta_error(RELOAD, e))?;
        table.built = to;
    }
    table.schema = schema::view(&existing, &table.wanted);
    table.delta = delta;
    table.progress = progress;
    Ok(())
}

/// Whether an error says that somebody else's commit stands in the way of one's own.
pub(super) fn is_conflict(error: &DeltaTableError) -> bool {
    match error {
        DeltaTableError::Transaction { source } => {
            matches!(
                source,
                TransactionError::CommitConflict(_) | TransactionError::MaxCommitAttempts(_)
            )
        }
        // The commits since the base are gone: it is far behind.
        DeltaTableError::VersionAlreadyExists(_) | DeltaTableError::InvalidVersion(_) => true,
        _ => false,
    }
}

/// Brings the table into being, or up to the columns wanted; false if somebody else was in the way.
fn ready(store: &Store, name: &str, delta: &mut DeltaTable, wanted: &Schema) -> Result<bool> {
    let open_error = |e| delta_error(name, OPEN, e);
    if !store
        .wait(delta.verify_deltatable_existence())
        .map_err(open_error)?
    {
        return create(store, name, delta, wanted);
    }
    store.wait(delta.update_state()).map_err(open_error)?;
    refuse_foreign_features(name, delta)?;
    let missing = schema::missing(name, &existing_schema(name, delta)?, wanted)?;
    if missing.is_empty() {
        Ok(true)
    } else {
        widen(store, name, delta, &missing)
    }
}

fn create(store: &Store, name: &str, delta: &mut DeltaTable, wanted: &Schema) -> Result<bool> {
    let mut builder = delta
        .create()
        .with_save_mode(SaveMode::ErrorIfExists)
        .with_columns(schema::to_delta(name, wanted.fields())?)
        .with_configuration_property(TableProperty::CheckpointInterval, Some(CHECKPOINT_INTERVAL.to_string()))
        // Without retries: on losing the race for version 0, a retry would put this schema over the winner's.
        .with_commit_properties(quiet().with_max_retries(0));
    if let Some(columns) = statistics_columns(wanted) {
        builder = builder.with_configuration_property(TableProperty::DataSkippingStatsColumns, Some(columns));
    }
    match store.wait(builder.into_future()) {
        Ok(created) => {
            *delta = created;
            Ok(true)
        }
        Err(error) => {
            let exists = store.wait(delta.verify_deltatable_existence()).unwrap_or(false);
            if exists {
                Ok(false)
            } else {
                Err(delta_error(name, "create", error))
            }
        }
    }
}

fn widen(store: &Store, name: &str, delta: &mut DeltaTable, missing: &[FieldRef]) -> Result<bool> {
    let fields = schema::to_delta(name, missing)?;
    let builder = delta
        .clone()
        .add_columns()
        .with_fields(fields)
        .with_commit_properties(quiet());
    match store.wait(builder.into_future()) {
        Ok(widened) => {
            *delta = widened;
            Ok(true)
        }
        Err(error) if is_conflict(&error) => Ok(false),
        Err(error) => Err(delta_error(name, "add columns to", error)),
    }
}

/// Commits only: no checkpoint, no cleaning up, whose failure would read as the commit's.
pub(super) fn quiet() -> CommitProperties {
    CommitProperties::default()
        .with_create_checkpoint(false)
        .with_cleanup_expired_logs(Some(false))
}

/// The columns whose least and greatest values the log keeps for each file: the instants. Feature tables are wide,
/// and statistics of all columns would be most of the log.
fn statistics_columns(schema: &Schema) -> Option<String> {
    let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let is_instant = |field: &&FieldRef| matches!(field.data_type(), DataType::Timestamp(..));
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .filter(is_instant)
        .map(|f| f.name().as_str())
        .filter(|n| plain(n))
        .collect();
    (!names.is_empty()).then(|| names.join(","))
}

fn existing_schema(name: &str, delta: &DeltaTable) -> Result<Schema> {
    let snapshot = delta.snapshot().map_err(|e| delta_error(name, OPEN, e))?;
    let schema: Schema = snapshot
        .schema()
        .as_ref()
        .try_into_arrow()
        .map_err(|source| LakeError::Rows {
            table: name.to_owned(),
            source,
        })?;
    let bare = |f: &FieldRef| Field::new(f.name(), f.data_type().clone(), f.is_nullable());
    Ok(Schema::new(schema.fields().iter().map(bare).collect::<Vec<_>>()))
}

/// Other programs may have changed the table in ways that would be read or written wrongly here.
fn refuse_foreign_features(name: &str, delta: &DeltaTable) -> Result<()> {
    let snapshot = delta.snapshot().map_err(|e| delta_error(name, OPEN, e))?;
    let unsupported = |feature| {
        Err(LakeError::UnsupportedTable {
            table: name.to_owned(),
            feature,
        })
    };
    if !snapshot.metadata().partition_columns().is_empty() {
        return unsupported("partition columns");
    }
    let mapping = snapshot
        .metadata()
        .configuration()
        .get(TableProperty::ColumnMappingMode.as_ref());
    if mapping.is_some_and(|mode| mode != "none") {
        return unsupported("column mapping");
    }
    Ok(())
}
