//! Images in plain memory.

use super::description::ImageShape;
use super::maps::Maps;
use super::treatment::Treatment;
use crate::{Error, Result};

/// Images of one size.
///
/// # Shape
/// `pixels`: image after image, each `height × width × channels` with channels contiguous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    shape: ImageShape,
    pixels: Vec<u8>,
}

impl Images {
    /// Images from their bytes.
    ///
    /// # Errors
    /// If the images would be empty, or the bytes do not fill whole ones.
    pub fn new(shape: ImageShape, pixels: Vec<u8>) -> Result<Self> {
        if shape.is_empty() || !pixels.len().is_multiple_of(shape.len()) {
            return Err(Error::Length {
                name: "pixels".to_owned(),
                found: pixels.len(),
                expected: pixels.len().next_multiple_of(shape.len().max(1)),
            });
        }
        Ok(Self { shape, pixels })
    }

    /// The size of each image.
    #[must_use]
    pub const fn shape(&self) -> ImageShape {
        self.shape
    }

    /// How many images there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.pixels.len() / self.shape.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// The bytes of one image.
    #[must_use]
    pub fn image(&self, at: usize) -> &[u8] {
        &self.pixels[at * self.shape.len()..(at + 1) * self.shape.len()]
    }

    /// The images at these indices, in their order.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        Self {
            shape: self.shape,
            pixels: indices.iter().flat_map(|&at| self.image(at)).copied().collect(),
        }
    }

    pub(super) fn check_shape(&self, expected: &ImageShape) -> Result<()> {
        if self.shape == *expected {
            Ok(())
        } else {
            Err(Error::Inconsistent {
                reason: "the images have another shape than the network reads",
            })
        }
    }

    /// Images as a network reads them.
    pub(super) fn numbers(&self, indices: &[usize], treatment: Treatment) -> Maps {
        treatment.apply(indices.iter().map(|&at| self.image(at)), &self.shape)
    }
}
