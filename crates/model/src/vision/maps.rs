//! Feature maps in plain memory.

use super::memory;

/// The feature maps of a batch of images.
///
/// # Shape
/// `batch × height × width × channels`, channels contiguous.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Maps {
    pub(super) batch: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    pub(super) data: Vec<f32>,
}

impl Maps {
    pub(super) fn zeros(batch: usize, height: usize, width: usize, channels: usize) -> Self {
        let mut maps = Self::any(batch, height, width, channels);
        maps.data.fill(0.0);
        maps
    }

    /// Maps of any numbers, for those who write all of them.
    pub(super) fn any(batch: usize, height: usize, width: usize, channels: usize) -> Self {
        Self {
            batch,
            height,
            width,
            channels,
            data: memory::any(batch * height * width * channels),
        }
    }

    /// Maps of this size with other numbers.
    #[cfg(test)]
    pub(super) fn with(&self, data: &[f32]) -> Self {
        let mut maps = self.clone();
        maps.data.copy_from_slice(data);
        maps
    }

    /// Positions in the whole batch: rows of the matrix with a column for each channel.
    pub(super) const fn positions(&self) -> usize {
        self.batch * self.height * self.width
    }

    /// Numbers in one image.
    pub(super) const fn image_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The numbers of one image.
    pub(super) fn image(&self, at: usize) -> &[f32] {
        &self.data[at * self.image_len()..(at + 1) * self.image_len()]
    }

    /// The numbers of one image.
    pub(super) fn image_mut(&mut self, at: usize) -> &mut [f32] {
        let len = self.image_len();
        &mut self.data[at * len..(at + 1) * len]
    }

    /// `self += other`, position by position.
    pub(super) fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.data.len(), other.data.len());
        for (sum, value) in self.data.iter_mut().zip(&other.data) {
            *sum += value;
        }
    }
}

impl Clone for Maps {
    fn clone(&self) -> Self {
        let mut copy = Self::any(self.batch, self.height, self.width, self.channels);
        copy.data.copy_from_slice(&self.data);
        copy
    }
}

impl Drop for Maps {
    fn drop(&mut self) {
        memory::give(std::mem::take(&mut self.data));
    }
}
