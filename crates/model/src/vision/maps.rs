//! Feature maps in plain memory.

/// The feature maps of a batch of images.
///
/// # Shape
/// `batch × height × width × channels`, channels contiguous.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Maps {
    pub(super) batch: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    pub(super) data: Vec<f32>,
}

impl Maps {
    pub(super) fn zeros(batch: usize, height: usize, width: usize, channels: usize) -> Self {
        let data = vec![0.0; batch * height * width * channels];
        Self {
            batch,
            height,
            width,
            channels,
            data,
        }
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
