//! What ingest tells about itself. Received = written + rejected + in flight.

use metrics::{counter, gauge, histogram};
use schema::{Reason, SourceTopic};

/// Raw records were read.
pub(crate) fn received(topic: SourceTopic, records: usize) {
    counter!("riskstream_ingest_records_received_total", "source" => topic.name()).increment(records as u64);
}

/// Events were sent to the log.
pub(crate) fn written(topic: SourceTopic, events: usize) {
    counter!("riskstream_ingest_events_written_total", "source" => topic.name()).increment(events as u64);
}

/// A record was refused.
pub(crate) fn rejected(topic: SourceTopic, reason: Reason) {
    counter!(
        "riskstream_ingest_records_rejected_total",
        "source" => topic.name(),
        "reason" => reason.code()
    )
    .increment(1);
}

/// An event came later than the allowed disorder.
pub(crate) fn late(topic: SourceTopic) {
    counter!("riskstream_ingest_events_late_total", "source" => topic.name()).increment(1);
}

/// How many records of a raw partition are still to be read.
#[expect(clippy::cast_precision_loss, reason = "a gauge")]
pub(crate) fn lag(topic: SourceTopic, partition: i32, records: i64) {
    gauge!(
        "riskstream_ingest_lag_records",
        "source" => topic.name(),
        "partition" => partition.to_string()
    )
    .set(records as f64);
}

/// A batch went out.
#[expect(clippy::cast_precision_loss, reason = "a histogram")]
pub(crate) fn batch(rows: usize) {
    histogram!("riskstream_ingest_batch_events").record(rows as f64);
}
