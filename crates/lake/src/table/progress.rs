//! Application ids and their versions, read from the table's log.
//!
//! deltalake answers for one id at a time, and replays the log for each; here they are kept together and carried on
//! commit by commit.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use deltalake::DeltaTableError;
use deltalake::kernel::Action;
use deltalake::logstore::{LogStoreRef, get_actions};
use futures_util::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::delta_error;
use crate::error::{LakeError, Result};

const READ: &str = "read the log of";
const CHECKPOINT_SUFFIX: &str = ".checkpoint.parquet";
const TXN: &str = "txn";

/// All application ids as of a version.
pub(super) async fn load(table: &str, log: &LogStoreRef, version: u64) -> Result<BTreeMap<String, i64>> {
    let mut progress = BTreeMap::new();
    let mut next = 0;
    if let Some((at, path)) = newest_checkpoint(table, log, version).await? {
        read_checkpoint(table, log, &path, &mut progress).await?;
        next = at + 1;
    }
    for version in next..=version {
        apply(&commit(table, log, version).await?, &mut progress);
    }
    Ok(progress)
}

/// Carries application ids on by one commit.
pub(super) fn apply(actions: &[Action], progress: &mut BTreeMap<String, i64>) {
    for action in actions {
        if let Action::Txn(txn) = action {
            progress.insert(txn.app_id.clone(), txn.version);
        }
    }
}

/// What a commit did.
pub(super) async fn commit(table: &str, log: &LogStoreRef, version: u64) -> Result<Vec<Action>> {
    let bytes = log
        .read_commit_entry(version)
        .await
        .map_err(|e| delta_error(table, READ, e))?;
    let bytes = bytes.ok_or_else(|| damaged(table, format!("version {version} is missing")))?;
    get_actions(version, &bytes).map_err(|e| delta_error(table, READ, e))
}

async fn newest_checkpoint(table: &str, log: &LogStoreRef, version: u64) -> Result<Option<(u64, Path)>> {
    let listed: Vec<_> = log
        .object_store(None)
        .list(Some(log.log_path()))
        .try_collect()
        .await
        .map_err(|e| delta_error(table, READ, e.into()))?;
    let checkpoint = |path: Path| {
        let at: u64 = path.filename()?.strip_suffix(CHECKPOINT_SUFFIX)?.parse().ok()?;
        (at <= version).then_some((at, path))
    };
    Ok(listed
        .into_iter()
        .filter_map(|meta| checkpoint(meta.location))
        .max())
}

async fn read_checkpoint(
    table: &str,
    log: &LogStoreRef,
    path: &Path,
    progress: &mut BTreeMap<String, i64>,
) -> Result<()> {
    let store = log.object_store(None);
    let read = async { store.get(path).await?.bytes().await };
    let bytes: Bytes = read
        .await
        .map_err(|e| delta_error(table, READ, DeltaTableError::from(e)))?;
    let file_error = |source| LakeError::File {
        table: table.to_owned(),
        path: path.to_string(),
        source,
    };
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(file_error)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), [TXN]);
    let reader = builder.with_projection(mask).build().map_err(file_error)?;
    for batch in reader {
        let batch = batch.map_err(|source| LakeError::Rows {
            table: table.to_owned(),
            source,
        })?;
        let Some(txns) = batch
            .column_by_name(TXN)
            .and_then(|column| column.as_struct_opt())
        else {
            return Ok(());
        };
        let ids = txns
            .column_by_name("appId")
            .and_then(|column| column.as_string_opt::<i32>());
        let versions = txns
            .column_by_name("version")
            .and_then(|column| column.as_primitive_opt::<Int64Type>());
        let (Some(ids), Some(versions)) = (ids, versions) else {
            return Err(damaged(
                table,
                format!("{path} holds application ids in a form of its own"),
            ));
        };
        for row in (0..txns.len()).filter(|row| txns.is_valid(*row)) {
            progress.insert(ids.value(row).to_owned(), versions.value(row));
        }
    }
    Ok(())
}

fn damaged(table: &str, reason: String) -> LakeError {
    LakeError::Log {
        table: table.to_owned(),
        reason,
    }
}
