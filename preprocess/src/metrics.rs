//! What preprocess tells about itself. Received = written + duplicates + labels ended + waiting.

use metrics::{counter, gauge, histogram};

/// Rows were taken from the log, each once.
pub(crate) fn received(stage: &str, rows: usize) {
    counter!("riskstream_stage_rows_received_total", "stage" => stage.to_owned()).increment(rows as u64);
}

/// Rows were there before, by their index: their writer has sent them again.
pub(crate) fn repeated(stage: &str, rows: usize) {
    counter!("riskstream_stage_rows_repeated_total", "stage" => stage.to_owned()).increment(rows as u64);
}

/// Rows were sent.
pub(crate) fn written(stage: &str, rows: usize) {
    counter!("riskstream_stage_rows_written_total", "stage" => stage.to_owned()).increment(rows as u64);
}

/// An event was there before, by its identifier.
pub(crate) fn duplicate(stage: &str) {
    counter!("riskstream_stage_duplicates_total", "stage" => stage.to_owned()).increment(1);
}

/// A transaction's row was written again, with its image.
pub(crate) fn revised(stage: &str) {
    counter!("riskstream_stage_rows_revised_total", "stage" => stage.to_owned()).increment(1);
}

/// A label has done its work: in the last stage, or, of an image, in the first.
pub(crate) fn label_ended(stage: &str) {
    counter!("riskstream_stage_labels_ended_total", "stage" => stage.to_owned()).increment(1);
}

/// An event took its turn out of order.
pub(crate) fn late(stage: &str) {
    counter!("riskstream_stage_rows_late_total", "stage" => stage.to_owned()).increment(1);
}

/// State of a partition.
#[expect(clippy::cast_precision_loss, reason = "gauges")]
pub(crate) fn state(stage: &str, partition: i32, waiting: usize, observations: usize) {
    let partition = partition.to_string();
    gauge!("riskstream_stage_waiting_rows", "stage" => stage.to_owned(), "partition" => partition.clone())
        .set(waiting as f64);
    gauge!("riskstream_stage_window_observations", "stage" => stage.to_owned(), "partition" => partition)
        .set(observations as f64);
}

/// A partition's state was restored.
pub(crate) fn restored(stage: &str, seconds: f64) {
    histogram!("riskstream_stage_restore_seconds", "stage" => stage.to_owned()).record(seconds);
}

/// A snapshot was stored.
#[expect(clippy::cast_precision_loss, reason = "a gauge")]
pub(crate) fn snapshot(stage: &str, bytes: usize) {
    counter!("riskstream_stage_snapshots_total", "stage" => stage.to_owned()).increment(1);
    gauge!("riskstream_stage_snapshot_bytes", "stage" => stage.to_owned()).set(bytes as f64);
}

/// Rows were committed to a table.
pub(crate) fn table_rows(table: &'static str, rows: usize) {
    counter!("riskstream_lake_rows_written_total", "table" => table).increment(rows as u64);
}
