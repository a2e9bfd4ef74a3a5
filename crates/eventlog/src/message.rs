//! A batch as Kafka records hold it: the header as JSON, the rows as an Arrow IPC stream.

use arrow::array::RecordBatch;
use arrow::compute::min;
use arrow::error::ArrowError;
use schema::{EventColumns, ipc};
use thiserror::Error;

use crate::{BatchHeader, HeaderError};

/// The largest payload that more than one row may take: half of what topics grant, which the headers share.
pub const MAX_PAYLOAD_BYTES: usize = 8 << 20;

/// What one record of an internal topic holds.
#[derive(Clone, Debug)]
pub struct Message {
    /// The value of the header [`HEADER`](crate::HEADER).
    pub header: Vec<u8>,
    /// The record's value.
    pub payload: Vec<u8>,
}

/// Why a record is none of an internal topic.
#[derive(Debug, Error)]
pub enum MessageError {
    /// It has no batch header.
    #[error("it has no batch header")]
    NoHeader,
    /// Its batch header cannot be read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Its rows cannot be read.
    #[error("its rows cannot be read: {0}")]
    Rows(#[from] ArrowError),
}

impl Message {
    /// A batch as one message, or as several where its payload would pass [`MAX_PAYLOAD_BYTES`]: a backlog that is
    /// released at once makes batches of any size.
    ///
    /// # Errors
    /// If the rows are of a type that Arrow IPC lacks, or without the fixed columns.
    pub fn encode(header: BatchHeader, rows: &RecordBatch) -> Result<Vec<Self>, ArrowError> {
        let payload = ipc::encode(rows)?;
        if payload.len() <= MAX_PAYLOAD_BYTES || rows.num_rows() < 2 {
            let header = header.to_bytes();
            return Ok(vec![Self { header, payload }]);
        }
        let [first, second] = split(header, rows, rows.num_rows() / 2)?;
        let mut messages = Self::encode(first.0, &first.1)?;
        messages.extend(Self::encode(second.0, &second.1)?);
        Ok(messages)
    }

    /// Reads the header and the value of a record.
    ///
    /// # Errors
    /// [`MessageError`] if it is not what [`Message::encode`] wrote.
    pub fn decode(
        header: Option<&[u8]>,
        payload: Option<&[u8]>,
    ) -> Result<(BatchHeader, RecordBatch), MessageError> {
        let header = BatchHeader::from_bytes(header.ok_or(MessageError::NoHeader)?)?;
        Ok((header, ipc::decode(payload.unwrap_or_default())?))
    }
}

/// A batch as two, the second from a row on, each with a header that is true by itself (R5, R7).
///
/// # Errors
/// If the rows are without the fixed columns.
///
/// # Panics
/// If a part would be empty.
pub fn split(
    header: BatchHeader,
    rows: &RecordBatch,
    at: usize,
) -> Result<[(BatchHeader, RecordBatch); 2], ArrowError> {
    let columns = EventColumns::of(rows)?;
    let rest = columns.order_time.slice(at, rows.num_rows() - at);
    let lowest_us = min(&rest).unwrap_or(crate::NEVER_US);
    let (first, second) = header.split(columns.index.value(at - 1), lowest_us);
    Ok([
        (first, rows.slice(0, at)),
        (second, rows.slice(at, rows.num_rows() - at)),
    ])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::{Marks, Word, Writer};
    use schema::{Event, EventBuilder, Label, Layout, Origin, SourceTopic, Subject, Verdict};

    fn rows(count: i64, text: &str) -> RecordBatch {
        let mut builder = EventBuilder::new(Arc::new(Layout::default()));
        for offset in 0..count {
            let label = Event::Label(Label {
                subject: Subject::Transaction(format!("{offset}{text}")),
                verdict: Verdict::Fraud,
                known_at_us: offset,
                source: "chargeback".into(),
                entities: BTreeMap::new(),
            });
            let origin = Origin {
                topic: SourceTopic::Labels,
                partition: 0,
                offset: 10 + offset,
                timestamp_us: 0,
            };
            builder.push(&label, origin, 1_000 + offset, false);
        }
        builder.finish().unwrap()
    }

    fn header(watermark_us: i64) -> BatchHeader {
        BatchHeader {
            writer: Writer::source("labels", 0),
            epoch: 0,
            index_before: 9,
            word: Word {
                generation: 1,
                position: 99,
                caught_up: true,
                watermark_us,
                sources: 1,
            },
        }
    }

    #[test]
    fn a_batch_that_fits_is_one_message() {
        let batch = rows(3, "");
        let messages = Message::encode(header(5_000), &batch).unwrap();
        assert_eq!(messages.len(), 1);
        let (read, rows) = Message::decode(Some(&messages[0].header), Some(&messages[0].payload)).unwrap();
        assert_eq!((read, rows), (header(5_000), batch));
    }

    #[test]
    fn r5_r7_a_batch_too_large_is_several_each_true_by_itself() {
        let batch = rows(40, &"x".repeat(1 << 20));
        let messages = Message::encode(header(5_000), &batch).unwrap();
        assert!(messages.len() >= 5, "{}", messages.len());
        let (mut marks, mut taken) = (Marks::default(), 0);
        marks.set(&Writer::source("labels", 0), 9);
        for (nth, message) in messages.iter().enumerate() {
            assert!(message.payload.len() <= MAX_PAYLOAD_BYTES);
            let (header, rows) = Message::decode(Some(&message.header), Some(&message.payload)).unwrap();
            let indices = EventColumns::of(&rows).unwrap().index;
            marks
                .take(&header.writer, header.index_before, indices.values())
                .unwrap();
            taken += rows.num_rows();
            let is_last = nth + 1 == messages.len();
            let next_us = 1_000 + i64::try_from(taken).unwrap();
            assert_eq!(header.word.caught_up, is_last);
            assert_eq!(header.word.watermark_us, if is_last { 5_000 } else { next_us });
        }
        assert_eq!(taken, 40);
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        let header = header(0).to_bytes();
        assert!(matches!(
            Message::decode(None, Some(b"x")),
            Err(MessageError::NoHeader)
        ));
        assert!(matches!(
            Message::decode(Some(b"{"), Some(b"x")),
            Err(MessageError::Header(_))
        ));
        assert!(matches!(
            Message::decode(Some(&header), Some(b"x")),
            Err(MessageError::Rows(_))
        ));
        assert!(matches!(
            Message::decode(Some(&header), None),
            Err(MessageError::Rows(_))
        ));
    }
}
