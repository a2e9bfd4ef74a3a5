//! What an image may cost.

use serde::{Deserialize, Serialize};

use super::Refusal;

const MIB: usize = 1024 * 1024;

/// What an image may cost. All of it is checked against the headers, before any pixel is decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of the file.
    pub max_bytes: usize,
    /// Pixels of a frame.
    pub max_pixels: u64,
    /// Pixels of a side.
    pub max_side: u32,
    /// Frames of a sequence that are decoded, evenly spread over it; fewer where memory ends first.
    pub frames_kept: usize,
    /// Frames that a sequence may have.
    pub max_frames: usize,
    /// Bytes of memory that admission may take beside the file itself: copies, decoders, frames.
    pub max_memory_bytes: u64,
    /// Bytes that compressed metadata may inflate to, all together.
    pub max_metadata_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 8 * MIB,
            max_pixels: 40_000_000,
            max_side: 16_384,
            frames_kept: 64,
            max_frames: 1_000,
            max_memory_bytes: 64 * MIB as u64,
            max_metadata_bytes: MIB,
        }
    }
}

impl Limits {
    pub(super) fn check_bytes(&self, found: usize) -> Result<(), Refusal> {
        let limit = self.max_bytes;
        if found > limit {
            return Err(Refusal::Bytes { found, limit });
        }
        Ok(())
    }

    pub(super) fn check_size(&self, width: u32, height: u32) -> Result<(), Refusal> {
        if width.max(height) > self.max_side {
            let limit = self.max_side;
            return Err(Refusal::Side { width, height, limit });
        }
        if u64::from(width) * u64::from(height) > self.max_pixels {
            let limit = self.max_pixels;
            return Err(Refusal::Pixels { width, height, limit });
        }
        Ok(())
    }

    pub(super) fn check_frames(&self, found: usize) -> Result<(), Refusal> {
        let limit = self.max_frames;
        if found > limit {
            return Err(Refusal::Frames { found, limit });
        }
        Ok(())
    }

    pub(super) fn check_memory(&self, needed: u64) -> Result<(), Refusal> {
        let limit = self.max_memory_bytes;
        if needed > limit {
            return Err(Refusal::Memory { needed, limit });
        }
        Ok(())
    }
}
