//! Images in plain memory.

use super::description::{ImageNetwork, ImageShape};
use super::enlargement::enlarged;
use super::maps::Maps;
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

    /// The same images in grey; those that are not of three channels stay as they are.
    #[must_use]
    pub fn to_grey(&self) -> Self {
        if self.shape.channels != 3 {
            return self.clone();
        }
        let (pixels, _) = self.pixels.as_chunks();
        Self {
            shape: ImageShape {
                channels: 1,
                ..self.shape
            },
            pixels: pixels.iter().copied().map(luma).collect(),
        }
    }

    /// Whether a network can read the images: a grey one also reads those of three channels.
    pub(super) fn check_shape(&self, expected: &ImageShape) -> Result<()> {
        if self.shape == *expected || (expected.channels == 1 && self.shape == expected.in_colour()) {
            Ok(())
        } else {
            Err(Error::Inconsistent {
                reason: "the images have another shape than the network reads",
            })
        }
    }

    /// Images as a network reads them.
    pub(super) fn numbers(&self, indices: &[usize], network: &ImageNetwork) -> Maps {
        enlarged(self.treated(indices, network), network.enlargement)
    }

    fn treated(&self, indices: &[usize], network: &ImageNetwork) -> Maps {
        let shape = &network.input;
        if self.shape == *shape {
            let images = indices.iter().map(|&at| self.image(at));
            return network.treatment.apply(images, shape);
        }
        let grey = self.select(indices).to_grey();
        let images = (0..grey.len()).map(|at| grey.image(at));
        network.treatment.apply(images, shape)
    }
}

/// The brightness of a pixel, in integers so that every machine agrees.
///
/// # Source
/// ITU-R BT.601, section 2.5.1.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = u32::from(red) * 299 + u32::from(green) * 587 + u32::from(blue) * 114;
    u8::try_from((sum + 500) / 1000).expect("an average of bytes is a byte")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::vision::fixture;

    #[test]
    fn grey_is_the_brightness_of_each_pixel() {
        let shape = ImageShape {
            height: 1,
            width: 2,
            channels: 3,
        };
        let pixels = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 3]];
        let images = Images::new(shape, pixels.concat()).unwrap();
        let grey = images.to_grey();
        assert_eq!((grey.len(), grey.shape().channels), (2, 1));
        assert_eq!([grey.image(0), grey.image(1)], [[0, 255], [76, 150]]);
        assert_eq!(grey.to_grey(), grey);
    }

    #[test]
    fn a_grey_network_scores_images_in_colour_as_their_grey_ones() {
        let scorer = fixture::model().scorer().unwrap();
        let shape = ImageShape {
            channels: 3,
            ..scorer.network().input
        };
        let pixels = (0..3 * shape.len())
            .map(|at| u8::try_from(at * 37 % 251).unwrap())
            .collect();
        let images = Images::new(shape, pixels).unwrap();
        let scored = scorer.score(&images).unwrap();
        assert_eq!(scored, scorer.score(&images.to_grey()).unwrap());
        let alone = scorer.score(&images.select(&[1])).unwrap();
        assert_eq!(alone, scored[1..2], "INV-5");
        let heat = |images| scorer.heat_map(images, 2).unwrap();
        assert_eq!(heat(&images), heat(&images.to_grey()));
    }
}
