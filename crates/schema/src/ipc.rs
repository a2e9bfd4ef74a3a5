//! Record batches as the payload of one Kafka record: an Arrow IPC stream of one batch.

use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

/// Writes a batch, with its schema, as an Arrow IPC stream.
///
/// # Errors
/// If the batch has a type that the format lacks.
pub fn encode(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::with_capacity(4096), &batch.schema())?;
    writer.write(batch)?;
    writer.into_inner()
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// If the bytes are no Arrow IPC stream, or hold no batch.
pub fn decode(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    let mut reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    reader
        .next()
        .unwrap_or_else(|| Err(ArrowError::IpcError("the stream holds no batch".into())))
}
