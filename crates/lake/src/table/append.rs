//! Rows and progress in one commit (R14).

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use deltalake::kernel::transaction::{CommitBuilder, TableReference};
use deltalake::kernel::{Action, Add, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode, checkpoints};
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::{Appended, Table, open, progress, schema};
use crate::error::{LakeError, Result};

/// Rows a row group: a time range then skips within a file as well.
const ROW_GROUP_ROWS: usize = 128 * 1024;
const TARGET_FILE_BYTES: u64 = 256 * 1024 * 1024;
const APPEND: &str = "append to";

/// See [`Table::append`].
pub(super) fn append(
    table: &mut Table,
    batches: &[RecordBatch],
    progress: &BTreeMap<String, i64>,
) -> Result<Appended> {
    let batches: Vec<_> = batches.iter().filter(|batch| batch.num_rows() > 0).collect();
    let moved = moves(table, progress)?;
    if !moved && batches.is_empty() {
        return Ok(Appended {
            version: table.version(),
        });
    }
    if !moved && !progress.is_empty() {
        return Err(LakeError::Repeated {
            table: table.name.clone(),
        });
    }
    let files = write_files(table, &batches)?;
    match commit(table, &files, progress) {
        Ok(version) => {
            follow(table, version, progress);
            Ok(Appended {
                version: i64::try_from(version).unwrap_or(i64::MAX),
            })
        }
        Err(error) => {
            if matches!(error, LakeError::Conflict { .. }) {
                delete_orphans(table, &files);
            }
            Err(error)
        }
    }
}

/// Whether any application id moves on; none may move back.
fn moves(table: &Table, progress: &BTreeMap<String, i64>) -> Result<bool> {
    let mut moved = false;
    for (app_id, &given) in progress {
        match table.progress.get(app_id) {
            Some(&committed) if given < committed => {
                let (table, app_id) = (table.name.clone(), app_id.clone());
                return Err(LakeError::ProgressBack {
                    table,
                    app_id,
                    committed,
                    given,
                });
            }
            Some(&committed) => moved |= given > committed,
            None => moved = true,
        }
    }
    Ok(moved)
}

/// Writes the rows as Parquet files that no version of the table has yet.
fn write_files(table: &Table, batches: &[&RecordBatch]) -> Result<Vec<Add>> {
    if batches.is_empty() {
        return Ok(Vec::new());
    }
    let mut writer = RecordBatchWriter::for_table(&table.delta)
        .map_err(|e| table.delta_error(APPEND, e))?
        .with_writer_properties(properties(&table.schema))
        .with_target_file_size(TARGET_FILE_BYTES);
    let target = writer.arrow_schema();
    let conformed = batches
        .iter()
        .map(|batch| schema::conform(&table.name, batch, &target))
        .collect::<Result<Vec<_>>>()?;
    let written = table.store.wait(async {
        for batch in conformed {
            writer.write(batch).await?;
        }
        writer.flush().await
    });
    written.map_err(|e| table.delta_error(APPEND, e))
}

fn properties(schema: &Schema) -> WriterProperties {
    let common = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
    // Measurements seldom repeat: a dictionary of them costs time and saves nothing.
    let floats = schema
        .fields()
        .iter()
        .filter(|field| field.data_type().is_floating());
    floats
        .fold(common, |all, field| {
            all.set_column_dictionary_enabled(ColumnPath::from(field.name().as_str()), false)
        })
        .build()
}

/// Makes the commit, unless one of its application ids is in a commit since the version loaded.
///
/// deltalake puts the log entry under the next version if that is absent, else checks every commit in between:
/// the same application id or a changed schema ends it, anything else lets it try the version after.
fn commit(table: &Table, files: &[Add], progress: &BTreeMap<String, i64>) -> Result<u64> {
    let transactions = progress
        .iter()
        .map(|(app_id, version)| Transaction::new(app_id, *version))
        .collect();
    let actions = files.iter().cloned().map(Action::Add).collect();
    let operation = DeltaOperation::Write {
        mode: SaveMode::Append,
        partition_by: None,
        predicate: None,
    };
    let snapshot = table.delta.snapshot().map_err(|e| table.delta_error(APPEND, e))?;
    let commit = CommitBuilder::from(open::quiet().with_application_transactions(transactions))
        .with_actions(actions)
        .build(
            Some(snapshot as &dyn TableReference),
            table.delta.log_store(),
            operation,
        );
    // The hook after a commit is not run: an error in it would hide that the commit is made.
    let made = table
        .store
        .wait(async { commit.into_prepared_commit_future().await?.await });
    match made {
        Ok(made) => Ok(made.version),
        Err(error) if open::is_conflict(&error) => Err(LakeError::Conflict {
            table: table.name.clone(),
            base: table.version(),
            source: Box::new(error),
        }),
        Err(error) => Err(table.delta_error(APPEND, error)),
    }
}

/// Brings this handle to the version just committed, with a checkpoint now and then.
///
/// Errors are logged only, as the commit is made. A handle that stays behind meets a conflict next, and reloads.
fn follow(table: &mut Table, version: u64, progress: &BTreeMap<String, i64>) {
    if let Err(error) = open::reload(table, Some(version)) {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(table = table.name, version, error, "committed version not loaded");
        return;
    }
    debug_assert!(
        progress
            .iter()
            .all(|(app_id, version)| table.progress.get(app_id) == Some(version))
    );
    if (version + 1).is_multiple_of(open::CHECKPOINT_INTERVAL) {
        let kept = table.store.wait(async {
            checkpoints::create_checkpoint(&table.delta, None).await?;
            checkpoints::cleanup_metadata(&table.delta, None).await
        });
        if let Err(error) = kept {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(table = table.name, version, error, "no checkpoint written");
        }
    }
}

/// Deletes the files of a commit that failed, as far as possible.
///
/// Only once every commit since the base has been read and names none of them: a storage that repeats a request
/// whose answer it lost can meet its own commit as a conflict.
fn delete_orphans(table: &Table, files: &[Add]) {
    let paths: Vec<_> = files.iter().map(|file| Path::from(file.path.as_str())).collect();
    match names_any(table, files) {
        Ok(false) => {}
        Ok(true) => {
            return tracing::warn!(
                table = table.name,
                "a conflict turned out to be this commit itself"
            );
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            return tracing::debug!(table = table.name, error, "files of a failed commit stay");
        }
    }
    let store = table.delta.object_store();
    for path in paths {
        if let Err(error) = table.store.wait(store.delete(&path)) {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(table = table.name, %path, error, "file of a failed commit stays");
        }
    }
}

/// Whether a commit since the base names any of these files.
fn names_any(table: &Table, files: &[Add]) -> Result<bool> {
    let log = table.delta.log_store();
    let base = table.delta.version().unwrap_or_default();
    let newest = table
        .store
        .wait(log.get_latest_version(base))
        .map_err(|e| table.delta_error(APPEND, e))?;
    for version in base + 1..=newest {
        let actions = table.store.wait(progress::commit(&table.name, &log, version))?;
        let ours =
            |action: &Action| matches!(action, Action::Add(add) if files.iter().any(|f| f.path == add.path));
        if actions.iter().any(ours) {
            return Ok(true);
        }
    }
    Ok(false)
}
