//! How a snapshot lies in its object.
//!
//! # Shape
//! The mark `RSSNAP01`, the header's length (4 bytes, little-endian), the header as JSON, the payload compressed
//! with zstd, and the SHA-256 of all that.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{LakeError, Result};

const MARK: &[u8] = b"RSSNAP01";
const CHECKSUM_BYTES: usize = 32;
const COMPRESSION_LEVEL: i32 = 3;

/// Which state a snapshot is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    stage: String,
    partition: i32,
    position: i64,
    fingerprint: String,
    payload_bytes: usize,
}

/// Why an object is not the snapshot it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    #[error("it is cut short")]
    Short,
    #[error("it has another mark")]
    Mark,
    #[error("its checksum does not fit")]
    Checksum,
    #[error("its header cannot be read")]
    Header,
    #[error("it is the snapshot of something else")]
    Other,
    #[error("its payload cannot be decompressed")]
    Payload,
}

impl Header {
    pub(super) fn new(stage: &str, partition: i32, position: i64, fingerprint: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            partition,
            position,
            fingerprint: fingerprint.to_owned(),
            payload_bytes: 0,
        }
    }

    /// The object of this snapshot.
    pub(super) fn seal(mut self, payload: &[u8]) -> Result<Vec<u8>> {
        self.payload_bytes = payload.len();
        let header = serde_json::to_vec(&self).map_err(|e| self.encode_error(e))?;
        let header_bytes = u32::try_from(header.len()).map_err(|e| self.encode_error(e))?;
        let compressed =
            zstd::bulk::compress(payload, COMPRESSION_LEVEL).map_err(|e| self.encode_error(e))?;
        let mut bytes = [MARK, &header_bytes.to_le_bytes(), &header, &compressed].concat();
        let checksum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&checksum);
        Ok(bytes)
    }

    /// The payload, if the object is whole and its header is this one.
    pub(super) fn open(mut self, bytes: &[u8]) -> std::result::Result<Vec<u8>, Damage> {
        let body_bytes = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(Damage::Short)?;
        let (body, checksum) = bytes.split_at(body_bytes);
        if Sha256::digest(body).as_slice() != checksum {
            return Err(Damage::Checksum);
        }
        let rest = body.strip_prefix(MARK).ok_or(Damage::Mark)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(Damage::Short)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Damage::Header)?;
        let (header, compressed) = rest.split_at_checked(length).ok_or(Damage::Short)?;
        let header: Self = serde_json::from_slice(header).map_err(|_| Damage::Header)?;
        self.payload_bytes = header.payload_bytes;
        if header != self {
            return Err(Damage::Other);
        }
        zstd::bulk::decompress(compressed, header.payload_bytes).map_err(|_| Damage::Payload)
    }

    fn encode_error(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> LakeError {
        LakeError::Encode {
            stage: self.stage.clone(),
            partition: self.partition,
            source: source.into(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn no_changed_or_missing_byte_goes_unnoticed() {
        let header = || Header::new("stage", 1, 42, "definitions");
        let bytes = header().seal(b"some state").unwrap();
        assert_eq!(header().open(&bytes).unwrap(), b"some state");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(header().open(&changed).is_err(), "byte {at}");
            assert!(header().open(&bytes[..at]).is_err(), "length {at}");
        }
    }

    #[test]
    fn an_empty_state_is_a_state() {
        let header = || Header::new("stage", 1, 0, "");
        assert_eq!(header().open(&header().seal(b"").unwrap()).unwrap(), b"");
    }

    #[test]
    fn another_partitions_snapshot_is_told_apart() {
        let bytes = Header::new("stage", 1, 42, "f").seal(b"x").unwrap();
        assert_eq!(Header::new("stage", 2, 42, "f").open(&bytes), Err(Damage::Other));
        assert_eq!(Header::new("stage", 1, 42, "g").open(&bytes), Err(Damage::Other));
    }
}
